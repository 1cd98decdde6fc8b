"""What every view of the API shares, its caller's scope; and orgs, agents and supervisors."""

from collections import defaultdict
from contextlib import ExitStack
from datetime import datetime
from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from msgspec import UNSET
from rest_framework.exceptions import NotFound
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from orgs import clock
from orgs.auth import NO_ORG, OrgIds, caller_orgs, of_orgs, within
from orgs.incoming import Query
from orgs.models import Agent, Assignment, Org, User
from orgs.paging import PARAMETERS, Order, page
from orgs.shapes import Shape, UtcTime, Whole, about, one_of, shape_of

AGENTS_BY_NAME = Order((("org__external_id", str), ("name", str)))
M = TypeVar("M", bound=Model)

# --- what every view shares ------------------------------------------------------------------------------------------


class ShapeEncoder(JSONEncoder):
    def default(self, obj: Any) -> Any:
        if isinstance(obj, Shape):
            fields = zip(obj.__struct_encode_fields__, obj.__struct_fields__, strict=True)
            return {name: value for name, field in fields if (value := getattr(obj, field)) is not UNSET}
        return clock.rfc3339(obj) if isinstance(obj, datetime) else super().default(obj)


class ShapeRenderer(JSONRenderer):
    encoder_class = ShapeEncoder


class ScopedAPIView(APIView):
    """A view of the API that runs, and renders, inside its caller's scope, `self.org_ids`.

    It speaks English to everybody: its readers are programs.
    """

    http_method_names = ["get", "post", "put", "delete", "head"]  # what an answer of 405 may allow
    renderer_classes = [ShapeRenderer]
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
        return one_or_404(of_orgs(Org.objects.filter(external_id=external_id), self.org_ids, "pk"))

    def of_org_asked(self, query: Query, rows: QuerySet[M]) -> QuerySet[M]:
        """The rows of the org that `org_id` of the query names, or all of them. Raises NotFound as `org_asked`."""
        org_id = query.text("org_id")
        return rows.filter(org=self.org_asked(org_id)) if org_id else rows


class NothingHere(APIView):
    """Answers every path that does not exist with the 404 of the API, to everybody."""

    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        with translation.override("en"):
            raise NotFound


def one_or_404(rows: QuerySet[M]) -> M:
    """The first of these. Raises NotFound where there is none."""
    if (found := rows.first()) is None:
        raise NotFound
    return found


# --- orgs, agents, supervisors ---------------------------------------------------------------------------------------


class OrgShape(Shape):
    """A customer company."""

    org_id: str
    name: str
    zone: str
    locale: str


class AgentShape(Shape):
    """An AI agent of an org."""

    org_id: str
    agent_name: str
    agent_version: str | None
    production: bool
    confirmed: Annotated[bool, about("False: first heard of in an event.")]


Tokens = Annotated[Whole | None, about("Phones that notification-service knows; null: not asked yet.")]
Provenance = Annotated[str, one_of(Assignment.Provenance.values), about("Who said so last.")]


class AssignmentPart(Shape):
    """A role this person has."""

    org_id: str
    role: str
    tier: Whole
    agents: Annotated[list[str] | None, about("Null: all agents of the org.")]
    external_user_id: str | None
    provenance: Provenance
    fallback: Annotated[bool, about("The role belongs to no tier: it is told when nobody of any tier is on duty.")]
    duty: Annotated[list[dict[str, Any]], about("Weekly hours by the org's wall clock, as sent; empty: always.")]
    away_until: UtcTime | None


class SupervisorShape(Shape):
    """A person with an assignment in an org you may see."""

    sso_id: str
    name: str
    locale: str | None
    tokens: Tokens
    tokens_at: UtcTime | None
    assignments: list[AssignmentPart]


class Orgs(ScopedAPIView):
    """GET /api/orgs: the orgs this caller may see."""

    def get(self, request: Request) -> Response:
        query = Query(request, PARAMETERS)
        rows = of_orgs(Org.objects.all(), self.org_ids, "pk")
        order = Order((("external_id", str),))
        return page(
            request, query, rows, order, lambda orgs: [shape_of(OrgShape, org, org_id=org.external_id) for org in orgs]
        )


class Agents(ScopedAPIView):
    """GET /api/agents: the AI agents of the orgs this caller may see, or of one of them."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", *PARAMETERS))
        rows = self.of_org_asked(query, Agent.objects.select_related("org"))
        return page(request, query, rows, AGENTS_BY_NAME, _agents)


def _agents(agents: list[Agent]) -> list[Any]:
    return [
        shape_of(AgentShape, one, org_id=one.org.external_id, agent_name=one.name, agent_version=one.version or None)
        for one in agents
    ]


class Supervisors(ScopedAPIView):
    """GET /api/supervisors: the people with an assignment in the orgs this caller may see, or in one of them."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", *PARAMETERS))
        assigned = self.of_org_asked(query, Assignment.objects.all())
        people = User.objects.filter(is_active=True, pk__in=assigned.values("user"))
        order = Order((("sso_id", str),))
        return page(request, query, people, order, lambda found: _supervisors(found, assigned))


def _supervisors(people: list[User], assigned: QuerySet[Assignment]) -> list[Any]:
    rows = (
        assigned.filter(user__in=people)
        .select_related("org", "role")
        .prefetch_related("role__agents")
        .order_by("org__external_id", "role__tier", "role__name")
    )
    of_person: dict[int, list[AssignmentPart]] = defaultdict(list)
    for row in rows:
        role, only = row.role, sorted(agent.name for agent in row.role.agents.all()) or None
        external = row.external_user_id or None
        whose, when = (row.org.external_id, role.name, role.tier, only), (role.fallback, row.duty, row.away_until)
        assignment = AssignmentPart(*whose, external, row.provenance, *when)
        of_person[row.user_id].append(assignment)
    return [
        SupervisorShape(
            one.sso_id, str(one), one.locale or None, one.push_tokens, one.push_tokens_at, of_person[one.pk]
        )
        for one in people
    ]
