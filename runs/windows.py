"""Which days, hours and single runs a window of time is put together from, in an org's own zone. Pure.

Whole days of the org come from `AgentDay` or `DayKpi`, whole hours of UTC from `HourKpi`; what is left at the edges
from the runs.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from alerts.figures import Moment, Period, period

BucketName = Literal["hour", "day", "week", "month", "total"]
BUCKET_NAMES: tuple[BucketName, ...] = get_args(BucketName)
BucketLabel = date | datetime | None  # its first day, its hour; None: the whole window

USUAL = timedelta(days=7)
LONGEST = timedelta(days=400)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MATURES = timedelta(hours=25)  # a human may act within 24 h, and a job corrects the figures after that
MOMENT = timedelta(microseconds=1)


def kpi_period(starts: Moment | None, ends: Moment | None, now: datetime) -> Period:
    """What was asked for; without an end it is now, without a start 7 days before the end. Raises BadPeriod."""
    return period(starts, ends, now, usual=USUAL, longest=LONGEST)


@dataclass(frozen=True, slots=True)
class DayPiece:
    """Whole days of the org, from `starts` to before `ends`; `changing`: no agent's day is the sum of them now."""

    starts: date
    ends: date
    changing: bool


@dataclass(frozen=True, slots=True)
class TimePiece:
    """A stretch within one bucket: whole hours of UTC, or (`whole` is False) less than one hour, of single runs."""

    starts: datetime
    ends: datetime
    label: BucketLabel
    whole: bool


@dataclass(frozen=True, slots=True)
class OrgWindow:
    """A window of an org of this zone, as instants."""

    zone: str
    starts: datetime
    ends: datetime
    now: datetime

    @classmethod
    def of(cls, asked: Period, zone: str, now: datetime) -> "OrgWindow":
        """The window that a period is in this zone.

        One that reaches to now takes in its last day whole: what is there has started, also by a clock that is ahead.
        """
        starts, ends = (moment.astimezone(UTC) for moment in asked.window(zone))
        made = cls(zone, starts, ends, now)
        return replace(made, ends=max(ends, made.begins(made.day_of(now) + DAY))) if ends >= now else made

    @property
    def days(self) -> tuple[date, date]:
        """The first day that the window touches, and the day after its last one."""
        return self.day_of(self.starts), self.day_of(self.ends - MOMENT) + DAY

    def day_of(self, at: datetime) -> date:
        """The day of the org at an instant."""
        return at.astimezone(ZoneInfo(self.zone)).date()

    def begins(self, day: date) -> datetime:
        """When a day of the org begins."""
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def pieces(
        self, bucket: BucketName, split: Collection[date] = (), changing: Collection[date] = ()
    ) -> tuple[list[DayPiece], list[TimePiece]]:
        """The pieces of the window, no two of which overlap. The days of `split` are taken apart into hours."""
        if self.starts >= self.ends:
            return [], []
        if bucket == "hour":
            return [], list(_cut(self.starts, self.ends, None))
        days: list[DayPiece] = []
        times: list[TimePiece] = []
        day, end = self.days
        begins, last = self.begins(day), self.ends
        while day < end:
            following = self.begins(day + DAY)
            if self.starts <= begins and following <= last and day not in split:
                piece = DayPiece(day, day + DAY, day in changing)
                if days and (days[-1].ends, days[-1].changing) == (day, piece.changing):
                    piece = replace(piece, starts=days.pop().starts)
                days.append(piece)
            else:
                times += _cut(max(self.starts, begins), min(last, following), first_day(day, bucket), labelled=True)
            day, begins = day + DAY, following
        return days, times

    def only(self, bucket: BucketName, label: BucketLabel) -> "OrgWindow":
        """The part of the window that lies in one bucket."""
        starts, ends = self.bucket_window(bucket, label)
        return replace(self, starts=max(self.starts, starts), ends=min(self.ends, ends))

    @property
    def matured(self) -> "OrgWindow":
        """The part of the window whose figures are not maturing any more."""
        return replace(self, ends=min(self.ends, self.now - MATURES))

    def bucket_window(self, bucket: BucketName, label: BucketLabel) -> tuple[datetime, datetime]:
        """When a bucket begins and ends; the only one of `total` is the window."""
        if label is None:
            return self.starts, self.ends
        if isinstance(label, datetime):
            return label, label + HOUR
        return self.begins(label), self.begins(next_label(label, bucket))

    def is_maturing(self, bucket: BucketName, label: BucketLabel) -> bool:
        """Whether figures of a bucket may still change because a human may still act."""
        return min(self.bucket_window(bucket, label)[1], self.ends) > self.now - MATURES


def first_day(day: date, bucket: BucketName) -> date | None:
    """The first day of the bucket that a day is in; None for the whole window."""
    if bucket == "week":
        return day - timedelta(days=day.weekday())
    if bucket == "month":
        return day.replace(day=1)
    return None if bucket == "total" else day


def next_label(label: date, bucket: BucketName) -> date:
    """The first day of the next bucket."""
    if bucket == "month":
        return (label + timedelta(days=31)).replace(day=1)
    return label + timedelta(days=7 if bucket == "week" else 1)


def hour_of(at: datetime) -> datetime:
    """The hour of UTC that an instant is in."""
    return at.replace(minute=0, second=0, microsecond=0)


def _cut(starts: datetime, ends: datetime, label: BucketLabel, labelled: bool = False) -> Iterator[TimePiece]:
    """A stretch as its whole hours and what is left before and after; without a label each hour is its own bucket."""

    def piece(begins: datetime, stops: datetime, whole: bool) -> TimePiece:
        return TimePiece(begins, stops, label if labelled or whole else hour_of(begins), whole)

    first, last = hour_of(starts), hour_of(ends)
    if first != starts:
        first += HOUR
    if first > last:
        yield piece(starts, ends, whole=False)
        return
    if starts < first:
        yield piece(starts, first, whole=False)
    if first < last:
        yield piece(first, last, whole=True)
    if last < ends:
        yield piece(last, ends, whole=False)
