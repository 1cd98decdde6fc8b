"""What the runs of any window add up to, read from days, hours and single runs. Reads only.

Sums are exact at every moment, since they are written with their runs. How long runs took is folded into the roll-ups
a little later: hours that wait for it are read from the runs themselves, unless there are too many of those. So are the
days of an agent summed up: a day that waits for it is read by version, channel and kind of input.
Statements take the orgs that they read as a parameter: give them orgs that the caller may see.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import chain
from typing import Any, Literal, get_args

import msgspec
from django.db.models import Sum

from alerts.figures import Period
from orgs.models import Org
from orgs.replica import replica
from runs.durations import Histogram
from runs.models import HourKpi
from runs.recount import ENDED, RUN_BUCKET, RUN_SUMS
from runs.sessions import SessionCounts
from runs.sums import NAMES, Amounts, total
from runs.windows import HOUR, BucketLabel, BucketName, DayPiece, OrgWindow, TimePiece

GroupName = Literal["agent", "version", "channel", "input_kind"]
GROUP_NAMES: tuple[GroupName, ...] = get_args(GroupName)
COLUMNS: Mapping[str, str] = {
    "": "''",
    "agent": "agent_id",
    "version": "agent_version",
    "channel": "channel",
    "input_kind": "input_kind",
}
FILTERED = ("agent_version", "channel", "input_kind")
MOST_UNFOLDED = 300_000  # runs that are read one by one for their durations; beyond it the folded ones stand
PARTS = 50  # of a statement: so many there are only where zones change or the fold is behind
FARTHEST = 2  # days: the same instant has days at most so far apart

Grouping = GroupName | Literal[""]  # "": everything together
KpiKey = tuple[int, str, BucketLabel]  # org, group, bucket


@dataclass(frozen=True, slots=True)
class KpiFilters:
    """Which runs count. Empty: all. `agent` is a name, of whichever org."""

    agent: str = ""
    version: str = ""
    channel: str = ""
    input_kind: str = ""


@dataclass(frozen=True, slots=True)
class KpiScope:
    """What is asked: which runs, and of what stretch of time for each org."""

    windows: Mapping[int, OrgWindow]
    filters: KpiFilters = field(default_factory=KpiFilters)

    @classmethod
    def of(cls, orgs: Iterable[Org], asked: Period, now: datetime, filters: KpiFilters) -> "KpiScope":
        """A period of some orgs, each in its own zone."""
        return cls({org.pk: OrgWindow.of(asked, org.zone, now) for org in orgs}, filters)

    @property
    def matured(self) -> "KpiScope":
        """The same, without what is maturing."""
        return replace(self, windows={org_id: window.matured for org_id, window in self.windows.items()})


# --- sums ------------------------------------------------------------------------------------------------------------


def kpi_sums(scope: KpiScope, group: Grouping, bucket: BucketName) -> dict[KpiKey, Amounts]:
    """What the runs of each group and bucket add up to; only those with a run."""
    unlike = _unlike_days(scope)
    pieces = _pieces(scope, bucket, unlike.moved, unlike.changing)
    alone = (group, bucket) == ("agent", "day")
    rows = _read(_parts(RUNS, pieces, bucket, group, scope.filters), lambda part: _sums_of(part, alone))
    found: dict[KpiKey, Amounts] = {}
    for (org_id, key, label, _), known in zip(rows, exact([row[-1] for row in rows]), strict=True):
        at = (org_id, str(key), label)
        found[at] = total((found[at], known)) if at in found else known
    return {at: amounts for at, amounts in found.items() if amounts[0]}


def _sums_of(part: "_Part", alone: bool) -> str:
    """The sums of each group and bucket; `alone`: of an agent in a day, of which there is one row of agents' days."""
    if alone and part.table == "runs_agentday":
        return f"SELECT {part.keys}, {_joined(NAMES)} {part.body}"
    amounts = _joined([RUN_SUMS]) if part.table == "runs_agentrun" else KEPT_SUMS
    return f"SELECT {part.keys}, {amounts} {part.body} GROUP BY 1, 2, 3"


def _joined(amounts: Iterable[str]) -> str:
    """One text of all amounts, none of which is null: a column each takes the driver three times as long."""
    return f"concat_ws(',', {', '.join(amounts)})"


