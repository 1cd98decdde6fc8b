"""Who can be reached, agent by agent, before anything happens."""

from collections.abc import Sequence
from typing import Annotated, Any, get_args

from rest_framework.request import Request
from rest_framework.response import Response

from alerts.reach import ReachReason, Supervisor, production_agents, reach_of
from orgs.api import AGENTS_BY_NAME, ScopedAPIView, Tokens
from orgs.incoming import Query
from orgs.models import Agent
from orgs.paging import PARAMETERS, page
from orgs.shapes import Shape, UtcTime, Whole, about, one_of


class SupervisorReachPart(Shape):
    """Somebody who backs it up; deliveries are those of this org, rooms those of this agent."""

    sso_id: str
    name: str
    tier: Whole
    tokens: Tokens
    tokens_at: UtcTime | None
    last_delivered_at: UtcTime | None
    last_opened_at: UtcTime | None
    last_entered_at: UtcTime | None
    reachable: Annotated[bool, about("Proven: a push came to the phone, none failed since.")]
    reason: Annotated[
        Annotated[str, one_of(filter(None, get_args(ReachReason)))] | None,
        about("Why not; `never_delivered`: there is a phone, and no proof yet."),
    ]


class AgentReachShape(Shape):
    """A production agent and everybody who backs it up, tier 1 first."""

    org_id: str
    agent_name: str
    reachable: Annotated[bool, about("Somebody is.")]
    supervisors: list[SupervisorReachPart]


class ReachView(ScopedAPIView):
    """GET /api/reach: every production agent of the orgs this caller may see, with its supervisors."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", *PARAMETERS))
        rows = self.of_org_asked(query, production_agents())
        return page(request, query, rows, AGENTS_BY_NAME, _agents)


def _agents(agents: Sequence[Agent]) -> list[Any]:
    return [
        AgentReachShape(
            one.agent.org.external_id, one.agent.name, bool(one.reachable), list(map(_backs_up, one.supervisors))
        )
        for one in reach_of(agents)
    ]


def _backs_up(one: Supervisor) -> SupervisorReachPart:
    user, times = one.user, (one.delivered_at, one.opened_at, one.entered_at)
    phones = (user.push_tokens, user.push_tokens_at)
    return SupervisorReachPart(user.sso_id, str(user), one.tier, *phones, *times, one.reachable, one.reason or None)
