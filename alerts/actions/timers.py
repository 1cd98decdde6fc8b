"""What time alone does to alerts. Every timer is a due time in its row: Redis down stops no clock."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from alerts.actions.activity import end
from alerts.actions.book import Book, worsen
from alerts.decide import CRITICAL, INFO, Timer, due_timer, repeats_passed
from alerts.faults import PASSING, contained, report
from alerts.models import Alert, Room
from orgs import clock

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 60))  # of an alert whose timers fail, in a row


def sweep_timers(limit: int = 200) -> int:
    """Work the alerts whose time has come, oldest first; returns how many. Rooms locked by others wait their turn.

    All together; if that fails each alone, so that a broken alert holds up nobody. Raises what PASSING names.
    """
    now = clock.now()
    due = Alert.objects.filter(due_at__lte=now, room__isnull=False).exclude(state=Alert.State.RESOLVED)
    rooms = list(due.order_by("due_at").values_list("room_id", flat=True)[:limit])
    with contained("timers_one_by_one", alerts=len(rooms)):  # which alert it was shows when each is worked alone
        return _sweep(rooms, now) if rooms else 0
    return sum(_sweep_alone(room, now) for room in rooms)


@transaction.atomic
def _sweep(rooms: Sequence[int], now: datetime) -> int:
    book = Book(now)
    book.lock_rooms(rooms, skip_locked=True)
    due = [alert for alert in book.alerts.values() if alert.due_at is not None and alert.due_at <= now]
    for alert in due:
        assert alert.room is not None
        alert.timer_failures, alert.due_at = 0, None  # the book sets the next
        while timer := due_timer(alert.facts, alert.room.facts, now):
            TIMERS[timer](book, alert, alert.room)
    book.close()
    return len(due)


def _sweep_alone(room: int, now: datetime) -> int:
    """One that fails is tried again after a pause that grows; until its timers work it is counted as broken."""
    try:
        return _sweep([room], now)
    except PASSING:
        raise
    except Exception as error:  # noqa: BLE001 - it is put off, logged and shown; the other alerts go on
        broken = Alert.objects.filter(room=room, due_at__lte=now).exclude(state=Alert.State.RESOLVED)
        for pk, org_id, failures in broken.values_list("pk", "org_id", "timer_failures"):
            pause = PAUSES[min(failures, len(PAUSES) - 1)]
            Alert.objects.filter(pk=pk).update(timer_failures=min(failures + 1, 1000), due_at=now + pause)
            report("timer_failed", error, alert=str(pk), org=org_id, failures=failures + 1)
    return 0


def _expired(book: Book, alert: Alert, room: Room) -> None:
    """Somebody acknowledged it, or was assigned, and did not come or write: it is open again, and people are told."""
    gone = alert.intervened_by if alert.state == Alert.State.INTERVENED else alert.acknowledged_by
    detail = {"name": str(gone), "sso_id": gone.sso_id} if gone else {}
    if alert.state == Alert.State.INTERVENED:
        _leave(alert, room, book.now)
    alert.state = Alert.State.OPEN
    alert.acknowledged_at = alert.acknowledged_by = alert.acknowledge_expires_at = alert.assigned_to = None
    notify = alert.severity != INFO and not alert.is_snoozed(book.now) and not room.facts.recovered
    book.expire(alert, notify, detail=detail)


def _handed_off(book: Book, alert: Alert, room: Room) -> None:
    """The room was handed off 3 min ago, and no human wrote: critical, even if somebody was assigned."""
    detail = {"from": alert.severity, "to": CRITICAL, "cause": "handed_off"}
    worsen(alert, CRITICAL, book.now)
    if alert.state == Alert.State.INTERVENED:
        alert.state = Alert.State.OPEN
        _leave(alert, room, book.now)
    book.record(alert, "worsened", "worsened", detail=detail, notify=True)


def _leave(alert: Alert, room: Room, now: datetime) -> None:
    alert.intervened_at = alert.intervened_by = None
    room.human = room.human_since = None
    room.left_at = now


def _repeat(book: Book, alert: Alert, room: Room) -> None:
    alert.repeats_done = repeats_passed(alert.facts, book.now)
    book.record(alert, "repeated", "repeat_due", notify=True)


def _quiet(book: Book, alert: Alert, room: Room) -> None:
    """Nobody waits and nothing happened. A failure of just now that is still on its way arms it again."""
    end(alert, Alert.By.QUIET, book.now)
    book.record(alert, "resolved", "quiet")


def _abandoned(book: Book, alert: Alert, room: Room) -> None:
    """A customer waited for a day and nobody came: closed, and counted as unresolved."""
    end(alert, Alert.By.ABANDONED, book.now)
    room.customer_waiting_since = room.handed_off_at = None
    book.record(alert, "abandoned", "abandoned")


TIMERS: dict[Timer, Callable[[Book, Alert, Room], None]] = {
    "expired": _expired,
    "handed_off": _handed_off,
    "repeat": _repeat,
    "quiet": _quiet,
    "abandoned": _abandoned,
}
