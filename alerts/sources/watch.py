"""Blindness is visible: a source that fell silent, or whose items are refused, is an alert to the specialists.

While it is silent we are blind for its org: an interval (alerts/blind), from the last thing heard to the next.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Sum

from alerts.actions import SourceTrouble, judge_source
from alerts.blind import keep_silences, notice_down
from alerts.faults import contained
from alerts.models import Alert, SourceMinute
from alerts.sources.health import has_signal
from alerts.sources.rules import SILENT_AFTER, WINDOW, WatchFigures, is_lagging, is_rejected, is_silent
from orgs import clock
from orgs.signals.lagging_source import LAGGING_SOURCE
from orgs.signals.rejected_items import REJECTED_ITEMS
from orgs.signals.silent_source import SILENT_SOURCE

LOCK = 7_301_003  # advisory: one process watches at a time
LONGEST = timedelta(hours=24)  # of a silence that is compared with the days before
DAYS = 7
Key = tuple[int, int]  # org pk, source pk

# Nobody is silent because we were down: listening begins anew at its end, and stands still while it lasts. A silence
# that had begun before goes on, until something is heard.
LISTENED = """
WITH down AS (
    SELECT max(coalesce(ends, %(now)s)) AS ends FROM alerts_blindinterval WHERE cause = 'down'
), listened AS (
    SELECT heard.org_id, heard.source_id, heard.at AS last_at,
           greatest(heard.at, CASE WHEN gap.starts IS NULL THEN down.ends ELSE gap.starts END) AS at
      FROM orgs_sourceheard heard CROSS JOIN down
      LEFT JOIN alerts_blindinterval gap ON gap.org_id = heard.org_id AND gap.source_id = heard.source_id
       AND gap.cause = 'source_silent' AND gap.ends IS NULL
)"""
LAST = f"{LISTENED} SELECT org_id, source_id, at FROM listened"  # noqa: S608 - our own text
# Minutes with items between the last one and now, on each of the days before that the source was known.
USUAL = f"""{LISTENED}, heard AS (
    SELECT org_id, source_id, greatest(at, %(now)s - %(longest)s) AS since FROM listened
    WHERE at <= %(now)s - %(silent)s
), known AS (
    SELECT org_id, source_id, min(minute) AS first FROM alerts_sourceminute WHERE created > 0
    GROUP BY org_id, source_id
)
SELECT heard.org_id, heard.source_id, avg(days.n) FROM heard JOIN known USING (org_id, source_id)
CROSS JOIN LATERAL (
    SELECT (SELECT count(DISTINCT minute) FROM alerts_sourceminute m
            WHERE m.org_id = heard.org_id AND m.source_id = heard.source_id AND m.created > 0
              AND m.minute > heard.since - make_interval(days => day)
              AND m.minute <= %(now)s - make_interval(days => day)) AS n
    FROM generate_series(1, %(days)s) AS day
    WHERE heard.since - make_interval(days => day) >= known.first
) AS days
GROUP BY heard.org_id, heard.source_id
"""  # noqa: S608 - our own text
# A source younger than a day: as often as in the hour before it was last heard.
YOUNG = f"""{LISTENED}
SELECT heard.org_id, heard.source_id,
       count(DISTINCT m.minute) * extract(epoch FROM %(now)s - greatest(heard.at, %(now)s - %(longest)s)) / 3600
FROM listened heard
JOIN alerts_sourceminute m ON m.org_id = heard.org_id AND m.source_id = heard.source_id AND m.created > 0
 AND m.minute > heard.last_at - interval '1 hour' AND m.minute <= heard.last_at
WHERE heard.at <= %(now)s - %(silent)s
GROUP BY heard.org_id, heard.source_id, heard.at
"""  # noqa: S608 - our own text


def sweep_sources() -> int:
    """Judge every source of every org; how many alerts changed. Run it with the tenant scope disabled."""
    notice_down()  # by itself: it holds the row that web processes write
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return 0
        now = clock.now()
        alerts = {
            (alert.org_id, alert.source_id): alert
            for alert in Alert.objects.filter(scope=Alert.Scope.SOURCE, covers_from=None)
            .order_by("org_id", "source_id", "-opened_at")
            .distinct("org_id", "source_id")
            .select_related("org", "source")
        }
        found = figures(now)
        with contained("silences_not_kept"), transaction.atomic():
            keep_silences({key: one.last_at for key, one in found.items() if is_silent(one, now)}, now)
        return sum(_judge(key, one, alerts.get(key), now) for key, one in sorted(found.items()))


def _judge(key: Key, one: WatchFigures, newest: Alert | None, now: datetime) -> bool:
    """One source in a savepoint of its own: one that cannot be judged leaves the others watched."""
    with contained("source_not_judged", org=key[0], source=key[1]), transaction.atomic():
        return judge_source(key, newest, _troubles(one, newest, now), one.last_at, now)
    return False


def _troubles(one: WatchFigures, alert: Alert | None, now: datetime) -> list[SourceTrouble]:
    known = alert if alert is not None and alert.state != Alert.State.RESOLVED else None
    found = []
    if is_silent(one, now):
        found.append(SourceTrouble(SILENT_SOURCE, one.last_at))
    if is_rejected(one, known is not None and has_signal(known, REJECTED_ITEMS.name)):
        found.append(SourceTrouble(REJECTED_ITEMS, now))
    if is_lagging(one, known is not None and has_signal(known, LAGGING_SOURCE.name)):
        found.append(SourceTrouble(LAGGING_SOURCE, now))
    return found


def figures(now: datetime) -> dict[Key, WatchFigures]:
    """What is known of every source that was ever heard, by (org pk, source pk); four statements."""
    values: dict[str, Any] = {"now": now, "longest": LONGEST, "silent": SILENT_AFTER, "days": DAYS}
    expected: dict[Key, float] = {}
    with connection.cursor() as cursor:
        for statement in (YOUNG, USUAL):  # the days before win, where there are any
            cursor.execute(statement, values)
            expected |= {(org, source): float(n) for org, source, n in cursor.fetchall()}
    rejected = F("conflict") + F("invalid") + F("not_understood")
    minutes = SourceMinute.objects.filter(minute__gt=now - WINDOW, org__isnull=False).order_by()
    sums = minutes.values("org_id", "source_id").annotate(
        total=Sum(F("created") + F("duplicate") + rejected),
        rejected=Sum(rejected),
        new=Sum("created"),
        late=Sum("slow"),
    )
    counted = {
        (row["org_id"], row["source_id"]): (row["total"], row["rejected"], row["new"], row["late"]) for row in sums
    }
    with connection.cursor() as cursor:
        cursor.execute(LAST, values)
        heard = cursor.fetchall()
    return {
        (org, source): WatchFigures(at, expected.get((org, source), 0.0), *counted.get((org, source), ()))
        for org, source, at in heard
    }
