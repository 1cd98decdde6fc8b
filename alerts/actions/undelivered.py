"""A message that never reached the customer: what it did is undone, as far as nothing else did the same."""

from collections.abc import Sequence

from alerts.actions.book import Book
from alerts.actions.conversation import Activity, show_wait, unsay
from alerts.actions.stored import stored
from alerts.decide import INFO
from alerts.due import acknowledge_lasts
from alerts.models import Alert, Room, RoomActivity
from alerts.rows import ActivityRow

HOLDS = (RoomActivity.Kind.HUMAN_MESSAGE, RoomActivity.Kind.ASSIGNED)
ACTS = (RoomActivity.Kind.HUMAN_OPENED, *HOLDS)


def undo_message(book: Book, activity: Activity, room: Room, told: Sequence[ActivityRow]) -> None:
    """The wait goes on; if it was a human's and no other came, so does the alarm. `told`: not stored yet."""
    unsay(book, activity, room)
    alert = book.open_alert(room)
    show_wait(book, room, alert)
    if alert is None or activity.kind != RoomActivity.Kind.HUMAN_MESSAGE:
        return
    acts = _acts(book, room, alert, told)
    first = max(acts[0].at, alert.first_failure_at) if acts else None  # for the time to intervene
    if alert.human_acted_at != first:
        alert.human_acted_at = first
        book.touch(alert)
    if alert.state == Alert.State.INTERVENED:
        holding = [act for act in acts if act.kind in HOLDS]
        if holding:
            alert.intervened_at, alert.intervened_by_id = holding[0].at, holding[0].actor_id
        else:
            _open_again(book, alert, activity)


def _acts(book: Book, room: Room, alert: Alert, told: Sequence[ActivityRow]) -> list[Activity]:
    """What else humans did in the room in this episode, or just before it, oldest first."""
    begin = alert.first_failure_at - book.policy_in(room).presence
    begin = max(begin, room.settled_at or begin)
    new = [
        act for act in told if act.room_id == room.pk and act.kind in ACTS and not act.undelivered and act.at > begin
    ]
    return sorted([*stored().activities_since(room, ACTS, begin), *new], key=lambda act: act.at)


def _open_again(book: Book, alert: Alert, activity: Activity) -> None:
    """Nobody reached the customer: people are told, unless somebody still has it on an acknowledge."""
    alert.intervened_at = alert.intervened_by = None
    lasts = acknowledge_lasts(alert.severity, book.policy_of(alert))
    until = alert.acknowledged_at + lasts if alert.acknowledged_at else book.now
    notify = False
    if until > book.now:
        alert.state, alert.acknowledge_expires_at = Alert.State.ACKNOWLEDGED, until
    else:
        alert.state = Alert.State.OPEN
        alert.acknowledged_at = alert.acknowledged_by = None
        notify = alert.severity != INFO and not alert.is_snoozed(book.now)
    book.expire(alert, notify, actor=activity.actor_id, detail={"cause": "undelivered"})
