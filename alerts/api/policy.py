"""`/api/policy`: what an org, or an agent of it, wants to be told and when; its versions, and going back to one."""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any

import msgspec
import pghistory
from msgspec import UNSET, UnsetType
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import actions
from orgs.api import ScopedAPIView, one_or_404
from orgs.auth import EVERY_ORG, KeyCaller, leads
from orgs.errors import Refused
from orgs.identifiers import spelled
from orgs.incoming import Field, Query, read_body, read_object
from orgs.models import Agent, Org
from orgs.policies import PolicyConflict, PolicyVersion, SavedPolicy, policy_versions, revert_policy, save_policy
from orgs.policies import saved_policy as read_policy
from orgs.policy_fields import SEVERITY_NAMES, BadPolicy, check_policy
from orgs.shapes import ErrorPart, Shape, UtcTime, Whole, about, one_of

ETAG = re.compile(r'(?:W/)?"(\d{1,10})"')
REVERT_FIELDS: Mapping[str, Field] = {
    "org_id": Field(),
    "agent": Field(),
    "version": Field(required=True, number=True),
}
SeverityWord = Annotated[str, one_of(SEVERITY_NAMES)]
Minutes = dict[str, Whole]


class PolicyShape(Shape):
    """An org's policy has every field. In an agent's, what is absent is as its org has it."""

    version: Annotated[Whole, about("0: nothing was ever saved. Also the `ETag`.")]
    severities: Annotated[dict[str, SeverityWord] | UnsetType, about("Of each signal of a room.")] = UNSET
    confidence_threshold: Annotated[float | UnsetType | None, about("Null: the event's own, else 0.5.")] = UNSET
    throttle_minutes: Whole | UnsetType = UNSET
    repeat_minutes: list[Whole] | UnsetType = UNSET
    acknowledge_minutes: Minutes | UnsetType = UNSET
    presence_minutes: Whole | UnsetType = UNSET
    return_minutes: Whole | UnsetType = UNSET
    stalled_minutes: Whole | UnsetType = UNSET
    handoff_minutes: Whole | UnsetType = UNSET
    escalate_minutes: Minutes | UnsetType = UNSET
    budget: Annotated[
        dict[str, Whole] | UnsetType, about("`pushes` in `minutes`; 0 pushes: no limit. The org's alone counts.")
    ] = UNSET
    outage: Annotated[
        dict[str, Whole] | UnsetType, about("`rooms` in `minutes`, over after `clean_minutes`; 0 rooms: never.")
    ] = UNSET
    low_confidence: Annotated[
        Annotated[str, one_of(("push", "digest"))] | UnsetType | None,
        about("Null: pushed in the org's first 30 days, then digested."),
    ] = UNSET
    quiet_hours_pass: list[SeverityWord] | UnsetType = UNSET
    detect_from_runs: bool | UnsetType = UNSET
    reply_window_hours: Annotated[dict[str, Whole] | UnsetType, about("By channel, in lower case.")] = UNSET
    window_closing_hours: Whole | UnsetType = UNSET


class PolicyStaleShape(Shape):
    """Somebody else saved it since; the policy as it is now."""

    error: ErrorPart
    policy: PolicyShape


class PolicyChangePart(Shape):
    """A field such as `budget.pushes`. Null: not said, in an agent's policy as its org has it."""

    field: str
    before: Any = msgspec.field(name="from")
    to: Any


class PolicyAuthorPart(Shape):
    """Who saved it: a person, a source by its key, somebody at the shell, or the service."""

    sso_id: str | None
    name: str | None
    kind: Annotated[str, one_of(("human", "source", "shell", "service"))]


class PolicyVersionPart(Shape):
    """One version."""

    version: Whole
    at: UtcTime
    by: PolicyAuthorPart
    changes: Annotated[list[PolicyChangePart] | None, about("Null: what it was before is no longer kept.")]


class PolicyVersionsShape(Shape):
    """The newest 100 versions, newest first."""

    results: list[PolicyVersionPart]


