"""Takes an alert back from phones: when somebody has it, everybody else whose phone was sent it reads who has it.

If Rina gives it back and Bayu takes it, "Taken by Rina" becomes "Taken by Bayu": of one push there may be several
revocations, numbered, and only the last of them counts. What a phone says already is not said again.

A revocation is a row of the outbox like any push, so that retries, leases and reasons hold for it. It tells nobody
anything new: it is of no alert and counts in no budget, throttle or proof.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from alerts.actions.stored import stored
from alerts.actions.stored_tellings import TELLS
from alerts.delivery.message import idempotency_key, revocation_body, title_of
from alerts.models import Alert, Push
from alerts.rows import PushRow
from orgs.models import Severity, User

REVOCATIONS = UUID("b1f4f0a6-5f0b-4d0e-9a52-2f6e5c1d7a90")  # the namespace of their ids
ANSWERED_BY_THEN = timedelta(seconds=12)  # whoever is sending it has its answer


@dataclass(frozen=True, slots=True)
class TakenFromPhones:
    """An alert that somebody has now; `by`: pk of the person, None: a human agent that nobody can match.

    `only_corrects`: they have seen it, which takes it from no phone, but none is to say that another has it.
    """

    alert: Alert
    by: int | None
    only_corrects: bool = False


def revocations(taken: Mapping[UUID, TakenFromPhones], now: datetime) -> list[PushRow]:
    """The rows that take these alerts back from the phones of all others, in the present episode; where a phone says so
    already there is none.
    """
    found = stored().on_phones(list(taken), now)
    wanted = [row for row in found if row[2] != taken[row[1]].by and row[7] >= taken[row[1]].alert.opened_at]
    if not wanted:
        return []
    people = stored().people({one.by for one in taken.values() if one.by is not None})
    before = _before([row[0] for row in wanted])
    rows = []
    for push, alert, *whose in wanted:
        by = taken[alert].by
        row = _row(taken[alert].alert, push, people.get(by) if by is not None else None, whose, now)
        said = before.get(push)
        shown = said.title if said is not None else ""
        if shown == title_of(row.body) or (taken[alert].only_corrects and not shown):
            continue
        rows.append(row if said is None else _number(row, said, now))
    stored().supersede_revocations([row.revokes for row in rows if row.revokes is not None], now)
    return rows


@dataclass(slots=True)
class SaidOnPhones:
    """What was said so far to take one push back: the number of the last, and what the phone shows or is about to."""

    number: int = 0
    title: str = ""
    under_way: bool = False  # an answer is awaited: what is said next comes after it


def _before(pushes: Sequence[UUID]) -> dict[UUID, SaidOnPhones]:
    found: dict[UUID, SaidOnPhones] = {}
    for push, number, state, body in stored().revocations_of(pushes):
        said = found.setdefault(push, SaidOnPhones())
        said.number = number
        if state in TELLS:
            said.title = title_of(body)
            said.under_way |= state == Push.State.SENDING
    return found


def _number(row: PushRow, said: SaidOnPhones, now: datetime) -> PushRow:
    """One more of the same push."""
    row.occurrence = said.number + 1
    row.id = uuid5(REVOCATIONS, f"{row.revokes}:{row.occurrence}")
    row.idempotency_key = idempotency_key(row.id)
    if said.under_way:
        row.next_attempt_at = now + ANSWERED_BY_THEN
    return row


def _row(alert: Alert, push: UUID, by: User | None, whose: list[Any], now: datetime) -> PushRow:
    supervisor, tier, under_way, sso_id, locale, _ = whose
    first = uuid5(REVOCATIONS, str(push))
    return PushRow(
        id=first,
        org_id=alert.org_id,
        alert_id=None,
        room_id=alert.room_id,
        supervisor_id=supervisor,
        kind=Push.Kind.REVOKE,
        occurrence=0,
        tier=tier,
        reason="taken",
        severity=Severity.INFO,
        idempotency_key=idempotency_key(first),
        planned_at=now,
        state=Push.State.PENDING,
        next_attempt_at=now + ANSWERED_BY_THEN if under_way else now,
        body=revocation_body(alert=alert, by=str(by) if by else "", sso_id=sso_id, locale=locale, now=now),
        revokes=push,
    )
