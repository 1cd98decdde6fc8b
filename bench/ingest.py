"""How many failure events a second the lane takes, decided, with alerts and pushes recorded, each 2xx after COMMIT.

A real web process on a scratch database, posted to over keep-alive connections: one event in a request from 16
connections, one room activity in a request likewise, then 100 events in a request from 4; these bytes are ready and go
out raw, so that the service alone is measured. Then as many through one Python client, as a chatbot back end would. The
limits in the same run, by turns with it: raw single-row commits on 4 psycopg connections, binary COPY on 2, what
Alertmanager accepts where it is installed (in memory; it keeps nothing), what a serializer of Django REST framework and
bulk_create store, and for the client the ready batches.

    python -m bench.ingest [--small] [--scale N]

Needs DATABASE_URL (a role that may create databases) and REDIS_URL. Exit code 1: an event was lost or refused, the
web process grew, or a ratio is below half of what was measured (FLOORS).
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients" / "python"))

import psycopg

from agent_live_monitoring import Client
from bench.feed_setup import HOST, environment, web_process
from bench.peer import alertmanager
from bench.table import Measured, tell

SINGLE, BATCH = 16, 4  # connections
SIZE = 100  # events in a batch
EVENTS_OF_A_ROOM = 5
SINGLES, BATCHES = 1000, 60  # requests of one round, at scale 1
COMMITS, COPIES, COPIED = 2000, 20, 1000  # of one round: rows committed alone; COPYs and the rows of each
ROUNDS = 3
GROWTH = 64  # MB the web process may grow after it is warm
# Half of the least that was measured on two cores, idle or shared, 2026-11-29; see docs/benchmarks.md.
FLOORS = {
    "single / commits": 0.03,
    "activity / commits": 0.1,
    "batch / copy": 0.005,
    "client / batch": 0.3,
    "single / alertmanager single": 0.01,
    "batch / alertmanager batch": 0.018,
    "single / drf single": 1.0,
    "batch / drf batch": 0.4,
}
TARGETS = {
    "activity / commits": 1.0,
    "single / alertmanager single": 0.7,
    "batch / alertmanager batch": 1.0,
}
SAID = {
    "single": "failure events/s, one a request",
    "activity": "room activities/s, one a request",
    "batch": f"failure events/s, {SIZE} a request",
    "client": "failure events/s, one Python client",
    "commits": "raw commits on 4 connections",
    "copy": "binary COPY on 2 connections",
    "alertmanager single": "Alertmanager, in memory",
    "alertmanager batch": "Alertmanager, in memory",
    "drf single": "DRF + bulk_create, nothing decided",
    "drf batch": "DRF + bulk_create, nothing decided",
}

numbers = count()


def main() -> int:
    """Parse, measure on a scratch database, print; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.ingest", description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a short run for .ci/run")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="N times as many requests")
    options = parser.parse_args()
    for name in ("DATABASE_URL", "REDIS_URL"):
        if name not in os.environ:
            parser.error(f"{name} is not set")
    os.environ.setdefault("SECRET_KEY", "only-for-this-bench-" + os.urandom(32).hex())
    with ExitStack() as stack:
        environment(stack)
        key = set_up()
        web, port = stack.enter_context(web_process())
        rounds, size = 1 if options.small else ROUNDS, options.scale * (0.3 if options.small else 1.0)
        stored = warm(port, key)
        steps = ours(port, key, size) | peers(stack, size)
        return measure(web.memory_info, steps, stored, rounds)


def set_up() -> str:
    """An org with one supervisor, the table of the limits, and the key of an org source."""
    from django_scopes import scopes_disabled

    from orgs.models import ApiKey, Assignment, Org, Policy, Source, SupervisorRole, User

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE raw (id bigint PRIMARY KEY, at timestamptz NOT NULL, payload text NOT NULL)")
    with scopes_disabled():
        org = Org.objects.create(external_id="bench", name="Bench")
        Policy.objects.create(org=org, limits={"budget": {"pushes": 0}, "outage": {"rooms": 0}})
        role = SupervisorRole.objects.create(org=org, name="Team lead")
        Assignment.objects.create(org=org, role=role, user=User.objects.create(sso_id="bench", name="Supervisor"))
        source = Source.objects.create(org=org, name="bench")
        return ApiKey.objects.create_key(name="bench", source=source, scopes=["ingest"])[1]


