"""What a caller of the API sent, read strictly: the JSON body and the query. Each error names what is wrong."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from rest_framework.request import Request

from orgs.errors import Refused
from orgs.strict_json import DEPTH_LIMIT, BadJson, parse_json
from orgs.texts import BAD_TEXT, NAME_LENGTH, TEXT_LENGTH, answerable

OBJECT_LIMIT = 64 * 1024  # bytes; the longest single object is a verdict with its note
LIST_LIMIT = 2 * 1024 * 1024
UNREADABLE = {
    "not_json": "The body is not JSON in UTF-8.",
    "duplicate_key": "The body names a field twice.",
    "too_deep": f"The body is nested deeper than {DEPTH_LIMIT}.",
}
DAY = re.compile(r"\d{4}-\d\d-\d\d")
PLUS_LOST = re.compile(r" (\d\d:\d\d)$")  # an offset whose + was not percent-encoded


# --- the body ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body: text of at most `longest` characters, a time, a whole number, or true and false (`flag`).

    Or what `read(name, value)` makes of it, which raises Refused. `null`: null says something, and is kept.
    """

    required: bool = False
    time: bool = False
    number: bool = False
    flag: bool = False
    longest: int = NAME_LENGTH
    null: bool = False
    read: Callable[[str, Any], Any] | None = None


