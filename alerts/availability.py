"""What a bot may promise: how long it usually takes at this hour of the week until a human comes. Reads only."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.figures.counting import Span
from alerts.figures.formulas import Estimate
from alerts.figures.metrics import TIME_TO_INTERVENE
from alerts.figures.survival import WaitingCurve
from alerts.figures.units import AROUND_EPISODES
from orgs.models import Agent
from orgs.replica import replica

WEEKS = 8  # that are looked back
HOUR = timedelta(hours=1)
WAITS = "SELECT outcome, seconds, at FROM unit WHERE agent_id = %(agent)s"


def expected_wait(agent: Agent, now: datetime) -> Estimate:
    """The median over the episodes of this agent that began in this hour of the week, in the last eight weeks.

    Those that nobody came to count as long as they were watched, as in the success figures; so with `n` above 0 there
    may be no median: too often nobody came. Run it inside a scope.
    """
    span = Span(_hours(agent, now), now, around=AROUND_EPISODES)
    came: list[float] = []
    left: list[float] = []
    for outcome, seconds, at in replica.rows(TIME_TO_INTERVENE.sql + WAITS, span.parameters(agent=agent.pk)):
        if outcome == TIME_TO_INTERVENE.yes:
            came.append(seconds)
        elif outcome in TIME_TO_INTERVENE.watched:
            left.append((now - at).total_seconds() if seconds is None else seconds)
    return WaitingCurve(came, left).time(0.5)


def _hours(agent: Agent, now: datetime) -> list[tuple[int, datetime, datetime, str]]:
    """This hour of the org's wall clock, a week ago and before: by the clock on both sides of a change."""
    zone = agent.org.zone
    here = now.astimezone(ZoneInfo(zone)).replace(minute=0, second=0, microsecond=0, fold=0)
    starts = [here - timedelta(weeks=week) for week in range(1, WEEKS + 1)]  # of the wall clock: aware, one zone
    return [(agent.org_id, at, at + HOUR, zone) for at in reversed(starts)]
