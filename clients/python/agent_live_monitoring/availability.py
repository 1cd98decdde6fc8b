"""Whether a human could come now: asked before a bot promises one."""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from agent_live_monitoring.transport import NoAnswer, Transport

log = logging.getLogger("agent_live_monitoring")

KEPT = 15.0  # seconds that an answer holds
KEPT_TROUBLE = 5.0  # seconds until somebody is asked again who did not answer
AGENTS_KEPT = 1_000
LONGEST = 1.5  # seconds that a customer waits for this


class Availability(NamedTuple):
    """`on_duty`: people; `reachable`: those of them whose phone is proven. `expected_wait_seconds`: the median of this
    hour of the week over `n` conversations, None without any. `next_duty_at`: when the next one comes, if nobody is
    on duty now."""

    as_of: datetime
    on_duty: int
    reachable: int
    expected_wait_seconds: float | None
    n: int
    next_duty_at: datetime | None


class Asking:
    """The answers of the last 15 s, and one connection to ask for more; for every thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str | None], tuple[float, Availability | None]] = {}

    def ask(self, agent: str, org_id: str | None) -> Availability | None:
        """The answer; None for no answer, whatever the reason."""
        try:
            key = (str(agent), None if org_id is None else str(org_id))
            if (known := self._kept.get(key)) and known[0] > time.monotonic():
                return known[1]
            with self._lock:  # who waited for somebody else's answer takes that
                if (known := self._kept.get(key)) and known[0] > time.monotonic():
                    return known[1]
                return self._keep(key, self._asked(*key))
        except Exception:  # a fault of ours must not become one of the bot's
            log.exception("Nobody could be asked who is on duty")
            return None

    def abandon(self) -> None:
        """After a fork, in the child."""
        self._transport.abandon()
        self._lock = threading.Lock()

    def _keep(self, key: tuple[str, str | None], found: Availability | None) -> Availability | None:
        if len(self._kept) >= AGENTS_KEPT:
            self._kept.clear()
        self._kept[key] = (time.monotonic() + (KEPT_TROUBLE if found is None else KEPT), found)
        return found

    def _asked(self, agent: str, org_id: str | None) -> Availability | None:
        query = {"agent": agent, **({} if org_id is None else {"org_id": org_id})}
        try:
            answer = self._transport.get(f"/api/availability?{urlencode(query)}")
            if answer.status != 200:
                log.warning("Nobody knows who is on duty: the service answered %d", answer.status)
                return None
            return _read(json.loads(answer.body))
        except (NoAnswer, ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning("Nobody knows who is on duty: %s", type(error).__name__)
            return None


def _read(said: dict[str, Any]) -> Availability:
    wait, begins = said["expected_wait_seconds"], said["next_duty_at"]
    return Availability(
        _time(said["as_of"]),
        int(said["on_duty"]),
        int(said["reachable"]),
        None if wait is None else float(wait),
        int(said["n"]),
        None if begins is None else _time(begins),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 and older know no Z
