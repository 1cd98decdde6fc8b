"""What was said in a room: who holds it, and since when its customer waits.

Several sources tell of one room, in any order. A moment that comes in its turn changes the room by one step. After one
that comes late, or is taken back, the room is read anew, by the same steps, from where it was last settled.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from alerts.actions.book import Book, Moment
from alerts.actions.stored import READ_AT_MOST
from alerts.decide import LATE_AFTER, EventFacts, human_present, waiting_since
from alerts.holding import INSISTS_WITH
from alerts.models import Alert, FailureEvent, Room, RoomActivity
from alerts.policy import PolicyFacts
from alerts.rows import ActivityRow, EventRow
from orgs.signals.unexpected_handoff import UNEXPECTED_HANDOFF

FAILED, RAN = "failed", "ran"
SAME_RUN = "same_run"  # the reason of a failure event that tells of another one again
READ_BACK = timedelta(hours=24)  # of a room that nobody ever settled
MANY = 1000  # unanswered messages that are counted

Kind = RoomActivity.Kind
Activity = ActivityRow | RoomActivity  # as the lane stores it, or as it was stored


def of_event(event: FailureEvent | EventRow) -> Moment:
    """The moment the agent failed."""
    facts = EventFacts(event.signal, event.occurred_at, customer_waiting_since=event.customer_waiting_since)
    return Moment(
        event.occurred_at,
        FAILED,
        event.event_id,
        event.received_at,
        waits_since=waiting_since(facts),
        handoff=event.signal == UNEXPECTED_HANDOFF.name,
        failure=f"{event.run_id} {event.signal}" if event.run_id else "",
        again=event.reason == SAME_RUN,
    )


def of_activity(activity: Activity) -> Moment:
    """The moment somebody wrote or was assigned."""
    about = (activity.at, activity.kind, _key(activity), activity.received_at, activity.actor_id)
    return Moment(*about, asks=activity.asks)


def _key(activity: Activity) -> str:
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
        _step(book, room, moment)


def hear_again(book: Book, room: Room, first: Moment, second: Moment) -> None:
    """One failure was told twice: it happened at the earlier of both times, and so long the customer waits."""
    both = _both(first, second)
    if both == first or (room.settled_at is not None and both.at < room.settled_at):
        return
    book.moments.setdefault(room.pk, []).append(second)
    if room.heard_at is not None and both.at < room.heard_at:
        read_anew(book, room)
    else:
        _step(book, room, both)


def hear_run(book: Book, room: Room, moment: Moment) -> None:
    """A run of the room ended well; the room remembers the newest of those that counted."""
    if room.settled_at is not None and moment.at < room.settled_at:
        return
    if room.ran_at is None or moment.at > room.ran_at:
        room.ran_from, room.ran_at = moment.began, moment.at
    if room.heard_at is not None and moment.at < room.heard_at:
        read_anew(book, room)
    else:
        _step(book, room, moment)


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
        _nothing_unanswered(room)


def unsay(book: Book, activity: Activity, room: Room) -> None:
    """The message never reached the customer: the room is as if it had not been written."""
    _forget(book.moments.get(room.pk, []), [activity])
    if room.settled_at is None or activity.at >= room.settled_at:
        read_anew(book, room)


def show_wait(book: Book, room: Room, alert: Alert | None) -> None:
    """The alert says since when the room's customer waits."""
    if alert is not None and alert.customer_waiting_since != room.customer_waiting_since:
        alert.customer_waiting_since = room.customer_waiting_since
        book.touch(alert)


def _step(book: Book, room: Room, moment: Moment) -> None:
    STEPS[moment.kind](room, moment, book.policy_in(room))
    room.heard_at = max(moment.at, room.heard_at or moment.at)


def _customer(room: Room, moment: Moment, policy: PolicyFacts) -> None:
    """The customer wrote and waits."""
    room.customer_last_at = moment.at
    if moment.at in (room.answered_at, room.settled_at):
        return
    if room.state == Room.State.RESOLVED:
        room.state = Room.State.BOT
    room.customer_waiting_since = min(moment.at, room.customer_waiting_since or moment.at)
    room.unanswered_since = min(moment.at, room.unanswered_since or moment.at)
    room.unanswered = min(room.unanswered + 1, MANY)
    if room.insists_at is None and (moment.asks or room.unanswered >= INSISTS_WITH):
        room.insists_at = moment.at


def _nothing_unanswered(room: Room) -> None:
    room.unanswered_since = room.insists_at = None
    room.unanswered = 0


def _failed(room: Room, moment: Moment, policy: PolicyFacts) -> None:
    room.failed_at = moment.at
    if moment.waits_since is not None:
        room.stranded_at = moment.at
        room.customer_waiting_since = min(moment.waits_since, room.customer_waiting_since or moment.waits_since)
    if moment.handoff and not human_present(room.facts, policy, moment.received_at):
        room.state = Room.State.HANDED_OFF
        room.handed_off_at = room.handed_off_at or moment.at
    elif room.state == Room.State.RESOLVED:
        room.state = Room.State.BOT


def _bot(room: Room, moment: Moment, policy: PolicyFacts) -> None:
    """The bot wrote. "One moment, I connect you" and a second voice beside a human's answer nobody, nor does a default
    answer after a failure: the bot answers again once the customer wrote after it, and it wrote back without failing.
    """
    room.bot_last_at = moment.at
    if room.handed_off_at is not None:
        return
    if room.human_since is not None:
        if moment.unheard or moment.at < (room.human_last_at or room.human_since) + policy.return_after:
            return
        room.human, room.human_since, room.state, room.returned_at = None, None, Room.State.BOT, moment.at
    if _is_stranded(room):
        if room.customer_last_at is None or room.failed_at is None or room.customer_last_at <= room.failed_at:
            return
        room.recovered_at = moment.at
    _answer(room, moment)


