"""What a person's act replaced, kept in the alert for 10 min, so that its undo leaves all as if it had not been.

`Alert.undoable` holds the acts, oldest first: [{"act", "by" (user pk, null: a machine), "at", "alert": {field:
[before, after]}, "room": {field: before}}], times as RFC 3339. An undo gives back what its act changed and nothing
changed since, and uses the act up. Everything here happens under the room's lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model

from alerts.actions.activity import react
from alerts.actions.book import ALERT_FIELDS, BOOKKEEPING, ROOM_FIELDS, Book
from alerts.actions.conversation import read_anew
from alerts.actions.stored import stored
from alerts.actions.tiers import clock_stands_at, resume_tier_clock
from alerts.models import Alert, Room, RoomActivity
from orgs.models import User

UNDO_WITHIN = timedelta(minutes=10)
ACTS_KEPT = 20
HOLD = {"state", "acknowledged_at", "acknowledged_by_id", "acknowledge_expires_at"}  # given back together
HELD_BY = ("acknowledge", "take", "assign")  # what a release lets go of
WAYS_IN = (RoomActivity.Kind.HUMAN_OPENED, RoomActivity.Kind.HUMAN_MESSAGE, RoomActivity.Kind.ASSIGNED)
SETTLING = (RoomActivity.Kind.RESOLVED, RoomActivity.Kind.RETURNED_TO_AGENT)
UndoableAct = dict[str, Any]


@contextmanager
def undoable(book: Book, alert: Alert, act: str, by: User | None) -> Iterator[None]:
    """Keep what is changed in the alert and its room within this block, as `act` of `by`."""
    fields = [name for name in ALERT_FIELDS if name not in BOOKKEEPING]
    before, room_before = _values(alert, fields), _values(alert.room, ROOM_FIELDS)
    yield
    after, room_after = _values(alert, fields), _values(alert.room, ROOM_FIELDS)
    changed = {name: [was, after[name]] for name, was in before.items() if was != after[name]}
    if changed:
        room = {name: was for name, was in room_before.items() if was != room_after[name]}
        kept = {"act": act, "by": by and by.pk, "at": book.now.isoformat(), "alert": changed, "room": room}
        recent = [one for one in alert.undoable if acted_at(one) > book.now - UNDO_WITHIN]
        alert.undoable = [*recent, kept][-ACTS_KEPT:]


def _values(row: Model | None, fields: list[str]) -> dict[str, Any]:
    return {name: _plain(getattr(row, name)) for name in fields} if row is not None else {}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def acted_at(kept: UndoableAct) -> datetime:
    return datetime.fromisoformat(kept["at"])


def undoable_by(alert: Alert, by: User, now: datetime, acts: tuple[str, ...] = ()) -> UndoableAct | None:
    """The newest of the `acts` (none named: of all that are theirs), if it is of `by` and at most 10 min old."""
    for kept in reversed(alert.undoable):
        if kept["act"] in acts or (not acts and kept["by"] == by.pk):
            return kept if kept["by"] == by.pk and now - acted_at(kept) <= UNDO_WITHIN else None
    return None


def mark_of(alert: Alert, by: User) -> str:
    """What tells the newest act of this person from their others; empty: none is kept. An act that changed nothing
    leaves it as it was.
    """
    return next((str(one["at"]) for one in reversed(alert.undoable) if one["by"] == by.pk), "")


def marked(alert: Alert, by: User, now: datetime, mark: str) -> UndoableAct | None:
    """The act of this person with this mark, if it is at most 10 min old."""
    kept = next((one for one in alert.undoable if one["by"] == by.pk and one["at"] == mark), None)
    return kept if kept and now - acted_at(kept) <= UNDO_WITHIN else None


def standing_resolution(alert: Alert) -> UndoableAct | None:
    """The act that resolved this alert, if a person did."""
    kept = next((one for one in reversed(alert.undoable) if one["act"] == "resolve"), None)
    return kept if kept and kept["alert"]["resolved_at"][1] == _plain(alert.resolved_at) else None


def take_back(alert: Alert, kept: UndoableAct, now: datetime) -> bool:
    """Undo `kept`, which is used up then; whether that gave anything back, now or when a later act is undone.

    A field that a later act changed once more is that act's to give back: to what was before both.
    """
    place = alert.undoable.index(kept)
    later = alert.undoable[place + 1 :]
    alert.undoable = [*alert.undoable[:place], *later]
    given, left_to_later = _hold_before(alert, kept), False
    for name, (was, left) in kept["alert"].items():
        if name in HOLD:
            continue
        heir = next((one["alert"][name] for one in later if name in one["alert"]), None)
        if heir is not None and heir[0] == left:
            heir[0], left_to_later = was, True
        elif _plain(getattr(alert, name)) == left:
            given[name] = was
    stood_at = clock_stands_at(alert, now)
    _give(alert, given)
    if "snoozed_until" in given and "tier_from" not in given and kept["act"] != "resolve":
        resume_tier_clock(alert, stood_at, now)  # something else has moved it since
    if alert.room is not None:
        _give(alert.room, kept["room"])
    return bool(given) or left_to_later


def _hold_before(alert: Alert, kept: UndoableAct) -> dict[str, Any]:
    """Who had it before. Who entered the room since has acknowledged it as well, and still does."""
    before = {name: was for name, (was, _) in kept["alert"].items() if name in HOLD}
    if kept["act"] == "resolve" or not before:
        return before
    if _plain(alert.acknowledged_at) != kept["alert"]["acknowledged_at"][1]:
        return {}
    came = stored().activities_heard(alert.room_id, acted_at(kept), WAYS_IN) if alert.room_id else []
    counts = (one for one in came if one.source_id is None or one.at >= alert.first_failure_at)
    first = next(counts, None)
    if first is not None and first.kind == RoomActivity.Kind.HUMAN_OPENED:
        return {"acknowledged_at": _plain(first.at), "acknowledged_by_id": first.actor_id}
    if alert.state != Alert.State.ACKNOWLEDGED:
        return {name: before[name] for name in ("acknowledged_at", "acknowledged_by_id")}
    return before


def _give(row: Alert | Room, values: dict[str, Any]) -> None:
    """Set these fields; somebody who is no longer known is nobody."""
    fields = {field.attname: field for field in row._meta.concrete_fields if field.attname in values}
    people = {values[name] for name, field in fields.items() if field.related_model is User}
    known = stored().known_people(people - {None})
    for name, field in fields.items():
        gone = field.related_model is User and values[name] not in known
        setattr(row, name, None if gone else field.to_python(values[name]))


def catch_up(book: Book, alert: Alert, since: datetime) -> None:
    """Let what happened in the room while the alert was resolved act on it after all."""
    assert alert.room is not None
    book.alerts[alert.room.pk] = alert
    kinds = [kind for kind in RoomActivity.Kind.values if kind not in SETTLING]
    happened = [one for one in stored().activities_heard(alert.room.pk, since, kinds) if not one.undelivered]
    if happened:  # while it was resolved nobody waited, so each of them meant something else
        read_anew(book, alert.room, happened)
    now = book.now
    for activity in happened:
        book.as_of(activity.received_at)  # clocks that it started have run since
        react(book, activity, alert.room)
    book.as_of(now)


def lost_telling(book: Book, alert: Alert, since: datetime, *, was_open: bool = False, over: bool = False) -> str:
    """Why people were to be told of what is open again, if acts since then cancelled it, or it was in somebody's hands
    when a silence ended; empty: nobody missed it. Where it was not open meanwhile its clocks stood while one lasted;
    `over`: it was resolved.
    """
    if alert.state != Alert.State.OPEN:
        return ""
    after_silence = "" if was_open else book.silenced.made_up_for(alert, since, over=over)
    if alert.is_snoozed(book.now):
        return ""
    recovered = alert.room is not None and alert.room.recovered
    return stored().cancelled_reason(alert, since) or ("" if recovered else after_silence)