KEPT_SUMS = _joined(map("sum({})".format, NAMES))
EXACT = ("cost_usd", "quality")  # with decimals
_AMOUNTS = msgspec.json.Decoder(list[tuple[tuple(Decimal if name in EXACT else int for name in NAMES)]])  # type: ignore[misc]


def exact(summed: Collection[str]) -> list[Amounts]:
    """What was summed in SQL as amounts, exact: whole numbers of any size, and decimals."""
    return _AMOUNTS.decode(f"[[{'],['.join(summed)}]]") if summed else []


def kpi_durations(scope: KpiScope, group: Grouping, bucket: BucketName) -> Mapping[KpiKey, Histogram]:
    """How long the ended runs of each group and bucket took."""
    unlike = _unlike_days(scope)
    pieces = _pieces(scope, bucket, unlike.split, unlike.changing)
    pieces = _from_runs(pieces, hourly=bucket == "hour")
    found: dict[KpiKey, dict[int, int]] = defaultdict(dict)
    for org_id, key, label, read in _read(_parts(RUNS, pieces, bucket, group, scope.filters), _durations_of):
        whole = found[org_id, str(key), label]
        for histogram in HISTOGRAMS.decode(f"[{read}]"):
            for place, n in histogram.items():
                whole[place] = whole.get(place, 0) + n
    return found


HISTOGRAMS = msgspec.json.Decoder(list[dict[int, int]])


def _durations_of(part: "_Part") -> str:
    """The histograms of each group and bucket: those kept are put together here, PostgreSQL takes longer for it."""
    if part.table != "runs_agentrun":
        return f"SELECT {part.keys}, string_agg(run.durations::text, ',') {part.body} GROUP BY 1, 2, 3"
    bins = f"SELECT {part.keys}, {RUN_BUCKET} AS place, count(*) AS n {part.body} AND {ENDED} GROUP BY 1, 2, 3, 4"
    named = f"({bins}) AS bins(org, key, label, place, n)"
    return f"SELECT org, key, label, json_object_agg(place, n)::text FROM {named} GROUP BY 1, 2, 3"  # noqa: S608


def kpi_sessions(scope: KpiScope, group: Grouping, bucket: BucketName) -> dict[KpiKey, SessionCounts]:
    """How the sessions went that began in each bucket; those of no known agent are of no agent's group.

    A day of the zone that its org had before stays what it is where its sessions are gone: the seam.
    """
    pieces = _pieces(scope, bucket, {}, {})
    found: dict[KpiKey, SessionCounts] = defaultdict(SessionCounts)
    for org_id, key, label, *row in _read(_parts(SESSIONS, pieces, bucket, group, scope.filters), _counts_of):
        if key is not None:
            found[org_id, str(key), label] += SessionCounts(*map(int, row))
    return found


def _counts_of(part: "_Part") -> str:
    counts = ROOM_COUNTS if part.table == "runs_roomsession" else DAY_COUNTS
    return f"SELECT {part.keys}, {counts} {part.body} GROUP BY 1, 2, 3"


DAY_COUNTS = ", ".join(f"sum({name})" for name in SessionCounts.__slots__)
ROOM_COUNTS = (
    "count(*), count(*) FILTER (WHERE contained), count(*) FILTER (WHERE settled), count(*) FILTER (WHERE abandoned),"
    " count(*) FILTER (WHERE durable IS NOT NULL), count(*) FILTER (WHERE durable)"
)


# --- from which rows -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _OrgPieces:
    """The pieces of an org's window."""

    zone: str
    days: list[DayPiece]
    times: list[TimePiece]


Days = Mapping[int, Collection[date]]  # of each org


def _pieces(scope: KpiScope, bucket: BucketName, split: Days, changing: Days) -> dict[int, _OrgPieces]:
    cut = cache(OrgWindow.pieces)  # orgs of one zone have the same window
    return {
        org_id: _OrgPieces(
            window.zone, *cut(window, bucket, *(frozenset(days.get(org_id, ())) for days in (split, changing)))
        )
        for org_id, window in scope.windows.items()
    }


@dataclass(frozen=True, slots=True)
class _UnlikeDays:
    """The days of each org that are not as the others. `split`: to be put together from hours, for durations."""

    moved: defaultdict[int, set[date]]  # near those kept in a zone that is not the org's any more
    split: defaultdict[int, set[date]]  # those, and those of which durations wait to be folded
    changing: defaultdict[int, set[date]]  # of which agents' days wait to be summed


