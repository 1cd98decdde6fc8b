"""What of a span was counted when it was over, and what is left to count."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F, Max

from alerts.models import KeptFigures

SpanRow = tuple[int, datetime, datetime, str]  # org, from, to, zone

FORMULA = 4  # of what is kept; rows of another are not read, and closing.py counts them anew
SHORTEST_DAY = timedelta(hours=23)  # on which clocks are put forward
LONGEST_DAY = timedelta(hours=25)  # on which they are put back; what is kept of a longer stretch is a baseline

# Days inside the span, and the row of exactly this span, which stands for all its days. A day that is sealed has no raw
# rows to count a part of: it counts whole, in the span in which it begins.
KEPT = """
SELECT kept.starts >= span.starts, kept.org_id, kept.starts, kept.ends, kept.counts, kept.seconds, kept.unreached,
       kept.waiting, kept.watched_until
  FROM unnest(%(orgs)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[],
              %(zones)s::text[]) AS span (org_id, starts, ends, zone)
  LEFT JOIN alerts_keptfigures whole
    ON whole.org_id = span.org_id AND whole.starts = span.starts AND whole.ends = span.ends
   AND (whole.sealed OR whole.zone = span.zone AND whole.formula = %(formula)s)
  JOIN alerts_keptfigures kept
    ON kept.org_id = span.org_id
   AND kept.starts > span.starts - interval '25 hours' AND kept.starts < span.ends AND kept.ends > span.starts
   AND (kept.sealed OR kept.zone = span.zone AND kept.starts >= span.starts AND kept.ends <= span.ends
                       AND kept.formula = %(formula)s)
   AND (kept.id = whole.id OR whole.id IS NULL AND kept.ends - kept.starts <= interval '25 hours')
 ORDER BY kept.org_id, kept.starts"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A stretch of an org that is over; `counts`: {metric: {outcome: n}}.

    Of its episodes: `seconds` until a human came, `unreached` until the others were no longer watched, and when those
    began that still wait.
    """

    org_id: int
    starts: datetime
    ends: datetime
    counts: Mapping[str, Mapping[str, int]]
    seconds: Sequence[float]
    unreached: Sequence[float]
    waiting: Sequence[datetime]
    watched_until: datetime | None


def split(rows: Sequence[SpanRow], parameters: Mapping[str, Any]) -> tuple[list[Kept], list[SpanRow]]:
    """What is kept of these stretches, which do not overlap, and the gaps between. One query, none for today alone."""
    if parameters["earliest"] + SHORTEST_DAY > parameters["now"]:
        return [], list(rows)
    with connection.cursor() as cursor:
        cursor.execute(KEPT, {**parameters, "formula": FORMULA})
        found = [
            (Kept(org, starts, ends, json.loads(counts), *times), begins)
            for begins, org, starts, ends, counts, *times in cursor.fetchall()
        ]
    covered = [one for one, _ in found]
    return [one for one, begins in found if begins], [gap for row in rows for gap in _gaps(row, covered)]


def _gaps(row: SpanRow, found: Iterable[Kept]) -> Iterable[SpanRow]:
    org, at, ends, zone = row
    for one in found:
        if one.org_id == org and at < one.ends and one.starts < ends:
            if at < one.starts:
                yield (org, at, one.starts, zone)
            at = one.ends
    if at < ends:
        yield (org, at, ends, zone)


def sealed_until(orgs: Iterable[int]) -> dict[int, datetime]:
    """Up to when the days of these orgs are sealed, by pk; an org without such days is not there. One query."""
    sealed = KeptFigures.objects.filter(org__in=list(orgs), sealed=True, ends__lte=F("starts") + LONGEST_DAY)
    return dict(sealed.order_by().values_list("org_id").annotate(Max("ends")))


def after_seal(rows: Iterable[SpanRow], sealed: Mapping[int, datetime]) -> list[SpanRow]:
    """What of these stretches is not sealed."""
    cut = [(org, max(starts, sealed.get(org, starts)), ends, zone) for org, starts, ends, zone in rows]
    return [row for row in cut if row[1] < row[2]]
