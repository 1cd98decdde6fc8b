"""How a policy is said: its sections, what each field means in a short sentence, and what changed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from console.pages.policy.form import AUTO, NOTHING, WINDOWS
from console.text.sentences import severity_name
from orgs.policies import PolicyAuthor, PolicyChange
from orgs.policy_fields import SEVERITY_NAMES
from orgs.signals import ROOM_SIGNALS

Choices = list[tuple[str, str]]


@dataclass(frozen=True)
class PolicyInput:
    """One input: what stands before and after it. `choices`: it is a select; `wide`: it holds a list."""

    path: str
    label: str
    unit: str = ""
    choices: Choices = field(default_factory=list)
    wide: bool = False


@dataclass(frozen=True)
class PolicySection:
    """What belongs together, and what it means."""

    name: str
    title: str
    about: str
    inputs: list[PolicyInput]


def policy_sections(*, of_org: bool) -> list[PolicySection]:
    """All of them, in order; an agent has no budget: a person's counts over all agents."""
    found = [_severities(), _confidence(), *_telling(), _tiers(), _people(), *_storms(), *_quiet()]
    return [one for one in found if of_org or one.name != "budget"]


def _severities() -> PolicySection:
    levels = _levels()
    inputs = [
        PolicyInput(f"severities.{name}", str(one.in_policy or one.label), choices=levels)
        for name, one in ROOM_SIGNALS.items()
    ]
    about = _("Text that an agent wrote never sets a severity. A handoff that nobody took is always critical.")
    return PolicySection("severities", _("Severity of each signal"), about, inputs)


def _levels() -> Choices:
    return [(name, severity_name(name)) for name in reversed(SEVERITY_NAMES)]


def _confidence() -> PolicySection:
    modes = [
        (AUTO, _("Pushed in the org's first 30 days, then in a digest")),
        ("push", _("Pushed at once")),
        ("digest", _("In a digest, unless another signal joins it")),
    ]
    runs = [("yes", pgettext("policy", "Yes")), ("no", pgettext("policy", "No"))]
    inputs = [
        PolicyInput("confidence_threshold", _("Unsure below"), _("of 1")),
        PolicyInput("low_confidence", _("Told"), choices=modes),
        PolicyInput("detect_from_runs", _("Find failures in runs too"), choices=runs),
    ]
    about = _("When an agent counts as unsure. An empty threshold is the event's own, else 0.5.")
    return PolicySection("confidence", _("Low confidence"), about, inputs)


def _telling() -> list[PolicySection]:
    minutes = _("min")
    ladder = [PolicyInput("repeat_minutes", _("After"), _("min; 0: never"), wide=True)]
    holds = [
        PolicyInput(f"acknowledge_minutes.{name}", severity_name(name), minutes) for name in reversed(SEVERITY_NAMES)
    ]
    throttle = [PolicyInput("throttle_minutes", _("One push per room every"), minutes)]
    return [
        PolicySection(
            "throttle",
            _("Throttle"),
            _("The same person hears about the same room at most once in this time. A worsening always passes."),
            throttle,
        ),
        PolicySection(
            "repeat", _("Repeat"), _("While nobody acts, then stop. Each is later than the one before."), ladder
        ),
        PolicySection(
            "acknowledge",
            _("Acknowledge"),
            _("How long it holds without a human act in the room; then the alert is open again."),
            holds,
        ),
    ]


def _tiers() -> PolicySection:
    minutes = _("min")
    names = {"critical": _("Critical: next tier after"), "warning": _("Warning: next tier after")}
    inputs = [PolicyInput(f"escalate_minutes.{name}", label, minutes) for name, label in names.items()]
    inputs.append(PolicyInput("handoff_minutes", _("Handed off, nobody came: critical after"), minutes))
    return PolicySection("tiers", _("Escalation"), _("When no human act reaches the room."), inputs)


def _people() -> PolicySection:
    minutes = _("min")
    inputs = [
        PolicyInput("presence_minutes", _("A human is there until"), _("min after the last act")),
        PolicyInput("return_minutes", _("The bot has the room back after"), _("min of silence")),
        PolicyInput("stalled_minutes", _("A human who took over has stalled after"), minutes),
    ]
    about = _("While a human is in the room, new failures tell nobody.")
    return PolicySection("people", _("Human in the room"), about, inputs)


