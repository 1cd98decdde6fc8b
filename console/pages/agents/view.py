"""`/agents`: all agents, the worst first; `/agents/<name>`: one: its figures, what it was told of, its versions side by
side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from console.live.rows import ICONS, TONES
from console.pages.access import orgs_seen, signed_in
from console.pages.agents.query import agent_named, newest_runs_of, open_alerts_of, signals_over_time
from console.pages.board import strip
from console.pages.kpis.asked import KpiAsked, kpi_asked
from console.pages.kpis.conversations import conversation_figures, conversation_table
from console.pages.kpis.parts import KpiWidget, blind_places, blind_words, bucket_words, label_words, runs_url
from console.pages.kpis.query import KpiBoard, VersionStart, amount, conversations, kpi_board, version_starts
from console.pages.kpis.view import kpi_frame
from console.pages.kpis.words import widgets
from console.pages.runs.words import run_line
from console.text.amounts import decimal, dollars, percent, seconds, whole
from orgs import clock
from orgs.identifiers import spelled
from orgs.models import Agent
from orgs.signals import SIGNALS, signal_name
from runs.query import alerts_of_runs, first_days_of_versions, version_cells
from runs.rollups import KpiFilters
from runs.versions import COMPARED, HOURS_EACH, LEAST_OF_VERSION, VersionComparison, compare_versions

LISTED = 500  # agents of the list, the worst first
SAID: Mapping[str, tuple[Promise, Any]] = {
    "avg_resolution_seconds": (gettext_lazy("Resolution time"), seconds),
    "sla_hit_rate": (gettext_lazy("SLA hit rate"), percent),
    "escalation_pct": (gettext_lazy("Escalation"), percent),
    "failure_pct": (gettext_lazy("Failed"), percent),
    "self_correction_rate": (gettext_lazy("Self-correction"), percent),
    "deflection_rate": (gettext_lazy("Deflection"), percent),
    "avg_cost_usd": (gettext_lazy("Cost per run"), dollars),
    "avg_quality": (gettext_lazy("Quality"), decimal),
}


@require_safe
@signed_in
def agent_list(request: HttpRequest) -> HttpResponse:
    """What the strip of the board shows of some, of every agent in production. A foreign org is a 404."""
    orgs, now = orgs_seen(request), clock.now()
    wanted = spelled(request.GET.get("org", ""))
    shown = [org for org in orgs if wanted in ("", org.external_id)]
    if wanted and not shown:
        raise Http404
    found = strip.tiles([org.pk for org in shown], now)
    context = {
        "orgs": orgs,
        "org_shown": shown[0] if wanted else None,
        "tiles": strip.with_orgs(found[:LISTED], shown, every=len(orgs) > 1),
        "n": len(found),
        "hidden": len(found[LISTED:]),
        "troubled": sum(tile.tone in ("crit", "warn") for tile in found),
        "now": now,
        "page": "kpis",
    }
    return render(request, "pages/agents/agents.html", context)


@require_safe
@signed_in
def agent(request: HttpRequest, agent_name: str) -> HttpResponse:
    """The page. An agent is found by its name, or its id."""
    asked = kpi_asked(request)
    found = agent_named(asked.shown, spelled(agent_name))
    if found is None:
        raise Http404
    asked = replace(asked, org=found.org, filters=replace(asked.filters, agent=found.name), at=None)
    board = kpi_board(asked)
    starts = version_starts(first_days_of_versions(found).items(), board.labels, asked.bucket, found.org.zone)
    made = {one.name: one for one in widgets(asked, board, starts)}
    signals = _signals(asked, found, board, starts)
    told = conversations(asked, board)
    latest = newest_runs_of(found)
    alerts = alerts_of_runs(latest)
    context = kpi_frame(request, asked) | {
        "agent": found,
        "agent_page": True,
        "blind": blind_words(board),
        "narrowed": asked.filters != KpiFilters(agent=found.name),
        "any": amount(board.whole, "runs"),
        "stats": _stats(asked, board),
        "conversations": conversation_table(asked, told),
        "conversation_figures": conversation_figures(asked, board, told),
        "widgets": [made["art"], made["sla"]],
        "signals": signals,
        "charts": {one.name: one.chart for one in (made["art"], made["sla"], signals) if one.chart},
        "alerts": [(alert, TONES[alert.severity], ICONS[alert.severity]) for alert in open_alerts_of(found)],
        "latest": [run_line(run, alerts.get((run.org_id, run.run_id)), several=len(asked.orgs) > 1) for run in latest],
        "versions": _versions(asked, found),
        "board_url": f"{reverse('board')}?{urlencode({'agent': found.name, **_of_org(asked)})}",
        "runs_url": runs_url(asked, "runs"),
        "kpis_url": reverse("kpis") + asked.query(),
        "page": "kpis",
    }
    return render(request, "pages/agents/agent.html", context)


def _of_org(asked: KpiAsked) -> dict[str, str]:
    """The filter of the board by the agent's org, for who sees several."""
    return {"org": asked.org.external_id} if asked.org and len(asked.orgs) > 1 else {}


