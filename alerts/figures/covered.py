"""Which production agents have a supervisor whom a push reaches, now: the same answer as on the page of reach."""

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.reach import production_agents, reach_of
from orgs.models import Agent, Org, User


@dataclass(frozen=True)
class Covered:
    """An agent in production, the people who back it up, and those of them a push reaches."""

    agent: Agent
    told: list[User]
    reached: list[User]

    @property
    def outcome(self) -> str:
        return "reachable" if self.reached else "unreachable"


def coverage(orgs: Sequence[Org]) -> list[Covered]:
    """The production agents of these orgs, by org and name; four queries, inside a scope."""
    agents = production_agents().filter(org__in=orgs).order_by("org__name", "name")
    return [
        Covered(
            one.agent,
            [supervisor.user for supervisor in one.supervisors],
            [supervisor.user for supervisor in one.supervisors if supervisor.reachable],
        )
        for one in reach_of(agents, rooms=False)
    ]
