"""What every view of the API shares, its caller's scope; and orgs, agents and supervisors."""

from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orgs.auth import NO_ORG, OrgIds, caller_orgs, of_orgs, within
from orgs.incoming import Query
from orgs.models import Agent, Assignment, Org, User
from orgs.paging import PARAMETERS, Order, page


class ScopedAPIView(APIView):
    """A view of the API that runs, and renders, inside its caller's scope, `self.org_ids`.

    It speaks English to everybody: its readers are programs.
    """

    metadata_class = None  # OPTIONS is no method of ours
    org_ids: OrgIds = NO_ORG

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # left on every path out, also when the view crashes: a scope that outlives its request is somebody else's
        with ExitStack() as self.entered, translation.override("en"):
            response = super().dispatch(request, *args, **kwargs)
            return response.render() if isinstance(response, Response) else response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.org_ids = caller_orgs(request.user)
        self.entered.enter_context(within(self.org_ids))

    def org_asked(self, external_id: str) -> Org:
        """The org of this external id. Raises NotFound: the same for an unknown and for another's org."""
        org = Org.objects.filter(external_id=external_id).first()
        if org is None or org.pk not in self.org_ids:
            raise NotFound
        return org


class NothingHere(APIView):
    """Every path that is none: the 404 of the API, to whoever asks."""

    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        with translation.override("en"):
            raise NotFound


def rfc3339(at: datetime | None) -> str | None:
    """A time as every answer of the API writes it: UTC, microseconds, Z."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z") if at else None


class Orgs(ScopedAPIView):
    """GET /api/orgs: the orgs this caller may see."""

    def get(self, request: Request) -> Response:
        query = Query(request, PARAMETERS)
        rows = of_orgs(Org.objects.all(), self.org_ids, "pk")
        return Response(page(request, query, rows, Order((("external_id", str),)), _orgs))


def _orgs(orgs: list[Org]) -> list[dict[str, Any]]:
    return [{"org_id": org.external_id, "name": org.name, "zone": org.zone, "locale": org.locale} for org in orgs]


class Agents(ScopedAPIView):
    """GET /api/agents: the AI agents of the orgs this caller may see, or of one of them."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", *PARAMETERS))
        rows = Agent.objects.select_related("org")
        if org_id := query.text("org_id"):
            rows = rows.filter(org=self.org_asked(org_id))
        order = Order((("org__external_id", str), ("name", str)))
        return Response(page(request, query, rows, order, _agents))


def _agents(agents: list[Agent]) -> list[dict[str, Any]]:
    return [
        {
            "org_id": agent.org.external_id,
            "agent_name": agent.name,
            "agent_version": agent.version or None,
            "production": agent.production,
            "confirmed": agent.confirmed,
        }
        for agent in agents
    ]


class Supervisors(ScopedAPIView):
    """GET /api/supervisors: the people with an assignment in the orgs this caller may see, or in one of them."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", *PARAMETERS))
        assigned = Assignment.objects.all()
        if org_id := query.text("org_id"):
            assigned = assigned.filter(org=self.org_asked(org_id))
        people = User.objects.filter(is_active=True, pk__in=assigned.values("user"))
        order = Order((("sso_id", str),))
        return Response(page(request, query, people, order, lambda found: _supervisors(found, assigned)))


def _supervisors(people: list[User], assigned: QuerySet[Assignment]) -> list[dict[str, Any]]:
    rows = (
        assigned.filter(user__in=people)
        .select_related("org", "role")
        .prefetch_related("role__agents")
        .order_by("org__external_id", "role__tier", "role__name")
    )
    of_person: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        of_person[row.user_id].append(_assignment(row))
    return [
        {
            "sso_id": person.sso_id,
            "name": str(person),
            "locale": person.locale or None,
            "tokens": person.push_tokens,
            "tokens_at": rfc3339(person.push_tokens_at),
            "assignments": of_person[person.pk],
        }
        for person in people
    ]


def _assignment(row: Assignment) -> dict[str, Any]:
    """`agents`: the only ones this role backs up; null = all of its org."""
    return {
        "org_id": row.org.external_id,
        "role": row.role.name,
        "tier": row.role.tier,
        "agents": sorted(agent.name for agent in row.role.agents.all()) or None,
        "external_user_id": row.external_user_id or None,
        "provenance": row.provenance,
    }
