"""The health strip: one tile per agent. Green never means "no data"."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.db.models import Count, DateTimeField, IntegerField, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

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


@dataclass(frozen=True)
class Tile:
    """An agent's state. `now_per_hour` and `usual_per_hour` are failure events per hour; `n`: events behind usual."""

    agent: Agent
    state: AgentState
    now_per_hour: int
    usual_per_hour: float | None
    n: int
    open_alerts: int
    last_event_at: datetime | None
    heard_at: datetime | None
    blind: bool  # its source has sent nothing lately


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

    Three queries, each per agent by index; run it inside a scope.
    """
    agents = list(_agents(org_ids))
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
        is_heard = heard_at is not None and now - heard_at <= HEARD_WITHIN
        found.append(
            Tile(
                agent=agent,
                state=judge_agent(current, n, is_heard),
                now_per_hour=current,
                usual_per_hour=n / DAYS if n >= ENOUGH else None,
                n=n,
                open_alerts=agent.open_alerts,
                last_event_at=agent.last_event_at,
                heard_at=heard_at,
                blind=not is_heard,
            )
        )
    worst_first = ("degraded", "no_data", "healthy")
    return sorted(found, key=lambda tile: (worst_first.index(tile.state), -tile.open_alerts, tile.agent.name))


def _agents(org_ids: OrgIds):  # type: ignore[no-untyped-def]
    """Agents in production, each with its newest event and its open alerts: index lookups per agent."""
    events = FailureEvent.objects.filter(agent=OuterRef("pk")).order_by("-received_at")
    still_open = (
        Alert.objects.filter(agent=OuterRef("pk"), org=OuterRef("org"))
        .exclude(state=Alert.State.RESOLVED)
        .order_by()
        .values("agent")
        .annotate(n=Count("pk"))
        .values("n")
    )
    agents = Agent.objects.filter(production=True).select_related("org")
    return of_orgs(agents, org_ids).annotate(
        last_event_at=Subquery(events.values("received_at")[:1], output_field=DateTimeField()),
        last_source=Subquery(events.values("source")[:1], output_field=IntegerField()),
        open_alerts=Coalesce(Subquery(still_open, output_field=IntegerField()), 0),
    )


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
