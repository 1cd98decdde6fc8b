"""Reach: who can be reached and why not, what covers an agent, and the same in the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django_scopes import scope, scopes_disabled

from alerts import reach
from alerts.figures import coverage_lately
from alerts.models import Transition
from alerts.reach import ReachFacts, judge_reach
from orgs.models import Agent, Org, User
from tests.api_client import signed_in, supervisor_of, with_key
from tests.factories import (
    AgentFactory,
    AlertFactory,
    AssignmentFactory,
    OrgFactory,
    PushFactory,
    SupervisorRoleFactory,
    UserFactory,
)

NOW = datetime(2026, 11, 16, 2, 14, tzinfo=UTC)
EARLIER, BEFORE = NOW - timedelta(hours=1), NOW - timedelta(days=1)


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (ReachFacts(tokens=1, tokens_at=NOW, delivered_at=EARLIER), ("reachable", "")),
        (ReachFacts(tokens=None, delivered_at=EARLIER), ("reachable", "")),
        (ReachFacts(tokens=1, tokens_at=NOW), ("unproven", "never_delivered")),
        (ReachFacts(), ("unreachable", "never_asked")),
        (ReachFacts(tokens=0, tokens_at=NOW, delivered_at=EARLIER), ("unreachable", "no_phone")),
        (ReachFacts(tokens=1, tokens_at=BEFORE, no_token_at=EARLIER), ("unreachable", "no_phone")),
        (ReachFacts(tokens=1, tokens_at=NOW, no_token_at=EARLIER), ("unproven", "never_delivered")),
        (ReachFacts(tokens=1, tokens_at=NOW, delivered_at=BEFORE, refused_at=EARLIER), ("unreachable", "refused")),
        (ReachFacts(tokens=1, tokens_at=NOW, delivered_at=EARLIER, refused_at=BEFORE), ("reachable", "")),
        (ReachFacts(tokens=1, tokens_at=NOW, refused_at=BEFORE), ("unreachable", "refused")),
        (ReachFacts(active=False, tokens=1, delivered_at=EARLIER), ("unreachable", "inactive")),
        (ReachFacts(standin=True, tokens=1, delivered_at=EARLIER), ("unreachable", "standin")),
    ],
)
def test_the_newest_fact_decides(facts: ReachFacts, verdict: tuple[str, str]) -> None:
    assert judge_reach(facts) == verdict


def person(org: Org, tier: int = 1, tokens: int | None = 1, **delivery: Any) -> User:
    """Somebody who backs up all agents of the org; `delivery`: fields of a push to them."""
    role = SupervisorRoleFactory(org=org, tier=tier)
    user = AssignmentFactory(org=org, role=role, user__push_tokens=tokens, user__push_tokens_at=BEFORE).user
    if delivery:
        push_to(user, org, **delivery)
    return user


def push_to(user: User, org: Org, **fields: Any) -> None:
    PushFactory(
        alert=None, org=org, assignment=None, supervisor=user, **{"state": "sent", "sent_at": EARLIER, **fields}
    )


def found(*orgs: Org) -> list[reach.AgentReach]:
    with scope(org=[org.pk for org in orgs]):
        return reach.reach_of(reach.production_agents().order_by("org_id", "name"))


def people(one: reach.AgentReach) -> list[tuple[str, int, str]]:
    return [(supervisor.user.name, supervisor.tier, supervisor.reason) for supervisor in one.supervisors]


def test_every_tier_is_shown_the_first_first_and_nobody_twice(org: Org) -> None:
    AgentFactory(org=org)
    second, first = person(org, 2, 0), person(org, 1, delivered_at=EARLIER)
    AssignmentFactory(org=org, role=SupervisorRoleFactory(org=org, tier=3), user=first)
    (one,) = found(org)
    assert people(one) == [(first.name, 1, ""), (second.name, 2, "no_phone")]
    assert (one.reachable, one.unproven) == (1, False)


def test_a_role_with_a_list_backs_up_only_these(org: Org) -> None:
    listed, other = AgentFactory(org=org, name="A"), AgentFactory(org=org, name="B")
    role = SupervisorRoleFactory(org=org)
    with scope(org=org.pk):
        role.agents.set([listed])
    AssignmentFactory(org=org, role=role)
    assert [len(one.supervisors) for one in found(org)] == [1, 0]
    assert other.name == "B"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"failed_at": EARLIER, "failed_reason": "unregistered"}, "refused"),
        ({"state": "dead", "ended_reason": "refused", "ended_at": EARLIER, "sent_at": None}, "refused"),
        ({"state": "dead", "ended_reason": "gave_up", "ended_at": EARLIER, "sent_at": None}, "never_delivered"),
        ({"push": "no_token"}, "no_phone"),
        ({"push": "queued"}, "never_delivered"),
    ],
)
def test_what_became_of_a_push_tells_about_the_phone(org: Org, fields: dict[str, Any], reason: str) -> None:
    AgentFactory(org=org)
    person(org, **fields)
    assert found(org)[0].supervisors[0].reason == reason


def test_a_delivery_in_another_org_proves_nothing_here(org: Org) -> None:
    other = OrgFactory()
    for one in (org, other):
        AgentFactory(org=one)
    user = person(org)
    AssignmentFactory(org=other, user=user)
    push_to(user, other, delivered_at=EARLIER)
    assert [one.supervisors[0].state for one in found(org, other)] == ["unproven", "reachable"]


def test_coverage_counts_what_is_proven_and_says_what_is_missing(org: Org) -> None:
    proven, hoped, lonely = OrgFactory(), OrgFactory(), org
    for one in (proven, hoped, lonely):
        AgentFactory(org=one)
    AgentFactory(org=lonely, production=False)
    person(proven, delivered_at=EARLIER)
    person(hoped)
    person(lonely, tokens=0)
    everything = reach.coverage_of(found(proven, hoped, lonely))
    assert (everything.covered, everything.unproven, everything.nobody) == (1, 1, 1)
    assert (everything.total, everything.missing, everything.percent) == (3, 2, 33)
    assert [reach.coverage_of(found(one)).percent for one in (proven, hoped)] == [100, 0]
    assert reach.coverage_of([]).percent is None


def entered(user: User, agent: Agent, at: datetime, change: str = "opened_room") -> None:
    alert = AlertFactory(org=agent.org, agent=agent)
    with scopes_disabled():
        Transition.objects.create(org=agent.org, alert=alert, at=at, change=change, actor=user)


def test_the_last_room_is_one_of_this_agent(org: Org) -> None:
    first, second = AgentFactory(org=org, name="A"), AgentFactory(org=org, name="B")
    user = person(org)
    entered(user, first, BEFORE)
    entered(user, first, EARLIER, "intervened")
    entered(user, first, NOW, "acknowledged")
    assert [one.supervisors[0].entered_at for one in found(org)] == [EARLIER, None]
    assert second.name == "B"


def test_any_number_of_agents_and_people_costs_five_queries(org: Org, django_assert_num_queries: Any) -> None:
    for n in range(12):
        AgentFactory(org=org, name=f"agent {n}")
        person(org, delivered_at=EARLIER)
    with scope(org=org.pk):
        agents = list(reach.production_agents())
        with django_assert_num_queries(5):  # assignments, people, the agents their roles list, pushes, rooms
            reach.reach_of(agents)


def test_the_menu_hears_of_people_at_once_and_of_a_receipt_within_a_minute(org: Org) -> None:
    AgentFactory(org=org)
    user = person(org)

    def covered(after: int) -> int:
        return coverage_lately([org], NOW + timedelta(seconds=after))[org.pk].covered

    with scope(org=org.pk):
        assert covered(0) == 0
        push_to(user, org, delivered_at=EARLIER)
        assert covered(59) == 0
        assert covered(60) == 1
        User.objects.filter(pk=user.pk).update(is_active=False)
        assert covered(61) == 0
        User.objects.filter(pk=user.pk).update(is_active=True)
        assert covered(62) == 1
        User.objects.filter(pk=user.pk).update(push_tokens=0, push_tokens_at=NOW)
        assert covered(63) == 0


# --- the API ---------------------------------------------------------------------------------------------------------


def test_the_api_says_who_is_reached_and_why_not(org: Org) -> None:
    agent = AgentFactory(org=org, name="Billing Bot")
    AgentFactory(org=org, name="Trial", production=False)
    rina = person(org, delivered_at=EARLIER, opened_at=NOW)
    yoga = person(org, 2, 0)
    entered(rina, agent, NOW)
    (one,) = with_key(org, "read").get("/api/reach").json()["results"]
    assert (one["org_id"], one["agent_name"], one["reachable"]) == (org.external_id, "Billing Bot", True)
    assert one["supervisors"][0] == {
        "sso_id": rina.sso_id,
        "name": rina.name,
        "tier": 1,
        "tokens": 1,
        "tokens_at": "2026-11-15T02:14:00.000000Z",
        "last_delivered_at": "2026-11-16T01:14:00.000000Z",
        "last_opened_at": "2026-11-16T02:14:00.000000Z",
        "last_entered_at": "2026-11-16T02:14:00.000000Z",
        "reachable": True,
        "reason": None,
    }
    second = one["supervisors"][1]
    assert (second["sso_id"], second["reachable"], second["reason"]) == (yoga.sso_id, False, "no_phone")


def test_the_api_shows_ones_own_orgs_page_by_page(org: Org) -> None:
    foreign = AgentFactory()
    for name in ("A", "B"):
        AgentFactory(org=org, name=name)
    client = signed_in(supervisor_of(org))
    first = client.get("/api/reach?limit=1").json()
    second = client.get(first["next"]).json()
    assert [one["agent_name"] for one in first["results"] + second["results"]] == ["A", "B"]
    assert client.get(f"/api/reach?org_id={foreign.org.external_id}").status_code == 404
    assert client.get("/api/reach?surprise=1").status_code == 422
    assert client.post("/api/reach").status_code == 405
    everything = signed_in(UserFactory(is_specialist=True)).get("/api/reach").json()["results"]
    assert len(everything) == 3
