"""Failures found in what is said in a room that a human has: the bot talks over them, or they stall.

They are failure events as any other, decided by the same rules, but of nobody's report: the source is the one that told
of the message, the agent the one that failed in the room last, if any did.
"""

from datetime import datetime
from hashlib import sha256

from alerts.actions.book import Book
from alerts.actions.conversation import Activity
from alerts.actions.failures import apply_event
from alerts.actions.same_run import SameRuns
from alerts.holding import talks_over
from alerts.items import RoomNames
from alerts.models import Room
from alerts.rows import EventRow
from orgs.signals.human_stalled import HUMAN_STALLED
from orgs.signals.kinds import RoomSignal
from orgs.signals.talk_over import TALK_OVER


def find_talk_over(book: Book, activity: Activity, room: Room) -> None:
    """The bot writes in this locked room: if a human has it, that is a failure. Ask before the room hears of it."""
    is_heard = room.settled_at is None or activity.at >= room.settled_at
    return_after = book.policy_in(room).return_after
    if is_heard and activity.source_id is not None and talks_over(room.hold_facts, activity.at, return_after):
        _report(book, room, TALK_OVER, activity.source_id, activity.activity_id, activity.at)


def find_stall(book: Book, room: Room) -> None:
    """The human who has this locked room has stalled. The room remembers it, so that it is found once a wait."""
    since, room.stalled_at = room.unanswered_since, book.now
    source = book.stored.source_of_customer(room)
    if source is not None and since is not None:
        _report(book, room, HUMAN_STALLED, source, since.isoformat(), book.now)


def _report(book: Book, room: Room, signal: RoomSignal, source: int, about: str, at: datetime) -> None:
    newest = book.alerts.get(room.pk)
    agent = newest.agent if newest is not None else None
    event_id = f"{signal.name}:{sha256(f'{room.room_id} {about}'.encode()).hexdigest()[:32]}"
    if book.stored.has_event(room, source, event_id):  # an undo lets a message be heard once more
        return
    event = EventRow(
        org_id=room.org_id,
        source_id=source,
        event_id=event_id,
        payload_hash="\\x" + sha256(event_id.encode()).hexdigest(),
        room_id=room.pk,
        agent_id=agent.pk if agent else None,
        signal=signal.name,
        occurred_at=at,
        as_sent=None,
        received_at=book.now,
        clock_flagged=False,
        flags=[],
        agent_version=newest.agent_version if newest is not None else "",
        run_id="",
        channel="",
        confidence=None,
        threshold=None,
        message_count=None,
        message_cap=None,
        error_type="",
        error_message="",
        handoff_reason="",
        handoff_completed=None,
        customer_waiting_since=room.customer_waiting_since,
        metadata={},
    )
    key = room.org_id, agent.pk if agent else 0
    org, policy = book.known.orgs({room.org_id})[room.org_id], book.known.policies([key])[key]
    apply_event(book, event, room, agent, org, policy, SameRuns([]), RoomNames())
