"""The six widgets as people read them: a figure, a comparison, a chart, and the chart's rows as a table."""

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console.pages.kpis.asked import KpiAsked
from console.pages.kpis.parts import (
    DEARER,
    ENOUGH,
    ESCALATION_LIMIT,
    QUALITY_LIMIT,
    SLA_LIMIT,
    SLOWER,
    STILL,
    TITLES,
    KpiCell,
    KpiWidget,
    agent_cells,
    agents_words,
    bars_of_agents,
    bucket_words,
    counted_cell,
    figures_before,
    label_words,
    points_more,
    points_over_time,
    runs_url,
    too_few,
    trend_words,
    when_cell,
    widget_of,
    with_most,
)
from console.pages.kpis.query import AgentSums, KpiBoard, VersionStart, amount
from console.text.amounts import decimal, dollars, percent, seconds, seconds_parts, whole
from console.text.wording import Word
from runs.durations import RELATIVE_ERROR
from runs.kpis import kpi_figures


def widgets(asked: KpiAsked, board: KpiBoard, versions: Sequence[VersionStart] = ()) -> list[KpiWidget]:
    """All six, in their order."""
    made = [_art(asked, board, versions), _scr(asked, board), _esc(asked, board)]
    return [*made, _sla(asked, board), _cpr(asked, board), _rq(asked, board)]


def _art(asked: KpiAsked, board: KpiBoard, versions: Sequence[VersionStart]) -> KpiWidget:
    figures, n = board.figures, amount(board.whole, "ended")
    value = figures.avg_resolution_seconds
    number, unit = seconds_parts(value)
    points = points_over_time(asked, board, "ended", lambda one: one.avg_resolution_seconds)
    p95 = [board.of_bucket(label).p95_resolution_seconds for label in board.labels]
    error = decimal(100 * RELATIVE_ERROR, 0)
    chart = points | {
        "kind": "line",
        "unit": "s",
        "name": _("mean"),
        "second": p95,
        "second_name": "p95",
        "marks": [
            {"at": board.labels.index(one.label), "text": f"{asked.filters.agent} {one.version}"} for one in versions
        ],
    }
    open_n = amount(board.whole, "runs") - n
    return widget_of(
        "art",
        asked,
        "ended",
        number=number,
        unit=unit,
        verdict=too_few(n) or _slower(value, board),
        note=_("p95 {value} ± {error} %").format(value=seconds(figures.p95_resolution_seconds), error=error),
        key=[("main", _("mean, s")), ("second", _("p95, s"))],
        chart=chart if n else None,
        label=trend_words(TITLES["art"][0], board.labels, points["values"], seconds),
        n=_("n {n} ended runs").format(n=whole(n)) + (_(", {n} not ended").format(n=whole(open_n)) if open_n else ""),
        empty=_("No run has ended in this period."),
        heads=[_("When"), _("Mean"), "p95", "n"],
        columns=["starts", "avg_resolution_seconds", "p95_resolution_seconds", "ended_runs"],
        rows=[
            [
                when_cell(asked, label),
                KpiCell(seconds(mean), mean),
                KpiCell(seconds(upper), upper),
                KpiCell(whole(k), k, url),
            ]
            for label, mean, upper, k, url in zip(
                board.labels, points["values"], p95, points["n"], points["urls"], strict=True
            )
            if k
        ],
    )


def _slower(value: float | None, board: KpiBoard) -> Word | None:
    before = kpi_figures(board.before, {})
    if value is None or not before.avg_resolution_seconds or before.ended_runs < ENOUGH:
        return None
    times = value / before.avg_resolution_seconds
    if abs(times - 1) < STILL:
        return Word("none", "arrows-right-left", _("as in the period before"))
    icon = "arrow-up-right" if times > 1 else "arrow-down-right"
    return Word("warn" if times > SLOWER else "none", icon, _("{n} × the period before").format(n=decimal(times)))


