"""One item at a time: what it may hold, whose it is, when it was. Pure."""

import hashlib
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Literal
from uuid import UUID

import msgspec

from alerts import times
from alerts.items import Accepted, ActivityItem, ErrorInfo, EventItem, Handoff, Holds, ItemT, ReceiptItem
from console.ingest.fields import FIELDS, InvalidItem, id_text, judged, judged_strictly
from orgs.identifiers import BadIdentifier, identifier, spelled
from orgs.signals import ROOM_SIGNALS
from orgs.texts import BAD_TEXT, answerable

COUNT = 2**31

EXPECTED: Mapping[Any, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    UUID: "a UUID",
    datetime: "a time with its offset, such as 2026-05-04T10:00:00+07:00",
    dict[str, int]: "an object of whole numbers",
}


@dataclass(frozen=True, slots=True)
class ItemKind(Generic[ItemT]):
    """What one endpoint takes."""

    struct: type[ItemT]
    id_field: str
    time_field: str
    check: Callable[[ItemT], None] = field(default=lambda item: None)
    record: bool = False  # and no alarm: see `console.ingest.fields`
    hashed: bool = True  # repeats are told by the hash of the whole item
    times: tuple[str, ...] = ()  # of a record


@dataclass(frozen=True, slots=True)
class ItemSender:
    """Whose items these may be: org pk by external id. `own`: the org of an org source, else None."""

    orgs: Mapping[str, int]
    own: str | None


def check(raw: Any, index: int, kind: ItemKind[ItemT], sender: ItemSender, now: datetime) -> Accepted[ItemT]:
    """The item, clamped and masked, with the hash of what was sent. Raises InvalidItem."""
    org = _org(_object(raw), sender)
    altered: dict[str, str] = {}
    item, flags = convert(raw, kind, now, altered)
    texts = sorted(flags - {"clock"})
    content = _hash(raw, kind.struct, org) if kind.hashed else b""
    return Accepted(index, sender.orgs[org], item, content, "clock" in flags, flags=texts, altered=altered)


def convert(
    raw: Any, kind: ItemKind[ItemT], now: datetime, altered: dict[str, str] | None = None
) -> tuple[ItemT, set[str]]:
    """The item, clamped and masked, and its flags: `clock` if its clock was ahead, and those of Accepted.

    The times of a record are judged and not clamped: how long it took lies between them. `altered` gets what Accepted
    says. Raises InvalidItem.
    """
    flags: set[str] = set()
    _check_shape(_object(raw), kind.struct, "")
    if kind.record:
        made = judged_strictly(raw, kind.struct, flags, {} if altered is None else altered)
    else:
        made = judged(raw, kind.struct, flags)
    try:
        item = msgspec.convert(made, kind.struct)
    except msgspec.ValidationError as error:
        raise _wrong_type(error, kind.struct) from None
    if kind.record and _check_record_times(item, kind, now):
        flags.add("clock")
    kind.check(item)
    if not kind.record and _check_times(item, kind, now):
        flags.add("clock")
    return item, flags


def item_id(raw: Any, kind: ItemKind[Any]) -> str | None:
    """The id as sent, to name the item in its result; None if it is not usable as one."""
    value = id_text(raw.get(kind.id_field)) if isinstance(raw, dict) else None
    holds = FIELDS[kind.struct][kind.id_field]
    longest = holds.longest if isinstance(holds, Holds) else len(str(UUID(int=0)))
    usable = isinstance(value, str) and len(value) <= longest and not BAD_TEXT.search(value)
    return value if usable else None


def named_orgs(items: list[Any]) -> set[str]:
    """The org ids named by these items that could exist at all."""
    return {name for raw in items if isinstance(raw, dict) and (name := sender_org(raw))}


# --- whose it is ---------------------------------------------------------------------------------------------


