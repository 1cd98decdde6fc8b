"""The gaps that an alert about an org's duty told of, with the week of the page of duty in which each lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils.http import urlencode

from alerts.models import Alert, Transition
from console.pages.duty.words import gap_said
from orgs.models import Agent


@dataclass(frozen=True)
class ToldGap:
    """Nobody is on duty for an agent; `when` by the org's wall clock."""

    agent: str
    when: str
    url: str


def told_gaps(alert: Alert, changes: Sequence[Transition]) -> list[ToldGap]:
    """Those that these changes of the alert told of, by begin and agent; one that grew is there as it is now.

    One query, none for other alerts.
    """
    if alert.scope != Alert.Scope.ORG:
        return []
    told = [(agent, *_times(*edges)) for one in changes for agent, *edges in one.detail.get("gaps", ())]
    names = dict(Agent.objects.filter(org=alert.org, pk__in={agent for agent, *_ in told}).values_list("pk", "name"))
    last = [one for one in set(told) if one[0] in names and not any(_grew(one, other) for other in told)]
    zone = alert.org.zone
    return [
        ToldGap(names[agent], gap_said(begins, ends, zone), _week(alert, begins))
        for agent, begins, ends in sorted(last, key=lambda one: (one[1], names[one[0]]))
    ]


def _times(begins: str, ends: str | None) -> tuple[datetime, datetime | None]:
    return datetime.fromisoformat(begins), datetime.fromisoformat(ends) if ends else None


def _grew(one: tuple[int, datetime, datetime | None], other: tuple[int, datetime, datetime | None]) -> bool:
    """Whether the other is the same gap, told again because it is longer."""
    lasts = other[2] is None or (one[2] is not None and one[2] <= other[2])
    return one != other and one[0] == other[0] and other[1] <= one[1] and lasts


def _week(alert: Alert, begins: datetime) -> str:
    day = begins.astimezone(ZoneInfo(alert.org.zone)).date()
    return f"{reverse('duty')}?{urlencode({'org': alert.org.external_id, 'from': day.isoformat()})}"
