"""Pushes: what became of them, dead ones sent again, and a test push that shows each hop."""

import threading
import time
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api import shapes
from alerts.api.reads import as_id
from alerts.delivery import outbox
from alerts.models import Push
from orgs.api import ScopedAPIView, one_or_404
from orgs.auth import KeyCaller, leads
from orgs.incoming import Field, Query, read_body
from orgs.models import Assignment, Org, User
from orgs.paging import PARAMETERS, Order, page
from orgs.shapes import ErrorPart

NEWEST = Order((("planned_at", datetime), ("id", UUID)), descending=True)
HOPS_WITHIN, LOOK_EVERY = 5.0, 0.1  # seconds
WATCHED_AT_ONCE = 4  # test pushes: each one that is waited for holds a slot of the pages
_watchers = threading.BoundedSemaphore(WATCHED_AT_ONCE)


def _whole() -> QuerySet[Push]:
    """All but revocations, which tell nobody anything."""
    return Push.objects.exclude(kind=Push.Kind.REVOKE).select_related("org", "supervisor")


def _found(push_id: str) -> Push:
    return one_or_404(_whole().filter(pk=as_id(push_id)))


class Pushes(ScopedAPIView):
    """GET /api/pushes: newest first."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("state", "org_id", *PARAMETERS))
        rows = self.of_org_asked(query, _whole())
        if states := query.choices("state", Push.State.values):
            rows = rows.filter(state__in=states)
        return page(request, query, rows, NEWEST, shapes.push_list)


class PushDetail(ScopedAPIView):
    """GET /api/pushes/{id}: one push with its hops."""

    def get(self, request: Request, push_id: str) -> Response:
        Query(request, ())
        return Response(shapes.push_detail(_found(push_id)))


class Replay(ScopedAPIView):
    """POST /api/pushes/{id}/replay: a dead push, once more; for keys, specialists and leads of the org."""

    def post(self, request: Request, push_id: str) -> Response:
        Query(request, ())
        push = _found(push_id)
        by = _asker(request)
        if by is not None and push.org_id not in leads(by):
            raise PermissionDenied("A lead of this org or a specialist sends a dead push again.")
        read_body(request, {})
        try:
            outbox.replay(push.pk, by)
        except outbox.NotDead:
            said = ErrorPart("not_dead", "Only a dead push can be replayed.")
            return Response(shapes.PushConflictShape(said, shapes.push_detail(_found(push_id))), status=409)
        return Response(shapes.push_detail(_found(push_id)))


def _asker(request: Request) -> User | None:
    return None if isinstance(request.user, KeyCaller) else request.user  # type: ignore[return-value]


class TestPush(ScopedAPIView):
    """POST /api/supervisors/{sso_id}/test-push: plans one and looks for up to 5 s how far it came.

    While four others are looked after it is answered as soon as it is planned: GET /api/pushes/{id} tells the rest.
    For keys, specialists and leads of the org, and for everybody to themselves.
    """

    def post(self, request: Request, sso_id: str) -> Response:
        Query(request, ())
        if "\0" in sso_id:
            raise NotFound
        assigned = Assignment.objects.values("user")  # in an org that this caller may see
        person = one_or_404(User.objects.filter(sso_id=sso_id, is_active=True, pk__in=assigned))
        orgs = Org.objects.filter(pk__in=Assignment.objects.filter(user=person).values("org")).order_by("external_id")
        body = read_body(request, {"org_id": Field()})
        org = one_or_404(orgs.filter(external_id=body["org_id"]) if "org_id" in body else orgs)
        by = _asker(request)
        if by is not None and by != person and org.pk not in leads(by):
            raise PermissionDenied("A lead of this org or a specialist tests the pushes of others.")
        push = outbox.send_test_push(org, person, by)
        if not _watchers.acquire(blocking=False):
            return Response(shapes.push_detail(push))
        try:
            return Response(shapes.push_detail(_watched(push.pk)))
        finally:
            _watchers.release()


def _watched(pk: UUID) -> Push:
    """The push once it came as far as it can, or as far as it is after 5 s; holds no connection while it waits."""
    until = time.monotonic() + HOPS_WITHIN
    while True:
        push = _whole().get(pk=pk)
        if _arrived(push) or time.monotonic() >= until:
            return push
        if not connection.in_atomic_block:
            connection.close()  # back to the pool
        time.sleep(LOOK_EVERY)


def _arrived(push: Push) -> bool:
    if push.state == Push.State.SENT:
        return bool(push.delivered_at or push.failed_at or push.push == "no_token")
    return push.state in (Push.State.DEAD, Push.State.CANCELLED)
