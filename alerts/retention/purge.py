"""Deletes what is older than its org keeps it: in small batches that commit each, the oldest first.

A batch locks with SKIP LOCKED and waits for nobody, so two purges share the work, and one that is killed has only not
finished. After each batch it rests four times as long: those who came to work have the database to themselves.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from alerts.failpoints import failpoint
from alerts.figures.sealing import close_all, midnight, seal
from alerts.models import RUNS_LOCK
from alerts.retention.registry import Retained, everything_kept
from orgs.models import Org, Retention, retention_of

FEWEST, MOST = 20, 1_000  # rows of a batch
BATCH_LASTS = 0.02  # seconds; the size of a batch follows it
RESTS = 4.0  # times as long as it worked
# A batch goes by index, whatever the statistics say of a table of which half was deleted just now.
LIMITED = {
    "synchronous_commit": "off",  # a purge that a crash undoes is done again
    "lock_timeout": "2s",
    "statement_timeout": "10s",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
LIMITS = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in LIMITED.items())
HELD = (
    "SELECT FROM alerts_legalhold hold WHERE hold.org_id = kept.org_id AND hold.ended_at IS NULL"
    " AND hold.{column} = {row}"
)
# What a room can have; whoever adds to it locks the room first.
ON_A_ROOM = ("alerts_alert", "alerts_failureevent", "alerts_roomactivity", "alerts_push")
LOCK_ROOMS = "SELECT id FROM alerts_room WHERE id = ANY(%s) FOR UPDATE SKIP LOCKED"
EMPTY_ROOMS = "DELETE FROM alerts_room room WHERE id = ANY(%s)" + "".join(
    f" AND NOT EXISTS (SELECT FROM {table} WHERE room_id = room.id)" for table in ON_A_ROOM
)

SEALED_TOGETHER = 25  # orgs

Purged = Counter[str]


@dataclass
class Pace:
    """How many rows a batch takes, and the rest after it; `until` is on `time.monotonic()`, None: until all is done."""

    until: float | None = None
    rests: float = RESTS
    size: int = 100
    began: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        return self.until is not None and time.monotonic() >= self.until

    def begin(self) -> None:
        self.began = time.monotonic()

    def rest(self) -> None:
        """After a batch."""
        lasted = time.monotonic() - self.began
        self.size = min(MOST, max(FEWEST, int(self.size * min(2.0, BATCH_LASTS / max(lasted, 1e-3)))))
        time.sleep(lasted * self.rests)


def purge(now: datetime, org: Org | None = None, pace: Pace | None = None) -> Purged:
    """Delete what is old, of one org or of all and of none; rows deleted by table. Needs scopes disabled.

    Stops when `pace` is over; what is left is the next purge's.
    """
    pace, deleted = pace or Pace(), _nothing(org)
    _seal(now, org, pace)
    for entry, values in _work(now, org):
        deleted.update(_purge(entry, values, pace))
    return deleted


def _purge(entry: Retained, values: dict[str, Any], pace: Pace) -> Purged:
    """One table of one org, batch by batch. Each begins where the last one ended, not among the rows just deleted."""
    deleted = Purged()
    while not pace.is_over:
        pace.begin()
        found, values["after"] = _batch(entry, values | {"size": pace.size})
        if not found:
            break
        failpoint("purge")
        deleted.update(found)
        pace.rest()
    return deleted


def purgeable(now: datetime, org: Org | None = None) -> Purged:
    """What a purge would delete now, by table; changes nothing. Leaves out the rooms that nothing would be about."""
    counted = _nothing(org)
    spared = {entry.table: entry.spared for entry in everything_kept() if entry.spared}
    keys = {entry.table: entry.key for entry in everything_kept()}
    with connection.cursor() as cursor:
        for table, due in _all_due(cursor, now, org).items():
            key, but = keys.get(table, "id"), f" AND NOT ({spared[table]})" if table in spared else ""
            cursor.execute(f"SELECT count(*) FROM {table} kept WHERE kept.{key} IN ({' UNION '.join(due)}){but}")
            counted[table] += cursor.fetchone()[0]
    return counted


def _all_due(cursor: Any, now: datetime, org: Org | None) -> dict[str, list[str]]:
    """For each table the queries, whole, that find what goes of it; some find the same rows."""
    found: dict[str, list[str]] = defaultdict(list)
    for entry, values in _work(now, org):
        due = cursor.cursor.mogrify(_due(entry, f"kept.{entry.key}", ""), values)
        found[entry.table].append(due)
        for table, which in entry.on(f"IN ({due})"):
            found[table].append(f"SELECT id FROM {table} WHERE {which}")
    return found


# --- what there is to do ---------------------------------------------------------------------------------------------


def _entries(org: Org | None) -> list[Retained]:
    return [entry for entry in everything_kept() if entry.of_org or org is None]


def _nothing(org: Org | None) -> Purged:
    """Every table of a purge, without rows."""
    entries = _entries(org)
    hanging = [table for entry in entries for table, *_ in entry.hanging]
    return Purged(dict.fromkeys([*(entry.table for entry in entries), *hanging, "alerts_room"], 0))


def _orgs(org: Org | None) -> list[tuple[Org | None, Retention]]:
    """The orgs that are purged, with what holds for them; all: and what is of no org."""
    if org is not None:
        return [(org, retention_of(org))]
    own = {one.org_id: one for one in Retention.objects.all()}
    return [(one, own.get(one.pk) or Retention(org=one)) for one in Org.objects.order_by("pk")] + [(None, Retention())]


def _before(entry: Retained, org: Org | None, kept: Retention, now: datetime) -> datetime:
    """The moment before which rows are old: of what an org chose in days, a midnight of its zone."""
    if isinstance(entry.days, timedelta):
        return now - entry.days
    at = now - timedelta(days=getattr(kept, entry.days))
    return midnight(org, at) if org else at


def _seal(now: datetime, org: Org | None, pace: Pace) -> None:
    """Count for good the days whose rows go, some orgs in a transaction: what is sealed stays, if we are stopped."""
    counted = [entry for entry in _entries(org) if entry.is_counted]
    close_all(now)
    until = {one: max(_before(entry, one, kept, now) for entry in counted) for one, kept in _orgs(org) if one}
    orgs = list(until)
    for start in range(0, len(orgs), SEALED_TOGETHER):
        if not pace.is_over:
            seal({one: until[one] for one in orgs[start : start + SEALED_TOGETHER]}, now)


def _work(now: datetime, org: Org | None) -> Iterator[tuple[Retained, dict[str, Any]]]:
    """Each table of each org of which something is old, with the values of its statements."""
    orgs = _orgs(org)
    for entry in _entries(org):
        limits = {one.pk if one else None: _before(entry, one, kept, now) for one, kept in orgs}
        for pk in _with_old(entry, limits):
            values: dict[str, Any] = {"org": pk, "before": limits[pk], "after": "-infinity"}
            for under in _under(entry, values):
                yield entry, values | {"under": under}


def _with_old(entry: Retained, limits: Mapping[int | None, datetime]) -> list[int | None]:
    """The orgs of which rows are old; None, for those of no org, wherever there can be any. One statement."""
    nobody: list[int | None] = [None] if None in limits and (entry.of_nobody or not entry.of_org) else []
    orgs = {pk: before for pk, before in limits.items() if pk is not None} if entry.of_org else {}
    if not orgs:
        return nobody
    old = _due(
        entry, "", "LIMIT 1", under=f"IN (SELECT id FROM {entry.by[1]} WHERE org_id = one.org)" if entry.by else ""
    )
    for name, sql in {"org": "one.org", "before": "one.before", "after": "'-infinity'"}.items():
        old = old.replace(f"%({name})s", sql)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LIMITS)
        cursor.execute(
            f"SELECT org FROM unnest(%s::bigint[], %s::timestamptz[]) AS one (org, before) WHERE EXISTS ({old})",
            [list(orgs), list(orgs.values())],
        )
        return nobody + [row[0] for row in cursor.fetchall()]


def _under(entry: Retained, values: Mapping[str, Any]) -> list[Any]:
    """The rows of the org under which an index finds those of the table."""
    if entry.by is None:
        return [None]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {entry.by[1]} WHERE org_id = %(org)s ORDER BY id", values)
        return [row[0] for row in cursor.fetchall()]


# --- statements: names are those of our own declarations -------------------------------------------------------------


def _due(entry: Retained, what: str, how: str, under: str = "= %(under)s") -> str:
    """The rows that are old and not held."""
    of_org = "kept.org_id = %(org)s" if entry.of_org else "true"
    if entry.of_nobody:
        of_org = "(kept.org_id = %(org)s OR %(org)s::bigint IS NULL AND kept.org_id IS NULL)"
    under = f" AND kept.{entry.by[0]} {under}" if entry.by else ""
    return (
        f"SELECT {what} FROM {entry.table} kept WHERE {of_org}{under}"
        f" AND kept.{entry.column} >= %(after)s::timestamptz AND kept.{entry.column} < %(before)s"
        f" AND {_may_go(entry)} {how}"
    )


def _may_go(entry: Retained) -> str:
    held = entry.held and HELD.format(column=entry.held[0], row=entry.held[1])
    return f"{entry.where} AND NOT EXISTS ({held})" if held else entry.where


def _batch(entry: Retained, values: dict[str, Any]) -> tuple[Purged, Any]:
    """Delete the oldest rows, with what hangs on them, in one transaction; and the time of the youngest of them.

    Nothing: none is left that is free. A hold that was set while we locked is seen by the second look: who sets it
    locks the same rows.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LIMITS)
        if entry.holds_runs:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [RUNS_LOCK])
        cursor.execute(_due(entry, f"kept.{entry.key}, kept.{entry.column}", _oldest(entry)), values)
        found = cursor.fetchall()
        after = found[-1][1] if found else values["after"]
        values |= {"ids": [row[0] for row in found]}
        cursor.execute(f"SELECT kept.{entry.key} FROM {entry.table} kept WHERE {_among(entry)}", values)
        values |= {"ids": [row[0] for row in cursor.fetchall()]}
        deleted = Purged()
        if values["ids"]:
            deleted = _delete(cursor, entry, values)
        return deleted, after


