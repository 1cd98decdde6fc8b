"""GET /api/success: the shape of the contract, whose figures, which period, what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from alerts import figures
from orgs.models import Org
from tests.api_client import signed_in, supervisor_of, with_key
from tests.factories import OrgFactory, UserFactory
from tests.scene import Scene

NAMES = [
    "time_to_intervene_median_seconds",
    "time_to_intervene_p75_seconds",
    "reached_1min_pct",
    "reached_5min_pct",
    "reached_15min_pct",
    "follow_up_15min_pct",
    "unresolved_pct",
    "coverage_pct",
    "muted_pct",
    "lost_to_window_pct",
    "false_alarm_pct",
    "with_confidence_pct",
]


@pytest.fixture
def scene(system: None, org: Org) -> Scene:
    """One failure, and a human 4 min later."""
    made = Scene(org)
    made.fails(ago=300)
    made.happens("human_message", ago=60)
    return made


def results(answer: Any, org_id: str | None) -> dict[str, dict[str, Any]]:
    return {one["metric"]: one for one in answer.json()["results"] if one["org_id"] == org_id}


def test_every_figure_of_all_orgs_together_and_of_each(scene: Scene) -> None:
    answer = signed_in(scene.people[0]).get("/api/success")
    assert answer.status_code == 200
    assert set(answer.json()) == {"as_of", "results"}
    for org_id in (None, scene.org.external_id):
        found = results(answer, org_id)
        assert list(found) == NAMES
        assert found["time_to_intervene_median_seconds"] == {
            "org_id": org_id,
            "metric": "time_to_intervene_median_seconds",
            "value": pytest.approx(240, abs=1),
            "n": 1,
            "low": None,
            "high": None,
            "target": 300,
            "baseline": pytest.approx(240, abs=1),
            "not_reached": False,
        }
        assert [found[name]["target"] for name in NAMES] == [300, *[None] * 4, 70, None, 100, *[None] * 4]
        assert [found[f"reached_{minutes}min_pct"]["value"] for minutes in (1, 5, 15)] == [0, 100, 100]
        assert found["with_confidence_pct"]["value"] == 0
        assert found["follow_up_15min_pct"]["value"] is None


def test_what_too_few_got_has_no_value_and_says_so(scene: Scene) -> None:
    for room in ("a", "b", "c"):
        scene.fails(ago=500, room=room)
    found = results(signed_in(scene.people[0]).get("/api/success"), None)
    for name in ("time_to_intervene_median_seconds", "time_to_intervene_p75_seconds"):
        assert [found[name][key] for key in ("value", "n", "high", "not_reached")] == [None, 4, None, True]
    assert (found["reached_5min_pct"]["value"], found["reached_5min_pct"]["not_reached"]) == (25, False)


def test_a_caller_sees_the_figures_of_their_orgs_only(scene: Scene) -> None:
    other = Scene(OrgFactory())
    other.fails("low_confidence")
    everybody = {None, scene.org.external_id, other.org.external_id}
    for client, orgs in (
        (signed_in(other.people[0]), {None, other.org.external_id}),
        (with_key(scene.org, "read"), {None, scene.org.external_id}),
        (with_key(None, "read"), everybody),
        (signed_in(UserFactory(is_specialist=True)), everybody),
    ):
        assert {one["org_id"] for one in client.get("/api/success").json()["results"]} == orgs
    assert results(signed_in(other.people[0]).get("/api/success"), None)["with_confidence_pct"]["n"] == 1
    assert results(with_key(None, "read").get("/api/success"), None)["with_confidence_pct"]["n"] == 2


def test_one_org_alone_a_foreign_one_is_the_same_404(scene: Scene) -> None:
    client = signed_in(scene.people[0])
    found = client.get(f"/api/success?org_id={scene.org.external_id}").json()["results"]
    assert [(one["org_id"], one["metric"]) for one in found] == [(scene.org.external_id, name) for name in NAMES]
    foreign, unknown = (client.get(f"/api/success?org_id={name}") for name in (OrgFactory().external_id, "nowhere"))
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


def test_from_and_to_are_days_of_the_org_or_instants(scene: Scene) -> None:
    client, now = signed_in(scene.people[0]), datetime.now(UTC)
    tomorrow, yesterday = ((now + timedelta(days=days)).date().isoformat() for days in (2, -2))

    def n(query: dict[str, str]) -> int:
        return results(client.get("/api/success", query), None)["with_confidence_pct"]["n"]

    assert n({"from": yesterday, "to": tomorrow}) == 1
    assert n({"from": yesterday}) == 1
    assert n({"to": yesterday}) == 0
    assert n({"from": (now - timedelta(minutes=6)).isoformat()}) == 1
    assert n({"from": (now - timedelta(minutes=4)).isoformat(), "to": tomorrow}) == 0


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("from=yesterday", "invalid_parameter", "from"),
        ("from=2026-02-30", "invalid_parameter", "from"),
        ("to=2026-01-01T00:00:00", "invalid_parameter", "to"),
        ("from=2026-01-02&to=2026-01-02", "invalid_parameter", "to"),
        ("from=2020-01-01&to=2026-01-01", "invalid_parameter", "from"),
        ("from=0001-01-01", "invalid_parameter", "from"),
        ("to=9999-12-31T23:59:59Z", "invalid_parameter", "to"),
        ("from=2026-01-01&from=2026-01-02", "invalid_parameter", "from"),
        ("org=x", "unknown_parameter", "org"),
    ],
)
def test_what_cannot_be_is_refused_by_name(org: Org, query: str, code: str, field: str) -> None:
    answer = signed_in(supervisor_of(org)).get(f"/api/success?{query}")
    assert answer.status_code == 422
    assert (answer.json()["error"]["code"], answer.json()["error"]["field"]) == (code, field)


def test_who_may_read_it(org: Org, client: Client) -> None:
    assert client.get("/api/success").status_code == 401
    assert with_key(org, "ingest").get("/api/success").status_code == 403
    assert signed_in(supervisor_of(org)).post("/api/success").status_code == 405


def test_somebody_without_an_org_gets_no_data(db: None) -> None:
    found = signed_in(UserFactory()).get("/api/success").json()["results"]
    assert [(one["value"], one["n"]) for one in found] == [(None, 0)] * len(figures.METRICS)


def test_more_orgs_cost_no_query_more(scene: Scene, django_assert_max_num_queries: Any) -> None:
    client = signed_in(UserFactory(is_specialist=True))
    client.get("/api/success")
    with django_assert_max_num_queries(25) as few:
        client.get("/api/success")
    for _ in range(4):
        Scene(OrgFactory()).fails()
    with django_assert_max_num_queries(len(few.captured_queries)):
        assert len(client.get("/api/success").json()["results"]) == 6 * len(NAMES)
