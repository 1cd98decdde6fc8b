"""Runs read straight into what they are, where nothing is unusual about them: a tenth of the work, the same answers.

A body, or an item of it, that is unusual in any way is left to `decode` and `check`, which say what is wrong with it:
what is taken here is what they would take, unaltered. JSON that has a key twice must not slip through: as many keys as
were read stand in the body, and each has its colon right behind it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from alerts.items import Accepted
from alerts.masking import LEAST, mask, secret_key
from alerts.times import FIRST_YEAR, FUTURE_KEPT
from console.ingest.check import COUNT, ItemSender
from console.ingest.decode import ITEM_LIMIT, ItemsBody, decode
from console.ingest.fields import INTEGER
from console.ingest.records import DIGITS, DOLLARS
from orgs.texts import NAME_LENGTH
from runs.items import RunItem

FIELDS = len(RunItem.__struct_fields__)
SHORT = 2000  # characters of all metadata of a run
NESTED = 6  # levels of metadata
REMEMBERED = 10_000  # names that were found to be plain
BLANKS = (b" ", b"\t", b"\n", b"\r")
_many, _one = msgspec.json.Decoder(list[RunItem]), msgspec.json.Decoder(RunItem)
_plain_names: set[str] = set()
_plain_keys: set[str] = set()


class QuickBody(ItemsBody):
    """A body whose items were read at once; as plain JSON they are read when somebody asks for them."""

    def __init__(self, content: bytes, made: list[RunItem], *, single: bool) -> None:
        self.made = made
        self.single = single
        self._content = content
        self._items: list[Any] | None = None

    @property
    def orgs(self) -> list[Any]:
        """As items, the orgs that are named."""
        return [{"org_id": org} for org in {item.org_id for item in self.made} if org]

    @property
    def items(self) -> list[Any]:  # type: ignore[override]
        """The items as JSON. Raises Refusal."""
        if self._items is None:
            self._items = decode(self._content).items
        return self._items


def quick_body(content: bytes) -> QuickBody | None:
    """The runs of a body that is one object or an array; None: something about it is unusual."""
    start = content[:1]
    try:
        made = _many.decode(content) if start == b"[" else [_one.decode(content)] if start == b"{" else []
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if not made or len(made) > ITEM_LIMIT or any(blank in content and blank + b":" in content for blank in BLANKS):
        return None
    keys = sum(_keys(item) for item in made)
    return QuickBody(content, made, single=start == b"{") if content.count(b'":') == keys else None


def _keys(item: RunItem) -> int:
    found = FIELDS - msgspec.structs.astuple(item).count(None)
    return found + _inner(item.metadata, NESTED) if item.metadata else found


def _inner(value: Any, depth: int) -> int:
    """How many keys stand in a value; of one that is nested too deep, more than there can be."""
    if depth == 0:
        return 10**9
    inner = value.values() if type(value) is dict else value
    found = len(value) if type(value) is dict else 0
    for one in inner:
        if type(one) is dict or type(one) is list:
            found += _inner(one, depth - 1)
    return found


class QuickCheck:
    """Takes the runs of a body one by one, for one sender, now."""

    def __init__(self, sender: ItemSender, now: datetime) -> None:
        self._sender, self._now = sender, now
        self._latest = now + FUTURE_KEPT

    def take(self, item: RunItem, index: int) -> Accepted[RunItem] | None:
        """The run as it is; None: it is for `check.check` to say what becomes of it."""
        org = item.org_id if item.org_id is not None else self._sender.own
        org_id = self._sender.orgs.get(org) if org is not None else None
        if org_id is None or not (self._times(item) and _numbers(item) and _texts(item)):
            return None
        if item.metadata and not _entries(item.metadata):
            return None
        return Accepted(index, org_id, item, b"")

    def _times(self, item: RunItem) -> bool:
        started, ended = item.started_at, item.ended_at
        if started is not None:
            if started.tzinfo is None or not FIRST_YEAR <= started <= self._latest:
                return False
            if started.tzinfo is not UTC:
                item.started_at = started = started.astimezone(UTC)
        if ended is not None:
            if ended.tzinfo is None or not FIRST_YEAR <= ended <= self._latest:
                return False
            if ended.tzinfo is not UTC:
                item.ended_at = ended = ended.astimezone(UTC)
        return started is None or ended is None or started <= ended


def _numbers(item: RunItem) -> bool:
    cost = item.cost_usd
    if type(cost) is str:
        if not DIGITS.fullmatch(cost):
            return False
        cost = float(cost)
    return (
        (cost is None or 0 <= cost < DOLLARS - 1)  # type: ignore[operator]
        and ((n := item.tokens_input) is None or 0 <= n < INTEGER)
        and ((n := item.tokens_output) is None or 0 <= n < INTEGER)
        and ((n := item.sla_target_seconds) is None or 1 <= n < COUNT)
        and ((share := item.confidence) is None or 0 <= share <= 1)
        and ((n := item.message_count) is None or 0 <= n < COUNT)
        and ((n := item.message_cap) is None or 0 <= n < COUNT)
    )


def _texts(item: RunItem) -> bool:
    return (
        ((text := item.agent_name) is None or text in _plain_names or _is_plain(text))
        and ((text := item.input_kind) is None or text in _plain_names or _is_plain(text))
        and ((text := item.channel) is None or text in _plain_names or _is_plain(text))
        and ((text := item.agent_version) is None or text in _plain_names or _is_plain(text))
        and ((text := item.room_id) is None or _is_spelled(text))
    )


def _is_spelled(text: str) -> bool:
    """Whether an identifier is in its one spelling already, and of a usual kind."""
    return (
        text.isascii()
        and text.isprintable()
        and 0 < len(text) <= NAME_LENGTH
        and text[0] != " "
        and text[-1] != " "
        and (len(text) != 36 or text.lower() == text)
    )


def _is_plain(text: str) -> bool:
    if not _is_spelled(text) or mask(text) != text:
        return False
    _remember(_plain_names, text)
    return True


def _is_key(name: str) -> bool:
    if not (name.isascii() and name.isprintable()) or mask(name) != name or secret_key(name):
        return False
    _remember(_plain_keys, name)
    return True


def _remember(names: set[str], name: str) -> None:
    if len(names) >= REMEMBERED:
        names.clear()
    names.add(name)


def _entries(metadata: Mapping[str, Any]) -> bool:
    """Whether metadata is flat, short, and holds nothing that is masked or refused."""
    size = 0
    for name, value in metadata.items():
        if name not in _plain_keys and not _is_key(name):
            return False
        kind = type(value)
        if kind is str:
            if not (value.isascii() and value.isprintable()) or mask(value) != value:
                return False
            size += len(value)
        elif kind is int:
            if not -LEAST < value < LEAST:
                return False
        elif kind is not bool and value is not None:
            return False
        size += len(name)
    return size <= SHORT and len(metadata) <= 100
