"""Client time is data: which times a sender may name, and what we make of them. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

FUTURE_KEPT = timedelta(minutes=5)
FUTURE_LIMIT = timedelta(hours=24)
PAST_LIMIT = timedelta(days=30)
FIRST_YEAR = datetime(2000, 1, 1, tzinfo=UTC)  # of what is a record and no alarm


class BadTime(Exception):
    """`code`: naive | in_the_future | too_old; `message` says what to do, after the name of the field."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


def judge_time(value: datetime, now: datetime, *, record: bool = False) -> tuple[datetime, bool]:
    """The time in UTC, and whether the sender's clock is ahead: over 5 min in the future is clamped to `now`.

    Raises BadTime: without an offset, over 24 h in the future, over 30 days old; of a `record` before the year 2000.
    """
    if value.tzinfo is None:
        raise BadTime("naive", "must carry its offset, such as Z or +07:00.")
    if value > now + FUTURE_LIMIT:
        raise BadTime("in_the_future", "is more than 24 hours in the future. Check the clock.")
    if value < (FIRST_YEAR if record else now - PAST_LIMIT):
        raise BadTime("too_old", "lies before the year 2000." if record else "is older than 30 days.")
    if value > now + FUTURE_KEPT:
        return now, True
    return value.astimezone(UTC), False


def clamped(value: datetime, now: datetime) -> datetime:
    """A time that was judged, as it counts: over 5 min in the future is `now`."""
    return now if value > now + FUTURE_KEPT else value


def heard(sent: Sequence[tuple[datetime, datetime]]) -> list[datetime]:
    """When each of these (time as sent, receipt) counts as having happened, in UTC, for every decision and figure.

    Nothing can have happened after we heard of it: a time is at most its receipt. Those of one receipt that claim to be
    later keep their order, a microsecond apart.
    """
    ahead: dict[datetime, set[datetime]] = defaultdict(set)
    for at, receipt in sent:
        if at > receipt:
            ahead[receipt].add(at)
    counts = {
        (at, receipt): receipt - timedelta(microseconds=place)
        for receipt, times in ahead.items()
        for place, at in enumerate(sorted(times, reverse=True))
    }
    return [counts.get(pair, pair[0]).astimezone(UTC) for pair in sent]
