"""How long runs took, by hour and by day, from where the roll-ups changed; and all else that changes runs later.

An hour is counted from its runs. A day is the sum of its hours, and of the runs of those hours that it shares with
another day. Nothing is locked while it is counted; what changed meanwhile stays marked as changed and is counted again.
The day of an agent is summed up in the transaction in which its days are no longer marked: as long as none of them is,
it is what they add up to.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from django.db import transaction

from alerts.faults import PASSING, contained
from alerts.tables import as_json, fetch
from orgs import clock
from runs.durations import BUCKET_SQL
from runs.late import follow_reviews, follow_rooms, stamp_overdue
from runs.ledger import DayKey, HourKey
from runs.sums import NAMES
from runs.zones import rebuild_days

LASTS = 20.0  # seconds that one fold goes on: the rest is for the next
AT_ONCE = 200  # rows counted in one statement

TOOK = """
SELECT (extract(epoch FROM run.ended_at - run.started_at) * 1000000)::bigint AS duration_us FROM runs_agentrun run
 WHERE run.org_id = stale.org_id AND run.agent_id = stale.agent_id AND run.agent_version = stale.agent_version
   AND run.channel = stale.channel AND run.input_kind = stale.input_kind AND run.ended_at IS NOT NULL
"""
HOURS = f"""
SELECT stale.id, stale.changes, stale.ended, true, took.durations, took.n, {", ".join(HourKey._fields)}
  FROM (SELECT * FROM runs_hourkpi WHERE stale AND id > %b ORDER BY id LIMIT {AT_ONCE}) stale,
LATERAL (SELECT coalesce(jsonb_object_agg(place, n), '{{}}')::text AS durations, coalesce(sum(n), 0)::bigint AS n
  FROM (SELECT {BUCKET_SQL} AS place, count(*) AS n
          FROM ({TOOK} AND run.started_at >= stale.hour AND run.started_at < stale.hour + interval '1 hour') run
         GROUP BY 1) bucket) took ORDER BY stale.id
"""  # noqa: S608 - our own names
DAYS = f"""
SELECT stale.id, stale.changes, stale.ended, whole.folded, took.durations, took.n, {", ".join(DayKey._fields)}
  FROM (SELECT *, day::timestamp AT TIME ZONE zone AS starts, (day + 1)::timestamp AT TIME ZONE zone AS ends
          FROM runs_daykpi WHERE (stale OR unsummed) AND id > %b ORDER BY id LIMIT {AT_ONCE}) stale,
LATERAL (SELECT date_trunc('hour', stale.starts + interval '1 hour' - interval '1 microsecond', 'UTC') AS first,
                date_trunc('hour', stale.ends, 'UTC') AS last) hours,
LATERAL (SELECT coalesce(bool_and(hour.changes = hour.folded), true) AS folded,
                coalesce(jsonb_agg(hour.durations), '[]') AS durations
  FROM runs_hourkpi hour
 WHERE stale.changes <> stale.folded AND hour.org_id = stale.org_id
   AND hour.hour >= hours.first AND hour.hour < hours.last
   AND hour.agent_id = stale.agent_id AND hour.agent_version = stale.agent_version AND hour.channel = stale.channel
   AND hour.input_kind = stale.input_kind) whole,
LATERAL (SELECT coalesce(jsonb_object_agg(place, n), '{{}}')::text AS durations, coalesce(sum(n), 0)::bigint AS n
  FROM (SELECT place, sum(n)::bigint AS n
          FROM (SELECT one.key::int AS place, one.value::bigint AS n
                  FROM jsonb_array_elements(whole.durations) hour, jsonb_each_text(hour) one
                UNION ALL
                SELECT {BUCKET_SQL}, count(*)
                  FROM ({TOOK} AND stale.changes <> stale.folded
                                AND (run.started_at >= stale.starts AND run.started_at < least(hours.first, stale.ends)
                                OR run.started_at >= greatest(hours.last, stale.starts)
                                   AND run.started_at < stale.ends)) run
                 GROUP BY 1) part
         GROUP BY 1) bucket) took ORDER BY stale.id
