"""The success figures of orgs over a period, counted in the database: one statement a figure, whatever the orgs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import OuterRef, Subquery

from alerts.figures.covered import coverage
from alerts.figures.formulas import Estimate
from alerts.figures.metrics import COVERAGE, METRICS, TIME_TO_INTERVENE, Metric, Tally
from alerts.figures.periods import Period
from alerts.figures.units import COUNT, FOLLOW_UP_WITHIN
from alerts.models import FailureEvent
from orgs.models import Agent, Org

BASELINE = timedelta(days=30)  # the org's first


@dataclass(frozen=True)
class Figure:
    """A figure of one org, or of all of them together; `trend` has an estimate for each of `Period.points`."""

    metric: Metric
    now: Estimate
    baseline: Estimate
    outcomes: Mapping[str, int]
    trend: Sequence[Estimate] = ()


@dataclass(frozen=True)
class Success:
    """All figures, in the order of METRICS: `overall` with their trend, and those of each org by its pk.

    `points` are the first days of the trend's points; `baseline_ends` is there for an org that has failed.
    """

    as_of: datetime
    points: list[date]
    overall: list[Figure]
    of_org: dict[int, list[Figure]]
    baseline_ends: dict[int, datetime]


@dataclass(frozen=True)
class Span:
    """What the statements are about: a row for each org and part."""

    rows: Sequence[tuple[int, str, datetime, datetime, str]]
    now: datetime

    def parameters(self, **more: Any) -> dict[str, Any]:
        names = ("orgs", "parts", "starts", "ends", "zones")
        arrays = {name: list(column) for name, column in zip(names, zip(*self.rows, strict=True), strict=True)}
        return arrays | {"now": self.now, "follow_up_within": FOLLOW_UP_WITHIN} | more


def measure(orgs: Sequence[Org], period: Period, zone: str, now: datetime) -> Success:
    """Every figure of these orgs; run it inside a scope. `zone`: whose days the points of the trend are."""
    begun = _first_failures(orgs)
    span = _span(orgs, begun, period, now, with_baseline=True)
    points = max((period.points(name, now) for name in [zone, *{org.zone for org in orgs}]), key=len)
    columns = [
        (metric, _coverage_tallies(orgs) if metric is COVERAGE else _count(metric, span, period.width))
        for metric in METRICS
    ]
    return Success(
        now,
        points,
        [_figure(metric, tallies, None, len(points)) for metric, tallies in columns],
        {org.pk: [_figure(metric, tallies, org.pk) for metric, tallies in columns] for org in orgs},
        {org: at + BASELINE for org, at in begun.items() if at is not None},
    )


def time_to_intervene(orgs: Sequence[Org], period: Period, now: datetime) -> Estimate:
    """The median over these orgs alone: one figure of `measure`, for a page that must be cheap."""
    span = _span(orgs, _first_failures(orgs), period, now, with_baseline=False)
    tallies = _count(TIME_TO_INTERVENE, span, period.width)
    return TIME_TO_INTERVENE.estimate(tallies[None, "period", None])


def span_of(orgs: Sequence[Org], period: Period, now: datetime) -> Span:
    """The period alone, for a list."""
    return _span(orgs, _first_failures(orgs), period, now, with_baseline=False)


def count(metric: Metric, span: Span) -> Mapping[str, int]:
    """How many things of the period have which outcome."""
    return _count(metric, span, 1)[None, "period", None].outcomes


# --- counting --------------------------------------------------------------------------------------------------------

Key = tuple[int | None, str, int | None]  # org (None: all), part, point of the trend (None: the whole part)


def _first_failures(orgs: Sequence[Org]) -> dict[int, datetime | None]:
    """When the first failure of each of these orgs happened, as far as the scope sees them; late ones do not count.

    An org without agents is not there: nothing can have failed.
    """
    first = (
        FailureEvent.objects.filter(agent=OuterRef("pk"))
        .exclude(reason="late")
        .order_by("received_at", "occurred_at")
        .values("occurred_at")[:1]
    )
    begun: dict[int, datetime | None] = {}
    for org_id, at in Agent.objects.filter(org__in=orgs).order_by().values_list("org_id", Subquery(first)):
        begun[org_id] = min(filter(None, (at, begun.get(org_id))), default=None)
    return begun


def _span(
    orgs: Sequence[Org], begun: Mapping[int, datetime | None], period: Period, now: datetime, *, with_baseline: bool
) -> Span:
    rows = []
    for org in (org for org in orgs if org.pk in begun):
        rows.append((org.pk, "period", *period.window(org.zone), org.zone))
        at = begun[org.pk]
        if with_baseline and at is not None:
            rows.append((org.pk, "baseline", at, at + BASELINE, org.zone))
    return Span(rows, now)


def _count(metric: Metric, span: Span, width: int) -> dict[Key, Tally]:
    tallies: dict[Key, Tally] = defaultdict(Tally)
    if not span.rows:
        return tallies
    with connection.cursor() as cursor:
        cursor.execute(metric.sql + COUNT, span.parameters(width=width))
        for org_id, part, point, outcome, n, seconds in cursor.fetchall():
            for key in {(None, part, None), (org_id, part, None), (None, part, point)}:
                tallies[key].add(outcome, n, seconds or [])
    return tallies


def _coverage_tallies(orgs: Sequence[Org]) -> dict[Key, Tally]:
    """Of now, whatever the period."""
    tallies: dict[Key, Tally] = defaultdict(Tally)
    for one in coverage(orgs):
        for key in ((None, "period", None), (one.agent.org_id, "period", None)):
            tallies[key].add(one.outcome, 1, [])
    return tallies


def _figure(metric: Metric, tallies: dict[Key, Tally], org: int | None, points: int = 0) -> Figure:
    whole = tallies[org, "period", None]
    return Figure(
        metric,
        metric.estimate(whole),
        metric.estimate(tallies[org, "baseline", None]),
        whole.outcomes,
        [metric.estimate(tallies[None, "period", point]) for point in range(points)] if metric.sql else (),
    )
