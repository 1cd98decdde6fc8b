"""Reach: every production agent, who backs it up, whether a push reaches them, and tests of it."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from alerts.delivery.outbox import send_test_push, send_test_round
from alerts.delivery.tokens import AskedJustNow, OthersAsk, ask_on_demand
from alerts.models import Push
from alerts.present import add_absences
from alerts.reach import AgentReach, add_entered, coverage_of, production_agents, reach_of
from console.pages.access import orgs_seen, signed_in, signed_in_user
from console.pages.duty.query import gaps_of_agents
from console.pages.reach import query, words
from console.pages.reach.query import ReachFilters
from console.text.hops import Chain, chain
from orgs import clock, spreadsheet
from orgs.auth import leads, of_orgs
from orgs.models import Assignment, Org, User
from orgs.rosters import rosters_of

TEST_SHOWN = timedelta(hours=1)
TIER = 1


@require_safe
@signed_in
def reach(request: HttpRequest) -> HttpResponse:
    """`/reach`: the agents by tab and org, the worst first."""
    me, now, filters = signed_in_user(request), clock.now(), query.reach_filters(request.GET)
    led, orgs = leads(me), orgs_seen(request)
    everything = reach_of(production_agents(), rooms=False)
    request.reach = coverage_of(everything)  # type: ignore[attr-defined]
    found = [one for one in everything if filters.org in ("", one.agent.org.external_id)]
    phones = coverage_of(found)
    rosters = rosters_of({one.agent.org_id for one in everything}, now)
    add_absences(everything, rosters, now)
    chosen = query.matching_agents(found, filters.tab)
    shown = query.fitting(chosen, filters.limit)
    add_entered(shown)
    off_duty = gaps_of_agents([one.agent for one in shown], rosters, now)
    asked = [person.user.push_tokens_at for one in found for person in one.supervisors]
    context = {
        "page": "reach",
        "now": now,
        "filters": filters,
        "orgs": orgs,
        "org_shown": next((org for org in orgs if org.external_id == filters.org), None),
        "coverage": coverage_of(found),
        "phones": phones,
        "tiles": [(tile, filters.url(org=tile.org.external_id, limit=0)) for tile in query.org_tiles(everything)],
        "nobody": words.nobody_sentence(found),
        "checked": max((at for at in asked if at is not None), default=None),
        "tabs": _tabs(found, filters),
        "groups": query.groups(shown, led, me, _tests(now), off_duty, now),
        "rest": chosen[len(shown) :],
        "more_url": filters.url(limit=filters.limit * 2),
        "all_url": filters.url(tab=""),
        "csv_url": reverse("reach_csv") + filters.url(limit=0).rstrip("?"),
        "disputes": query.found_disputes([org.pk for org in orgs if filters.org in ("", org.external_id)], now),
        "may_test": bool(led),
    }
    return render(request, "pages/reach/reach.html", context)


def _tabs(found: list[AgentReach], filters: ReachFilters) -> list[dict[str, Any]]:
    names = {"all": _("All"), "nobody": _("Nobody"), "one": _("Only one")}
    return [
        {
            "title": names[tab],
            "url": filters.url(tab=tab, limit=0),
            "count": len(query.matching_agents(found, tab)),
            "current": tab == filters.tab,
            "hot": tab == "nobody",
        }
        for tab in query.TABS
    ]


def _tests(now: datetime) -> dict[tuple[int, int], Chain]:
    """(org, person) -> the newest test push of the last hour."""
    rows = (
        Push.objects.filter(kind=Push.Kind.TEST, planned_at__gt=now - TEST_SHOWN)
        .select_related("supervisor")
        .order_by("org_id", "supervisor_id", "-planned_at")
        .distinct("org_id", "supervisor_id")
    )
    return {(push.org_id, push.supervisor_id): chain(push, timezone.get_current_timezone_name(), now) for push in rows}


# --- CSV -------------------------------------------------------------------------------------------------------------


class StreamedCsv(StreamingHttpResponse):
    """Sends each line as soon as it is made; under ASGI Django would collect them all first."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts: Iterator[bytes] = iter(self.streaming_content)  # type: ignore[arg-type]
        while part := await sync_to_async(lambda: next(parts, b""))():
            yield part


