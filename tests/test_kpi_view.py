"""`v_agent_kpis`: the seed's columns, each what plain SQL over the raw rows says, and the API of the same day."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.figures import Period
from orgs import clock
from orgs.models import Org, Source
from runs import fold
from runs.models import AgentRun
from runs.query import kpi_rows
from runs.rollups import KpiFilters
from tests.examples import at_most
from tests.factories import AgentFactory, OrgFactory, SourceFactory
from tests.runs_made import run_of, stored
from tests.test_runs_sums import STEPS, ZONES, play

# The canonical metrics spec's, in its order.
SEED = (
    *("agent_name", "day", "total_runs", "avg_resolution_seconds", "self_correction_rate", "escalation_pct"),
    *("avg_cost_usd", "sla_hit_rate", "avg_quality"),
)
OURS = ("org_id", "zone", "ended_runs", "failure_pct", "cost_per_resolved_usd", "deflection_rate", "reviewed_runs")
BY_THE_API = (*SEED[2:], *OURS[2:])
# Its formulas, but for what docs/kpis.md says is different: of ended runs, of runs with a target, a run's mean score.
PLAIN = """
SELECT agent.name, (started_at AT TIME ZONE org.zone)::date,
       count(*),
       avg(extract(epoch FROM ended_at - started_at)),
       100 * avg(CASE WHEN self_corrected THEN 1 ELSE 0 END),
       100 * avg(CASE WHEN resolution = 'escalated' THEN 1 ELSE 0 END) FILTER (WHERE ended_at IS NOT NULL),
       avg(cost_usd),
       100 * avg(CASE WHEN ended_at <= started_at + sla_target_seconds * interval '1 s' THEN 1 ELSE 0 END)
             FILTER (WHERE sla_target_seconds IS NOT NULL AND (ended_at IS NOT NULL OR overdue_at IS NOT NULL)),
       avg(score)
  FROM runs_agentrun run JOIN orgs_org org ON org.id = run.org_id JOIN orgs_agent agent ON agent.id = run.agent_id
  LEFT JOIN (SELECT run_id, org_id, avg(quality_score) AS score
               FROM runs_agentqc WHERE replaced_at IS NULL GROUP BY 1, 2) review
    ON review.run_id = run.run_id AND review.org_id = run.org_id
 GROUP BY run.org_id, agent.name, 2 ORDER BY run.org_id, agent.name, 2
"""
VIEW = f"SELECT {', '.join(SEED)} FROM v_agent_kpis ORDER BY org_id, agent_name, day"


def rows(statement: str) -> list[list[Any]]:
    """What it answers with, decimals as numbers."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [[one if isinstance(one, str | date | None) else float(one) for one in row] for row in cursor.fetchall()]


def the_view_is_true() -> None:
    found, wanted = rows(VIEW), rows(PLAIN)
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    for row, plain in zip(found, wanted, strict=True):
        for name, value, other in zip(SEED[3:], row[3:], plain[3:], strict=True):
            assert (value is None) == (other is None), (name, row[:2])
            assert value is None or value == pytest.approx(other, rel=1e-9, abs=1e-6), (name, row[:2])


@pytest.fixture
def source(db: None, system: None) -> Source:
    return SourceFactory(org=OrgFactory(zone="Asia/Jakarta"))


def test_the_view_has_the_seeds_columns_in_its_order_and_then_ours(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM v_agent_kpis")
        assert tuple(column.name for column in cursor.description or ()) == SEED + OURS


@settings(
    max_examples=at_most(60, usually=25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, zone=st.sampled_from(ZONES))
def test_the_view_is_a_plain_recount(source: Source, steps: list[tuple[str, Any]], zone: str) -> None:
    """Whatever came in which order; also before anything is folded, unless the org's zone changed."""
    with transaction.atomic():
        org = source.org
        org.zone = zone
        org.save()
        play(source, org, [step for step in steps if step[0] != "zone"])
        the_view_is_true()
        play(source, org, [step for step in steps if step[0] == "zone"])
        fold.fold_all()
        the_view_is_true()
        transaction.set_rollback(True)


def test_a_day_of_the_view_is_the_days_bucket_of_the_api(source: Source) -> None:
    """Of orgs of several zones, around their midnights; and it stays when the rows are purged."""
    noon = clock.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=5)
    with scopes_disabled():
        for zone in ("Asia/Kolkata", "Asia/Kathmandu", "America/New_York"):
            org = OrgFactory(zone=zone)
            stored(_around_midnights(org, noon))
        orgs = list(Org.objects.all())
        for _ in range(2):
            found = _of_view()
            asked = Period(noon - timedelta(days=9), noon + timedelta(days=6))
            told = kpi_rows(orgs, asked, clock.now(), KpiFilters(), "agent", "day")
            assert len(told) == len(found) > 9
            for row in told:
                day = found[row.org.pk, row.key, row.starts]
                for name in BY_THE_API:
                    assert getattr(row.figures, name) == (
                        None if day[name] is None else pytest.approx(float(day[name]))
                    ), name
            AgentRun.objects.all().delete()


def _around_midnights(org: Org, noon: datetime) -> list[AgentRun]:
    agent, source = AgentFactory(org=org), SourceFactory(org=org)
    return [
        run_of(
            org,
            agent,
            source,
            noon + timedelta(minutes=165 * n),
            (None, 12.5, 60.0)[n % 3],
            resolution="" if n % 3 == 0 else ("resolved", "failed", "escalated", "resolved")[n % 4],
            overdue_at=noon if n % 6 == 0 else None,
            sla_target_seconds=(30, None)[n % 2],
            cost_usd=(None, 1)[n % 2],
            self_corrected=n % 5 == 0,
            touched=(None, True, False, False)[n % 4],
            review_count=n % 2,
            review_sum=n % 2 * (n % 5 + 1),
        )
        for n in range(40)
    ]


def _of_view() -> dict[Any, dict[str, Any]]:
    """Its rows by org, agent, and when the day begins."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT *, day::timestamp AT TIME ZONE zone AS starts FROM v_agent_kpis")
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {(row["org_id"], row["agent_name"], row["starts"]): row for row in found}
