"""What a post of a run does: makes it, adds to it, repeats what is known, or contradicts it. Pure.

Plain data in; the run is changed as a whole or not at all.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal

import msgspec

from alerts.items import Accepted
from alerts.times import clamped
from runs.detect import due_time
from runs.items import RunItem
from runs.rows import RunRow

PLACES = Decimal("0.00001")
METADATA_LIMIT = 8 * 1024  # bytes of its JSON
NEEDED = ("agent_name", "input_kind", "started_at")  # of a run that is new
# Texts, empty where nothing is said; and what else is said once, None until then.
TEXTS = ("input_kind", "agent_version", "channel", "surface", "resolution")
SAID_ONCE = (
    "self_corrected",
    "tokens_input",
    "tokens_output",
    "sla_target_seconds",
    "confidence",
    "message_count",
    "message_cap",
    "handoff_expected",
    "human_touched",
)
Outcome = Literal["updated", "duplicate"]
Changes = dict[str, Any]


class RefusedRun(Exception):
    """This post stores nothing; `conflict`: the run is known with another value of this field."""

    def __init__(self, code: str, message: str, field: str, *, conflict: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.field = field
        self.conflict = conflict


def exact_cost(cost: float | str | None) -> Decimal | None:
    """A cost as it is kept: five places, what lies in the middle goes to the even one."""
    return None if cost is None else Decimal(str(cost)).quantize(PLACES, ROUND_HALF_EVEN)


def new_run(one: Accepted[RunItem], source_id: int, now: datetime) -> RunRow:
    """The run of its first post. Raises RefusedRun where that lacks what a new run needs."""
    item = one.item
    if not (item.agent_name and item.input_kind and item.started_at):
        name = next(name for name in NEEDED if not getattr(item, name))
        raise _missing(name, f"A run that is new needs {name}.")
    if item.ended_at is not None and item.resolution is None:
        raise _missing("resolution", "A run that has ended needs its resolution.")
    started, ended = clamped(item.started_at, now), item.ended_at and clamped(item.ended_at, now)
    if ended is not None and ended < started:  # its end alone was clamped
        ended = started
    return RunRow(  # by position: a name is searched for among all others, which took a third of this function
        one.org_id,
        source_id,
        item.run_id,
        started,
        now,  # received_at
        now,  # updated_at
        item.input_kind or "",
        0,  # id
        0,  # agent_id
        item.agent_name or "",
        item.agent_version or "",
        item.channel or "",
        item.surface or "",
        item.room_id or "",
        ended,
        item.started_at if started != item.started_at else None,
        item.ended_at if ended != item.ended_at else None,
        item.resolution or "",
        item.self_corrected,
        item.tokens_input,
        item.tokens_output,
        exact_cost(item.cost_usd),
        item.sla_target_seconds,
        item.confidence,
        item.message_count,
        item.message_cap,
        item.handoff_expected,
        item.human_touched,
        item.human_touched,  # touched
        item.metadata or {},
        ["clock", *one.flags] if one.clock_flagged else one.flags,
        one.altered,
        due_at=None if ended is not None else due_time(started, item.sla_target_seconds),
    )


def merge(row: RunRow, one: Accepted[RunItem], now: datetime) -> Outcome:
    """Add to a known run what a post says more. Raises RefusedRun, with nothing changed, where it says otherwise."""
    changes: Changes = {}
    for name, stored, sent in _compared(row, one.item):
        if sent is None or sent == "":
            continue
        if stored is None or stored == "":
            changes[name] = sent
        elif not _same(row, one, name, stored, sent):
            raise _conflict(name)
    metadata = _more_metadata(row, one)
    if not changes and not metadata:
        return "duplicate"
    _check_end(row, changes)
    _apply(row, one, changes, now)
    row.metadata = {**row.metadata, **metadata}
    return "updated"


def _compared(row: RunRow, item: RunItem) -> Iterator[tuple[str, Any, Any]]:
    """Field, what is stored, what is sent."""
    yield "agent_name", row.agent_name, item.agent_name
    for name in TEXTS:
        yield name, getattr(row, name), getattr(item, name)
    yield "room_id", row.room, item.room_id
    yield "started_at", row.started_as_sent or row.started_at, item.started_at
    yield "ended_at", row.ended_as_sent or row.ended_at, item.ended_at
    yield "cost_usd", row.cost_usd, exact_cost(item.cost_usd)
    for name in SAID_ONCE:
        yield name, getattr(row, name), getattr(item, name)


def _same(row: RunRow, one: Accepted[RunItem], name: str, stored: Any, sent: Any) -> bool:
    """Whether this was said before: it is what is stored, or what stood there before it was masked."""
    mark = one.altered.get(name)
    return same_json(stored, sent) if mark is None else row.altered.get(name) == mark


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) or isinstance(other, float):
        return isinstance(one, int | float) and isinstance(other, int | float) and float(one) == float(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)


def _more_metadata(row: RunRow, one: Accepted[RunItem]) -> dict[str, Any]:
    """The entries that are new. Raises RefusedRun: one is known otherwise, or together they are too long."""
    sent = one.item.metadata
    if not sent:
        return {}
    new = {}
    for name, value in sent.items():
        path = f"metadata.{name}"
        if name not in row.metadata:
            new[name] = value
        elif not _same(row, one, path, row.metadata[name], value):
            raise _conflict(path)
    if new and len(msgspec.json.encode({**row.metadata, **new})) > METADATA_LIMIT:
        raise RefusedRun("too_long", "metadata is over 8 KiB of JSON, with what was sent before.", "metadata")
    return new


def _check_end(row: RunRow, changes: Changes) -> None:
    ended = changes.get("ended_at")
    if ended is None:
        return
    if ended < (row.started_as_sent or row.started_at):
        raise RefusedRun("invalid_item", "ended_at lies before the started_at of this run.", "ended_at")
    if not (row.resolution or changes.get("resolution")):
        raise _missing("resolution", "A run that has ended needs its resolution.")


def _apply(row: RunRow, one: Accepted[RunItem], changes: Changes, now: datetime) -> None:
    for name, value in changes.items():
        apply = SPECIAL.get(name)
        if apply is None:
            setattr(row, name, value)
        else:
            apply(row, value, now)
    if "sla_target_seconds" in changes and row.ended_at is None:
        row.due_at = due_time(row.started_at, row.sla_target_seconds)
        if row.due_at > now:
            row.overdue_at = None
    row.altered = {**row.altered, **one.altered}
    row.flags = sorted({*row.flags, *one.flags, *(["clock"] if one.clock_flagged else [])})


def _apply_end(row: RunRow, sent: datetime, now: datetime) -> None:
    row.ended_at = max(clamped(sent, now), row.started_at)
    row.ended_as_sent = sent if row.ended_at != sent else None
    row.due_at = None


def _apply_room(row: RunRow, sent: str, now: datetime) -> None:
    row.room = sent


def _apply_touched(row: RunRow, sent: bool, now: datetime) -> None:
    row.human_touched = row.touched = sent


SPECIAL: Mapping[str, Callable[[RunRow, Any, datetime], None]] = {
    "ended_at": _apply_end,
    "room_id": _apply_room,
    "human_touched": _apply_touched,
}


def _missing(name: str, message: str) -> RefusedRun:
    return RefusedRun("missing_field", message, name)


def _conflict(name: str) -> RefusedRun:
    message = f"This run is known with another {name}. What is known is kept, nothing of this post is stored."
    return RefusedRun("id_conflict", message, name, conflict=True)
