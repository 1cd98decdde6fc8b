"""What the fields of an item hold: ids brought to their one spelling, texts cleaned, masked and cut. Pure.

An alarm is worth more than its prose: a text never costs its item. An id, a number or a time that cannot be kept does.
"""

import math
import re
import typing
from collections.abc import Mapping
from typing import Any

import msgspec

from alerts.items import TEXT, ActivityItem, ErrorInfo, EventItem, Handoff, Holds, ReceiptItem
from alerts.masking import MARGIN, mask, mask_cut, mask_values, masked_kinds
from orgs.identifiers import BadIdentifier, identifier
from orgs.texts import BAD_TEXT

METADATA = 8 * 1024  # bytes of its JSON
INTEGER = 2**63
ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class InvalidItem(Exception):
    """This item is refused; `field` within the item, empty for the item itself."""

    def __init__(self, code: str, message: str, name: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.field = name


# --- what is declared ------------------------------------------------------------------------------------------------


def _declared(hint: Any) -> Any:
    """Of a field's type: what its string holds, the struct nested in it, `dict` for metadata, else None."""
    options = [option for option in typing.get_args(hint) or (hint,) if option is not type(None)]
    first = hint if typing.get_origin(hint) is typing.Annotated else options[0]
    if typing.get_origin(first) is typing.Annotated:
        return typing.get_args(first)[1]
    if first is str:
        return TEXT
    if typing.get_origin(first) is dict:
        return dict
    return first if isinstance(first, type) and issubclass(first, msgspec.Struct) else None


FIELDS: Mapping[type[msgspec.Struct], Mapping[str, Any]] = {
    struct: {name: _declared(hint) for name, hint in typing.get_type_hints(struct, include_extras=True).items()}
    for struct in (EventItem, ActivityItem, ReceiptItem, ErrorInfo, Handoff)
}


# --- what is sent ----------------------------------------------------------------------------------------------------


def judged(raw: Mapping[str, Any], struct: type[msgspec.Struct], flags: set[str], path: str = "") -> dict[str, Any]:
    """The fields of an item as they may be kept, all of them known; `flags` gets what was done. Raises InvalidItem."""
    declared = FIELDS[struct]
    made = {}
    for name, value in raw.items():
        holds = declared[name]
        if isinstance(holds, Holds):
            made[name] = _string(value, holds, path + name, flags)
        elif holds is not None and isinstance(value, dict):
            made[name] = _metadata(value, flags) if holds is dict else judged(value, holds, flags, f"{name}.")
        else:
            check_number(value, path + name)
            made[name] = value
    return made


def id_text(value: Any) -> Any:
    """A whole number that stands for an id or a text (an HTTP status as the type of an error) as text."""
    return str(value) if type(value) is int else value


def _string(value: Any, holds: Holds, path: str, flags: set[str]) -> Any:
    value = id_text(value)
    if not isinstance(value, str):
        return value  # of the wrong type: refused as such
    if holds.what == "text":
        return _text(value, holds.longest, flags)
    if holds.what == "link":
        return _link(value, holds.longest, flags)
    return _id(value, holds, path, flags)


def _id(value: str, holds: Holds, path: str, flags: set[str]) -> str:
    try:
        made = identifier(value) if holds.what == "identifier" else value
    except BadIdentifier as bad:
        raise InvalidItem("bad_text", f"{path} holds a character that cannot be seen ({bad}).", path) from None
    if BAD_TEXT.search(made):
        raise InvalidItem("bad_text", f"{path} holds a NUL or half of a surrogate pair.", path)
    if len(made) > holds.longest:
        raise InvalidItem("too_long", f"{path} is over {holds.longest} characters.", path)
    if not holds.masked:
        return made
    _tell(made, shown := mask(made), flags)
    return shown[: holds.longest]


def _text(value: str, longest: int, flags: set[str]) -> str:
    clean = cleaned(value[: longest + MARGIN + 1])
    if len(value) > longest or clean != value:
        flags.add("truncated")
    _tell(clean, made := mask_cut(clean, longest), flags)
    return made


def cleaned(text: str) -> str:
    """`text` without control characters but tab and line breaks; for what is lost of a character its usual sign."""
    return ODD.sub("\ufffd", text) if not text.isprintable() else text


def _link(value: str, longest: int, flags: set[str]) -> str | None:
    """A link that is cut, or masked, leads somewhere else: the org's own template is better."""
    if len(value) > longest or not value.isprintable():
        flags.add("truncated")
        return None
    _tell(value, made := mask(value), flags)
    return value if made == value else None


def _tell(before: Any, after: Any, flags: set[str]) -> None:
    if kinds := masked_kinds(before, after):
        flags |= ({"secret"} & kinds) | ({"masked"} if kinds - {"secret"} else set())


# --- numbers and metadata --------------------------------------------------------------------------------------------


def check_number(value: Any, path: str) -> None:
    """Raise InvalidItem for a number that JSON can say and PostgreSQL cannot keep."""
    endless = isinstance(value, float) and not math.isfinite(value)
    if endless or (isinstance(value, int) and not -INTEGER <= value < INTEGER):
        raise InvalidItem("bad_number", f"{path} is a number beyond every limit.", path)


def _metadata(value: dict[str, Any], flags: set[str]) -> dict[str, Any]:
    clean = _clean_values(value, "metadata")
    if clean != value or isinstance(value.get("truncated"), list):  # so a client names what it cut itself
        flags.add("truncated")
    kept = _fitting(clean)
    _tell(kept, masked := mask_values(kept), flags)
    fitting = _fitting(masked) if masked != kept else kept
    if len(fitting) < len(clean):
        flags.add("truncated")
    return fitting


def _clean_values(value: Any, path: str) -> Any:
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, dict):
        named = ((cleaned(name), inner) for name, inner in value.items())
        return {name: _clean_values(inner, f"{path}.{name[:100]}") for name, inner in named}
    if isinstance(value, list):
        return [_clean_values(inner, f"{path}[{index}]") for index, inner in enumerate(value)]
    check_number(value, path)
    return value


def _fitting(metadata: dict[str, Any]) -> dict[str, Any]:
    """As many of its entries, in their order, as 8 KiB of JSON hold."""
    if len(msgspec.json.encode(metadata)) <= METADATA:
        return metadata
    kept: dict[str, Any] = {}
    size = len("{}")
    for name, inner in metadata.items():
        size += len(msgspec.json.encode({name: inner})) - 1
        if size > METADATA:
            break
        kept[name] = inner
    return kept
