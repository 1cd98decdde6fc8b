"""Whether a retention that is cut from 400 to 90 days ends, and how much the lane feels of it.

A scratch database with 15 orgs and the alerts of 270 days with all that hangs on them (bench/history.py): about a
million rows at scale 1. Then every org keeps 90 days only. `manage.py purge` runs in a process of its own while single
failure events are posted to a real web process at a fixed pace; every few seconds the purge is stopped and goes on, so
that the lane with it and without it is measured by turns. A latency counts from when its request was due. Then that
purge is killed, and another that takes no rest goes on where it was, until nothing is left that is too old.

    python -m bench.purge [--small] [--scale N] [--alerts N]

Needs DATABASE_URL (a role that may create databases) and REDIS_URL. Exit code 1: an event was refused, old rows are
left, the figures of the past changed, or the ratio is below half of what was measured.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil

from bench import ingest
from bench.feed_setup import HOST, environment, web_process
from bench.history import Size, age, settle
from bench.table import Measured, tell

ROOT = Path(__file__).resolve().parent.parent
PACE = 50  # events/s
CONNECTIONS = 8
TURN = 4.0  # seconds with the purge, then as many without
TURNS, TURNS_SMALL = 10, 2
ENOUGH = 100  # events
TARGET, FLOOR = 0.9, 0.25
DAYS = 90


def main() -> int:
    """Parse, measure on a scratch database, print; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.purge", description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a short run for .ci/run")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="N times as many alerts")
    parser.add_argument("--alerts", type=int, metavar="N", help="that many alerts; ten rows each hang on them")
    options = parser.parse_args()
    os.environ.setdefault("SECRET_KEY", "only-for-this-bench-" + os.urandom(32).hex())
    resolved = options.alerts or (8_000 if options.small else 100_000) * options.scale
    with ExitStack() as stack:
        environment(stack)
        settle(size := Size(open=200, people=60, resolved=resolved))
        age(size)
        key = ingest.set_up()
        _, port = stack.enter_context(web_process())
        ingest.warm(port, key)
        before = past_figures()
        cut()
        old = too_old()
        purge = subprocess.Popen([sys.executable, "manage.py", "purge"], cwd=ROOT, stdout=subprocess.DEVNULL)
        turns = TURNS_SMALL if options.small else TURNS
        paused, beside = asyncio.run(by_turns(port, key, psutil.Process(purge.pid), turns))
        purge.kill()
        purge.wait()
        gone = old - too_old()
        print(f"{gone:,} of {old:,} alerts were purged beside the lane, {gone / (turns * TURN):,.0f}/s")
        return report(paused, beside, before)


def cut() -> None:
    """Every org keeps 90 days only."""
    from django_scopes import scopes_disabled

    from orgs.models import Org, Retention

    with scopes_disabled():
        fields = {"failure_events_days": DAYS, "room_activity_days": DAYS, "pushes_days": DAYS}
        Retention.objects.bulk_create(Retention(org=org, **fields) for org in Org.objects.all())


def past_figures() -> list[Any]:
    """The success figures of each of nine months, after the days were closed."""
    from django_scopes import scopes_disabled

    from alerts import figures
    from alerts.figures.sealing import close_all
    from orgs.models import Org

    now, found = datetime.now(UTC), []
    with scopes_disabled():
        close_all(now)
        orgs = list(Org.objects.exclude(external_id="bench").order_by("pk"))
        for month in range(1, 10):
            last = now.date() - timedelta(days=30 * month)
            measured = figures.measure(orgs, figures.period(last - timedelta(days=30), last, now), "UTC", now)
            found.append([(one.metric.name, dict(one.outcomes), one.now.value) for one in measured.overall])
    return found


async def by_turns(port: int, key: str, purge: psutil.Process, turns: int) -> tuple[list[float], list[float]]:
    """The latencies of single events, in seconds: with the purge stopped, and with it at work."""
    paused: list[float] = []
    beside: list[float] = []
    while purge.status() != psutil.STATUS_ZOMBIE and purge.cpu_times().user < 2.0:  # until it has begun
        await asyncio.sleep(0.05)
    for _ in range(turns):
        for latencies, act in ((paused, purge.suspend), (beside, purge.resume)):
            if purge.status() == psutil.STATUS_ZOMBIE:
                print("The purge ended before all turns were measured.")
                return paused, beside
            act()
            latencies += await posted(port, key)
    return paused, beside


async def posted(port: int, key: str) -> list[float]:
    """One turn: events at the pace, each on the connection that is free first; what each took since it was due."""
    requests = ingest.events(key, int(PACE * TURN), 1)
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    took: list[float] = []

    async def sender() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        while True:
            due, request = await waiting.get()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.partition("content-length:")[2].split("\r\n")[0]))
            took.append(time.perf_counter() - due)
            if head.split()[1] != "201":
                raise SystemExit(f"An event was refused: {head.split()[1]}")
            waiting.task_done()

    senders = [asyncio.create_task(sender()) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for number, request in enumerate(requests):
        due = began + number / PACE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        waiting.put_nowait((due, request))
    await waiting.join()
    for one in senders:
        one.cancel()
    return took


def report(paused: list[float], beside: list[float], before: list[Any]) -> int:
    """Purge what is left, look at what that left, and tell; the exit code."""
    from django_scopes import scopes_disabled

    from alerts.retention.purge import Pace, purge

    began = time.monotonic()
    with scopes_disabled():
        rows = purge(datetime.now(UTC), pace=Pace(rests=0)).total()
    alone = time.monotonic() - began
    alone_said = Measured("rows/s of a purge that takes no rest", f"{rows / alone:,.0f}", f"{rows:,} in {alone:.0f} s")
    holds = tell([*_beside(paused, beside), alone_said])
    left, changed = too_old(), past_figures() != before
    print(f"{left} alerts left that are too old; figures of nine months {'CHANGED' if changed else 'are the same'}")
    return 0 if holds and not left and not changed else 1


def _beside(paused: list[float], beside: list[float]) -> list[Measured]:
    """The lane with and without the purge; nothing where it was over before a percentile can be told."""
    if min(len(paused), len(beside)) < ENOUGH:
        print("Too few events beside the purge to compare.")
        return []
    without, with_it = (statistics.quantiles(some, n=100)[98] * 1000 for some in (paused, beside))
    middles = [statistics.median(some) * 1000 for some in (paused, beside)]
    return [
        Measured(
            f"lane p99 beside a purge, {PACE} events/s",
            f"{with_it:.1f} ms (p50 {middles[1]:.1f})",
            f"{without:.1f} ms (p50 {middles[0]:.1f}) without",
            without / with_it,
            TARGET,
            FLOOR,
        )
    ]


def too_old() -> int:
    """How many alerts should be gone and are not."""
    from django_scopes import scopes_disabled

    from alerts.models import Alert

    with scopes_disabled():
        limit = datetime.now(UTC) - timedelta(days=DAYS + 1)
        return Alert.objects.filter(state="resolved", resolved_at__lt=limit).count()


if __name__ == "__main__":
    sys.exit(main())
