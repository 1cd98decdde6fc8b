"""What the stand-in got, kept over a restart: one JSON line a request, append only.

A row is handed to the operating system before its request is answered, so `kill -9` of this process loses no
answered row. No fsync: a power cut of the machine may, which a stand-in can live with.
"""

import fcntl
import os
from array import array
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from demo.commandline import Refused

CHUNK = 1 << 20
RECENT = 20
TokenCounts = dict[str, int]


class Accepted(Struct):
    """A notification that was answered with 202: how it is recognised again and what the index page shows."""

    key: str
    body_sha256: str
    sso_id: str
    title: str
    severity: str
    at: str
    answer: dict[str, Any]


class Row(Struct):
    """One line of the log, the shape of an entry of `GET /_log` (`accepted` is our own bookkeeping)."""

    n: int
    at: str
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    body_sha256: str
    signature_ok: bool
    duplicate: bool
    mode: str
    answer: dict[str, Any] | None
    accepted: bool = False


class Store:
    """The log, the accepted notifications by key and the token counts. One process at a time per folder."""

    def __init__(self, folder: Path) -> None:
        """Open or create the store; raises `Refused` where another process holds it or it is no folder."""
        self._offsets = array("Q")
        self._size = 0
        self._encode = msgspec.json.Encoder().encode
        self.by_key: dict[str, Accepted] = {}
        self.newest_for: dict[str, Accepted] = {}
        self.recent: deque[Accepted] = deque(maxlen=RECENT)
        self._tokens_path = folder / "tokens.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(folder / "requests.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as problem:
            raise Refused(f"The data folder {folder} cannot be used: {problem.strerror}.") from problem
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise Refused(f"Another process already keeps its log in {folder}.") from None
        self._recover()
        self.tokens: TokenCounts = {}
        if self._tokens_path.exists():
            self.tokens = msgspec.json.decode(self._tokens_path.read_bytes(), type=TokenCounts)

    def close(self) -> None:
        """Give the folder free."""
        os.close(self._fd)

    def __len__(self) -> int:
        return len(self._offsets)

    def append(self, row: Row, accepted: Accepted | None) -> None:
        """Write one row; when this returns the row outlives this process. Raises OSError on a full disk."""
        line = self._encode(row) + b"\n"
        try:
            if os.write(self._fd, line) != len(line):
                raise OSError("short write")
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._note(len(line), accepted)

    def read_since(self, since: int) -> Iterator[bytes]:
        """The rows with n > since as the inside of a JSON array, in chunks, up to the newest of now."""
        if since >= len(self._offsets):
            return
        position, end = self._offsets[max(since, 0)], self._size - 1  # without the last newline
        while position < end:
            chunk = os.pread(self._fd, min(CHUNK, end - position), position)
            position += len(chunk)
            yield chunk.replace(b"\n", b",")

    def set_tokens(self, tokens: TokenCounts) -> None:
        """Set how many push tokens these people have; the others keep theirs."""
        self.tokens |= tokens
        fresh = self._tokens_path.with_suffix(".new")
        fresh.write_bytes(self._encode(self.tokens))
        fresh.replace(self._tokens_path)

    def tokens_of(self, sso_id: str) -> int:
        """Number of push tokens; everybody has one unless told otherwise."""
        return self.tokens.get(sso_id, 1)

    def _note(self, length: int, accepted: Accepted | None) -> None:
        self._offsets.append(self._size)
        self._size += length
        if accepted is not None:
            self.by_key[accepted.key] = accepted
            self.newest_for[accepted.sso_id] = accepted
            self.recent.append(accepted)

    def _recover(self) -> None:
        decoder = msgspec.json.Decoder(Row)
        with os.fdopen(os.dup(self._fd), "rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                row = decoder.decode(line)
                self._note(len(line), accepted_from(row) if row.accepted else None)
        # A torn last line was never answered: the row is written before the answer goes out.
        os.ftruncate(self._fd, self._size)


def accepted_from(row: Row) -> Accepted:
    """What is remembered of an accepted notification, from its row in the log."""
    return Accepted(
        key=header(row.headers, "Idempotency-Key"),
        body_sha256=row.body_sha256,
        sso_id=row.body["recipient"]["sso_id"],
        title=row.body["title"],
        severity=row.body["severity"],
        at=row.at,
        answer=(row.answer or {})["body"],
    )


def header(headers: dict[str, str], name: str) -> str:
    """A header of a logged request, whatever its case; empty where it is not there."""
    if name in headers:
        return headers[name]
    lower = name.lower()
    return next((value for key, value in headers.items() if key.lower() == lower), "")
