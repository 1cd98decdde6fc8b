"""What happens in the rooms: a failure ladder, then sometimes a human, sometimes nobody.

Deterministic: the same seed, run, players and scenario tell the same story, with the same answers to who is there where
bots hand over. What happens in a room hangs on no other room. Times are added when a step is sent (`Step.at`), because
the story knows an order and no clock.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal

from agent_live_monitoring import Availability
from demo.simulator import chat
from demo.simulator.cast import Player
from demo.simulator.desk import may_promise, somebody_comes
from demo.simulator.words import CHANNELS, ERRORS, HANDOFF_REASONS, LINES, room_label

Scenario = Literal["calm", "storm", "cap", "flapping", "handoff", "honest"]
FAILURE_EVENTS, ROOM_ACTIVITY = "/api/failure-events", "/api/room-activity"
FAILURES = {"low_confidence", "message_cap", "agent_error", "help_requested", "handoff", "lost_handoff"}
HUMAN_ACTS = {"assigned", "human_message", "resolved"}

# A script is what happens in one room, beat by beat; each begins with a failure. `handoff` went through,
# `lost_handoff` did not. With each script, how often it is told.
Script = tuple[str, ...]
CALM: dict[Script, int] = {
    ("low_confidence", "customer_message", "bot_message"): 4,
    ("low_confidence", "low_confidence", "bot_message"): 2,
    ("low_confidence", "message_cap", "handoff", "assigned", "human_message", "resolved"): 4,
    ("low_confidence", "message_cap", "lost_handoff", "human_message", "human_message", "resolved"): 3,
    ("agent_error", "assigned", "human_message", "resolved"): 4,
    ("agent_error", "customer_message", "agent_error"): 2,
    ("handoff", "human_message", "resolved"): 2,
    ("message_cap", "lost_handoff"): 2,
    ("agent_error", "human_message", "returned_to_agent", "low_confidence", "human_message", "resolved"): 1,
    ("help_requested", "assigned", "human_message", "resolved"): 1,
    ("agent_error", "assigned", "human_message", "bot_message", "human_message", "resolved"): 1,  # two voices
    ("agent_error", "human_message", "customer_message", "customer_message"): 1,  # the human falls silent
}
STORM: dict[Script, int] = {
    ("agent_error",): 3,
    ("agent_error", "customer_message", "agent_error"): 4,
    ("agent_error", "agent_error", "assigned", "human_message", "resolved"): 1,
}
CAP: dict[Script, int] = {
    ("message_cap",): 3,
    ("message_cap", "message_cap", "bot_message"): 2,
    ("low_confidence", "message_cap", "handoff", "human_message", "resolved"): 2,
    ("message_cap", "lost_handoff", "assigned", "human_message", "resolved"): 1,
}
FLAP = ("agent_error", "human_message", "returned_to_agent")
FLAPPING: dict[Script, int] = {
    (*FLAP, *FLAP, *FLAP, "resolved"): 3,
    (*FLAP, "low_confidence", "human_message", "returned_to_agent", "agent_error"): 2,
}
# Bots that give up. In `handoff` they promise a human to everybody, in `honest` they ask first whether one is there.
GIVES_UP: dict[Script, int] = {
    ("low_confidence", "handoff", "customer_message", "human_message", "resolved"): 4,
    ("low_confidence", "message_cap", "handoff", "customer_message", "human_message", "resolved"): 3,
    ("message_cap", "handoff", "assigned", "human_message", "resolved"): 2,
}
# What then is told in place of the rest; as many beats, so that two bots of one seed have the same rooms.
NOBODY_CAME = ("handoff", "customer_message", "customer_message", "customer_message")
KEPT = ("customer_message", "nobody_is_here", "customer_message", "message_taken")
KINDS = {"nobody_is_here": "bot_message", "message_taken": "bot_message"}  # by beat, where they differ
SCRIPTS: dict[Scenario, dict[Script, int]] = {
    "calm": CALM,
    "storm": STORM,
    "cap": CAP,
    "flapping": FLAPPING,
    "handoff": GIVES_UP,
    "honest": GIVES_UP,
}
SHARE_OF_ONE_AGENT_IN_A_STORM = 0.9


@dataclass(frozen=True)
class Step:
    """One item to send: where, what, and (for a failure event) since how many seconds the customer waits."""

    path: str
    item: dict[str, Any]
    waiting_seconds: int | None = None

    @property
    def by_webhook(self) -> bool:
        """Whether the chat product tells of it."""
        return self.path not in (FAILURE_EVENTS, ROOM_ACTIVITY)

    def at(self, moment: datetime) -> dict[str, Any]:
        """The item with its times; `moment` is aware."""
        if self.by_webhook:
            return chat.at(self.item, moment)
        if self.path == ROOM_ACTIVITY:
            return self.item | {"at": moment.isoformat()}
        times = {"occurred_at": moment.isoformat()}
        if self.waiting_seconds is not None:
            since = moment - timedelta(seconds=self.waiting_seconds)
            times["customer_waiting_since"] = since.isoformat()
        return self.item | times


@dataclass
class Conversation:
    """One living room. `rng`: what is drawn in it."""

    rng: Random
    room_id: str
    player: Player
    label: str
    channel: str
    human: str | None
    chat: chat.Room | None  # where the chat product tells of it itself
    script: Script
    position: int = 0


class Story:
    """All living rooms. A conversation whose script is told makes room for another.

    `handoffs`: rooms in which bots gave up, by what came of it: `met`, `alone` (nobody came), `kept`.
    """

    def __init__(
        self,
        *,
        seed: int,
        run: str,
        players: Sequence[Player],
        rooms: int,
        scenario: Scenario,
        who_is_there: Callable[[Player], Availability | None] = lambda player: None,
    ) -> None:
        """`run` makes the ids of one run of the simulator its own; `rooms` is how many live at a time.

        `who_is_there`: asked in `handoff` and `honest` when a bot gives up; None: nobody knows.
        """
        self.handoffs: Counter[str] = Counter()
        self._seed = seed
        self._rng = Random(seed)  # noqa: S311 - a play that can be repeated, no secret
        self._run = run
        self._who_is_there = who_is_there
        self._players = players
        self._scenario: Scenario = scenario
        self._opened = 0
        self._told = 0
        self._failing = self._rng.choice(players)
        self._rooms = [self._open() for _ in range(rooms)]

    def steps(self) -> Iterator[Step]:
        """The story without end, one step at a time."""
        while True:
            place = self._rng.randrange(len(self._rooms))
            room = self._rooms[place]
            if room.script[room.position] == "handoff" and SCRIPTS[self._scenario] is GIVES_UP:
                self._give_up(room)
            beat = room.script[room.position]
            room.position += 1
            if room.position == len(room.script):
                self._rooms[place] = self._open()
            yield self._tell(room, beat)

    def _give_up(self, room: Conversation) -> None:
        """The rest of this room, by who is there now."""
        there, so_far = self._who_is_there(room.player), room.script[: room.position]
        if self._scenario == "honest" and not may_promise(there):
            room.script = (*so_far, *KEPT)
            self.handoffs["kept"] += 1
        elif somebody_comes(there):
            self.handoffs["met"] += 1
        else:
            room.script = (*so_far, *NOBODY_CAME)
            self.handoffs["alone"] += 1

    def _open(self) -> Conversation:
        self._opened += 1
        rng = Random(f"{self._seed} {self._opened}")  # noqa: S311 - as above
        in_storm = self._scenario == "storm" and rng.random() < SHARE_OF_ONE_AGENT_IN_A_STORM
        player = self._failing if in_storm else rng.choice(self._players)
        scripts = CALM if self._scenario == "storm" and not in_storm else SCRIPTS[self._scenario]
        room_id, label, channel = f"room-{self._run}-{self._opened}", room_label(rng), rng.choice(CHANNELS)
        human = rng.randrange(len(player.supervisors)) if player.supervisors else None
        return Conversation(
            rng=rng,
            room_id=room_id,
            player=player,
            label=label,
            channel=channel,
            human=player.supervisors[human] if human is not None else None,
            chat=_chat_room(player, room_id, label, channel, human),
            script=rng.choices(list(scripts), weights=list(scripts.values()))[0],
        )

    def _tell(self, room: Conversation, beat: str) -> Step:
        self._told += 1
        common: dict[str, Any] = {"room_id": room.room_id}
        if room.player.org_id is not None:
            common["org_id"] = room.player.org_id
        if beat in FAILURES:
            return self._failure(room, beat, common)
        if room.chat is not None:
            return Step(room.player.webhook, room.chat.tell(beat, f"msg-{self._run}-{self._told}", room.rng))
        item = {"activity_id": f"act-{self._run}-{self._told}", "kind": KINDS.get(beat, beat), **common}
        if beat in HUMAN_ACTS and room.human is not None:
            item["actor_sso_id"] = room.human
        return Step(ROOM_ACTIVITY, item)

    def _failure(self, room: Conversation, beat: str, common: dict[str, Any]) -> Step:
        rng = room.rng
        signal, detail = _signal(beat, rng)
        item = {
            "event_id": f"evt-{self._run}-{self._told}",
            "agent_name": room.player.agent_name,
            "agent_version": room.player.agent_version,
            "signal": signal,
            "channel": room.channel,
            "room_label": room.label,
            "last_customer_text": rng.choice(LINES[signal]),
            **common,
            **detail,
        }
        waits = signal in {"agent_error", "unexpected_handoff", "help_requested"}
        return Step(FAILURE_EVENTS, item, rng.randint(5, 90) if waits else None)


def _signal(beat: str, rng: Random) -> tuple[str, dict[str, Any]]:
    """What a failure is reported as, and what its signal needs to be told."""
    match beat:
        case "message_cap":
            cap = rng.choice((12, 20, 30))
            return beat, {"message_count": cap, "message_cap": cap}
        case "agent_error":
            kind, message = rng.choice(ERRORS)
            return beat, {"error": {"type": kind, "message": message}}
        case "handoff" | "lost_handoff":
            handoff = {"reason": rng.choice(HANDOFF_REASONS), "completed": beat == "handoff"}
            return "unexpected_handoff", {"handoff": handoff}
        case "low_confidence":
            return beat, {"confidence": round(rng.uniform(0.12, 0.46), 2), "threshold": 0.5}
    return beat, {}


def _chat_room(player: Player, room_id: str, label: str, channel: str, human: int | None) -> chat.Room | None:
    if not player.webhook or player.org_id is None:
        return None
    named = player.chat_ids[human] if human is not None and human < len(player.chat_ids) else "somebody"
    return chat.Room(player.org_id, room_id, label, channel, named)
