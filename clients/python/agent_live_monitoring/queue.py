"""What waits to be sent. A queue knows no lock: the worker's guards it."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from agent_live_monitoring.items import KINDS, Record

BATCH_ITEMS, BATCH_BYTES = 200, 1024 * 1024  # of one run; the service takes 1,000 items and 2 MiB in a request


class Queue(Protocol):
    """First in, first out, and bounded: where it is full the *oldest* go.

    A failure that is told more than ten minutes late wakes nobody any more; the newest may still save a customer.
    """

    def put(self, record: Record) -> list[Record]:
        """Add a record; gives those that had to go."""

    def peek(self) -> Record | None:
        """The next record, None where none waits."""

    def pop(self) -> Record:
        """Take the next record, which `peek` has shown."""

    def done(self) -> None:
        """All that was taken is settled."""

    def orphans(self) -> list[Any]:
        """What dead processes left behind; may be slow, and is called without the lock."""

    def adopt(self, orphans: list[Any]) -> None:
        """Send these as well."""

    def drain(self) -> list[Record]:
        """Give up the records that end with this process."""

    def close(self) -> None:
        """Let go of everything else."""

    def abandon(self) -> None:
        """After a fork, in the child: let go of what is the parent's."""

    def __len__(self) -> int:
        """How many records wait."""


class MemoryQueue:
    """Bounded in items and bytes; ends with the process."""

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items, self._max_bytes = max_items, max_bytes
        self._records: deque[Record] = deque()
        self._bytes = 0

    def put(self, record: Record) -> list[Record]:
        if len(record.body) > self._max_bytes:
            return [record]
        self._records.append(record)
        self._bytes += len(record.body)
        gone = []
        while len(self._records) > self._max_items or self._bytes > self._max_bytes:
            gone.append(self.pop())
        return gone

    def peek(self) -> Record | None:
        return self._records[0] if self._records else None

    def pop(self) -> Record:
        record = self._records.popleft()
        self._bytes -= len(record.body)
        return record

    def done(self) -> None:
        """Nothing is kept that could be let go."""

    def orphans(self) -> list[Any]:
        return []

    def adopt(self, orphans: list[Any]) -> None:
        """Memory leaves no orphans."""

    def drain(self) -> list[Record]:
        left = list(self._records)
        self._records.clear()
        self._bytes = 0
        return left

    def close(self) -> None:
        """Nothing is held."""

    def abandon(self) -> None:
        """Memory is the child's own copy."""

    def __len__(self) -> int:
        return len(self._records)


def take(queue: Queue) -> list[Record]:
    """The longest run that can go out as one request for each kind without a room's items overtaking each other."""
    taken: list[Record] = []
    size = 0
    rooms: dict[str, set[str]] = {kind.name: set() for kind in KINDS}
    while (record := queue.peek()) is not None:
        size += len(record.body) + 1
        full = len(taken) == BATCH_ITEMS or size > BATCH_BYTES
        if taken and (full or _overtakes(record, rooms)):
            break
        if record.room is not None:
            rooms[record.kind.name].add(record.room)
        taken.append(queue.pop())
    return taken


def _overtakes(record: Record, rooms: dict[str, set[str]]) -> bool:
    """Whether something of its room that came before would go out after it."""
    if record.room is None:
        return False
    later = KINDS[KINDS.index(record.kind) + 1 :]
    return any(record.room in rooms[kind.name] for kind in later)
