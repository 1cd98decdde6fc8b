"""Takes an alert back from phones: when somebody has it, everybody else whose phone was sent it reads who has it.

If Rina gives it back, "Taken by Rina" becomes "Open again", and if Bayu takes it, "Taken by Bayu": of one push there
may be several revocations, numbered, and only the last of them counts. What a phone says already is not said again.

A revocation is a row of the outbox like any push, so that retries, leases and reasons hold for it. It tells nobody
anything new: it is of no alert and counts in no budget, throttle or proof.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from alerts.actions.stored import stored
from alerts.decide import OPEN_AGAIN, TAKEN
from alerts.delivery.message import idempotency_key, revocation_body, title_of
from alerts.models import Alert, Push
from alerts.rows import PushRow, TransitionRow
from orgs.models import Severity, User

REVOCATIONS = UUID("b1f4f0a6-5f0b-4d0e-9a52-2f6e5c1d7a90")  # the namespace of their ids
GIVEN_BACK = ("released", "expired", "reopened")  # changes after which nobody may have it any more
ANSWERED_BY_THEN = timedelta(seconds=12)  # whoever is sending it has its answer


@dataclass(frozen=True, slots=True)
class TakenFromPhones:
    """An alert that somebody has now; `by`: pk of the person, None: a human agent that nobody can match.

    `only_corrects`: they have seen it, which takes it from no phone, but none is to say that another has it.
    `open_again`: nobody has it any more.
    """

    alert: Alert
    by: int | None
    only_corrects: bool = False
    open_again: bool = False


def note_taken(taken: dict[UUID, TakenFromPhones], alert: Alert, change: TransitionRow) -> None:
    """Note in `taken`, by alert, what this change of an alert is for phones; the last one counts."""
    actor = change.actor_id
    if change.change == "intervened" or (change.change == "acknowledged" and change.detail.get("assigned")):
        taken[alert.id] = TakenFromPhones(alert, actor or alert.assigned_to_id)
    elif change.change in ("acknowledged", "opened_room") and alert.acknowledged_by_id == actor is not None:
        taken.setdefault(alert.id, TakenFromPhones(alert, actor, only_corrects=True))  # who has it goes first
    elif change.change in GIVEN_BACK and alert.state == Alert.State.OPEN:
        taken[alert.id] = TakenFromPhones(alert, None, open_again=True)


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
    rows, settled = [], []
    for push, alert, *whose in wanted:
        one, said = taken[alert], before.get(push, SaidOnPhones())
        if (one.open_again and not said.shows_taken) or (one.only_corrects and not (said.shows_taken or said.waits)):
            continue
        row = _row(one, push, people.get(one.by) if one.by is not None else None, whose, now)
        title = title_of(row.body)
        if title == said.waits:
            continue
        settled.append(push)
        if title != said.shown:
            rows.append(_number(row, said, now) if said.number is not None else row)
    stored().supersede_revocations(settled, now)
    return rows


@dataclass(slots=True)
class SaidOnPhones:
    """What was said so far to take one push back: the number of the last, what the phone shows, and what it soon will;
    each empty if nothing.
    """

    number: int | None = None
    shown: str = ""
    waits: str = ""
    shows_taken: bool = False
    under_way: bool = False  # an answer is awaited: what is said next comes after it


def _before(pushes: Sequence[UUID]) -> dict[UUID, SaidOnPhones]:
    found: dict[UUID, SaidOnPhones] = {}
    for push, number, state, reason, body in stored().revocations_of(pushes):
        said = found.setdefault(push, SaidOnPhones())
        said.number = number
        if state in (Push.State.SENT, Push.State.SENDING):
            said.shown, said.shows_taken = title_of(body), reason == TAKEN
            said.under_way |= state == Push.State.SENDING
        elif state == Push.State.PENDING:
            said.waits = title_of(body)
    return found


def _number(row: PushRow, said: SaidOnPhones, now: datetime) -> PushRow:
    """One more of the same push."""
    row.occurrence = (said.number or 0) + 1
    row.id = uuid5(REVOCATIONS, f"{row.revokes}:{row.occurrence}")
    row.idempotency_key = idempotency_key(row.id)
    if said.under_way:
        row.next_attempt_at = now + ANSWERED_BY_THEN
    return row


def _row(one: TakenFromPhones, push: UUID, by: User | None, whose: list[Any], now: datetime) -> PushRow:
    supervisor, tier, under_way, sso_id, locale, _ = whose
    alert, name = one.alert, None if one.open_again else str(by) if by else ""
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
        reason=OPEN_AGAIN if one.open_again else TAKEN,
        severity=Severity.INFO,
        idempotency_key=idempotency_key(first),
        planned_at=now,
        state=Push.State.PENDING,
        next_attempt_at=now + ANSWERED_BY_THEN if under_way else now,
        body=revocation_body(alert=alert, by=name, sso_id=sso_id, locale=locale, now=now),
        revokes=push,
    )
