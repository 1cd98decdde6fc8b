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
        self._failing: set[str] = set()  # "own", "others": of which files the disk gives us nothing

    def put(self, record: Record) -> list[Record]:
        try:
            self._append(record)
        except OSError as error:
            self._fails("own", error)
            return self._memory.put(record)
        self._works("own")
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
        """Where the disk lets us look at nothing there is nothing to adopt: reports of our own go out all the same."""
        try:
            paths = sorted(path for path in self._folder.iterdir() if path.suffix == segment.SUFFIX)
        except FileNotFoundError:  # nothing was written yet
            return []
        except OSError as error:
            self._fails("others", error)
            return []
        self._works("others")
        return [one for path in paths if (one := segment.adopt(path)) is not None]

    def adopt(self, orphans: list[Segment]) -> None:
        self._segments[:0] = orphans

    def drain(self) -> list[Record]:
        return self._memory.drain()

    def close(self) -> None:
        """What waits on disk stays there for the next process."""
        for one in self._segments:
            with contextlib.suppress(OSError):  # a settled file that cannot be removed harms nobody
                one.delete() if one.settled else one.close()

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
        return next((one for one in list(self._segments) if self._is_readable(one)), None)

    def _is_readable(self, one: Segment) -> bool:
        """Whether it has a record; a file that the disk does not give us is left to the next process."""
        try:
            return one.peek() is not None
        except OSError as error:
            self._fails("own", error)
            self._segments.remove(one)
            self._writing = None if one is self._writing else self._writing
            one.close()
            return False

    def _fails(self, what: str, error: OSError) -> None:
        """Tell it once, until all goes again."""
        self._failing.add(what)
        reason = f"{self._folder} cannot be used ({error.strerror}); reports wait in memory."
        self._problems.begin("spool", Problem("spool_unavailable", reason))

    def _works(self, what: str) -> None:
        self._failing.discard(what)
        if not self._failing:
            self._problems.end("spool")
