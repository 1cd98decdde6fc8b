"""What the fields of an item hold: ids brought to their one spelling, texts cleaned, masked and cut. Pure.

An alarm is worth more than its prose: a text never costs its item. An id, a number or a time that cannot be kept does.
A run and a review are records and no alarms (`judged_strictly`): what PostgreSQL cannot keep, what is too long or a
secret costs them, by field, and only personal data is masked.
"""

import hashlib
import math
import re
import typing
from collections.abc import Mapping
from typing import Any

import msgspec
from django.conf import settings

from alerts.items import TEXT, ActivityItem, ErrorInfo, EventItem, Handoff, Holds, ReceiptItem
from alerts.masking import MARGIN, REPLACED, mask, mask_cut, mask_values, masked_kinds, secret_key
from orgs.identifiers import BadIdentifier, identifier, spelled
from orgs.texts import BAD_TEXT, NAME_LENGTH, answerable
from runs.items import ReviewItem, RunItem

METADATA = 8 * 1024  # bytes of its JSON
DEPTH = 8  # levels of the metadata of a run
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
    for struct in (EventItem, ActivityItem, ReceiptItem, ErrorInfo, Handoff, RunItem, ReviewItem)
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
            made[name] = _other(value, path + name)
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
    _refuse_unsayable(made, path)
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


def _other(value: Any, path: str) -> Any:
    """The value of a field that holds a time, a number or one of some names, as sent: its type is looked at later.

    Half of a surrogate pair goes no further, for reading it as anything else than a text would be a fault of ours.
    """
    if isinstance(value, str):
        _refuse_unsayable(value, path)
    else:
        check_number(value, path)
    return value


def _refuse_unsayable(text: str, path: str) -> None:
    if BAD_TEXT.search(text):
        raise InvalidItem("bad_text", f"{path} holds a NUL or half of a surrogate pair.", path)


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
    if isinstance(value, int) and not -INTEGER <= value < INTEGER:  # an id of 20 digits: no alarm is lost over it
        return str(value)
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


# --- records ---------------------------------------------------------------------------------------------------------


def judged_strictly(
    raw: Mapping[str, Any], struct: type[msgspec.Struct], flags: set[str], altered: dict[str, str]
) -> dict[str, Any]:
    """As `judged`, of a record; `altered` gets, by field, the mark of what is not kept as it was sent.

    Raises InvalidItem.
    """
    declared = FIELDS[struct]
    made = {}
    for name, value in raw.items():
        holds = declared[name]
        if isinstance(holds, Holds):
            made[name] = _record_string(id_text(value), holds, name, flags, altered)
        elif holds is dict and isinstance(value, dict):
            made[name] = _record_entries(value, name, flags, altered)
        else:
            made[name] = _other(value, name)
    return made


def _record_string(value: Any, holds: Holds, path: str, flags: set[str], altered: dict[str, str]) -> Any:
    if not isinstance(value, str):
        return value  # of the wrong type: refused as such
    if holds.what != "text":
        made, value = _id(value, holds, path, flags), spelled(value)
    else:
        prose = holds.longest > NAME_LENGTH  # which may be cut; a name may not
        _refuse_unsayable(value, path)
        if len(value) > holds.longest and not prose:
            raise InvalidItem("too_long", f"{path} is over {holds.longest} characters.", path)
        made = _text(value, holds.longest, flags)
    _refuse_secret(value, made, path)
    if made != value:
        altered[path] = mark(value)
    return made


def _refuse_secret(before: str, after: str, path: str) -> None:
    if after.count(REPLACED) > before.count(REPLACED):
        raise InvalidItem("secret", f"{path} holds a secret, such as a key or a password. Send it without.", path)


def mark(value: Any) -> str:
    """What tells one value from another and gives neither away: only who has our secret key could try them out."""
    content = msgspec.json.encode(value, order="deterministic")
    return hashlib.blake2b(content, digest_size=12, key=settings.SECRET_KEY.encode()[:64]).hexdigest()


def _record_entries(entries: dict[str, Any], path: str, flags: set[str], altered: dict[str, str]) -> dict[str, Any]:
    """Entries of metadata (or of a rubric), by their masked names."""
    if len(msgspec.json.encode(_sayable(entries, path))) > METADATA:
        raise InvalidItem("too_long", f"{path} is over {METADATA // 1024} KiB of JSON.", path)
    made: dict[str, Any] = {}
    sent: dict[str, list[Any]] = {}  # what became something else
    for name, value in entries.items():
        kept_name, kept = _record_pair(name, value, path, 1)
        if kept_name != name or kept != value or kept_name in sent:
            sent.setdefault(kept_name, []).append([name, value])
        made[kept_name] = kept
    for name, pairs in sent.items():
        altered[f"{path}.{name}"] = mark(pairs)
    if sent:
        kinds = masked_kinds(entries, made)
        flags.add("masked" if kinds else "truncated")
    return made


def _record_pair(name: str, value: Any, path: str, depth: int) -> tuple[str, Any]:
    place = f"{path}.{answerable(name)}"
    if secret_key(name) and not isinstance(value, bool | None):
        raise InvalidItem("secret", f"{place} is named like a secret. Send it without.", place)
    kept_name = mask(cleaned(name))
    _refuse_secret(name, kept_name, place)
    return kept_name, _record_value(value, place, depth)


def _record_value(value: Any, path: str, depth: int) -> Any:
    if isinstance(value, str):
        made = mask(cleaned(value))
        _refuse_secret(value, made, path)
        return made
    if isinstance(value, dict | list):
        if depth >= DEPTH:
            raise InvalidItem("too_deep", f"{path} is nested more than {DEPTH} deep.", path)
        if isinstance(value, dict):
            return dict(_record_pair(name, inner, path, depth + 1) for name, inner in value.items())
        return [_record_value(inner, f"{path}[{index}]", depth + 1) for index, inner in enumerate(value)]
    return mask_values(value)


def _sayable(value: Any, path: str) -> Any:
    """The value itself. Raises InvalidItem for what cannot be kept at all: a NUL, half of a surrogate pair, 1e999."""
    if isinstance(value, str):
        _refuse_unsayable(value, path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            place = f"{path}.{answerable(name)}"
            _sayable(name, place)
            _sayable(inner, place)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _sayable(inner, f"{path}[{index}]")
    else:
        check_number(value, path)
    return value
