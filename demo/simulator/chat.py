"""The chat product's side: what people, customers and bots do in rooms, as Qontak's webhook tells it.

Posted once and never again, as most chat products do.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import Any

import aiohttp

from demo.commandline import say
from demo.simulator.words import LINES

DEADLINE = aiohttp.ClientTimeout(total=10)
AT_ONCE = 8  # connections
SENDERS = {"customer": "Models::Contact", "bot": "Models::SystemAccount", "agent": "Models::User"}
# Who writes when this happens in a room; an assignment is told with the customer's next message.
WRITERS = {
    "customer_message": "customer",
    "assigned": "customer",
    "bot_message": "bot",
    "nobody_is_here": "bot",
    "message_taken": "bot",
    "returned_to_agent": "bot",
    "human_message": "agent",
    "resolved": "agent",
}
ASSIGNS, GIVES_BACK = {"assigned", "human_message"}, {"bot_message", "returned_to_agent"}
WORDS = ("Saya bantu ya, mohon tunggu sebentar.", "Baik, saya cek dulu pesanannya.", "Let me look into this for you.")
HONEST = {
    "nobody_is_here": (
        "Saat ini belum ada petugas kami. Tulis pesan Anda, kami balas begitu mereka bertugas.",
        "Nobody of our team is here right now. Leave a message and they answer when they are back.",
    ),
    "message_taken": ("Pesan Anda sudah saya catat.", "I have noted your message for them."),
}
SORRY = ("Mohon maaf, saya belum mengerti.", "Could you say that in other words?")


class Room:
    """A room as the chat product knows it: assigned or not, and since which session."""

    def __init__(self, org_id: str, room_id: str, label: str, channel: str, human: str) -> None:
        """`human`: the chat product's id of the person who would come."""
        self._facts = {"id": room_id, "organization_id": org_id, "name": label, "channel": channel}
        self._human = human
        self._assigned = False
        self._sessions = 0

    def tell(self, beat: str, message_id: str, rng: Random) -> dict[str, Any]:
        """The message that tells of this beat; its times are added by `at`."""
        who = WRITERS[beat]
        if beat in GIVES_BACK and self._assigned:
            self._assigned = False
            self._sessions += 1
        self._assigned = self._assigned or beat in ASSIGNS
        status = "resolved" if beat == "resolved" else "assigned" if self._assigned else "unassigned"
        said = {"customer": LINES["agent_error"], "bot": HONEST.get(beat, SORRY), "agent": WORDS}[who]
        room = {**self._facts, "status": status, "session_at": f"session {self._sessions}"}
        if beat == "resolved":
            room |= {"resolved_by_id": self._human, "resolved_by_type": SENDERS["agent"]}
        return {
            "id": message_id,
            "status": "created",
            "text": rng.choice(said),
            "participant_type": who,
            "sender_type": SENDERS[who],
            "sender_id": self._human if who == "agent" else f"{who}-0",
            "organization_id": self._facts["organization_id"],
            "room_id": self._facts["id"],
            "room": room,
            "type": "text",
        }


def at(message: dict[str, Any], moment: datetime) -> dict[str, Any]:
    """The message with its times; `moment` is aware."""
    stamp = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    room = message["room"] | {"updated_at": stamp}
    if room["status"] == "resolved":
        room["resolved_at"] = stamp
    return message | {"created_at": stamp, "room": room}


class Chat:
    """Posts messages to the webhook addresses of one service. `counts`: by `told` and `lost`."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self.counts: Counter[str] = Counter()

    async def post(self, messages: list[tuple[str, dict[str, Any]]]) -> None:
        """Post each (path, message), those of one room in their order; one that is not taken is lost."""
        if not messages:
            return
        rooms: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for path, message in messages:
            rooms.setdefault(message["room_id"], []).append((path, message))
        connector = aiohttp.TCPConnector(limit=AT_ONCE)
        async with aiohttp.ClientSession(timeout=DEADLINE, connector=connector) as session:
            await asyncio.gather(*(self._in_turn(session, told) for told in rooms.values()))

    async def _in_turn(self, session: aiohttp.ClientSession, told: list[tuple[str, dict[str, Any]]]) -> None:
        for path, message in told:
            try:
                async with session.post(self._base_url + path, json=message, allow_redirects=False) as response:
                    taken = response.status == 200
            except (aiohttp.ClientError, TimeoutError):
                taken = False
            self.counts["told" if taken else "lost"] += 1
            if not taken and self.counts["lost"] == 1:
                say("A webhook delivery was not taken; chat products do not send it again.")
