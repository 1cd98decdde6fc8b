"""What would have happened under the policy in the form: asked for, waited for, shown. Nothing is saved or sent."""

from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from alerts.models import PolicyPreview
from alerts.replay.requests import ask_preview, play_ahead, span_of_days
from console.pages.access import looked_after, signed_in, signed_in_user
from console.pages.policy.form import WINDOWS, document_in, entered_in, input_of
from console.pages.policy.view import policy_asked
from console.pages.policy.words import input_titles
from console.text.sentences import why_not
from console.text.wording import day_clock
from orgs import clock
from orgs.auth import of_orgs
from orgs.models import User
from orgs.policy_fields import BadPolicy, judge_policy

DAYS = (1, 7, 31)
USUAL_DAYS = 7
SHOWN = 20  # alerts that nobody would have been told of
State = PolicyPreview.State


@never_cache
@require_POST
@signed_in
def ask_for_preview(request: HttpRequest) -> HttpResponse:
    """The form as it is, played over the last days; what is wrong with it is said when it is saved."""
    org, agent = policy_asked(request)
    entered, windows = entered_in(request.POST)
    document, wrong = judge_policy(document_in(entered, windows, whole=agent is None), whole=agent is None)
    if wrong:
        return render(request, "pages/policy/_preview.html", {"wrong": _said(wrong[0])})
    asked = ask_preview(org, agent, document, *span_of_days(org, _days(request)), signed_in_user(request))
    return _shown(request, asked)


def _said(bad: BadPolicy) -> str:
    """Which input it is, and what is wrong with it."""
    path = input_of(bad.field)
    title = _("Reply window") if path == WINDOWS else input_titles().get(path, "")
    return f"{title}: {bad.message}" if title else bad.message


@never_cache
@require_POST
@signed_in
def about_to_ask(request: HttpRequest) -> HttpResponse:
    """Something in the form changed: what every preview of the usual days needs is played meanwhile."""
    org, _agent = policy_asked(request)
    play_ahead(org, USUAL_DAYS)
    return HttpResponse(status=204)


@never_cache
@require_safe
@signed_in
def preview_result(request: HttpRequest, preview_id: UUID) -> HttpResponse:
    """How far it is, or what came of it. Raises Http404, the same for unknown and foreign ones."""
    rows = of_orgs(PolicyPreview.objects.select_related("org"), looked_after(signed_in_user(request)))
    asked = rows.filter(pk=preview_id, expires_at__gt=clock.now()).first()
    if asked is None:
        raise Http404
    return _shown(request, asked)


def _days(request: HttpRequest) -> int:
    text = request.POST.get("days", "")
    return int(text) if text in [str(days) for days in DAYS] else USUAL_DAYS


def _shown(request: HttpRequest, asked: PolicyPreview) -> HttpResponse:
    zone = timezone.get_current_timezone_name()
    context: dict[str, Any] = {
        "asked": asked,
        "going": asked.state in (State.WAITING, State.RUNNING),
        "percent": int(asked.progress * 100),
        "cancelled": asked.state == State.CANCELLED,
        "since": day_clock(max(asked.since, min(asked.org.created_at, asked.until)), zone),  # nothing came before
        "until": day_clock(asked.until, zone),
    }
    if asked.state == State.DONE:
        context |= _figures(asked, zone)
    return render(request, "pages/policy/_preview.html", context)


def _figures(asked: PolicyPreview, zone: str) -> dict[str, Any]:
    answer = asked.answer or {}
    now, then = answer["now"], answer["then"]
    rows = [
        (_("Pushes"), now["pushes"], then["pushes"]),
        (_("Digests"), now["digests"], then["digests"]),
        (_("Times a phone rang"), now["interruptions"], then["interruptions"]),
        (_("Escalations"), now["escalations"], then["escalations"]),
        (_("Alerts nobody was told of"), len(now["not_told"]), len(then["not_told"])),
        (_("Nobody there to tell"), now["unroutable"], then["unroutable"]),
    ]
    told = {one["alert_id"] for one in now["not_told"]}
    lost = [(one["alert_id"], why_not(one["reason"])) for one in then["not_told"] if one["alert_id"] not in told]
    return {
        "figures": rows,
        "events": answer["events"],
        "people": _people(now, then),
        "hours": _hours(now, then, zone),
        "lost": lost[:SHOWN],
        "lost_n": len(lost),
        "inexact": answer.get("not_reproduced", 0),
    }


def _people(now: dict[str, Any], then: dict[str, Any]) -> list[tuple[str, int, int]]:
    """Each person with their pushes and digests before and after, who is told most first."""
    counts = [
        Counter({one["sso_id"]: one["pushes"] + one["digests"] for one in half["by_person"]}) for half in (now, then)
    ]
    known = User.objects.filter(sso_id__in=[*counts[0], *counts[1]])
    names = {one.sso_id: str(one) for one in known}
    found = [(names.get(who, who), counts[0][who], counts[1][who]) for who in {*counts[0], *counts[1]}]
    return sorted(found, key=lambda one: (-max(one[1:]), one[0]))


def _hours(now: dict[str, Any], then: dict[str, Any], zone: str) -> list[tuple[str, int, int]]:
    """Pushes by the hour of the reader's day, before and after; hours without any are left out."""
    counts = []
    for half in (now, then):
        hours: Counter[int] = Counter()
        for one in half["by_hour"]:
            hours[datetime.fromisoformat(one["from"]).astimezone(ZoneInfo(zone)).hour] += one["pushes"]
        counts.append(hours)
    told = [hour for hour in range(24) if counts[0][hour] or counts[1][hour]]
    return [(f"{hour:02}–{(hour + 1) % 24:02}", counts[0][hour], counts[1][hour]) for hour in told]