@require_safe
@signed_in
def export_reach(request: HttpRequest) -> StreamingHttpResponse:
    """`/reach.csv`: all agents that pass the page's filters."""
    filters, now = query.reach_filters(request.GET), clock.now()
    found = reach_of(_agents_of(filters.org))
    add_absences(found, rosters_of({one.agent.org_id for one in found}, now), now)
    content = query.lines(query.matching_agents(found, filters.tab))
    return StreamedCsv(content, content_type=spreadsheet.TYPE, headers=spreadsheet.attachment("reach.csv"))


def _agents_of(org: str) -> Any:
    agents = production_agents().order_by("org__name", "name")
    return agents.filter(org__external_id=org) if org else agents


# --- asking ----------------------------------------------------------------------------------------------------------


@require_POST
@signed_in
def ask(request: HttpRequest) -> HttpResponse:
    """`POST /reach/ask`: how many phones these people have, asked of notification-service now."""
    me, filters = signed_in_user(request), query.reach_filters(request.POST)
    held = Assignment.objects.filter(user__is_active=True)
    held = held.filter(org__external_id=filters.org) if filters.org else held
    try:
        answered = ask_on_demand(me, User.objects.filter(pk__in=held.values("user")))
    except AskedJustNow:
        messages.info(request, _("Asked less than 30 s ago: the page shows the answer."))
    except OthersAsk:
        messages.info(request, _("Other people are asking right now. Try again in a few seconds."))
    else:
        if answered:
            text = ngettext("Asked about the phones of {n} person.", "Asked about the phones of {n} people.", answered)
            messages.success(request, text.format(n=answered))
        else:
            messages.warning(request, _("notification-service gave no answer: the phones are as they were."))
    return redirect(reverse("reach") + filters.url())


# --- tests -----------------------------------------------------------------------------------------------------------


@require_POST
@signed_in
def test_round(request: HttpRequest) -> HttpResponse:
    """`POST /reach/test`: a test push to everybody on tier 1 of the orgs that I look after."""
    me, filters = signed_in_user(request), query.reach_filters(request.POST)
    led = leads(me)
    found = reach_of(of_orgs(_agents_of(filters.org), led))
    people = [
        (one.agent.org, supervisor.user)
        for one in found
        for supervisor in one.supervisors
        if supervisor.tier == TIER and supervisor.user.is_active
    ]
    made, left = send_test_round(people, me)
    _say_tested(request, len(made), left)
    return redirect(reverse("reach") + filters.url())


def _say_tested(request: HttpRequest, made: int, left: int) -> None:
    if not made:
        messages.info(request, _("No test sent: everybody on tier 1 was tested less than 30 s ago."))
        return
    said = ngettext("{n} test is on its way.", "{n} tests are on their way.", made).format(n=made)
    if left:
        more = ngettext("{n} more person waits: press again.", "{n} more people wait: press again.", left)
        said = f"{said} {more.format(n=left)}"
    messages.success(request, said)


@require_POST
@signed_in
def test_push(request: HttpRequest, sso_id: str) -> HttpResponse:
    """`POST /reach/<sso_id>/test-push`: for leads and specialists, and for everybody to themselves.

    `org` says in which org, where there are several.
    """
    me = signed_in_user(request)
    user, org = _target(me, sso_id, request.POST.get("org", ""))
    push = send_test_push(org, user, me)
    if not request.headers.get("HX-Request"):
        return redirect("reach")
    return _hops(request, push)


def _target(me: User, sso_id: str, org: str = "") -> tuple[User, Org]:
    led = leads(me)
    held = Assignment.objects.filter(user__sso_id=sso_id, user__is_active=True).select_related("user", "org")
    held = held.filter(org__external_id=org) if org else held
    for row in held.order_by("role__tier", "org__name"):
        if row.user_id == me.pk or row.org_id in led:
            return row.user, row.org
    raise Http404


@require_safe
@signed_in
def test_hops(request: HttpRequest, sso_id: str, push_id: UUID) -> HttpResponse:
    """The hop chain of a test push; the page asks again until it ends."""
    tests = Push.objects.filter(pk=push_id, supervisor__sso_id=sso_id, kind=Push.Kind.TEST)
    found = tests.select_related("supervisor", "org").first()
    if found is None:
        raise Http404
    _target(signed_in_user(request), sso_id, found.org.external_id)
    return _hops(request, found)


def _hops(request: HttpRequest, push: Push) -> HttpResponse:
    now = clock.now()
    hops = chain(push, timezone.get_current_timezone_name(), now)
    return render(request, "pages/reach/_test_push.html", {"chain": hops, "now": now})
