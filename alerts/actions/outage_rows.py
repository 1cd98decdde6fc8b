"""Which rows are outages, and which alerts of rooms fell under one: derived, never written."""

from django.db.models import Exists, Q, QuerySet

from alerts.decide import LATE_AFTER
from alerts.models import Alert, outages_over

AgentKey = tuple[int, int]  # org pk, agent pk
SourceKey = tuple[int, int]  # org pk, source pk


def rooms_of_outage(outage: Alert) -> QuerySet[Alert]:
    """The alerts of rooms whose episode fell under this outage, whatever became of them since; newest failure first."""
    assert outage.covers_from is not None
    began = Q(opened_at__gte=outage.covers_from, last_event_at__gte=outage.covers_from - LATE_AFTER)
    if outage.resolved_at is not None:
        began &= Q(opened_at__lte=outage.resolved_at)
    if outage.scope == Alert.Scope.AGENT:
        whose = Q(agent=outage.agent_id)
    else:
        whose = Q(from_source=outage.source_id) & ~Q(Exists(outages_over()))  # an agent's has its rooms itself
    rows = Alert.objects.filter(began, whose, org=outage.org_id, scope=Alert.Scope.ROOM)
    return rows.order_by("-last_event_at", "-pk")


def rooms_under(outage: Alert) -> QuerySet[Alert]:
    """Of these, the ones that nobody has: they are under it, or were when it ended and still wait."""
    return rooms_of_outage(outage).filter(state=Alert.State.OPEN)