def _object(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise InvalidItem("invalid_item", "Each item is a JSON object.")
    return raw


def _org(raw: dict[str, Any], sender: ItemSender) -> str:
    """The external id. One message for an unknown org and another's: nobody learns which orgs there are."""
    named = raw.get("org_id")
    if named is None and sender.own is not None:
        return sender.own
    if named is None:
        raise InvalidItem("missing_field", "A platform source names org_id in each item.", "org_id")
    org = sender_org(raw)
    if org not in sender.orgs:
        raise InvalidItem("unknown_org", "This key may not write for this org, or there is no such org.", "org_id")
    return org


def sender_org(raw: Mapping[str, Any]) -> str:
    """The org id an item names, in its one spelling; empty: none that could exist."""
    named = id_text(raw.get("org_id"))
    try:
        return identifier(named) if isinstance(named, str) else ""
    except BadIdentifier:
        return ""


def _hash(raw: dict[str, Any], struct: type[msgspec.Struct], org: str) -> bytes:
    """SHA-256 of the item as sent, in the one way to say it: keys sorted, its org named."""
    normalised = _normalised(raw, struct) | {"org_id": org}
    try:
        content = msgspec.json.encode(normalised, order="deterministic")
    except (UnicodeEncodeError, OverflowError):  # half of a surrogate pair in a text; a number of more than 64 bits
        content = json.dumps(normalised, sort_keys=True).encode()
    return hashlib.sha256(content).digest()


def _normalised(raw: Mapping[str, Any], struct: type[msgspec.Struct]) -> dict[str, Any]:
    """What was sent, null the same as absent, numbers that stand for texts as text, identifiers in their one spelling:
    who says the same in another way repeats it.
    """
    texts, identifiers = TEXTS[struct], IDENTIFIERS[struct]
    made: dict[str, Any] = {}
    for name, value in raw.items():
        if type(value) is str:
            made[name] = spelled(value) if name in identifiers else value
        elif type(value) is int:
            made[name] = str(value) if name in texts else value
        elif value is not None:
            made[name] = _normalised(value, NESTED[name]) if name in NESTED else value
    return made


# --- what it may hold ----------------------------------------------------------------------------------------


REQUIRED = {struct: [field.name for field in msgspec.structs.fields(struct) if field.required] for struct in FIELDS}
NESTED: Mapping[str, type[msgspec.Struct]] = {"error": ErrorInfo, "handoff": Handoff}
TEXTS = {struct: {name for name, holds in held.items() if isinstance(holds, Holds)} for struct, held in FIELDS.items()}
IDENTIFIERS = {
    struct: {name for name in TEXTS[struct] if held[name].what == "identifier"} | {"run_id"}
    for struct, held in FIELDS.items()
}


def _check_shape(raw: dict[str, Any], struct: type[msgspec.Struct], path: str) -> None:
    names = FIELDS[struct]
    for name in raw:
        if name not in names:
            shown = path + answerable(name)
            free = " Free content goes under metadata." if path or "metadata" in names else ""
            raise InvalidItem("unknown_field", f"There is no field {shown}.{free}", shown)
    for name in REQUIRED[struct]:
        value = raw.get(name)
        if value is None:
            raise InvalidItem("missing_field", f"{path}{name} is required.", path + name)
        if isinstance(value, str) and not value.strip():
            raise InvalidItem("missing_field", f"{path}{name} must not be blank.", path + name)
    for name, nested in NESTED.items():
        if name in names and isinstance(raw.get(name), dict):
            _check_shape(raw[name], nested, f"{name}.")


def _wrong_type(error: msgspec.ValidationError, struct: type[msgspec.Struct]) -> InvalidItem:
    path = str(error).rpartition(" - at `$")[2].strip(".`").partition("[")[0]  # within a rubric: the rubric
    if not path or path.partition(".")[0] not in FIELDS[struct]:
        return InvalidItem("invalid_item", "This item is not what the contract says.")
    return InvalidItem("invalid_item", f"{path} must be {_expected(struct, path)}.", path)


def _expected(struct: type[msgspec.Struct], path: str) -> str:
    first, _, rest = path.partition(".")
    hint = typing.get_type_hints(struct)[first]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):  # the latter of a Literal, or of what was Annotated
        if {float, str} < set(typing.get_args(hint)):
            return "a number, or its digits as text"
        hint = typing.get_args(hint)[0]
    if rest and first in NESTED:
        return _expected(NESTED[first], rest)
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(typing.get_args(hint))
    return EXPECTED.get(hint, "an object")


def check_event(item: EventItem) -> None:
    """What a failure event must hold beyond its types: ranges, what its signal needs."""
    for name in ("confidence", "threshold"):
        value = getattr(item, name)
        if value is not None and not 0 <= value <= 1:
            raise InvalidItem("invalid_item", f"{name} must be between 0 and 1.", name)
    for name in ("message_count", "message_cap"):
        count = getattr(item, name)
        if count is not None and not 0 <= count < COUNT:
            raise InvalidItem("invalid_item", f"{name} must be a whole number from 0 to {COUNT - 1}.", name)
    for name in ROOM_SIGNALS[item.signal].needs:
        if getattr(item, name) is None:
            raise InvalidItem("missing_field", f"The signal {item.signal} needs {name}.", name)


# --- when it was ---------------------------------------------------------------------------------------------


def _check_times(item: ItemT, kind: ItemKind[ItemT], now: datetime) -> bool:
    """Clamp the item's times to `now`, in UTC; True if one was more than 5 min ahead. Raises InvalidItem."""
    at, flagged = _time(getattr(item, kind.time_field), kind.time_field, now)
    setattr(item, kind.time_field, at)
    if isinstance(item, EventItem) and item.customer_waiting_since is not None:
        since, ahead = _time(item.customer_waiting_since, "customer_waiting_since", now)
        item.customer_waiting_since = min(since, now)  # nobody waits since later than now
        flagged = flagged or ahead
    return flagged


def _check_record_times(item: ItemT, kind: ItemKind[ItemT], now: datetime) -> bool:
    """Bring a record's times to UTC, as sent; True if one was more than 5 min ahead. Raises InvalidItem."""
    flagged = False
    for name in kind.times:
        value = getattr(item, name)
        if value is not None:
            flagged |= _time(value, name, now, record=True)[1]
            setattr(item, name, value.astimezone(UTC))
    return flagged


def _time(value: datetime, name: str, now: datetime, *, record: bool = False) -> tuple[datetime, bool]:
    try:
        return times.judge_time(value, now, record=record)
    except times.BadTime as error:
        code = "invalid_item" if error.code == "naive" else error.code
        raise InvalidItem(code, f"{name} {error.message}", name) from None


EVENTS = ItemKind(EventItem, "event_id", "occurred_at", check_event)
ACTIVITY = ItemKind(ActivityItem, "activity_id", "at")
RECEIPTS = ItemKind(ReceiptItem, "idempotency_key", "at")
