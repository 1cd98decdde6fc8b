"""Processes as /proc shows them, and ending a whole session of them.

Every program the launcher starts leads a session of its own, so its descendants are found by the session id
even after the program itself has gone.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Seen:
    """One process at one moment; `started` is in clock ticks since boot and tells a reused id apart."""

    pid: int
    state: str
    session: int
    started: int


@dataclass(frozen=True)
class Record:
    """A started program as kept on disk for the guardian and the next start."""

    name: str
    pid: int
    started: int
    signal: int
    engine: bool


def look(pid: int) -> Seen | None:
    """What /proc says of this process; None if there is none."""
    try:
        text = (PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return Seen(pid=pid, state=fields[0], session=int(fields[3]), started=int(fields[19]))


def started_at(pid: int) -> int:
    """Start time in ticks since boot, 0 if the process has gone."""
    seen = look(pid)
    return seen.started if seen else 0


def is_alive(pid: int, started: int) -> bool:
    """Whether exactly this process still runs (a zombie does not)."""
    seen = look(pid)
    return seen is not None and seen.started == started and seen.state not in "ZX"


def session_members(session: int, not_before: int) -> list[Seen]:
    """The living processes of a session, without any that is older than its leader was."""
    everyone = (look(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return [
        seen
        for seen in everyone
        if seen and seen.session == session and seen.started >= not_before and seen.state not in "ZX"
    ]


def end_session(record: Record) -> None:
    """SIGKILL what is left of a program: itself and its descendants."""
    for seen in session_members(record.pid, record.started):
        send(seen.pid, signal.SIGKILL)


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def end_all(records: Sequence[Record], patience: float) -> list[str]:
    """End orphans, engines last: their signal, `patience` seconds, then SIGKILL. Gives the names that ran."""
    found = []
    for engine in (False, True):
        living = [
            record for record in records if record.engine is engine and session_members(record.pid, record.started)
        ]
        for record in living:
            if is_alive(record.pid, record.started):
                send(record.pid, record.signal)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(is_alive(r.pid, r.started) for r in living):
            time.sleep(0.05)
        for record in living:
            end_session(record)
            found.append(record.name)
    return found


def read_records(path: Path) -> list[Record]:
    """The records kept in this file; none if it is missing, unreadable or of another boot of the machine."""
    try:
        kept = json.loads(path.read_text("utf-8"))
        if kept["boot"] != _boot_id():
            return []
        return [Record(**item) for item in kept["processes"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Replace the file in one step, so that a reader never sees half of it."""
    text = json.dumps({"boot": _boot_id(), "processes": [asdict(record) for record in records]})
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)


def _boot_id() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
