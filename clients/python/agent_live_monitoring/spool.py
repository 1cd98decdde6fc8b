"""A queue on disk: what is in it outlives the process. Several processes may share the folder.

Each has segments of its own; one that ended leaves its segments to the others, and to its successor.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from agent_live_monitoring import segment
from agent_live_monitoring.items import Record
from agent_live_monitoring.problems import Problem, Problems
from agent_live_monitoring.queue import MemoryQueue
from agent_live_monitoring.segment import Segment

SEGMENT_BYTES = 1024 * 1024


class Spool:
    """Bounded in bytes. While the disk takes nothing (full, read-only) records wait in memory instead."""

    def __init__(self, folder: Path, max_bytes: int, memory: MemoryQueue, problems: Problems) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._memory = memory
        self._problems = problems
        self._segments: list[Segment] = []  # the oldest first; the last one is written to, once there is one
        self._writing: Segment | None = None

    def put(self, record: Record) -> list[Record]:
        try:
            self._append(record)
        except OSError as error:
            reason = f"{self._folder} takes nothing ({error.strerror}); reports wait in memory."
            self._problems.begin("spool", Problem("spool_unavailable", reason))
            return self._memory.put(record)
        self._problems.end("spool")
        gone = []
        while sum(one.unread for one in self._segments) > self._max_bytes and (head := self._head()):
            gone.append(head.pop())
        return gone

    def peek(self) -> Record | None:
        if self._memory:
            return self._memory.peek()
        head = self._head()
        return head.peek() if head else None

    def pop(self) -> Record:
        if self._memory:
            return self._memory.pop()
        head = self._head()
        assert head is not None
        return head.pop()

    def done(self) -> None:
        """Remove what is settled, and note on disk how far the rest is."""
        with contextlib.suppress(OSError):  # what cannot be noted is sent again after a crash, as a duplicate
            while self._segments:
                first = self._segments[0]
                first.mark_done()
                if first.unread or first is self._writing:
                    return
                self._segments.pop(0).delete()

    def orphans(self) -> list[Segment]:
        found = [segment.adopt(path) for path in sorted(self._folder.glob(f"*{segment.SUFFIX}"))]
        return [one for one in found if one is not None]

    def adopt(self, orphans: list[Segment]) -> None:
        self._segments[:0] = orphans

    def drain(self) -> list[Record]:
        return self._memory.drain()

    def close(self) -> None:
        """What waits on disk stays there for the next process."""
        for one in self._segments:
            if one.settled:
                one.delete()
            else:
                one.close()

    def abandon(self) -> None:
        for one in self._segments:
            one.close()

    def __len__(self) -> int:
        return len(self._memory) + sum(one.count for one in self._segments)

    def _append(self, record: Record) -> None:
        if self._writing is None or self._writing.end > SEGMENT_BYTES:
            self._writing = segment.create(self._folder)
            self._segments.append(self._writing)
        self._writing.append(record)

    def _head(self) -> Segment | None:
        """The oldest segment that has a record to read."""
        return next((one for one in self._segments if one.peek() is not None), None)