def _scr(asked: KpiAsked, board: KpiBoard) -> KpiWidget:
    n, value = amount(board.whole, "runs"), board.figures.self_correction_rate
    before = kpi_figures(board.before, {})
    shown = sorted(with_most(board, "runs"), key=lambda one: -(one.figures.self_correction_rate or 0))
    chart = bars_of_agents(asked, shown, "runs") | {
        "kind": "bars",
        "values": [one.figures.self_correction_rate for one in shown],
    }
    return widget_of(
        "scr",
        asked,
        "runs",
        number=decimal(value),
        unit=_("% of runs"),
        verdict=too_few(n) or points_more(value, before.self_correction_rate, before.total_runs),
        chart=chart if n else None,
        label=agents_words(TITLES["scr"][0], chart, percent),
        n=ngettext("n {n} run", "n {n} runs", n).format(n=whole(n)),
        empty=_("No run has started in this period."),
        heads=[_("Agent"), _("Self-corrected"), "n"],
        columns=["agent", "org", "self_correction_rate", "total_runs"],
        rows=[
            [
                *agent_cells(one, asked),
                KpiCell(percent(one.figures.self_correction_rate), one.figures.self_correction_rate),
                counted_cell(one, asked, "runs"),
            ]
            for one in board.agents
        ],
    )


def _esc(asked: KpiAsked, board: KpiBoard) -> KpiWidget:
    n, value = amount(board.whole, "ended"), board.figures.escalation_pct
    shown = sorted(
        with_most(board, "ended"), key=lambda one: (one.figures.escalation_pct or 0) + (one.figures.failure_pct or 0)
    )
    parts = ("resolved", "escalated", "failed")
    chart = bars_of_agents(asked, shown, "ended") | {
        "kind": "stack",
        "parts": [_("resolved"), _("escalated"), _("failed")],
        "values": [[_share(one, part) for one in shown] for part in parts],
        "counts": [[amount(one.whole, part) for one in shown] for part in parts],
        "part_urls": [[runs_url(asked, part, agent=one.agent) for one in shown] for part in parts],
    }
    worst = max(
        board.agents, key=lambda one: (amount(one.whole, "ended") >= ENOUGH, _share(one, "escalated")), default=None
    )
    over = (
        worst is not None and amount(worst.whole, "ended") >= ENOUGH and _share(worst, "escalated") > ESCALATION_LIMIT
    )
    verdict = too_few(n)
    if verdict is None and over and worst is not None:
        text = _("{agent} {value}, limit {limit}").format(
            agent=worst.agent.name, value=percent(_share(worst, "escalated")), limit=percent(ESCALATION_LIMIT)
        )
        verdict = Word("warn", "arrow-up-right", text)
    return widget_of(
        "esc",
        asked,
        "ended",
        number=decimal(value),
        unit=_("% of ended runs"),
        verdict=verdict or points_more(value, figures_before(board).escalation_pct, figures_before(board).ended_runs),
        note=_reasons(board),
        key=[("calm", _("resolved")), ("mid", _("escalated")), ("bad", _("failed, %"))],
        chart=chart if n else None,
        label=_("Resolved, escalated and failed runs by agent, in per cent"),
        n=_("n {n} ended runs").format(n=whole(n)),
        empty=_("No run has ended in this period."),
        heads=[
            _("Agent"),
            _("Resolved"),
            _("Escalated"),
            _("of these as expected"),
            _("at the message cap"),
            _("Failed"),
            "n",
        ],
        columns=["agent", "org", *parts[:2], "escalated_expected", "escalated_cap", "failed", "ended_runs"],
        rows=_rows_of_endings(asked, board),
    )


def _rows_of_endings(asked: KpiAsked, board: KpiBoard) -> list[list[KpiCell]]:
    """How the runs of each agent ended."""
    return [
        [
            *agent_cells(one, asked),
            *[
                KpiCell(_share_words(one, part), amount(one.whole, part), runs_url(asked, part, agent=one.agent))
                for part in ("resolved", "escalated")
            ],
            *[
                KpiCell(whole(amount(one.whole, part)), amount(one.whole, part))
                for part in ("escalated_expected", "escalated_cap")
            ],
            KpiCell(
                _share_words(one, "failed"), amount(one.whole, "failed"), runs_url(asked, "failed", agent=one.agent)
            ),
            counted_cell(one, asked, "ended"),
        ]
        for one in board.agents
        if amount(one.whole, "ended")
    ]


