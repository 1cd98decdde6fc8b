"""Who is on duty when: the org's week, somebody's hours, handing one's rooms over."""

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from alerts.handovers import hand_over_rooms
from console.pages.access import orgs_seen, sent_back, signed_in, signed_in_user
from console.pages.duty.forms import WeekForm, local_time, read_local, read_week, week_of
from console.pages.duty.query import DAYS, duty_week
from console.pages.duty.words import wall_clock, week_words
from console.text.org_names import twin_orgs
from orgs import clock
from orgs.auth import leads
from orgs.clock import time_mark
from orgs.duty.written import day_texts
from orgs.duty_changes import HANDOVER_MINUTES, business_hours_of
from orgs.models import Assignment, Org, User


def duty_url(name: str, org: Org, **more: str) -> str:
    """The address of a page of duty, of this org."""
    return f"{reverse(name)}?{urlencode({'org': org.external_id, **more})}"


def org_asked_for(request: HttpRequest, named: str | None) -> Org | None:
    """The org that is named, else the first that this person sees; None for nobody's. Raises Http404."""
    orgs = orgs_seen(request)
    if not named:
        return orgs[0] if orgs else None
    found = next((org for org in orgs if org.external_id == named), None)
    if found is None:
        raise Http404
    return found


def has_role(me: User, org: Org) -> bool:
    """Whether this person has a role in the org; a specialist may have none."""
    return Assignment.objects.filter(org=org, user=me).exists()


@require_safe
@signed_in
def duty(request: HttpRequest) -> HttpResponse:
    """`/duty?org=&from=`: seven days, from today or the day that is named."""
    me, now = signed_in_user(request), clock.now()
    org = org_asked_for(request, request.GET.get("org"))
    if org is None:
        return render(request, "pages/duty/duty.html", {"page": "duty", "week": None})
    first = _day(request.GET.get("from", ""))
    week = duty_week(org, first, now)
    led = org.pk in leads(me)
    context: dict[str, Any] = {
        "page": "duty",
        "orgs": orgs_seen(request),
        "org_shown": org,
        "week": week,
        "rows": [(row, _edits(row, org, me, led)) for row in week.rows],
        "now": now,
        "leads": led,
        "may_hand_over": has_role(me, org),
        "minutes": HANDOVER_MINUTES,
        "before_url": duty_url("duty", org, **{"from": str(week.first - timedelta(days=DAYS))}),
        "after_url": duty_url("duty", org, **{"from": str(week.first + timedelta(days=DAYS))}),
        "now_url": duty_url("duty", org) if first else "",
        "calendar_url": duty_url("duty_calendar", org),
        "mine_url": duty_url("duty_mine", org),
    }
    return render(request, "pages/duty/duty.html", context)


def _edits(row: Any, org: Org, me: User, led: bool) -> str:
    """Where this person edits the row; empty: they may not."""
    if row.assignment_id is None:
        return ""
    if led:
        return reverse("duty_hours", args=[row.assignment_id])
    return duty_url("duty_mine", org) if row.shift.user_id == me.pk else ""


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year <= 2999 else None


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def duty_hours(request: HttpRequest, assignment_id: int) -> HttpResponse:
    """`/duty/hours/{assignment}`: somebody's week, holidays and absence. For leads and specialists."""
    me = signed_in_user(request)
    held = Assignment.objects.select_related("org", "role", "user").filter(pk=assignment_id).first()
    if held is None:
        raise Http404
    if held.org_id not in leads(me):
        raise PermissionDenied
    back = duty_url("duty", held.org)
    if request.method == "POST":
        form = _read_hours(request, held)
        if form.is_valid:
            Assignment.objects.filter(pk=held.pk).update(duty=form.hours, away_until=form.away_at)
            messages.success(request, _("Saved."))
            return redirect(back)
    else:
        form = week_of(held.duty)
        form.away_until = local_time(held.away_until, held.org.zone)
    week = week_context(_("Hours of the week"), held.org)
    context = {"page": "duty", "held": held, "form": form, "back": back, **week}
    return render(request, "pages/duty/hours.html", context, status=200 if form.is_valid else 422)


def week_context(title: str, org: Org | None = None) -> dict[str, Any]:
    """What templates/pages/duty/_week.html needs beside its form. `org`: whose business hours are shown behind it."""
    usual = day_texts(business_hours_of(org), time_mark()) if org else []
    return {"week_title": title, "week_words": {**week_words(), "usual": usual}}


def _read_hours(request: HttpRequest, held: Assignment) -> WeekForm:
    form = read_week(request.POST)
    form.away_until = request.POST.get("away_until", "")
    try:
        form.away_at = read_local(form.away_until, held.org.zone)
    except ValueError:
        form.errors["away_until"] = _("This is no day and time.")
    if form.always and form.is_valid and _differs(form.hours, held.duty):
        form.errors["always"] = _("You wrote hours too. Choose “At these hours” to keep them, or empty them.")
    elif form.always:
        form.hours = []
    elif form.is_valid and not form.hours:
        form.errors["always"] = _("Choose at least one hour, or “Always on duty”: without hours they would be always.")
    if not form.holidays and form.is_valid:
        form.hours = _as_before(form.hours, held.duty)
    return form


def _differs(hours: list[dict[str, Any]], before: list[dict[str, Any]]) -> bool:
    """Whether hours were written that did not stand there before."""
    return bool(hours) and day_texts(hours, time_mark()) != day_texts(before, time_mark())


def _as_before(hours: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each interval goes by holidays as it did, new ones do not. Days that differ in it stand apart."""
    off = {(day, one["from"], one["to"]) for one in before if one.get("holidays") == "off" for day in one["days"]}
    made = []
    for one in hours:
        free = [day for day in one["days"] if (day, one["from"], one["to"]) in off]
        usual = [day for day in one["days"] if day not in free]
        made += [one | {"days": usual}] if usual else []
        made += [one | {"days": free, "holidays": "off"}] if free else []
    return made


@require_POST
@signed_in
def duty_hand_over(request: HttpRequest) -> HttpResponse:
    """`POST /duty/hand-over`: mine, for 30 or 60 minutes; then back to where it was asked."""
    me = signed_in_user(request)
    org = org_asked_for(request, request.POST.get("org"))
    minutes = next((n for n in HANDOVER_MINUTES if str(n) == request.POST.get("minutes")), None)
    if org is None or minutes is None or not has_role(me, org):
        raise Http404
    made, released = hand_over_rooms(org, me, minutes, clock.now())
    until = wall_clock(made.ends_at, org.zone)
    said = ngettext(
        "You are told of nothing until {time}; {n} alert went back to your tier.",
        "You are told of nothing until {time}; {n} alerts went back to your tier.",
        released,
    )
    seen = orgs_seen(request)
    of = f"{twin_orgs(seen).get(org.external_id, org.name)}: " if len(seen) > 1 else ""  # the others go on telling
    messages.success(request, of + said.format(time=until, n=released))
    return sent_back(request, request.POST.get("next", ""), duty_url("duty", org))
