"""The org's calendar: business hours, holidays, temporary schedules. For leads and specialists."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from console.pages.access import looked_after, signed_in, signed_in_user
from console.pages.duty.forms import read_days, read_local, read_week, week_of
from console.pages.duty.view import duty_url, org_asked_for, week_context
from orgs import clock
from orgs.duty.hours import HoursInvalid, normal_hours
from orgs.duty.written import read_hours, written_hours
from orgs.duty_changes import StandIn, add_schedule, business_hours_of, set_business_hours, set_holidays
from orgs.models import Holiday, Org, SupervisorRole, TemporaryDuty, TemporarySchedule, User
from orgs.public_holidays import copy_holidays

SHOWN = 50  # schedules


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def duty_calendar(request: HttpRequest) -> HttpResponse:
    """`/duty/calendar?org=`; `act` of a POST: hours, holidays, copy, schedule, unschedule."""
    led = looked_after(signed_in_user(request))
    org = org_asked_for(request, request.POST.get("org") or request.GET.get("org"))
    if org is None:
        raise Http404
    if org.pk not in led:
        raise PermissionDenied
    errors: dict[str, str] = {}
    if request.method == "POST":
        errors = _act(request.POST, org)
        if not errors:
            messages.success(request, _("Saved."))
            return redirect(duty_url("duty_calendar", org))
    return render(request, "pages/duty/calendar.html", _context(request, org, errors), status=422 if errors else 200)


def _context(request: HttpRequest, org: Org, errors: dict[str, str]) -> dict[str, Any]:
    act = request.POST.get("act")
    days = Holiday.objects.filter(org=org)
    written = "\n".join(f"{one.date} {one.name}".strip() for one in days)
    rows = TemporarySchedule.objects.filter(org=org, ends_at__gt=clock.now()).order_by("starts_at")[:SHOWN]
    return {
        "page": "duty",
        "org": org,
        "now": clock.now(),
        "errors": errors,
        "sent": request.POST,
        "form": read_week(request.POST) if act == "hours" else week_of(business_hours_of(org)),
        "holidays": request.POST.get("holidays_text", "") if act == "holidays" else written,
        "years": _years(org),
        "schedules": [(one, _stand_ins(one)) for one in rows],
        "roles": SupervisorRole.objects.filter(org=org),
        "people": User.objects.filter(assignments__org=org, assignments__pending=False, is_active=True)
        .distinct()
        .order_by("name"),
        "chosen": request.POST.getlist("person") if act == "schedule" else [],
        "back": duty_url("duty", org),
        "org_shown": org,
        **week_context(_("Business hours")),
    }


def _stand_ins(one: TemporarySchedule) -> list[tuple[TemporaryDuty, str]]:
    rows = TemporaryDuty.objects.filter(schedule=one).select_related("role", "user")
    return [(row, written_hours(row.duty) if row.duty else _("always")) for row in rows.order_by("role__tier", "pk")]


def _act(sent: QueryDict, org: Org) -> dict[str, str]:
    """Do it; what is wrong with what was sent, by field."""
    act = sent.get("act")
    if act == "hours":
        form = read_week(sent)
        if not form.is_valid:
            return {"hours": _("A day cannot be read.")}
        set_business_hours(org, normal_hours([{k: one[k] for k in ("days", "from", "to")} for one in form.hours]))
    elif act == "holidays":
        try:
            set_holidays(org, read_days(sent.get("holidays_text", "")))
        except ValueError as wrong:
            return {"holidays_text": str(wrong)}
    elif act == "copy":
        year = next((year for year in _years(org) if str(year) == sent.get("year")), None)
        if year is None:
            raise Http404
        copy_holidays(org, [year])
    elif act == "schedule":
        return _add(sent, org)
    elif act == "unschedule":
        number = sent.get("schedule", "")
        known = number.isascii() and number.isdecimal() and len(number) < 18
        if not known or not TemporarySchedule.objects.filter(org=org, pk=int(number)).delete()[0]:
            raise Http404
    else:
        raise Http404
    return {}


def _years(org: Org) -> list[int]:
    """Whose holidays can be copied: this year's and the next's."""
    this = clock.now().astimezone(ZoneInfo(org.zone)).year
    return [this, this + 1]


def _add(sent: QueryDict, org: Org) -> dict[str, str]:
    errors: dict[str, str] = {}
    times = {name: _time(sent.get(name, ""), org, name, errors) for name in ("begins", "ends")}
    begins, ends = times["begins"], times["ends"]
    if begins and ends and ends <= begins:
        errors["ends"] = _("It ends before it begins.")
    role = SupervisorRole.objects.filter(org=org, name=sent.get("role", "").replace("\0", "")).first()
    if role is None:
        errors["role"] = _("Choose a role.")
    named = [one.replace("\0", "") for one in sent.getlist("person")]
    assigned = User.objects.filter(assignments__org=org, assignments__pending=False, is_active=True)
    people = list(assigned.filter(sso_id__in=named).distinct())
    if not people:
        errors["person"] = _("Choose at least one person.")
    hours: list[dict[str, Any]] = []
    try:
        hours = read_hours(sent.get("hours", "").strip() or "always")
    except HoursInvalid as wrong:
        errors["duty"] = str(wrong)
    if not errors and role and begins and ends:
        add_schedule(org, begins, ends, [StandIn(role, one, hours) for one in people])
    return errors


def _time(text: str, org: Org, name: str, errors: dict[str, str]) -> datetime | None:
    try:
        at = read_local(text, org.zone)
    except ValueError:
        at = None
    if at is None:
        errors[name] = _("This is no day and time.")
    return at
