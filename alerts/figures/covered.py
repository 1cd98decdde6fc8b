"""Which production agents have a supervisor whom a push reaches, now: the same answer as on the page of reach."""

from collections.abc import Sequence

from alerts.reach import AgentReach, production_agents, reach_of
from orgs.models import Org


def coverage(orgs: Sequence[Org]) -> list[AgentReach]:
    """The production agents of these orgs, by org and name; four queries, inside a scope."""
    return reach_of(production_agents().filter(org__in=orgs).order_by("org__name", "name"), rooms=False)
