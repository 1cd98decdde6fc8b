"""The period that a reader asks for, as a stretch of time in each org's own zone. Pure."""

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orgs.errors import BadValue
from orgs.years import off_years

USUAL = timedelta(days=30)
LONGEST = timedelta(days=366)
POINTS = 31  # of a trend, at most
EASTERNMOST, WESTERNMOST = "Etc/GMT-14", "Etc/GMT+12"  # where a day begins first, and last

Moment = date | datetime  # a day in the org's own zone, or an instant


class BadPeriod(BadValue, ValueError):
    """There is no such period; `field` is `from` or `to`."""


def instant(moment: Moment, zone: str) -> datetime:
    """An instant as it is, a day as the instant at which it begins in `zone`."""
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time(), ZoneInfo(zone))


@dataclass(frozen=True, slots=True)
class Period:
    """`starts` is inclusive, `ends` exclusive."""

    starts: Moment
    ends: Moment

    def window(self, zone: str) -> tuple[datetime, datetime]:
        """Both as instants, for an org of this zone."""
        return instant(self.starts, zone), instant(self.ends, zone)

    @property
    def width(self) -> int:
        """Days that one point of the trend stands for: 1, 7, or as many as keep it to about 31 points."""
        starts, ends = self.window("UTC")
        days = math.ceil((ends - starts) / timedelta(days=1))
        return next(width for width in (1, 7, math.ceil(days / POINTS)) if days <= POINTS * width)

    def points(self, zone: str, now: datetime) -> list[date]:
        """The first day of each point of the trend, in `zone`; none in the future."""
        starts, ends = self.window(zone)
        first = starts.astimezone(ZoneInfo(zone)).date()
        last = (min(ends, now) - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date()
        return [first + timedelta(days=n) for n in range(0, (last - first).days + 1, self.width)]


def period(
    starts: Moment | None,
    ends: Moment | None,
    now: datetime,
    *,
    usual: timedelta = USUAL,
    longest: timedelta = LONGEST,
) -> Period:
    """What was asked for; without an end it is now, without a start `usual` before the end. Raises BadPeriod."""
    if off := off_years(starts, ends):
        raise BadPeriod(*off)
    ends = now if ends is None else ends
    starts = ends - usual if starts is None else starts
    alike = isinstance(starts, datetime) == isinstance(ends, datetime)
    # A day against an instant: in order if it is so in any zone; elsewhere the period is empty.
    is_in_order = starts < ends if alike else instant(starts, EASTERNMOST) < instant(ends, WESTERNMOST)
    if not is_in_order:
        raise BadPeriod("to", "to must be later than from.")
    if instant(ends, "UTC") - instant(starts, "UTC") > (longest if alike else longest + timedelta(days=1)):
        raise BadPeriod("from", f"from must be at most {longest.days} days before to.")
    return Period(starts, ends)
