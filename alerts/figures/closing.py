"""Counts each day of an org when it is over, and once more when something that it counted has changed since.

What is counted changes late: an alert of that day is resolved, undone or judged; an event or an act comes days after it
happened. Every such change writes a row: a transition, an event, a room activity. So each sweep reads the rows that are
new since the last, finds the alerts that they are about, and forgets the days on which these alerts failed or were
judged. Of a blind interval, which is found after it began, it forgets the days of which something went on then. Until a
day is counted again, pages count it from the raw rows, so that they are never wrong for it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from alerts.figures.counting import BASELINE, Counted, Span, count_all, count_rows, first_failures, local_day
from alerts.figures.kept import FORMULA, SpanRow, after_seal, sealed_until
from alerts.figures.metrics import METRICS
from alerts.figures.periods import instant
from alerts.models import FiguresMark, KeptFigures
from orgs.models import Org

CLOSES_AFTER = timedelta(minutes=30)  # after its last moment; 15 min of them are a follow-up's
COMMITTED_AFTER = timedelta(minutes=5)  # a row that is older than this was committed, or never will be
AT_ONCE = 100  # days of one sweep
LOCK = 0x6669_6775  # "figu"; advisory, so that two processes do not count the same
DAY = timedelta(days=1)

# The newest row of each table before which nothing can still be on its way.
SETTLED = """
SELECT coalesce((SELECT id FROM alerts_transition WHERE at <= %(until)s ORDER BY id DESC LIMIT 1), 0),
       coalesce((SELECT id FROM alerts_failureevent WHERE received_at <= %(until)s ORDER BY id DESC LIMIT 1), 0),
       coalesce((SELECT id FROM alerts_roomactivity WHERE received_at <= %(until)s ORDER BY id DESC LIMIT 1), 0)"""

# An act counts for the alerts of its room that were open around its time; a day of an alert is one on which it failed.
FORGET = """
WITH changed AS (
    SELECT alert_id FROM alerts_transition WHERE id > %(transition)s
     UNION SELECT alert.id FROM alerts_roomactivity activity
             JOIN alerts_alert alert ON alert.room_id = activity.room_id
              AND alert.opened_at <= activity.at + interval '1 day'
              AND (alert.resolved_at IS NULL OR alert.resolved_at >= activity.at - interval '1 day')
            WHERE activity.id > %(activity)s
), moment AS (
    SELECT failed.org_id, failed.occurred_at AS at
      FROM changed JOIN alerts_failureevent failed ON failed.alert_id = changed.alert_id
     UNION SELECT judged.org_id, judged.at
             FROM changed JOIN alerts_transition judged ON judged.alert_id = changed.alert_id
            WHERE judged.change = 'verdict'
     UNION SELECT org_id, occurred_at FROM alerts_failureevent WHERE id > %(event)s
)
DELETE FROM alerts_keptfigures WHERE id IN (
    SELECT kept.id FROM moment
      JOIN alerts_keptfigures kept ON kept.org_id = moment.org_id
       AND kept.starts > moment.at - interval '31 days' AND kept.starts <= moment.at AND kept.ends > moment.at
     WHERE moment.at < (SELECT max(ends) FROM alerts_keptfigures) AND NOT kept.sealed
)"""
OTHERWISE = """
DELETE FROM alerts_keptfigures kept USING orgs_org org
 WHERE org.id = kept.org_id AND NOT kept.sealed
   AND (org.zone <> kept.zone OR kept.formula <> %(formula)s)"""
# What somebody changes at this moment is left for the next sweep.
BLIND = """
WITH changed AS (
    UPDATE alerts_blindinterval SET counted = true
     WHERE id IN (SELECT id FROM alerts_blindinterval WHERE NOT counted FOR UPDATE SKIP LOCKED)
    RETURNING org_id, starts
)
DELETE FROM alerts_keptfigures kept USING changed
 WHERE (changed.org_id IS NULL OR changed.org_id = kept.org_id) AND NOT kept.sealed
   AND (kept.watched_until IS NULL OR kept.watched_until >= changed.starts)"""


def close_days(now: datetime) -> int:
    """Forget what has changed, then count days that are over, the newest first: how many. Needs scopes disabled.

    Two transactions: whoever writes a blind interval does not wait until all is counted. Each holds an advisory lock,
    and the second no other row's.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if not _is_ours(cursor):
            return 0
        cursor.execute(BLIND)
    with transaction.atomic(), connection.cursor() as cursor:
        if not _is_ours(cursor):
            return 0
        mark, _ = FiguresMark.objects.get_or_create()
        if KeptFigures.objects.exists():
            values = {"transition": mark.transition, "event": mark.event, "activity": mark.activity}
            cursor.execute(FORGET, values)
            cursor.execute(OTHERWISE, {"formula": FORMULA})
        cursor.execute(SETTLED, {"until": now - COMMITTED_AFTER})
        mark.transition, mark.event, mark.activity = cursor.fetchone()
        mark.save()
        return _keep_days(now)