class OfPolicy(ScopedAPIView):
    """What these views share: whose policy it is, and who may change it."""

    def whose(self, request: Request, org_id: str | None, agent: str | None) -> tuple[Org, Agent | None]:
        """The org, and the agent that is named. Raises NotFound, Refused (422)."""
        if org_id is not None:
            org = self.org_asked(org_id)
        elif isinstance(request.user, KeyCaller) and request.user.source.org is not None:
            org = request.user.source.org
        else:
            raise Refused(422, "missing_field", "org_id says whose policy it is.", "org_id")
        return org, one_or_404(Agent.objects.filter(org=org, name=spelled(agent))) if agent else None

    def check_may_change(self, request: Request, org: Org) -> None:
        """Raises PermissionDenied."""
        led = EVERY_ORG if isinstance(request.user, KeyCaller) else leads(request.user)  # type: ignore[arg-type]
        if org.pk not in led:
            raise PermissionDenied("A lead of this org or a specialist changes its policy.")


class PolicyView(OfPolicy):
    """GET and PUT /api/policy. PUT needs the `If-Match` of what was read, so that nobody overwrites what came since."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", "agent"))
        return _answer(read_policy(*self.whose(request, query.text("org_id"), query.text("agent"))))

    def put(self, request: Request) -> Response:
        query = Query(request, ("org_id", "agent"))
        org, agent = self.whose(request, query.text("org_id"), query.text("agent"))
        self.check_may_change(request, org)
        expected = _expected(request)
        sent = read_object(request)
        sent.pop("version", None)  # what was read can be sent back; If-Match is what counts
        try:
            document = check_policy(sent, whole=agent is None)
            with _by(request):
                saved = save_policy(org, agent, document, expected)
        except BadPolicy as bad:
            raise Refused(422, bad.code, bad.message, bad.field or None) from None
        except PolicyConflict as conflict:
            error = ErrorPart("stale", "Somebody else saved this policy since you read it.")
            return _tagged(Response(PolicyStaleShape(error, _shape(conflict.saved)), status=412), conflict.saved)
        actions.retime(org.pk)
        return _answer(saved)


class PolicyVersions(OfPolicy):
    """GET /api/policy/versions."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", "agent"))
        org, agent = self.whose(request, query.text("org_id"), query.text("agent"))
        return Response(PolicyVersionsShape([_version(one) for one in policy_versions(org, agent)]))


class RevertPolicy(OfPolicy):
    """POST /api/policy/revert: a new version that equals an older one."""

    def post(self, request: Request) -> Response:
        Query(request, ())
        body = read_body(request, REVERT_FIELDS)
        org, agent = self.whose(request, body.get("org_id"), body.get("agent"))
        self.check_may_change(request, org)
        with _by(request):
            saved = revert_policy(org, agent, body["version"])
        if saved is None:
            raise Refused(422, "unknown_version", "There is no such version, or it is no longer kept.", "version")
        actions.retime(org.pk)
        return _answer(saved)


def _by(request: Request) -> AbstractContextManager[Any]:
    """In the history a change by a key is its source's; a person's is theirs already."""
    caller = request.user
    return pghistory.context(source=caller.source.name) if isinstance(caller, KeyCaller) else nullcontext()


def _expected(request: Request) -> int | None:
    """The version that If-Match names; None: any that there is. Raises Refused (428); a strange one fits nothing."""
    asked = request.headers.get("If-Match", "").strip()
    if not asked:
        raise Refused(428, "precondition_required", "Send the ETag of the policy you read as If-Match.")
    found = ETAG.fullmatch(asked)
    return None if asked == "*" else int(found[1]) if found else -1


def _answer(saved: SavedPolicy) -> Response:
    return _tagged(Response(_shape(saved)), saved)


def _tagged(response: Response, saved: SavedPolicy) -> Response:
    response["ETag"] = f'"{saved.version}"'
    return response


def _shape(saved: SavedPolicy) -> PolicyShape:
    return PolicyShape(version=saved.version, **saved.document)


def _version(one: PolicyVersion) -> PolicyVersionPart:
    by = PolicyAuthorPart(one.by.sso_id, one.by.name, one.by.kind)
    changes = one.changes
    parts = None if changes is None else [PolicyChangePart(it.field, it.before, it.after) for it in changes]
    return PolicyVersionPart(one.version, one.at, by, parts)
