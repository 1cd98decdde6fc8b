"""The things behind a figure, newest first: its drill-down and its CSV."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from alerts.figures.counting import Span
from alerts.figures.metrics import Metric
from alerts.figures.units import LIST

EVERYTHING = 2**31  # more than there are
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ListedThing:
    """One thing that counts, or does not: `outcome` says as what. `seconds`: how long it took a human to come."""

    at: datetime
    outcome: str
    seconds: float | None
    alert_id: UUID | None
    org_id: str
    org_name: str
    agent_name: str
    room_id: str
    room_label: str


def items(metric: Metric, span: Span, outcome: str = "", limit: int = EVERYTHING, offset: int = 0) -> list[ListedThing]:
    """The things of the span, or those of one outcome only."""
    if not span.rows:
        return []
    with connection.cursor() as cursor:
        cursor.execute(metric.sql + LIST, span.parameters(outcome=outcome, limit=limit, offset=offset))
        return [ListedThing(*row) for row in cursor.fetchall()]


def days(span: Span) -> Iterator[Span]:
    """The span in pieces of a day, the newest first: however much there is, a piece is small."""
    if not span.rows:
        return
    ends = min(max(row[2] for row in span.rows), span.now + DAY)
    first = min(row[1] for row in span.rows)
    while ends > first:
        starts = ends - DAY
        rows = [(org, max(a, starts), min(b, ends), zone) for org, a, b, zone in span.rows]
        yield Span([row for row in rows if row[1] < row[2]], span.now)
        ends = starts
