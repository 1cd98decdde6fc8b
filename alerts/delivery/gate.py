"""The gate through which every push passes: token bucket, breaker, shared pause. Pure: it changes the row it is given.

The row lives in PostgreSQL and the caller has locked it, so it works while Redis is down and holds for all processes
together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.delivery.answers import PushOutcome
from alerts.models import Gate

BATCH = 200  # pushes of one claim
FAILURES = 5  # in a row: the breaker opens
PAUSE, PAUSE_MAX = 5.0, 60.0  # seconds; doubles with every failed probe
CONFIGURATION_PAUSE = 60.0  # seconds between probes while we are told 401
PROBE_TAKES = 20.0  # seconds; a probe that is not answered by then died with its process
REVOKES_OFF = timedelta(hours=1)  # then the service is asked again whether it takes pushes back
SLOW_START = 2  # pushes of the claim after a good probe; doubles with every good batch

BREAKER, RETRY_AFTER, CONFIGURATION = "breaker", "retry_after", "configuration"


@dataclass(frozen=True, slots=True)
class Admission:
    """How many pushes may be claimed now; none while not `open`. `probe`: one, and the rest waits for its answer."""

    limit: int
    probe: bool = False
    open: bool = True


def admit(gate: Gate, now: datetime, rate: float, burst: float) -> Admission:
    """Refill the bucket (`rate` pushes a second up to `burst`) and say how many pushes may go."""
    passed = max((now - gate.refilled_at).total_seconds(), 0.0)  # a clock that went back adds no tokens
    gate.tokens, gate.refilled_at = min(burst, gate.tokens + passed * rate), now
    if gate.closed_until is not None and gate.closed_until > now:
        return Admission(0, open=False)
    whole = int(gate.tokens)
    if gate.probing:
        return Admission(min(whole, 1), probe=True)
    gate.reason = ""
    if gate.allowance is not None:
        whole = min(whole, int(gate.allowance))
    return Admission(min(whole, BATCH))


def take_tokens(gate: Gate, admission: Admission, count: int, now: datetime) -> None:
    """`count` pushes were claimed. A probe closes the gate until it is answered or must have died."""
    gate.tokens -= count
    if admission.probe and count:
        gate.closed_until = now + timedelta(seconds=PROBE_TAKES)


def is_clear(gate: Gate) -> bool:
    """Nothing to recover from: good outcomes need not be told."""
    return not (gate.failures or gate.probing or gate.reason or gate.closed_until or gate.allowance is not None)


def learn(gate: Gate, outcomes: Iterable[PushOutcome], probe: bool, now: datetime, burst: float) -> None:
    """Take in what became of a batch (of one, if it was the probe), in the order it was answered."""
    failed = False
    for outcome in outcomes:
        failed |= outcome.kind in ("configuration", "retry")
        match outcome.kind:
            case "configuration":
                _close(gate, CONFIGURATION, CONFIGURATION_PAUSE, now, over=probe)
            case "retry":
                _failed(gate, outcome.retry_after, probe, now)
            case "put_off" if probe:  # it was to show whether pushes get through
                failed = True
                _failed(gate, None, probe, now)
            case "sent" | "refused" | "unsupported":  # refused: it is there, it is only this push
                if outcome.kind == "unsupported":
                    gate.revokes_off_until = now + REVOKES_OFF
                gate.failures = 0
                if probe:
                    gate.probing, gate.closed_until, gate.reason, gate.allowance = False, None, "", float(SLOW_START)
    if not failed and gate.allowance is not None and not probe:
        doubled = gate.allowance * 2
        gate.allowance = doubled if doubled < min(burst, BATCH) else None


def _failed(gate: Gate, retry_after: float | None, probe: bool, now: datetime) -> None:
    if retry_after is not None:
        gate.failures += 1
        _close(gate, RETRY_AFTER, retry_after, now, over=probe)
        return
    if not probe and gate.closed_until is not None and gate.closed_until > now:
        return  # it set off before the gate closed and tells nothing new
    gate.failures += 1
    if gate.failures >= FAILURES or probe:
        doublings = max(gate.failures - FAILURES, 0)
        _close(gate, BREAKER, min(PAUSE * 2 ** min(doublings, 10), PAUSE_MAX), now, over=probe)


def _close(gate: Gate, reason: str, seconds: float, now: datetime, over: bool = False) -> None:
    """Close for so long, never for less than it is closed already; `over`: the probe's own closing ends here."""
    until = now + timedelta(seconds=seconds)
    if over or gate.closed_until is None or until >= gate.closed_until:
        gate.closed_until, gate.reason = until, reason
    elif reason == CONFIGURATION:
        gate.reason = reason
    gate.probing, gate.allowance = True, None
