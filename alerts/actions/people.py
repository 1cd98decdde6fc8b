"""What a person does with an alert. Compare-and-set under the room's lock: the loser gets the fresh alert."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from alerts.actions.activity import end, react
from alerts.actions.book import Book
from alerts.actions.conversation import settle
from alerts.decide import acknowledge_lasts
from alerts.models import Alert, Room, RoomActivity, new_id
from orgs import clock
from orgs.auth import visible_orgs
from orgs.models import User

SNOOZE_AT_MOST = timedelta(hours=24)


class Conflict(Exception):
    """Somebody was faster, or the alert is past this. `alert` is as it is now; `code` says which."""

    def __init__(self, code: str, alert: Alert) -> None:
        super().__init__(code)
        self.code = code
        self.alert = alert


class Invalid(Exception):
    """The act does not make sense as asked; `message` says what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


@contextmanager
def _locked(alert_id: UUID) -> Iterator[tuple[Book, Alert]]:
    """The alert under its room's lock; written on leaving. Raises Alert.DoesNotExist outside the scope."""
    with transaction.atomic():
        room_pk = Alert.objects.values_list("room_id", flat=True).get(pk=alert_id)
        book = Book(clock.now())
        book.lock_rooms([room_pk] if room_pk else [])
        alert = book.lock_alert(alert_id)
        current = book.alerts.get(room_pk) if room_pk else None
        if current is not None and current.pk == alert_id:
            alert = current
        elif room_pk:  # an older alert of a room that has a newer one: it is changed beside it
            alert.room = next(iter(book.rooms.values()))
        yield book, alert
        book.close()


def _holder(alert: Alert) -> int | None:
    return alert.assigned_to_id or alert.acknowledged_by_id


def _refuse_resolved(alert: Alert) -> None:
    if alert.state == Alert.State.RESOLVED:
        raise Conflict("already_resolved", alert)


def _refuse_taken(alert: Alert, by: User) -> None:
    _refuse_resolved(alert)
    holder = alert.intervened_by_id if alert.state == Alert.State.INTERVENED else _holder(alert)
    if alert.state != Alert.State.OPEN and holder != by.pk:
        raise Conflict("already_taken", alert)


def _acknowledge(alert: Alert, by: User, now: datetime) -> None:
    alert.state = Alert.State.ACKNOWLEDGED
    alert.acknowledged_at, alert.acknowledged_by = now, by
    alert.acknowledge_expires_at = now + acknowledge_lasts(alert.severity)


def acknowledge(alert_id: UUID, by: User) -> Alert:
    """I have seen it: repeats stop until the acknowledge expires. Again by the same person changes nothing."""
    with _locked(alert_id) as (book, alert):
        _refuse_taken(alert, by)
        if alert.state == Alert.State.OPEN:
            _acknowledge(alert, by, book.now)
            book.record(alert, "acknowledged", actor=by)
        return alert


def take(alert_id: UUID, by: User) -> Alert:
    """Acknowledge, and it is mine. Raises Conflict already_taken for everybody but the first.

    An open alert assigned to somebody who has not reacted can be taken: who is here comes first.
    """
    with _locked(alert_id) as (book, alert):
        _refuse_taken(alert, by)
        waits = alert.state == Alert.State.OPEN
        if waits:
            _acknowledge(alert, by, book.now)
        if waits or alert.assigned_to_id != by.pk:
            alert.assigned_to = by
            book.record(alert, "acknowledged", actor=by, detail={"assigned": True})
        return alert


def release(alert_id: UUID, by: User) -> Alert:
    """Nobody has it any more, and it is open again; repeats go on."""
    with _locked(alert_id) as (book, alert):
        _refuse_resolved(alert)
        if alert.state != Alert.State.OPEN or alert.assigned_to_id is not None:
            alert.assigned_to = alert.acknowledged_by = None
            alert.acknowledged_at = alert.acknowledge_expires_at = None
            if alert.state == Alert.State.ACKNOWLEDGED:
                alert.state = Alert.State.OPEN
            book.record(alert, "released", actor=by)
        return alert


