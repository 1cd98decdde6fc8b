"""A message that never reached the customer: what it did is undone, as far as nothing else did the same."""

from collections.abc import Sequence

from alerts.actions.book import Book
from alerts.actions.conversation import show_wait, unsay
from alerts.decide import INFO, PRESENCE, acknowledge_lasts
from alerts.models import Alert, Room, RoomActivity

HOLDS = (RoomActivity.Kind.HUMAN_MESSAGE, RoomActivity.Kind.ASSIGNED)
ACTS = (RoomActivity.Kind.HUMAN_OPENED, *HOLDS)


def undo_message(book: Book, activity: RoomActivity, told: Sequence[RoomActivity]) -> None:
    """The wait goes on; if it was a human's and no other came, so does the alarm. `told`: not stored yet."""
    room = activity.room
    unsay(book, activity)
    alert = book.open_alert(room)
    show_wait(book, room, alert)
    if alert is None or activity.kind != RoomActivity.Kind.HUMAN_MESSAGE:
        return
    acts = _acts(room, alert, told)
    first = max(acts[0].at, alert.first_failure_at) if acts else None  # for the time to intervene
    if alert.human_acted_at != first:
        alert.human_acted_at = first
        book.touch(alert)
    if alert.state == Alert.State.INTERVENED:
        holding = [act for act in acts if act.kind in HOLDS]
        if holding:
            alert.intervened_at, alert.intervened_by = holding[0].at, holding[0].actor
        else:
            _open_again(book, alert, activity)


def _acts(room: Room, alert: Alert, told: Sequence[RoomActivity]) -> list[RoomActivity]:
    """What else humans did in the room in this episode, or just before it, oldest first."""
    begin = alert.first_failure_at - PRESENCE
    begin = max(begin, room.settled_at or begin)
    stored = RoomActivity.objects.filter(room=room, kind__in=ACTS, undelivered=False, at__gt=begin)
    new = [
        act for act in told if act.room_id == room.pk and act.kind in ACTS and not act.undelivered and act.at > begin
    ]
    return sorted([*stored.select_related("actor").order_by("at", "id"), *new], key=lambda act: act.at)


def _open_again(book: Book, alert: Alert, activity: RoomActivity) -> None:
    """Nobody reached the customer: people are told, unless somebody still has it on an acknowledge."""
    alert.intervened_at = alert.intervened_by = None
    until = alert.acknowledged_at + acknowledge_lasts(alert.severity) if alert.acknowledged_at else book.now
    notify = False
    if until > book.now:
        alert.state, alert.acknowledge_expires_at = Alert.State.ACKNOWLEDGED, until
    else:
        alert.state = Alert.State.OPEN
        alert.acknowledged_at = alert.acknowledged_by = None
        notify = alert.severity != INFO and not alert.is_snoozed(book.now)
    book.expire(alert, notify, actor=activity.actor, detail={"cause": "undelivered"})
