"""What was said in a room: who holds it, and since when its customer waits.

Several sources tell of one room, in any order. A moment that comes in its turn changes the room by one step. After one
that comes late, or is taken back, the room is read anew, by the same steps, from where it was last settled.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from alerts.actions.book import Book, Moment
from alerts.decide import RETURN_AFTER, EventFacts, human_present, waiting_since
from alerts.models import Alert, FailureEvent, Room, RoomActivity
from alerts.rows import EventRow
from orgs.signals.unexpected_handoff import UNEXPECTED_HANDOFF

FAILED = "failed"
NO_MOMENTS = ("late", "above_threshold")  # reasons of failure events that change no room
READ_BACK = timedelta(hours=24)  # of a room that nobody ever settled
READ_AT_MOST = 300  # moments, the newest

Kind = RoomActivity.Kind


def of_event(event: FailureEvent | EventRow) -> Moment:
    """The moment the agent failed."""
    facts = EventFacts(event.signal, event.occurred_at, customer_waiting_since=event.customer_waiting_since)
    handoff = event.signal == UNEXPECTED_HANDOFF.name
    return Moment(event.occurred_at, FAILED, event.event_id, event.received_at, None, waiting_since(facts), handoff)


def of_activity(activity: RoomActivity) -> Moment:
    """The moment somebody wrote or was assigned."""
    return Moment(activity.at, activity.kind, _key(activity), activity.received_at, activity.actor_id)


def _key(activity: RoomActivity) -> str:
    return f"{activity.source_id} {activity.activity_id}"


# --- one by one ------------------------------------------------------------------------------------------------------


def hear_moment(book: Book, room: Room, moment: Moment) -> None:
    """Let one moment change its locked room. What is older than its last resolution or return is over."""
    if room.settled_at is not None and moment.at < room.settled_at:
        return
    book.moments.setdefault(room.pk, []).append(moment)
    if room.heard_at is not None and moment.at < room.heard_at:
        read_anew(book, room)
    else:
        _step(room, moment)


def settle(room: Room, state: str, at: datetime) -> None:
    """The room was resolved or given back at `at`: no human holds it; a handoff that came later still runs."""
    room.settled_at = max(at, room.settled_at or at)
    room.human = room.human_since = None
    if room.handed_off_at is None or room.handed_off_at <= at:
        room.handed_off_at = None
        room.state = state


def hear_settled(book: Book, room: Room, state: str, at: datetime) -> None:
    """The chat product says that the room was resolved or given back: nobody waits since before that."""
    if room.settled_at is not None and at < room.settled_at:
        return
    settle(room, state, at)
    if room.heard_at is not None and at < room.heard_at:
        room.state = state
        read_anew(book, room)
    else:
        room.customer_waiting_since, room.heard_at = None, at


def unsay(book: Book, activity: RoomActivity) -> None:
    """The message never reached the customer: the room is as if it had not been written."""
    room = activity.room
    told = book.moments.get(room.pk, [])
    book.moments[room.pk] = [one for one in told if one.kind == FAILED or one.key != _key(activity)]
    if room.settled_at is None or activity.at >= room.settled_at:
        read_anew(book, room)


def show_wait(book: Book, room: Room, alert: Alert | None) -> None:
    """The alert says since when the room's customer waits."""
    if alert is not None and alert.customer_waiting_since != room.customer_waiting_since:
        alert.customer_waiting_since = room.customer_waiting_since
        book.touch(alert)


def _step(room: Room, moment: Moment) -> None:
    STEPS[moment.kind](room, moment)
    room.heard_at = max(moment.at, room.heard_at or moment.at)


def _customer(room: Room, moment: Moment) -> None:
    """The customer wrote and waits."""
    room.customer_last_at = moment.at
    if moment.at in (room.answered_at, room.settled_at):
        return
    if room.state == Room.State.RESOLVED:
        room.state = Room.State.BOT
    room.customer_waiting_since = min(moment.at, room.customer_waiting_since or moment.at)


def _failed(room: Room, moment: Moment) -> None:
    room.failed_at = moment.at
    if moment.waits_since is not None:
        room.stranded_at = moment.at
        room.customer_waiting_since = min(moment.waits_since, room.customer_waiting_since or moment.waits_since)
    if moment.handoff and not human_present(room.facts, moment.received_at):
        room.state = Room.State.HANDED_OFF
        room.handed_off_at = room.handed_off_at or moment.at
    elif room.state == Room.State.RESOLVED:
        room.state = Room.State.BOT


