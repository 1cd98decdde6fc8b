"""Finish: write down what became of claimed pushes. Only the holder of the lease may (fencing)."""

import json
import random
import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from alerts.decide import PUSH_EXPIRES
from alerts.delivery import gate as gates
from alerts.delivery.claim import locked_gate, write_gate
from alerts.delivery.sender import Finished
from alerts.models import Gate
from orgs import clock

RETRY_CAPS = (0.0, 5.0, 15.0, 30.0, 60.0, 120.0)  # seconds before retry 1, 2, ...
RETRY_CAP_LAST = 300.0

COLUMNS = {
    "id": "uuid",
    "token": "uuid",
    "state": "text",
    "reason": "text",
    "answer": "text",
    "given": "text",
    "push": "text",
    "burned": "int",
    "delay": "float8",
    "age": "float8",
    "trace": "jsonb",
}
# A row is ours only while it carries our token: a process that comes back too late changes nothing.
# Rows are locked in the order of their ids, as by receipts. A push whose next attempt would come after it expired
# dies (gave_up) if others get through meanwhile; while none does, it waits and ends as expired.
FINISH = f"""
UPDATE alerts_push push
SET state = CASE WHEN NOT done.dies THEN done.state WHEN push.kind = 'revoke' THEN 'cancelled' ELSE 'dead' END,
    ended_reason = CASE WHEN NOT done.dies THEN done.reason WHEN push.kind = 'revoke' THEN 'expired' ELSE 'gave_up' END,
    last_answer = CASE WHEN done.answer = '' THEN push.last_answer ELSE done.answer END,
    notification_id = done.given,
    push = done.push,
    trace = CASE WHEN done.trace = '{{}}' THEN push.trace ELSE done.trace END,
    attempts = push.attempts - 1 + done.burned,
    next_attempt_at = CASE WHEN done.state = 'pending' AND NOT done.dies THEN done.next_at END,
    sent_at = CASE WHEN done.state = 'sent' THEN done.at END,
    ended_at = CASE WHEN done.state <> 'pending' OR done.dies THEN done.at END,
    lease_token = NULL,
    lease_until = NULL
FROM (
    SELECT ours.*, clock.now - make_interval(secs => age) AS at, clock.now + make_interval(secs => delay) AS next_at,
           ours.state = 'pending' AND burned = 1 AND %(others_pass)s
           AND clock.now + make_interval(secs => delay) > held.planned_at + make_interval(secs => %(expires)s) AS dies
    FROM json_to_recordset(%(rows)s::json) AS ours ({", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())})
    CROSS JOIN (SELECT live_now() AS now) clock
    JOIN alerts_push held ON held.id = ours.id
    ORDER BY ours.id
    FOR UPDATE OF held
) done
WHERE push.id = done.id AND push.lease_token = done.token AND push.state = 'sending'
RETURNING push.alert_id
"""  # noqa: S608 - column names only


def delay_of(attempts: int, rng: random.Random) -> float:
    """Seconds until the next attempt after so many failed ones: full jitter below 0, 5, 15, 30, 60, 120, 300 ..."""
    return rng.uniform(0.0, RETRY_CAPS[attempts - 1] if attempts <= len(RETRY_CAPS) else RETRY_CAP_LAST)


def finish(batch: Sequence[Finished], rng: random.Random) -> tuple[list[UUID], bool]:
    """Write what became of these and let the gate learn; the alerts to publish, and whether the gate is closed now.

    The rows first, then, in a transaction of its own, the gate: it is always locked before rows, never after.
    """
    gate_was = Gate.objects.get()
    others_pass = gate_was.failures < gates.FAILURES and not gate_was.probing
    now = time.monotonic()
    rows = json.dumps([_row(done, now, rng) for done in batch])  # one text: ten arrays cost three times as much
    with connection.cursor() as cursor:
        cursor.execute(FINISH, {"rows": rows, "others_pass": others_pass, "expires": PUSH_EXPIRES.total_seconds()})
        changed = {alert_id for (alert_id,) in cursor.fetchall() if alert_id is not None}
    return list(changed), _learn(gate_was, batch)


def _row(done: Finished, now: float, rng: random.Random) -> dict[str, Any]:
    """One finished push, by the names of COLUMNS."""
    push, outcome = done.push, done.outcome
    state, reason, burned, delay = "pending", "", 1, 0.0
    match outcome.kind:
        case "sent":
            state = "sent"
        case "refused" | "unsupported" if push.is_revocation:
            state, reason = "cancelled", "not_supported" if outcome.kind == "unsupported" else "refused"
        case "refused":
            state, reason = "dead", "refused"
        case "retry" | "put_off":
            delay = max(delay_of(push.attempts, rng), outcome.retry_after or 0.0)
        case "configuration" | "given_back":
            burned = 0
    return {
        "id": str(push.id),
        "token": str(push.token),
        "state": state,
        "reason": reason,
        "answer": outcome.answer,
        "given": outcome.notification_id,
        "push": outcome.push,
        "burned": burned,
        "delay": delay,
        "age": now - done.at,
        "trace": done.trace,
    }


def _learn(gate_was: Gate, batch: Sequence[Finished]) -> bool:
    """Tell the gate what became of the batch; whether it is closed now."""
    if gates.is_clear(gate_was) and all(done.outcome.kind in ("sent", "given_back") for done in batch):
        return False
    with transaction.atomic(durable=True):
        gate = locked_gate()
        now = clock.now()
        for probe, group in groupby(batch, key=lambda done: done.push.probe):
            gates.learn(gate, [done.outcome for done in group], probe, now, settings.PUSH_BURST)
        write_gate(gate)
        return gate.closed_until is not None and gate.closed_until > now
