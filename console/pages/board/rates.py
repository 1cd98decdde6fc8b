"""Failures per 100 runs: what a tile of the health strip says of an agent whose org sends its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alerts.figures import Estimate, share
from runs.rates import runs_of_hours, runs_of_last_hour, runs_since, sending_runs

ENOUGH_RUNS = 20  # fewer say nothing of how often an agent fails
DAYS = 7


@dataclass(frozen=True, slots=True)
class FailureRate:
    """Failure events against runs. A run may have several failures, and a failure may name no run of ours."""

    failures: int
    runs: int

    @property
    def known(self) -> bool:
        return self.runs >= ENOUGH_RUNS

    @property
    def per_100(self) -> float | None:
        """Failures per 100 runs; None: too few runs to say."""
        return 100 * self.failures / self.runs if self.known else None

    @property
    def interval(self) -> Estimate:
        """The share with its Wilson interval; nothing of both where runs are too few, or fewer than their failures."""
        return share(self.failures, self.runs) if self.known and self.failures <= self.runs else Estimate(n=self.runs)

    def is_above(self, usual: "FailureRate", times: float) -> bool:
        """Whether it surely lies beyond so many times the usual: its interval does. None of both may be too few runs.

        >>> FailureRate(8, 40).is_above(FailureRate(10, 1000), 3), FailureRate(2, 40).is_above(FailureRate(10, 1000), 3)
        (True, False)
        """
        if not (self.known and usual.known):
            return False
        least = self.interval.low if self.failures <= self.runs else 100.0
        return (least or 0.0) > times * 100 * max(usual.failures, 1) / usual.runs


def usual_hours(now: datetime) -> list[datetime]:
    """The whole hour of UTC that lies most in the one before `now`, on each of the 7 days before, as its start."""
    hour = (now - timedelta(minutes=30)).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return [hour - timedelta(days=day) for day in range(1, DAYS + 1)]


def day_before(now: datetime) -> tuple[datetime, datetime]:
    """The last 24 hours as whole ones and the one that runs, and 7 days before them: both as their starts, UTC."""
    middle = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=23)
    return middle - timedelta(days=DAYS), middle


@dataclass(frozen=True, slots=True)
class RunCounts:
    """Runs by agent pk: `now` of the last hour, `usual` of `usual_hours`; `orgs`: pks of those that send runs.

    `seldom`: of agents that have too few in the last hour, in the 7 days before the last one and in the last one.
    """

    orgs: frozenset[int]
    now: Mapping[int, int]
    usual: Mapping[int, int]
    seldom: Mapping[int, tuple[int, int]]


def count_runs(agents: Sequence[tuple[int, int]], now: datetime) -> RunCounts:
    """The runs of these (org pk, agent pk). Four queries, one if no org sends runs; run it inside a scope."""
    orgs = sending_runs({org for org, _ in agents}, now)
    if not orgs:
        return RunCounts(frozenset(), {}, {}, {})
    asked = [key for key in agents if key[0] in orgs]
    latest = runs_of_last_hour(asked, now)
    few = [key for key in asked if latest.get(key[1], 0) < ENOUGH_RUNS]
    seldom = {pk: (0, 0) for _, pk in few} | runs_since(few, *day_before(now))
    return RunCounts(frozenset(orgs), latest, runs_of_hours(orgs, usual_hours(now)), seldom)
