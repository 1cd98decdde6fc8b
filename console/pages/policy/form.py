"""The form of a policy: a document as what stands in its inputs, and back. Every input is named by its field's path."""

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from orgs.policies import flat_policy
from orgs.policy_fields import POLICY_DEFAULTS, PolicyDocument

WINDOWS, CHANNELS, HOURS = "reply_window_hours", "reply_channel", "reply_hours"
NOTHING, AUTO = "none", "auto"  # said of lists that are empty, and of what is null
DIGITS = 12  # of a number that is worth reading
PATHS = [name for name in flat_policy(POLICY_DEFAULTS) if not name.startswith(WINDOWS)]
Entered = dict[str, str]  # by path
Windows = list[tuple[str, str]]  # channel and hours, as entered


def entered_of(document: Mapping[str, Any]) -> Entered:
    """What stands in the inputs for this document; nothing for what it does not say."""
    flat = flat_policy(document)
    return {path: _entered(path, flat[path]) if path in flat else "" for path in PATHS}


def _entered(path: str, value: Any) -> str:
    if path == "repeat_minutes":
        return ", ".join(str(minutes) for minutes in value) or "0"
    if path == "quiet_hours_pass":
        return ",".join(value) or NOTHING
    if path == "low_confidence":
        return value or AUTO
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def windows_of(document: Mapping[str, Any]) -> Windows:
    """The channels of the document and their hours."""
    return [(channel, str(hours)) for channel, hours in document.get(WINDOWS, {}).items()]


def entered_in(data: QueryDict) -> tuple[Entered, Windows]:
    """What somebody entered."""
    pairs = zip(data.getlist(CHANNELS), data.getlist(HOURS), strict=False)
    windows = [(channel.strip(), hours.strip()) for channel, hours in pairs]
    return {path: data.get(path, "").strip() for path in PATHS}, [one for one in windows if any(one)]


def document_in(entered: Entered, windows: Windows, *, whole: bool) -> PolicyDocument:
    """The document that was entered, to be judged: what cannot be read stays text, which no field takes.

    `whole`: an org's, in which an empty input says nothing instead of "as the org has it".
    """
    found: PolicyDocument = {}
    for path, text in entered.items():
        name, _, part = path.partition(".")
        if not text and not (whole and name == "confidence_threshold"):
            continue
        value = _value(path, text)
        if part:
            found.setdefault(name, {})[part] = value
        else:
            found[name] = value
    if whole or windows:
        found[WINDOWS] = {channel: _number(hours) for channel, hours in windows}
    return found


def _value(path: str, text: str) -> Any:
    if path == "repeat_minutes":
        return [] if text == "0" else [_number(part.strip()) for part in text.split(",")]
    if path == "quiet_hours_pass":
        return [] if text == NOTHING else text.split(",")
    if path == "low_confidence":
        return None if text == AUTO else text
    if path == "detect_from_runs":
        return {"yes": True, "no": False}.get(text, text)
    if path == "confidence_threshold":
        return _fraction(text)
    return text if path.startswith("severities.") else _number(text)


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else text


def _fraction(text: str) -> float | str | None:
    if not text:
        return None
    try:
        return float(text.replace(",", ".")) if len(text) <= DIGITS else text
    except ValueError:
        return text


def input_of(field: str) -> str:
    """The path of the input that a wrong field stands in."""
    name = field.partition("[")[0]
    if name.startswith(WINDOWS):
        return WINDOWS
    return next((path for path in PATHS if path == name or path.startswith(f"{name}.")), name)