# Few orgs have days of a zone that is not theirs: an index tells which, by the first and the last zone of each.
UNLIKE = """
SELECT DISTINCT kept.org_id, kept.day, true AS moved, NULL::boolean AS unfolded
  FROM (SELECT asked.org_id, asked.zone
          FROM unnest(%(orgs)s::bigint[], %(zones)s::text[]) AS asked (org_id, zone),
       LATERAL (SELECT min(zone) AS one, max(zone) AS other FROM runs_daykpi WHERE org_id = asked.org_id) zones
         WHERE zones.one <> asked.zone OR zones.other <> asked.zone
        OFFSET 0) AS moved
  JOIN runs_daykpi kept ON kept.org_id = moved.org_id AND kept.zone <> moved.zone
 WHERE kept.day >= %(first)s - %(farthest)s AND kept.day < %(last)s + %(farthest)s
UNION ALL
SELECT org_id, day, false, bool_or(changes <> folded) FROM runs_daykpi
 WHERE (stale OR unsummed) AND org_id = ANY(%(orgs)s) AND day >= %(first)s AND day < %(last)s GROUP BY 1, 2
"""


def _unlike_days(scope: KpiScope) -> _UnlikeDays:
    """What is to be known before anything is read: what changes after that may be read as it was."""
    found = _UnlikeDays(defaultdict(set), defaultdict(set), defaultdict(set))
    if not scope.windows:
        return found
    firsts, lasts = zip(*(window.days for window in scope.windows.values()), strict=True)
    asked = {
        "orgs": list(scope.windows),
        "zones": [window.zone for window in scope.windows.values()],
        "first": min(firsts),
        "last": max(lasts),
        "farthest": FARTHEST,
    }
    for org_id, day, moved, unfolded in replica.rows(UNLIKE, asked):
        if moved:
            near = {day + timedelta(days=n) for n in range(-FARTHEST, FARTHEST + 1)}
            found.moved[org_id] |= near
            found.split[org_id] |= near
            continue
        found.changing[org_id].add(day)
        if unfolded:
            found.split[org_id].add(day)
    return found


def _from_runs(pieces: dict[int, _OrgPieces], hourly: bool) -> dict[int, _OrgPieces]:
    """The pieces, with the hours whose durations wait to be folded as stretches of single runs."""
    hours = [piece for found in pieces.values() for piece in found.times if piece.whole]
    if not hours:
        return pieces
    asked = HourKpi.objects.filter(stale=True).filter(org__in=[org for org, one in pieces.items() if one.times])
    span = {"hour__gte": min(piece.starts for piece in hours), "hour__lt": max(piece.ends for piece in hours)}
    found = asked.filter(**span).values("org_id", "hour").annotate(n=Sum("ended")).order_by()
    unfolded: dict[int, set[datetime]] = defaultdict(set)
    n = 0
    for row in found:
        unfolded[row["org_id"]].add(row["hour"])
        n += row["n"]
    if n > MOST_UNFOLDED:
        return pieces
    return {
        org_id: _OrgPieces(
            one.zone, one.days, [cut for piece in one.times for cut in _apart(piece, unfolded[org_id], hourly)]
        )
        for org_id, one in pieces.items()
    }


def _apart(piece: TimePiece, hours: Collection[datetime], hourly: bool) -> list[TimePiece]:
    """A stretch, these hours of which are to be read from the runs."""
    inside = sorted(hour for hour in hours if piece.whole and piece.starts <= hour < piece.ends)
    made, at = [], piece.starts
    for hour in inside:
        if at < hour:
            made.append(TimePiece(at, hour, piece.label, whole=True))
        made.append(TimePiece(hour, hour + HOUR, hour if hourly else piece.label, whole=False))
        at = hour + HOUR
    return [*made, TimePiece(at, piece.ends, piece.label, piece.whole)] if at < piece.ends else made


# --- the statements --------------------------------------------------------------------------------------------------

