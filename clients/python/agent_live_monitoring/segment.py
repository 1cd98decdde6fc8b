"""One file of the spool: records in the order they came, locked by the process that owns it.

    00000000000000000021                                  where the first record begins that is not settled yet
    8a6f01c2 failure_event {"agent_name":...}             CRC-32, kind, item; one line each

Lines are written whole with one write, without fsync: they outlive the process, whichever way it ends, and not the
machine. What a process that ended left is read by the next one that gets its lock; a torn line is skipped.
"""

from __future__ import annotations

import errno
import fcntl
import os
import uuid
import zlib
from pathlib import Path

from agent_live_monitoring.items import KINDS, Record, read_record

HEADER = b"%020d\n"
BEGIN = len(HEADER % 0)
SUFFIX = ".spool"
CHUNK = 16 * 1024


class Segment:
    """An open, locked segment. `count` and `unread` (bytes) are of the records that were not taken yet."""

    def __init__(self, path: Path, fd: int, read_at: int, end: int) -> None:
        self.path = path
        self.end = end
        self.count = 0
        self._fd = fd  # read without io's buffers: their locks do not survive a fork
        self._read_at = self._done_at = read_at
        self._buffer = b""  # of the file, from the read position on
        self._head: tuple[Record, int] | None = None

    @property
    def unread(self) -> int:
        return self.end - self._read_at

    @property
    def settled(self) -> bool:
        return self._done_at == self.end

    def append(self, record: Record) -> None:
        """Write a record to the end, or nothing of it. Raises OSError."""
        content = b"%s %s" % (record.kind.name.encode(), record.body)
        line = b"%08x %s\n" % (zlib.crc32(content), content)
        written = os.pwrite(self._fd, line, self.end)
        if written < len(line):
            os.ftruncate(self._fd, self.end)
            raise OSError(errno.ENOSPC, "the disk is full")
        self.end += written
        self.count += 1

    def peek(self) -> Record | None:
        """The next record that can be read, None at the end."""
        while self._head is None and self.unread:
            line = self._line()
            record = _parse(line)
            if record is None:
                self._move(len(line))
            else:
                self._head = record, len(line)
        return self._head[0] if self._head else None

    def pop(self) -> Record:
        """Take the record that `peek` has shown."""
        assert self._head is not None
        record, length = self._head
        self._head = None
        self._move(length)
        return record

    def mark_done(self) -> None:
        """What was taken is settled: whoever adopts this file begins after it. Raises OSError."""
        os.pwrite(self._fd, HEADER % self._read_at, 0)
        self._done_at = self._read_at

    def delete(self) -> None:
        """Remove the file: all of it is settled."""
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the file and its lock; closed by a forked child, the parent's lock stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _line(self) -> bytes:
        """The line at the read position; without its end if it is torn."""
        while b"\n" not in self._buffer:
            chunk = os.pread(self._fd, CHUNK, self._read_at + len(self._buffer))
            if not chunk:
                return self._buffer
            self._buffer += chunk
        return self._buffer[: self._buffer.index(b"\n") + 1]

    def _move(self, length: int) -> None:
        self._read_at = min(self._read_at + length, self.end) if length else self.end
        self._buffer = self._buffer[length:]
        self.count = max(self.count - 1, 0) if self.unread else 0


def create(folder: Path) -> Segment:
    """A new segment. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        path = folder / f"{os.getpid()}-{uuid.uuid4().hex}{SUFFIX}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if _lock(fd, path):  # an adopter may have taken the empty file for an orphan
            os.pwrite(fd, HEADER % BEGIN, 0)
            return Segment(path, fd, BEGIN, BEGIN)
        os.close(fd)


def adopt(path: Path) -> Segment | None:
    """The segment of a process that ended; None where its owner lives, nothing is left in it, or we may not."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        found = _adopted(path, fd) if _lock(fd, path) else None
    except OSError:
        found = None
    if found is None:
        os.close(fd)
    return found


def _adopted(path: Path, fd: int) -> Segment | None:
    end = os.fstat(fd).st_size
    segment = Segment(path, fd, min(_done_at(fd), end), end)
    segment.count = _lines(fd, end - segment.unread)
    if not segment.count:
        path.unlink(missing_ok=True)
        return None
    return segment


def _lock(fd: int, path: Path) -> bool:
    """Lock the file unless another has; False also if it was removed meanwhile."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return path.stat().st_ino == os.fstat(fd).st_ino
    except OSError:
        return False


def _done_at(fd: int) -> int:
    """Where the unsettled begin; a damaged header means all of it: a record sent twice is a duplicate."""
    header = os.pread(fd, BEGIN, 0)
    return max(int(header), BEGIN) if header.strip().isdigit() else BEGIN


def _lines(fd: int, position: int) -> int:
    count = 0
    while chunk := os.pread(fd, 1024 * 1024, position):
        count += chunk.count(b"\n")
        position += len(chunk)
    return count


def _parse(line: bytes) -> Record | None:
    """The record of a line, None if it is torn or not ours."""
    kinds = {kind.name.encode(): kind for kind in KINDS}
    try:
        crc, name, body = line.rstrip(b"\n").split(b" ", 2)
        if int(crc, 16) != zlib.crc32(name + b" " + body):
            return None
        return read_record(kinds[name], body)
    except (ValueError, KeyError, TypeError):
        return None
