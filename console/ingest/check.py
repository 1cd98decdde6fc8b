"""One item at a time: what it may hold, whose it is, when it was. Pure."""

import hashlib
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from alerts import times
from alerts.items import Accepted, ActivityItem, ErrorInfo, EventItem, Handoff, ReceiptItem, SignalName
from alerts.masking import mask, mask_values, secret_key

STRING, TEXT, ID = 200, 2000, 128  # characters
METADATA = 8 * 1024  # bytes of its JSON
COUNT = 2**31
INTEGER = 2**63
BAD_TEXT = re.compile("[\x00\ud800-\udfff]")

TEXTS = {"last_customer_text", "room_url", "error.message", "handoff.reason"}
IDS = {"event_id", "activity_id"}
NEEDS: Mapping[SignalName, tuple[str, ...]] = {
    "agent_error": ("error",),
    "unexpected_handoff": ("handoff",),
    "message_cap": ("message_count", "message_cap"),
    "low_confidence": ("confidence",),
    "help_requested": (),
}
EXPECTED: Mapping[Any, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    UUID: "a UUID",
    datetime: "a time with its offset, such as 2026-05-04T10:00:00+07:00",
}


class Invalid(Exception):
    """This item is refused; `field` within the item, empty for the item itself."""

    def __init__(self, code: str, message: str, name: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.field = name


@dataclass(frozen=True, slots=True)
class Kind:
    """What one endpoint takes."""

    struct: type[EventItem] | type[ActivityItem] | type[ReceiptItem]
    id_field: str
    time_field: str
    check: Callable[[Any], None] = field(default=lambda item: None)


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose items these may be: org pk by external id. `own`: the org of an org source, else None."""

    orgs: Mapping[str, int]
    own: str | None


def check(raw: Any, index: int, kind: Kind, sender: Sender, now: datetime) -> Accepted:
    """The item, clamped and masked, with the hash of what was sent. Raises Invalid."""
    org = _org(_object(raw), sender)
    item, flagged = convert(raw, kind, now)
    assert not isinstance(item, ReceiptItem)
    return Accepted(index, sender.orgs[org], item, _hash(raw, org), flagged)


def convert(raw: Any, kind: Kind, now: datetime) -> tuple[EventItem | ActivityItem | ReceiptItem, bool]:
    """The item, clamped and masked, and whether its clock was ahead. Raises Invalid."""
    _check_shape(_object(raw), kind.struct, "")
    for name, value in raw.items():
        _check_values(value, name)
    try:
        item = msgspec.convert(raw, kind.struct)
    except msgspec.ValidationError as error:
        raise _wrong_type(error, kind.struct) from None
    for name, text in _texts(item, ""):
        _check_length(name, text)
    kind.check(item)
    flagged = _check_times(item, kind, now)
    _mask(item)
    return item, flagged


def item_id(raw: Any, kind: Kind) -> str | None:
    """The id as sent, to name the item in its result; None if it is not usable as one."""
    value = raw.get(kind.id_field) if isinstance(raw, dict) else None
    usable = isinstance(value, str) and len(value) <= ID and not BAD_TEXT.search(value)
    return value if usable else None


def named_orgs(items: list[Any]) -> set[str]:
    """The org ids named by these items that could exist at all."""
    named = {raw["org_id"] for raw in items if isinstance(raw, dict) and isinstance(raw.get("org_id"), str)}
    return {name for name in named if len(name) <= STRING and not BAD_TEXT.search(name)}


# --- whose it is ---------------------------------------------------------------------------------------------


def _object(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Invalid("invalid_item", "Each item is a JSON object.")
    return raw


def _org(raw: dict[str, Any], sender: Sender) -> str:
    """The external id. One message for an unknown org and another's: nobody learns which orgs there are."""
    named = raw.get("org_id")
    if named is None and sender.own is not None:
        return sender.own
    if named is None:
        raise Invalid("missing_field", "A platform source names org_id in each item.", "org_id")
    if not isinstance(named, str) or named not in sender.orgs:
        raise Invalid("unknown_org", "This key may not write for this org, or there is no such org.", "org_id")
    return named


def _hash(raw: dict[str, Any], org: str) -> bytes:
    """SHA-256 of the item as sent: keys sorted, null the same as absent, its org named."""
    normalised = {name: value for name, value in raw.items() if value is not None} | {"org_id": org}
    return hashlib.sha256(msgspec.json.encode(normalised, order="deterministic")).digest()


# --- what it may hold ----------------------------------------------------------------------------------------


def _shapes(*structs: type[msgspec.Struct]) -> dict[type, tuple[frozenset[str], tuple[str, ...]]]:
    """All field names, and the required ones, of each struct."""
    fields = {struct: msgspec.structs.fields(struct) for struct in structs}
    return {
        struct: (frozenset(f.name for f in own), tuple(f.name for f in own if f.required))
        for struct, own in fields.items()
    }


SHAPES = _shapes(EventItem, ActivityItem, ReceiptItem, ErrorInfo, Handoff)
NESTED: Mapping[str, type[msgspec.Struct]] = {"error": ErrorInfo, "handoff": Handoff}


def _check_shape(raw: dict[str, Any], struct: type, path: str) -> None:
    names, required = SHAPES[struct]
    for name in raw:
        if name not in names:
            shown = path + _shown(name)
            raise Invalid("unknown_field", f"There is no field {shown}. Free content goes under metadata.", shown)
    for name in required:
        value = raw.get(name)
        if value is None:
            raise Invalid("missing_field", f"{path}{name} is required.", path + name)
        if isinstance(value, str) and not value.strip():
            raise Invalid("missing_field", f"{path}{name} must not be blank.", path + name)
    for name, nested in NESTED.items():
        if name in names and isinstance(raw.get(name), dict):
            _check_shape(raw[name], nested, f"{name}.")


def _shown(name: str) -> str:
    """A name the sender chose, fit to be answered."""
    return name[:100].encode(errors="replace").decode()


def _check_values(value: Any, path: str) -> None:
    """Raise Invalid for what JSON can say and PostgreSQL cannot keep."""
    if isinstance(value, str):
        if BAD_TEXT.search(value):
            raise Invalid("bad_text", f"{path} holds a NUL or half of a surrogate pair.", path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Invalid("bad_number", f"{path} is a number beyond every limit.", path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_values(name, path)
            _check_values(inner, f"{path}.{name[:100]}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_values(inner, f"{path}[{index}]")
    elif isinstance(value, int) and not -INTEGER <= value < INTEGER:
        raise Invalid("bad_number", f"{path} is a number beyond every limit.", path)


def _wrong_type(error: msgspec.ValidationError, struct: type) -> Invalid:
    path = str(error).rpartition(" - at `$")[2].strip(".`")
    if not path or path.partition(".")[0] not in SHAPES[struct][0]:
        return Invalid("invalid_item", "This item is not what the contract says.")
    return Invalid("invalid_item", f"{path} must be {_expected(struct, path)}.", path)


def _expected(struct: type, path: str) -> str:
    first, _, rest = path.partition(".")
    hint = typing.get_type_hints(struct)[first]
    if isinstance(hint, types.UnionType):
        hint = typing.get_args(hint)[0]
    if rest and first in NESTED:
        return _expected(NESTED[first], rest)
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(typing.get_args(hint))
    return EXPECTED.get(hint, "an object")


def _texts(item: msgspec.Struct, path: str) -> Iterator[tuple[str, str]]:
    for name in item.__struct_fields__:
        value = getattr(item, name)
        if isinstance(value, str):
            yield path + name, value
        elif isinstance(value, msgspec.Struct):
            yield from _texts(value, f"{name}.")


def _check_length(name: str, text: str) -> None:
    limit = ID if name in IDS else TEXT if name in TEXTS else STRING
    if len(text) > limit:
        raise Invalid("too_long", f"{name} is over {limit} characters.", name)


def check_event(item: EventItem) -> None:
    """What a failure event must hold beyond its types: ranges, what its signal needs, fit metadata."""
    for name in ("confidence", "threshold"):
        value = getattr(item, name)
        if value is not None and not 0 <= value <= 1:
            raise Invalid("invalid_item", f"{name} must be between 0 and 1.", name)
    for name in ("message_count", "message_cap"):
        count = getattr(item, name)
        if count is not None and not 0 <= count < COUNT:
            raise Invalid("invalid_item", f"{name} must be a whole number from 0 to {COUNT - 1}.", name)
    for name in NEEDS[item.signal]:
        if getattr(item, name) is None:
            raise Invalid("missing_field", f"The signal {item.signal} needs {name}.", name)
    if item.metadata:
        if len(msgspec.json.encode(item.metadata)) > METADATA:
            raise Invalid("too_long", "metadata is over 8 KiB of JSON.", "metadata")
        _check_secrets(item.metadata, "metadata")


def _check_secrets(value: Any, path: str) -> None:
    if isinstance(value, list):
        for index, inner in enumerate(value):
            _check_secrets(inner, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, inner in value.items():
            here = f"{path}.{name[:100]}"
            if secret_key(name) and not isinstance(inner, bool | None):
                raise Invalid("secret_in_metadata", f"{here} looks like a secret. Leave it out.", here)
            _check_secrets(inner, here)


# --- when it was ---------------------------------------------------------------------------------------------


def _check_times(item: EventItem | ActivityItem | ReceiptItem, kind: Kind, now: datetime) -> bool:
    """Clamp the item's times to `now`, in UTC; True if one was more than 5 min ahead. Raises Invalid."""
    at, flagged = _time(getattr(item, kind.time_field), kind.time_field, now)
    setattr(item, kind.time_field, at)
    if isinstance(item, EventItem) and item.customer_waiting_since is not None:
        since, ahead = _time(item.customer_waiting_since, "customer_waiting_since", now)
        item.customer_waiting_since = min(since, now)  # nobody waits since later than now
        flagged = flagged or ahead
    return flagged


def _time(value: datetime, name: str, now: datetime) -> tuple[datetime, bool]:
    try:
        return times.judge(value, now)
    except times.BadTime as error:
        code = "invalid_item" if error.code == "naive" else error.code
        raise Invalid(code, f"{name} {error.message}", name) from None


# --- personal data -------------------------------------------------------------------------------------------


def _mask(item: EventItem | ActivityItem | ReceiptItem) -> None:
    if not isinstance(item, EventItem):
        return
    item.last_customer_text = _masked(item.last_customer_text)
    if item.error is not None:
        item.error.message = _masked(item.error.message)
    if item.handoff is not None:
        item.handoff.reason = _masked(item.handoff.reason)
    if item.metadata:
        item.metadata = mask_values(item.metadata)


def _masked(text: str | None) -> str | None:
    return mask(text)[:TEXT] if text else text


EVENTS = Kind(EventItem, "event_id", "occurred_at", check_event)
ACTIVITY = Kind(ActivityItem, "activity_id", "at")
RECEIPTS = Kind(ReceiptItem, "idempotency_key", "at")
