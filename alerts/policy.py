"""What a policy says, for the rules: how severe a signal is, how often people are told, when the next tier is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from alerts.limits import OutageRule, PushBudget, minutes_long
from alerts.window import channel_of
from orgs.policy_fields import POLICY_DEFAULTS


def _default(name: str) -> Any:
    return field(default_factory=lambda: POLICY_DEFAULTS[name])


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """The policy of an org or agent, field by field as the API has it: minutes and hours are whole numbers.

    `severities`: per signal, missing = the signal's own. `confidence_threshold` None: the event's own, else 0.5.
    `detect_from_runs`: whether failures are read from its runs too. `low_confidence`: push or digest, None: by the
    org's age. `budget` is the org's. `reply_window_hours`: per channel, as `alerts.window` names it.
    """

    severities: Mapping[str, str] = field(default_factory=dict)
    confidence_threshold: float | None = None
    detect_from_runs: bool = _default("detect_from_runs")
    escalate_minutes: Mapping[str, int] = _default("escalate_minutes")
    budget: PushBudget = field(default_factory=PushBudget)
    outage: OutageRule = field(default_factory=OutageRule)
    low_confidence: str | None = None
    throttle_minutes: int = _default("throttle_minutes")
    repeat_minutes: Sequence[int] = _default("repeat_minutes")
    acknowledge_minutes: Mapping[str, int] = _default("acknowledge_minutes")
    presence_minutes: int = _default("presence_minutes")
    return_minutes: int = _default("return_minutes")
    stalled_minutes: int = _default("stalled_minutes")
    handoff_minutes: int = _default("handoff_minutes")
    quiet_hours_pass: Sequence[str] = _default("quiet_hours_pass")
    reply_window_hours: Mapping[str, int] = _default("reply_window_hours")
    window_closing_hours: int = _default("window_closing_hours")
    # When people are told again while nobody acts, from the first telling on; at most one push about a room to one
    # person in `throttle`, unless it worsened or escalated. Every decision asks for both.
    repeats: tuple[timedelta, ...] = field(init=False, repr=False, compare=False)
    throttle: timedelta = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        repeats = tuple(timedelta(minutes=minutes) for minutes in self.repeat_minutes)
        object.__setattr__(self, "repeats", repeats)
        object.__setattr__(self, "throttle", timedelta(minutes=self.throttle_minutes))

    @property
    def presence(self) -> timedelta:
        """How long a human is taken to be in a room after their last act; also the grace after somebody entered it."""
        return minutes_long(self.presence_minutes)

    @property
    def return_after(self) -> timedelta:
        """Of human silence; then a message of the bot means that the bot has the room back."""
        return minutes_long(self.return_minutes)

    @property
    def stalled_after(self) -> timedelta:
        """A human who holds a room and leaves its customer unanswered for so long has stalled."""
        return minutes_long(self.stalled_minutes)

    @property
    def handoff_clock(self) -> timedelta:
        """From a handoff to the first human message; past it the alert is critical."""
        return minutes_long(self.handoff_minutes)


def policy_facts(document: Mapping[str, Any]) -> PolicyFacts:
    """The facts of a document in which nothing is missing (`orgs.policy_fields`)."""
    rules: dict[str, Any] = {"budget": PushBudget(**document["budget"]), "outage": OutageRule(**document["outage"])}
    rules["reply_window_hours"] = {channel_of(name): hours for name, hours in document["reply_window_hours"].items()}
    return PolicyFacts(**{**document, **rules})


DEFAULT_POLICY = policy_facts(POLICY_DEFAULTS)
