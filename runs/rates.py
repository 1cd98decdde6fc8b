"""How often agents ran within an hour or a day: what failures are counted against. Reads only, by index."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from alerts.tables import fetch
from runs.models import HourKpi

HOUR = timedelta(hours=1)
REMEMBERED = timedelta(days=7)  # an org that sent no run in that time sends none
# Of each agent by its own index alone, however much ran before.
LAST_HOUR = """
SELECT agent.id, count(run.started_at)
  FROM unnest(%b::bigint[], %b::bigint[]) AS agent (org_id, id)
  LEFT JOIN LATERAL (
       SELECT started_at FROM runs_agentrun run
        WHERE run.org_id = agent.org_id AND run.agent_id = agent.id AND run.started_at > %b AND run.started_at <= %b
       ) run ON true
 GROUP BY agent.id
"""
SENDING = """
SELECT org.id FROM unnest(%b::bigint[]) AS org (id)
 WHERE EXISTS (SELECT FROM runs_hourkpi hour WHERE hour.org_id = org.id AND hour.hour > %b)
"""


def sending_runs(orgs: Collection[int], now: datetime) -> set[int]:
    """Those of these orgs that sent runs in the last 7 days."""
    return {org for (org,) in fetch(SENDING, [sorted(orgs), now - REMEMBERED])} if orgs else set()


def runs_of_last_hour(agents: Collection[tuple[int, int]], now: datetime) -> dict[int, int]:
    """How many runs of each (org pk, agent pk) started in the hour before `now`, by agent pk."""
    if not agents:
        return {}
    orgs, pks = (list(column) for column in zip(*sorted(agents), strict=True))
    return dict(fetch(LAST_HOUR, [orgs, pks, now - HOUR, now]))


def runs_of_hours(orgs: Collection[int], hours: Sequence[datetime]) -> Mapping[int, int]:
    """How many runs started within these whole hours of UTC, by agent pk; agents without any are left out."""
    rows = HourKpi.objects.filter(org__in=orgs, hour__in=hours).order_by().values_list("agent")
    return dict(rows.annotate(n=Sum("runs")))


def runs_since(agents: Collection[tuple[int, int]], start: datetime, middle: datetime) -> dict[int, tuple[int, int]]:
    """How many runs of these (org pk, agent pk) started from one whole hour of UTC until another, and since then.

    By agent pk; agents without any are left out.
    """
    orgs, pks = {org for org, _ in agents}, {pk for _, pk in agents}
    rows = HourKpi.objects.filter(org__in=orgs, agent__in=pks, hour__gte=start).order_by().values_list("agent")
    counted = rows.annotate(
        before=Coalesce(Sum("runs", filter=Q(hour__lt=middle)), 0),
        since=Coalesce(Sum("runs", filter=Q(hour__gte=middle)), 0),
    )
    return {agent: (before, since) for agent, before, since in counted}
