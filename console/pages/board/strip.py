"""The health strip: one tile per agent, in the colour of what is open now. Green never means "no data"."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from django.db.models import Count, DateTimeField, IntegerField, OuterRef, Q, QuerySet, Subquery

from alerts.models import Alert, FailureEvent
from alerts.sources.health import HEARD_WITHIN
from orgs.auth import OrgIds, of_orgs
from orgs.models import Agent, SourceHeard

HOUR = timedelta(hours=1)
DAYS = 7
ENOUGH = 20  # failure events in the same hour of the previous 7 days, to call their mean "usual"
DEGRADED_ABOVE = 3
SHOWN = 12  # tiles; the worst first

AgentState = Literal["degraded", "no_data", "healthy"]
Tone = Literal["crit", "warn", "none", "ok"]
WORST_FIRST: tuple[Tone, ...] = ("crit", "warn", "none", "ok")


@dataclass(frozen=True)
class Tile:
    """An agent's state. `now_per_hour` and `usual_per_hour` are failure events per hour; `n`: events behind usual.

    `state` compares with the usual; `critical` and `warning` count what is open now and not snoozed.
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
        return self.blind and not self.now_per_hour and not self.open_alerts


def judge_agent(now_per_hour: int, n: int, heard: bool) -> AgentState:
    """What the figures of an agent mean; pure.

    >>> [judge_agent(*figures) for figures in ((10, 21, True), (9, 21, True), (0, 21, False), (0, 19, True))]
    ['degraded', 'healthy', 'no_data', 'no_data']
    """
    if n >= ENOUGH and now_per_hour > DEGRADED_ABOVE * n / DAYS:
        return "degraded"
    return "healthy" if heard and n >= ENOUGH else "no_data"


def tiles(org_ids: OrgIds, now: datetime) -> list[Tile]:
    """A tile for every agent in production of these orgs, worst first.

    Four queries, each by index; run it inside a scope.
    """
    agents: list[Any] = list(_agents(org_ids))
    opened = _open_of_agents(org_ids, now)
    heard = {
        (row.org_id, row.source_id): row.at
        for row in SourceHeard.objects.filter(org__in={agent.org_id for agent in agents})
    }
    newest: dict[int, datetime] = {}  # by org
    for (org, _source), at in heard.items():
        newest[org] = max(at, newest.get(org, at))
    figures = _figures([agent.pk for agent in agents], now)
    found = []
    for agent in agents:
        heard_at = heard.get((agent.org_id, agent.last_source), newest.get(agent.org_id))
        current, n = figures.get(agent.pk, (0, 0))
        open_now = opened.get(agent.pk, OpenOfAgent())
        is_heard = heard_at is not None and now - heard_at <= HEARD_WITHIN
        found.append(
            Tile(
                agent=agent,
                state=judge_agent(current, n, is_heard),
                now_per_hour=current,
                usual_per_hour=n / DAYS if n >= ENOUGH else None,
                n=n,
                open_alerts=open_now.total,
                last_event_at=agent.last_event_at,
                heard_at=heard_at,
                blind=not is_heard,
                critical=open_now.critical,
                warning=open_now.warning,
            )
        )
    return sorted(found, key=lambda tile: (WORST_FIRST.index(tile.tone), -tile.open_alerts, tile.agent.name))


def _agents(org_ids: OrgIds) -> QuerySet[Agent]:
    """Agents in production, each with its newest event: one index lookup per agent."""
    events = FailureEvent.objects.filter(agent=OuterRef("pk")).order_by("-received_at")
    agents = Agent.objects.filter(production=True).select_related("org")
    return of_orgs(agents, org_ids).annotate(
        last_event_at=Subquery(events.values("received_at")[:1], output_field=DateTimeField()),
        last_source=Subquery(events.values("source")[:1], output_field=IntegerField()),
    )


class OpenOfAgent(NamedTuple):
    """How many alerts of an agent are open, and how many of these are critical or warnings and not snoozed."""

    total: int = 0
    critical: int = 0
    warning: int = 0


def _open_of_agents(org_ids: OrgIds, now: datetime) -> dict[int, OpenOfAgent]:
    """By agent pk; of all that is open in these orgs."""
    urgent = ~Q(snoozed_until__gt=now)
    rows = of_orgs(Alert.objects.exclude(state=Alert.State.RESOLVED), org_ids).order_by().values_list("agent")
    counted = rows.annotate(
        total=Count("pk"),
        critical=Count("pk", filter=urgent & Q(severity="critical")),
        warning=Count("pk", filter=urgent & Q(severity="warning")),
    )
    return {agent: OpenOfAgent(*counts) for agent, *counts in counted}


def _figures(agents: Sequence[int], now: datetime) -> dict[int, tuple[int, int]]:
    """Failure events of the last hour, and of the same hour on the 7 days before, by agent pk."""
    current = Q(received_at__gt=now - HOUR)
    before = Q()
    for day in range(1, DAYS + 1):
        end = now - timedelta(days=day)
        before |= Q(received_at__gt=end - HOUR, received_at__lte=end)
    rows = (
        FailureEvent.objects.filter(current | before, agent__in=agents)
        .exclude(reason="above_threshold")
        .order_by()
        .values_list("agent")
        .annotate(now=Count("pk", filter=current), n=Count("pk", filter=before))
    )
    return {agent: (current_n, n) for agent, current_n, n in rows}