Stretch = tuple[Any, Any, BucketLabel, str]  # its start, its end, its bucket if it is all in one, the zone of its days
TIMES: Mapping[str, str] = {  # when what a row holds began
    "runs_agentday": "day",
    "runs_daykpi": "day",
    "runs_hourkpi": "hour",
    "runs_agentrun": "started_at",
    "runs_daysessions": "day",
    "runs_roomsession": "began_at",
}
RUNS = ("runs_daykpi", "runs_hourkpi", "runs_agentrun")
SESSIONS = ("runs_daysessions", "runs_roomsession", "runs_roomsession")

# Never run; but what names a function that is not safe in parallel is read by one process: PostgreSQL takes longer to
# start others than to read all of it.
ONE_PROCESS = "WITH unread AS (SELECT live_now()) "


@dataclass(frozen=True, slots=True)
class _Part:
    """One stretch of one table, of the orgs that read it. `keys`: the columns org, group, bucket; `body`: from FROM on.

    All in numbers that the planner knows: a table of stretches to join with says nothing about how many rows they have.
    """

    table: str
    keys: str
    body: str
    parameters: Sequence[Any]  # in their order


def _read(parts: Sequence[_Part], statement: Callable[[_Part], str]) -> list[tuple[Any, ...]]:
    """The rows that this says of each part, all as they were at the same moment."""
    found = []
    for first in range(0, len(parts), PARTS):
        some = parts[first : first + PARTS]
        asked = [value for part in some for value in part.parameters]
        found += replica.rows(ONE_PROCESS + " UNION ALL ".join(map(statement, some)), asked)
    return found


def _parts(
    tables: tuple[str, str, str],
    pieces: Mapping[int, _OrgPieces],
    bucket: BucketName,
    group: Grouping,
    filters: KpiFilters,
) -> list[_Part]:
    """What is to be read of these tables: of days, of whole hours, of what is left one by one."""
    of_day, of_hour, single = tables
    of_agents = group in ("", "agent") and not (filters.version or filters.channel or filters.input_kind)
    orgs: dict[tuple[str, Stretch], list[int]] = defaultdict(list)
    for org, of in pieces.items():
        for day in of.days:
            table = "runs_agentday" if tables is RUNS and of_agents and not day.changing else of_day
            orgs[table, (day.starts, day.ends, None, of.zone)].append(org)
        for time in of.times:
            orgs[of_hour if time.whole else single, (time.starts, time.ends, time.label, "")].append(org)
    return [_part(table, some, stretch, bucket, group, filters) for (table, stretch), some in orgs.items()]


def _label(table: str, bucket: BucketName) -> str:
    """The bucket of a row; with a parameter where its stretch says it."""
    if TIMES[table] != "day":
        if bucket != "hour":
            return "%s::date"
        hours = {"runs_hourkpi": "run.hour", "runs_roomsession": "date_trunc('hour', run.began_at, 'UTC')"}
        return hours.get(table, "%s::timestamptz")
    if bucket == "day":
        return "run.day"
    return "NULL::date" if bucket == "total" else f"date_trunc('{bucket}', run.day::timestamp)::date"


def _part(
    table: str, orgs: list[int], stretch: Stretch, bucket: BucketName, group: Grouping, filters: KpiFilters
) -> _Part:
    starts, ends, label, zone = stretch
    key = f"run.{COLUMNS[group]}" if group else COLUMNS[group]
    its_label, time = _label(table, bucket), TIMES[table]
    conditions = {f"run.org_id = ANY(%s) AND run.{time} >= %s AND run.{time} < %s": [orgs, starts, ends]}
    if time == "day" and table != "runs_daysessions":  # of which a day has one zone, the org's once it was swept
        conditions["run.zone = %s"] = [zone]
    if table == "runs_roomsession":
        conditions["run.touched"] = []
    if filters.agent:
        of_name = "run.agent_id IN (SELECT id FROM orgs_agent WHERE name = %s AND org_id = ANY(%s))"
        conditions[of_name] = [filters.agent, orgs]
    for column, asked in zip(FILTERED, (filters.version, filters.channel, filters.input_kind), strict=True):
        if asked:
            conditions[f"run.{column} = %s"] = [asked]
    return _Part(
        table,
        f"run.org_id, {key}, {its_label}",
        f"FROM {table} AS run WHERE {' AND '.join(conditions)}",
        [*([label] if "%s" in its_label else []), *chain.from_iterable(conditions.values())],
    )