Steps = dict[str, Callable[[], tuple[int, float]]]  # each gives what it took, and the seconds


def ours(port: int, key: str, size: float) -> Steps:
    """What is measured, and the limits that need nobody else."""
    return {
        "commits": lambda: commits(int(COMMITS * size)),
        "single": lambda: asyncio.run(post(port, events(key, int(SINGLES * size), 1), SINGLE)),
        "activity": lambda: asyncio.run(post(port, activities(key, int(SINGLES * size)), SINGLE)),
        "copy": lambda: copies(int(COPIES * size)),
        "batch": lambda: asyncio.run(post(port, events(key, int(BATCHES * size), SIZE), BATCH)),
        "client": lambda: reported(port, key, int(BATCHES * size) * SIZE),
    }


def peers(stack: ExitStack, size: float) -> Steps:
    """The same posted to others."""
    from bench.peer import drf  # needs Django set up

    singles, batches = int(SINGLES * size), int(BATCHES * size)
    other, ports = count(), {"drf": (drf, stack.enter_context(drf.served()))}
    port = stack.enter_context(alertmanager.alertmanager())
    if port is None:
        print(alertmanager.MISSING)
    else:
        ports["alertmanager"] = (alertmanager, port)
    steps: Steps = {}
    for name, (peer, at) in ports.items():
        steps[f"{name} single"] = partial(_run, at, partial(peer.requests, other, singles, 1), SINGLE)
        steps[f"{name} batch"] = partial(_run, at, partial(peer.requests, other, batches, SIZE), BATCH)
    return steps


def _run(port: int, made: Callable[[], list[bytes]], connections: int) -> tuple[int, float]:
    return asyncio.run(post(port, made(), connections))


def warm(port: int, key: str) -> int:
    """The first requests of all: how many events they stored."""
    done = [asyncio.run(post(port, events(key, 100, 1), SINGLE)), asyncio.run(post(port, events(key, 5, SIZE), BATCH))]
    asyncio.run(post(port, activities(key, 100), SINGLE))
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("ANALYZE")  # as autovacuum has, a minute after an installation begins
    return sum(stored for stored, _ in done)


def measure(memory: Callable[[], Any], steps: Steps, stored: int, rounds: int) -> int:
    """Figures and limits by turns, their medians told; 1 if something is lost or too slow."""
    before = memory().rss
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            done, seconds = step()
            rates[name].append(done / seconds)
            stored += done if name in ("single", "batch", "client") else 0
    grown = (memory().rss - before) / 2**20
    middle = {name: statistics.median(values) for name, values in rates.items()}
    rows = []
    for name, floor in FLOORS.items():
        ours, _, limit = name.partition(" / ")
        if limit in middle:
            value, held = f"{middle[ours]:,.0f}", f"{middle[limit]:,.0f} {SAID[limit]}"
            rows.append(Measured(SAID[ours], value, held, middle[ours] / middle[limit], TARGETS.get(name), floor))
    rows.append(Measured("memory of the web process", f"{before / 2**20:.0f} MB, {grown:+.0f} MB", f"{GROWTH} MB more"))
    fast = tell(rows)
    return 0 if whole(stored) and fast and grown <= GROWTH else 1


