"""`/runs`: the list, as a file too; `/runs/<id>`: one run whole."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from console.pages.access import orgs_seen, signed_in, signed_in_user
from console.pages.kpis.asked import kpi_asked, plain
from console.pages.kpis.parts import bucket_words
from console.pages.kpis.view import kpi_frame
from console.pages.runs.holding import run_hold_context
from console.pages.runs.query import (
    RunsAsked,
    newest_alert_of_room,
    reviews_ever,
    run_of_page,
    runs_of_room,
    some_deleted,
)
from console.pages.runs.words import (
    COUNTED_WORDS,
    FLAG_WORDS,
    RESULTS,
    STATE_WORDS,
    room_runs_url,
    run_line,
    run_result,
    yes_no,
)
from console.text.amounts import dollars, seconds, whole
from orgs import clock, spreadsheet
from orgs.auth import OrgIds, within
from orgs.clock import rfc3339
from orgs.identifiers import spelled
from orgs.paging import Place
from orgs.signals import signal_name
from runs.models import AgentRun
from runs.query import COUNTED_RUNS, RUN_STATES, alerts_of_runs, has_runs, run_seconds, sla_met

PAGE = 50
AT_ONCE = 500  # runs of one query of a file
COLUMNS = (
    *("run_id", "org", "agent", "version", "input_kind", "channel", "surface", "room_id", "started_at", "ended_at"),
    *("resolution", "duration_seconds", "sla_target_seconds", "sla_met", "self_corrected", "cost_usd"),
    *("tokens_input", "tokens_output", "quality", "overdue_at"),
)


def _asked(request: HttpRequest) -> RunsAsked:
    def one_of(name: str, known: Any, usual: str = "") -> str:
        value = request.GET.get(name, "")
        return value if value in known else usual

    return RunsAsked(
        kpi_asked(request),
        plain(request, "q").strip()[:200],
        one_of("counted", COUNTED_RUNS, "runs"),
        one_of("state", RUN_STATES),
        one_of("resolution", AgentRun.Resolution.values),
    )


@require_safe
@signed_in
def runs(request: HttpRequest) -> HttpResponse:
    """`/runs`: the runs behind a figure, or what was searched for; newest first, in pages."""
    asked = _asked(request)
    found = asked.page(request.GET.get("cursor", ""), PAGE)
    alerts = alerts_of_runs(found.rows)
    several = len(asked.kpi.orgs) > 1
    n = asked.number()
    frame = kpi_frame(request, asked.kpi)
    context = frame | {
        "rows": [run_line(run, alerts.get((run.org_id, run.run_id)), several) for run in found.rows],
        "title": COUNTED_WORDS[asked.counted],
        "n": whole(n) if n is not None else "",
        "purged": bool(n and not found.rows and not request.GET.get("cursor")),
        "some_deleted": bool(n and found.rows) and some_deleted(asked.kpi),
        "search": asked.search,
        "more_filters": asked.narrowed or asked.counted != "runs",
        "selects": _selects(asked),
        "kept": [*frame["kept"], *([("bucket", asked.kpi.bucket), ("at", request.GET["at"])] if asked.kpi.at else [])],
        "at_words": bucket_words(asked.kpi.at, asked.kpi),
        "newer": _page_url(request, found.previous),
        "older": _page_url(request, found.next),
        "csv": "?" + request.GET.urlencode(),
        "none_ever": not found.rows and not has_runs(asked.kpi.shown),
        "page": "runs",
    }
    return render(request, "pages/runs/runs.html", context)


def _page_url(request: HttpRequest, cursor: str) -> str:
    if not cursor:
        return ""
    known = request.GET.copy()
    known["cursor"] = cursor
    return "?" + known.urlencode()


def _selects(asked: RunsAsked) -> list[dict[str, Any]]:
    counted = [("" if name == "runs" else name, title, name == asked.counted) for name, title in COUNTED_WORDS.items()]
    states = [("", _("Any state"), not asked.state)]
    states += [(name, str(title), name == asked.state) for name, title in STATE_WORDS.items()]
    results = [("", _("Any result"), not asked.resolution)]
    results += [(name, str(title), name == asked.resolution) for name, (_tone, _icon, title) in RESULTS.items()]
    return [
        {"name": "counted", "label": _("Counted in"), "options": counted},
        {"name": "state", "label": _("State"), "options": states},
        {"name": "resolution", "label": _("Result"), "options": results},
    ]


# --- as a file -------------------------------------------------------------------------------------------------------


@require_safe
@signed_in
def runs_csv(request: HttpRequest) -> StreamingHttpResponse:
    """`/runs.csv?<filters>`: all that the list has, however many pages, sent in parts."""
    asked = _asked(request)
    lines = _lines(asked, request.org_ids)  # type: ignore[attr-defined]
    headers = spreadsheet.attachment(f"runs-{asked.kpi.now:%Y-%m-%d-%H%M}.csv")
    return StreamingHttpResponse(lines, content_type=spreadsheet.TYPE, headers=headers)


async def _lines(asked: RunsAsked, org_ids: OrgIds) -> AsyncIterator[str]:
    yield spreadsheet.BOM + spreadsheet.line(COLUMNS)
    place: Place | None = None
    while True:
        text, place = await sync_to_async(_part)(asked, place, org_ids)
        yield text
        if place is None:
            return


def _part(asked: RunsAsked, place: Place | None, org_ids: OrgIds) -> tuple[str, Place | None]:
    """The request has left its own scope by now: this enters it, and gives its connection back."""
    try:
        with within(org_ids):
            found = asked.order.fetch(asked.rows, place, AT_ONCE)
            text = "".join(spreadsheet.line(_cells(run)) for run in found)
    finally:
        if not connection.in_atomic_block:
            close_old_connections()
    return text, Place([found[-1].started_at, found[-1].pk]) if len(found) == AT_ONCE else None


def _cells(run: AgentRun) -> Iterator[object]:
    yield from (run.run_id, run.org.external_id, run.agent.name, run.agent_version, run.input_kind, run.channel)
    yield from (run.surface, run.room, rfc3339(run.started_at), run.ended_at and rfc3339(run.ended_at))
    yield from (run.resolution, run_seconds(run), run.sla_target_seconds, sla_met(run), run.self_corrected)
    yield from (run.cost_usd, run.tokens_input, run.tokens_output)
    yield run.review_sum / run.review_count if run.review_count else None
    yield run.overdue_at and rfc3339(run.overdue_at)


# --- one run ---------------------------------------------------------------------------------------------------------


@require_safe
@signed_in
def run_page(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """`/runs/<id>`: everything that is known of a run, its reviews, its room and its alert."""
    orgs = orgs_seen(request)
    wanted = spelled(request.GET.get("org", ""))
    found = run_of_page([org for org in orgs if wanted in ("", org.external_id)], run_id)
    if found is None:
        raise Http404
    alert_id = alerts_of_runs([found]).get((found.org_id, found.run_id))
    several = len(orgs) > 1
    others = runs_of_room(found.org_id, found.room, found.pk)
    context = run_hold_context(found, signed_in_user(request)) | {
        "run": found,
        "several": several,
        "now": clock.now(),
        "line": run_line(found, alert_id, several),
        "result": run_result(found),
        "facts": _facts(found),
        "reviews": reviews_ever(found),
        "room_alert": None if alert_id else newest_alert_of_room(found.org_id, found.room),
        "others": [run_line(other, several=several) for other in others],
        "others_url": room_runs_url(found.org, found.room, others),
        "detected": [signal_name(name) for name in found.detected],
        "flags": [FLAG_WORDS[flag] for flag in found.flags if flag in FLAG_WORDS],
        "agent_url": reverse("agent", args=[found.agent.name])
        + (f"?{urlencode({'org': found.org.external_id})}" if several else ""),
        "page": "runs",
    }
    return render(request, "pages/runs/run.html", context)


def _facts(found: AgentRun) -> list[tuple[str, object]]:
    """What was said of a run, by name; what was not is left out."""
    target, cost = found.sla_target_seconds, found.cost_usd
    facts: list[tuple[str, object]] = [
        (_("Version"), found.agent_version),
        (_("Input kind"), found.input_kind),
        (_("Channel"), found.channel),
        (_("Surface"), found.get_surface_display() if found.surface else ""),
        (_("Self-corrected"), yes_no(found.self_corrected)),
        (_("Target"), seconds(float(target)) if target is not None else ""),
        (_("Cost"), f"{dollars(float(cost))} ({cost:.5f} USD)" if cost is not None else ""),
        (_("Tokens in"), whole(found.tokens_input) if found.tokens_input is not None else ""),
        (_("Tokens out"), whole(found.tokens_output) if found.tokens_output is not None else ""),
        (_("Confidence"), f"{found.confidence:.2f}" if found.confidence is not None else ""),
        (_("Messages"), _messages(found)),
        (_("Handoff expected"), yes_no(found.handoff_expected)),
        (_("A human acted"), yes_no(found.touched)),
        (_("Source"), found.source.name),
    ]
    return [(name, value) for name, value in facts if value not in ("", "–")]


def _messages(found: AgentRun) -> str:
    if found.message_count is None:
        return ""
    if found.message_cap is None:
        return whole(found.message_count)
    return _("{n} of at most {cap}").format(n=whole(found.message_count), cap=whole(found.message_cap))
