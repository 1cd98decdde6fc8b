"""The things behind a figure, newest first: its drill-down and its CSV."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from alerts.figures.counting import Span
from alerts.figures.kept import after_seal, sealed_until
from alerts.figures.metrics import Metric
from alerts.figures.units import AROUND_EPISODES, BEYOND, CONVERSATIONS, LIST
from orgs.paging import Order, Place
from orgs.replica import replica

EVERYTHING = 2**31  # more than there are
DAY, QUARTER, MOMENT = timedelta(days=1), timedelta(minutes=15), timedelta(microseconds=1)
LONGER = 4  # times the piece before
NO_ALERT = UUID(int=2**128 - 1)  # the place of things without an alert: after all others, as NULL has it
THINGS = Order((("at", datetime), ("alert_place", UUID), ("n", int)))  # for cursors; LIST sorts


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
    n: int

    @property
    def alert_place(self) -> UUID:
        return self.alert_id or NO_ALERT


def items(
    metric: Metric, span: Span, outcome: str = "", place: Place | None = None, limit: int = EVERYTHING
) -> list[ListedThing]:
    """The things of the span, or those of one outcome only; beyond `place`, the nearest first. See `listable`."""
    return _items(metric, listable(span), outcome, place, limit)


def listable(span: Span) -> Span:
    """What of the span can be listed: of days that are sealed the numbers stay, the things behind them are deleted."""
    return replace(span, rows=after_seal(span.rows, sealed_until(row[0] for row in span.rows)))


def _items(metric: Metric, span: Span, outcome: str, place: Place | None, limit: int) -> list[ListedThing]:
    if not span.rows:
        return []
    at, alert, n = place.values if place else (None, None, None)
    words = {"less": "<", "more": ">", "down": "DESC", "up": "ASC"}
    if place and place.backward:
        words = {"less": ">", "more": "<", "down": "ASC", "up": "DESC"}
    sql = metric.sql + LIST.format(beyond=BEYOND.format(**words) if place else "", **words)
    values = {"at": at, "alert": alert, "n": n, "no_alert": NO_ALERT, "outcome": outcome, "limit": limit}
    return [ListedThing(*row) for row in replica.rows(sql, span.parameters(**values))]


def nearest(
    metric: Metric, span: Span, outcome: str = "", place: Place | None = None, limit: int = EVERYTHING
) -> list[ListedThing]:
    """As `items`, for a page of a long span: reads 15 min, then 1 h, then 4, until the page is full."""
    found: list[ListedThing] = []
    whole_days = metric.unit is CONVERSATIONS  # what failed in a room that day
    span = listable(span) if whole_days else replace(listable(span), around=AROUND_EPISODES)
    for piece in _pieces(span, place, DAY if whole_days else QUARTER):
        found += _items(metric, piece, outcome, place, limit - len(found))
        if len(found) >= limit:
            break
    return found


def _pieces(span: Span, place: Place | None, length: timedelta) -> Iterator[Span]:
    """The span from `place` on, nearest first: a piece of this length, then ever longer ones."""
    if not span.rows:
        return
    first, last = min(row[1] for row in span.rows), min(max(row[2] for row in span.rows), span.now + DAY)
    backward = place is not None and place.backward
    at = place.values[0] if place else last
    # The piece begins or ends with the place itself: others may lie at the same moment.
    starts, ends = (max(first, at), last) if backward else (first, min(last, at + MOMENT))
    while starts < ends:
        until = min(ends, span.now) if length < DAY else ends  # what is still to come is empty
        cut = min(starts + length, ends) if backward else max(until - length, starts)
        yield span.between(starts, cut) if backward else span.between(cut, ends)
        starts, ends = (cut, ends) if backward else (starts, cut)
        length *= LONGER


def days(span: Span) -> Iterator[Span]:
    """The span in pieces of a day, the newest first: however much there is, a piece is small."""
    if not span.rows:
        return
    ends = min(max(row[2] for row in span.rows), span.now + DAY)
    first = min(row[1] for row in span.rows)
    while ends > first:
        yield span.between(ends - DAY, ends)
        ends -= DAY
