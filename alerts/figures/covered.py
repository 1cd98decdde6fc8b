"""Which production agents have a supervisor whom a push would reach, now."""

from collections.abc import Sequence
from dataclasses import dataclass

from orgs.models import Agent, Org, User
from orgs.routing import reachable, recipients


@dataclass(frozen=True)
class Covered:
    """An agent in production, the people who would be told of its failure, and those of them a push reaches."""

    agent: Agent
    told: list[User]
    reached: list[User]

    @property
    def outcome(self) -> str:
        return "reachable" if self.reached else "unreachable"


def coverage(orgs: Sequence[Org]) -> list[Covered]:
    """The production agents of these orgs, by org and name; three queries, inside a scope."""
    agents = Agent.objects.filter(production=True, org__in=orgs).select_related("org").order_by("org__name", "name")
    told = recipients({(agent.org_id, agent.pk) for agent in agents})
    people = User.objects.in_bulk({one.user_id for found in told.values() for one in found})
    found = []
    for agent in agents:
        of_agent = [people[one.user_id] for one in told[agent.org_id, agent.pk]]
        found.append(Covered(agent, of_agent, [person for person in of_agent if reachable(person)]))
    return found
