"""How many runs a second the lane takes, judged, sanitised, rolled up, each 2xx after COMMIT.

A real web process on a scratch database, posted to over keep-alive connections: 1,000 runs in a request from 4, then
one in a request from 16; the bytes are ready and go out raw. The limits in the same run, by turns with it: binary COPY
into a table of the metrics spec's columns on 2 connections, 1,000 rows in a transaction (COPY, then INSERT ... ON
CONFLICT), raw single-row commits on 4 connections, and what a serializer of Django REST framework and bulk_create
store. What the roll-ups cost is measured in this process: the same batches stored with and without them, by turns.

    python -m bench.runs [--small] [--scale N]

Needs DATABASE_URL (a role that may create databases) and REDIS_URL. Exit code 1: a run was lost, counted wrongly or
refused, the web process grew, or a ratio is below half of what was measured (FLOORS).
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients" / "python"))

import psycopg

from bench.feed_setup import environment, web_process
from bench.ingest import GROWTH, Steps, commits, on_connections, post, request, set_up
from bench.table import Measured, tell

SINGLE, BATCH = 16, 4  # connections
SIZE = 1000  # runs in a batch
SINGLES, BATCHES, PEER_BATCHES, COMMITS, COPIES = 2000, 40, 4, 4000, 60  # of one round, at scale 1
ROUNDS = 3
AGENTS, KINDS, CHANNELS = 20, ("chat", "ticket", "faq"), ("whatsapp", "web")
# Half of the least that was measured on two cores, busy with other work, 2026-11-29; see docs/benchmarks.md.
FLOORS = {"batch / copy": 0.13, "single / commits": 0.06, "batch / drf batch": 6.0, "without roll-ups / with": 0.34}
TARGETS = {"batch / copy": 0.4, "single / commits": 1.0, "batch / drf batch": 20.0, "without roll-ups / with": 0.8}
SAID = {
    "batch": f"runs/s, {SIZE} a request",
    "single": "runs/s, one a request",
    "copy": "COPY, then INSERT ... ON CONFLICT, on 2 connections",
    "commits": "raw commits on 4 connections",
    "drf batch": "DRF + bulk_create, nothing rolled up",
    "with": "runs/s stored with roll-ups, one thread",
    "without roll-ups": "the same without roll-ups",
}
TABLE = """
CREATE TABLE raw_runs (run_id uuid PRIMARY KEY, agent_name text NOT NULL, input_kind text NOT NULL,
 started_at timestamptz NOT NULL, ended_at timestamptz, resolution text, self_corrected boolean, tokens_input bigint,
 tokens_output bigint, cost_usd numeric(10,5), sla_target_seconds integer, room_id text, agent_version text,
 channel text, metadata jsonb)
"""
TYPES = (
    *("uuid", "text", "text", "timestamptz", "timestamptz", "text", "bool", "int8", "int8", "numeric", "int4"),
    *("text", "text", "text", "jsonb"),
)

numbers = count()


def main() -> int:
    """Parse, measure on a scratch database, print; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.runs", description=__doc__.partition("\n")[0])
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
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(TABLE)
        web, port = stack.enter_context(web_process())
        rounds, size = 1 if options.small else ROUNDS, options.scale * (0.3 if options.small else 1.0)
        stored = warm(port, key)
        return measure(web.memory_info, steps(stack, port, key, size), stored, rounds)


def steps(stack: ExitStack, port: int, key: str, size: float) -> Steps:
    """What is measured, and its limits."""
    from bench.peer import drf  # needs Django set up

    peer = stack.enter_context(drf.served())
    return {
        "batch": lambda: asyncio.run(post(port, batches(key, int(BATCHES * size), SIZE), BATCH)),
        "copy": lambda: copies(int(COPIES * size)),
        "single": lambda: asyncio.run(post(port, batches(key, int(SINGLES * size), 1), SINGLE)),
        "commits": lambda: commits(int(COMMITS * size)),
        "drf batch": lambda: asyncio.run(
            post(peer, drf.run_requests(made(int(PEER_BATCHES * size) or 1, SIZE)), BATCH)
        ),
        "with": lambda: in_process(int(BATCHES * size / 4) or 1, roll_ups=True),
        "without roll-ups": lambda: in_process(int(BATCHES * size / 4) or 1, roll_ups=False),
    }


def warm(port: int, key: str) -> int:
    """The first requests of all: how many runs they stored."""
    done = [asyncio.run(post(port, batches(key, n, size), SINGLE)) for n, size in ((200, 1), (8, SIZE))]
    done += [in_process(2, roll_ups=roll_ups) for roll_ups in (True, False)]  # this process is new to its statements
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("ANALYZE")  # as autovacuum has, a minute after an installation begins
    return sum(stored for stored, _ in done)


def measure(memory: Callable[[], Any], steps: Steps, stored: int, rounds: int) -> int:
    """Figures and limits by turns, their medians told; 1 if something is lost, counted wrongly or too slow."""
    before = memory().rss
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            done, seconds = step()
            rates[name].append(done / seconds)
            stored += done if name in ("single", "batch", "with", "without roll-ups") else 0
    grown = (memory().rss - before) / 2**20
    middle = {name: statistics.median(values) for name, values in rates.items()}
    rows = []
    for name, floor in FLOORS.items():
        ours, _, limit = name.partition(" / ")
        ratio = middle[ours] / middle[limit]
        if ours == "without roll-ups":
            ours, limit, ratio = limit, ours, 1 / ratio
        value, held = f"{middle[ours]:,.0f}", f"{middle[limit]:,.0f} {SAID[limit]}"
        rows.append(Measured(SAID[ours], value, held, ratio, TARGETS.get(name), floor))
    rows.append(Measured("memory of the web process", f"{before / 2**20:.0f} MB, {grown:+.0f} MB", f"{GROWTH} MB more"))
    fast = tell(rows)
    return 0 if whole(stored) and fast and grown <= GROWTH else 1


