"""What went wrong, told to the log and to `on_error`, never to the caller of a report."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

KEPT = 1000  # problems that wait to be told; the counters have them all
LOGGED_EVERY_SECONDS = 60.0

log = logging.getLogger("agent_live_monitoring")


@dataclass(frozen=True)
class Problem:
    """One item that failed or was dropped (`lost`), or trouble that may pass (not `lost`).

    `code`: the service's, or `queue_full`, `closed`, `unsayable`, `unreachable`, `unavailable`, `not_the_contract`,
    `redirected`, `spool_unavailable`. `status`: of an answer that was to the whole request. `kind`: `failure_event`,
    `room_activity`, `agent_run` or `agent_qc`; `field`: of the item, where one is to blame.
    """

    code: str
    message: str
    lost: bool = False
    status: int | None = None
    kind: str | None = None
    item_id: str | None = None
    field: str | None = None


class Problems:
    """Problems that wait to be told. They are noted in any thread and told in the worker's alone: what
    `on_error` does there keeps no caller waiting."""

    def __init__(self, on_error: Callable[[Problem], None] | None) -> None:
        self._on_error = on_error
        self._untold: deque[Problem] = deque()
        self._teller: int | None = None  # the thread that tells just now
        self._logged: dict[str, float] = {}
        self._lasting: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._untold) + (self._teller is not None)

    def note(self, problem: Problem, logged: bool = True) -> None:
        """Keep a problem until it is told. Only the log hears of it beyond so many, and where `on_error` made it."""
        if logged:
            self._log(problem)
        if self._on_error and len(self._untold) < KEPT and self._teller != threading.get_ident():
            self._untold.append(problem)

    def begin(self, where: str, problem: Problem) -> None:
        """Note trouble that lasts: once, until it has ended or is another."""
        if self._lasting.get(where) != problem.code:
            self._lasting[where] = problem.code
            self.note(problem)

    def end(self, where: str) -> None:
        """There is no trouble any more."""
        self._lasting.pop(where, None)

    def tell(self) -> None:
        """Call `on_error` for each; what it raises is logged."""
        while self._on_error and self._untold and self._teller is None:
            self._teller = threading.get_ident()
            try:
                self._on_error(self._untold.popleft())
            except Exception:  # the user's code, and it must not end the worker
                log.exception("on_error raised")
            finally:
                self._teller = None

    def _log(self, problem: Problem) -> None:
        """One line a minute for each code: an outage must not fill the bot's log as well."""
        now = time.monotonic()
        if now - self._logged.get(problem.code, -LOGGED_EVERY_SECONDS) >= LOGGED_EVERY_SECONDS:
            self._logged[problem.code] = now
            log.warning("%s: %s (%s %s)", problem.code, problem.message, problem.kind or "-", problem.item_id or "-")
