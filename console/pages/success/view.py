"""The success figures, per org and overall, and the things behind each of them."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from alerts import figures
from alerts.blind import blind_stretches
from alerts.figures import (
    COVERAGE,
    CountedFigures,
    Figure,
    ListedThing,
    Metric,
    Period,
    SharedFigures,
    Span,
    SuccessFigures,
)
from alerts.reach import AgentReach
from console.pages.access import orgs_seen, signed_in
from console.pages.success.waits import waits
from console.pages.success.words import (
    WORDS,
    card,
    comparison_words,
    counted,
    left_out,
    say_estimate,
    span_words,
    today,
)
from console.text.blind import Blindness, blindness, shades
from orgs import clock, spreadsheet
from orgs.auth import OrgIds, within
from orgs.clock import rfc3339
from orgs.identifiers import spelled
from orgs.models import Org
from orgs.paging import cut_page
from orgs.replica import replica

RANGES = (7, 30, 90)  # days
USUAL = 30
PAGE = 50
FIGURE_COLUMNS = ("org", "metric", "from", "to", "value", "n", "low", "high", "target", "baseline", "not_reached")
COVERED_COLUMNS = ("org", "agent", "outcome", "told", "reached")
ITEM_COLUMNS = ("at", "org", "room", "label", "agent", "outcome", "counted", "seconds", "alert")
shared_counts: SharedFigures[CountedFigures] = SharedFigures()
shared_outcomes: SharedFigures[Mapping[str, int]] = SharedFigures()


@dataclass(frozen=True)
class Asked:
    """What the address asks for. A text that is no day or range counts as not asked; a foreign org is a 404."""

    orgs: list[Org]  # all this person sees
    shown: list[Org]  # the figures are of these
    org: Org | None
    period: Period
    days: int | None  # a range that moves with the day; None: from and to were chosen
    now: datetime

    def query(self, **changes: Any) -> str:
        """The query of a page that shows the same tomorrow, with these changes."""
        values = {
            "org": self.org.external_id if self.org else "",
            "from": self.period.starts,
            "to": self.period.ends,
            **changes,
        }
        return "?" + urlencode({name: value for name, value in values.items() if value})


def _asked(request: HttpRequest) -> Asked:
    now = clock.now() - replica.reading().behind
    orgs = orgs_seen(request)
    asked = spelled(request.GET.get("org", ""))
    org = next((org for org in orgs if org.external_id == asked), None)
    if asked and org is None:
        raise Http404
    shown = [org] if org else orgs
    period, days = _period(request, shown, now)
    return Asked(orgs, shown, org, period, days, now)


def _period(request: HttpRequest, shown: list[Org], now: datetime) -> tuple[Period, int | None]:
    with suppress(ValueError):
        starts, ends = (date.fromisoformat(request.GET.get(name, "")) for name in ("from", "to"))
        return figures.period(starts, ends, now), None
    days = next((days for days in RANGES if str(days) == request.GET.get("days")), USUAL)
    tomorrow = today(now, timezone.get_current_timezone_name(), *{one.zone for one in shown}) + timedelta(days=1)
    return Period(tomorrow - timedelta(days=days), tomorrow), days


def _measured(asked: Asked) -> SuccessFigures:
    """What is counted is shared by all who see the same orgs; who is reached is asked each time."""
    zone = timezone.get_current_timezone_name()
    key = (asked.period, zone, *((org.pk, org.zone) for org in asked.shown))
    whole = (asked.shown, asked.period, zone, asked.now)
    return figures.measure(*whole, shared_counts.get(key, asked.now, lambda: figures.count_figures(*whole)))


def _frame(asked: Asked) -> dict[str, Any]:
    """What both pages show around their figures."""
    return {
        "asked": asked,
        "orgs": asked.orgs,
        "org_shown": asked.org,
        "span": span_words(asked.period.starts, asked.period.ends),
        "last_day": asked.period.ends - timedelta(days=1),
        "now": asked.now,
        "page": "success",
    }


# --- the figures -----------------------------------------------------------------------------------------------------


@require_safe
@signed_in
def success(request: HttpRequest) -> HttpResponse:
    """`/success`: a card for each figure, then a table of the orgs."""
    asked = _asked(request)
    measured = _measured(asked)
    blind, shaded = _blind(asked, measured)
    shown = [figure for figure in measured.overall if not figure.metric.same_as]
    widest_first = sorted(shown, key=lambda figure: not figure.metric.watched and figure.metric is not COVERAGE)
    behind = {figure.metric.name: reverse("success_behind", args=[figure.metric.name]) for figure in shown}
    org_asked = {"org": asked.org.external_id} if asked.org else {}
    context = _frame(asked) | {
        "cards": [card(figure, measured, asked.shown, shaded) for figure in widest_first],
        "waits": waits(measured.overall),
        "blind": blind,
        "ranges": [
            (ngettext("{n} day", "{n} days", n).format(n=n), "?" + urlencode(org_asked | {"days": n}), asked.days == n)
            for n in RANGES
        ],
        "names": [WORDS[figure.metric.name].short for figure in shown],
        "rows": [_row(org, measured.of_org[org.pk], asked, behind) for org in asked.shown]
        if len(asked.shown) > 1
        else [],
        "nobody": _unreached(asked, measured),
        "failed": bool(measured.baseline_ends),
        "frozen": request.build_absolute_uri(request.path + asked.query()),
    }
    return render(request, "pages/success/success.html", context)


def _unreached(asked: Asked, measured: SuccessFigures) -> list[AgentReach]:
    """The agents that reach nobody; looked for where the figure says that there are some."""
    unreached = {
        org
        for org, found in measured.of_org.items()
        if any(figure.metric is COVERAGE and figure.outcomes[COVERAGE.no] for figure in found)
    }
    covered = figures.coverage([org for org in asked.shown if org.pk in unreached]) if unreached else []
    return [one for one in covered if not one.reached]


def _blind(asked: Asked, measured: SuccessFigures) -> tuple[Blindness, list[tuple[float, float]]]:
    """When we could not see in the period, in days of the reader, and the same in steps of the charts."""
    zone = timezone.get_current_timezone_name()
    starts, ends = asked.period.window(zone)
    stretches = blind_stretches(OrgIds.of(org.pk for org in asked.shown), starts, min(ends, asked.now))
    blind = blindness(stretches, starts, min(ends, asked.now), asked.now, zone, of_orgs=len(asked.shown) > 1)
    return blind, shades(blind.spans, starts, timedelta(days=asked.period.width))


def _row(org: Org, found: list[Figure], asked: Asked, behind: Mapping[str, str]) -> dict[str, Any]:
    """`behind`: where the things of a metric are listed, by its name."""
    url = asked.query(org=org.external_id)
    cells = [
        {
            "name": WORDS[figure.metric.name].short,
            "url": behind[figure.metric.name] + url,
            "said": say_estimate(figure.metric, figure.now),
            "n": figure.now.n,
            "verdict": comparison_words(figure) if figure.metric.target is not None else None,
        }
        for figure in found
        if not figure.metric.same_as
    ]
    return {"org": org, "cells": cells, "url": url}


@require_safe
@signed_in
def success_csv(request: HttpRequest) -> HttpResponse:
    """`/success.csv`: the figures of the page: the orgs together, each org, and the points of the trends."""
    asked = _asked(request)
    lines = map(spreadsheet.line, [FIGURE_COLUMNS, *_figure_rows(asked, _measured(asked))])
    headers = spreadsheet.attachment(f"success-{asked.period.starts}-{asked.period.ends}.csv")
    return HttpResponse([spreadsheet.BOM, *lines], content_type=spreadsheet.TYPE, headers=headers)


def _figure_rows(asked: Asked, measured: SuccessFigures) -> Iterator[tuple[object, ...]]:
    whole = (asked.period.starts, asked.period.ends)
    together = asked.org.external_id if asked.org else None
    for figure in measured.overall:
        yield _figure_row(together, figure, whole, figure.now)
    if asked.org is None:
        for org in asked.shown:
            for figure in measured.of_org[org.pk]:
                yield _figure_row(org.external_id, figure, whole, figure.now)
    for figure in measured.overall:
        for day, point in zip(measured.points, figure.trend, strict=False):
            yield _figure_row(together, figure, (day, day + timedelta(days=asked.period.width)), point)


def _figure_row(
    org: str | None, figure: Figure, stretch: tuple[date, date], estimate: figures.Estimate
) -> tuple[object, ...]:
    known = (estimate.value, estimate.n, estimate.low, estimate.high)
    not_reached = "yes" if estimate.not_reached else "no"
    return (org, figure.metric.name, *stretch, *known, figure.metric.target, figure.baseline.value, not_reached)


# --- what is behind one ----------------------------------------------------------------------------------------------


@require_safe
@signed_in
def behind(request: HttpRequest, metric: str) -> HttpResponse:
    """`/success/<metric>`: every thing the figure counted, and every one it did not, with the reason."""
    asked, found = _asked(request), _metric(metric)
    context = _frame(asked) | {"metric": found, "words": WORDS[found.name]}
    if found is COVERAGE:
        covered = figures.coverage(asked.shown)
        context |= {"covered": sorted(covered, key=lambda one: bool(one.reached)), "total": len(covered)}
        return render(request, "pages/success/coverage.html", context)
    return render(request, "pages/success/behind.html", context | _list(request, asked, found))


def _metric(name: str) -> Metric:
    if name not in figures.BY_NAME:
        raise Http404
    return figures.BY_NAME[name]


def _list(request: HttpRequest, asked: Asked, metric: Metric) -> dict[str, Any]:
    span = figures.span_of(asked.shown, asked.period, asked.now)
    key = (metric.name, *span.rows)
    outcomes = shared_outcomes.get(key, asked.now, lambda: figures.count_metric(metric, span))
    words = WORDS[metric.name].outcomes
    outcome = request.GET.get("outcome", "")
    outcome = outcome if outcome in words else ""
    tabs: list[tuple[str, Promise | str, int]] = [("", _("All"), sum(outcomes.values()))]
    tabs += [(code, one.name, outcomes[code]) for code, one in words.items() if code in outcomes]
    place = figures.THINGS.place(request.GET.get("cursor", ""))
    found = cut_page(figures.THINGS, place, PAGE, partial(figures.nearest, metric, span, outcome))
    return {
        "deleted": figures.listable(span).rows != span.rows,
        "tabs": [
            {"title": title, "n": n, "url": asked.query(outcome=code), "current": code == outcome}
            for code, title, n in tabs
        ],
        "items": [{"item": item, "outcome": words[item.outcome]} for item in found.rows],
        "counted": counted(metric, sum(outcomes.get(code, 0) for code in metric.counted)),
        "left_out": left_out(metric, outcomes),
        "timed": bool(metric.watched),
        "newer": asked.query(outcome=outcome, cursor=found.previous) if found.previous else "",
        "older": asked.query(outcome=outcome, cursor=found.next) if found.next else "",
    }


@require_safe
@signed_in
def behind_csv(request: HttpRequest, metric: str) -> HttpResponseBase:
    """`/success/<metric>.csv`: the list as a file, sent a day at a time so that a long one needs little memory."""
    asked, found = _asked(request), _metric(metric)
    headers = spreadsheet.attachment(f"{found.name}-{asked.period.starts}-{asked.period.ends}.csv")
    if found is COVERAGE:
        lines = map(spreadsheet.line, [COVERED_COLUMNS, *map(_covered_row, figures.coverage(asked.shown))])
        return HttpResponse([spreadsheet.BOM, *lines], content_type=spreadsheet.TYPE, headers=headers)
    span = figures.span_of(asked.shown, asked.period, asked.now)
    lines_later = _lines(found, span, request.org_ids)  # type: ignore[attr-defined]
    return StreamingHttpResponse(lines_later, content_type=spreadsheet.TYPE, headers=headers)


def _covered_row(one: AgentReach) -> tuple[object, ...]:
    people = [", ".join(person.sso_id for person in group) for group in (one.told, one.reached)]
    return (one.agent.org.external_id, one.agent.name, one.outcome, *people)


async def _lines(metric: Metric, span: Span, org_ids: OrgIds) -> AsyncIterator[str]:
    yield spreadsheet.BOM + spreadsheet.line(ITEM_COLUMNS)
    for day in figures.days(span):
        yield await sync_to_async(_lines_of)(metric, day, org_ids)


def _lines_of(metric: Metric, day: Span, org_ids: OrgIds) -> str:
    """The request has left its own scope by now: this enters it, and gives its connection back."""
    try:
        with within(org_ids):
            return "".join(spreadsheet.line(_item_row(metric, item)) for item in figures.items(metric, day))
    finally:
        if not connection.in_atomic_block:
            close_old_connections()


def _item_row(metric: Metric, item: ListedThing) -> tuple[object, ...]:
    where = (item.org_id, item.room_id, item.room_label, item.agent_name)
    is_counted = "yes" if item.outcome in metric.counted else "no"
    return (rfc3339(item.at), *where, item.outcome, is_counted, item.seconds, item.alert_id)