def _ran(room: Room, moment: Moment, policy: PolicyFacts) -> None:
    """A run that began after the failure ended well: the bot answers again, unless a human is to come or is there."""
    if moment.began is None or room.handed_off_at is not None or room.human_since is not None:
        return
    if _is_stranded(room):
        if room.failed_at is None or moment.began < room.failed_at:
            return
        room.recovered_at = moment.at
    elif room.customer_waiting_since is None or moment.began < (room.customer_last_at or moment.began):
        return
    _answer(room, moment)


def _is_stranded(room: Room) -> bool:
    """A failure left the customer without an answer, and nobody gave one since."""
    if room.customer_waiting_since is None or room.stranded_at is None:
        return False
    return room.answered_at is None or room.stranded_at >= room.answered_at


def _answer(room: Room, moment: Moment) -> None:
    room.answered_at, room.customer_waiting_since = moment.at, None
    _nothing_unanswered(room)


def _human_wrote(room: Room, moment: Moment, policy: PolicyFacts) -> None:
    _answer(room, moment)
    room.handed_off_at = None
    _hold(room, moment, policy)


def _assigned(room: Room, moment: Moment, policy: PolicyFacts) -> None:
    """A human has the room. Somebody who did not come in time does not hold it, even if a late report says so."""
    if room.left_at is None or moment.at > room.left_at:
        _hold(room, moment, policy)


def _hold(room: Room, moment: Moment, policy: PolicyFacts) -> None:
    if not human_present(room.facts, policy, moment.at):
        room.human_since = moment.at
    room.state, room.human_last_at, room.human_id = Room.State.HUMAN, moment.at, moment.who


# In this order, where they happened at the same time.
STEPS: dict[str, Callable[[Room, Moment, PolicyFacts], None]] = {
    Kind.CUSTOMER_MESSAGE: _customer,
    FAILED: _failed,
    Kind.BOT_MESSAGE: _bot,
    RAN: _ran,
    Kind.ASSIGNED: _assigned,
    Kind.HUMAN_MESSAGE: _human_wrote,
}
ORDER = list(STEPS)
LAST_TIMES = (
    "answered_at", "human_last_at", "returned_at", "customer_last_at", "failed_at", "stranded_at", "recovered_at",
    "bot_last_at",
)  # fmt: skip


# --- anew ------------------------------------------------------------------------------------------------------------


def read_anew(book: Book, room: Room, before: Collection[Activity] = ()) -> None:
    """Take every step again in the order in which things happened, from the last time the room was settled.

    `before`: the room is as before these activities; each of them is heard once more.
    """
    if (begin := room.settled_at) is None:
        alert = book.open_alert(room)
        begin = min(book.now, alert.first_failure_at if alert else book.now) - READ_BACK
    told = _recalled(book, room, begin)
    _forget(told, before)
    moments = [moment for moment in _once(told) if moment.at > begin]
    if room.ran_at is not None and room.ran_at > begin:
        moments.append(Moment(room.ran_at, RAN, "", room.ran_at, began=room.ran_from))
    room.state = Room.State.RESOLVED if room.state == Room.State.RESOLVED else Room.State.BOT
    room.customer_waiting_since = room.handed_off_at = room.human = room.human_since = None
    _nothing_unanswered(room)
    for name in LAST_TIMES:
        if (at := getattr(room, name)) is not None and at > begin:
            setattr(room, name, None)
    for moment in sorted(moments, key=lambda one: (one.at, ORDER.index(one.kind)))[-READ_AT_MOST:]:
        _step(book, room, moment)


def _forget(told: list[Moment], activities: Collection[Activity]) -> None:
    keys = {_key(activity) for activity in activities}
    told[:] = [one for one in told if one.kind == FAILED or one.key not in keys]


def _once(moments: Iterable[Moment]) -> list[Moment]:
    """These moments, each failure once however often it was told; what tells again of one that is over is left out."""
    kept: list[Moment] = []
    failures: dict[str, Moment] = {}
    for moment in moments:
        if not moment.failure:
            kept.append(moment)
        elif not (moment.again and moment.received_at - moment.at > LATE_AFTER):
            known = failures.get(moment.failure)
            failures[moment.failure] = moment if known is None else _both(known, moment)
    return kept + [moment for moment in failures.values() if not moment.again]


def _both(first: Moment, second: Moment) -> Moment:
    """Two tellings of one failure as one moment."""
    waits = [moment.waits_since for moment in (first, second) if moment.waits_since is not None]
    return replace(
        first,
        at=min(first.at, second.at),
        waits_since=min(waits, default=None),
        handoff=first.handoff or second.handoff,
        again=first.again and second.again,
    )


def _recalled(book: Book, room: Room, begin: datetime) -> list[Moment]:
    """What the database knows since `begin`, read once in a transaction, and what this transaction was told."""
    told = book.moments.setdefault(room.pk, [])
    if room.pk not in book.recalled:
        book.recalled.add(room.pk)
        said = [of_activity(one) for one in book.stored.activities_since(room, ORDER, begin)]
        failed = [of_event(one) for one in book.stored.failures_since(room, begin)]
        told[:0] = [*said, *failed]
    return told
