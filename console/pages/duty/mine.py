"""One's own duty: away until, quiet hours, the calendar that one's phone subscribes to."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from console.pages.access import sent_back, signed_in, signed_in_user
from console.pages.duty.forms import WeekForm, local_time, read_local, read_week, week_of
from console.pages.duty.view import duty_url, has_role, org_asked_for, week_context
from orgs import clock
from orgs.duty.hours import normal_hours
from orgs.duty_changes import end_handover, quiet_hours_of, set_quiet_hours
from orgs.duty_feeds import make_feed, revoke_feeds
from orgs.models import Assignment, DutyFeed, Handover, Org, User


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def duty_mine(request: HttpRequest) -> HttpResponse:
    """`/duty/mine?org=`: of the person who is signed in. `act` of a POST: away, quiet, feed, unfeed, back."""
    me = signed_in_user(request)
    org = org_asked_for(request, request.POST.get("org") or request.GET.get("org"))
    if org is None or (request.method == "POST" and not has_role(me, org)):
        raise Http404
    form, url = week_of(quiet_hours_of(org, me)), ""
    if request.method == "POST":
        act = request.POST.get("act")
        if act == "quiet":
            form = read_week(request.POST)
        elif act == "feed":
            url = make_feed(org, me, clock.now())[1]
        if form.is_valid and not url and _did(request, act or "", org, me, form):
            return sent_back(request, request.POST.get("next", ""), duty_url("duty_mine", org))
    context = _context(org, me, form) | {"url": url}
    response = render(request, "pages/duty/mine.html", context, status=200 if form.is_valid else 422)
    response["Referrer-Policy"] = "no-referrer"
    return response


def _context(org: Org, me: User, form: WeekForm) -> dict[str, Any]:
    now = clock.now()
    held = Assignment.objects.filter(org=org, user=me)
    away = max((one.away_until for one in held if one.away_until and one.away_until > now), default=None)
    handed = Handover.objects.filter(org=org, user=me, starts_at__lte=now, ends_at__gt=now).order_by("-ends_at").first()
    form.away_until = form.away_until or local_time(away, org.zone)
    return {
        "page": "duty",
        "org": org,
        "now": now,
        "form": form,
        "away": away,
        "handed": handed,
        "has_role": bool(held),
        "feeds": DutyFeed.objects.filter(org=org, user=me, revoked_at=None).order_by("-pk"),
        "back": duty_url("duty", org),
        "org_shown": org,
        **week_context(_("Quiet hours"), org),
    }


def _did(request: HttpRequest, act: str, org: Org, me: User, form: WeekForm) -> bool:
    """Do it and say so; False: what was sent is wrong, which the form says."""
    now = clock.now()
    if act == "away":
        form.away_until = request.POST.get("away_until", "")
        try:
            until = read_local(form.away_until, org.zone)
        except ValueError:
            form.errors["away_until"] = _("This is no day and time.")
            return False
        Assignment.objects.filter(org=org, user=me).update(away_until=until)
    elif act == "quiet":
        set_quiet_hours(org, me, normal_hours([_plain(one) for one in form.hours]))
    elif act == "unfeed":
        revoke_feeds(org, me, now)
        messages.success(request, _("Your calendars of this org are revoked."))
        return True
    elif act == "back":
        end_handover(org, me, now)
        Assignment.objects.filter(org=org, user=me).update(away_until=None)
        messages.success(request, _("You are back: you are told of alerts again."))
        return True
    else:
        raise Http404
    messages.success(request, _("Saved."))
    return True


def _plain(one: dict[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("days", "from", "to")}
