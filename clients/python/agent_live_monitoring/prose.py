"""An alarm is worth more than its prose: texts are made fit for the service, and what is not prose is left as it is."""

from __future__ import annotations

import json
import numbers
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

TEXTS = {  # characters that the service keeps
    "room_label": 200,
    "last_customer_text": 2000,
    "error.type": 200,
    "error.message": 2000,
    "handoff.reason": 2000,
    "handoff.source": 200,
    "handoff.target": 200,
}
NAMES = {
    "event_id", "activity_id", "org_id", "agent_name", "agent_version", "room_id", "run_id", "channel",
    "actor_sso_id", "actor_external_id", "review_id", "reviewer",
}  # fmt: skip
LOOKED_AT = {*TEXTS, "metadata"}  # a text that is any other field goes as it is
METADATA = 8 * 1024  # bytes of its JSON
DEPTH = 24  # of what is nested in metadata; the service takes 32 of a whole request
ODD = re.compile("[\x00\ud800-\udfff]")  # what no database keeps as text, and half an emoji


def fit(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields without those that are None, texts cut and cleaned, whole numbers as text where a name belongs.

    What was changed for that is named in `metadata.truncated`, where the caller's own metadata leaves room.
    """
    changed: list[str] = []
    item = {
        name: value if type(value) is str and name not in LOOKED_AT else _fitted(name, value, changed)
        for name, value in fields.items()
        if value is not None
    }
    metadata = item.get("metadata", {})
    if changed and isinstance(metadata, dict):
        marked = {"truncated": changed, **metadata}
        if _size(marked) <= METADATA:
            item["metadata"] = marked
    return item


def _fitted(name: str, value: Any, changed: list[str]) -> Any:
    if name in NAMES:
        whole = not isinstance(value, (str, bool)) and isinstance(value, numbers.Integral)
        return str(int(value)) if whole else value
    if name == "metadata":
        return _metadata(value, changed)
    if name in TEXTS:
        return _text(name, value, changed)
    if name in ("error", "handoff") and isinstance(value, Mapping):
        return {
            inner: _text(f"{name}.{inner}", text, changed) if f"{name}.{inner}" in TEXTS and text is not None else text
            for inner, text in value.items()
        }
    return value


def _text(name: str, value: Any, changed: list[str]) -> str:
    """A text for whatever was given as one; an exception as its message."""
    text = value if isinstance(value, str) else as_text(value)
    made = _clean(text)
    if len(made) > TEXTS[name]:
        made = made[: TEXTS[name] - 1] + "…"
    if made != text:
        changed.append(name)
    return made


def as_text(value: Any) -> str:
    """What somebody's value says; its type's name where it says nothing."""
    try:
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    except Exception:  # noqa: BLE001 - theirs, and no reason to lose the alarm
        return type(value).__name__


def _clean(text: str) -> str:
    """Two halves of an emoji are joined; one half alone, and a NUL, are shown as unreadable."""
    if not ODD.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\x00", "\ufffd")


def _metadata(value: Any, changed: list[str]) -> dict[Any, Any]:
    """What is no object, cannot be said in JSON, or is too deep or too large is left out whole."""
    with suppress(Exception):  # theirs, and no reason to lose the alarm
        if isinstance(value, dict) and _is_fit(value):
            return value
    with suppress(Exception):
        made = _clean_within(value, changed, DEPTH)
        if isinstance(made, dict) and _size(made) <= METADATA:
            return made
    if "metadata" not in changed:
        changed.append("metadata")
    return {}


def _is_fit(metadata: dict[Any, Any]) -> bool:
    """Whether nothing in it can be odd, too deep or too large, by its JSON alone. Raises what json does."""
    said = _raw.encode(metadata)
    shallow = said.count("{") + said.count("[") <= DEPTH
    return shallow and "\\u0000" not in said and len(said.encode()) <= METADATA


def _clean_within(value: Any, changed: list[str], depth: int) -> Any:
    if depth < 0:
        raise ValueError("too deep")
    if isinstance(value, str):
        made = _clean(value)
        if made != value and "metadata" not in changed:
            changed.append("metadata")
        return made
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, Mapping):
        return {
            _clean_within(key, changed, depth): _clean_within(inner, changed, depth - 1) for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_clean_within(inner, changed, depth - 1) for inner in value]
    return value


def _size(metadata: Mapping[Any, Any]) -> int:
    """Bytes of its JSON. Raises what json does, for what is none."""
    return len(_raw.encode(metadata).encode())


def say(value: object) -> object:
    """What json asks for values it does not know; numpy's numbers count as numbers. Raises TypeError."""
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise TypeError(f"the time {value.isoformat()} has no offset: say which zone it is of")
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, (numbers.Real, Decimal)):
        return float(value)
    raise TypeError(f"a {type(value).__name__} is no JSON value")


_raw = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=say)  # as it is kept
_said = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=say)


def in_json(item: Mapping[str, Any]) -> bytes:
    """An item as it goes over the wire. Raises what json does, for what is none."""
    return _said.encode(item).encode()
