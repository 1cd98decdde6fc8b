"""What the agents do while their rooms live: runs, drawn from the same flows as their past, and a review now and then.

Pure and deterministic: the same seed and `run` draw the same; times are added when one is sent.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from demo.flows import CHANNELS, FLOWS, Flow

SLA_SECONDS = 120
ANSWERS_AGAIN = 0.2  # share of runs in the room of an earlier one
REVIEWED = 0.02
BEHIND = timedelta(seconds=1)
STALLED = 0.002  # begun, and never heard of again


@dataclass(frozen=True)
class DrawnRun:
    """One run that ended just now, or just began and never will; `review`: a score for it, else None."""

    item: dict[str, Any]
    seconds: float
    stalls: bool
    score: int | None

    def at(self, moment: datetime) -> dict[str, Any]:
        """The item with its times; `moment` is aware."""
        if self.stalls:
            return self.item | {"started_at": moment.isoformat()}
        began = moment - timedelta(seconds=self.seconds)
        return self.item | {"started_at": began.isoformat(), "ended_at": moment.isoformat()}

    def review(self) -> dict[str, Any]:
        """The review of a run that has one."""
        run = {name: self.item[name] for name in ("run_id", "org_id")}
        return run | {"quality_score": self.score, "reviewer": "Dewi Anggraini"}


class RunTraffic:
    """Draws runs of the flows of these orgs, as often as each has them. There are none in an org that has no flow."""

    def __init__(self, *, seed: int, run: str, orgs: Sequence[str], rate: float) -> None:
        """`run` makes the rooms of one run of the simulator its own; `rate`: runs a second, of all together."""
        self._rng = Random(f"{seed} {run}")  # noqa: S311 - no secret; the ids of runs are of this run alone
        self._run = run
        self._flows = [flow for flow in FLOWS if flow.org in orgs and not flow.silent_hours]
        self._rooms: dict[str, str] = {}  # by agent, the last one
        self._drawn = 0
        self._every = timedelta(seconds=1 / rate) if rate and self._flows else None
        self._due: datetime | None = None

    def __bool__(self) -> bool:
        return self._every is not None

    def due(self, now: datetime) -> Iterator[tuple[DrawnRun, datetime]]:
        """The runs that ended since it was last asked, each with when; of a pause at most BEHIND are made up for."""
        if self._every is None:
            return
        self._due = max(self._due or now, now - BEHIND)
        while self._due <= now:
            yield self.draw(), self._due
            self._due += self._every * self._rng.expovariate(1)

    def draw(self) -> DrawnRun:
        """The next run."""
        rng = self._rng
        flow = rng.choices(self._flows, weights=[flow.per_day for flow in self._flows])[0]
        self._drawn += 1
        how = rng.random()
        resolution = (
            "failed" if how < flow.failed else "escalated" if how < flow.failed + flow.escalated else "resolved"
        )
        stalls = rng.random() < STALLED
        item: dict[str, Any] = {
            "run_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "org_id": flow.org,
            "agent_name": flow.agent,
            "agent_version": flow.version,
            "input_kind": flow.input_kind,
            "channel": rng.choice(CHANNELS),
            "surface": "chatbot",
            "room_id": self._room(flow),
            "sla_target_seconds": SLA_SECONDS,
            "metadata": {"ticket_id": f"T-{rng.randint(1000, 9999)}"},
        }
        if not stalls:
            item |= self._ended(flow, resolution)
        quality = max(1, min(5, round(rng.gauss(flow.quality, 0.6)))) if rng.random() < REVIEWED else None
        return DrawnRun(item, flow.seconds * rng.lognormvariate(0, 0.5), stalls, None if stalls else quality)

    def _ended(self, flow: Flow, resolution: str) -> dict[str, Any]:
        rng = self._rng
        said: dict[str, Any] = {
            "resolution": resolution,
            "self_corrected": rng.random() < flow.corrected,
            "tokens_input": rng.randint(900, 5100),
            "tokens_output": rng.randint(150, 1050),
            "cost_usd": round(flow.cost * rng.lognormvariate(0, 0.4), 5),
            "confidence": round(rng.uniform(0.55, 0.99), 2),
            "message_count": rng.randint(2, 12),
            "message_cap": 20,
        }
        if resolution == "escalated":
            said["handoff_expected"] = rng.random() < (0.15 if flow.escalated > 0.2 else 0.75)
        if resolution == "resolved" and rng.random() < 0.95:
            said["human_touched"] = rng.random() < 0.06
        return said

    def _room(self, flow: Flow) -> str:
        if flow.agent not in self._rooms or self._rng.random() > ANSWERS_AGAIN:
            self._rooms[flow.agent] = f"room-{self._run}-r{self._drawn}"
        return self._rooms[flow.agent]