def _share(one: AgentSums, part: str) -> float:
    n = amount(one.whole, "ended")
    return 100 * amount(one.whole, part) / n if n else 0.0


def _share_words(one: AgentSums, part: str) -> str:
    return percent(_share(one, part)) if amount(one.whole, "ended") else "–"


def _reasons(board: KpiBoard) -> str:
    expected = amount(board.whole, "escalated_expected")
    escalated = amount(board.whole, "escalated")
    return (
        _("{n} of {all} escalations were expected").format(n=whole(expected), all=whole(escalated)) if escalated else ""
    )


def _sla(asked: KpiAsked, board: KpiBoard) -> KpiWidget:
    n, value = amount(board.whole, "sla_counted"), board.figures.sla_hit_rate
    points = points_over_time(asked, board, "sla_counted", lambda one: one.sla_hit_rate)
    before = figures_before(board)
    verdict = too_few(n)
    if verdict is None and value is not None:
        below = value < SLA_LIMIT
        text = _("below {limit}") if below else _("{limit} or more")
        tone, icon = ("crit", "arrow-down-right") if below else ("ok", "circle-check-f")
        verdict = Word(tone, icon, text.format(limit=f"{SLA_LIMIT:.0f} %"))
    known = before.sla_hit_rate if amount(board.before, "sla_counted") >= ENOUGH and n >= ENOUGH else None
    note = _("{value} in the period before").format(value=percent(known)) if known is not None else ""
    return widget_of(
        "sla",
        asked,
        "sla_counted",
        number=decimal(value),
        unit=_("% within target"),
        verdict=verdict if n else None,
        note=note,
        chart=points
        | {"kind": "line", "unit": "%", "name": _("hit rate"), "limit": SLA_LIMIT, "top": 100, "low_is_bad": True}
        if n
        else None,
        label=trend_words(TITLES["sla"][0], board.labels, points["values"], percent),
        n=ngettext("n {n} run with a target", "n {n} runs with a target", n).format(n=whole(n)),
        empty=_("No run with a target has ended in this period."),
        heads=[_("When"), _("Within target"), "n"],
        columns=["starts", "sla_hit_rate", "sla_runs"],
        rows=[
            [when_cell(asked, label), KpiCell(percent(rate), rate), KpiCell(whole(k), k, url)]
            for label, rate, k, url in zip(board.labels, points["values"], points["n"], points["urls"], strict=True)
            if k
        ],
    )


def _cpr(asked: KpiAsked, board: KpiBoard) -> KpiWidget:
    n, value = amount(board.whole, "cost_known"), board.figures.cost_per_resolved_usd
    shown = [one for one in with_most(board, "cost_known") if one.figures.avg_quality is not None]
    chart = bars_of_agents(asked, shown, "cost_known") | {
        "kind": "scatter",
        "limit": QUALITY_LIMIT,
        "x": [one.figures.avg_cost_usd for one in shown],
        "y": [one.figures.avg_quality for one in shown],
        "sizes": [amount(one.whole, "runs") for one in shown],
        "says": [
            _("{cost} a run, quality {quality}, n {n}").format(
                cost=dollars(one.figures.avg_cost_usd),
                quality=decimal(one.figures.avg_quality),
                n=whole(amount(one.whole, "cost_known")),
            )
            for one in shown
        ],
    }
    without = amount(board.whole, "runs") - n
    foot = ngettext("n {n} run with a cost", "n {n} runs with a cost", n).format(n=whole(n))
    return widget_of(
        "cpr",
        asked,
        "cost_known",
        number=dollars(value) if value is not None else "–",
        unit=_("per resolved run"),
        verdict=too_few(n) or _dearer(value, board),
        key=[("", _("cost per run against quality 1 to 5; size = runs"))],
        chart=chart if shown else None,
        label=_("Cost per run against quality, by agent"),
        n=foot + (_(", {n} without").format(n=whole(without)) if without and n else ""),
        empty=_("No agent has runs both with a cost and reviewed in this period.")
        if n
        else _("No run with a cost in this period."),
        heads=[_("Agent"), _("Per resolved run"), _("Per run"), _("Quality"), _("Runs")],
        columns=["agent", "org", "cost_per_resolved_usd", "avg_cost_usd", "avg_quality", "cost_runs"],
        rows=[
            [
                *agent_cells(one, asked),
                KpiCell(dollars(one.figures.cost_per_resolved_usd), one.figures.cost_per_resolved_usd),
                KpiCell(dollars(one.figures.avg_cost_usd), one.figures.avg_cost_usd),
                KpiCell(decimal(one.figures.avg_quality), one.figures.avg_quality),
                counted_cell(one, asked, "cost_known"),
            ]
            for one in board.agents
            if amount(one.whole, "cost_known")
        ],
    )