def _is_ours(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
    return bool(cursor.fetchone()[0])


def _keep_days(now: datetime) -> int:
    """Count what is over and not kept, up to AT_ONCE days, and the baselines whose 30 days are over."""
    orgs = list(Org.objects.all())
    begun, kept, sealed = first_failures(orgs), _kept(), sealed_until(org.pk for org in orgs)
    left, rows = AT_ONCE, []
    for org in orgs:
        at = begun.get(org.pk)
        if at is None or left <= 0:
            continue
        days = after_seal(_days_over(org, at, now), sealed)
        missing = [row for row in days if row[:3] not in kept][:left]
        left -= len(missing)
        rows += _counted(missing, now)
        if at + BASELINE + CLOSES_AFTER <= now and (org.pk, at, at + BASELINE) not in kept:
            rows.append(_baseline((org.pk, at, at + BASELINE, org.zone), now))
    KeptFigures.objects.bulk_create(rows)
    return AT_ONCE - left


def _kept() -> set[tuple[int, datetime, datetime]]:
    return set(KeptFigures.objects.values_list("org_id", "starts", "ends"))


def _days_over(org: Org, begun: datetime, now: datetime) -> Iterator[SpanRow]:
    """The days of this org that are over, since its first failure; the newest first."""
    first = local_day(begun, org.zone)
    day = local_day(now - CLOSES_AFTER, org.zone) - DAY
    while day >= first:
        yield (org.pk, instant(day, org.zone), instant(day + DAY, org.zone), org.zone)
        day -= DAY


def _counted(days: list[SpanRow], now: datetime) -> list[KeptFigures]:
    """Days of one org, counted together, as rows to keep."""
    found: dict[date, list[Counted]] = defaultdict(list)
    for one in count_rows(METRICS, Span(_runs(days), now)):
        found[one.day].append(one)
    return [_row(row, found[local_day(row[1], row[3])]) for row in days]


def _runs(days: list[SpanRow]) -> list[SpanRow]:
    """Days that follow each other, the newest first, as one stretch."""
    runs: list[SpanRow] = []
    for org, starts, ends, zone in days:
        if runs and runs[-1][1] == ends:
            runs[-1] = (org, starts, runs[-1][2], zone)
        else:
            runs.append((org, starts, ends, zone))
    return runs


def _baseline(row: SpanRow, now: datetime) -> KeptFigures:
    return _row(row, count_all(METRICS, Span([row], now)))


def _row(row: SpanRow, counted: Iterable[Counted]) -> KeptFigures:
    org, starts, ends, zone = row
    kept = KeptFigures(org_id=org, starts=starts, ends=ends, zone=zone, formula=FORMULA)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    until: list[datetime | None] = [starts]
    for one in counted:
        if one.n:
            counts[one.metric][one.outcome] += one.n
        kept.seconds.extend(one.seconds)
        kept.unreached.extend(one.unreached)
        kept.waiting.extend(one.waiting)
        until.append(one.ends)
    kept.counts = counts
    for times in (kept.seconds, kept.unreached, kept.waiting):
        times.sort()
    known = [at for at in until if at is not None]
    kept.watched_until = max(known) if len(known) == len(until) else None
    return kept
