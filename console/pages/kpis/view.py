"""`/kpis`: the six widgets, how conversations went, and their rows as files."""

from dataclasses import replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from console.pages.access import signed_in
from console.pages.kpis.asked import RANGES, KpiAsked, kpi_asked
from console.pages.kpis.conversations import conversation_figures, conversation_table
from console.pages.kpis.parts import KpiWidget, blind_words
from console.pages.kpis.query import VersionStart, amount, conversations, kpi_board, kpi_choices, version_starts
from console.pages.kpis.words import widgets
from orgs import spreadsheet
from orgs.models import Agent
from runs.query import first_days_of_versions, has_runs
from runs.rollups import KpiFilters


@require_safe
@signed_in
def kpis(request: HttpRequest) -> HttpResponse:
    """The page: read in a few statements, drawn by static/js/charts.js, and legible without it."""
    asked = kpi_asked(request)
    board = kpi_board(asked)
    made = widgets(asked, board, _versions(asked, board.labels))
    found = conversations(asked, board)
    context = kpi_frame(request, asked) | {
        "widgets": made,
        "charts": {one.name: one.chart for one in made if one.chart},
        "conversations": conversation_table(asked, found),
        "conversation_figures": conversation_figures(asked, board, found),
        "any": amount(board.whole, "runs"),
        "none_ever": not amount(board.whole, "runs") and not has_runs(asked.shown),
        "buckets": _buckets(asked),
        "blind": blind_words(board),
        "maturing": any(window.is_maturing("total", None) for window in asked.scope.windows.values()),
        "page": "kpis",
    }
    return render(request, "pages/kpis/kpis.html", context)


def _buckets(asked: KpiAsked) -> list[tuple[str, str, bool]]:
    names = {"hour": _("by the hour"), "day": _("by the day"), "week": _("by the week"), "month": _("by the month")}
    return [(name, title, name == asked.bucket) for name, title in names.items()]


def kpi_frame(request: HttpRequest, asked: KpiAsked) -> dict[str, Any]:
    """What every page about runs shows around its figures: the filters, and links that keep them."""
    path = request.path
    plain = replace(asked, filters=KpiFilters(), at=None)
    instants = not asked.days and not asked.span
    return {
        "asked": asked,
        "orgs": asked.orgs,
        "org_shown": asked.org,
        "now": asked.now,
        "ranges": [(_range_words(days), path + asked.of_days(days), asked.days == days) for days in RANGES],
        "choices": kpi_choices(asked.shown, asked.now, asked.filters.agent),
        "narrowed": asked.is_filtered,
        "kept": [("from", request.GET["from"]), ("to", request.GET["to"])] if instants else [],
        "frozen": request.build_absolute_uri(path + asked.query()),
        "cleared": path + plain.moving(bucket=""),
    }


def _range_words(days: int) -> str:
    return _("24 h") if days == 1 else ngettext("{n} day", "{n} days", days).format(n=days)


def _versions(asked: KpiAsked, labels: list[Any]) -> list[VersionStart]:
    """When versions of the one agent that is asked for began."""
    if not asked.filters.agent:
        return []
    agents = list(Agent.objects.select_related("org").filter(org__in=asked.shown, name=asked.filters.agent)[:2])
    if len(agents) != 1:
        return []
    days = first_days_of_versions(agents[0]).items()
    return version_starts(days, labels, asked.bucket, agents[0].org.zone)


@require_safe
@signed_in
def kpis_csv(request: HttpRequest) -> HttpResponse:
    """`/kpis.csv?widget=art`: the rows of one widget's table; without `widget` those of all, one after the other."""
    asked = kpi_asked(request)
    wanted = request.GET.get("widget", "")
    board = kpi_board(asked)
    every = [*widgets(asked, board), conversation_table(asked, conversations(asked, board))]
    made = [one for one in every if wanted in ("", one.name)]
    if not made:
        raise Http404
    name = f"{wanted or 'kpis'}-{asked.now:%Y-%m-%d-%H%M}.csv"
    lines = (spreadsheet.line(cells) for one in made for cells in _file_rows(one, alone=bool(wanted)))
    return HttpResponse([spreadsheet.BOM, *lines], content_type=spreadsheet.TYPE, headers=spreadsheet.attachment(name))


def _file_rows(widget: KpiWidget, alone: bool) -> list[list[object]]:
    before: list[object] = [] if alone else [widget.abbr or widget.name]
    head: list[object] = [*([] if alone else ["kpi"]), *widget.columns]
    return [head, *[[*before, *[cell.value for cell in row]] for row in widget.rows]]
