"""The public face: report, flush, close."""

from __future__ import annotations

import asyncio
import atexit
import logging
import multiprocessing
import os
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from multiprocessing import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_live_monitoring.availability import LONGEST, Asking, Availability
from agent_live_monitoring.items import (
    AGENT_QC,
    AGENT_RUN,
    FAILURE_EVENT,
    ROOM_ACTIVITY,
    Kind,
    Unsayable,
    make_record,
)
from agent_live_monitoring.problems import Problem, Problems
from agent_live_monitoring.queue import MemoryQueue, Queue
from agent_live_monitoring.runs import RunInHand, name_of_run
from agent_live_monitoring.transport import Transport
from agent_live_monitoring.worker import Flushed, Stats, Worker

if TYPE_CHECKING:  # only type checkers read these; there is nothing to install
    from typing_extensions import Self, Unpack

    from agent_live_monitoring.items import AgentQc, AgentRun, FailureEvent, RoomActivity

log = logging.getLogger("agent_live_monitoring")


class Client:
    """One for each process. Reports are queued and sent by a thread of its own; safe to use from any thread,
    from async code, and on both sides of a fork."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        on_error: Callable[[Problem], None] | None = None,
        max_items: int = 10_000,
        max_bytes: int = 8 * 1024 * 1024,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = 64 * 1024 * 1024,
        timeout: float = 10.0,
        exit_timeout: float = 2.0,
    ) -> None:
        """`key` has the scope ingest. `on_error` is called in the client's own thread, for each item that is lost
        and once for trouble that may pass. `spool`: a folder in which reports outlive this process.
        `timeout`: seconds for one request; `exit_timeout`: seconds that the end of the process may wait.

        Raises ValueError for an address, key or bound that can never work, and nothing for what may pass.
        """
        if min(max_items, max_bytes, spool_bytes) < 1 or not timeout > 0 or exit_timeout < 0:
            raise ValueError("max_items, max_bytes, spool_bytes and timeout are above 0, exit_timeout is not below it")
        self._transport = Transport(base_url, key, timeout)
        self._memory = (max_items, max_bytes)
        self._spool = None if spool is None else (Path(spool).absolute(), spool_bytes)
        self._on_error = on_error
        self._exit_timeout = exit_timeout
        self._asking = Asking(Transport(base_url, key, min(timeout, LONGEST)))
        self._worker = self._begin()
        if self._spool:
            self._worker.start()  # what an earlier process left behind waits already
        _open.add(self)

    def report_failure(self, **event: Unpack[FailureEvent]) -> None:
        """Report that an agent failed a customer; returns at once and never raises.

        `event_id` (unique) and `occurred_at` (aware) are filled in where they are left out.
        """
        self._report(FAILURE_EVENT, event, "event_id", "occurred_at")

    def report_room_activity(self, **activity: Unpack[RoomActivity]) -> None:
        """Report what a human, bot or customer did in a room; returns at once and never raises.

        `activity_id` (unique) and `at` (aware) are filled in where they are left out.
        """
        self._report(ROOM_ACTIVITY, activity, "activity_id", "at")

    def log_agent_run(self, **run: Unpack[AgentRun]) -> str:
        """Log a whole run, which began at `started_at`; returns its `run_id` at once and never raises.

        `run_id` (a UUID) and `ended_at` (now) are filled in where they are left out.
        """
        return self._log_run("ended_at", run)

    def log_agent_run_start(self, **run: Unpack[AgentRun]) -> str:
        """Log that a run began; returns its `run_id` at once and never raises.

        `run_id` (a UUID) and `started_at` (now) are filled in where they are left out.
        """
        return self._log_run("started_at", run)

    def log_agent_run_end(self, **run: Unpack[AgentRun]) -> None:
        """Log that the run `run_id` ended in `resolution`; returns at once and never raises.

        `ended_at` (now) is filled in where it is left out. What was said at the start need not be said again.
        """
        self._log_run("ended_at", run)

    def run(self, **run: Unpack[AgentRun]) -> RunInHand:
        """`with monitor.run(agent_name=..., input_kind=...) as run:` logs the start and the end of what is inside.

        It ends `resolved`, or as `run.escalate()` and `run.fail()` say; an exception makes it `failed` and goes on.
        """
        return RunInHand(self._log_run, dict(run))

    def log_agent_qc(self, **review: Unpack[AgentQc]) -> None:
        """Log a human's quality score of a run; returns at once and never raises.

        `review_id` (unique) is filled in where neither it nor a `reviewer` is given.
        """
        self._report(AGENT_QC, review, *([] if review.get("reviewer") else ["review_id"]))

    def availability(self, agent: str, *, org_id: str | None = None) -> Availability | None:
        """Who could come to this agent's rooms now: ask before the bot promises a human. Never raises.

        The answer is at most 15 s old; else it waits for one, at most 1.5 s. None: nobody knows. `org_id` with the
        key of a platform source.
        """
        return self._asking.ask(agent, org_id)

    def flush(self, timeout: float | None = 5.0) -> Flushed:
        """Wait at most so many seconds until each report is answered for; what became of them since the last flush."""
        return self._worker.flush(timeout)

    def close(self, timeout: float | None = None) -> Flushed:
        """Flush and end; later reports are dropped. What waits in the spool stays there for the next process."""
        _open.discard(self)
        return self._worker.close(self._exit_timeout if timeout is None else timeout)

    def stats(self) -> Stats:
        """The counts of this process, a forked child's from its fork on."""
        return self._worker.stats()

    async def areport_failure(self, **event: Unpack[FailureEvent]) -> None:
        """`report_failure`, which blocks no event loop either."""
        self.report_failure(**event)

    async def areport_room_activity(self, **activity: Unpack[RoomActivity]) -> None:
        """`report_room_activity`, which blocks no event loop either."""
        self.report_room_activity(**activity)

    async def aavailability(self, agent: str, *, org_id: str | None = None) -> Availability | None:
        """`availability`, while the event loop goes on."""
        return await asyncio.to_thread(self.availability, agent, org_id=org_id)

    async def aflush(self, timeout: float | None = 5.0) -> Flushed:
        """`flush`, while the event loop goes on."""
        return await asyncio.to_thread(self.flush, timeout)

    async def aclose(self, timeout: float | None = None) -> Flushed:
        """`close`, while the event loop goes on."""
        return await asyncio.to_thread(self.close, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()

    def _log_run(self, time_field: str, run: Mapping[str, Any]) -> str:
        run_id = name_of_run(run)
        self._report(AGENT_RUN, {**run, "run_id": run_id}, time_field)
        return run_id

    def _report(self, kind: Kind, fields: Mapping[str, Any], *made: str) -> None:
        """`made`: the id and the time, filled in where the caller left them out."""
        try:
            now = datetime.now(timezone.utc)
            values = {name: str(uuid.uuid4()) if name.endswith("_id") else now for name in made}
            self._worker.put(make_record(kind, fields, values))
        except Unsayable as error:
            named = fields.get(kind.id_field)
            item_id = str(named) if isinstance(named, (str, uuid.UUID)) else None
            self._worker.fail(Problem("unsayable", str(error), True, kind=kind.name, item_id=item_id))
        except Exception:  # a fault of ours must not become one of the bot's
            log.exception("A report was lost to a fault of this client")

    def _begin(self) -> Worker:
        problems = Problems(self._on_error)
        queue: Queue = MemoryQueue(*self._memory)
        if self._spool:
            from agent_live_monitoring.spool import Spool  # file locks are POSIX; memory works everywhere

            queue = Spool(*self._spool, MemoryQueue(*self._memory), problems)
        return Worker(queue, self._transport, problems)

    def _after_fork(self) -> None:
        self._worker.abandon()
        self._asking.abandon()
        self._worker = self._begin()


_open: set[Client] = set()  # kept until they are closed: what a forgotten one has queued is sent all the same


def _close_all() -> None:
    for client in list(_open):
        client.close()


def _after_fork_in_child() -> None:
    for client in list(_open):
        client._after_fork()


def _close_with_the_child(_: object = None) -> None:
    """A child of multiprocessing ends without atexit: its own list of last things closes what is open then."""
    util.Finalize(None, _close_all, exitpriority=0)


atexit.register(_close_all)
util.register_after_fork(_close_with_the_child, _close_with_the_child)
if multiprocessing.parent_process() is not None:  # imported in such a child that did not come from a fork
    _close_with_the_child()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
