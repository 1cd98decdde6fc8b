"""A streaming replica for reads that bear to be some seconds old; without one, or while it is no good, the primary.

`DATABASE_REPLICA_URL` names it. How far it is behind is asked at most every 5 s: the primary says up to where it has
written, the replica up to where it has replayed. One that does not answer, that is no replica (any more) or that is
more than 30 s behind is left alone until it is asked again.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import prometheus_client
import structlog
from django.db import Error, OperationalError, connection, connections

from orgs.logs import described

ALIAS = "replica"
MOST_BEHIND = timedelta(seconds=30)
ASKED_EVERY = 5.0  # seconds
ASKED_AGAIN = 30.0  # seconds, one that is no good: asking may take a second
UP_TO_DATE = timedelta(0)

REPLICA_BEHIND = prometheus_client.Gauge(
    "live_replica_behind_seconds", "How old the replica's data are; NaN: it is not used"
)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReadFrom:
    """Where to read: an alias of DATABASES, and how old what is read there may be."""

    alias: str
    behind: timedelta


PRIMARY = ReadFrom("default", UP_TO_DATE)


class ReplicaWatch:
    """What was last found about the replica, shared by the threads of a process."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._found, self._until = PRIMARY, 0.0

    def reading(self) -> ReadFrom:
        """The replica if there is one that is good enough, else the primary. Never raises because of the replica.

        Within a transaction it is the primary: whoever has one keeps what is counted, and counts what was just written.
        """
        if ALIAS not in connections.settings or connection.in_atomic_block:
            return PRIMARY
        if time.monotonic() >= self._until and self._asking.acquire(blocking=False):  # the others take what is known
            try:
                self._found = _look()
                self._until = time.monotonic() + (ASKED_AGAIN if self._found is PRIMARY else ASKED_EVERY)
            finally:
                self._asking.release()
        return self._found

    def rows(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows of a statement that only reads. Raises DatabaseError when the primary does."""
        where = self.reading()
        if where is not PRIMARY:
            try:
                return _fetched(where.alias, sql, parameters)
            except OperationalError as error:  # it has gone, or replaying wanted what the statement held
                log.warning("replica_failed", error=described(error))
                self._found, self._until = PRIMARY, time.monotonic() + ASKED_AGAIN
        return _fetched(PRIMARY.alias, sql, parameters)


def _look() -> ReadFrom:
    try:
        behind = _behind()
    except Error as error:
        log.warning("replica_away", error=described(error))
        behind = None
    if behind is not None and behind > MOST_BEHIND:
        log.warning("replica_behind", seconds=behind.total_seconds())
        behind = None
    REPLICA_BEHIND.set(float("nan") if behind is None else behind.total_seconds())
    return PRIMARY if behind is None else ReadFrom(ALIAS, behind)


def _behind() -> timedelta | None:
    """How old the replica's data are; None if it is none. Times are the primary's, so no two clocks are compared."""
    ((written, now),) = _fetched(PRIMARY.alias, "SELECT pg_current_wal_insert_lsn(), clock_timestamp()", {})
    ((is_replica, has_all, newest),) = _fetched(
        ALIAS,
        "SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() >= %(written)s::pg_lsn"
        " END, pg_last_xact_replay_timestamp()",
        {"written": written},
    )
    if not is_replica:
        return None
    if has_all:
        return UP_TO_DATE
    return max(now - newest, UP_TO_DATE) if newest is not None else timedelta.max


def _fetched(alias: str, sql: str, parameters: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, ...]]:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


replica = ReplicaWatch()
