"""The reply window of a room whose customer waits: when it is about to close people are told, once an episode."""

from datetime import datetime
from typing import TYPE_CHECKING

from alerts.decide import CRITICAL, INFO, WARNING
from alerts.limits import minutes_long
from alerts.models import Alert, Room
from alerts.policy import PolicyFacts
from alerts.window import window_ends

if TYPE_CHECKING:
    from alerts.actions.book import Book

ONE_WORSE = {INFO: WARNING, WARNING: CRITICAL, CRITICAL: CRITICAL}
RESOLVED = Alert.State.RESOLVED


def follow_window(alert: Alert, policy: PolicyFacts, now: datetime) -> None:
    """The alert of a locked room says until when its customer may be answered freely, while they wait."""
    ends, room = None, alert.room
    if room is None:
        return
    if alert.state != RESOLVED and alert.customer_waiting_since is not None:
        ends = window_ends(room.channel, room.customer_last_at, policy.reply_window_hours)
    if ends is None or (alert.window_over_at is not None and ends > now):
        alert.window_over_at = None
    alert.window_ends_at = ends
    told = ends is None or alert.window_told == alert.episode
    alert.window_closing_at = None if told or ends is None else ends - minutes_long(60 * policy.window_closing_hours)


def tell_window_closing(book: "Book", alert: Alert, room: Room) -> None:
    """Soon only templates reach the customer: one step worse, and people are told, of what somebody has only they."""
    alert.window_told, alert.window_closing_at = alert.episode, None
    if alert.window_ends_at is None or alert.window_ends_at <= book.now:
        return
    detail = {"from": alert.severity, "to": ONE_WORSE[alert.severity], "until": alert.window_ends_at.isoformat()}
    book.worsen(alert, detail["to"])
    holder = alert.assigned_to_id or alert.acknowledged_by_id if alert.state == Alert.State.ACKNOWLEDGED else None
    book.record(alert, "worsened", "window_closing", detail=detail, notify=True, holder=holder)


def note_window_over(book: "Book", alert: Alert, room: Room) -> None:
    """Nobody answered in time: from now on only templates reach the customer."""
    alert.window_over_at = alert.window_ends_at
    book.record(alert, "window_over")
