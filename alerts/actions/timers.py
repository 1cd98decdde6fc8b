"""What time alone does to alerts. Every timer is a due time in its row: Redis down stops no clock."""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from alerts.actions.activity import end
from alerts.actions.book import Book, alert_facts, room_facts
from alerts.decide import CRITICAL, INFO, Timer, next_timer, repeats_passed
from alerts.models import Alert, Room
from orgs import clock


def sweep_timers(limit: int = 200) -> int:
    """Work the alerts whose time has come, oldest first; returns how many. Rooms locked by others wait their turn."""
    with transaction.atomic():
        now = clock.now()
        rooms = (
            Alert.objects.filter(due_at__lte=now).order_by("due_at").values_list("room_id", flat=True)[:limit]
        )
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
    while timer := _due(alert, room, book.now):
        TIMERS[timer](book, alert, room)


def _due(alert: Alert, room: Room, now: datetime) -> Timer | None:
    timer = next_timer(alert_facts(alert), room_facts(room))
    return timer[1] if timer and timer[0] <= now else None


def _expired(book: Book, alert: Alert, room: Room) -> None:
    """Whoever acknowledged it did not come: it is open again, and people are told."""
    detail = {"name": str(alert.acknowledged_by) if alert.acknowledged_by else ""}
    alert.state = Alert.State.OPEN
    alert.acknowledged_at = alert.acknowledged_by = alert.acknowledge_expires_at = alert.assigned_to = None
    snoozed = alert.snoozed_until is not None and alert.snoozed_until > book.now
    notify = alert.severity != INFO and not snoozed
    if notify:
        alert.repeats_done = repeats_passed(alert_facts(alert), book.now)
    book.record(alert, "expired", "repeat_due" if notify else "", detail=detail, notify=notify)


def _handed_off(book: Book, alert: Alert, room: Room) -> None:
    """Handed off 3 min ago, and no human wrote: critical, whoever was assigned."""
    detail = {"from": alert.severity, "to": CRITICAL, "cause": "handed_off"}
    alert.severity = CRITICAL
    alert.ladder_from, alert.repeats_done = book.now, 0
    alert.snoozed_until = None
    if alert.state == Alert.State.INTERVENED:
        alert.state = Alert.State.OPEN
        alert.intervened_at = alert.intervened_by = None
        room.human = room.human_since = None
    book.record(alert, "worsened", "worsened", detail=detail, notify=True)


def _repeat(book: Book, alert: Alert, room: Room) -> None:
    alert.repeats_done = repeats_passed(alert_facts(alert), book.now)
    book.record(alert, "repeated", "repeat_due", notify=True)


def _quiet(book: Book, alert: Alert, room: Room) -> None:
    end(alert, Alert.By.QUIET, book.now)
    room.settled_at = book.now
    book.record(alert, "resolved", "quiet")


def _abandoned(book: Book, alert: Alert, room: Room) -> None:
    """A customer waited for a day and nobody came: closed, and counted as unresolved."""
    end(alert, Alert.By.ABANDONED, book.now)
    room.settled_at = book.now
    room.customer_waiting_since = room.handed_off_at = None
    book.record(alert, "abandoned", "abandoned")


TIMERS: dict[Timer, Callable[[Book, Alert, Room], None]] = {
    "expired": _expired,
    "handed_off": _handed_off,
    "repeat": _repeat,
    "quiet": _quiet,
    "abandoned": _abandoned,
}
