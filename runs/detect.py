"""What a run says of its own failure: facts of one run in, signals out. Pure.

A signal is read at most once from a run; which have been is the caller's to know.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from orgs.signals.agent_error import AGENT_ERROR
from orgs.signals.low_confidence import LOW_CONFIDENCE
from orgs.signals.message_cap import MESSAGE_CAP
from orgs.signals.stalled_run import STALLED_RUN
from orgs.signals.unexpected_handoff import UNEXPECTED_HANDOFF

RUN_FAILED = "run_failed"  # the error.type of an `agent_error` that was read from a run
DEFAULT_CONFIDENCE = 0.5  # below it an answer is not sure, where no policy says otherwise
DEFAULT_TARGET = timedelta(seconds=120)  # of a run that names none: how long it may take
RECOVERS_WITHIN = timedelta(minutes=60)  # of the stall: a run that ends `resolved` by then takes it back


class DetectedRun(Protocol):
    """What is read of a run: that of RunOutcome, whatever holds it."""

    @property
    def started_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def resolution(self) -> str: ...
    @property
    def handoff_expected(self) -> bool | None: ...
    @property
    def confidence(self) -> float | None: ...
    @property
    def message_count(self) -> int | None: ...
    @property
    def message_cap(self) -> int | None: ...
    @property
    def sla_target_seconds(self) -> int | None: ...
    @property
    def overdue(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What detection needs of a run. `ended_at` None: it has not ended. Nones and an empty resolution: not said."""

    started_at: datetime
    ended_at: datetime | None = None
    resolution: str = ""
    handoff_expected: bool | None = None
    confidence: float | None = None
    message_count: int | None = None
    message_cap: int | None = None
    sla_target_seconds: int | None = None
    overdue: bool = False  # it had not ended when it should have


@dataclass(frozen=True, slots=True)
class RunSignal:
    """One failure of a run. `at`: when it happened; the rest are the fields of a failure event, None: not of it."""

    signal: str
    at: datetime
    error_type: str | None = None
    handoff_completed: bool | None = None
    confidence: float | None = None
    message_count: int | None = None
    message_cap: int | None = None


def due_time(started_at: datetime, target: int | None) -> datetime:
    """When a run that began then should have ended; `target`: its SLA target in seconds, None: 120."""
    return started_at + (DEFAULT_TARGET if target is None else timedelta(seconds=target))


def detect_signals(run: DetectedRun, threshold: float | None) -> list[RunSignal]:
    """The signals of a run as it is now, `threshold` the policy's for its confidence (None: 0.5).

    >>> from datetime import UTC
    >>> start = datetime(2026, 11, 29, 8, tzinfo=UTC)
    >>> [one.signal for one in detect_signals(RunOutcome(start, start, "failed", confidence=0.2), None)]
    ['agent_error', 'low_confidence']
    """
    found = []
    if run.overdue:
        found.append(RunSignal(STALLED_RUN.name, due_time(run.started_at, run.sla_target_seconds)))
    if (at := run.ended_at) is None:
        return found
    if run.resolution == "failed":
        found.append(RunSignal(AGENT_ERROR.name, at, error_type=RUN_FAILED))
    if run.resolution == "escalated" and not run.handoff_expected:
        found.append(RunSignal(UNEXPECTED_HANDOFF.name, at, handoff_completed=True))
    if run.confidence is not None and run.confidence < (DEFAULT_CONFIDENCE if threshold is None else threshold):
        found.append(RunSignal(LOW_CONFIDENCE.name, at, confidence=run.confidence))
    count, cap = run.message_count, run.message_cap
    if count is not None and cap is not None and count >= cap > 0:
        found.append(RunSignal(MESSAGE_CAP.name, at, message_count=count, message_cap=cap))
    return found


def takes_back(run: DetectedRun) -> bool:
    """Whether the run, called stalled before, ended well and soon enough to take its alarm back."""
    if not run.overdue or run.ended_at is None or run.resolution != "resolved":
        return False
    return run.ended_at <= due_time(run.started_at, run.sla_target_seconds) + RECOVERS_WITHIN
