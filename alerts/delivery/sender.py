"""One thread with one event loop and one HTTP session for all sweeps of a process, so that connections are kept.

A sweep's sender has it send what it is handed, at most 50 at a time. The database work stays with the caller, in the
caller's thread: claims and results cross through two queues.
"""

import asyncio
import atexit
import queue
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
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
    hops: dict[str, float] = field(default_factory=dict)  # seconds since it was planned, until it was claimed
    is_revocation: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of it; `at` and `began` on the monotonic clock."""

    push: Claimed
    outcome: PushOutcome
    at: float
    began: float = 0.0

    @property
    def trace(self) -> dict[str, int]:
        """Milliseconds from its plan to each hop; {} if it was not sent."""
        if not self.push.hops or self.outcome.kind == "given_back":
            return {}
        planned = self.push.claimed_at - self.push.hops["claimed"]
        hops = {**self.push.hops, "sent": self.began - planned, "answered": self.at - planned}
        return {name: round(1000 * seconds) for name, seconds in hops.items()}


class SendingLoop:
    """The thread, its loop and its session, which keeps what connections it has to notification-service."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self.session: aiohttp.ClientSession | None = None
        threading.Thread(target=self.loop.run_forever, name="push-sender", daemon=True).start()
        atexit.register(self._close)

    def opened(self) -> aiohttp.ClientSession:
        """The session; call it on the loop."""
        if self.session is None:
            self.session = notification_service.open_session()
        return self.session

    def _close(self) -> None:
        if self.session is not None:
            asyncio.run_coroutine_threadsafe(self.session.close(), self.loop).result()


_line = lru_cache(maxsize=1)(SendingLoop)


class PushSender:
    """A context manager around its sending. `hand()` in, `results()` out; leaving it cuts what is still in flight."""

    def __init__(self) -> None:
        self.unfinished = 0  # handed in, not yet taken out; touched by the caller's thread only
        self._waiting: deque[Claimed] = deque()
        self._done: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self.held = False  # no further send starts; for good
        self._ended = False
        self._failures = 0  # in a row
        self._line = _line()
        self._wake = asyncio.Event()

    def __enter__(self) -> Self:
        self._serving: Future[None] = asyncio.run_coroutine_threadsafe(self._serve(), self._line.loop)
        return self

    def __exit__(self, *exc: object) -> None:
        self.hold()
        self._ended = True
        self._line.loop.call_soon_threadsafe(self._wake.set)
        self._serving.result()

    def hand(self, pushes: list[Claimed]) -> None:
        """Send these, in this order."""
        self.unfinished += len(pushes)
        self._waiting.extend(pushes)
        self._line.loop.call_soon_threadsafe(self._wake.set)

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
                if self._serving.done() and self._done.empty():
                    raise RuntimeError("sending has ended") from self._serving.exception()
                break
            self.unfinished -= 1
            if len(found) == 1:
                until = time.monotonic() + gather
        return found

    async def _serve(self) -> None:
        """Keep as many lanes running as there is work for, until it is over and every lane has ended."""
        session = self._line.opened()
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
            push, began = self._waiting.popleft(), time.monotonic()
            outcome = await self._send(session, push)
            self._failures = self._failures + 1 if outcome.kind == "retry" else 0
            if outcome.kind == "configuration" or outcome.retry_after is not None or self._failures >= FAILURES:
                self.hold()  # at once: the gate, which tells every process, follows with the batch
            self._done.put(Finished(push, outcome, time.monotonic(), began))

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
