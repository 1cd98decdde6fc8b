"""What of a span was counted when it was over, and what is left to count."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

SpanRow = tuple[int, datetime, datetime, str]  # org, from, to, zone

SHORTEST_DAY = timedelta(hours=23)  # on which clocks are put forward

# Days inside the span, and the row of exactly this span, which stands for all its days.
KEPT = """
SELECT kept.org_id, kept.starts, kept.ends, kept.counts, kept.seconds
  FROM unnest(%(orgs)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[],
              %(zones)s::text[]) AS span (org_id, starts, ends, zone)
  LEFT JOIN alerts_keptfigures whole
    ON whole.org_id = span.org_id AND whole.starts = span.starts AND whole.ends = span.ends AND whole.zone = span.zone
  JOIN alerts_keptfigures kept
    ON kept.org_id = span.org_id AND kept.zone = span.zone
   AND kept.starts >= span.starts AND kept.starts < span.ends AND kept.ends <= span.ends
   AND (kept.id = whole.id OR whole.id IS NULL AND kept.ends - kept.starts <= interval '25 hours')
 ORDER BY kept.org_id, kept.starts"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A stretch of an org that is over; `counts`: {metric: {outcome: n}}, `seconds` of the time to intervene."""

    org_id: int
    starts: datetime
    ends: datetime
    counts: Mapping[str, Mapping[str, int]]
    seconds: Sequence[float]


def split(rows: Sequence[SpanRow], parameters: Mapping[str, Any]) -> tuple[list[Kept], list[SpanRow]]:
    """What is kept of these stretches, which do not overlap, and the gaps between. One query, none for today alone."""
    if parameters["earliest"] + SHORTEST_DAY > parameters["now"]:
        return [], list(rows)
    with connection.cursor() as cursor:
        cursor.execute(KEPT, parameters)
        found = [
            Kept(org, starts, ends, json.loads(counts), seconds)
            for org, starts, ends, counts, seconds in cursor.fetchall()
        ]
    return found, [gap for row in rows for gap in _gaps(row, found)]


def _gaps(row: SpanRow, found: Iterable[Kept]) -> Iterable[SpanRow]:
    org, at, ends, zone = row
    for one in found:
        if one.org_id == org and at <= one.starts and one.ends <= ends:
            if at < one.starts:
                yield (org, at, one.starts, zone)
            at = one.ends
    if at < ends:
        yield (org, at, ends, zone)
