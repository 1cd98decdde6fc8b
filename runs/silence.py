"""When an agent is silent: it has run for nobody for much longer than it usually does at these hours of the week. Pure.

Usual is what it did in the same stretch of time on the 4 weeks before, from the runs of whole hours. So an agent that
rests at night, or on Sundays, is not silent then; and one that was quiet in one of those weeks may be quiet again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alerts.sources.rules import SILENT_AFTER

HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)
WEEKS = 4
WEEKS_ENOUGH = 2  # with fewer nothing is usual yet
GAPS = 10  # of its usual gaps: so many runs should have come
RUNS_ENOUGH = 20  # in all those weeks
LONGEST = timedelta(hours=24)  # of a silence that is compared


@dataclass(frozen=True, slots=True)
class AgentPast:
    """`since`: from when on it ran for nobody; `first_at`: its first run; `hours`: start of each hour -> its runs."""

    since: datetime
    first_at: datetime
    hours: Mapping[datetime, int]


def compared(since: datetime, first_at: datetime, now: datetime) -> list[tuple[datetime, datetime]]:
    """The same stretch of time, at most the last 24 h, on each of the weeks before that the agent already ran in."""
    begin = max(since, now - LONGEST)
    windows = [(begin - week * WEEK, now - week * WEEK) for week in range(1, WEEKS + 1)]
    return [window for window in windows if window[0] >= first_at]


def hours_of(begin: datetime, end: datetime) -> list[datetime]:
    """The whole hours of UTC that this stretch touches, as their starts."""
    first = begin.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return [first + n * HOUR for n in range(int((end - first) / HOUR) + 1) if first + n * HOUR < end]


def usual_runs(past: AgentPast, now: datetime) -> list[float]:
    """How many runs came in each of the stretches compared with: of an hour it touches in part, that part."""
    return [
        sum(
            past.hours.get(hour, 0) * ((min(end, hour + HOUR) - max(begin, hour)) / HOUR)
            for hour in hours_of(begin, end)
        )
        for begin, end in compared(past.since, past.first_at, now)
    ]


def is_silent_agent(past: AgentPast, now: datetime) -> bool:
    """Whether so long a silence, at this time of the week, is none that the agent is known for."""
    if now - past.since < SILENT_AFTER:
        return False
    usual = usual_runs(past, now)
    if len(usual) < WEEKS_ENOUGH or min(usual) < 1:
        return False
    return sum(usual) >= max(RUNS_ENOUGH, GAPS * len(usual))


def heard_since(minutes: Sequence[datetime], now: datetime) -> datetime | None:
    """Since when a source has sent without a long gap, of the minutes in which it did; None: it is silent itself.

    What an agent did not do while nothing of its source reached us says nothing of the agent.
    """
    if not minutes or now - minutes[-1] >= SILENT_AFTER:
        return None
    start = minutes[-1]
    for minute in reversed(minutes):
        if start - minute >= SILENT_AFTER:
            return start
        start = minute
    return start
