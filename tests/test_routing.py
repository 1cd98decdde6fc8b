"""Whom to tell: the lowest tier that has anybody, roles that back up only some agents, nobody inactive."""

import pytest
from django_scopes import scope
from django_scopes.exceptions import ScopeError

from orgs.models import Agent, Org
from orgs.routing import Recipient, recipients
from tests.factories import AgentFactory, AssignmentFactory, OrgFactory, SupervisorRoleFactory, UserFactory


def told(agent: Agent) -> list[str]:
    with scope(org=agent.org_id):
        return [person.name for person in recipients([(agent.org_id, agent.pk)])[agent.org_id, agent.pk]]


@pytest.fixture
def agent(org: Org) -> Agent:
    return AgentFactory(org=org)


def assign(org: Org, name: str, tier: int = 1, *agents: Agent, active: bool = True) -> None:
    role = SupervisorRoleFactory(org=org, tier=tier)
    with scope(org=org.pk):
        role.agents.set(agents)
    AssignmentFactory(org=org, role=role, user=UserFactory(name=name, is_active=active))


def test_tier_1_is_told_and_tier_2_is_not(org: Org, agent: Agent) -> None:
    assign(org, "Rina", 1)
    assign(org, "Bayu", 2)
    assert told(agent) == ["Rina"]


def test_the_next_tier_stands_in_where_the_first_has_nobody_active(org: Org, agent: Agent) -> None:
    assign(org, "Rina", 1, active=False)
    assign(org, "Bayu", 2)
    assert told(agent) == ["Bayu"]


def test_everybody_of_the_tier_is_told_by_name(org: Org, agent: Agent) -> None:
    assign(org, "Sinta")
    assign(org, "Bayu")
    assert told(agent) == ["Bayu", "Sinta"]


def test_a_role_with_a_list_backs_up_only_these_agents(org: Org, agent: Agent) -> None:
    other = AgentFactory(org=org)
    assign(org, "Rina", 1, other)
    assign(org, "Bayu", 2)
    assert told(agent) == ["Bayu"]
    assert told(other) == ["Rina"]


def test_somebody_with_two_roles_is_told_once_at_the_lower_tier(org: Org, agent: Agent) -> None:
    person = UserFactory(name="Rina", sso_id="rina", locale="id")
    for tier in (2, 1):
        AssignmentFactory(org=org, role=SupervisorRoleFactory(org=org, tier=tier), user=person)
    with scope(org=org.pk):
        found = recipients([(org.pk, agent.pk)])
    assert found == {(org.pk, agent.pk): [Recipient(person.pk, "rina", "Rina", "id", 1)]}


def test_an_agent_nobody_backs_up_is_unroutable(org: Org, agent: Agent) -> None:
    assign(org, "Rina", 1, AgentFactory(org=org))
    assign(org, "Bayu", 1, active=False)
    assert told(agent) == []


def test_another_orgs_people_are_never_told(agent: Agent) -> None:
    assign(OrgFactory(), "Stranger")
    assert told(agent) == []


def test_many_agents_of_many_orgs_cost_one_query(org: Org, agent: Agent, django_assert_num_queries: object) -> None:
    other = AgentFactory()
    assign(org, "Rina")
    assign(other.org, "Bayu")
    with scope(org=[org.pk, other.org_id]), django_assert_num_queries(1):  # type: ignore[operator]
        found = recipients([(org.pk, agent.pk), (other.org_id, other.pk)])
    assert [[person.name for person in people] for people in found.values()] in (
        [["Rina"], ["Bayu"]],
        [["Bayu"], ["Rina"]],
    )


def test_without_a_scope_it_refuses(agent: Agent) -> None:
    with pytest.raises(ScopeError):
        recipients([(agent.org_id, agent.pk)])