def _stats(asked: KpiAsked, board: KpiBoard) -> list[tuple[str, str, str, str]]:
    """Name, figure, what it is of, and the runs behind it."""
    figures = board.figures
    known = [
        (_("Runs"), whole(figures.total_runs), "runs"),
        (_("Resolution time"), seconds(figures.avg_resolution_seconds), "ended"),
        (_("SLA hit rate"), percent(figures.sla_hit_rate), "sla_counted"),
        (_("Escalation"), percent(figures.escalation_pct), "ended"),
        (_("Cost per resolution"), dollars(figures.cost_per_resolved_usd), "cost_known"),
        (_("Quality"), decimal(figures.avg_quality), "reviewed"),
    ]
    return [
        (name, said, f"n {whole(amount(board.whole, counted))}", runs_url(asked, counted))
        for name, said, counted in known
    ]


def _signals(asked: KpiAsked, found: Agent, board: KpiBoard, starts: Sequence[VersionStart]) -> KpiWidget:
    labels = board.labels
    counts = signals_over_time(found, asked.scope.windows[found.org_id], asked.bucket)
    names = sorted(counts, key=lambda name: -sum(counts[name].values()))
    n = sum(sum(of.values()) for of in counts.values())
    chart = {
        "kind": "signals",
        "labels": [label_words(label) for label in labels],
        "names": [bucket_words(label, asked) for label in labels],
        "parts": [
            {
                "name": str(signal_name(name)),
                "severity": SIGNALS[name].severity if name in SIGNALS else "info",
                "values": [counts[name].get(label, 0) for label in labels],
            }
            for name in names
        ],
        "marks": [{"at": labels.index(one.label), "text": one.version} for one in starts],
        "blind": blind_places(board),
    }
    return KpiWidget(
        "signals",
        gettext_lazy("Signals over time"),
        "",
        chart=chart if n else None,
        label=", ".join(f"{signal_name(name)} {sum(counts[name].values())}" for name in names),
        n=_("n {n} failure events").format(n=whole(n)),
        empty=_("No failure event in this period."),
    )


def _versions(asked: KpiAsked, found: Agent) -> dict[str, Any]:
    """The table of versions: of each figure as it was, and adjusted."""
    compared = compare_versions(version_cells(found, asked.scope.windows[found.org_id]))
    return {
        "heads": [name for name, _say in SAID.values()],
        "rows": [
            {
                "version": one.version,
                "runs": whole(one.crude.total_runs),
                "few": one.crude.total_runs < LEAST_OF_VERSION,
                "url": runs_url(replace(asked, filters=replace(asked.filters, version=one.version)), "runs")
                if one.version
                else "",
                "cells": [
                    (str(name), say(getattr(one.crude, figure)), say(one.adjusted[figure]))
                    for figure, (name, say) in SAID.items()
                ],
            }
            for one in compared.versions
        ],
        "adjusted": bool(compared.compared),
        "left_out": _left_out(compared),
    }


def _left_out(compared: VersionComparison) -> list[str]:
    """The cells in which no figure could be compared, and how many runs each version has there."""
    found, no_version, no_channel = [], _("no version"), _("no channel")
    for one in compared.left_out:
        if len(one.figures) < len(COMPARED):
            continue
        hours = f"{one.cell.block * HOURS_EACH:02d}–{(one.cell.block + 1) * HOURS_EACH:02d}"
        runs = ", ".join(f"{version or no_version} {n}" for version, n in one.runs.items())
        found.append(f"{one.cell.channel or no_channel}, {one.cell.input_kind}, {hours}: {runs}")
    return found
