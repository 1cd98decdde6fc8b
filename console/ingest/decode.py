"""Bytes to items, or one error for the whole request. Work and memory are bounded by the limits below."""

import zlib
from dataclasses import dataclass
from typing import Any

from orgs.strict_json import BadJson, parse_json
from orgs.texts import NAME_LENGTH, answerable

MIB = 1024 * 1024
BODY_LIMIT = 2 * MIB  # bytes, as sent and again when unpacked
ITEM_LIMIT = 1000


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


@dataclass
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
    try:
        value = parse_json(body)
    except BadJson as error:
        raise Refusal(400, error.code, error.message) from None
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        if len(value) > 1:
            other = answerable(next(name for name in value if name != "items"), NAME_LENGTH)
            raise Refusal(400, "unknown_field", "Beside items there can be nothing else.", field=other)
        value = value["items"]
    if isinstance(value, dict):
        return ItemsBody([value], single=True)
    if not isinstance(value, list):
        raise Refusal(400, "not_items", 'Send one object, an array of objects, or {"items": [...]}.')
    if len(value) > ITEM_LIMIT:
        raise Refusal(413, "too_many_items", f"Send at most {ITEM_LIMIT} items in one request.")
    return ItemsBody(value, single=False)
