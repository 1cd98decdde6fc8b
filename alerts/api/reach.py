"""Who can be reached, agent by agent, before anything happens."""

from collections.abc import Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from alerts.reach import AgentReach, Supervisor, production_agents, reach_of
from orgs.api import ScopedAPIView, rfc3339
from orgs.incoming import Query
from orgs.models import Agent
from orgs.paging import PARAMETERS, Order, page


class ReachView(ScopedAPIView):
    """GET /api/reach: every production agent of the orgs this caller may see, with its supervisors."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", *PARAMETERS))
        rows = production_agents()
        if org_id := query.text("org_id"):
            rows = rows.filter(org=self.org_asked(org_id))
        order = Order((("org__external_id", str), ("name", str)))
        return Response(page(request, query, rows, order, _agents))


def _agents(agents: Sequence[Agent]) -> list[dict[str, Any]]:
    return [_agent(one) for one in reach_of(agents)]


def _agent(one: AgentReach) -> dict[str, Any]:
    return {
        "org_id": one.agent.org.external_id,
        "agent_name": one.agent.name,
        "reachable": bool(one.reachable),
        "supervisors": [_supervisor(supervisor) for supervisor in one.supervisors],
    }


def _supervisor(one: Supervisor) -> dict[str, Any]:
    return {
        "sso_id": one.user.sso_id,
        "name": str(one.user),
        "tier": one.tier,
        "tokens": one.user.push_tokens,
        "tokens_at": rfc3339(one.user.push_tokens_at),
        "last_delivered_at": rfc3339(one.delivered_at),
        "last_opened_at": rfc3339(one.opened_at),
        "last_entered_at": rfc3339(one.entered_at),
        "reachable": one.reachable,
        "reason": one.reason or None,
    }
