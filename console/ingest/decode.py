"""Bytes to items, or one error for the whole request. Work and memory are bounded by the limits below."""

import json
import zlib
from dataclasses import dataclass
from typing import Any

MIB = 1024 * 1024
BODY_LIMIT = 2 * MIB  # bytes, as sent and again when unpacked
ITEM_LIMIT = 1000
DEPTH_LIMIT = 32


class Refusal(Exception):
    """The whole request is refused with this status and error; `retry_after` in seconds."""

    def __init__(
        self, status: int, code: str, message: str, *, field: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class ItemsBody:
    """The items of a request; `single` if one bare object was sent, which is answered with one bare result."""

    items: list[Any]
    single: bool

    def field(self, index: int, name: str) -> str:
        """How errors name a field of an item: `items[3].signal`, or `signal` of a single object."""
        return name if self.single else f"items[{index}].{name}" if name else f"items[{index}]"


def too_large(limit: int) -> Refusal:
    """413: over the limit in bytes, whether packed or not."""
    size = f"{limit // MIB} MiB" if limit >= MIB else f"{limit // 1024} KiB"
    return Refusal(413, "too_large", f"The body is over {size}. Send less in one request.")


def unpack(body: bytes) -> bytes:
    """The content of a gzip body. Raises Refusal: 413 as soon as it grows over the limit, 400 if it is no gzip."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(body, BODY_LIMIT + 1)
    except zlib.error:
        raise Refusal(400, "bad_gzip", "The body is not gzip, though Content-Encoding says so.") from None
    if len(content) > BODY_LIMIT:
        raise too_large(BODY_LIMIT)
    if not unpacker.eof or unpacker.unused_data:
        raise Refusal(400, "bad_gzip", "The gzip body is cut short or has more than one member.")
    return content


def decode(body: bytes) -> ItemsBody:
    """The items of a JSON body: one object, an array, or {"items": [...]}. Raises Refusal."""
    value = parse_json(body)
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        if len(value) > 1:
            other = next(name for name in value if name != "items")
            raise Refusal(400, "unknown_field", "Beside items there can be nothing else.", field=other[:200])
        value = value["items"]
    if isinstance(value, dict):
        return ItemsBody([value], single=True)
    if not isinstance(value, list):
        raise Refusal(400, "not_items", 'Send one object, an array of objects, or {"items": [...]}.')
    if len(value) > ITEM_LIMIT:
        raise Refusal(413, "too_many_items", f"Send at most {ITEM_LIMIT} items in one request.")
    return ItemsBody(value, single=False)


class _DuplicateKey(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _DuplicateKey
    return made


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# The standard library's decoder, not msgspec's: it lets us see duplicate keys, and a lone surrogate costs one item
# and not the whole body. 5 us an item; storing one costs a hundred times that.
_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)


def parse_json(body: bytes) -> Any:
    """The value of a JSON body in UTF-8, of bounded depth and without duplicate keys; a byte order mark in front is
    no part of it. Raises Refusal (400).
    """
    try:
        value = _decoder.decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Refusal(400, "not_json", "The body is not UTF-8.") from None
    except _DuplicateKey:
        raise Refusal(400, "duplicate_key", "An object of the body has the same key twice.") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # also a number of more than 4,300 digits
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Refusal(400, "not_json", f"The body is not JSON{where}.") from None
    _check_depth(value)
    return value


def _too_deep() -> Refusal:
    return Refusal(400, "too_deep", f"The body is nested more than {DEPTH_LIMIT} deep.")


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEPTH_LIMIT):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return
    raise _too_deep()
