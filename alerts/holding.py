"""Who holds a room, and for how long they may leave its customer without an answer. Pure: plain data in, verdict out.

A human holds a room from their act until the bot has it back, it is resolved, or they left the customer's oldest
message unanswered for too long: then they have stalled.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

AGENT_WITHIN = timedelta(hours=24)  # a room that no agent was in for so long is none of ours
INSISTS_WITH = 2  # unanswered messages; one is enough if it asks something: thanks ring nobody
BOT_ANSWERS_WITHIN = timedelta(minutes=1)  # of a room whose human is long gone: the next message may be for the bot


@dataclass(frozen=True, slots=True)
class HoldFacts:
    """A room as who holds it sees it. `unanswered_since`: the customer's oldest message that nobody answered.

    `insists_at`: since when it is more than a thanks. `agent_at`: when an agent last wrote or failed in it.
    `stalled_at`: when its human was last found to have stalled.
    """

    human_since: datetime | None = None
    human_last_at: datetime | None = None
    handed_off_at: datetime | None = None
    unanswered_since: datetime | None = None
    insists_at: datetime | None = None
    agent_at: datetime | None = None
    stalled_at: datetime | None = None


def stall_due(room: HoldFacts, stalled_after: timedelta) -> datetime | None:
    """When the human who holds this room will have stalled, unless somebody answers; None: they cannot, or did."""
    since, insists_at = room.unanswered_since, room.insists_at
    if room.human_since is None or since is None or insists_at is None or room.agent_at is None:
        return None
    if room.stalled_at is not None and room.stalled_at >= since:
        return None
    due = max(since, room.human_since) + stalled_after
    if insists_at > due:
        due = insists_at + BOT_ANSWERS_WITHIN
    return due if due - room.agent_at <= AGENT_WITHIN else None


def talks_over(room: HoldFacts, at: datetime, return_after: timedelta) -> bool:
    """Whether a message that the bot wrote at `at` is a second voice beside the human who holds the room.

    While a handoff waits for its first human answer the bot may say so; after so long of human silence it has the room
    back.
    """
    if room.human_since is None or room.handed_off_at is not None or at < room.human_since:
        return False
    if room.stalled_at is not None and room.unanswered_since is not None and room.stalled_at >= room.unanswered_since:
        return False
    return at < (room.human_last_at or room.human_since) + return_after
