"""Rows as COPY's binary format, a column at a time: what comes again in a column is encoded once."""

import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.pq import Format

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
EPOCH, MICROSECOND = datetime(2000, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
NO_ELEMENTS = struct.pack(">iii", 0, 0, 1043)  # an array without any; 1043: varchar
LENGTH, UUID_LENGTH = struct.Struct(">i").pack, struct.pack(">i", 16)
TIME, DOCUMENT, JSONB = struct.Struct(">iq").pack, struct.Struct(">iB").pack, 1  # 1: the version of its binary form


def binary_rows(rows: Sequence[msgspec.Struct], types: Mapping[str, str]) -> tuple[list[str], bytes]:
    """The columns to copy, and all that COPY FROM STDIN (FORMAT BINARY) is to read of them.

    `types`: each column's name, its short type. A column that is null in every row is left out. What says the same in
    every row stands at its end, so that it is one piece of bytes.
    """
    varied: dict[str, list[bytes]] = {}
    same: dict[str, bytes] = {}
    columns = dict(zip(rows[0].__struct_fields__, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True))
    for name, kind in types.items():
        values = columns[name]
        first = values[0]
        if first != values[-1] or values.count(first) < len(values):
            varied[name] = _column(kind, values)
        elif first is not None:
            (same[name],) = _column(kind, [first])
    return [*varied, *same], _joined(list(varied.values()), same.values(), len(rows))


def _joined(varied: Sequence[list[bytes]], same: Collection[bytes], rows: int) -> bytes:
    head = struct.pack(">h", len(varied) + len(same))
    lines = zip(repeat(head, rows), *varied, repeat(b"".join(same)), strict=False)
    return b"".join([SIGNATURE, *chain.from_iterable(lines), TRAILER])


def _column(kind: str, values: Sequence[Any]) -> list[bytes]:
    if kind in EACH:
        return EACH[kind](values)
    encode = _dump(kind)
    known = {value: NULL if value is None else encode(value) for value in set(values)}
    return [known[value] for value in values]


def _framed(content: bytes) -> bytes:
    return LENGTH(len(content)) + content


def _dump(kind: str) -> Callable[[Any], bytes]:
    """psycopg's own encoder of a type."""
    dumper = psycopg.adapters.get_dumper_by_oid(psycopg.adapters.types.get_oid(kind), Format.BINARY)(type(None))
    return lambda value: _framed(bytes(dumper.dump(value) or b""))


# The columns of which a value seldom comes twice, or cannot be looked up; to call a function for each took half of it.


def _uuids(values: Sequence[UUID | None]) -> list[bytes]:
    return [NULL if value is None else UUID_LENGTH + value.int.to_bytes(16, "big") for value in values]


def _times(values: Sequence[datetime | None]) -> list[bytes]:
    return [NULL if value is None else TIME(8, (value - EPOCH) // MICROSECOND) for value in values]


def _documents(values: Sequence[Any]) -> list[bytes]:
    encode = msgspec.json.encode
    return [NULL if value is None else DOCUMENT(len(content := encode(value)) + 1, JSONB) + content for value in values]


def _text_lists(values: Sequence[list[str] | None]) -> list[bytes]:
    return [NULL if value is None else _texts(value) for value in values]


def _texts(value: list[str]) -> bytes:
    if not value:
        return _framed(NO_ELEMENTS)
    head = struct.pack(">iiiii", 1, 0, 1043, len(value), 1)
    return _framed(head + b"".join(_framed(one.encode()) for one in value))


EACH: Mapping[str, Callable[[Sequence[Any]], list[bytes]]] = {
    "uuid": _uuids,
    "timestamptz": _times,
    "jsonb": _documents,
    "varchar[]": _text_lists,
}
