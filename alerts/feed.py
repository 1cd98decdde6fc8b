"""publish(): the only sender to the channel layer. Ids only; loss costs latency, never data.

One thread with its own event loop sends what a bounded in-process queue holds: a `group_send` from a worker
thread would open a new connection each time. Queue full or Redis down: dropped, the hub polls and the
dispatcher sweeps.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from celery import current_app
from channels.layers import get_channel_layer

GROUP = "feed"
CAPACITY = 10_000
PUSHES, DELIVERIES = "alerts.tasks.sweep_pushes", "alerts.tasks.work_deliveries"
SEND_TIMEOUT = 2.0  # seconds
KICK_SECONDS = 0.02  # between two kicks for one task: each costs the worker 3.5 ms, and one is enough for all commits

log = structlog.get_logger(__name__)


class Kick(NamedTuple):
    """When a task was kicked, for the trace of a push: wall clock, seconds. `asked` after a commit, `sent` to Redis."""

    asked: float
    sent: float

    @classmethod
    def of(cls, headers: dict[str, Any] | None) -> "Kick | None":
        """From the headers of a task's message; None if it was not a kick."""
        match headers:
            case {"asked": float(asked), "sent": float(sent)}:
                return cls(asked, sent)
        return None


class Publisher:
    """A daemon thread that sends alert ids to the hubs and kicks the workers, merged as they come.

    The first kick after a pause goes at once, those of the next 20 ms together.
    """

    def __init__(self) -> None:
        self.waiting: queue.Queue[UUID | str] = queue.Queue(CAPACITY)
        self._owed: dict[str, float] = {}  # tasks to kick, and since when
        self._kicked: dict[str, float] = {}  # when each was, on the monotonic clock
        threading.Thread(target=self._run, name="feed-publisher", daemon=True).start()

    def put(self, item: UUID | str) -> None:
        """An alert id that changed, or the name of a task that has something to do. Never blocks."""
        try:
            self.waiting.put_nowait(item)
        except queue.Full:
            log.warning("feed_queue_full")

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while True:
                items = self._take()
                ids = sorted(str(item) for item in items if isinstance(item, UUID))
                self._owed = dict.fromkeys((item for item in items if isinstance(item, str)), time.time()) | self._owed
                self._kick_owed(time.monotonic())
                if ids:
                    _try(partial(runner.run, _send(ids)))

    def _take(self) -> set[UUID | str]:
        """What came, waiting for it; nothing, if by then a kick is to go that was put off."""
        items: set[UUID | str] = set()
        try:
            items.add(self.waiting.get(timeout=KICK_SECONDS if self._owed else None))
            while True:
                items.add(self.waiting.get_nowait())
        except queue.Empty:
            return items

    def _kick_owed(self, now: float) -> None:
        for task in sorted(self._owed):
            if now - self._kicked.get(task, -KICK_SECONDS) >= KICK_SECONDS:
                self._kicked[task] = now
                _try(partial(_kick, task, self._owed.pop(task)))


def _try(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception as error:  # noqa: BLE001 - a hint was lost, nothing else; the thread must live on
        log.warning("feed_hint_lost", error=type(error).__name__)


def _kick(task: str, asked: float) -> None:
    current_app.send_task(task, retry=False, expires=30, headers=Kick(asked, time.time())._asdict())


async def _send(ids: list[str]) -> None:
    layer = get_channel_layer()
    async with asyncio.timeout(SEND_TIMEOUT):
        await layer.group_send(GROUP, {"type": "alerts.changed", "ids": ids})


_publisher = lru_cache(maxsize=1)(Publisher)


def publish(alert_ids: Iterable[UUID]) -> None:
    """Tell every hub that these alerts changed. Call it after commit. Never blocks, never raises."""
    for alert_id in alert_ids:
        _publisher().put(alert_id)


def kick(task: str = PUSHES) -> None:
    """Tell a worker that pushes are due, or deliveries. Call it after commit. Never blocks, never raises."""
    _publisher().put(task)
