"""One thread with one event loop and one HTTP session: it sends what it is handed, at most 50 at a time.

The database work stays with the caller, in the caller's thread: claims and results cross through two queues.
"""

import asyncio
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import aiohttp
import structlog
import uvloop

from alerts.delivery import notification_service
from alerts.delivery.answers import GIVEN_BACK, PushOutcome, no_answer
from alerts.delivery.gate import FAILURES
from alerts.failpoints import failpoint

START_WITHIN = 15.0  # seconds after the claim: lease 60 > task limit 30 > 15 + deadline 10

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A push that is ours until its lease ends. `claimed_at` on this process's monotonic clock, seconds."""

    id: UUID
    alert_id: UUID | None
    idempotency_key: UUID
    body: str
    attempts: int
    token: UUID
    claimed_at: float
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of it; `at` on the monotonic clock."""

    push: Claimed
    outcome: PushOutcome
    at: float


class PushSender:
    """A context manager around the thread. `hand()` in, `results()` out; leaving it cuts what is still in flight."""

    def __init__(self) -> None:
        self.unfinished = 0  # handed in, not yet taken out; touched by the caller's thread only
        self._waiting: deque[Claimed] = deque()
        self._done: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self.held = False  # no further send starts; for good
        self._ended = False
        self._failures = 0  # in a row
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="push-sender", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self.hold()
        self._ended = True
        self._loop.call_soon_threadsafe(self._wake.set)
        self._thread.join()

    def hand(self, pushes: list[Claimed]) -> None:
        """Send these, in this order."""
        self.unfinished += len(pushes)
        self._waiting.extend(pushes)
        self._loop.call_soon_threadsafe(self._wake.set)

    def hold(self) -> None:
        """Start no further send: pushes that still wait come back as given back."""
        self.held = True

    def results(self, first_within: float, gather: float) -> list[Finished]:
        """The finished pushes: waits `first_within` seconds for one, then `gather` for more, or until all is in."""
        found: list[Finished] = []
        until = time.monotonic() + first_within
        while self.unfinished:
            try:
                found.append(self._done.get(timeout=max(until - time.monotonic(), 0)))
            except queue.Empty:
                if not self._thread.is_alive() and self._done.empty():
                    raise RuntimeError("the sending thread has died") from None
                break
            self.unfinished -= 1
            if len(found) == 1:
                until = time.monotonic() + gather
        return found

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        """Keep as many lanes running as there is work for, until it is over and every lane has ended."""
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._started.set()
        async with notification_service.open_session() as session:
            running: set[asyncio.Task[None]] = set()
            while not self._ended:
                await self._wake.wait()
                self._wake.clear()
                for _ in range(min(len(self._waiting), notification_service.IN_FLIGHT - len(running))):
                    lane = asyncio.create_task(self._send_waiting(session))
                    running.add(lane)
                    lane.add_done_callback(running.discard)
            if self.unfinished:  # the caller gave up waiting
                for lane in running:
                    lane.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _send_waiting(self, session: aiohttp.ClientSession) -> None:
        """One lane: send what waits, one after the other, until nothing does."""
        while self._waiting:
            push = self._waiting.popleft()
            outcome = await self._send(session, push)
            self._failures = self._failures + 1 if outcome.kind == "retry" else 0
            if outcome.kind == "configuration" or outcome.retry_after is not None or self._failures >= FAILURES:
                self.hold()  # at once: the gate, which tells every process, follows with the batch
            self._done.put(Finished(push, outcome, time.monotonic()))

    async def _send(self, session: aiohttp.ClientSession, push: Claimed) -> PushOutcome:
        if self.held or time.monotonic() - push.claimed_at > START_WITHIN:
            return GIVEN_BACK
        try:
            outcome = await notification_service.send(session, push)
        except Exception as error:  # one push must not end the sweep of all the others
            log.exception("push_send_failed", push=str(push.id))
            return no_answer(type(error).__name__)
        if outcome.kind == "sent":
            failpoint("after_2xx")
        return outcome
