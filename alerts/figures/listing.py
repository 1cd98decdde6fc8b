"""The things behind a figure, newest first: its drill-down and its CSV."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from alerts.figures.counting import Span
from alerts.figures.kept import after_seal, sealed_until
from alerts.figures.metrics import EVENTS, Metric
from alerts.figures.units import AROUND_EPISODES, BEYOND, CONVERSATIONS, LIST
from orgs.paging import Order, Place
from orgs.replica import replica

EVERYTHING = 2**31  # more than there are
DAY, QUARTER, MINUTE = timedelta(days=1), timedelta(minutes=15), timedelta(minutes=1)
MOMENT = timedelta(microseconds=1)
LONGER = 4  # times the piece before
NO_ALERT = UUID(int=2**128 - 1)  # the place of things without an alert: after all others, as NULL has it
THINGS = Order((("at", datetime), ("alert_place", UUID), ("n", int)))  # for cursors; LIST sorts

# When the nearest failure events came: the first of them, and the last that a page needs where there are as many. Of
# each agent as many as a page has, from the index alone.
NEAREST = """
SELECT {first}(received_at), CASE WHEN count(*) = %(limit)s THEN {last}(received_at) END
  FROM (SELECT near.received_at
          FROM orgs_agent agent
         CROSS JOIN LATERAL (
               SELECT event.received_at FROM alerts_failureevent event
                WHERE event.agent_id = agent.id
                  AND event.received_at >= %(earliest)s AND event.received_at < %(latest)s
                ORDER BY event.received_at {way} LIMIT %(limit)s
               ) near
         WHERE agent.org_id = ANY (%(orgs)s::bigint[])
         ORDER BY near.received_at {way} LIMIT %(limit)s) nearest"""


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
    """As `items`, for a page of a long span: reads a piece that may fill it, then longer ones, until it is full."""
    found: list[ListedThing] = []
    whole_days = metric.unit is CONVERSATIONS  # what failed in a room that day
    span = listable(span) if whole_days else replace(listable(span), around=AROUND_EPISODES)
    for piece in _pieces(metric, span, place, limit):
        found += _items(metric, piece, outcome, place, limit - len(found))
        if len(found) >= limit:
            break
    return found


def _pieces(metric: Metric, span: Span, place: Place | None, limit: int) -> Iterator[Span]:
    """The span from `place` on, nearest first: a first piece, then ever longer ones."""
    if not span.rows:
        return
    first, last = min(row[1] for row in span.rows), min(max(row[2] for row in span.rows), span.now + DAY)
    backward = place is not None and place.backward
    at = place.values[0] if place else last
    # The piece begins or ends with the place itself: others may lie at the same moment.
    starts, ends = (max(first, at), last) if backward else (first, min(last, at + MOMENT))
    if starts >= ends:
        return
    near, length = _first_piece(metric, span.between(starts, ends), limit, backward=backward)
    while starts < ends:
        cut = min(max(starts, near) + length, ends) if backward else max(min(ends, near) - length, starts)
        yield span.between(starts, cut) if backward else span.between(cut, ends)
        starts, ends = (cut, ends) if backward else (starts, cut)
        length *= LONGER


def _first_piece(metric: Metric, span: Span, limit: int, *, backward: bool) -> tuple[datetime, timedelta]:
    """From where on there is something, and how long a page of it is: as long as so many failure events took.

    It only saves reading: whatever the pieces are, they list the same. A day of conversations is never cut.
    """
    starts, ends = min(row[1] for row in span.rows), max(row[2] for row in span.rows)
    here, end = (starts, ends) if backward else (ends, starts)
    if metric.unit is CONVERSATIONS:
        return here, DAY
    first, last, way = ("min", "max", "ASC") if backward else ("max", "min", "DESC")
    near, far = replica.rows(NEAREST.format(first=first, last=last, way=way), span.parameters(limit=limit))[0]
    near = here if near is None else near
    shortest = MINUTE if metric.stands_on == EVENTS else QUARTER  # of others an hour around it is read
    return near, max(shortest, abs((end if far is None else far) - near) + MOMENT)


def days(span: Span) -> Iterator[Span]:
    """The span in pieces of a day, the newest first: however much there is, a piece is small."""
    if not span.rows:
        return
    ends = min(max(row[2] for row in span.rows), span.now + DAY)
    first = min(row[1] for row in span.rows)
    while ends > first:
        yield span.between(ends - DAY, ends)
        ends -= DAY