def _dearer(value: float | None, board: KpiBoard) -> Word | None:
    before = figures_before(board).cost_per_resolved_usd
    if value is None or not before or amount(board.before, "cost_known") < ENOUGH:
        return None
    more = 100 * (value / before - 1)
    if abs(more) < 1:
        return Word("none", "arrows-right-left", _("as in the period before"))
    text = _("{n} % above the period before") if more > 0 else _("{n} % below the period before")
    tone = "warn" if more > DEARER else "none"
    return Word(tone, "arrow-up-right" if more > 0 else "arrow-down-right", text.format(n=decimal(abs(more), 0)))


def _rq(asked: KpiAsked, board: KpiBoard) -> KpiWidget:
    n, value = amount(board.whole, "reviewed"), board.figures.avg_quality
    shown = with_most(board, "reviewed")
    cells = [(x, y, one, label) for y, one in enumerate(shown) for x, label in enumerate(board.labels)]
    found = [(x, y, one, label, one.buckets[label]) for x, y, one, label in cells if label in one.buckets]
    found = [cell for cell in found if amount(cell[4], "reviewed")]
    chart = bars_of_agents(asked, shown, "reviewed") | {
        "kind": "heat",
        "columns": [label_words(label) for label in board.labels],
        "names_x": [bucket_words(label, asked) for label in board.labels],
        "cells": [
            [x, y, kpi_figures(sums, {}).avg_quality, amount(sums, "reviewed")] for x, y, _one, _label, sums in found
        ],
        "cell_urls": [runs_url(asked, "reviewed", label, one.agent) for _x, _y, one, label, _sums in found],
    }
    worst = min((one for one in shown if amount(one.whole, "reviewed") >= ENOUGH), key=_quality, default=None)
    verdict = too_few(n) if n else None
    if worst is not None and _quality(worst) < QUALITY_LIMIT:
        text = _("{agent} {value}, limit {limit}").format(
            agent=worst.agent.name, value=decimal(_quality(worst)), limit=decimal(QUALITY_LIMIT)
        )
        verdict = Word("warn", "arrow-down-right", text)
    of = amount(board.whole, "runs")
    return widget_of(
        "rq",
        asked,
        "reviewed",
        number=decimal(value),
        unit=_("of 5"),
        verdict=verdict,
        note=_("of reviewed runs") if n else "",
        chart=chart if n else None,
        label=_("Mean quality by agent and time"),
        n=_("n {n} reviewed of {all} runs").format(n=whole(n), all=whole(of)),
        empty=_("No run of this period has been reviewed."),
        heads=[_("Agent"), _("When"), _("Quality"), "n"],
        columns=["agent", "org", "starts", "avg_quality", "reviewed_runs"],
        rows=[
            [
                *agent_cells(one, asked),
                when_cell(asked, label),
                KpiCell(decimal(kpi_figures(sums, {}).avg_quality), kpi_figures(sums, {}).avg_quality),
                KpiCell(whole(k), k, runs_url(asked, "reviewed", label, one.agent)),
            ]
            for one in board.agents
            for label, sums in sorted(one.buckets.items(), key=lambda pair: str(pair[0]))
            if (k := amount(sums, "reviewed"))
        ],
    )


def _quality(one: AgentSums) -> float:
    value = one.figures.avg_quality
    return 5.0 if value is None else value