def _storms() -> list[PolicySection]:
    budget = [
        PolicyInput("budget.pushes", _("At most"), _("pushes; 0: no limit")),
        PolicyInput("budget.minutes", pgettext("period", "in"), _("min")),
    ]
    outage = [
        PolicyInput("outage.rooms", pgettext("amount", "From"), _("rooms; 0: never")),
        PolicyInput("outage.minutes", pgettext("period", "in"), _("min")),
        PolicyInput("outage.clean_minutes", _("Over after"), _("quiet min")),
    ]
    return [
        PolicySection("budget", _("Budget"), _("Beyond it, alerts become one digest that names every room."), budget),
        PolicySection(
            "outage",
            _("Agent outage"),
            _("Many rooms of one agent fail critically: one alert, room pushes held back."),
            outage,
        ),
    ]


def _quiet() -> list[PolicySection]:
    passing = [(",".join(names) or NOTHING, _passing(names)) for names in ([], *_downwards())]
    closing = [PolicyInput("window_closing_hours", _("Warn when it closes in"), _("h; 0: never"))]
    return [
        PolicySection(
            "quiet",
            _("Quiet hours"),
            _("Set for each person. What passes them rings all the same."),
            [PolicyInput("quiet_hours_pass", _("Passes them"), choices=passing)],
        ),
        PolicySection(
            "window",
            _("Reply window"),
            _("How long a human may still write freely after the customer's last message, by channel."),
            closing,
        ),
    ]


def _downwards() -> list[list[str]]:
    names = list(reversed(SEVERITY_NAMES))
    return [names[: end + 1] for end in range(len(names))]


def _passing(names: Iterable[str]) -> str:
    return ", ".join(severity_name(name) for name in names) or pgettext("quiet hours", "Nothing")


# --- what changed ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SaidChange:
    """A field with its value before and after, as people read them."""

    what: str
    before: str
    after: str


def said_changes(changes: Iterable[PolicyChange], *, of_org: bool) -> list[SaidChange]:
    """Each change in words."""
    titles = input_titles()
    return [
        SaidChange(
            titles.get(one.field) or _window_title(one.field),
            said_value(one.field, one.before, of_org=of_org),
            said_value(one.field, one.after, of_org=of_org),
        )
        for one in changes
    ]


def input_titles() -> dict[str, str]:
    """By path: what an input is called where it stands alone."""
    found = {}
    for section in policy_sections(of_org=True):
        for one in section.inputs:
            alone = len(section.inputs) == 1
            found[one.path] = section.title if alone else f"{section.title}: {one.label}"
    return found


def _window_title(path: str) -> str:
    return f"{_('Reply window')}: {path.removeprefix(WINDOWS).lstrip('.')}"


def said_value(path: str, value: Any, *, of_org: bool) -> str:
    """A value with its unit; None: nothing, or in an agent's policy what the org has."""
    name = path.partition(".")[0]
    if value is None and not of_org:
        return _("as the org")
    match name:
        case "severities":
            return severity_name(value) if value else "–"
        case "quiet_hours_pass":
            return _passing(value)
        case "repeat_minutes":
            return _("{n} min").format(n=", ".join(str(one) for one in value)) if value else _("never")
        case "low_confidence":
            return {"push": _("pushed"), "digest": _("in a digest")}.get(value, _("by the org's age"))
        case "detect_from_runs":
            return pgettext("policy", "Yes") if value else pgettext("policy", "No")
    if value is None:
        return "–"
    if name in ("reply_window_hours", "window_closing_hours"):
        return _("{n} h").format(n=value)
    plain = path in ("budget.pushes", "outage.rooms") or name == "confidence_threshold"
    return f"{value:g}" if plain else _("{n} min").format(n=value)


def said_author(author: PolicyAuthor) -> str:
    """Who saved a version."""
    match author.kind:
        case "human":
            return author.name or _("Somebody")
        case "source":
            return _("Source %(name)s") % {"name": author.name}
        case "shell":
            return _("The shell (%(command)s)") % {"command": author.name}
    return _("The service")
