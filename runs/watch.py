"""The watch over agents: which of them run for nobody any more, though they usually would by now."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from alerts.actions import AgentSilence, end_of_watch, judge_silence
from alerts.faults import contained
from alerts.known import known_now
from alerts.models import Alert, BlindInterval
from alerts.sources.rules import SILENT_AFTER
from alerts.tables import fetch
from orgs.models import Agent
from runs.silence import LONGEST, AgentPast, compared, heard_since, hours_of, is_silent_agent

LOCK = 7_316_002  # advisory: one process watches at a time
# Each agent in production with its newest and its first run, by its own index: flat in what was between.
AGENTS = """
SELECT agent.id, last.started_at, last.source_id, first.started_at
  FROM orgs_agent agent
  JOIN LATERAL (SELECT started_at, source_id FROM runs_agentrun run
                 WHERE run.org_id = agent.org_id AND run.agent_id = agent.id
                 ORDER BY started_at DESC, id DESC LIMIT 1) last ON true
  JOIN LATERAL (SELECT started_at FROM runs_agentrun run
                 WHERE run.org_id = agent.org_id AND run.agent_id = agent.id
                 ORDER BY started_at, id LIMIT 1) first ON true
 WHERE agent.production
"""
HOURS = """
SELECT agent_id, hour, sum(runs) FROM runs_hourkpi
 WHERE org_id = ANY(%b::bigint[]) AND hour = ANY(%b::timestamptz[]) AND agent_id = ANY(%b::bigint[])
 GROUP BY agent_id, hour
"""
HEARD = """
SELECT org_id, source_id, array_agg(DISTINCT minute ORDER BY minute) FROM alerts_sourceminute
 WHERE org_id = ANY(%b::bigint[]) AND source_id = ANY(%b::bigint[]) AND minute > %b AND created + duplicate > 0
 GROUP BY org_id, source_id
"""


def sweep_agents() -> int:
    """Judge every agent in production that ever ran; how many alerts changed. Run it with the tenant scope disabled."""
    with transaction.atomic():
        if not fetch("SELECT pg_try_advisory_xact_lock(%b)", [LOCK])[0][0]:
            return 0
        now, known = known_now()
        alerts = {
            alert.agent_id: alert
            for alert in Alert.objects.filter(scope=Alert.Scope.AGENT, covers_from=None)
            .order_by("org_id", "agent_id", "-opened_at")
            .distinct("org_id", "agent_id")
        }
        seen = {agent: SeenAgent(*rest) for agent, *rest in fetch(AGENTS)}
        agents = Agent.objects.select_related("org").in_bulk(seen)
        policies = known.policies((agent.org_id, agent.pk) for agent in agents.values())
        watched = [pk for pk, agent in agents.items() if policies[agent.org_id, pk].detect_from_runs]
        silent = _silent({pk: seen[pk] for pk in watched}, {pk: agents[pk] for pk in watched}, now)
        concerned = sorted(pk for pk in watched if pk in silent or _is_open(alerts.get(pk)))
        found = (AgentSilence(agents[pk], seen[pk].last_at, pk in silent) for pk in concerned)
        left = [alert for pk, alert in alerts.items() if _is_open(alert) and pk not in watched]
        return sum(_judge(one, alerts.get(one.agent.pk), now) for one in found) + sum(_leave(one, now) for one in left)


@dataclass(frozen=True, slots=True)
class SeenAgent:
    """When an agent last ran, who said so, and when it first did."""

    last_at: datetime
    source_id: int
    first_at: datetime


def _is_open(alert: Alert | None) -> bool:
    return alert is not None and alert.state != Alert.State.RESOLVED


def _judge(found: AgentSilence, newest: Alert | None, now: datetime) -> bool:
    """One agent in a savepoint of its own: one that cannot be judged leaves the others watched."""
    with contained("agent_not_judged", org=found.agent.org_id, agent=found.agent.pk), transaction.atomic():
        return judge_silence(found, newest, now)
    return False


def _leave(alert: Alert, now: datetime) -> bool:
    """Its agent is in production no more, or its runs say nothing by policy."""
    with contained("agent_not_left", alert=str(alert.pk)), transaction.atomic():
        return end_of_watch(alert, now)
    return False


def _silent(seen: Mapping[int, SeenAgent], agents: Mapping[int, Agent], now: datetime) -> set[int]:
    """The pks of those that are silent while their source is not. Three queries, however many agents."""
    quiet = {pk: one for pk, one in seen.items() if now - one.last_at >= SILENT_AFTER}
    if not quiet:
        return set()
    orgs = sorted({agents[pk].org_id for pk in quiet})
    sources = sorted({one.source_id for one in quiet.values()})
    minutes = {(org, source): heard for org, source, heard in fetch(HEARD, [orgs, sources, now - LONGEST])}
    down = BlindInterval.objects.filter(cause=BlindInterval.Cause.DOWN, ends__gt=now - LONGEST).aggregate(
        end=Max("ends")
    )
    seen_again = down["end"] or now - LONGEST  # what did not come while we were down says nothing of the agent
    since = {pk: heard_since(minutes.get((agents[pk].org_id, one.source_id), []), now) for pk, one in quiet.items()}
    pasts = {pk: max(one.last_at, at, seen_again) for pk, one in quiet.items() if (at := since[pk]) is not None}
    windows = {pk: compared(at, quiet[pk].first_at, now) for pk, at in pasts.items()}
    hours = sorted({hour for some in windows.values() for window in some for hour in hours_of(*window)})
    counted: dict[int, dict[datetime, int]] = defaultdict(dict)
    for agent, hour, runs in fetch(HOURS, [orgs, hours, sorted(pasts)]) if hours else []:
        counted[agent][hour] = int(runs)
    return {pk for pk, at in pasts.items() if is_silent_agent(AgentPast(at, quiet[pk].first_at, counted[pk]), now)}
