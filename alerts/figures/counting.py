"""The success figures of orgs over a period, counted in the database: three statements a span, whatever the orgs.

Days that are over were counted before (closing.py); what is left of a span is counted from the raw rows.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import F, OuterRef, Subquery

from alerts.figures.formulas import Estimate
from alerts.figures.kept import LONGEST_DAY, Kept, SpanRow, split
from alerts.figures.metrics import COVERAGE, METRICS, TIME_TO_INTERVENE, Metric, MetricTally
from alerts.figures.periods import Period
from alerts.figures.units import AROUND, AROUND_EPISODES, COUNT, FOLLOW_UP_WITHIN
from alerts.models import FailureEvent, KeptFigures
from alerts.reach import coverage_now, production_agents
from orgs.models import Agent, Org
from orgs.replica import replica

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
class SuccessFigures:
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
    """What a statement is about: for each org from when to when, and its zone; stretches of one org do not overlap."""

    rows: Sequence[SpanRow]
    now: datetime
    around: timedelta | None = None

    def parameters(self, **more: Any) -> dict[str, Any]:
        """Of the statements in units.py; there is at least one row."""
        orgs, starts, ends, zones = (list(column) for column in zip(*self.rows, strict=True))
        arrays = {"orgs": orgs, "starts": starts, "ends": ends, "zones": zones}
        limits = {"earliest": min(starts), "latest": max(ends), "now": self.now}
        around = self.around or (AROUND_EPISODES if all(map(_whole_days, self.rows)) else AROUND)
        return arrays | limits | {"follow_up_within": FOLLOW_UP_WITHIN, "around": around} | more

    def between(self, starts: datetime, ends: datetime) -> "Span":
        """What of it lies between these moments."""
        rows = [(org, max(a, starts), min(b, ends), zone) for org, a, b, zone in self.rows]
        return replace(self, rows=[row for row in rows if row[1] < row[2]])

    @property
    def first_days(self) -> dict[int, date]:
        """The day of each org on which its span begins."""
        return {org: local_day(starts, zone) for org, starts, _, zone in self.rows}


@dataclass(frozen=True)
class CountedFigures:
    """What `measure` is put together from, but for who is reached now; by the metric's name."""

    now: datetime
    points: list[date]
    begun: Mapping[int, datetime | None]
    found: Mapping[str, "Tallies"]
    baseline: Mapping[str, "Tallies"]


def count_figures(orgs: Sequence[Org], period: Period, zone: str, now: datetime) -> CountedFigures:
    """Everything that is counted from rows; run it inside a scope."""
    begun = first_failures(orgs)
    span = span_of(orgs, period, now, begun)
    firsts = [(org, begun.get(org.pk)) for org in orgs]  # the baseline: of each org its own first 30 days
    first_days = Span([(org.pk, at, at + BASELINE, org.zone) for org, at in firsts if at is not None], now)
    points = max((period.points(name, now) for name in [zone, *{org.zone for org in orgs}]), key=len)
    found = count_span(METRICS, span, period.width)
    return CountedFigures(now, points, begun, found, count_span(METRICS, first_days))


def measure(
    orgs: Sequence[Org], period: Period, zone: str, now: datetime, counted: CountedFigures | None = None
) -> SuccessFigures:
    """Every figure of these orgs; run it inside a scope. `zone`: whose days the points of the trend are.

    `counted`: what `count_figures` gave for the same, maybe a while ago; the figures are as of then.
    """
    counted = counted or count_figures(orgs, period, zone, now)
    found = {**counted.found, COVERAGE.name: _covered(orgs)}
    columns = [(metric, found[metric.name], counted.baseline[metric.name]) for metric in METRICS]
    return SuccessFigures(
        counted.now,
        counted.points,
        [_figure(*column, None, len(counted.points)) for column in columns],
        {org.pk: [_figure(*column, org.pk) for column in columns] for org in orgs},
        {org: at + BASELINE for org, at in counted.begun.items() if at is not None},
    )


def _covered(orgs: Sequence[Org]) -> "Tallies":
    """How many agents are reached now: the period does not matter."""
    found = Tallies()
    for org_id, reached in coverage_now(production_agents().filter(org__in=orgs)).items():
        for tally in (found.of[None], found.of[org_id]):
            tally.outcomes += Counter({COVERAGE.yes: reached.covered, COVERAGE.no: reached.missing})
    return found


def time_to_intervene(orgs: Sequence[Org], period: Period, now: datetime) -> Estimate:
    """The median over these orgs alone: one figure of `measure`, for a page that must be cheap."""
    span = replace(span_of(orgs, period, now), around=AROUND_EPISODES)
    found = count_span([TIME_TO_INTERVENE], span)[TIME_TO_INTERVENE.name]
    return TIME_TO_INTERVENE.estimate(found.of[None])


def span_of(
    orgs: Sequence[Org], period: Period, now: datetime, begun: Mapping[int, datetime | None] | None = None
) -> Span:
    """The period, in each org that has agents; run it inside a scope. `begun`: the first failures, if known already."""
    begun = first_failures(orgs) if begun is None else begun
    return Span([(org.pk, *period.window(org.zone), org.zone) for org in orgs if org.pk in begun], now)


def count_metric(metric: Metric, span: Span) -> Mapping[str, int]:
    """How many things of the span have which outcome."""
    return count_span([metric], span)[metric.name].of[None].outcomes


