"""Which alerts a silence covers at the moment of a claim: asked of the silences, for one may have begun just now."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from alerts.known import Known
from alerts.models import Alert
from alerts.silencing import AlertSubject, SilenceFacts, covering, window_at


def subject_of(alert: Alert) -> AlertSubject | None:
    """What a silence is compared with; None: none covers it. Sources, agents that say nothing and gaps in the duty are
    alarms about ourselves.
    """
    signals = [entry["signal"] for entry in alert.signals_now]
    if alert.scope == Alert.Scope.ROOM and alert.room is not None:
        return AlertSubject(alert.agent_id, alert.room.room_id, alert.room.channel, signals)
    of_agent = alert.scope == Alert.Scope.AGENT and alert.is_outage
    return AlertSubject(alert.agent_id, None, "", signals) if of_agent else None


def silenced_alerts(alerts: Iterable[UUID], orgs: Iterable[int], known: Known, now: datetime) -> set[UUID]:
    """Those of these alerts, which are of these orgs, that a silence covers now. No query where no silence lasts."""
    silences = known.silences(wanted := set(orgs))
    lasting = {org: [facts for facts in silences[org] if window_at(facts, now) is not None] for org in wanted}
    standing = {org: some for org, some in lasting.items() if some}
    if not standing:
        return set()
    found = Alert.objects.filter(pk__in=set(alerts), org__in=standing).select_related("room")
    return {alert.pk for alert in found if is_silenced(alert, standing[alert.org_id], now)}


def is_silenced(alert: Alert, silences: Iterable[SilenceFacts], now: datetime) -> bool:
    """Whether one of these silences covers the alert, or some do together."""
    subject = subject_of(alert)
    return subject is not None and covering(silences, subject, now) is not None
