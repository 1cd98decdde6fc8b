"""What a policy may say, field by field: bounds, defaults, and what is wrong with a value. Plain data in and out.

A document is a policy as JSON: `{"throttle_minutes": 5, "budget": {"pushes": 6, "minutes": 10}, ...}`. An org's has
every field; an agent's, or one that is stored, only what it says itself: what is absent is as the org has it, else the
default.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _

from orgs.signals import ROOM_SIGNALS
from orgs.texts import answerable

SEVERITY_NAMES = ("info", "warning", "critical")
DAY = 1440  # minutes
MOST_REPEATS, MOST_CHANNELS = 10, 20
CHANNEL = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,63}")
PolicyDocument = dict[str, Any]


class BadPolicy(Exception):
    """`field` names what is wrong, such as `budget.pushes` or `repeat_minutes[2]`; `code` is that of the API."""

    def __init__(self, field: str, message: str, code: str = "invalid_field") -> None:
        super().__init__(message)
        self.field, self.message, self.code = field, message, code


@dataclass(frozen=True, slots=True)
class PolicyField:
    """`check(value, path, whole)` gives the value as it is kept, or raises BadPolicy. `whole`: nothing may be absent.

    `merges`: what it does not name is as in the policy below it.
    """

    default: Any
    check: Callable[[Any, str, bool], Any]
    merges: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """A whole number from `least` to `most`."""

    least: int
    most: int

    def __call__(self, value: Any, path: str, whole: bool = True) -> int:
        if type(value) is not int or not self.least <= value <= self.most:
            said = _("A whole number from {least} to {most}.").format(least=self.least, most=self.most)
            raise BadPolicy(path, said)
        return value


@dataclass(frozen=True, slots=True)
class Named:
    """An object with these keys, each with its check."""

    parts: Mapping[str, Callable[[Any, str, bool], Any]]

    def __call__(self, value: Any, path: str, whole: bool) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise BadPolicy(path, _("An object with {names}.").format(names=", ".join(self.parts)))
        refuse_names(value, self.parts, path)
        if whole and (missing := [name for name in self.parts if name not in value]):
            raise missing_field(f"{path}.{missing[0]}")
        return {name: self.parts[name](value[name], f"{path}.{name}", whole) for name in self.parts if name in value}


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these values."""

    values: tuple[Any, ...]

    def __call__(self, value: Any, path: str, whole: bool = True) -> Any:
        if not any(type(value) is type(one) and value == one for one in self.values):
            names = ", ".join("null" if one is None else str(one).lower() for one in self.values)
            raise BadPolicy(path, _("One of {names}.").format(names=names))
        return value


def _threshold(value: Any, path: str, whole: bool) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise BadPolicy(path, _("A number from 0 to 1."))
    return float(value)


def _repeats(value: Any, path: str, whole: bool) -> list[int]:
    if not isinstance(value, list) or len(value) > MOST_REPEATS:
        raise BadPolicy(path, _("A list of at most {most} whole numbers.").format(most=MOST_REPEATS))
    kept = [Bounds(1, DAY)(one, f"{path}[{place}]") for place, one in enumerate(value)]
    for place, (before, one) in enumerate(pairwise(kept), 1):
        if one <= before:
            raise BadPolicy(f"{path}[{place}]", _("Each number is greater than the one before."))
    return kept


def _severity_list(value: Any, path: str, whole: bool) -> list[str]:
    if not isinstance(value, list) or len(value) > len(SEVERITY_NAMES):
        raise BadPolicy(path, _("A list of {names}.").format(names=", ".join(SEVERITY_NAMES)))
    named = [OneOf(SEVERITY_NAMES)(one, f"{path}[{place}]") for place, one in enumerate(value)]
    return [name for name in reversed(SEVERITY_NAMES) if name in named]


def _windows(value: Any, path: str, whole: bool) -> dict[str, int]:
    if not isinstance(value, dict) or len(value) > MOST_CHANNELS:
        raise BadPolicy(
            path, _("An object of at most {most} channels, each with its hours.").format(most=MOST_CHANNELS)
        )
    kept: dict[str, int] = {}
    for name, hours in value.items():
        channel, shown = name.lower(), answerable(name)
        if not CHANNEL.fullmatch(channel) or channel in kept:
            raise BadPolicy(f"{path}.{shown}", _("A channel is named once, by letters, digits, and . : _ - in it."))
        kept[channel] = Bounds(1, 720)(hours, f"{path}.{shown}")
    return kept


