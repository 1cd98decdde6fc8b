"""KPI figures of any window, grouping and bucket are those of a plain recount over the runs."""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django_scopes import scopes_disabled
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.figures import BadPeriod, Period
from orgs.models import Org
from runs import rollups
from runs.durations import bucket as bin_of
from runs.durations import merged, percentile
from runs.kpis import KpiFigures, kpi_figures
from runs.models import AgentRun, DayKpi, HourKpi
from runs.query import kpi_rows
from runs.rollups import GROUP_NAMES, KpiFilters
from runs.sums import amounts, total
from runs.windows import BUCKET_NAMES, OrgWindow, first_day, hour_of, kpi_period
from tests.factories import AgentFactory, OrgFactory, SourceFactory
from tests.kpi_examples import FIRST, MOMENTS, NOW, SOME
from tests.runs_made import facts, histogram, run_of, stored

# Whole hours from UTC, a quarter of an hour beside, an hour doubled on 1 November, half an hour skipped in October.
ZONES = ("Asia/Jakarta", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe")
FIELD = {"agent": "agent_id", "version": "agent_version", "channel": "channel", "input_kind": "input_kind"}


@pytest.fixture
def runs(db: None) -> Iterator[list[AgentRun]]:
    """Some hundred runs of four orgs, one of whose days wait for their durations."""
    chance = random.Random(7)
    with scopes_disabled():
        made = [run for number, zone in enumerate(ZONES) for run in _of_org(number, zone, chance)]
        yield made


def _of_org(number: int, zone: str, chance: random.Random) -> list[AgentRun]:
    org = OrgFactory(external_id=f"org-{number}", zone=zone)
    agents, source = [AgentFactory(org=org, name=f"Bot {n}") for n in range(2)], SourceFactory(org=org)
    waiting, ready = [], []
    for _ in range(150):
        started = FIRST + (NOW - FIRST) * chance.random()
        if chance.random() < 0.3:  # at the edges of hours and days
            started = hour_of(started) + chance.choice((timedelta(0), timedelta(minutes=15), timedelta(minutes=30)))
        run = run_of(
            org,
            chance.choice(agents),
            source,
            started,
            chance.choice((None, 0.0, 0.4, 42.0, 600.0, 3600.5)),
            agent_version=chance.choice(("", "1.0", "2.0")),
            channel=chance.choice(("whatsapp", "web")),
            input_kind=chance.choice(("ticket", "faq")),
            self_corrected=chance.choice((True, False, None)),
            tokens_input=chance.choice((None, 10)),
            cost_usd=chance.choice((None, Decimal("0.03420"), Decimal("1.00001"))),
            sla_target_seconds=chance.choice((None, 42, 600)),
            touched=chance.choice((None, True, False)),
            handoff_expected=chance.choice((None, True, False)),
            message_count=chance.choice((None, 19, 20)),
            message_cap=chance.choice((None, 20)),
            review_count=3,
            review_sum=chance.choice((4, 10)),
        )
        if run.ended_at is None:
            run.overdue_at = chance.choice((None, NOW))
        else:
            run.resolution = chance.choice(("resolved", "escalated", "failed"))
        late = run.started_at > NOW - timedelta(days=4)
        (waiting if late and number % 2 else ready).append(run)
    return stored(ready) + stored(_not_in(waiting, ready), folded=False)


def _not_in(some: list[AgentRun], others: list[AgentRun]) -> list[AgentRun]:
    """Without those whose day or hour others have already: each roll-up is made once."""
    taken = {run.started_at.astimezone(ZoneInfo(run.org.zone)).date() for run in others}
    return [run for run in some if run.started_at.astimezone(ZoneInfo(run.org.zone)).date() not in taken]


def recount(runs: list[AgentRun], asked: Period, filters: KpiFilters, group: str, bucket: Any) -> dict[Any, KpiFigures]:
    """The plain way."""
    groups: dict[Any, list[AgentRun]] = defaultdict(list)
    for run in runs:
        window = OrgWindow.of(asked, run.org.zone, NOW)
        wanted = (
            filters.agent in ("", run.agent.name)
            and filters.version in ("", run.agent_version)
            and filters.channel in ("", run.channel)
            and filters.input_kind in ("", run.input_kind)
        )
        if not wanted or not window.starts <= run.started_at < window.ends:
            continue
        local = run.started_at.astimezone(ZoneInfo(run.org.zone)).date()
        begins = window.starts if bucket == "total" else None
        if bucket == "hour":
            begins = hour_of(run.started_at)
        elif begins is None:
            begins = datetime.combine(first_day(local, bucket), datetime.min.time(), ZoneInfo(run.org.zone))
        key = run.agent.name if group == "agent" else getattr(run, FIELD[group])
        groups[run.org.external_id, key, begins].append(run)
    return {
        at: kpi_figures(total([amounts(facts(run)) for run in found]), histogram(found)) for at, found in groups.items()
    }


def counted(asked: Period, filters: KpiFilters, group: Any, bucket: Any) -> dict[Any, KpiFigures]:
    orgs = list(Org.objects.all())
    return {
        (row.org.external_id, row.key, row.starts): row.figures
        for row in kpi_rows(orgs, asked, NOW, filters, group, bucket)
    }


def test_any_window_bucket_and_group_is_a_plain_recount(runs: list[AgentRun]) -> None:
    @given(MOMENTS, st.one_of(st.none(), MOMENTS), SOME, st.sampled_from(GROUP_NAMES), st.sampled_from(BUCKET_NAMES))
    @settings(max_examples=60, deadline=None)
    def holds(starts: Any, ends: Any, filters: KpiFilters, group: Any, bucket: Any) -> None:
        try:
            asked = kpi_period(starts, ends, NOW)
        except BadPeriod:
            return
        assert counted(asked, filters, group, bucket) == recount(runs, asked, filters, group, bucket)

    holds()


@pytest.mark.parametrize("bucket", BUCKET_NAMES)
def test_days_kept_in_another_zone_are_put_together_from_hours(
    runs: list[AgentRun], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "PARTS", 3)  # more than one statement takes
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orgs_org SET zone = 'America/New_York' WHERE external_id = 'org-0'")
    org = Org.objects.get(external_id="org-0")
    for run in runs:
        if run.org_id == org.pk:
            run.org = org
    asked = kpi_period(date(2026, 10, 22), None, NOW)
    assert counted(asked, KpiFilters(), "agent", bucket) == recount(runs, asked, KpiFilters(), "agent", bucket)


@pytest.mark.parametrize(("most", "known"), [(0, False), (1, True)])
def test_too_many_unfolded_runs_are_not_read_one_by_one(
    db: None, monkeypatch: pytest.MonkeyPatch, most: int, known: bool
) -> None:
    monkeypatch.setattr(rollups, "MOST_UNFOLDED", most)
    org = OrgFactory()
    with scopes_disabled():
        run = run_of(org, AgentFactory(org=org), SourceFactory(org=org), NOW - timedelta(hours=3))
        stored([run], folded=False)
        (row,) = kpi_rows([org], kpi_period(None, None, NOW), NOW, KpiFilters(), "agent", "total")
    assert row.figures.ended_runs == 1
    assert (row.figures.p95_resolution_seconds is not None) is known


def test_closed_days_are_read_from_the_days_alone(runs: list[AgentRun]) -> None:
    DayKpi.objects.update(unsummed=True)
    HourKpi.objects.all().delete()
    AgentRun.objects.all().delete()
    asked = kpi_period(date(2026, 10, 22), date(2026, 11, 1), NOW)
    for bucket in ("day", "week", "month", "total"):
        assert counted(asked, KpiFilters(), "agent", bucket) == recount(runs, asked, KpiFilters(), "agent", bucket)


def test_days_without_a_filter_are_read_from_agents_days_alone(runs: list[AgentRun]) -> None:
    for model in (DayKpi, HourKpi, AgentRun):
        model.objects.all().delete()
    asked = kpi_period(date(2026, 10, 22), date(2026, 11, 1), NOW)
    for bucket in ("day", "week", "month", "total"):
        assert counted(asked, KpiFilters(), "agent", bucket) == recount(runs, asked, KpiFilters(), "agent", bucket)
    assert counted(asked, KpiFilters(version="2.0"), "agent", "day") == {}


def test_whole_hours_are_read_from_the_hours_alone(runs: list[AgentRun]) -> None:
    DayKpi.objects.all().delete()
    AgentRun.objects.all().delete()
    asked = kpi_period(FIRST + timedelta(hours=5), FIRST + timedelta(days=3, hours=2), NOW)
    assert counted(asked, KpiFilters(), "agent", "hour") == recount(runs, asked, KpiFilters(), "agent", "hour")


@pytest.mark.parametrize(("hours", "maturing"), [(24.9, True), (25.1, False)])
def test_a_bucket_that_ended_within_25_hours_is_maturing(db: None, hours: float, maturing: bool) -> None:
    org = OrgFactory()
    with scopes_disabled():
        stored([run_of(org, AgentFactory(org=org), SourceFactory(org=org), NOW - timedelta(hours=hours + 1))])
        asked = Period(NOW - timedelta(hours=hours + 2), NOW - timedelta(hours=hours))
        (row,) = kpi_rows([org], asked, NOW, KpiFilters(), "agent", "total")
    assert row.maturing is maturing


def test_a_day_of_25_hours_is_one_bucket(db: None) -> None:
    org = OrgFactory(zone="America/New_York")
    begins = datetime(2026, 11, 1, 4, tzinfo=UTC)
    with scopes_disabled():
        agent, source = AgentFactory(org=org), SourceFactory(org=org)
        stored(run_of(org, agent, source, begins + n * timedelta(hours=1)) for n in range(26))
        rows = kpi_rows([org], Period(date(2026, 11, 1), date(2026, 11, 3)), NOW, KpiFilters(), "agent", "day")
    assert [(row.starts, row.ends, row.figures.total_runs) for row in rows] == [
        (begins, begins + timedelta(hours=25), 25),
        (begins + timedelta(hours=25), begins + timedelta(hours=49), 1),
    ]


@given(st.lists(st.floats(0.001, 1e7), min_size=1, max_size=150), st.sampled_from((0.5, 0.95)))
@settings(deadline=None)
def test_a_percentile_is_at_most_five_percent_off(took: list[float], share: float) -> None:
    found = percentile(merged({bin_of(one): 1} for one in took), share)
    place = next(k for k in range(1, len(took) + 1) if 100 * k >= round(100 * share) * len(took))
    assert found == pytest.approx(sorted(took)[place - 1], rel=0.05)


@pytest.mark.parametrize("took", [[20.0, 150.0], [3.0], [1.0] * 19 + [90.0], [1.0] * 18 + [90.0], list(range(1, 61))])
def test_percentiles_are_those_of_postgresql_however_few_runs_there_are(db: None, took: list[float]) -> None:
    """Mutation: count places from 0, and the p95 of two runs is the shorter one, far below their mean."""
    histogram = merged({bin_of(one): 1} for one in took)
    with connection.cursor() as cursor:
        for share in (0.5, 0.95):
            cursor.execute("SELECT percentile_disc(%s) WITHIN GROUP (ORDER BY one) FROM unnest(%s) one", [share, took])
            assert percentile(histogram, share) == pytest.approx(cursor.fetchone()[0], rel=0.05)
