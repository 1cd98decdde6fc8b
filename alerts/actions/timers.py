"""What time alone does to alerts. Every timer is a due time in its row: Redis down stops no clock."""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from alerts.actions.activity import end
from alerts.actions.book import Book, alert_facts, room_facts, worsen
from alerts.decide import CRITICAL, INFO, Timer, due_timer, repeats_passed
from alerts.models import Alert, Room
from orgs import clock


def sweep_timers(limit: int = 200) -> int:
    """Work the alerts whose time has come, oldest first; returns how many. Rooms locked by others wait their turn."""
    with transaction.atomic():
        now = clock.now()
        rooms = Alert.objects.filter(due_at__lte=now).order_by("due_at").values_list("room_id", flat=True)[:limit]
        book = Book(now)
        book.lock_rooms([pk for pk in rooms if pk is not None], skip_locked=True)
        due = [alert for alert in book.alerts.values() if alert.due_at is not None and alert.due_at <= now]
        for alert in due:
            _work(book, alert)
        book.close()
        return len(due)


def _work(book: Book, alert: Alert) -> None:
    room = alert.room
    assert room is not None
    book.changed_room(room)
    while timer := due_timer(alert_facts(alert), room_facts(room), book.now):
        TIMERS[timer](book, alert, room)


def _expired(book: Book, alert: Alert, room: Room) -> None:
    """Whoever acknowledged it, or was assigned, did not come or write: it is open again, and people are told."""
    gone = alert.intervened_by if alert.state == Alert.State.INTERVENED else alert.acknowledged_by
    detail = {"name": str(gone) if gone else ""}
    if alert.state == Alert.State.INTERVENED:
        _leave(alert, room, book.now)
    alert.state = Alert.State.OPEN
    alert.acknowledged_at = alert.acknowledged_by = alert.acknowledge_expires_at = alert.assigned_to = None
    snoozed = alert.snoozed_until is not None and alert.snoozed_until > book.now
    notify = alert.severity != INFO and not snoozed and not room_facts(room).recovered
    if notify:
        alert.repeats_done = repeats_passed(alert_facts(alert), book.now)
    book.record(alert, "expired", "repeat_due" if notify else "", detail=detail, notify=notify)


def _handed_off(book: Book, alert: Alert, room: Room) -> None:
    """Handed off 3 min ago, and no human wrote: critical, whoever was assigned."""
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
    alert.repeats_done = repeats_passed(alert_facts(alert), book.now)
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
