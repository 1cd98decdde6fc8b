"""The legal hold of a run: its page says whether there is one, leads and specialists set and lift it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from alerts import actions
from alerts.models import LegalHold
from console.pages.access import orgs_seen, signed_in, signed_in_user
from console.pages.alert.holding import leads_org
from console.pages.runs.query import run_of_page
from orgs.identifiers import spelled
from orgs.models import User
from runs.models import AgentRun


@require_POST
@signed_in
def place_run_hold(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """`/runs/<id>/hold`: nothing of it is deleted from now on. Raises Http404 and PermissionDenied, as its page."""
    found = _mine(request, run_id)
    try:
        actions.hold_run(found.org, run_id, signed_in_user(request), request.POST.get("reason", ""))
    except actions.ActInvalid as invalid:
        messages.error(request, invalid.message)
    else:
        messages.success(request, _("This run is under a legal hold: nothing of it is deleted."))
    return _back(request, run_id)


@require_POST
@signed_in
def end_run_hold(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """`/runs/<id>/unhold`: it goes when it is old, like the others; lifting it twice changes nothing."""
    found = _mine(request, run_id)
    if actions.lift_run_hold(found.org, run_id, signed_in_user(request)):
        messages.success(request, _("The legal hold of this run is lifted."))
    return _back(request, run_id)


def _mine(request: HttpRequest, run_id: UUID) -> AgentRun:
    wanted = spelled(request.GET.get("org", ""))
    orgs = orgs_seen(request)
    found = run_of_page([org for org in orgs if wanted in ("", org.external_id)], run_id)
    if found is None:
        raise Http404
    if not leads_org(signed_in_user(request), found.org_id):
        raise PermissionDenied
    return found


def _back(request: HttpRequest, run_id: UUID) -> HttpResponse:
    wanted = request.GET.get("org", "")
    return redirect(reverse("run", args=[run_id]) + (f"?{urlencode({'org': wanted})}" if wanted else ""))


def run_hold_context(found: AgentRun, me: User) -> dict[str, Any]:
    """The hold that stands, and whether this person may change that. At most two queries."""
    standing = LegalHold.objects.filter(org=found.org_id, run_id=found.run_id, ended_at=None).select_related("by")
    return {"hold": standing.first(), "may_hold": leads_org(me, found.org_id)}
