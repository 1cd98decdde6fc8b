"""The runs of one transaction, locked, and what their changes add to the roll-ups, written together at the end.

Lock order: runs by (org, run_id), the rooms of what failed in them, new agents, new runs, hours, days, each sorted:
whoever waits for a room holds no hour, which all of an agent's runs write.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from alerts.failpoints import failpoint
from alerts.known import Known
from alerts.tables import Table, as_json, fetch
from runs.detected import report_runs
from runs.models import AgentQc, AgentRun
from runs.rooms import hear_rooms, read_again
from runs.rows import ReviewRow, RunId, RunRow
from runs.sums import NAMES, Amounts, amounts, negative, total

COLUMNS = [field.attname for field in AgentRun._meta.concrete_fields if field.name != "id"]
RUNS = Table(AgentRun, COLUMNS)
CHANGED = Table(AgentRun, ["id", *COLUMNS])
REVIEWS = Table(AgentQc, [name for name in ReviewRow.__struct_fields__ if name != "id"])
WANTED = "unnest(%b::bigint[], %b::uuid[]) AS wanted (org_id, run_id)"
RUN_COLUMNS = ", ".join(f"run.{name}" for name in ["id", *COLUMNS])
LOCK = (
    f"SELECT {RUN_COLUMNS} FROM runs_agentrun run"  # noqa: S608 - our own names
    f" JOIN {WANTED} USING (org_id, run_id) ORDER BY run.org_id, run.run_id FOR UPDATE OF run"
)
REVIEWED = (
    f"SELECT qc.org_id, qc.run_id, count(*), sum(qc.quality_score) FROM runs_agentqc qc JOIN {WANTED}"  # noqa: S608
    " USING (org_id, run_id) WHERE qc.replaced_at IS NULL GROUP BY 1, 2"
)
# Of runs without a row: the reviews that came before; and, with no reviews, those that were deleted while their sums
# stayed, among what began on these days.
WITHOUT_ROW = f"""
WITH wanted (org_id, run_id) AS (SELECT * FROM {WANTED})
{REVIEWED.replace(WANTED, "wanted")}
UNION ALL
SELECT org_id, run_id, 0, 0
  FROM (SELECT gone.org_id, unnest(gone.run_ids) AS run_id FROM unnest(%b::bigint[], %b::date[]) AS asked (org_id, day)
          JOIN runs_purgedruns gone USING (org_id, day)) purged
  JOIN wanted USING (org_id, run_id)
"""  # noqa: S608
MANY = 50  # rows, for which it pays to begin a COPY
REBUILD = 7_316_001  # the advisory locks of orgs whose days are built anew: 7316001, org pk
SHARED = f"SELECT pg_advisory_xact_lock_shared({REBUILD}, org) FROM unnest(%b::int[]) AS org"  # noqa: S608
KEY = ("agent_id", "agent_version", "channel", "input_kind")
ENDED = NAMES.index("ended")
JSON_COLUMNS = ("metadata", "altered")


class HourKey(NamedTuple):
    """Whose hour it is."""

    org_id: int
    hour: datetime
    agent_id: int
    agent_version: str
    channel: str
    input_kind: str


class DayKey(NamedTuple):
    """Whose day it is, of the org's zone."""

    org_id: int
    day: date
    agent_id: int
    agent_version: str
    channel: str
    input_kind: str
    zone: str


def _upsert(table: str, period: str, kind: str, key: tuple[str, ...]) -> str:
    """Add to the rows of a roll-up, in the order given."""
    columns = (*key, *NAMES, "changes")
    types = {period: kind, "org_id": "bigint", "agent_id": "bigint"}
    given = ", ".join(
        f"{name} {types.get(name, 'numeric' if name in NAMES or name == 'changes' else 'varchar')}" for name in columns
    )
    added = ", ".join(f"{name} = kept.{name} + EXCLUDED.{name}" for name in (*NAMES, "changes"))
    return (
        f"INSERT INTO {table} AS kept ({', '.join(columns)}, durations, folded, stale)"  # noqa: S608 - our own names
        f" SELECT {', '.join(columns)}, '{{}}', 0, changes > 0 FROM json_to_recordset(%b::json) AS given ({given})"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}, stale = kept.stale OR EXCLUDED.stale"
    )


