"""What is a session of a room, and how did it end: the fold over what happened in the room. Pure.

A session begins when the customer writes, or an agent does something, in a room where none is open. It lasts until the
room is resolved, or until the customer has not written for a day; where nobody tells us of customers' messages, a run
stands for one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

LASTS = timedelta(hours=24)  # without a word of the customer
DURABLE = timedelta(days=7)

What = Literal["customer", "bot", "run", "handoff", "human", "assigned", "resolved"]
ORDER: dict[What, int] = {"customer": 0, "run": 1, "bot": 2, "handoff": 3, "assigned": 4, "human": 5, "resolved": 6}


@dataclass(frozen=True, slots=True)
class RunOf:
    """Whose session it is: the first run in it, or the first failure. Empty: not said."""

    agent: int | None = None
    agent_version: str = ""
    channel: str = ""
    input_kind: str = ""


@dataclass(frozen=True, slots=True)
class SessionMoment:
    """One thing that happened in a room. `of`: the run or failure that it is; `running`: it has not ended."""

    at: datetime
    what: What
    of: RunOf | None = None
    running: bool = False


@dataclass(slots=True)
class RoomStay:
    """One session. `ended_at`: None while it is open. `touched`: an agent did something in it.

    `came_back`: when the customer wrote again after it, if that was within DURABLE of their last word in it.
    """

    began_at: datetime
    last_customer_at: datetime
    of: RunOf = field(default_factory=RunOf)
    ended_at: datetime | None = None
    touched: bool = False
    human: bool = False
    handed_off: bool = False
    resolved: bool = False
    unanswered: bool = False  # the customer spoke last
    came_back: datetime | None = None
    wrote: bool = False  # a message of the customer is known
    running: bool = False  # a run in it has not ended, as far as we know

    @property
    def contained(self) -> bool:
        """No human was needed."""
        return self.touched and not self.human and not self.handed_off

    @property
    def abandoned(self) -> bool:
        """The customer spoke last, and nobody answered, resolved or handed over."""
        return self.ended_at is not None and self.unanswered and not self.resolved and not self.handed_off


def stays(moments: Iterable[SessionMoment], now: datetime) -> list[RoomStay]:
    """The sessions of one room, oldest first, from all that happened since one of them began."""
    found: list[RoomStay] = []
    current: RoomStay | None = None
    for moment in sorted(moments, key=lambda one: (one.at, ORDER[one.what])):
        if current is not None and moment.at >= current.last_customer_at + LASTS:
            current.ended_at = current.last_customer_at + LASTS
            current = None
        if current is None and moment.what in ("customer", "bot", "run", "handoff"):
            if moment.what == "customer" and found and moment.at < found[-1].last_customer_at + DURABLE:
                found[-1].came_back = found[-1].came_back or moment.at
            found.append(current := RoomStay(moment.at, moment.at))
        if current is not None:
            _hear(current, moment)
            if moment.what == "resolved":
                current.ended_at, current.resolved, current = moment.at, True, None
    if current is not None and now >= current.last_customer_at + LASTS:
        current.ended_at = current.last_customer_at + LASTS
    return found


def _hear(stay: RoomStay, moment: SessionMoment) -> None:
    match moment.what:
        case "customer":
            stay.last_customer_at, stay.wrote, stay.unanswered = moment.at, True, True
        case "run":
            stay.touched, stay.running = True, stay.running or moment.running
            if not stay.wrote:
                stay.last_customer_at = moment.at
        case "bot":
            stay.touched, stay.unanswered = True, False
        case "handoff":
            stay.touched, stay.handed_off = True, True
        case "assigned":
            stay.human = True
        case "human":
            stay.human, stay.unanswered = True, False
    if moment.of is not None and stay.of.agent is None:
        stay.of = moment.of


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """Sessions that an agent touched, and how they went. `old_enough`: of `settled`, those whose 7 days are over."""

    sessions: int = 0
    contained: int = 0
    settled: int = 0
    abandoned: int = 0
    old_enough: int = 0
    durable: int = 0

    @property
    def too_young(self) -> int:
        """Resolved sessions of which it is too early to say whether the customer comes back."""
        return self.settled - self.old_enough

    def __add__(self, other: "SessionCounts") -> "SessionCounts":
        return SessionCounts(
            self.sessions + other.sessions,
            self.contained + other.contained,
            self.settled + other.settled,
            self.abandoned + other.abandoned,
            self.old_enough + other.old_enough,
            self.durable + other.durable,
        )


@dataclass(frozen=True, slots=True)
class SessionFigures:
    """The figures of some sessions, named as in the API; percentages 0..100, None: no data."""

    containment_rate: float | None
    resolution_rate: float | None
    abandoned_pct: float | None
    durable_resolution_7d: float | None


def session_figures(counts: SessionCounts) -> SessionFigures:
    """The formulas of docs/kpis.md."""
    return SessionFigures(
        containment_rate=_percent(counts.contained, counts.sessions),
        resolution_rate=_percent(counts.settled, counts.sessions),
        abandoned_pct=_percent(counts.abandoned, counts.sessions),
        durable_resolution_7d=_percent(counts.durable, counts.old_enough),
    )


def _percent(part: int, n: int) -> float | None:
    return 100 * part / n if n else None