# --- counting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tallies:
    """What was counted, by org (None: all together), and by point of the trend."""

    of: dict[int | None, MetricTally] = field(default_factory=lambda: defaultdict(MetricTally))
    at: dict[int, MetricTally] = field(default_factory=lambda: defaultdict(MetricTally))


class Counted(NamedTuple):
    """So many things of a metric have this outcome, on a day of an org.

    Of those that are waited for: `seconds` until a human came, `unreached` until the others were no longer watched, and
    when those began that still wait. `ends`: the last moment that says something about them; None: one goes on.
    """

    metric: str
    org: int
    day: date
    outcome: str
    n: int
    seconds: Sequence[float] = ()
    unreached: Sequence[float] = ()
    waiting: Sequence[datetime] = ()
    ends: datetime | None = None


def first_failures(orgs: Sequence[Org]) -> dict[int, datetime | None]:
    """When the first failure of each of these orgs happened, as far as the scope sees them; late ones do not count.

    An org without agents is not there: nothing can have failed.
    """
    first = (
        FailureEvent.objects.filter(agent=OuterRef("pk"))
        .exclude(reason="late")
        .order_by("received_at", "occurred_at")
        .values("occurred_at")[:1]
    )
    # What is sealed began with the first failure, whose rows may be deleted by now.
    sealed = KeptFigures.objects.filter(org=OuterRef("org"), sealed=True, ends__gt=F("starts") + LONGEST_DAY)
    firsts = (Subquery(first), Subquery(sealed.order_by("starts").values("starts")[:1]))
    begun: dict[int, datetime | None] = {}
    for org_id, *at in Agent.objects.filter(org__in=orgs).order_by().values_list("org_id", *firsts):
        begun[org_id] = min(filter(None, (*at, begun.get(org_id))), default=None)
    return begun


def count_span(metrics: Sequence[Metric], span: Span, width: int = 1) -> dict[str, Tallies]:
    """By the metric's name: what is kept of the span, and the rest counted; `width` days are a point of the trend."""
    found, first = {metric.counted_as: Tallies() for metric in metrics}, span.first_days

    def add(one: Counted) -> None:
        point = (one.day - first[one.org]).days // width
        left = [*one.unreached, *((span.now - at).total_seconds() for at in one.waiting)]
        for tally in (found[one.metric].of[None], found[one.metric].of[one.org], found[one.metric].at[point]):
            tally.add(one.outcome, one.n, one.seconds, left)

    for one in count_all(metrics, span):
        add(one)
    return {metric.name: found[metric.counted_as] for metric in metrics}


def count_all(metrics: Sequence[Metric], span: Span) -> Iterator[Counted]:
    """What is kept of the span, and the rest counted."""
    if not span.rows:
        return
    kept, rest = split(span.rows, span.parameters())
    zones, names = {org: zone for org, _, _, zone in span.rows}, {metric.counted_as for metric in metrics}
    for stretch in kept:
        yield from _kept_counts(stretch, local_day(stretch.starts, zones[stretch.org_id]), names)
    yield from count_rows(metrics, replace(span, rows=rest))


def _kept_counts(kept: Kept, day: date, names: Collection[str]) -> Iterator[Counted]:
    for name, outcomes in kept.counts.items():
        if name in names:
            for outcome, n in outcomes.items():
                yield Counted(name, kept.org_id, day, outcome, n, ends=kept.watched_until)
    if TIME_TO_INTERVENE.name in names:
        whose = (TIME_TO_INTERVENE.name, kept.org_id, day, TIME_TO_INTERVENE.yes)
        yield Counted(*whose, 0, kept.seconds, kept.unreached, kept.waiting, kept.watched_until)


def count_rows(metrics: Sequence[Metric], span: Span) -> Iterator[Counted]:
    """Count the raw rows; one statement for the metrics that stand on the same."""
    own = [metric for metric in {one.counted_as: one for one in reversed(metrics)}.values() if metric.unit]
    for stands_on in dict.fromkeys(metric.stands_on for metric in own if span.rows):
        together = [metric for metric in own if metric.stands_on == stands_on]
        tables = "".join(metric.unit.format(unit=f"unit_{n}") for n, metric in enumerate(together))
        counts = " UNION ALL ".join(COUNT.format(n=n, unit=f"unit_{n}") for n in range(len(together)))
        for at, org, day, outcome, n, seconds, waiting, ends in replica.rows(
            stands_on + tables + counts, span.parameters()
        ):
            metric = together[at]
            one = Counted(metric.counted_as, org, day, outcome, n, ends=ends)
            if not metric.watched:
                yield one
            elif outcome == metric.yes:
                yield one._replace(seconds=seconds or ())
            else:
                yield one._replace(unreached=seconds or (), waiting=waiting or ())


def _whole_days(row: SpanRow) -> bool:
    """Whether it begins and ends with a day of its zone: then it holds its conversations whole."""
    _, starts, ends, zone = row
    return all(at.astimezone(ZoneInfo(zone)).time() == time() for at in (starts, ends))


def local_day(at: datetime, zone: str) -> date:
    """The day of this zone in which the moment lies."""
    return at.astimezone(ZoneInfo(zone)).date()


def _figure(metric: Metric, found: Tallies, baseline: Tallies, org: int | None, points: int = 0) -> Figure:
    return Figure(
        metric,
        metric.estimate(found.of[org]),
        metric.estimate(baseline.of[org]),
        found.of[org].outcomes,
        [metric.estimate(found.at[point]) for point in range(points)] if metric.unit else (),
    )
