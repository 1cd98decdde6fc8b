"""What an act on an outage does with its rooms: they are taken with it, and given back with its undo."""

from dataclasses import dataclass, field
from uuid import UUID

from alerts.actions.book import Book
from alerts.actions.outages import is_under
from alerts.actions.stored import stored
from alerts.actions.tiers import start_tier_clock
from alerts.actions.undo import UndoableAct, acted_at, lost_telling, take_back, undoable
from alerts.due import acknowledge_lasts
from alerts.models import Alert
from orgs.models import User


@dataclass(frozen=True, slots=True)
class TakenAlert:
    """An alert that was taken; of an outage with the rooms that were taken with it, and those that were not."""

    alert: Alert
    rooms_done: list[UUID] = field(default_factory=list)  # alerts
    rooms_refused: list[tuple[UUID, str]] = field(default_factory=list)  # alert, code


def rooms_to_lock(outage: Alert) -> set[int]:
    """Of an outage: the rooms under it, and those that acts on it took, as pks of rooms."""
    if not outage.is_outage:
        return set()
    taken = [pk for kept in outage.undoable for pk in kept.get("rooms", [])]
    return {room for _, room in stored().rooms_under(outage)} | stored().rooms_of(UUID(pk) for pk in taken)


def hold_alert(book: Book, alert: Alert, by: User) -> None:
    """This person has it, until they come or it expires."""
    alert.state = Alert.State.ACKNOWLEDGED
    alert.acknowledged_at, alert.acknowledged_by = book.now, by
    alert.acknowledge_expires_at = book.now + acknowledge_lasts(alert.severity, book.policy_of(alert))


def take_under(book: Book, alert: Alert, outage: Alert, by: User) -> None:
    """This person takes a room that is under the outage with it."""
    with undoable(book, alert, "take", by):
        hold_alert(book, alert, by)
        alert.assigned_to = by
    book.record(alert, "acknowledged", actor=by, detail={"assigned": True, "outage": str(outage.pk)})


def give_rooms_back(book: Book, kept: UndoableAct, by: User) -> None:
    """The act on an outage that took these rooms is undone: so it is in each of them, as far as it still stands."""
    for alert in [one for one in book.alerts.values() if str(one.pk) in kept.get("rooms", [])]:
        was_open = alert.state == Alert.State.OPEN
        theirs = [one for one in alert.undoable if (one["act"], one["by"], one["at"]) == ("take", by.pk, kept["at"])]
        if theirs and alert.state != Alert.State.RESOLVED and take_back(alert, theirs[0], book.now):
            missed = lost_telling(book, alert, acted_at(kept), was_open=was_open)
            book.record(alert, "released", missed, actor=by, detail={"undo": True}, notify=bool(missed))


def give_back_of_ended(book: Book, outage: Alert, kept: UndoableAct | None, by: User) -> bool:
    """The outage ended meanwhile. What its taking took is given back all the same, and told as what was released with
    it; whether there was any.
    """
    if outage.state != Alert.State.RESOLVED or kept is None or not kept.get("rooms"):
        return False
    outage.undoable = [one for one in outage.undoable if one is not kept]
    give_rooms_back(book, kept, by)
    for alert in book.alerts.values():
        if outage.released_at is not None and str(alert.pk) in kept["rooms"] and is_under(alert, outage):
            release_room(book, alert)
    book.touch(outage)
    return True


def release_room(book: Book, alert: Alert) -> None:
    """It is under no outage any more: who still waits is named in a digest, and its own rules count again."""
    alert.held_until, alert.ladder_from, alert.repeats_done = None, book.now, 0
    start_tier_clock(alert, book.now, book.known)
    waits = not alert.is_snoozed(book.now) and not (alert.room and alert.room.recovered)
    book.record(alert, "released_hold", "outage_ended", digest=waits)


def other_outage(alert: Alert) -> Alert | None:
    """Of an outage: the one of the same agent, or source, that is open by now."""
    found = stored().open_outages([(alert.org_id, alert.agent_id or 0)]) if alert.is_outage else []
    same = [one for one in found if (one.agent_id, one.source_id) == (alert.agent_id, alert.source_id)]
    return next(iter(same), None)