HOURS = _upsert("runs_hourkpi", "hour", "timestamptz", HourKey._fields)
DAYS = _upsert("runs_daykpi", "day", "date", DayKey._fields) + ", unsummed = true"
HourSums = msgspec.defstruct("HourSums", [*HourKey._fields, *NAMES, "changes"])
DaySums = msgspec.defstruct("DaySums", [*DayKey._fields, *NAMES, "changes"])


class Ledger:
    """Lock runs, change or add rows, `close()`. Use inside `transaction.atomic()`."""

    def __init__(self, now: datetime, known: Known) -> None:
        self.now, self.known = now, known
        self.rows: dict[RunId, RunRow] = {}
        self._loaded: dict[RunId, RunRow] = {}  # as they were
        self.purged: set[RunId] = set()  # were deleted, and still count
        self._reviewed: dict[RunId, tuple[int, int]] = {}  # before they came

    def lock(self, keys: Iterable[RunId], days: Collection[tuple[int, date]] = ()) -> None:
        """Lock the runs that are known, of these. `days`: those (org pk, UTC) on which the others may have begun."""
        wanted = sorted(set(keys), key=_in_order)
        share_orgs({org for org, _ in wanted})
        rows = read_runs(LOCK, as_keys(wanted))
        agents = self.known.agents_by_pk({row.agent_id for row in rows})
        for row in rows:
            row.agent_name = agents[row.agent_id].name
            self.rows[row.key] = row
            self._loaded[row.key] = msgspec.structs.replace(row)
        if days:  # a purge that waited for these locks, or for which we waited, is seen only now
            self._look_up([key for key in wanted if key not in self.rows] if rows else wanted, days)

    def _look_up(self, unknown: Collection[RunId], days: Collection[tuple[int, date]]) -> None:
        asked = [*as_keys(unknown), *map(list, zip(*days, strict=True))]
        for org, run_id, n, scores in fetch(WITHOUT_ROW, asked) if unknown else ():
            if n:
                self._reviewed[org, run_id] = n, scores
            else:
                self.purged.add((org, run_id))

    def add(self, key: RunId, row: RunRow) -> None:
        """A run that is new."""
        self.rows[key] = row

    def close(self) -> None:
        """Write what is new and what differs from what was loaded, and what that adds to the roll-ups."""
        new = sorted((row for row in self.rows.values() if not row.id), key=lambda row: (row.org_id, row.run_id.int))
        changed = [
            (self._loaded[row.key], row) for row in self.rows.values() if row.id and row != self._loaded[row.key]
        ]
        hear_rooms([row for before, row in changed if not before.room])
        report_runs([*((None, row) for row in new), *changed], self.now, self.known)  # may lock rooms
        self._find_agents(new)
        for row in new if self._reviewed else ():
            row.review_count, row.review_sum = self._reviewed.get(row.key, (0, 0))
        (RUNS.copy if len(new) >= MANY else RUNS.insert)(new)
        for _, row in changed:
            row.updated_at = self.now
        CHANGED.put([row for _, row in changed])
        told = [row for old, row in changed if (row.room, row.human_touched) != (old.room, old.human_touched)]
        read_again([row for row in told if row.room], self.now)
        self._roll_up(new, changed)
        failpoint("before_commit")

    def _find_agents(self, new: Collection[RunRow]) -> None:
        agents = self.known.agents({(row.org_id, row.agent_name) for row in new}) if new else {}
        for row in new:
            row.agent_id = agents[row.org_id, row.agent_name].pk

    def _roll_up(self, new: Collection[RunRow], changed: Collection[tuple[RunRow, RunRow]]) -> None:
        """Add new minus old of each run to its hour and its day."""
        periods = _Periods(self.known)
        fresh: dict[Place, list[Amounts]] = defaultdict(list)
        for row in new:
            fresh[periods.of(row)].append(amounts(row))
        parts: dict[Place, list[Amounts]] = defaultdict(list)
        for place, some in fresh.items():
            whole = total(some)
            parts[place].append((*whole, whole[ENDED]))  # each of them that has ended is a change
        for before, row in changed:
            old, now = amounts(before), amounts(row)
            place, came = periods.of(before), periods.of(row)
            if old != now or place != came:
                stale = int(row.ended_at is not None and (before.ended_at is None or place != came))
                parts[place].append((*negative(old), stale))
                parts[came].append((*now, stale))
        hours: dict[HourKey, list[Amounts]] = defaultdict(list)
        days: dict[DayKey, list[Amounts]] = defaultdict(list)
        for place, some in parts.items():
            whole = total(some)
            hours[periods.hour(place)].append(whole)
            days[periods.day(place)].append(whole)
        _add(HOURS, HourSums, hours)
        _add(DAYS, DaySums, days)


