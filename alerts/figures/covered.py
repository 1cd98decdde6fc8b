"""Which production agents have a supervisor whom a push reaches: the same answer as on the page of reach."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from alerts.figures.shared import SharedFigures
from alerts.reach import AgentReach, Coverage, coverage_now, production_agents, reach_of
from orgs.history import newest_changes
from orgs.models import Agent, Assignment, Org, RoleAgent, SupervisorRole, User


def _newest() -> str:
    changes = newest_changes(Agent, Assignment, RoleAgent, SupervisorRole, User)
    return f"{changes}, (SELECT max(push_tokens_at) FROM orgs_user)"  # noqa: S608


shared_coverage: SharedFigures[Mapping[int, Coverage]] = SharedFigures(_newest)


def coverage(orgs: Sequence[Org]) -> list[AgentReach]:
    """The production agents of these orgs now, by org and name; five queries, inside a scope."""
    return reach_of(production_agents().filter(org__in=orgs).order_by("org__name", "name"), rooms=False)


def coverage_lately(orgs: Sequence[Org], now: datetime) -> Mapping[int, Coverage]:
    """`coverage_now` of these orgs, as all who see them share it: what came back of a push shows a minute later."""
    key = tuple(org.pk for org in orgs)
    return shared_coverage.get(key, now, lambda: coverage_now(production_agents().filter(org__in=orgs)))
