"""Pushes about one's own duty in the API: whether somebody wants them."""

from typing import Annotated

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from orgs import clock
from orgs.auth import find_supervisor
from orgs.duty_api import OneOrgView
from orgs.duty_changes import set_duty_pushes, wants_duty_pushes
from orgs.incoming import Field, Query, read_body
from orgs.shapes import Shape, about

DUTY_PUSHES = {"on": Field(required=True, flag=True)}


class DutyPushesShape(Shape):
    """Whether a person is pushed 15 min before their duty in the org begins, and when it has changed."""

    on: Annotated[bool, about("False until they, or somebody for them, ask for it.")]


class DutyPushesView(OneOrgView):
    """GET and PUT /api/people/{sso_id}/duty-pushes: for keys with scope `act`, leads, and the person."""

    def get(self, request: Request, sso_id: str) -> Response:
        org = self.org_named(request, Query(request, ("org_id",)).text("org_id"))
        person = find_supervisor(sso_id, org.pk, specialists=False)
        if person is None:
            raise Http404
        return Response(DutyPushesShape(wants_duty_pushes(org, person)))

    def put(self, request: Request, sso_id: str) -> Response:
        org = self.org_named(request, Query(request, ("org_id",)).text("org_id"))
        person = self.person_named(request, org, sso_id)
        said = read_body(request, DUTY_PUSHES)
        set_duty_pushes(org, person, said["on"], clock.now())
        return Response(DutyPushesShape(said["on"]))
