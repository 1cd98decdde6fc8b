"""Each web process says every 10 s that it is there, so that a time when none was is known (alerts/blind)."""

import asyncio
import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import prometheus_client
import structlog
from django.db import connection

from alerts.blind import BEAT_EVERY, beat
from alerts.faults import PASSING, report
from orgs import clock
from orgs.logs import described

APART = prometheus_client.Gauge(
    "live_clock_apart_seconds", "By how much PostgreSQL's clock, which decides, is ahead of this machine's"
)

log = structlog.get_logger(__name__)


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Beat at once, and then until the end. From the loop that takes requests: one that hangs does not beat."""
    task = asyncio.create_task(_beat_on(), name="heartbeat")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _beat_on() -> None:
    thread, loop = ThreadPoolExecutor(1, thread_name_prefix="heartbeat"), asyncio.get_running_loop()
    try:
        while True:
            await loop.run_in_executor(thread, _beat_once)
            await asyncio.sleep(BEAT_EVERY * random.uniform(0.9, 1.0))  # noqa: S311 - jitter, not a secret
    finally:
        thread.shutdown(wait=False)


def _beat_once() -> None:
    """One beat, on a connection of the pool. While the database is away nobody sees us, and nothing could be stored."""
    try:
        beat()
        compare_clocks()
    except PASSING as error:
        log.warning("heartbeat_lost", error=described(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the next beat tries again
        report("heartbeat_failed", error)
    finally:
        connection.close()


def compare_clocks() -> None:
    """Say whether this machine's clock is not PostgreSQL's: one of the two is wrong, and times of ours with it."""
    apart = (clock.now() - datetime.now(UTC)).total_seconds()
    APART.set(apart)
    if abs(apart) >= clock.FAR_APART.total_seconds():
        log.error("clocks_apart", seconds=round(apart))