"""  # noqa: S608 - our own names
COUNTS = {"runs_hourkpi": HOURS, "runs_daykpi": DAYS}
# In the order in which everybody locks them; whoever adds to a row waits for the moment of writing alone.
LOCK = """
SELECT id FROM unnest(%b::bigint[]) WITH ORDINALITY AS given (id, place) JOIN {} kept USING (id)
 ORDER BY place FOR UPDATE OF kept
"""
KEEP = """
UPDATE {} kept SET folded = coalesce(given.folded, kept.folded), durations = coalesce(given.durations, kept.durations),
       stale = kept.changes IS DISTINCT FROM given.folded {}
  FROM json_to_recordset(%b::json) AS given (id bigint, folded bigint, durations jsonb, changes bigint)
 WHERE kept.id = given.id AND kept.folded <= given.changes
"""
SUMMING = 7_316_003  # advisory: of two who sum up the same agent's day each has to see what the other wrote
ALONE = f"SELECT pg_advisory_xact_lock({SUMMING})"
OF_AGENT = ("org_id", "day", "agent_id", "zone")
SUMMED = (*NAMES, "durations")
AGENT_DAYS = f"""
INSERT INTO runs_agentday ({", ".join((*OF_AGENT, *SUMMED))})
SELECT {", ".join((*OF_AGENT, *map("sum({})".format, NAMES)))},
       (SELECT coalesce(jsonb_object_agg(place, n), '{{}}')
          FROM (SELECT one.key AS place, sum(one.value::bigint) AS n
                  FROM jsonb_array_elements(jsonb_agg(of_day.durations)) AS each, jsonb_each_text(each) one
                 GROUP BY 1) bucket)
  FROM (SELECT DISTINCT {", ".join(OF_AGENT)} FROM runs_daykpi WHERE id = ANY(%b::bigint[])) AS changed
  JOIN runs_daykpi of_day USING ({", ".join(OF_AGENT)}) GROUP BY {", ".join(OF_AGENT)}
ON CONFLICT ({", ".join(OF_AGENT)}) DO UPDATE SET {", ".join(f"{name} = EXCLUDED.{name}" for name in SUMMED)}
"""  # noqa: S608 - our own names


def fold_all() -> int:
    """Bring everything up to date that is not written with the runs themselves: how much changed. Scopes disabled."""
    until = time.monotonic() + LASTS
    now = clock.now()
    steps = {
        "overdue": lambda: stamp_overdue(now),
        "reviews": lambda: follow_reviews(now, until),
        "rooms": lambda: follow_rooms(now, until),
        "zones": rebuild_days,
        "durations": lambda: fold_durations(until),
    }
    changed, passing = 0, None
    for name, step in steps.items():
        try:
            with contained("fold_failed", step=name):
                changed += step()
        except PASSING as error:  # what is locked holds up nothing else
            passing = error
    if passing is not None:
        raise passing
    return changed


def fold_durations(until: float) -> int:
    """Count how long runs took where that changed: of how many hours and days. `until`: on the monotonic clock."""
    return sum(_keep(table, rows) for table, count in COUNTS.items() for rows in _pages(count, until))


def _pages(count: str, until: float) -> Iterator[list[tuple[Any, ...]]]:
    last = 0
    while time.monotonic() < until and (rows := fetch(count, [last])):
        yield rows
        last = rows[-1][0]
        if len(rows) < AT_ONCE:
            return


def _keep(table: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Write what was counted. Where runs were purged meanwhile, what is kept knows more than they do."""
    days, given = table == "runs_daykpi", []
    for pk, changes, ended, settled, durations, n, *_ in sorted(rows, key=lambda row: row[6:]):
        known = n == ended or not settled
        kept = {"durations": msgspec.Raw(durations.encode()) if known else None, "folded": changes if settled else None}
        given.append({"id": pk, "changes": changes, **kept})
    with transaction.atomic():
        if days:
            fetch(ALONE)
        locked = fetch(LOCK.format(table), [[one["id"] for one in given]])
        fetch(KEEP.format(table, ", unsummed = false" if days else ""), [as_json(given)])
        if days:
            fetch(AGENT_DAYS, [[pk for (pk,) in locked]])
    return len(given)
