"""Reading runs and their figures."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db.models import Q
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api.reads import as_id
from alerts.figures import BadPeriod, Period
from orgs import clock
from orgs.api import ScopedAPIView, one_or_404
from orgs.auth import of_orgs, orgs_of
from orgs.errors import Refused
from orgs.identifiers import spelled
from orgs.incoming import Query
from orgs.models import Agent, Org
from orgs.paging import PARAMETERS, page
from orgs.replica import replica
from orgs.shapes import shape_of
from runs.kpis import KpiFigures
from runs.models import AgentRun
from runs.query import (
    RUN_STATES,
    KpiRow,
    RunOrder,
    alerts_of_runs,
    kpi_rows,
    reviews_of_runs,
    run_seconds,
    sla_met,
    version_cells,
)
from runs.rollups import GROUP_NAMES, GroupName, KpiFilters
from runs.sessions import SessionFigures
from runs.shapes import (
    AgentVersionsShape,
    CellLeftOutPart,
    ComparedPart,
    KpiShape,
    KpisShape,
    RunReviewPart,
    RunShape,
    VersionPart,
    VersionRunsPart,
    or_null,
    rounded,
)
from runs.versions import COMPARED, HOURS_EACH, CellLeftOut, VersionFigures, compare_versions
from runs.windows import BUCKET_NAMES, OrgWindow, kpi_period

RUN_FILTERS = (
    *("org_id", "agent", "version", "channel", "input_kind", "surface", "resolution", "room_id"),
    *("started_after", "started_before", "state"),
)
KPI_PARAMETERS = ("org_id", "agent", "version", "channel", "input_kind", "group_by", "bucket", "from", "to")
GROUP_FIELDS: dict[GroupName, str] = {
    "agent": "agent_name",
    "version": "agent_version",
    "channel": "channel",
    "input_kind": "input_kind",
}


class RunsView(ScopedAPIView):
    """What views of runs share."""

    def one_org(self, query: Query) -> Org:
        """The org that `org_id` names; who sees one org only may leave it out.

        Raises Refused (422), and NotFound for a foreign or unknown one.
        """
        if asked := query.text("org_id"):
            return self.org_asked(asked)
        mine = list(of_orgs(Org.objects.all(), self.org_ids, "pk")[:2]) if not self.org_ids.every else []
        if len(mine) == 1:
            return mine[0]
        if not self.org_ids:
            raise NotFound
        raise Refused(422, "missing_field", "org_id is required: you see several orgs.", "org_id")

    def period_asked(self, query: Query, now: datetime) -> Period:
        """The period of `from` and `to`. Raises Refused (422)."""
        try:
            return kpi_period(query.moment("from"), query.moment("to"), now)
        except BadPeriod as bad:
            raise Refused(422, "invalid_parameter", str(bad), bad.field) from None


# --- runs ------------------------------------------------------------------------------------------------------------


class Runs(RunsView):
    """GET /api/runs: the newest first."""

    def get(self, request: Request) -> Response:
        query = Query(request, (*RUN_FILTERS, *PARAMETERS))
        asked = query.text("org_id")
        orgs = [self.org_asked(asked)] if asked else orgs_of(self.org_ids)
        rows = AgentRun.objects.filter(_run_filters(query)).select_related("org", "agent")
        return page(request, query, rows, RunOrder(spans={org.pk: Q() for org in orgs}), run_shapes)


def _run_filters(query: Query) -> Q:
    asked = Q()
    for name, column in (("agent", "agent__name"), ("version", "agent_version"), ("channel", "channel")):
        if value := query.text(name):
            asked &= Q(**{column: value})
    if kind := query.text("input_kind"):
        asked &= Q(input_kind=kind)
    if room_id := query.text("room_id"):
        asked &= Q(room=spelled(room_id))
    for name, allowed in (("surface", AgentRun.Surface.values), ("resolution", AgentRun.Resolution.values)):
        if values := query.choices(name, allowed):
            asked &= Q(**{f"{name}__in": values})
    if states := query.choices("state", list(RUN_STATES)):
        in_one = Q(pk__in=[])
        for state in states:
            in_one |= RUN_STATES[state]
        asked &= in_one
    if after := query.time("started_after"):
        asked &= Q(started_at__gt=after)
    if before := query.time("started_before"):
        asked &= Q(started_at__lt=before)
    return asked


class RunDetail(RunsView):
    """GET /api/runs/{run_id}: one run whole."""

    def get(self, request: Request, run_id: str) -> Response:
        query = Query(request, ("org_id",))
        wanted, org = as_id(run_id), self.one_org(query)
        run = one_or_404(AgentRun.objects.filter(org=org, run_id=wanted).select_related("org", "agent"))
        return Response(run_shapes([run])[0])


def run_shapes(runs: list[AgentRun]) -> list[RunShape]:
    """The struct of each run, with org and agent; any number of runs costs two queries."""
    alerts, reviews = alerts_of_runs(runs), reviews_of_runs(runs)
    return [
        shape_of(
            RunShape,
            run,
            org_id=run.org.external_id,
            agent_name=run.agent.name,
            agent_version=or_null(run.agent_version),
            channel=or_null(run.channel),
            surface=or_null(run.surface),
            room_id=or_null(run.room),
            resolution=or_null(run.resolution),
            cost_usd=None if run.cost_usd is None else f"{run.cost_usd:.5f}",
            duration_seconds=run_seconds(run),
            sla_met=sla_met(run),
            alert_id=alerts.get((run.org_id, run.run_id)),
            reviews=[
                shape_of(RunReviewPart, one, reviewer=or_null(one.reviewer), notes=or_null(one.notes))
                for one in reviews.get((run.org_id, run.run_id), ())
            ],
        )
        for run in runs
    ]


# --- figures ---------------------------------------------------------------------------------------------------------


class Kpis(RunsView):
    """GET /api/kpis: figures of groups of runs, in buckets."""

    def get(self, request: Request) -> Response:
        query = Query(request, KPI_PARAMETERS)
        now = clock.now() - replica.reading().behind
        asked = self.period_asked(query, now)
        group = _one_of(query, "group_by", GROUP_NAMES, "agent")
        bucket = _one_of(query, "bucket", BUCKET_NAMES, "total")
        named = query.text("org_id")
        orgs = [self.org_asked(named)] if named else orgs_of(self.org_ids)
        texts = {name: query.text(name) or "" for name in ("agent", "version", "channel", "input_kind")}
        filters = KpiFilters(**texts | {"agent": spelled(texts["agent"])})
        rows = kpi_rows(orgs, asked, now, filters, group, bucket)
        return Response(KpisShape(now, [_kpi_shape(row, group) for row in rows]))


def _one_of(query: Query, name: str, allowed: Collection[Any], usual: Any) -> Any:
    value = query.text(name) or usual
    if value not in allowed:
        raise Refused(422, "invalid_parameter", f"{name} must be one of {', '.join(allowed)}.", name)
    return value


def _kpi_shape(row: KpiRow, group: GroupName) -> KpiShape:
    figures = {name: rounded(value) for name, value in (_fields(row.figures) | _fields(row.sessions)).items()}
    no_plan = dict.fromkeys(("quality_estimate", "quality_low", "quality_high"))  # nobody plans reviews yet
    known: dict[str, Any] = {GROUP_FIELDS[group]: or_null(row.key), **figures, **no_plan}
    known["blind_minutes"] = round(row.blind_minutes, 3)
    return KpiShape(org_id=row.org.external_id, period_start=row.starts, maturing=row.maturing, **known)


def _fields(figures: KpiFigures | SessionFigures) -> dict[str, Any]:
    return {name: getattr(figures, name) for name in figures.__slots__}


# --- versions --------------------------------------------------------------------------------------------------------


class AgentVersions(RunsView):
    """GET /api/agents/{name}/versions: the versions of an agent compared."""

    def get(self, request: Request, agent_name: str) -> Response:
        query = Query(request, ("org_id", "from", "to"))
        now = clock.now() - replica.reading().behind
        asked = self.period_asked(query, now)
        agent = one_or_404(
            Agent.objects.select_related("org").filter(org=self.one_org(query), name=spelled(agent_name))
        )
        found = compare_versions(version_cells(agent, OrgWindow.of(asked, agent.org.zone, now)))
        results = [_version_part(one) for one in found.versions]
        left_out = [_left_out_part(one) for one in found.left_out]
        return Response(AgentVersionsShape(now, agent.org.external_id, agent.name, results, left_out))


def _version_part(one: VersionFigures) -> VersionPart:
    crude = {name: rounded(getattr(one.crude, name)) for name in COMPARED}
    adjusted = {name: rounded(one.adjusted[name]) for name in COMPARED}
    counts = (one.crude.total_runs, one.crude.ended_runs, one.crude.reviewed_runs)
    return VersionPart(or_null(one.version), *counts, ComparedPart(**crude), ComparedPart(**adjusted))


def _left_out_part(one: CellLeftOut) -> CellLeftOutPart:
    cell, from_hour = one.cell, one.cell.block * HOURS_EACH
    runs = [VersionRunsPart(or_null(version), n) for version, n in one.runs.items()]
    return CellLeftOutPart(
        or_null(cell.channel), cell.input_kind, from_hour, from_hour + HOURS_EACH, list(one.figures), runs
    )