def resolve(alert_id: UUID, by: User) -> Alert:
    """It is over: nobody waits in this room any more."""
    with _locked(alert_id) as (book, alert):
        if alert.state == Alert.State.RESOLVED:
            if alert.resolved_by_id == by.pk:
                return alert
            raise Conflict("already_resolved", alert)
        end(alert, Alert.By.HUMAN, book.now, by)
        room = alert.room
        if room is not None:
            settle(room, Room.State.RESOLVED, book.now)
            room.customer_waiting_since = None
            book.changed_room(room)
        book.record(alert, "resolved", actor=by)
        return alert


def reopen(alert_id: UUID, by: User) -> Alert:
    """Undo a resolution. Raises Conflict other_open when the room has another open alert by now."""
    with _locked(alert_id) as (book, alert):
        if alert.state != Alert.State.RESOLVED:
            raise Conflict("not_resolved", alert)
        other = book.open_alert(alert.room) if alert.room else None
        if other is not None:
            raise Conflict("other_open", other)
        alert.state = Alert.State.OPEN
        alert.resolved_at = alert.resolved_by = alert.acknowledged_at = alert.acknowledged_by = None
        alert.resolved_kind = ""
        alert.ladder_from, alert.repeats_done = book.now, 0
        if alert.room is not None:
            _wait_again(alert, alert.room)
            book.changed_room(alert.room)
        book.record(alert, "reopened", actor=by)
        return alert


def _wait_again(alert: Alert, room: Room) -> None:
    """Whoever waited when it was resolved, or began to since, waits, unless they were answered meanwhile."""
    waits = [at for at in (alert.customer_waiting_since, room.customer_waiting_since) if at is not None]
    if room.answered_at is not None:
        waits = [at for at in waits if at > room.answered_at]
    room.customer_waiting_since = alert.customer_waiting_since = min(waits, default=None)


def snooze(alert_id: UUID, by: User, until: datetime) -> Alert:
    """Repeats are held until `until` (in the future, at most 24 h off); worsening breaks it. Raises Invalid."""
    with _locked(alert_id) as (book, alert):
        _refuse_resolved(alert)
        if not book.now < until <= book.now + SNOOZE_AT_MOST:
            raise Invalid("until", _("Choose a time in the next 24 hours."))
        alert.snoozed_until = until
        book.record(alert, "snoozed", actor=by, detail={"until": until.isoformat()})
        return alert


def assign(alert_id: UUID, by: User | None, to: User) -> Alert:
    """Give it to somebody who may see it (`by` None: a machine did). Raises Invalid for anybody else."""
    with _locked(alert_id) as (book, alert):
        _refuse_resolved(alert)
        orgs = visible_orgs(to)
        if orgs is not None and alert.org_id not in orgs:
            raise Invalid("sso_id", _("This person does not back up the agents of this org."))
        if alert.assigned_to_id != to.pk:
            alert.assigned_to = to
            book.record(alert, "assigned", actor=by, detail={"sso_id": to.sso_id, "name": str(to)})
        return alert


def verdict(alert_id: UUID, by: User, verdict: str, note: str = "") -> Alert:
    """A supervisor's word: `confirmed` or `false_alarm`; a later one replaces it. Raises Invalid."""
    with _locked(alert_id) as (book, alert):
        if verdict not in Alert.Verdict.values:
            raise Invalid("verdict", _("Choose confirmed or false_alarm."))
        if (alert.verdict, alert.verdict_note) != (verdict, note):
            alert.verdict, alert.verdict_by, alert.verdict_note = verdict, by, note
            book.record(alert, "verdict", actor=by, detail={"to": verdict, "note": note})
        return alert


def open_room(alert_id: UUID, by: User) -> Alert:
    """The drill-in: this person enters the room now. Recorded as room activity `human_opened`."""
    with _locked(alert_id) as (book, alert):
        activity_id = f"drill-in:{new_id()}"
        activity = RoomActivity(
            org_id=alert.org_id,
            activity_id=activity_id,
            payload_hash=hashlib.sha256(activity_id.encode()).digest(),
            room=alert.room,
            kind=RoomActivity.Kind.HUMAN_OPENED,
            actor=by,
            at=book.now,
            received_at=book.now,
        )
        activity.save(force_insert=True)
        react(book, activity)
        return alert
