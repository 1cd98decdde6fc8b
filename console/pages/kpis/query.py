"""What the KPI page reads: the sums of each agent in each bucket, from which every widget is put together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.blind import blind_minutes, cut_spans
from console.pages.kpis.asked import KpiAsked
from orgs.models import Agent, Org
from runs.durations import Histogram, merged
from runs.kpis import KpiFigures, kpi_figures
from runs.models import DayKpi
from runs.query import blind_of
from runs.rollups import kpi_durations, kpi_sessions, kpi_sums
from runs.sessions import SessionCounts
from runs.sums import NAMES, NOTHING, Amounts, total
from runs.windows import BucketLabel, BucketName, first_day, hour_of, next_label

CHOICES = 200  # of a filter
CHOICES_OF = timedelta(days=7)  # what ran within is offered
VERSIONS_OF = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AgentSums:
    """What the runs of one agent add up to, in all and in each bucket."""

    agent: Agent
    whole: Amounts
    buckets: dict[BucketLabel, Amounts]

    @property
    def figures(self) -> KpiFigures:
        return kpi_figures(self.whole, {})


@dataclass(frozen=True, slots=True)
class KpiBoard:
    """The figures of a page. `before`: of the stretch before, without durations; `labels`: every bucket, in order."""

    whole: Amounts
    durations: Histogram
    before: Amounts
    labels: list[BucketLabel]
    buckets: dict[BucketLabel, tuple[Amounts, Histogram]]
    agents: list[AgentSums]  # most runs first
    blind: dict[BucketLabel, float]  # minutes of each bucket in which we could not see all of every org

    @property
    def figures(self) -> KpiFigures:
        return kpi_figures(self.whole, self.durations)

    def of_bucket(self, label: BucketLabel) -> KpiFigures:
        """The figures of one bucket."""
        return kpi_figures(*self.buckets.get(label, (NOTHING, {})))


def amount(sums: Amounts, name: str) -> int:
    """One of `runs.sums.NAMES`, as a whole number."""
    return int(sums[NAMES.index(name)])


def kpi_board(asked: KpiAsked) -> KpiBoard:
    """Everything that the page shows, in a few statements however many agents and buckets there are."""
    scope = asked.scope
    sums = kpi_sums(scope, "agent", asked.bucket)
    durations = kpi_durations(scope, "", asked.bucket)
    of_agent: dict[str, dict[BucketLabel, Amounts]] = defaultdict(dict)
    of_bucket: dict[BucketLabel, list[Amounts]] = defaultdict(list)
    for (_, agent, label), amounts in sums.items():
        of_agent[agent][label] = amounts
        of_bucket[label].append(amounts)
    took: dict[BucketLabel, list[Histogram]] = defaultdict(list)
    for (_, _, label), histogram in durations.items():
        took[label].append(histogram)
    known = {agent.pk: agent for agent in Agent.objects.filter(pk__in=map(int, of_agent)).select_related("org")}
    agents = [
        AgentSums(known[int(pk)], total(found.values()), found) for pk, found in of_agent.items() if int(pk) in known
    ]
    labels = bucket_labels(asked)
    return KpiBoard(
        whole=total(sums.values()),
        durations=merged(durations.values()),
        before=total(kpi_sums(asked.before, "", "total").values()),
        labels=labels,
        buckets={label: (total(found), merged(took[label])) for label, found in of_bucket.items()},
        blind=_blind(asked, labels),
        agents=sorted(agents, key=lambda one: (-amount(one.whole, "runs"), one.agent.name, one.agent.pk)),
    )


@dataclass(frozen=True, slots=True)
class AgentSessions:
    """The sessions of one agent that began in the period, and what its runs add up to.

    `matured`: those of them that began before the last 25 h; `maturing`: the period reaches into these.
    """

    agent: Agent
    counts: SessionCounts
    matured: SessionCounts
    maturing: bool
    runs: Amounts


@dataclass(frozen=True, slots=True)
class Conversations:
    """The sessions of a page, by agent and together. `before`: of the stretch before.

    `matured_runs`: what the runs add up to that started before the last 25 h.
    """

    agents: list[AgentSessions]  # most sessions first
    whole: SessionCounts
    matured: SessionCounts
    before: SessionCounts
    matured_runs: Amounts


def conversations(asked: KpiAsked, board: KpiBoard) -> Conversations:
    """How the conversations of the agents of a board went; of all agents that had one, or a run."""
    scope = asked.scope
    whole, matured = (kpi_sessions(one, "agent", "total") for one in (scope, scope.matured))
    none, runs = SessionCounts(), {one.agent.pk: one for one in board.agents}
    without_run = {int(pk) for _, pk, _ in whole} - set(runs)
    agents = [one.agent for one in board.agents]
    agents += Agent.objects.filter(pk__in=without_run).select_related("org") if without_run else []
    found = [
        AgentSessions(
            agent,
            whole.get((agent.org_id, str(agent.pk), None), none),
            matured.get((agent.org_id, str(agent.pk), None), none),
            scope.windows[agent.org_id].is_maturing("total", None),
            runs[agent.pk].whole if agent.pk in runs else NOTHING,
        )
        for agent in agents
    ]
    return Conversations(
        sorted(found, key=lambda one: (-one.counts.sessions, one.agent.name, one.agent.pk)),
        whole=sum(whole.values(), none),
        matured=sum(matured.values(), none),
        before=sum(kpi_sessions(asked.before, "agent", "total").values(), none),
        matured_runs=total(kpi_sums(scope.matured, "", "total").values()),
    )


def _blind(asked: KpiAsked, labels: Sequence[BucketLabel]) -> dict[BucketLabel, float]:
    scope = asked.scope
    spans = {org_id: found for org_id, found in blind_of(scope, asked.now).items() if found}
    minutes = {
        label: max(
            (
                blind_minutes(cut_spans(found, *scope.windows[org_id].bucket_window(asked.bucket, label)))
                for org_id, found in spans.items()
            ),
            default=0.0,
        )
        for label in labels
    }
    return {label: n for label, n in minutes.items() if n}


def bucket_labels(asked: KpiAsked) -> list[BucketLabel]:
    """Every bucket of the period that has begun, in order, also those without a run."""
    if asked.bucket == "total":
        return [None]
    windows = asked.scope.windows.values()
    if not windows:
        return []
    if asked.bucket == "hour":
        first = hour_of(min(window.starts for window in windows))
        last = min(max(window.ends for window in windows), asked.now)
        hours = int((last - first) / timedelta(hours=1)) + (1 if (last - first) % timedelta(hours=1) else 0)
        return [first.astimezone(UTC) + timedelta(hours=n) for n in range(hours)]
    start = min(window.days[0] for window in windows)
    end = max(min(window.days[1], window.day_of(asked.now) + timedelta(days=1)) for window in windows)
    labels: list[BucketLabel] = []
    at = first_day(start, asked.bucket)
    while at is not None and at < end:
        labels.append(at)
        at = next_label(at, asked.bucket)
    return labels


@dataclass(frozen=True, slots=True)
class KpiChoices:
    """What the filters offer: what ran lately."""

    agents: list[str]
    versions: list[str]
    channels: list[str]
    input_kinds: list[str]


def kpi_choices(orgs: Sequence[Org], now: datetime, agent: str) -> KpiChoices:
    """What ran in the last days, by name; versions are those of one agent."""
    rows = DayKpi.objects.filter(org__in=orgs).order_by()
    lately = rows.filter(day__gte=(now - CHOICES_OF).date())
    kinds = set(lately.values_list("channel", "input_kind").distinct()[:CHOICES])
    agents = Agent.objects.filter(org__in=orgs).order_by("name").values_list("name", flat=True).distinct()
    of_agent = rows.filter(agent__name=agent, day__gte=(now - VERSIONS_OF).date()) if agent else rows.none()
    return KpiChoices(
        list(agents[:CHOICES]),
        _sorted(of_agent.values_list("agent_version", flat=True).distinct()[:CHOICES]),
        _sorted({channel for channel, _ in kinds}),
        _sorted({kind for _, kind in kinds}),
    )


def _sorted(texts: Iterable[str]) -> list[str]:
    return sorted(text for text in texts if text)


@dataclass(frozen=True, slots=True)
class VersionStart:
    """The bucket in which a version of an agent first ran."""

    label: BucketLabel
    version: str


def version_starts(
    days: Iterable[tuple[str, date]], labels: Sequence[BucketLabel], bucket: BucketName, zone: str
) -> list[VersionStart]:
    """Of the versions that took the place of another within these buckets, when they first ran."""
    found = []
    for version, day in sorted(days, key=lambda one: one[1])[1:]:
        label: BucketLabel = first_day(day, bucket)
        if bucket == "hour":
            label = hour_of(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC))
        if version and label in labels:
            found.append(VersionStart(label, version))
    return found