def read_body(request: Request, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The fields of the body, texts as str and times as aware UTC datetimes, without those that are null.

    No body at all is an empty object. Raises Refused: 400, 413, 415, 422.
    """
    return check_fields(read_object(request), fields)


def read_object(request: Request) -> dict[str, Any]:
    """The body, as it was sent, for whoever judges its fields. Raises Refused: 400, 413, 415, 422."""
    sent = _read(request, OBJECT_LIMIT)
    if not isinstance(sent, dict):
        raise Refused(422, "invalid_body", "The body is one JSON object.")
    return sent


def read_list(request: Request, name: str, most: int) -> list[Any]:
    """The items of a body that is `{name: [...]}`, or the array alone, as they were sent; see `check_fields`.

    Raises Refused: 400, 413, 415, 422.
    """
    sent = _read(request, LIST_LIMIT)
    if isinstance(sent, dict):
        _refuse_unknown(sent, (name,))
        if sent.get(name) is None:
            raise Refused(422, "missing_field", f"{name} is required.", name)
        sent = sent[name]
    if not isinstance(sent, list):
        raise Refused(422, "invalid_field", f"{name} must be an array.", name)
    if len(sent) > most:
        raise Refused(413, "too_many_items", f"{name} has more than {most} items.", name)
    return sent


def _read(request: Request, limit: int) -> Any:
    content = request._request.read(limit + 1)
    if len(content) > limit:
        raise Refused(413, "too_large", f"The body is over {limit // 1024} KiB.")
    sent = content or request.META.get("CONTENT_LENGTH") not in (None, "", "0")  # a form may have been read before us
    if sent and not is_json(request.content_type or ""):
        raise Refused(415, "unsupported_type", "Send application/json in UTF-8.")
    try:
        return parse_json(content) if content.strip() else {}
    except BadJson as error:
        raise Refused(400, error.code, UNREADABLE[error.code]) from None


def is_json(content_type: str) -> bool:
    """Whether a Content-Type is JSON in UTF-8, which is also what none names; other parameters mean nothing."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    pairs = [part.partition("=") for part in parameters]
    charsets = {value.strip(' "') for name, _, value in pairs if name.strip() == "charset"}
    return kind == "application/json" and charsets <= {"utf-8", "utf8"}


def check_fields(sent: Any, fields: Mapping[str, Field]) -> dict[str, Any]:
    """One object of a body, as `read_body` gives it. Raises Refused (422)."""
    if not isinstance(sent, dict):
        raise Refused(422, "invalid_item", "An item is a JSON object.")
    _refuse_unknown(sent, fields)
    given = {name: value for name, value in sent.items() if value is not None or fields[name].null}
    for name, field in fields.items():
        if field.required and name not in given:
            raise Refused(422, "missing_field", f"{name} is required.", name)
    return {name: None if value is None else check_value(name, value, fields[name]) for name, value in given.items()}


def _refuse_unknown(sent: Iterable[str], known: Collection[str], what: str = "field") -> None:
    for name in sent:
        if name not in known:
            shown = answerable(name)
            raise Refused(422, f"unknown_{what}", f"There is no {what} {shown} here.", shown)


def check_value(name: str, value: Any, field: Field) -> Any:
    """A value as `field` says. Raises Refused (422), which names it."""
    if field.read is not None:
        return field.read(name, value)
    if field.flag:
        if not isinstance(value, bool):
            raise Refused(422, "invalid_field", f"{name} must be true or false.", name)
        return value
    if field.number:
        if type(value) is not int:
            raise Refused(422, "invalid_field", f"{name} must be a whole number.", name)
        return value
    if not isinstance(value, str):
        wanted = "a time with its offset, such as 2026-05-04T10:00:00+07:00" if field.time else "a string"
        raise Refused(422, "invalid_field", f"{name} must be {wanted}.", name)
    if BAD_TEXT.search(value):
        raise Refused(422, "bad_text", f"{name} holds a NUL or half of a surrogate pair.", name)
    if len(value) > field.longest:
        raise Refused(422, "too_long", f"{name} is over {field.longest} characters.", name)
    if not field.time:
        return value
    return parse_time(value, name, "invalid_field")


def parse_time(value: str, name: str, code: str) -> datetime:
    """An RFC 3339 time with its offset, as UTC. Raises Refused (422)."""
    try:
        at = msgspec.convert(value, datetime)
        if at.tzinfo is None:
            raise ValueError("naive")
        return at.astimezone(UTC)
    except (msgspec.ValidationError, ValueError, OverflowError):
        message = f"{name} must be a time with its offset, such as 2026-05-04T10:00:00+07:00."
        raise Refused(422, code, message, name) from None


# --- the query ---------------------------------------------------------------------------------------------------


def bounded_number(text: str, default: int, most: int) -> int:
    """A whole number of a page's address: at most `most`; `default` for none, 0 and what is no number."""
    digits = text.lstrip("0")[:9] if text.isascii() and text.isdecimal() else ""
    return min(int(digits or default), most)


def _refuse_bytes(query: str) -> None:
    """Raise Refused (422) for what is not UTF-8, which Django would read as another text, and find nothing."""
    for name, value in parse_qsl(query, keep_blank_values=True, errors="surrogateescape") if "%" in query else ():
        if BAD_TEXT.search(name + value):
            shown = answerable(name)
            raise Refused(422, "invalid_parameter", f"{shown} is not usable text.", shown)


class Query:
    """The parameters of a GET; those not in `known` are refused by name, empty ones count as not given."""

    def __init__(self, request: Request, known: Sequence[str]) -> None:
        self._given = request.query_params
        _refuse_bytes(request.META.get("QUERY_STRING", ""))
        _refuse_unknown(self._given, known, "parameter")

    def text(self, name: str) -> str | None:
        """The one value of a parameter. Raises Refused (422) if it is given twice or cannot be a name."""
        values = [value for value in self._given.getlist(name) if value]
        if len(values) > 1:
            raise Refused(422, "invalid_parameter", f"{name} can be given once.", name)
        if not values:
            return None
        if len(values[0]) > TEXT_LENGTH or BAD_TEXT.search(values[0]):
            raise Refused(422, "invalid_parameter", f"{name} is not usable text.", name)
        return values[0]

    def choices(self, name: str, allowed: Collection[str]) -> list[str]:
        """All values of a parameter that may be repeated or hold a list with commas. Raises Refused (422)."""
        given = [part for value in self._given.getlist(name) for part in value.split(",") if part]
        if not set(given) <= set(allowed):
            raise Refused(422, "invalid_parameter", f"{name} must be one of {', '.join(allowed)}.", name)
        return sorted(set(given))

    def time(self, name: str) -> datetime | None:
        """A time with its offset, as UTC. Raises Refused (422)."""
        value = self.text(name)
        return parse_time(PLUS_LOST.sub(r"+\1", value), name, "invalid_parameter") if value else None

    def flag(self, name: str) -> bool:
        """Whether a parameter is 1; not given or 0: no. Raises Refused (422)."""
        value = self.text(name) or "0"
        if value not in ("0", "1"):
            raise Refused(422, "invalid_parameter", f"{name} must be 1 or 0.", name)
        return value == "1"

    def moment(self, name: str) -> date | datetime | None:
        """A day such as 2026-05-04, or a time with its offset, as UTC. Raises Refused (422)."""
        value = self.text(name)
        if value is None or not DAY.fullmatch(value):
            return self.time(name)
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise Refused(422, "invalid_parameter", f"{name} is no day of the calendar.", name) from None

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`. Raises Refused (422)."""
        value = self.text(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) <= 9 and 1 <= int(value) <= most):
            raise Refused(422, "invalid_parameter", f"{name} must be a whole number from 1 to {most}.", name)
        return int(value)
