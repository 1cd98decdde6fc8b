"""What success is, in figures: per org and overall, and the alerts behind each of them."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from alerts import figures
from alerts.figures import COVERAGE, BadPeriod, Figure, ListedThing, Metric, Period, Span, SuccessFigures
from console.pages.access import signed_in
from console.pages.success.words import (
    WORDS,
    OutcomeWords,
    card,
    comparison_words,
    counted,
    left_out,
    say,
    span_words,
    today,
)
from console.text import spreadsheet
from orgs import clock
from orgs.api import rfc3339
from orgs.auth import OrgIds, orgs_of, within
from orgs.identifiers import spelled
from orgs.incoming import bounded_number
from orgs.models import Org

RANGES = (7, 30, 90)  # days
USUAL = 30
PAGE = 50
MOST_PAGES = 10_000
FIGURE_COLUMNS = ("org", "metric", "from", "to", "value", "n", "low", "high", "target", "baseline")
ITEM_COLUMNS = ("at", "org", "room", "label", "agent", "outcome", "counted", "seconds", "alert")


@dataclass(frozen=True)
class Asked:
    """What the address asks for. What is no day or no range counts as not asked; a foreign org is not there."""

    orgs: list[Org]  # all this person sees
    shown: list[Org]  # the figures are of these
    org: Org | None
    period: Period
    days: int | None  # a range that moves with the day; None: from and to were chosen
    now: datetime

    @property
    def starts(self) -> date:
        return self.period.starts

    @property
    def ends(self) -> date:
        return self.period.ends

    def query(self, **changes: Any) -> str:
        """The same as an address that stays what it is tomorrow, some of it changed."""
        values = {"org": self.org.external_id if self.org else "", "from": self.starts, "to": self.ends, **changes}
        return "?" + urlencode({name: value for name, value in values.items() if value})


def _asked(request: HttpRequest) -> Asked:
    now = clock.now()
    orgs = orgs_of(request.org_ids)  # type: ignore[attr-defined]
    asked = spelled(request.GET.get("org", ""))
    org = next((org for org in orgs if org.external_id == asked), None)
    if asked and org is None:
        raise Http404
    period, days = _period(request, now)
    return Asked(orgs, [org] if org else orgs, org, period, days, now)


def _period(request: HttpRequest, now: datetime) -> tuple[Period, int | None]:
    starts, ends = _day(request, "from"), _day(request, "to")
    if starts and ends:
        try:
            return figures.period(starts, ends, now), None
        except BadPeriod:
            pass
    days = next((days for days in RANGES if str(days) == request.GET.get("days")), USUAL)
    tomorrow = today(now, timezone.get_current_timezone_name()) + timedelta(days=1)
    return Period(tomorrow - timedelta(days=days), tomorrow), days


def _day(request: HttpRequest, name: str) -> date | None:
    try:
        return date.fromisoformat(request.GET.get(name, ""))
    except ValueError:
        return None


def _measured(asked: Asked) -> SuccessFigures:
    return figures.measure(asked.shown, asked.period, timezone.get_current_timezone_name(), asked.now)


def _frame(asked: Asked) -> dict[str, Any]:
    """What both pages show around their figures."""
    return {
        "asked": asked,
        "orgs": asked.orgs,
        "span": span_words(asked.starts, asked.ends),
        "last_day": asked.ends - timedelta(days=1),
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
    context = _frame(asked) | {
        "cards": [card(figure, measured, asked.shown) for figure in measured.overall],
        "ranges": _ranges(asked),
        "names": [words.short for words in WORDS.values()],
        "rows": [_row(org, measured.of_org[org.pk], asked) for org in asked.shown] if len(asked.shown) > 1 else [],
        "nobody": [one for one in figures.coverage(asked.shown) if not one.reached],
        "failed": bool(measured.baseline_ends),
        "frozen": request.build_absolute_uri(request.path + asked.query()),
    }
    return render(request, "pages/success/success.html", context)


def _ranges(asked: Asked) -> list[tuple[str, str, bool]]:
    """Title, address, whether it is the one."""
    org = {"org": asked.org.external_id} if asked.org else {}
    return [
        (
            ngettext("{n} day", "{n} days", days).format(n=days),
            "?" + urlencode(org | {"days": days}),
            asked.days == days,
        )
        for days in RANGES
    ]


def _row(org: Org, found: list[Figure], asked: Asked) -> dict[str, Any]:
    cells = [
        {
            "name": WORDS[figure.metric.name].short,
            "metric": figure.metric.name,
            "said": say(figure.metric, figure.now.value),
            "n": figure.now.n,
            "verdict": comparison_words(figure) if figure.metric.target is not None else None,
            "url": asked.query(org=org.external_id),
        }
        for figure in found
    ]
    return {"org": org, "cells": cells, "url": asked.query(org=org.external_id)}


@require_safe
@signed_in
def success_csv(request: HttpRequest) -> HttpResponse:
    """`/success.csv`: the figures of the page: the orgs together, each org, and the points of the trends."""
    asked = _asked(request)
    lines = [
        spreadsheet.line(FIGURE_COLUMNS),
        *(spreadsheet.line(cells) for cells in _figure_rows(asked, _measured(asked))),
    ]
    headers = spreadsheet.attachment(f"success-{asked.starts}-{asked.ends}.csv")
    return HttpResponse([spreadsheet.BOM, *lines], content_type=spreadsheet.TYPE, headers=headers)


def _figure_rows(asked: Asked, measured: SuccessFigures) -> Iterator[tuple[object, ...]]:
    whole = (asked.starts, asked.ends)
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
    return (org, figure.metric.name, *stretch, *known, figure.metric.target, figure.baseline.value)


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
    outcomes = figures.count_metric(metric, span)
    words = WORDS[metric.name].outcomes
    outcome = request.GET.get("outcome", "")
    outcome = outcome if outcome in words else ""
    page = bounded_number(request.GET.get("page", ""), 1, MOST_PAGES)
    found = figures.items(metric, span, outcome, PAGE + 1, PAGE * (page - 1))
    kept: dict[str, Any] = {"outcome": outcome}
    return {
        "tabs": [_tab(asked, "", _("All"), sum(outcomes.values()), outcome)]
        + [
            _tab(asked, code, str(one.name), outcomes[code], outcome) for code, one in words.items() if code in outcomes
        ],
        "items": [_shown(item, words) for item in found[:PAGE]],
        "counted": counted(metric, sum(outcomes.get(code, 0) for code in metric.counted)),
        "left_out": left_out(metric, outcomes),
        "timed": not metric.no,
        "newer": asked.query(**kept, page=page - 1 if page > 2 else "") if page > 1 else "",
        "older": asked.query(**kept, page=page + 1) if len(found) > PAGE else "",
    }


def _tab(asked: Asked, code: str, title: str, n: int, current: str) -> dict[str, Any]:
    return {"title": title, "n": n, "url": asked.query(outcome=code), "current": code == current}


def _shown(item: ListedThing, words: Mapping[str, OutcomeWords]) -> dict[str, Any]:
    return {"item": item, "outcome": words[item.outcome]}


@require_safe
@signed_in
def behind_csv(request: HttpRequest, metric: str) -> HttpResponseBase:
    """`/success/<metric>.csv`: the list as a file, sent a day at a time so that a long one needs little memory."""
    asked, found = _asked(request), _metric(metric)
    headers = spreadsheet.attachment(f"{found.name}-{asked.starts}-{asked.ends}.csv")
    if found is COVERAGE:
        lines = [spreadsheet.line(_covered_row(one)) for one in figures.coverage(asked.shown)]
        columns = spreadsheet.line(("org", "agent", "outcome", "told", "reached"))
        return HttpResponse([spreadsheet.BOM, columns, *lines], content_type=spreadsheet.TYPE, headers=headers)
    span = figures.span_of(asked.shown, asked.period, asked.now)
    lines_later = _lines(found, span, request.org_ids)  # type: ignore[attr-defined]
    return StreamingHttpResponse(lines_later, content_type=spreadsheet.TYPE, headers=headers)


def _covered_row(one: figures.Covered) -> tuple[object, ...]:
    people = [", ".join(person.sso_id for person in group) for group in (one.told, one.reached)]
    return (one.agent.org.external_id, one.agent.name, one.outcome, *people)


async def _lines(metric: Metric, span: Span, org_ids: OrgIds) -> AsyncIterator[str]:
    yield spreadsheet.BOM + spreadsheet.line(ITEM_COLUMNS)
    for day in figures.days(span):
        yield await sync_to_async(_lines_of)(metric, day, org_ids)


def _lines_of(metric: Metric, day: Span, org_ids: OrgIds) -> str:
    """Sent when the request's own scope has been left: it enters the scope, and gives its connection back."""
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