def whole(stored: int) -> bool:
    """Whether every event that was answered with 2xx is stored and decided."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT count(*), count(alert_id), count(DISTINCT room_id), (SELECT count(*) FROM alerts_alert), "
            "(SELECT count(*) FROM alerts_push) FROM alerts_failureevent WHERE event_id LIKE 'event-%'"
        ).fetchone()
    assert row is not None
    events, attached, rooms, alerts, pushes = row
    print(f"stored {events:,} of {stored:,} events; {alerts:,} alerts, {pushes:,} pushes planned")
    return bool(events == attached == stored and rooms == alerts == pushes)


def events(key: str, how_many: int, size: int) -> list[bytes]:
    """Ready bytes of that many requests of `size` events each; five events go to a room."""
    many = [[event(next(numbers)) for _ in range(size)] for _ in range(how_many)]
    return [request("/api/failure-events", key, items[0] if size == 1 else items) for items in many]


def activities(key: str, how_many: int) -> list[bytes]:
    """Ready bytes of that many requests of one customer's or bot's message each, in rooms of their own."""
    made = []
    for number in (next(numbers) for _ in range(how_many)):
        kind = "bot_message" if number % 2 else "customer_message"
        item = {"activity_id": f"message-{number}", "room_id": f"talk-{number % 500}", "kind": kind}
        made.append(request("/api/room-activity", key, item | {"at": datetime.now(UTC).isoformat()}))
    return made


def request(path: str, key: str, content: Any) -> bytes:
    """Ready bytes of one request."""
    body = json.dumps(content).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def event(number: int) -> dict[str, Any]:
    """A failure event of some 460 bytes."""
    return {
        "event_id": f"event-{number}",
        "agent_name": f"Agent {number % 20}",
        "agent_version": "2026.11.3",
        "room_id": f"room-{number // EVENTS_OF_A_ROOM}",
        "signal": "agent_error",
        "occurred_at": datetime.now(UTC).isoformat(),
        "run_id": f"00000000-0000-4000-8000-{number:012d}",
        "channel": "whatsapp",
        "error": {"type": "timeout", "message": "The model gave no answer within 30 s"},
        "room_label": f"Order {number}",
        "last_customer_text": "Halo, pesanan saya belum datang, bisa dibantu?",
        "metadata": {"attempt": number % 3, "region": "jakarta"},
    }


async def post(port: int, requests: list[bytes], connections: int) -> tuple[int, float]:
    """Post the requests over that many connections: the items taken, and the seconds it took."""
    waiting = iter(requests)
    started = time.perf_counter()
    taken = await asyncio.gather(*(sender(port, waiting) for _ in range(connections)))
    return sum(taken), time.perf_counter() - started


async def sender(port: int, waiting: Iterator[bytes]) -> int:
    """One connection that takes the next request as soon as it is answered; the items taken."""
    reader, writer = await asyncio.open_connection(HOST, port)
    taken = 0
    for request in waiting:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = await reader.readexactly(int(head.partition("content-length:")[2].split("\r\n")[0]))
        if head.split()[1] not in ("200", "201", "207"):
            raise SystemExit(f"An item was refused: {head.split()[1]} {body[:300]!r}")
        # Alertmanager's answer is empty.
        taken += body.count(b'"status":"created"') if body else request.count(b'"startsAt"')
    writer.close()
    return taken


def reported(port: int, key: str, how_many: int) -> tuple[int, float]:
    """Report that many events through one Python client: the events delivered, and the seconds it took."""
    waiting = [event(next(numbers)) for _ in range(how_many)]
    with Client(f"http://{HOST}:{port}", key, max_items=how_many, max_bytes=2**30) as client:
        started = time.perf_counter()
        for fields in waiting:
            client.report_failure(**fields)
        flushed = client.flush(600)
    if flushed.delivered != how_many:
        raise SystemExit(f"An event was not delivered: {flushed}")
    return flushed.delivered, time.perf_counter() - started


def commits(rows: int) -> tuple[int, float]:
    """Rows of the same size inserted one by one, each committed, on 4 connections."""

    def insert(connection: psycopg.Connection) -> None:
        for _ in range(rows // 4):
            connection.execute("INSERT INTO raw VALUES (%s, now(), %s)", (next(numbers), "x" * 440))

    return on_connections(4, insert, rows // 4 * 4)


def copies(times: int) -> tuple[int, float]:
    """Rows of the same size copied in binary, 1,000 in a transaction, on 2 connections."""

    def copy(connection: psycopg.Connection) -> None:
        for _ in range(times // 2):
            now = datetime.now(UTC)
            with connection.cursor().copy("COPY raw FROM STDIN (FORMAT BINARY)") as into:
                into.set_types(["int8", "timestamptz", "text"])
                for _ in range(COPIED):
                    into.write_row((next(numbers), now, "x" * 440))

    return on_connections(2, copy, times // 2 * 2 * COPIED)


def on_connections(connections: int, step: Callable[[psycopg.Connection], None], rows: int) -> tuple[int, float]:
    """Run `step` on that many open connections at once: its rows, and the seconds it took."""
    with ExitStack() as stack:
        opened = [
            stack.enter_context(psycopg.connect(os.environ["DATABASE_URL"], autocommit=True))
            for _ in range(connections)
        ]
        pool = stack.enter_context(ThreadPoolExecutor(connections))
        started = time.perf_counter()
        list(pool.map(step, opened))
        return rows, time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
