"""The health strip: one tile per agent, in the colour of what is open now. Green never means "no data"."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from django.db.models import Count, DateTimeField, IntegerField, OuterRef, Q, QuerySet, Subquery

from alerts.models import Alert, FailureEvent, put_aside
from alerts.prepared import PreparedQuery
from alerts.sources.health import HEARD_WITHIN
from console.pages.board.rates import FailureRate, RunCounts, count_runs, day_before, usual_hours
from orgs.models import Agent, Org, SourceHeard

HOUR = timedelta(hours=1)
DAYS = 7
ENOUGH = 20  # failure events in the same hour of the previous 7 days, to call their mean "usual"
DEGRADED_ABOVE = 3
NO_FAILURES = (
    "above_threshold",
    "same_run",
    "to_agent",
    "human_stalled",
)  # reasons of events that count as none, or were counted
SHOWN = 12  # tiles, the worst first; or one fewer, and how many more there are
KEPT = 200  # sets of agents, whose usual figures of a minute are kept

AgentState = Literal["degraded", "no_data", "healthy"]
Tone = Literal["crit", "warn", "none", "ok"]
WORST_FIRST: tuple[Tone, ...] = ("crit", "warn", "none", "ok")


@dataclass(frozen=True)
class Tile:
    """An agent's state. `now_per_hour` and `usual_per_hour` are failure events per hour; `n`: events behind usual.

    `rate`, `usual`: failures against runs, in the last hour and in this hour of the 7 days before; of an agent that
    runs too seldom for that (`seldom`) in the last day and in the 7 before it. None: its org sends no runs, and
    failures per hour are all there is. `state` compares with the usual; `critical` and `warning` count what is open now
    and not snoozed. `org`: where the tile must say whose agent it is.
    """

    agent: Agent
    state: AgentState
    now_per_hour: int
    usual_per_hour: float | None
    n: int
    open_alerts: int
    last_event_at: datetime | None
    heard_at: datetime | None
    blind: bool  # its source has sent nothing lately
    critical: int = 0
    warning: int = 0
    rate: FailureRate | None = None
    usual: FailureRate | None = None
    seldom: bool = False
    org: Org | None = None

    @property
    def tone(self) -> Tone:
        """Its colour: first what is open now, then what is unusual; a baseline that is unknown is no colour."""
        if self.critical:
            return "crit"
        if self.warning or self.state == "degraded":
            return "warn"
        return "ok" if self.state == "healthy" else "none"

    @property
    def silent(self) -> bool:
        """Nothing is known of it: its source has sent nothing lately, and nothing of before is left."""
        return self.blind and not self.now_per_hour and not self.open_alerts and not (self.rate and self.rate.runs)


def judge_agent(now_per_hour: int, n: int, heard: bool) -> AgentState:
    """What the figures of an agent mean; pure.

    >>> [judge_agent(*figures) for figures in ((10, 21, True), (9, 21, True), (0, 21, False), (0, 19, True))]
    ['degraded', 'healthy', 'no_data', 'no_data']
    """
    if n >= ENOUGH and now_per_hour > DEGRADED_ABOVE * n / DAYS:
        return "degraded"
    return "healthy" if heard and n >= ENOUGH else "no_data"


def judge_rate(rate: FailureRate, usual: FailureRate, heard: bool) -> AgentState:
    """What the failures per 100 runs of an agent mean; too few runs mean nothing, not health. Pure.

    >>> judge_rate(FailureRate(9, 40), FailureRate(20, 1000), heard=True)
    'degraded'
    """
    if rate.is_above(usual, DEGRADED_ABOVE):
        return "degraded"
    return "healthy" if heard and rate.known and usual.known else "no_data"


def tiles(orgs: Collection[int], now: datetime) -> list[Tile]:
    """A tile for every agent in production of these orgs, worst first.

    Ten queries at most, each by index; run it inside a scope.
    """
    agents: list[Any] = AGENTS.rows(orgs)
    opened = _open_of_agents(orgs, now)
    heard = {(row.org_id, row.source_id): row.at for row in SourceHeard.objects.filter(org__in=orgs)}
    newest: dict[int, datetime] = {}  # by org
    for (org, _source), at in heard.items():
        newest[org] = max(at, newest.get(org, at))
    runs = count_runs([(agent.org_id, agent.pk) for agent in agents], now)
    figures = _figures([agent.pk for agent in agents], now)
    failures = _failures_since(runs.seldom.keys(), now)
    found = []
    for agent in agents:
        heard_at = heard.get((agent.org_id, agent.last_source), newest.get(agent.org_id))
        current, n, in_hours = figures.get(agent.pk, (0, 0, 0))
        seldom = agent.pk in runs.seldom
        rates = _rates(agent, runs, *(reversed(failures[agent.pk]) if seldom else (current, in_hours)))
        open_now = opened.get(agent.pk, OpenOfAgent())
        is_heard = heard_at is not None and now - heard_at <= HEARD_WITHIN
        found.append(
            Tile(
                agent=agent,
                state=judge_rate(*rates, is_heard) if rates else judge_agent(current, n, is_heard),
                now_per_hour=current,
                usual_per_hour=n / DAYS if n >= ENOUGH else None,
                n=n,
                open_alerts=open_now.total,
                last_event_at=agent.last_event_at,
                heard_at=heard_at,
                blind=not is_heard,
                critical=open_now.critical,
                warning=open_now.warning,
                rate=rates[0] if rates else None,
                usual=rates[1] if rates else None,
                seldom=seldom,
            )
        )
    return sorted(found, key=lambda tile: (WORST_FIRST.index(tile.tone), -tile.open_alerts, tile.agent.name))


def with_orgs(found: Sequence[Tile], orgs: Collection[Org], *, every: bool = False) -> list[Tile]:
    """The same tiles; those whose agent shares its name with one of another org (or `every` one) say their org."""
    names, by_pk = Counter(tile.agent.name for tile in found), {org.pk: org for org in orgs}
    return [
        replace(tile, org=by_pk.get(tile.agent.org_id)) if every or names[tile.agent.name] > 1 else tile
        for tile in found
    ]


def _rates(agent: Agent, runs: RunCounts, failures: int, usual: int) -> tuple[FailureRate, FailureRate] | None:
    """The failures of now, and the usual ones, against the runs of the same time; None: its org sends no runs."""
    if agent.org_id not in runs.orgs:
        return None
    if agent.pk in runs.seldom:
        before, since = runs.seldom[agent.pk]
        return FailureRate(failures, since), FailureRate(usual, before)
    return FailureRate(failures, runs.now.get(agent.pk, 0)), FailureRate(usual, runs.usual.get(agent.pk, 0))


def _agents() -> QuerySet[Agent]:
    """Agents in production, each with its newest event: one index lookup per agent."""
    events = FailureEvent._base_manager.filter(agent=OuterRef("pk")).order_by("-received_at")
    return Agent._base_manager.filter(production=True).annotate(
        last_event_at=Subquery(events.values("received_at")[:1], output_field=DateTimeField()),
        last_source=Subquery(events.values("source")[:1], output_field=IntegerField()),
    )


AGENTS = PreparedQuery(_agents, key="org_id")


class OpenOfAgent(NamedTuple):
    """How many alerts of an agent are open, and how many of these are critical or warnings that nobody put aside."""

    total: int = 0
    critical: int = 0
    warning: int = 0


def _open_of_agents(orgs: Collection[int], now: datetime) -> dict[int, OpenOfAgent]:
    """By agent pk; of all that is open in these orgs."""
    urgent = ~put_aside(now)
    rows = Alert.objects.exclude(state=Alert.State.RESOLVED).filter(org__in=orgs).order_by().values_list("agent")
    counted = rows.annotate(
        total=Count("pk"),
        critical=Count("pk", filter=urgent & Q(severity="critical")),
        warning=Count("pk", filter=urgent & Q(severity="warning")),
    )
    return {agent: OpenOfAgent(*counts) for agent, *counts in counted}


def _figures(agents: Sequence[int], now: datetime) -> dict[int, tuple[int, int, int]]:
    """Failure events of the last hour, of the same hour on the 7 days before, and of `usual_hours`, by agent pk."""
    current = dict(_by_agent(agents, Q(received_at__gt=now - HOUR)).annotate(n=Count("pk")))
    minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    usual = _usual_figures(tuple(agents), minute, tuple(usual_hours(now)))
    return {agent: (current.get(agent, 0), *usual.get(agent, (0, 0))) for agent in agents}


@lru_cache(maxsize=KEPT)
def _usual_figures(
    agents: tuple[int, ...], minute: datetime, hours: tuple[datetime, ...]
) -> dict[int, tuple[int, int]]:
    """Failure events of the hour to this minute on the 7 days before, and of these hours, by agent pk.

    No event comes into them any more, so they are read once a minute for all who see the same agents.
    """
    before, in_hours = Q(), Q()
    for day in range(1, DAYS + 1):
        end = minute - timedelta(days=day)
        before |= Q(received_at__gt=end - HOUR, received_at__lte=end)
    for hour in hours:
        in_hours |= Q(received_at__gte=hour, received_at__lt=hour + HOUR)
    rows = _by_agent(agents, before | in_hours)
    counted = rows.annotate(n=Count("pk", filter=before), hours=Count("pk", filter=in_hours))
    return {agent: (n, hours_n) for agent, n, hours_n in counted}


def _by_agent(agents: Collection[int], when: Q) -> Any:
    """The failure events of then, to be counted by agent pk."""
    rows = FailureEvent.objects.filter(when, agent__in=agents).exclude(reason__in=NO_FAILURES)
    return rows.order_by().values_list("agent")


def _failures_since(agents: Collection[int], now: datetime) -> dict[int, tuple[int, int]]:
    """Failure events of the 7 days before the last one, and of the last one (`day_before`), by agent pk."""
    if not agents:
        return {}
    start, middle = day_before(now)
    counted = _by_agent(agents, Q(received_at__gte=start)).annotate(
        before=Count("pk", filter=Q(received_at__lt=middle)), since=Count("pk", filter=Q(received_at__gte=middle))
    )
    return dict.fromkeys(agents, (0, 0)) | {agent: (before, since) for agent, before, since in counted}
