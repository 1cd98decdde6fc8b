"""What the page of an agent reads, beside its figures."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC
from zoneinfo import ZoneInfo

from django.db.models import Count
from django.db.models.functions import TruncDate, TruncHour

from alerts.models import Alert, FailureEvent
from orgs.models import Agent, Org, Severity
from runs.models import AgentRun
from runs.windows import BucketLabel, BucketName, OrgWindow, first_day

OPEN_SHOWN, RUNS_SHOWN = 10, 10
WORST_FIRST_SEVERITY = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def agent_named(orgs: Sequence[Org], name: str) -> Agent | None:
    """The agent of this name in these orgs, the first org's of several; or of this id."""
    known = Agent.objects.select_related("org").filter(org__in=list(orgs)).order_by("org__name", "pk")
    found = known.filter(name=name).first()
    if found is None and name.isascii() and name.isdecimal() and len(name) < 19:
        found = known.filter(pk=int(name)).first()
    return found


def open_alerts_of(agent: Agent) -> list[Alert]:
    """Its alerts that are not over, the worst and newest first."""
    found = Alert.objects.select_related("room", "org").filter(org=agent.org_id, agent=agent)
    rows = list(found.exclude(state=Alert.State.RESOLVED).order_by("-last_event_at")[: 5 * OPEN_SHOWN])
    return sorted(rows, key=lambda alert: WORST_FIRST_SEVERITY[Severity(alert.severity)])[:OPEN_SHOWN]


def newest_runs_of(agent: Agent) -> list[AgentRun]:
    """Its last runs."""
    found = AgentRun.objects.select_related("org", "agent").filter(org=agent.org_id, agent=agent)
    return list(found.order_by("-started_at", "-id")[:RUNS_SHOWN])


def signals_over_time(agent: Agent, window: OrgWindow, bucket: BucketName) -> dict[str, dict[BucketLabel, int]]:
    """How many failure events of each signal there were in each bucket, by when they happened."""
    events = FailureEvent.objects.filter(
        org=agent.org_id,
        agent=agent,
        received_at__gte=window.starts,  # for the index: nothing is received before it happens
        occurred_at__gte=window.starts,
        occurred_at__lt=window.ends,
    )
    of_hours = bucket == "hour"
    at = TruncHour("occurred_at", tzinfo=UTC) if of_hours else TruncDate("occurred_at", tzinfo=ZoneInfo(window.zone))
    found: dict[str, dict[BucketLabel, int]] = defaultdict(lambda: defaultdict(int))
    for signal, when, n in events.annotate(at=at).values_list("signal", "at").annotate(n=Count("pk")).order_by():
        found[signal][when if of_hours else first_day(when, bucket)] += n
    return found
