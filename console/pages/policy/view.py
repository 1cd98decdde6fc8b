"""`/settings/policy`: who is told, when and how often; of an org, and what an agent of it has for itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from alerts import actions
from console.pages.access import looked_after, no_org_page, signed_in, signed_in_user
from console.pages.policy import words
from console.pages.policy.form import (
    WINDOWS,
    Entered,
    Windows,
    document_in,
    entered_in,
    entered_of,
    input_of,
    windows_of,
)
from orgs import clock
from orgs.auth import orgs_of
from orgs.models import Agent, Org
from orgs.policies import (
    PolicyConflict,
    SavedPolicy,
    flat_policy,
    policy_at,
    policy_changes,
    policy_versions,
    revert_policy,
    save_policy,
    saved_policy,
)
from orgs.policy_fields import POLICY_DEFAULTS, PolicyDocument, judge_policy, merged_policy

SHOWN = 20  # versions
AGENTS = 500


@dataclass
class PolicyForm:
    """What stands in the form: what was entered, else what is saved; and what is wrong with it, by input."""

    entered: Entered
    windows: Windows
    errors: dict[str, str] = field(default_factory=dict)


@dataclass
class Clash:
    """Somebody saved it meanwhile: who, and what both changed."""

    who: str
    theirs: list[words.SaidChange]
    mine: list[words.SaidChange]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def policy(request: HttpRequest) -> HttpResponse:
    """GET the form and the versions; POST saves it over the version that was read, or shows what is wrong."""
    if "org" not in request.GET and not orgs_of(looked_after(signed_in_user(request))):
        return no_org_page(request, _("Alert policy"), "policy")
    org, agent = policy_asked(request)
    saved = saved_policy(org, agent)
    if request.method != "POST":
        return _page(request, saved, _form_of(saved))
    entered, windows = entered_in(request.POST)
    document, wrong = judge_policy(document_in(entered, windows, whole=agent is None), whole=agent is None)
    if wrong:
        errors: dict[str, str] = {}
        for bad in wrong:
            errors.setdefault(input_of(bad.field), bad.message)
        return _page(request, saved, PolicyForm(entered, windows, errors), status=422)
    read = _version(request)
    try:
        now = save_policy(org, agent, document, read)
    except PolicyConflict as conflict:
        return _clash(request, conflict.saved, document, read)
    actions.retime(org.pk)
    messages.success(request, _("Saved."))
    return _back(org, agent, was=read, now=now.version)


@require_POST
@signed_in
def revert(request: HttpRequest) -> HttpResponse:
    """Make a new version that equals an older one; the page then offers to undo it."""
    org, agent = policy_asked(request)
    was = saved_policy(org, agent).version
    now = revert_policy(org, agent, _version(request))
    if now is None:
        raise Http404
    actions.retime(org.pk)
    messages.success(request, _("Back to version {n}.").format(n=_version(request)))
    return _back(org, agent, was=was, now=now.version)


def policy_asked(request: HttpRequest) -> tuple[Org, Agent | None]:
    """The org, which this person looks after, and its agent. Raises Http404, the same for unknown and foreign ones."""
    orgs = orgs_of(looked_after(signed_in_user(request)))
    asked, name = request.GET.get("org", ""), request.GET.get("agent", "")
    org = next((org for org in orgs if not asked or org.external_id == asked), None)
    agent = Agent.objects.filter(org=org, name=name).first() if name and org and "\0" not in name else None
    if org is None or (name and agent is None):
        raise Http404
    return org, agent


def _version(request: HttpRequest) -> int:
    """The version that a form names; -1: none that there is."""
    text = request.POST.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _back(org: Org, agent: Agent | None, *, was: int, now: int) -> HttpResponse:
    undo = {"was": was, "now": now} if was != now else {}
    return redirect(f"{reverse('policy')}?{urlencode(_query(org, agent) | undo)}")


def _query(org: Org, agent: Agent | None) -> dict[str, Any]:
    return {"org": org.external_id} | ({"agent": agent.name} if agent else {})


def _form_of(saved: SavedPolicy) -> PolicyForm:
    return PolicyForm(entered_of(saved.document), windows_of(saved.document))


def _clash(request: HttpRequest, saved: SavedPolicy, mine: PolicyDocument, read: int) -> HttpResponse:
    """Theirs is saved. Mine stands in the form on top of it, to be looked at and saved again."""
    of_org = saved.agent is None
    base = policy_at(saved.org, saved.agent, read)
    base = saved.own if base is None else base
    own = policy_changes(base, mine, of_org=of_org)
    form, entered = _form_of(saved), entered_of(mine)
    form.entered |= {one.field: entered[one.field] for one in own if one.field in entered}
    if any(one.field.startswith(WINDOWS) for one in own):
        form.windows = windows_of(mine)
    (newest,) = policy_versions(saved.org, saved.agent, 1)
    theirs = policy_changes(base, saved.own, of_org=of_org)
    said = [words.said_changes(changes, of_org=of_org) for changes in (theirs, own)]
    return _page(request, saved, form, clash=Clash(words.said_author(newest.by), *said), status=412)


# --- the page --------------------------------------------------------------------------------------------------------


def _page(
    request: HttpRequest, saved: SavedPolicy, form: PolicyForm, *, clash: Clash | None = None, status: int = 200
) -> HttpResponse:
    org, agent = saved.org, saved.agent
    below = saved_policy(org, None).document if agent else POLICY_DEFAULTS
    context = {
        "page": "policy",
        "org": org,
        "org_shown": org,
        "agent": agent,
        "agents": Agent.objects.filter(org=org)[:AGENTS],
        "orgs": orgs_of(looked_after(signed_in_user(request))),
        "query": urlencode(_query(org, agent)),
        "saved": saved,
        "sections": [_section(one, saved, form, below) for one in words.policy_sections(of_org=agent is None)],
        "windows": _windows(saved, form, below),
        "versions": _versions(saved),
        "undo": _undo(request, saved),
        "errors": form.errors,
        "clash": clash,
        "now": clock.now(),
    }
    return render(request, "pages/policy/policy.html", context, status=status)


def _section(
    section: words.PolicySection, saved: SavedPolicy, form: PolicyForm, below: Mapping[str, Any]
) -> dict[str, Any]:
    """A section with what stands in its inputs, what stood there as saved, and what an agent has from its org."""
    was, flat = entered_of(saved.document), flat_policy(below)
    said = flat_policy(merged_policy(below, saved.own))
    inputs = []
    for one in section.inputs:
        inherited = words.said_value(one.path, flat.get(one.path), of_org=True) if saved.agent else ""
        inputs.append(
            {
                "it": one,
                "id": f"policy-{one.path.replace('.', '-')}",
                "value": form.entered[one.path],
                "was": was[one.path],
                "was_said": words.said_value(one.path, said.get(one.path), of_org=True),
                "inherited": inherited,
                "error": form.errors.get(one.path, ""),
            }
        )
    return {"it": section, "inputs": inputs}


def _windows(saved: SavedPolicy, form: PolicyForm, below: Mapping[str, Any]) -> dict[str, Any]:
    """The channels with an empty row for one more, and what the org has where an agent says nothing."""
    inherited = ", ".join(f"{channel} {hours} h" for channel, hours in below[WINDOWS].items()) or "–"
    return {
        "rows": [*form.windows, ("", "")],
        "was": windows_of(saved.document),
        "error": form.errors.get(WINDOWS, ""),
        "inherited": inherited if saved.agent else "",
    }


def _versions(saved: SavedPolicy) -> list[dict[str, Any]]:
    of_org = saved.agent is None
    return [
        {
            "it": one,
            "who": words.said_author(one.by),
            "changes": words.said_changes(one.changes or [], of_org=of_org),
            "known": one.changes is not None,
        }
        for one in policy_versions(saved.org, saved.agent, SHOWN)
    ]


def _undo(request: HttpRequest, saved: SavedPolicy) -> int | None:
    """The version before the one that was just made here, if nobody made another one since."""
    was, now = request.GET.get("was", ""), request.GET.get("now", "")
    fresh = now == str(saved.version) and was.isascii() and was.isdigit() and len(was) < 10
    return int(was) if fresh and policy_at(saved.org, saved.agent, int(was)) is not None else None
