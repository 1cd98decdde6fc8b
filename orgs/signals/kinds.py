"""What is said of a signal: plain data, from which every place reads that must know it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from django.utils.functional import Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """`severity`: where an org's policy names none. `happened`: what a push says of it."""

    name: str
    label: str | Promise
    severity: Literal["info", "warning", "critical"]
    happened: str | Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSignal(Signal):
    """How an agent fails a customer in a room.

    `waits`: the customer got no answer and waits for one. `sent`: a source may send it. `needs`: the fields its item
    must have, each with an example. `icon`: one of templates/_sprite.html. `note`: what the timeline says of a stored
    failure event, in our words; `quotes`: its columns that hold the sender's. `in_policy`: its label there, if another.
    `to_holder`: it is about a room that a human has, who is told first; it changes nothing of who has it. `because`:
    why they were told; follows "Pushed to Rina: ".
    """

    icon: str
    waits: bool = False
    sent: bool = True
    needs: Mapping[str, Any] = field(default_factory=dict)
    note: Callable[[Any], str | Promise] = lambda event: ""
    quotes: tuple[str, ...] = ()
    in_policy: str | Promise = ""
    to_holder: bool = False
    because: str | Promise = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSignal(Signal):
    """What is wrong with a source; found here, never sent.

    `because`: why people were told; follows "Pushed to Rina: ". `alarm`: the sources page's, with {org} and {time}.
    """

    because: str | Promise
    alarm: str | Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSignal(Signal):
    """What is wrong with an agent as a whole; found here, never sent, and an alert of the agent, not of a room.

    `because`: why people were told; follows "Pushed to Rina: ". `recovered`: how the timeline says that it is over.
    """

    icon: str
    because: str | Promise
    recovered: str | Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgSignal(AgentSignal):
    """What is wrong with an org as a whole; the same is said of it."""