def whole(stored: int) -> bool:
    """Whether every run that was answered with 2xx is stored, and counted but for those stored without roll-ups."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM runs_agentrun WHERE room <> 'peer'), (SELECT sum(runs) FROM runs_hourkpi),"
            " (SELECT sum(runs) FROM runs_daykpi),"
            " (SELECT count(*) FROM runs_agentrun WHERE room <> 'peer' AND agent_version <> 'uncounted')"
        ).fetchone()
    assert row is not None
    runs, hours, days, counted = row
    print(f"stored {runs:,} of {stored:,} runs; {hours:,} counted in hours, {days:,} in days")
    return bool(runs == stored and hours == days == counted)


def made(how_many: int, size: int, **fields: Any) -> list[list[dict[str, Any]]]:
    """That many lists of runs, each of some 460 bytes, as a back end sends them minutes after they ended."""
    return [[run(next(numbers)) | fields for _ in range(size)] for _ in range(how_many)]


def run(number: int) -> dict[str, Any]:
    """One run that was resolved."""
    started = datetime.now(UTC) - timedelta(seconds=120 + number % 600)
    return {
        "run_id": f"{number:08x}-0000-4000-8000-{os.getpid():012x}",
        "agent_name": f"Agent {number % AGENTS}",
        "agent_version": "2026.11.3",
        "input_kind": KINDS[number % len(KINDS)],
        "channel": CHANNELS[number % len(CHANNELS)],
        "room_id": f"room-{number // 3}",
        "started_at": started.isoformat(),
        "ended_at": (started + timedelta(milliseconds=1000 + number % 60_000)).isoformat(),
        "resolution": "resolved" if number % 10 else "escalated",
        "handoff_expected": True,  # an escalation that was not is an alert, with all that hangs on one
        "self_corrected": number % 4 == 0,
        "tokens_input": 3421 + number % 100,
        "tokens_output": 1890,
        "cost_usd": 0.0342,
        "sla_target_seconds": 600,
        "metadata": {"shop_id": "hotrodan", "ticket_id": f"T-{number}"},
    }


def batches(key: str, how_many: int, size: int) -> list[bytes]:
    """Ready bytes of that many requests of `size` runs each."""
    return [request("/api/agent-runs", key, items[0] if size == 1 else items) for items in made(how_many, size)]


def copies(times: int) -> tuple[int, float]:
    """The same rows copied in binary and inserted unless they are known, 1,000 in a transaction, on 2 connections."""
    ready = [[_values(item) for item in items] for items in made(times // 2 * 2, SIZE)]
    waiting = iter(ready)

    def copy(connection: psycopg.Connection) -> None:
        connection.execute("CREATE TEMP TABLE IF NOT EXISTS given (LIKE raw_runs)")
        for rows in waiting:
            with connection.transaction():
                with connection.cursor().copy("COPY given FROM STDIN (FORMAT BINARY)") as into:
                    into.set_types(TYPES)
                    for row in rows:
                        into.write_row(row)
                connection.execute("INSERT INTO raw_runs SELECT * FROM given ON CONFLICT DO NOTHING")
                connection.execute("TRUNCATE given")

    return on_connections(2, copy, len(ready) * SIZE)


def _values(item: dict[str, Any]) -> tuple[Any, ...]:
    from psycopg.types.json import Jsonb

    return (
        UUID(item["run_id"]),
        item["agent_name"],
        item["input_kind"],
        datetime.fromisoformat(item["started_at"]),
        datetime.fromisoformat(item["ended_at"]),
        *(item[name] for name in ("resolution", "self_corrected", "tokens_input", "tokens_output")),
        Decimal(str(item["cost_usd"])),
        *(item[name] for name in ("sla_target_seconds", "room_id", "agent_version", "channel")),
        Jsonb(item["metadata"]),
    )


def in_process(how_many: int, *, roll_ups: bool) -> tuple[int, float]:
    """Batches stored by this process, with or without the roll-ups: the runs, and the seconds it took."""
    from django_scopes import scopes_disabled

    from console.ingest import records
    from console.ingest.check import ItemSender, check
    from console.loaded import keep_loaded
    from orgs.models import Source
    from runs.store import store_run_batches

    with scopes_disabled(), rolled_up(roll_ups):
        source = Source.objects.get()
        now, sender = datetime.now(UTC), ItemSender({"bench": source.org_id or 0}, "bench")
        fields = {} if roll_ups else {"agent_version": "uncounted"}
        ready = [
            [check(item, place, records.RUNS, sender, now) for place, item in enumerate(items)]
            for items in made(how_many, SIZE, **fields)
        ]
        keep_loaded()  # as the web process
        started = time.perf_counter()
        for accepted in ready:
            store_run_batches([(source, accepted)])
        return how_many * SIZE, time.perf_counter() - started


@contextmanager
def rolled_up(roll_ups: bool) -> Iterator[None]:
    """With `roll_ups` off, runs are written alone."""
    from runs.ledger import Ledger

    kept = Ledger._roll_up
    if not roll_ups:
        Ledger._roll_up = lambda *args: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Ledger._roll_up = kept  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main())
