"""Spans of time, half open, in UTC, and when the wall clock of a zone lies in weekly hours. Pure.

The wall clock decides: one is within hours at an instant if the clock on the wall shows a time in them then. So an hour
that a change of the clocks skips does not exist, and one that comes twice counts twice.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from orgs.duty.hours import DAY, WeeklyHours

ONE_DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
STEP = timedelta(hours=12)  # no zone changes its clocks twice within it


class DutySpan(NamedTuple):
    """From `begin` until before `end`."""

    begin: datetime
    end: datetime


def joined_spans(spans: Iterable[DutySpan]) -> list[DutySpan]:
    """In order; those that touch are one, empty ones are left out."""
    found: list[DutySpan] = []
    for span in sorted(span for span in spans if span.begin < span.end):
        if found and span.begin <= found[-1].end:
            found[-1] = DutySpan(found[-1].begin, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def spans_without(spans: Iterable[DutySpan], others: Iterable[DutySpan]) -> list[DutySpan]:
    """What is left of these spans without the others."""
    left = joined_spans(spans)
    for other in joined_spans(others):
        parts = ((DutySpan(a, min(b, other.begin)), DutySpan(max(a, other.end), b)) for a, b in left)
        left = [part for pair in parts for part in pair if part.begin < part.end]
    return left


def spans_within(spans: Iterable[DutySpan], begin: datetime, end: datetime) -> list[DutySpan]:
    """What of them lies from `begin` to `end`."""
    return joined_spans(DutySpan(max(a, begin), min(b, end)) for a, b in spans)


def is_within(hours: Iterable[WeeklyHours], zone: str, at: datetime, holidays: Collection[date] = ()) -> bool:
    """Whether the wall clock of the zone lies in these hours at this instant."""
    wall = at.astimezone(ZoneInfo(zone))
    today, minute = wall.date(), wall.hour * 60 + wall.minute
    yesterday = today - ONE_DAY
    return any(
        (one.begin <= minute < one.end and _runs(one, today, holidays))
        or (minute + DAY < one.end and _runs(one, yesterday, holidays))
        for one in hours
    )


def _runs(one: WeeklyHours, day: date, holidays: Collection[date]) -> bool:
    """Whether the interval begins on this day."""
    return day.isoweekday() in one.days and not (one.holidays_off and day in holidays)


def wall_spans(
    hours: Collection[WeeklyHours], zone: str, begin: datetime, end: datetime, holidays: Collection[date] = ()
) -> list[DutySpan]:
    """When from `begin` to `end` the wall clock of the zone lies in these hours; merged."""
    found = []
    for a, b, offset in _of_one_offset(zone, begin, end):
        wall_a, wall_b = (at.astimezone(UTC).replace(tzinfo=None) + offset for at in (a, b))
        for start, stop in _on_the_wall(hours, wall_a, wall_b, holidays):
            inside = max(start, wall_a), min(stop, wall_b)
            found += [DutySpan(*((at - offset).replace(tzinfo=UTC) for at in inside))]
    return joined_spans(found)


def _on_the_wall(
    hours: Collection[WeeklyHours], begin: datetime, end: datetime, holidays: Collection[date]
) -> Iterator[tuple[datetime, datetime]]:
    """The intervals that may touch the range, by a clock that never changes."""
    day = begin.date() - ONE_DAY  # what begins on the day before may run past midnight
    while day <= end.date():
        midnight = datetime.combine(day, time())
        for one in hours:
            if _runs(one, day, holidays):
                yield midnight + timedelta(minutes=one.begin), midnight + timedelta(minutes=one.end)
        day += ONE_DAY


def _of_one_offset(zone: str, begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """The range in pieces in which the clocks of the zone do not change, each with its distance from UTC."""
    begin, end = begin.astimezone(UTC), end.astimezone(UTC)
    changes = [at for year in range(begin.year, end.year + 1) for at in _changes(zone, year)]
    inner = changes[bisect_right(changes, begin) :]
    cuts = [begin, *(at for at in inner if at < end), end]
    for a, b in pairwise(cuts):
        if a < b:
            yield a, b, a.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()


@lru_cache(maxsize=2048)
def _changes(zone: str, year: int) -> tuple[datetime, ...]:
    """The instants of this UTC year, its begin not among them, at which the clocks of the zone change."""
    at, end, found = datetime(year, 1, 1, tzinfo=UTC) - STEP, datetime(year + 1, 1, 1, tzinfo=UTC), []
    while at < end:
        if _offset(zone, at) != _offset(zone, at + STEP):
            found.append(_change_between(zone, at, at + STEP))
        at += STEP
    return tuple(one for one in found if one.year == year)


def _change_between(zone: str, before: datetime, after: datetime) -> datetime:
    """To the second."""
    old = _offset(zone, before)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return after


def _offset(zone: str, at: datetime) -> timedelta | None:
    return at.astimezone(ZoneInfo(zone)).utcoffset()
