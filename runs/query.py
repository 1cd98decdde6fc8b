"""The figures of runs, and lists of runs. Reads only."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import DurationField, ExpressionWrapper, F, Min, Q, QuerySet, Value

from alerts.blind import BlindSpan, blind_minutes, blind_spans, cut_spans
from alerts.figures import Period
from alerts.models import FailureEvent
from orgs.models import Agent, Org
from orgs.paging import M, Order, Place
from orgs.replica import replica
from runs.kpis import KpiFigures, kpi_figures
from runs.models import AgentQc, AgentRun, DayKpi
from runs.rollups import KEPT_SUMS, GroupName, KpiFilters, KpiScope, exact, kpi_durations, kpi_sessions, kpi_sums
from runs.sessions import SessionCounts, SessionFigures, session_figures
from runs.sums import Amounts
from runs.versions import HOURS_EACH, RunCell
from runs.windows import BucketName, OrgWindow, hour_of


@dataclass(frozen=True, slots=True)
class KpiRow:
    """The figures of a group in a bucket. `key`: the agent's name, the version, ...; empty if runs did not say it.

    `starts`, `ends`: of the bucket, which may reach beyond the window. `maturing`: they may still change.
    """

    org: Org
    key: str
    starts: datetime
    ends: datetime
    figures: KpiFigures
    maturing: bool
    sessions: SessionFigures
    blind_minutes: float  # of the bucket within the window, when we could not see all


def kpi_rows(
    orgs: Sequence[Org], asked: Period, now: datetime, filters: KpiFilters, group: GroupName, bucket: BucketName
) -> list[KpiRow]:
    """A row for each group and bucket with a run: by org, group, and time."""
    scope = KpiScope.of(orgs, asked, now, filters)
    sums = kpi_sums(scope, group, bucket)
    durations = kpi_durations(scope, group, bucket)
    sessions = kpi_sessions(scope, group, bucket)
    blind = blind_of(scope, now)
    of_id = {org.pk: org for org in orgs}
    names = agent_names(key for _, key, _ in sums) if group == "agent" else {}
    rows = []
    for (org_id, key, label), amounts in sums.items():
        window = scope.windows[org_id]
        figures = kpi_figures(amounts, durations.get((org_id, key, label), {}))
        spans, maturing = window.bucket_window(bucket, label), window.is_maturing(bucket, label)
        told = session_figures(sessions.get((org_id, key, label), SessionCounts()))
        unseen = blind_minutes(cut_spans(blind[org_id], *spans))
        rows.append(KpiRow(of_id[org_id], names.get(key, key), *spans, figures, maturing, told, unseen))
    return sorted(rows, key=lambda row: (row.org.external_id, row.key, row.starts))


def blind_of(scope: KpiScope, now: datetime) -> dict[int, list[BlindSpan]]:
    """When we could not see all of each org within its window."""
    windows = scope.windows
    if not windows:
        return {}
    first, last = min(one.starts for one in windows.values()), max(one.ends for one in windows.values())
    found = blind_spans(windows, first, last, now)
    return {org_id: cut_spans(found[org_id], window.starts, window.ends) for org_id, window in windows.items()}


def agent_names(keys: Iterable[str]) -> dict[str, str]:
    """The names of agents by the key of their group."""
    found = Agent.objects.filter(pk__in={int(key) for key in keys}).values_list("pk", "name")
    return {str(pk): name for pk, name in found}


# --- lists of runs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunOrder(Order):
    """The newest first. Each org is read by its own index, and the newest of all are taken; `spans` says what of it."""

    fields: tuple[tuple[str, type], ...] = (("started_at", datetime), ("id", int))
    descending: bool = True
    spans: Mapping[int, Q] = field(default_factory=dict)  # by org

    def fetch(self, rows: QuerySet[M], place: Place | None, limit: int) -> list[M]:
        """The rows next to `place`, the nearest first."""
        names = self.names(backward=place is not None and place.backward)
        read = [rows.filter(span, org=pk) for pk, span in self.spans.items()]
        parts = [self.nearest(one, place).values("id", "started_at")[:limit] for one in read]
        if not parts:
            return []
        nearest = parts[0].union(*parts[1:], all=True).order_by(*names)[:limit] if parts[1:] else parts[0]
        return list(rows.filter(pk__in=[row["id"] for row in nearest]).order_by(*names))


def has_runs(orgs: Iterable[Org]) -> bool:
    """Whether any run of these orgs is stored; by index also where there is none."""
    order = RunOrder(spans={org.pk: Q() for org in orgs})
    return bool(order.fetch(AgentRun.objects.only("pk", "started_at"), None, 1))


ENDED_RUN = Q(ended_at__isnull=False)
OVERDUE_RUN = Q(ended_at__isnull=True, overdue_at__isnull=False)
_TARGET = ExpressionWrapper(F("sla_target_seconds") * Value(timedelta(seconds=1)), DurationField())
# Which runs count in an amount of `runs.sums.NAMES`: those behind a figure.
COUNTED_RUNS: Mapping[str, Q] = {
    "runs": Q(),
    "ended": ENDED_RUN,
    "resolved": ENDED_RUN & Q(resolution="resolved"),
    "escalated": ENDED_RUN & Q(resolution="escalated"),
    "failed": ENDED_RUN & Q(resolution="failed"),
    "self_corrected": Q(self_corrected=True),
    "sla_counted": Q(sla_target_seconds__isnull=False) & (ENDED_RUN | Q(overdue_at__isnull=False)),
    "sla_hit": ENDED_RUN & Q(ended_at__lte=F("started_at") + _TARGET),
    "cost_known": Q(cost_usd__isnull=False),
    "touched_known": ENDED_RUN & Q(touched__isnull=False),
    "reviewed": Q(review_count__gt=0),
}
RUN_STATES: Mapping[str, Q] = {"open": Q(ended_at__isnull=True), "ended": ENDED_RUN, "overdue": OVERDUE_RUN}


def alerts_of_runs(runs: Iterable[AgentRun]) -> dict[tuple[int, UUID], UUID]:
    """The alert that a failure of each run came to, by org and run; the first one. Only runs in a room have one."""
    asked = {(run.org_id, str(run.run_id)): run for run in runs if run.room}
    events = FailureEvent.objects.filter(
        org__in={run.org_id for run in asked.values()},
        room__room_id__in={run.room for run in asked.values()},
        run_id__in={run_id for _, run_id in asked},
        alert__isnull=False,
    )
    found = events.order_by("-received_at").values_list("org_id", "run_id", "alert_id") if asked else ()
    return {(org_id, UUID(run_id)): alert_id for org_id, run_id, alert_id in found if (org_id, run_id) in asked}


def reviews_of_runs(runs: Sequence[AgentRun]) -> dict[tuple[int, UUID], list[AgentQc]]:
    """The reviews that count of each run, by org and run, the newest first."""
    rows = AgentQc.objects.filter(
        org__in={run.org_id for run in runs}, run_id__in=[run.run_id for run in runs], replaced_at__isnull=True
    )
    found: dict[tuple[int, UUID], list[AgentQc]] = defaultdict(list)
    for review in rows.order_by("-at", "-id"):
        found[review.org_id, review.run_id].append(review)
    return found


def run_seconds(run: AgentRun) -> float | None:
    """How long a run took; None: it has not ended."""
    return (run.ended_at - run.started_at).total_seconds() if run.ended_at is not None else None


def sla_met(run: AgentRun) -> bool | None:
    """Whether a run ended within its target; None: it has none, or it is not decided."""
    took = run_seconds(run)
    if run.sla_target_seconds is None or (took is None and run.overdue_at is None):
        return None
    return took is not None and took <= run.sla_target_seconds


# --- versions --------------------------------------------------------------------------------------------------------


def version_cells(agent: Agent, window: OrgWindow) -> dict[tuple[str, RunCell], Amounts]:
    """What the runs of an agent add up to, by version and cell; whole hours of UTC, the last one to its end."""
    sql = f"""
        SELECT agent_version, channel, input_kind,
               extract(hour FROM hour AT TIME ZONE %(zone)s)::int / %(each)s AS block, {KEPT_SUMS}
          FROM runs_hourkpi WHERE org_id = %(org)s AND agent_id = %(agent)s AND hour >= %(starts)s AND hour < %(ends)s
         GROUP BY 1, 2, 3, 4
    """  # noqa: S608
    asked = {
        "zone": window.zone,
        "each": HOURS_EACH,
        "org": agent.org_id,
        "agent": agent.pk,
        "starts": hour_of(window.starts),
        "ends": window.ends,
    }
    rows = replica.rows(sql, asked)
    cells = [(version, RunCell(channel, kind, block)) for version, channel, kind, block, _ in rows]
    found = zip(cells, exact([row[-1] for row in rows]), strict=True)
    return {at: amounts for at, amounts in found if amounts[0]}


def first_days_of_versions(agent: Agent) -> dict[str, date]:
    """The day on which each version of an agent first ran, as far as is kept."""
    days = DayKpi.objects.filter(org=agent.org_id, agent=agent, runs__gt=0).order_by()
    return dict(days.values_list("agent_version").annotate(first=Min("day")))