def _oldest(entry: Retained) -> str:
    return f"ORDER BY kept.{entry.column}, kept.{entry.key} LIMIT %(size)s FOR UPDATE OF kept SKIP LOCKED"


def _among(entry: Retained) -> str:
    return f"kept.{entry.key} = ANY(%(ids)s) AND {_may_go(entry)}"


def _delete(cursor: CursorWrapper, entry: Retained, values: Mapping[str, Any]) -> Purged:
    deleted = Purged()
    if entry.before:
        cursor.execute(entry.before, values)
    for table, which in entry.on("= ANY(%(ids)s)"):
        cursor.execute(f"DELETE FROM {table} WHERE {which}", values)
        deleted[table] += cursor.rowcount
    room = f" RETURNING kept.{entry.room}" if entry.room else ""
    cursor.execute(f"DELETE FROM {entry.table} kept WHERE {_among(entry)}{room}", values)
    deleted[entry.table] += cursor.rowcount
    if rooms := sorted({row[0] for row in cursor.fetchall() if row[0]} if entry.room else ()):
        deleted["alerts_room"] += _leave_rooms(cursor, rooms)
    return deleted


def _leave_rooms(cursor: CursorWrapper, rooms: list[int]) -> int:
    """Delete those of the rooms that nothing is about any more."""
    cursor.execute(LOCK_ROOMS, [rooms])
    cursor.execute(EMPTY_ROOMS, [[row[0] for row in cursor.fetchall()]])
    return cursor.rowcount
