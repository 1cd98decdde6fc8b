"""GET /api/runs, /api/runs/{run_id}, /api/kpis, /api/agents/{name}/versions: shapes, filters, refusals, tenancy."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_scopes import scopes_disabled

from alerts.models import BlindInterval
from orgs import clock
from orgs.models import Agent, Org
from runs.containment import sweep_sessions
from tests.api_client import signed_in, supervisor_of, with_key
from tests.factories import AgentFactory, OrgFactory, SourceFactory, UserFactory
from tests.runs_made import made_run, reviewed, run_of, stored
from tests.scene import Scene

START = datetime(2025, 10, 10, 2, 15, 30, tzinfo=UTC)
SEED: dict[str, Any] = {
    "self_corrected": True,
    "tokens_input": 3421,
    "tokens_output": 1890,
    "cost_usd": Decimal("0.03420"),
    "sla_target_seconds": 600,
    "metadata": {"shop_id": "hotrodan", "ticket_id": "T-9123"},
}


@pytest.fixture
def agent(org: Org) -> Agent:
    return AgentFactory(org=org, name="support-triage")


@pytest.fixture
def client(org: Org) -> Client:
    return signed_in(supervisor_of(org))


def results(client: Client, path: str) -> list[dict[str, Any]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_is_answered_whole(org: Org, agent: Agent, client: Client) -> None:
    run = made_run(org, agent, START, **SEED, agent_version="2.1", room="room-7", review_count=1, review_sum=4)
    reviewed(run, 4, notes="Good.", rubric={"tone": 5})
    reviewed(run, 1, replaced_at=START)
    answer = client.get(f"/api/runs/{run.run_id}").json()
    assert answer == {
        "run_id": str(run.run_id),
        "org_id": org.external_id,
        "agent_name": "support-triage",
        "agent_version": "2.1",
        "input_kind": "ticket",
        "channel": None,
        "surface": None,
        "room_id": "room-7",
        "started_at": "2025-10-10T02:15:30.000000Z",
        "ended_at": "2025-10-10T02:16:12.000000Z",
        "resolution": "resolved",
        "self_corrected": True,
        "tokens_input": 3421,
        "tokens_output": 1890,
        "cost_usd": "0.03420",
        "sla_target_seconds": 600,
        "confidence": None,
        "message_count": None,
        "message_cap": None,
        "handoff_expected": None,
        "human_touched": None,
        "metadata": {"shop_id": "hotrodan", "ticket_id": "T-9123"},
        "received_at": "2025-10-10T02:15:30.000000Z",
        "updated_at": "2025-10-10T02:15:30.000000Z",
        "duration_seconds": 42,
        "overdue_at": None,
        "sla_met": True,
        "detected": [],
        "alert_id": None,
        "reviews": [
            {
                "review_id": answer["reviews"][0]["review_id"],
                "reviewer": "Dewi",
                "quality_score": 4,
                "rubric": {"tone": 5},
                "notes": "Good.",
                "at": "2025-10-10T02:15:30.000000Z",
            }
        ],
        "flags": [],
    }


def test_a_run_names_the_alert_that_its_failure_came_to(system: None, org: Org, agent: Agent) -> None:
    scene = Scene(org)
    run = made_run(org, agent, clock.now() - timedelta(minutes=1), room="r1", resolution="failed")
    stranger = made_run(org, AgentFactory(org=org), clock.now() - timedelta(minutes=1), room="r2")
    scene.fails(room="r1", run_id=run.run_id)
    scene.fails(room="r2")
    found = {one["run_id"]: one["alert_id"] for one in results(signed_in(scene.people[0]), "/api/runs")}
    assert found == {str(run.run_id): str(scene.alert("r1").pk), str(stranger.run_id): None}


@pytest.mark.parametrize(
    ("target", "took", "overdue", "met"),
    [
        (None, 42, False, None),
        (42, 42, False, True),
        (41, 42, False, False),
        (41, None, False, None),
        (41, None, True, False),
    ],
)
def test_a_target_is_met_missed_or_undecided(
    org: Org, agent: Agent, client: Client, target: int | None, took: float | None, overdue: bool, met: bool | None
) -> None:
    made_run(org, agent, START, took=took, sla_target_seconds=target, overdue_at=START if overdue else None)
    assert results(client, "/api/runs")[0]["sla_met"] is met


FILTERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("version=2", {"agent_version": "2"}, {"agent_version": "1"}),
    ("channel=wa", {"channel": "wa"}, {"channel": "web"}),
    ("input_kind=faq", {"input_kind": "faq"}, {}),
    ("surface=runbook,chatwoot", {"surface": "runbook"}, {"surface": "chatbot"}),
    ("resolution=failed", {"resolution": "failed"}, {}),
    ("room_id=7", {"room": "7"}, {"room": "8"}),
    ("started_after=2025-10-10T02:15:30Z", {"started_at": START + timedelta(microseconds=1)}, {}),
    ("started_before=2025-10-10T02:15:30Z", {"started_at": START - timedelta(microseconds=1)}, {}),
    ("state=open", {"took": None}, {}),
    ("state=ended", {}, {"took": None}),
    ("state=overdue", {"took": None, "overdue_at": START}, {"took": None}),
    ("state=overdue,ended", {"took": None, "overdue_at": START}, {"took": None}),
]


@pytest.mark.parametrize(("query", "there", "not_there"), FILTERS, ids=[one[0] for one in FILTERS])
def test_runs_can_be_filtered(
    org: Org, agent: Agent, client: Client, query: str, there: dict[str, Any], not_there: dict[str, Any]
) -> None:
    found = made_run(org, agent, **{"started_at": START, **there})
    made_run(org, AgentFactory(org=org), **{"started_at": START, **not_there})
    assert [one["run_id"] for one in results(client, f"/api/runs?{query}")] == [str(found.run_id)]
    assert results(client, f"/api/runs?{query}&agent=support-triage")
    assert results(client, f"/api/runs?{query}&agent=Nobody") == []


def test_the_newest_of_several_orgs_come_first_page_by_page(org: Org, agent: Agent) -> None:
    other = AgentFactory(org=OrgFactory())
    made = [
        run_of(agent.org if n % 2 else other.org, agent if n % 2 else other, SourceFactory(org=org), START + shift)
        for n, shift in enumerate(timedelta(seconds=n // 3) for n in range(9))
    ]
    stored(made)
    newest = [str(run.run_id) for run in sorted(made, key=lambda run: (run.started_at, run.pk), reverse=True)]
    client, path, pages = signed_in(UserFactory(is_specialist=True)), "/api/runs?limit=2", []
    while path:
        answer = client.get(path).json()
        pages.append([one["run_id"] for one in answer["results"]])
        path, before = answer["next"], answer["previous"]
    assert [run_id for found in pages for run_id in found] == newest
    assert [one["run_id"] for one in results(client, before)] == pages[-2]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/runs?colour=red", "colour"),
        ("/api/runs?resolution=gone", "resolution"),
        ("/api/runs?surface=x", "surface"),
        ("/api/runs?state=x", "state"),
        ("/api/runs?started_after=2025-10-10", "started_after"),
        ("/api/runs?started_before=x", "started_before"),
        ("/api/runs?cursor=x", "cursor"),
        ("/api/runs?limit=0", "limit"),
        ("/api/runs?agent=a&agent=b", "agent"),
        ("/api/kpis?bucket=minute", "bucket"),
        ("/api/kpis?group_by=org", "group_by"),
        ("/api/kpis?from=2026-02-30", "from"),
        ("/api/kpis?from=2026-01-02&to=2026-01-01", "to"),
        ("/api/kpis?from=2026-01-01&to=2026-01-01", "to"),
        ("/api/kpis?from=2025-01-01&to=2026-02-06", "from"),
        ("/api/kpis?from=0001-01-01", "from"),
        ("/api/kpis?page=2", "page"),
        ("/api/agents/support-triage/versions?from=x", "from"),
        ("/api/agents/support-triage/versions?bucket=day", "bucket"),
        ("/api/runs/00000000-0000-0000-0000-000000000001?x=1", "x"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(agent: Agent, client: Client, path: str, field: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field


@pytest.mark.parametrize("path", ["/api/runs/x", "/api/runs/00000000-0000-0000-0000-000000000001"])
def test_a_run_that_is_not_there_is_404(agent: Agent, client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


ONE_ORG = ("/api/runs/{run}", "/api/agents/support-triage/versions")


@pytest.mark.parametrize("path", ONE_ORG)
def test_who_sees_several_orgs_must_name_one(org: Org, agent: Agent, path: str) -> None:
    run = made_run(org, agent, START)
    path = path.format(run=run.run_id)
    for client in (with_key(None, "read"), signed_in(supervisor_of(org, OrgFactory()))):
        refused = client.get(path)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "missing_field")
        assert client.get(f"{path}?org_id={org.external_id}").status_code == 200
    assert with_key(org, "read").get(path).status_code == 200


@pytest.mark.parametrize("path", [*ONE_ORG, "/api/runs", "/api/kpis"])
def test_a_foreign_org_is_the_same_404_as_an_unknown_one(org: Org, agent: Agent, path: str) -> None:
    run, foreign = made_run(org, agent, START), OrgFactory()
    path = path.format(run=run.run_id)
    client = with_key(org, "read")
    answers = [client.get(f"{path}?org_id={name}") for name in (foreign.external_id, "nobody")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


def test_a_run_of_another_org_is_as_unknown(org: Org, agent: Agent) -> None:
    run, client = made_run(org, agent, START), with_key(OrgFactory(), "read")
    assert client.get(f"/api/runs/{run.run_id}").content == client.get(f"/api/runs/{uuid4()}").content
    assert results(client, "/api/runs") == results(client, "/api/kpis?from=2025-10-01&to=2025-11-01") == []
    assert client.get("/api/agents/support-triage/versions").status_code == 404


@pytest.mark.parametrize("path", [*ONE_ORG, "/api/runs", "/api/kpis"])
def test_a_key_needs_the_scope_to_read_and_nothing_can_be_posted(org: Org, agent: Agent, path: str) -> None:
    path = path.format(run=made_run(org, agent, START).run_id)
    assert with_key(org, "ingest").get(path).status_code == 403
    assert Client().get(path).status_code == 401
    assert with_key(org, "act").post(path).status_code == 405


def test_more_runs_cost_no_query_more(org: Org, agent: Agent, client: Client) -> None:
    counts = []
    for _ in range(2):
        made_run(org, AgentFactory(org=org), START, room="r1")
        with CaptureQueriesContext(connection) as captured:
            client.get("/api/runs")
        counts.append(len(captured))
    assert counts[0] == counts[1]


# --- figures ---------------------------------------------------------------------------------------------------------

SEED_DAY = "/api/kpis?from=2025-10-10&to=2025-10-11"


def test_the_seeds_example_has_the_seeds_figures(org: Org, agent: Agent, client: Client) -> None:
    made_run(org, agent, START, **SEED)
    answer = client.get(SEED_DAY)
    (row,) = answer.json()["results"]
    assert row == {
        "org_id": org.external_id,
        "agent_name": "support-triage",
        "period_start": "2025-10-09T17:00:00.000000Z",
        "total_runs": 1,
        "ended_runs": 1,
        "avg_resolution_seconds": 42,
        "p50_resolution_seconds": pytest.approx(42, rel=0.05),
        "p95_resolution_seconds": pytest.approx(42, rel=0.05),
        "self_correction_rate": 100,
        "escalation_pct": 0,
        "failure_pct": 0,
        "sla_hit_rate": 100,
        "avg_cost_usd": 0.0342,
        "cost_per_resolved_usd": 0.0342,
        "deflection_rate": None,
        "human_touched_unknown_pct": 100,
        "avg_quality": None,
        "reviewed_runs": 0,
        "containment_rate": None,
        "resolution_rate": None,
        "abandoned_pct": None,
        "durable_resolution_7d": None,
        "quality_estimate": None,
        "quality_low": None,
        "quality_high": None,
        "blind_minutes": 0,
        "maturing": False,
    }


@pytest.mark.parametrize(
    ("query", "key", "value"),
    [
        ("group_by=version", "agent_version", None),
        ("group_by=channel", "channel", "whatsapp"),
        ("group_by=input_kind", "input_kind", "ticket"),
        ("bucket=hour", "period_start", "2025-10-10T02:00:00.000000Z"),
        ("bucket=day", "period_start", "2025-10-09T17:00:00.000000Z"),
        ("bucket=week", "period_start", "2025-10-05T17:00:00.000000Z"),
        ("bucket=month", "period_start", "2025-09-30T17:00:00.000000Z"),
    ],
)
def test_figures_by_group_and_bucket(
    org: Org, agent: Agent, client: Client, query: str, key: str, value: str | None
) -> None:
    made_run(org, agent, START, channel="whatsapp")
    (row,) = results(client, f"{SEED_DAY}&{query}")
    assert row[key] == value
    names = {"agent_name", "agent_version", "channel", "input_kind"}
    assert len(names & set(row)) == 1


def test_blind_minutes_are_those_of_the_bucket_and_the_org(org: Org, agent: Agent, client: Client) -> None:
    for hour in (1, 2, 3):
        made_run(org, AgentFactory(org=org) if hour > 1 else agent, START.replace(hour=hour))
    first, last = START.replace(hour=1, minute=50, second=0), START.replace(hour=2, minute=5, second=30)
    BlindInterval.objects.create(cause="down", starts=first, ends=last)
    other = SourceFactory(org=OrgFactory())
    BlindInterval.objects.create(
        cause="source_silent", org=other.org, source=other, starts=first, ends=START.replace(hour=9)
    )
    found = [
        {row["period_start"][11:13]: row["blind_minutes"] for row in results(client, f"{SEED_DAY}&bucket={bucket}")}
        for bucket in ("hour", "day", "total")
    ]
    assert found == [{"01": 10, "02": 5.5, "03": 0}, {"17": 15.5}, {"17": 15.5}]
    part = "/api/kpis?from=2025-10-10T01:00:00Z&to=2025-10-10T01:55:00Z"
    assert [row["blind_minutes"] for row in results(client, part)] == [5]


WHEN = ("2025-10-10T02:10:00Z&to=2025-10-10T02:20:00Z", "2025-10-10T02:00:00Z&to=2025-10-10T03:00:00Z")


@pytest.mark.parametrize("bucket", ["hour", "day", "week", "total"])
@pytest.mark.parametrize("window", ["2025-10-10&to=2025-10-11", *WHEN])
def test_sessions_stand_beside_the_runs(org: Org, agent: Agent, client: Client, bucket: str, window: str) -> None:
    made_run(org, agent, START, room="r1")
    made_run(org, AgentFactory(org=org), START, room="r2", resolution="escalated")
    with scopes_disabled():
        sweep_sessions(clock.now())
    rows = results(client, f"/api/kpis?from={window}&bucket={bucket}")
    shares = {row["agent_name"]: (row["containment_rate"], row["durable_resolution_7d"]) for row in rows}
    assert shares.pop("support-triage") == (100, 100)
    assert list(shares.values()) == [(0, None)]


def test_orgs_of_different_zones_stand_side_by_side(agent: Agent) -> None:
    other = AgentFactory(org=OrgFactory(external_id="a-org", zone="America/New_York"), name="support-triage")
    for one in (agent, other):
        made_run(one.org, one, START)
    client = signed_in(UserFactory(is_specialist=True))
    rows = results(client, "/api/kpis?from=2025-10-09&to=2025-10-10&bucket=day")
    assert [(row["org_id"], row["period_start"]) for row in rows] == [("a-org", "2025-10-09T04:00:00.000000Z")]
    both = results(client, "/api/kpis?from=2025-10-09&to=2025-10-11&bucket=day")
    assert [row["org_id"] for row in both] == ["a-org", agent.org.external_id]


def test_the_last_seven_days_until_now_are_the_default(org: Org, agent: Agent, client: Client) -> None:
    now = clock.now()
    for days in (6.9, 7.1):
        made_run(org, agent, now - timedelta(days=days))
        agent = AgentFactory(org=org)
    (row,) = results(client, "/api/kpis")
    assert row["agent_name"] == "support-triage"
    assert row["maturing"] is True


def test_400_days_can_be_asked_for(client: Client) -> None:
    assert results(client, "/api/kpis?from=2025-01-01&to=2026-02-05") == []


# --- versions --------------------------------------------------------------------------------------------------------


def test_versions_are_answered_crude_and_adjusted(org: Org, agent: Agent, client: Client) -> None:
    source = SourceFactory(org=org)
    shares = {("1", "web"): 20, ("1", "wa"): 5, ("2", "web"): 5, ("2", "wa"): 20, ("2", "line"): 4}
    took = {"web": 10.0, "wa": 100.0, "line": 5.0}
    with scopes_disabled():
        stored(
            run_of(org, agent, source, START, took[channel], agent_version=version, channel=channel)
            for (version, channel), n in shares.items()
            for _ in range(n)
        )
    answer = client.get("/api/agents/support-triage/versions?from=2025-10-10&to=2025-10-11").json()
    first, second = answer["results"]
    assert (first["crude"]["avg_resolution_seconds"], second["crude"]["avg_resolution_seconds"]) == (28, 71.37931)
    assert first["adjusted"]["avg_resolution_seconds"] == second["adjusted"]["avg_resolution_seconds"] == 55
    (left_out,) = [one for one in answer["left_out"] if "avg_resolution_seconds" in one["figures"]]
    assert (left_out["channel"], left_out["from_hour"], left_out["to_hour"]) == ("line", 6, 12)
    assert left_out["runs"] == [{"agent_version": "1", "runs": 0}, {"agent_version": "2", "runs": 4}]
