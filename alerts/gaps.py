"""Duty is looked at ahead: what is found within a day is an alert to the leads of the org (alerts/actions)."""

from datetime import datetime, timedelta

from django.db import connection, transaction

from alerts.actions import ForeseenGap, judge_gaps
from alerts.faults import contained
from alerts.models import Alert
from orgs import clock
from orgs.duty.roster import Roster, duty_gaps
from orgs.models import Agent, Org
from orgs.rosters import rosters_of

LOCK = 7_301_009  # advisory: one process looks ahead at a time
TOLD_BEFORE = timedelta(hours=24)
AHEAD = timedelta(days=7)


def sweep_duty_gaps() -> int:
    """Look at the duty of every org that has somebody to tell; how many alerts changed. Run it with the tenant scope
    disabled.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return 0
        now = clock.now()
        agents: dict[int, list[int]] = {}
        for org_id, pk in Agent.objects.filter(production=True).order_by("pk").values_list("org_id", "pk"):
            agents.setdefault(org_id, []).append(pk)
        newest = {
            alert.org_id: alert
            for alert in Alert.objects.filter(scope=Alert.Scope.ORG).order_by("org_id", "-opened_at").distinct("org_id")
        }
        rosters = rosters_of({*agents, *newest}, now)
        orgs = Org.objects.in_bulk(rosters)
        return sum(
            _judge(orgs[pk], foreseen(rosters[pk], agents.get(pk, []), now), newest.get(pk), now)
            for pk in sorted(rosters)
        )


def _judge(org: Org, gaps: list[ForeseenGap], newest: Alert | None, now: datetime) -> bool:
    """One org in a savepoint of its own: one that cannot be judged leaves the others looked at."""
    with contained("duty_not_judged", org=org.pk), transaction.atomic():
        return judge_gaps(org, gaps, newest, now)
    return False


def foreseen(roster: Roster, agents: list[int], now: datetime) -> list[ForeseenGap]:
    """The gaps that begin within a day. An org without people has none: that it has nobody is said elsewhere."""
    if not roster.shifts:
        return []
    horizon = now + AHEAD
    return [
        ForeseenGap(agent, begin, end if end < horizon else None)
        for agent in agents
        for begin, end in duty_gaps(roster, agent, now, horizon)
        if begin < now + TOLD_BEFORE
    ]
