"""Honest handoff: who could come now, so that a bot promises nobody who is not there; and handing one's rooms over."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from rest_framework import permissions
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.availability import expected_wait
from alerts.handovers import hand_over_rooms
from alerts.reach import reach_of
from orgs import clock
from orgs.api import one_or_404
from orgs.auth import KeyCaller
from orgs.duty.roster import QUIET, Roster, next_duty
from orgs.duty_api import OneOrgView
from orgs.duty_changes import HANDOVER_MINUTES
from orgs.errors import Refused
from orgs.identifiers import spelled
from orgs.incoming import Field, Query, read_body
from orgs.models import Agent, Scope
from orgs.rosters import rosters_of
from orgs.routing import standing_at
from orgs.shapes import Amount, Shape, UtcTime, Whole, about

KEPT = 15  # seconds that an answer holds
AHEAD = timedelta(days=7)


class AvailabilityShape(Shape):
    """Who could come to this agent's rooms now."""

    as_of: UtcTime
    org_id: str
    agent_name: str
    on_duty: Annotated[Whole, about("People of any tier; those in quiet hours too.")]
    reachable: Annotated[Whole, about("On duty, and reachable as /api/reach says.")]
    expected_wait_seconds: Annotated[
        Amount | None,
        about("Median until a human came to this agent, in this hour of the week; null: no data, or too few came."),
    ]
    n: Annotated[Whole, about("Episodes of the last eight weeks that it stands on.")]
    next_duty_at: Annotated[UtcTime | None, about("Null: somebody is on duty now, or nobody in the next 7 days.")]


class MayAskWhoComes(permissions.BasePermission):
    """A key that reports or reads; a person who is signed in."""

    code, message = "missing_scope", "This needs a key with the scope ingest or read."

    def has_permission(self, request: Request, view: Any) -> bool:
        caller: Any = request.user
        if not caller or not caller.is_authenticated:
            return False
        return not isinstance(caller, KeyCaller) or bool({Scope.INGEST, Scope.READ} & set(caller.key.scopes))


class AvailabilityView(OneOrgView):
    """GET /api/availability: asked before a bot promises a human."""

    permission_classes = [MayAskWhoComes]

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", "agent"))
        org, name = self.org_named(request, query.text("org_id")), query.text("agent")
        if name is None:
            raise Refused(422, "missing_field", "agent says which agent asks.", "agent")
        agent = one_or_404(Agent.objects.filter(org=org, name=spelled(name)).select_related("org"))
        headers = {"Cache-Control": f"private, max-age={KEPT}"}
        return Response(_availability(agent, clock.now()), headers=headers)


def _availability(agent: Agent, now: datetime) -> AvailabilityShape:
    roster = rosters_of([agent.org_id], now)[agent.org_id]
    on_duty = {one.user_id for one in standing_at(roster, agent.pk, now).people if one.absent in ("", QUIET)}
    (reach,) = reach_of([agent], rooms=False)
    wait = expected_wait(agent, now)
    return AvailabilityShape(
        as_of=now,
        org_id=agent.org.external_id,
        agent_name=agent.name,
        on_duty=len(on_duty),
        reachable=sum(one.pk in on_duty for one in reach.reached),
        expected_wait_seconds=wait.value,
        n=wait.n,
        next_duty_at=None if on_duty else _begins(roster, agent, now),
    )


def _begins(roster: Roster, agent: Agent, now: datetime) -> datetime | None:
    begins = next_duty(roster, agent.pk, now)
    return begins if begins is not None and begins <= now + AHEAD else None


# --- hand-overs ------------------------------------------------------------------------------------------------------


class HandoverShape(Shape):
    """What one has goes back to the tier, and one is told of nothing, from now until `to`."""

    org_id: str
    sso_id: str
    to: UtcTime
    released: Annotated[Whole, about("Alerts that nobody has any more.")]


HANDOVER = {"org_id": Field(), "sso_id": Field(), "minutes": Field(required=True, number=True)}


class Handovers(OneOrgView):
    """POST /api/handovers: for the person, keys with scope `act`, specialists and leads of the org."""

    def post(self, request: Request) -> Response:
        Query(request, ())
        said = read_body(request, HANDOVER)
        if said["minutes"] not in HANDOVER_MINUTES:
            raise Refused(422, "invalid_field", "minutes must be 30 or 60.", "minutes")
        org = self.org_named(request, said.get("org_id"))
        sso_id = said.get("sso_id") or getattr(request.user, "sso_id", None)
        if sso_id is None:
            raise Refused(422, "missing_field", "A key names the person in sso_id.", "sso_id")
        try:
            person = self.person_named(request, org, sso_id)
        except NotFound:
            raise Refused(422, "unknown_person", "No supervisor of this org has this sso_id.", "sso_id") from None
        made, released = hand_over_rooms(org, person, said["minutes"], clock.now())
        return Response(HandoverShape(org.external_id, person.sso_id, made.ends_at, released), status=201)