def _add(statement: str, row: type[msgspec.Struct], parts: Mapping[Any, list[Amounts]]) -> None:
    rows = [row(*key, *sums) for key in sorted(parts) if any(sums := total(parts[key]))]
    if rows:
        fetch(statement, [as_json(rows)])


def add_days(known: Known, rows: Iterable[RunRow]) -> None:
    """Add runs to their days alone: their hours have them."""
    periods = _Periods(known)
    parts: dict[DayKey, list[Amounts]] = defaultdict(list)
    for row in rows:
        parts[periods.day(periods.of(row))].append((*amounts(row), 1))
    _add(DAYS, DaySums, parts)


Place = tuple[int, datetime, date, int, str, str, str]  # org, hour, day, agent, version, channel, input kind


class _Periods:
    """In which hour and in which day of its org a run counts: those in which it started."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._zones: dict[int, ZoneInfo] = {}
        # By org, ordinal and hour of UTC: the hour, and the day it lies in; None: in two.
        self._hours: dict[tuple[int, int, int], tuple[datetime, date | None]] = {}

    def of(self, row: RunRow) -> Place:
        """Where a run counts."""
        org, at = row.org_id, row.started_at
        key = org, at.toordinal(), at.hour
        found = self._hours.get(key)
        if found is None:
            hour = at.replace(minute=0, second=0, microsecond=0)
            found = self._hours[key] = hour, _day_of_hour(self._zone(org), hour)
        hour, day = found
        if day is None:
            day = at.astimezone(self._zone(org)).date()
        return org, hour, day, row.agent_id, row.agent_version, row.channel, row.input_kind

    def _zone(self, org: int) -> ZoneInfo:
        if org not in self._zones:
            self._zones[org] = ZoneInfo(self._known.orgs({org})[org].zone)
        return self._zones[org]

    def hour(self, place: Place) -> HourKey:
        org, hour, _, agent, version, channel, kind = place
        return HourKey(org, hour, agent, version, channel, kind)

    def day(self, place: Place) -> DayKey:
        org, _, day, agent, version, channel, kind = place
        return DayKey(org, day, agent, version, channel, kind, self._zone(org).key)


@lru_cache(maxsize=10_000)
def _day_of_hour(zone: ZoneInfo, hour: datetime) -> date | None:
    """The day in which an hour of UTC lies; None: in two."""
    minutes = {(hour + timedelta(minutes=n)).astimezone(zone).date() for n in range(60)}
    return minutes.pop() if len(minutes) == 1 else None


def share_orgs(orgs: Collection[int]) -> None:
    """Hold off whoever builds the days of these orgs anew, until the transaction ends."""
    fetch(SHARED, [sorted(orgs)])


def _in_order(key: RunId) -> tuple[int, int]:
    """As PostgreSQL has them, and much faster than UUIDs compare."""
    return key[0], key[1].int


def as_keys(keys: Collection[RunId]) -> list[str]:
    """Runs as the two parameters of WANTED: arrays in PostgreSQL's own spelling, which is JSON's in other brackets."""
    columns = zip(*keys, strict=True) if keys else ((), ())
    return ["{" + as_json(list(column))[1:-1] + "}" for column in columns]


def current_reviews(keys: Collection[RunId]) -> dict[RunId, tuple[int, int]]:
    """Of each run with reviews that hold: how many, and the sum of their scores."""
    rows = fetch(REVIEWED, as_keys(keys)) if keys else []
    return {(org, run_id): (n, scores) for org, run_id, n, scores in rows}


def read_runs(statement: str, parameters: Sequence[Any]) -> list[RunRow]:
    """What a statement answers with that gives RUN_COLUMNS."""
    return [_row_of(row) for row in fetch(statement, parameters)]


def _row_of(values: tuple[Any, ...]) -> RunRow:
    row: dict[str, Any] = dict(zip(["id", *COLUMNS], values, strict=True))
    for name in JSON_COLUMNS:
        if isinstance(row[name], str):
            row[name] = msgspec.json.decode(row[name])
    assert isinstance(row["run_id"], UUID)
    return RunRow(**row)
