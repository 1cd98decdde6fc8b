"""`/api/policy/preview`: what a policy that is not saved would have done with what happened."""

import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from django.urls import reverse
from rest_framework.exceptions import NotFound
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api.policy import OfPolicy
from alerts.api.reads import as_id
from alerts.models import PolicyPreview
from alerts.replay.requests import ask_preview
from orgs import clock
from orgs.auth import KeyCaller
from orgs.errors import Refused
from orgs.incoming import Field, Query, check_fields, read_object
from orgs.models import Agent, Scope, User
from orgs.policy_fields import BadPolicy, PolicyDocument, check_policy
from orgs.shapes import ErrorPart, Shape, Uri, UtcTime, Whole, about
from orgs.years import off_years

SPAN_AT_MOST = timedelta(days=31)
ANSWERS_WITHIN = 20.0  # seconds; what takes longer is asked for again
LOOKS_EVERY = 0.1  # seconds
WAIT_TOGETHER = threading.BoundedSemaphore(4)  # requests of a process: the others' slots are for alarms
PREVIEW_FIELDS: Mapping[str, Field] = {
    "org_id": Field(),
    "agent": Field(),
    "from": Field(required=True, time=True),
    "to": Field(required=True, time=True),
}
State = PolicyPreview.State


class PreviewPersonPart(Shape):
    """What one person got."""

    sso_id: str
    pushes: Whole
    digests: Whole


class PreviewHourPart(Shape):
    """One hour of the UTC clock."""

    begin: UtcTime = msgspec.field(name="from")
    pushes: Whole


class PreviewNotToldPart(Shape):
    """An alert of which nobody was told, and why."""

    alert_id: str
    reason: str


class PreviewFiguresPart(Shape):
    """What came of the span under one policy."""

    pushes: Annotated[Whole, about("Planned, superseded ones too, without skipped.")]
    digests: Whole
    interruptions: Annotated[Whole, about("Pushes and digests that reached a phone.")]
    escalations: Whole
    unroutable: Whole
    by_person: list[PreviewPersonPart]
    by_hour: list[PreviewHourPart]
    not_told: list[PreviewNotToldPart]


class PolicyPreviewShape(Shape):
    """`now` is recomputed under the policies that held; `then` under the one that is asked about."""

    begin: UtcTime = msgspec.field(name="from")
    end: UtcTime = msgspec.field(name="to")
    events: Annotated[Whole, about("Failure events that were heard in the span.")]
    now: PreviewFiguresPart
    then: PreviewFiguresPart
    not_reproduced: Annotated[
        Whole, about("Pushes and digests that were planned otherwise than `now` says: of what is purged by now, say.")
    ]


class PreviewWaitsShape(Shape):
    """It takes longer: ask `url` for it."""

    url: Uri
    progress: Annotated[float, about("From 0 to 1.")]


class PreviewGoneShape(Shape):
    """Why there is no answer."""

    error: ErrorPart


GONE = {
    State.CANCELLED: ErrorPart("preview_cancelled", "Another preview of this org was asked for since."),
    State.FAILED: ErrorPart("preview_failed", "This could not be played. Ask for a shorter span."),
}


class MayRead(BasePermission):
    """A key needs scope `read`: a preview changes nothing."""

    code, message = "missing_scope", "This key has not the scope that this needs."

    def has_permission(self, request: Request, view: Any) -> bool:
        caller: Any = request.user
        if not caller or not caller.is_authenticated:
            return False
        return Scope.READ in caller.key.scopes if isinstance(caller, KeyCaller) else bool(caller.is_active)


class Preview(OfPolicy):
    """POST /api/policy/preview."""

    permission_classes = [MayRead]

    def post(self, request: Request) -> Response:
        Query(request, ())
        sent = read_object(request)
        policy = sent.pop("policy", None)
        body = check_fields(sent, PREVIEW_FIELDS)
        org, agent = self.whose(request, body.get("org_id"), body.get("agent"))
        since, until = _span(body["from"], body["to"], clock.now())
        document = _checked(policy, agent)
        by = request.user if isinstance(request.user, User) else None
        asked = ask_preview(org, agent, document, since, until, by)
        return _answer(request, _awaited(asked))


class PreviewResult(OfPolicy):
    """GET /api/policy/preview/{id}: what was asked for, or how far it is."""

    def get(self, request: Request, preview_id: str) -> Response:
        Query(request, ())
        asked = PolicyPreview.objects.filter(pk=as_id(preview_id), expires_at__gt=clock.now()).first()
        if asked is None:
            raise NotFound
        return _answer(request, asked)


def _span(since: datetime, until: datetime, now: datetime) -> tuple[datetime, datetime]:
    """The span, up to now. Raises Refused (422)."""
    if off := off_years(since, until):
        raise Refused(422, "invalid_field", off[1], off[0])
    if since >= now:
        raise Refused(422, "invalid_field", "from lies in the past: what happened is played again.", "from")
    if until <= since:
        raise Refused(422, "invalid_field", "to must be later than from.", "to")
    if until - since > SPAN_AT_MOST:
        raise Refused(422, "invalid_field", "A preview is of at most 31 days.", "from")
    return since, min(until, now)


def _checked(policy: Any, agent: Agent | None) -> PolicyDocument:
    if policy is None:
        raise Refused(422, "missing_field", "policy is required.", "policy")
    sent = dict(policy) if isinstance(policy, dict) else policy
    if isinstance(sent, dict):
        sent.pop("version", None)  # what was read can be sent
    try:
        return check_policy(sent, whole=agent is None)
    except BadPolicy as bad:
        raise Refused(422, bad.code, bad.message, f"policy.{bad.field}" if bad.field else "policy") from None


def _awaited(asked: PolicyPreview) -> PolicyPreview:
    """It, as soon as it is played; as it is after 20 s, or at once where others wait already."""
    until = time.monotonic() + ANSWERS_WITHIN
    if not WAIT_TOGETHER.acquire(blocking=False):
        return asked
    try:
        while asked.state in (State.WAITING, State.RUNNING) and time.monotonic() < until:
            time.sleep(LOOKS_EVERY)
            asked.refresh_from_db()
    finally:
        WAIT_TOGETHER.release()
    return asked


def _answer(request: Request, asked: PolicyPreview) -> Response:
    if asked.state == State.DONE:
        said = {name: part for name, part in (asked.answer or {}).items() if name != "basis"}
        return Response(msgspec.convert(said, PolicyPreviewShape))
    if asked.state in GONE:
        return Response(PreviewGoneShape(GONE[State(asked.state)]), status=409)
    url = request.build_absolute_uri(reverse("api_policy_preview_result", args=[asked.pk]))
    return Response(PreviewWaitsShape(url, asked.progress), status=202)
