"""What the lane does with far more than it can take: are the refusals honest, is anything lost, does memory stay flat?

A real web process on a scratch database. First its capacity, single events from 16 connections; then as many
connections as make ten times that, each sending the next event as soon as it is answered, whatever the answer.

    python -m bench.overload [--small] [--scale N]

Needs DATABASE_URL (a role that may create databases) and REDIS_URL. Exit code 1: an event that was answered 2xx is not
stored, a refusal does not say when to come again, the process grew, or it took less than FLOOR of its capacity.
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg

from bench import ingest
from bench.feed_setup import HOST, environment, web_process
from bench.table import Measured, tell

CONNECTIONS = 600  # three times as many as may wait
SECONDS = 60.0
GROWTH = 64  # MB
FLOOR = 0.12  # of the capacity: half of what was measured; refusing and the senders take the rest of two cores
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
        web, port = stack.enter_context(web_process())
        seconds = SECONDS * options.scale * (0.1 if options.small else 1.0)
        return asyncio.run(measure(web.memory_info, port, key, seconds))


async def measure(memory: Callable[[], Any], port: int, key: str, seconds: float) -> int:
    """Capacity, then the flood; the exit code."""
    await ingest.post(port, ingest.events(key, 200, 1), ingest.SINGLE)
    stored, took = await ingest.post(port, ingest.events(key, 1000, 1), ingest.SINGLE)
    capacity, before = stored / took, memory().rss
    flood = Flood(port, key, time.monotonic() + seconds)
    peak = asyncio.create_task(flood.watch(lambda: memory().rss))
    began = time.monotonic()
    await asyncio.gather(*(flood.sender() for _ in range(CONNECTIONS)))
    took = time.monotonic() - began
    grown = (await peak - before) / 2**20
    answered, accepted = sum(flood.answers.values()), flood.answers["201"]
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT count(*) FROM alerts_failureevent").fetchone()
    lost = 1200 + accepted - (row[0] if row else 0)
    rows = [
        Measured(
            f"events/s taken under {answered / took / capacity:.1f} times the load, {took:.0f} s",
            f"{accepted / took:,.0f}",
            f"{capacity:,.0f} at its capacity",
            accepted / took / capacity,
            1.0,
            FLOOR,
        ),
        Measured("memory of the web process under it", f"{grown:+.0f} MB", f"{GROWTH} MB"),
        Measured("events answered 2xx and not stored", f"{lost}", "0"),
    ]
    holds = tell(rows)
    print(f"answers: {dict(flood.answers)}; refusals that do not say when to come again: {flood.silent}")
    odd = set(flood.answers) - {"201", *REFUSALS}
    return 0 if holds and not lost and not odd and not flood.silent and grown <= GROWTH else 1


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