def _bot(room: Room, moment: Moment) -> None:
    """The bot wrote. "One moment, I connect you" and a second voice beside a human's answer nobody, nor does a default
    answer after a failure: the bot answers again once the customer wrote after it, and it wrote back without failing.
    """
    if room.handed_off_at is not None:
        return
    if room.human_since is not None:
        if moment.at < (room.human_last_at or room.human_since) + RETURN_AFTER:
            return
        room.human, room.human_since, room.state, room.returned_at = None, None, Room.State.BOT, moment.at
    if _is_stranded(room):
        if room.customer_last_at is None or room.failed_at is None or room.customer_last_at <= room.failed_at:
            return
        room.recovered_at = moment.at
    _answer(room, moment)


def _is_stranded(room: Room) -> bool:
    """A failure left the customer without an answer, and nobody gave one since."""
    if room.customer_waiting_since is None or room.stranded_at is None:
        return False
    return room.answered_at is None or room.stranded_at >= room.answered_at


def _answer(room: Room, moment: Moment) -> None:
    room.answered_at, room.customer_waiting_since = moment.at, None


def _human_wrote(room: Room, moment: Moment) -> None:
    _answer(room, moment)
    room.handed_off_at = None
    _hold(room, moment)


def _assigned(room: Room, moment: Moment) -> None:
    """A human has the room. Somebody who did not come in time does not hold it, even if a late report says so."""
    if room.left_at is None or moment.at > room.left_at:
        _hold(room, moment)


def _hold(room: Room, moment: Moment) -> None:
    if not human_present(room.facts, moment.at):
        room.human_since = moment.at
    room.state, room.human_last_at, room.human_id = Room.State.HUMAN, moment.at, moment.who


# In this order, where they happened at the same time.
STEPS: dict[str, Callable[[Room, Moment], None]] = {
    Kind.CUSTOMER_MESSAGE: _customer,
    FAILED: _failed,
    Kind.BOT_MESSAGE: _bot,
    Kind.ASSIGNED: _assigned,
    Kind.HUMAN_MESSAGE: _human_wrote,
}
ORDER = list(STEPS)
LAST_TIMES = (
    "answered_at", "human_last_at", "returned_at", "customer_last_at", "failed_at", "stranded_at", "recovered_at",
)  # fmt: skip


# --- anew ------------------------------------------------------------------------------------------------------------


def read_anew(book: Book, room: Room) -> None:
    """Take every step again in the order in which things happened, from the last time the room was settled."""
    if (begin := room.settled_at) is None:
        alert = book.open_alert(room)
        begin = min(book.now, alert.first_failure_at if alert else book.now) - READ_BACK
    moments = [moment for moment in _recalled(book, room, begin) if moment.at > begin]
    room.state = Room.State.RESOLVED if room.state == Room.State.RESOLVED else Room.State.BOT
    room.customer_waiting_since = room.handed_off_at = room.human = room.human_since = None
    for name in LAST_TIMES:
        if (at := getattr(room, name)) is not None and at > begin:
            setattr(room, name, None)
    for moment in sorted(moments, key=lambda one: (one.at, ORDER.index(one.kind)))[-READ_AT_MOST:]:
        _step(room, moment)


def _recalled(book: Book, room: Room, begin: datetime) -> list[Moment]:
    """What the database knows since `begin`, read once in a transaction, and what this transaction was told."""
    told = book.moments.setdefault(room.pk, [])
    if room.pk not in book.recalled:
        book.recalled.add(room.pk)
        activities = RoomActivity.objects.filter(room=room, kind__in=ORDER, undelivered=False, at__gt=begin)
        events = FailureEvent.objects.filter(room=room, occurred_at__gt=begin).exclude(reason__in=NO_MOMENTS)
        said = [of_activity(one) for one in activities.order_by("-at", "-id")[:READ_AT_MOST]]
        failed = [of_event(one) for one in events.order_by("-occurred_at", "-id")[:READ_AT_MOST]]
        told[:0] = [*reversed(said), *reversed(failed)]
    return told
