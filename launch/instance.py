"""One instance and its data folder: the lock, the secrets, the sockets, who runs it, how it is stopped.

The folder (mode 0700; 0711 for root, so that `nobody` can pass to the database's own private folder):
`lock` (held by the launcher and its guardian, names the launcher), `secrets.json`, `env.json` (both 0600),
`processes.json`, `logs/`, `postgres/`, `valkey/`, `standins/`.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import secrets
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from launch.processes import is_alive, send, started_at
from launch.say import LaunchError
from launch.venv import ROOT

STOP_PATIENCE = 90.0
START_PATIENCE = 180.0
LONGEST_SOCKET = 100
SHOWN = (
    "BASE_URL",
    "STANDINS_URL",
    "NOTIFICATION_SERVICE_CLIENT_ID",
    "NOTIFICATION_SERVICE_CLIENT_SECRET",
    "NOTIFICATION_SERVICE_RECEIPT_SECRET",
    "DATABASE_URL",
    "REDIS_URL",
)


@dataclass(frozen=True)
class Owner:
    """The launcher that holds the lock; `url` is empty until it is ready."""

    pid: int
    started: int
    url: str


class Instance:
    """A data folder, whether or not something runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock_file: IO[str] | None = None

    def create(self) -> None:
        """Make the folder. Raises LaunchError if it cannot be made or written to."""
        try:
            self.folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LaunchError(f"{self.folder} cannot be made: {error.strerror} (see --data).") from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise LaunchError(f"{self.folder} belongs to another user: choose another folder with --data.")

    def acquire(self) -> Owner | None:
        """Take the lock; gives None, or the owner if another launcher runs and is ready.

        A launcher that is still starting or stopping is waited for.
        """
        deadline = time.monotonic() + START_PATIENCE
        file = self._open_lock()
        while not _try_lock(file):
            owner = self.owner()
            if owner and owner.url:
                file.close()
                return owner
            if time.monotonic() > deadline:
                raise LaunchError(f"Another start in {self.folder} does not get ready: end it with bin/up --stop.")
            time.sleep(0.1)
        self.lock_file = file
        self.announce("")
        return None

    def announce(self, url: str) -> None:
        """Write into the lock who runs here, and where once it is ready."""
        assert self.lock_file is not None
        self.lock_file.seek(0)
        self.lock_file.truncate()
        self.lock_file.write(json.dumps({"pid": os.getpid(), "started": started_at(os.getpid()), "url": url}))
        self.lock_file.flush()

    def owner(self) -> Owner | None:
        """The living launcher of this folder, if any."""
        try:
            owner = Owner(**json.loads((self.folder / "lock").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return owner if is_alive(owner.pid, owner.started) else None

    def stop(self) -> bool:
        """End what runs here and wait until all of it has ended; False if nothing ran.

        Raises LaunchError if it belongs to another user or does not end.
        """
        if not (self.folder / "lock").exists():
            return False
        file = self._open_lock()
        if _try_lock(file):
            return False
        owner = self.owner()
        self._signal(owner, signal.SIGTERM)
        deadline = time.monotonic() + STOP_PATIENCE
        while not _try_lock(file):
            if time.monotonic() > deadline:
                self._signal(owner, signal.SIGKILL)
                deadline += STOP_PATIENCE
            time.sleep(0.05)
        while owner is not None and is_alive(owner.pid, owner.started) and time.monotonic() < deadline:
            time.sleep(0.02)  # the lock is given back a moment before the launcher has ended
        return True

    def environment(self) -> dict[str, str]:
        """What the running instance gives to its programs. Raises LaunchError if nothing runs."""
        if (self.folder / "lock").exists():
            self._open_lock().close()
        owner = self.owner()
        try:
            kept: dict[str, str] = json.loads((self.folder / "env.json").read_text("utf-8"))
        except (OSError, ValueError):
            owner = None
        if owner is None:
            raise LaunchError(f"Nothing runs in {self.folder}: start it with bin/up.")
        return kept

    def secret_values(self) -> dict[str, str]:
        """The secrets of this folder, made at random once and kept."""
        path = self.folder / "secrets.json"
        try:
            read = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):  # there is none, or it is damaged
            read = None
        kept: dict[str, str] = read if isinstance(read, dict) else {}
        fresh = {name: make() for name, make in SECRETS.items() if name not in kept}
        if fresh:
            kept |= fresh
            write_private(path, kept)
        return kept

    def sockets(self) -> Path:
        """The folder below which the engines make their sockets: ours, or a new private one in /tmp.

        A socket's path is at most 107 bytes, and spaces or commas in it mislead some readers of URLs.
        The one in /tmp is for this run alone: the guardian removes it.
        """
        longest = str(self.folder / "postgres" / ".s.PGSQL.5432")
        if len(longest.encode()) < LONGEST_SOCKET and re.fullmatch(r"[\w./-]+", longest, re.ASCII):
            return self.folder
        fresh = Path(tempfile.mkdtemp(prefix="live-", dir="/tmp"))
        fresh.chmod(0o711 if os.geteuid() == 0 else 0o700)
        return fresh

    def _open_lock(self) -> IO[str]:
        try:
            return os.fdopen(os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
        except OSError as error:
            raise LaunchError(f"{self.folder} belongs to another user: choose another folder with --data.") from error

    def _signal(self, owner: Owner | None, number: int) -> None:
        """No owner means that its guardian is cleaning up after it: that needs no signal."""
        if owner is None:
            return
        try:
            send(owner.pid, number)
        except PermissionError as error:
            raise LaunchError(f"What runs in {self.folder} belongs to another user: stop it as that user.") from error


def default_folder() -> Path:
    """LIVE_DATA, else .run in the checkout."""
    return Path(os.environ.get("LIVE_DATA") or ROOT / ".run").absolute()


def write_private(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step, readable by its owner alone."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(values, file, indent=1)
    fresh.replace(path)


SECRETS = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(64),
    "NOTIFICATION_SERVICE_CLIENT_ID": lambda: "live-" + secrets.token_hex(6),
    "NOTIFICATION_SERVICE_CLIENT_SECRET": lambda: secrets.token_urlsafe(32),
    # As Standard Webhooks has it: 32 random bytes in base64.
    "NOTIFICATION_SERVICE_RECEIPT_SECRET": lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
}


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