def _numbers(**bounds: tuple[int, int]) -> Named:
    return Named({name: Bounds(*both) for name, both in bounds.items()})


_OF_SIGNALS = Named({name: OneOf(SEVERITY_NAMES) for name in ROOM_SIGNALS})
_MINUTES = Bounds(1, DAY)
POLICY_FIELDS: Mapping[str, PolicyField] = {
    "severities": PolicyField({name: one.severity for name, one in ROOM_SIGNALS.items()}, _OF_SIGNALS, merges=True),
    "confidence_threshold": PolicyField(None, _threshold),
    "throttle_minutes": PolicyField(5, Bounds(0, DAY)),
    "repeat_minutes": PolicyField([5, 15, 35, 75], _repeats),
    "acknowledge_minutes": PolicyField(
        {"critical": 5, "warning": 10, "info": 10},
        _numbers(critical=(1, DAY), warning=(1, DAY), info=(1, DAY)),
        merges=True,
    ),
    "presence_minutes": PolicyField(15, _MINUTES),
    "return_minutes": PolicyField(5, _MINUTES),
    "stalled_minutes": PolicyField(10, _MINUTES),
    "handoff_minutes": PolicyField(3, _MINUTES),
    "escalate_minutes": PolicyField(
        {"critical": 3, "warning": 5}, _numbers(critical=(1, DAY), warning=(1, DAY)), merges=True
    ),
    "budget": PolicyField({"pushes": 6, "minutes": 10}, _numbers(pushes=(0, 1000), minutes=(1, DAY)), merges=True),
    "outage": PolicyField(
        {"rooms": 5, "minutes": 5, "clean_minutes": 10},
        _numbers(rooms=(0, 1000), minutes=(1, 60), clean_minutes=(1, DAY)),
        merges=True,
    ),
    "low_confidence": PolicyField(None, OneOf((None, "push", "digest"))),
    "quiet_hours_pass": PolicyField(["critical"], _severity_list),
    "detect_from_runs": PolicyField(True, OneOf((True, False))),
    "reply_window_hours": PolicyField({"whatsapp": 24}, _windows),
    "window_closing_hours": PolicyField(2, Bounds(0, 168)),
}
POLICY_DEFAULTS: Mapping[str, Any] = {name: one.default for name, one in POLICY_FIELDS.items()}


def refuse_names(sent: Iterable[str], known: Iterable[str], path: str = "") -> None:
    """Raise BadPolicy for the first name that is not known."""
    known = set(known)
    for name in sent:
        if name not in known:
            shown = answerable(name)
            field = f"{path}.{shown}" if path else shown
            raise BadPolicy(field, _("There is no {name} here.").format(name=shown), "unknown_field")


def missing_field(field: str) -> BadPolicy:
    """A policy of an org says everything."""
    return BadPolicy(field, _("This is required."), "missing_field")


def judge_policy(sent: Any, *, whole: bool) -> tuple[PolicyDocument, list[BadPolicy]]:
    """The document as it is kept, and everything that is wrong with what was sent. `whole`: an org's, without gaps.

    In one that is not whole null says the same as absent.
    """
    if not isinstance(sent, dict):
        return {}, [BadPolicy("", _("A policy is an object."), "invalid_body")]
    kept: PolicyDocument = {}
    wrong: list[BadPolicy] = []
    try:
        refuse_names(sent, POLICY_FIELDS)
    except BadPolicy as bad:
        wrong.append(bad)
    for name, field in POLICY_FIELDS.items():
        try:
            if name in sent and (whole or sent[name] is not None):
                kept[name] = field.check(sent[name], name, whole)
            elif whole:
                wrong.append(missing_field(name))
        except BadPolicy as bad:
            wrong.append(bad)
    return kept, wrong


def check_policy(sent: Any, *, whole: bool) -> PolicyDocument:
    """The document as it is kept. Raises BadPolicy for the first thing that is wrong."""
    kept, wrong = judge_policy(sent, whole=whole)
    if wrong:
        raise wrong[0]
    return kept


def merged_policy(below: Mapping[str, Any], own: Mapping[str, Any]) -> PolicyDocument:
    """What `own` says, and what it does not as in the policy `below` it."""
    found = {**below, **{name: value for name, value in own.items() if name in POLICY_FIELDS}}
    for name, value in own.items():
        if name in POLICY_FIELDS and POLICY_FIELDS[name].merges:
            found[name] = {**below.get(name, {}), **value}
    return found
