"""The one thread that sends: takes from the queue, repeats, halves, counts, and tells what went wrong."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import NamedTuple

from agent_live_monitoring import retry
from agent_live_monitoring.answers import Fate, Result, Verdict, judge
from agent_live_monitoring.items import KINDS, Kind, Record
from agent_live_monitoring.problems import Problem, Problems
from agent_live_monitoring.queue import BATCH_ITEMS, Queue, take
from agent_live_monitoring.transport import NoAnswer, TooSlow, Transport

PACKED_FROM = 1024  # bytes
SUSPECT_TRIES = 3  # answers of 500, or none in time, until the items are held to be the reason
MOVED_TRIES = 3  # redirects in a row until they are held to stay
ADOPT_SECONDS = 15.0
LINGER_SECONDS = 0.02  # after a request reports are collected: each turn of this thread is one that the bot waits for
COMPANY_SECONDS = 0.2  # and where none of them wakes anybody, so much longer


log = logging.getLogger("agent_live_monitoring")


class Flushed(NamedTuple):
    """What became of reports since the last flush; `waiting` are those that nobody answered for yet."""

    delivered: int
    failed: int
    dropped: int
    waiting: int


class Stats(NamedTuple):
    """Counts of this process since the client was made; `retries` of the `requests` said the same again."""

    reported: int
    delivered: int
    failed: int
    dropped: int
    waiting: int
    requests: int
    retries: int


class _Closing(Exception):
    """The client was closed while the worker waited."""


class Worker:
    """Started by the first report. `_state` guards queue, counts and flags; nothing slow happens under it."""

    def __init__(self, queue: Queue, transport: Transport, problems: Problems) -> None:
        self._queue = queue
        self._transport = transport
        self._problems = problems
        self._state = threading.Condition()  # of an RLock: a signal handler may report while its thread does
        self._in_flight: list[Record] = []
        self._counts: Counter[str] = Counter()
        self._flushed: Counter[str] = Counter()
        self._hurried = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._busy = False  # the thread has a batch in hand, or just started and has not looked for orphans
        self._adopt_at = self._next_at = 0.0
        self._lingers = False
        self._presses = False  # an alarm, or what ends one, waits in the queue
        self._failures = 0  # requests in a row that settled nothing
        self._moved = 0  # redirects in a row
        self._lost_at_the_end = 0
        self._sent = 0  # items that left the queue, on the wire or lost: what X-Items-Sent says
        self._name = secrets.token_hex(8)  # whose count that is: X-Client-Id, as long as the count lives
        self._aside: set[str] = set()  # ids of those that went back into it

    # --- called from any thread ------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Queue a record; where there is no room the oldest are dropped."""
        with self._state:
            self._counts["reported"] += 1
            if self._closed:
                self._drop([record], "closed", "The client is closed.")
                return
            self._drop(self._queue.put(record), "queue_full", "There was no room: the oldest reports were dropped.")
            self._presses = self._presses or record.kind.presses
            self.start()

    def fail(self, problem: Problem) -> None:
        """Count a report that cannot even be queued."""
        with self._state:
            self._counts["reported"] += 1
            self._counts["failed"] += 1
            self._sent += 1
            self._problems.note(problem)
            self.start()

    def start(self) -> None:
        """Wake the thread, or start it. Where no thread can be started the next report tries again."""
        with self._state:
            if not self._lingers or self._presses or self._is_worth_a_request():
                self._state.notify_all()
            if self._closed or (self._thread is not None and self._thread.is_alive()):
                return
            thread = threading.Thread(target=self._run, name="agent-live-monitoring", daemon=True)
            with contextlib.suppress(RuntimeError):  # the interpreter is ending, or there are too many threads
                thread.start()
                self._thread, self._busy = thread, True

    def flush(self, timeout: float | None) -> Flushed:
        """Wait until nothing waits, or so many seconds; without the pause of a retry that nobody asked for."""
        with self._state:
            if self._waiting():
                self.start()
            if self._thread and self._thread.is_alive() and threading.current_thread() is not self._thread:
                self._hurried = True
                self._state.notify_all()
                self._state.wait_for(self._is_idle, timeout)
                self._hurried = self._hurried and not self._is_idle()
            since = {name: self._counts[name] - self._flushed[name] for name in ("delivered", "failed", "dropped")}
            self._flushed = self._counts.copy()
            return Flushed(**since, waiting=self._waiting())

    def close(self, timeout: float) -> Flushed:
        """Flush, then end: what still waits in memory is dropped, what waits in the spool stays there."""
        until = time.monotonic() + timeout
        flushed = self.flush(timeout)
        with self._state:
            if not self._closed:
                self._closed = True
                self._end_without(self._queue.drain())
                self._state.notify_all()
        if self._thread is None:
            self._queue.close()
        elif self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(max(until - time.monotonic(), 0.2))
        self._problems.tell()
        self._say_what_was_lost()
        last = self.flush(0)
        dropped, failed = flushed.dropped + last.dropped, flushed.failed + last.failed
        return Flushed(flushed.delivered + last.delivered, failed, dropped, last.waiting)

    def stats(self) -> Stats:
        """The counts so far."""
        with self._state:
            counted = {name: self._counts[name] for name in Stats._fields if name != "waiting"}
            return Stats(**counted, waiting=self._waiting())

    def abandon(self) -> None:
        """After a fork, in the child: the thread is the parent's, and so is all it had to send."""
        self._queue.abandon()
        self._transport.abandon()

    # --- under the lock --------------------------------------------------------------------------------------

    def _drop(self, records: Sequence[Record], code: str, message: str, logged: bool = True) -> None:
        self._counts["dropped"] += len(records)
        self._count_sent(records)
        for record in records:
            self._problems.note(_lost(record, code, message), logged)

    def _count_sent(self, records: Sequence[Record]) -> None:
        """Each item counts once, also one that comes round again."""
        for record in records:
            if record.id in self._aside:
                self._aside.discard(record.id)
            else:
                self._sent += 1

    def _end_without(self, records: Sequence[Record]) -> None:
        """Drop what nobody took before the end; the log says it of all of them in one line."""
        self._lost_at_the_end += len(records)
        self._drop(records, "closed", "The client was closed before anybody took it.", logged=False)

    def _say_what_was_lost(self) -> None:
        with self._state:
            lost = self._lost_at_the_end + sum(not record.kept for record in self._in_flight)
            self._lost_at_the_end = 0
        if lost:
            log.warning("closed: %d reports were lost, the client was closed before anybody took them", lost)

    def _waiting(self) -> int:
        return len(self._queue) + len(self._in_flight)

    def _is_idle(self) -> bool:
        return self._closed or not (self._waiting() or self._problems or self._busy)

    def _forget(self, records: Sequence[Record]) -> None:
        """These are no longer in flight."""
        gone = {id(record) for record in records}
        self._in_flight = [record for record in self._in_flight if id(record) not in gone]

    # --- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._round()
        except _Closing:
            pass
        with self._state:
            lost = [record for record in self._in_flight if not record.kept]
            self._forget(lost)
            self._queue.close()
            self._end_without(lost)
            self._state.notify_all()
        self._problems.tell()
        self._transport.close()

    def _wait_for_work(self) -> bool:
        """False when the client is closed."""
        with self._state:
            self._state.wait_for(
                lambda: self._closed or self._waiting() or self._problems, self._adopt_at - time.monotonic()
            )
            self._lingers = True  # and is not woken for each report
            self._state.wait_for(self._is_worth_a_request, self._next_at - time.monotonic())
            company_at = self._next_at + COMPANY_SECONDS
            self._state.wait_for(lambda: self._presses or self._is_worth_a_request(), company_at - time.monotonic())
            self._lingers = False
            return not self._closed

    def _is_worth_a_request(self) -> bool:
        return self._closed or self._hurried or len(self._queue) >= BATCH_ITEMS or bool(self._problems)

    def _round(self) -> None:
        """One batch. Whatever goes wrong, the thread lives on, and what is in flight is sent again."""
        try:
            self._problems.tell()
            self._adopt()
            with self._state:
                if not self._in_flight:
                    self._in_flight = take(self._queue)
                    self._presses = self._presses and bool(self._queue)
                    self._count_sent(self._in_flight)
                batch = self._in_flight
                self._busy = bool(batch)
            for kind in KINDS:
                self._send(kind, [record for record in batch if record.kind == kind])
            with self._state:
                self._queue.done()
                self._next_at = time.monotonic() + LINGER_SECONDS
                self._busy = False
                self._state.notify_all()
        except _Closing:
            raise
        except Exception:  # a fault of ours must not end all reporting of this process
            log.exception("A fault of this client; it goes on")
            self._pause(retry.LONGEST_SECONDS)

    def _adopt(self) -> None:
        if time.monotonic() < self._adopt_at:
            return
        self._adopt_at = time.monotonic() + ADOPT_SECONDS
        orphans = self._queue.orphans()
        with self._state:
            self._queue.adopt(orphans)

    def _send(self, kind: Kind, records: list[Record], patience: int = SUSPECT_TRIES) -> None:
        """Until each of them is settled or set aside. Raises _Closing."""
        body = b"[" + b",".join(record.body for record in records) + b"]"
        for attempt in itertools.count(1) if records else ():
            verdict = self._post(kind, body, len(records), again=attempt > 1)
            suspect = verdict.fate == "suspect" and attempt >= patience
            if len(records) > 1 and (suspect or verdict.fate == "split"):
                self._send(kind, records[: len(records) // 2], patience=1)
                self._send(kind, records[len(records) // 2 :], patience=1)
                return
            if verdict.fate in ("settled", "split", "refused") or self._moved >= MOVED_TRIES:
                self._settle(records, verdict)
                return
            self._pause(retry.pause(self._failures, verdict.asked), asked=verdict.asked is not None)
            if suspect:
                self._set_aside(records)
                return

    def _post(self, kind: Kind, body: bytes, count: int, again: bool) -> Verdict:
        """One request; trouble that may pass is told once, until it has passed."""
        with self._state:
            self._counts["requests"] += 1
            self._counts["retries"] += again
            counted = {"X-Items-Sent": str(self._sent), "X-Client-Id": self._name}
        packed = len(body) >= PACKED_FROM
        try:
            content = gzip.compress(body, 6, mtime=0) if packed else body
            answer = self._transport.post(kind.path, content, packed, counted)
        except NoAnswer as error:
            fate: Fate = "suspect" if isinstance(error, TooSlow) else "again"
            verdict = Verdict(fate, code="unreachable", message=f"No answer ({error}).")
        else:
            verdict = judge(answer, count, datetime.now(timezone.utc))
        self._moved = self._moved + 1 if verdict.fate == "moved" else 0
        if verdict.fate in ("again", "suspect", "moved"):
            self._failures += 1
            self._problems.begin("service", Problem(verdict.code, verdict.message, status=verdict.status))
        else:
            self._failures = 0
            self._problems.end("service")
        return verdict

    def _settle(self, records: Sequence[Record], verdict: Verdict) -> None:
        """Count what each became; where there is no result for each, the whole request was refused."""
        results = verdict.results or [Result(False, verdict.code, verdict.message)] * len(records)
        with self._state:
            for record, result in zip(records, results):
                self._counts["delivered" if result.taken else "failed"] += 1
                if not result.taken:
                    self._problems.note(_lost(record, result.code, result.message, verdict.status, result.field))
            self._forget(records)
        self._problems.tell()

    def _set_aside(self, records: Sequence[Record]) -> None:
        """The service stumbles over this one: back to the end of the queue, so that it holds up no others."""
        with self._state:
            for record in records:
                self._aside.add(record.id)
                self._drop(self._queue.put(record._replace(kept=False)), "queue_full", "There was no room.")
            self._forget(records)

    def _pause(self, seconds: float, asked: bool = False) -> None:
        """Wait, telling problems as they come. A flush cuts it short unless the service asked for it."""
        until = time.monotonic() + seconds
        with self._state:
            self._hurried = False
        while (left := until - time.monotonic()) > 0:
            with self._state:
                self._state.wait_for(lambda: self._closed or self._problems or (self._hurried and not asked), left)
                if self._closed:
                    raise _Closing
                if self._hurried and not asked:
                    return
            self._problems.tell()


def _lost(record: Record, code: str, message: str, status: int | None = None, field: str | None = None) -> Problem:
    return Problem(code, message, True, status, record.kind.name, record.id, field)
