"""The days of an org whose zone changed, built anew: hours that lie within one day whole, the others run by run.

Where a day of the new zone cuts through an hour whose runs were purged, it cannot be built: there the days of the old
zone stay, with their zone in the row, and the first day that can be built begins where they end (the seam).
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from alerts.figures.periods import instant
from alerts.known import known_now
from alerts.tables import fetch
from orgs.models import Org
from runs.ledger import REBUILD, RUN_COLUMNS, add_days, read_runs
from runs.sums import NAMES

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WRONG = """
SELECT org.id FROM orgs_org org,
LATERAL (SELECT min(kept.zone) AS one, max(kept.zone) AS other FROM runs_daykpi kept WHERE kept.org_id = org.id) zones
 WHERE zones.one <> org.zone OR zones.other <> org.zone
"""
ALONE = f"SELECT pg_advisory_xact_lock({REBUILD}, %b::int)"
CUT = "(hour AT TIME ZONE %b)::date <> ((hour + interval '1 hour' - interval '1 microsecond') AT TIME ZONE %b)::date"
BROKEN = f"""
SELECT max(hour) FROM (SELECT hour, sum(runs) AS n FROM runs_hourkpi WHERE org_id = %b AND {CUT} GROUP BY hour) cut
 WHERE n <> (SELECT count(*) FROM runs_agentrun run
              WHERE run.org_id = %b AND started_at >= hour AND started_at < hour + interval '1 hour')
"""  # noqa: S608
DROP = """
DELETE FROM {}
 WHERE org_id = %b AND ((zone = %b AND day >= %b) OR (zone <> %b AND (day::timestamp AT TIME ZONE zone) >= %b))
"""
KEY = "agent_id, agent_version, channel, input_kind"
BUILD = f"""
INSERT INTO runs_daykpi (org_id, day, zone, {KEY}, {", ".join(NAMES)}, durations, changes, folded, stale)
SELECT org_id, (hour AT TIME ZONE %b)::date, %b, {KEY}, {", ".join(f"sum({name})" for name in NAMES)},
       '{{}}', 1, 0, true
  FROM runs_hourkpi WHERE org_id = %b AND hour >= %b AND NOT {CUT} GROUP BY 1, 2, {KEY}
"""  # noqa: S608
RUNS_OF_CUT = f"""
SELECT {RUN_COLUMNS}
  FROM (SELECT DISTINCT hour FROM runs_hourkpi WHERE org_id = %b AND ({CUT} OR (hour < %b AND hour > %b))) cut
  JOIN runs_agentrun run ON run.org_id = %b AND started_at >= hour AND started_at < hour + interval '1 hour'
 WHERE started_at >= %b
"""  # noqa: S608
OLD_ZONE = (
    "SELECT zone, max(day) FROM runs_daykpi WHERE org_id = %b AND zone <> %b GROUP BY zone ORDER BY 2 DESC LIMIT 1"
)
WHOLE = """
SELECT (SELECT coalesce(sum(runs), 0) FROM runs_hourkpi WHERE org_id = %b AND hour = %b)
     = (SELECT count(*) FROM runs_agentrun WHERE org_id = %b AND started_at >= %b AND started_at < %b)
"""
BEGINNING = datetime(1999, 12, 30, tzinfo=UTC)  # no run started before


def rebuild_days() -> int:
    """Build the days anew of the orgs whose zone changed: of how many orgs. Each in a transaction of its own."""
    return sum(_rebuild(org) for (org,) in fetch(WRONG))


def _rebuild(org: int) -> bool:
    """Nobody writes runs of this org meanwhile; nobody waits where nothing can be built."""
    if _start(org) is None:
        return False
    with transaction.atomic():
        fetch(ALONE, [org])
        _, known = known_now()
        found = _start(org)
        if found is None:
            return False
        start, zone = found
        day = start.astimezone(ZoneInfo(zone)).date()
        for table in ("runs_daykpi", "runs_agentday"):  # what sums up the days meanwhile is done before they go
            fetch(DROP.format(table), [org, zone, day, zone, start])
        fetch(BUILD, [zone, zone, org, start, zone, zone])
        add_days(known, read_runs(RUNS_OF_CUT, [org, zone, zone, start, start - HOUR, org, start]))
        return True


def _start(org: int) -> tuple[datetime, str] | None:
    """Where the days of the new zone begin, and the zone; None: what is left of others lies before the seam."""
    zone = Org.objects.get(pk=org).zone
    found = fetch(OLD_ZONE, [org, zone])
    if not found:
        return None
    ((old, newest),) = found
    start = _seam(org, zone, old)
    return None if instant(newest, old) < start else (start, zone)


def _seam(org: int, zone: str, old: str) -> datetime:
    """Where the days of the new zone begin: with the first run, or where a day of the old zone ends."""
    ((broken,),) = fetch(BROKEN, [org, zone, zone, org])
    if broken is None:
        return BEGINNING
    day = (broken + HOUR).astimezone(ZoneInfo(old)).date()
    while (start := instant(day, old)) < broken + HOUR or not _whole(org, start):
        day += DAY
    return start


def _whole(org: int, start: datetime) -> bool:
    """Whether the hour that a day begins in can be parted there: it is not cut, or its runs are all there."""
    hour = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if hour == start:
        return True
    ((whole,),) = fetch(WHOLE, [org, hour, org, hour, hour + HOUR])
    return bool(whole)
