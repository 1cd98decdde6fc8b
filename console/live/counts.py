"""What every figure of a board says. Frames, pages and partials count in this one way, so that no two disagree."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from alerts.models import Alert
from orgs.models import Severity

FADES_AFTER = timedelta(minutes=15)  # resolved rows stay on the board that long
GROUPS = {"open": "waiting", "acknowledged": "on-it", "intervened": "on-it", "resolved": "resolved"}
NOTHING_OPEN = "0:0"


def group_of(state: str, quiet_until: datetime | None, now: datetime) -> str:
    """The group of the board in which an alert stands, snoozed or silenced until then; who has one keeps it."""
    snoozed = state == Alert.State.OPEN and quiet_until is not None and quiet_until > now
    return "snoozed" if snoozed else GROUPS[state]


class Countable(NamedTuple):
    """What is counted of an alert."""

    mark: int
    state: str
    severity: str
    holder: str | None  # sso_id
    customer_since: datetime | None
    quiet_until: datetime | None  # snoozed or silenced
    resolved_at: datetime | None


@dataclass
class OrgAlerts:
    """What is open in an org, and when the others ended, as a hub last sent it."""

    open: dict[UUID, Countable] = field(default_factory=dict)
    ended: dict[UUID, datetime] = field(default_factory=dict)

    def put(self, alert_id: UUID, alert: Countable) -> None:
        self.drop(alert_id)
        if alert.resolved_at is None:
            self.open[alert_id] = alert
        else:
            self.ended[alert_id] = alert.resolved_at

    def drop(self, alert_id: UUID) -> None:
        self.open.pop(alert_id, None)
        self.ended.pop(alert_id, None)

    def is_news(self, alert_id: UUID, alert: Countable) -> bool:
        """Whether this alert, as it is now, is new here or has become worse, and nobody has it."""
        if alert.state != Alert.State.OPEN or alert_id in self.ended:
            return False
        known = self.open.get(alert_id)
        worse = Severity.values.index
        return known is None or worse(alert.severity) > worse(known.severity)

    @property
    def checksum(self) -> str:
        """`count:sum of marks` of what is open."""
        marks = [alert.mark for alert in list(self.open.values())]  # a page asks in a thread while the hub writes
        return f"{len(marks)}:{sum(marks)}" if marks else NOTHING_OPEN

    def counts(self, now: datetime) -> dict[str, Any]:
        """{open, waiting, snoozed, resolved (in the last 15 min), severity: {name: n}, holders: {sso_id: n},
        customers, longest}: the last two are the customers who wait for a human, and since when the first of them.
        """
        alerts = list(self.open.values())
        groups = [group_of(alert.state, alert.quiet_until, now) for alert in alerts]
        by_group, severities = Counter(groups), Counter(alert.severity for alert in alerts)
        waits = [
            alert.customer_since
            for alert, group in zip(alerts, groups, strict=True)
            if alert.customer_since and group != "snoozed" and alert.state != Alert.State.INTERVENED
        ]
        return {
            "open": len(alerts),
            "waiting": by_group["waiting"],
            "snoozed": by_group["snoozed"],
            "resolved": sum(at > now - FADES_AFTER for at in list(self.ended.values())),
            "severity": {name: severities[name] for name in Severity.values},
            "holders": Counter(alert.holder for alert in alerts if alert.holder),
            "customers": len(waits),
            "longest": min(waits).isoformat() if waits else None,
        }

    def woken(self, since: datetime, now: datetime) -> list[UUID]:
        """The alerts put aside until then or then: nobody changed them, and yet they stand elsewhere now."""
        return [pk for pk, alert in self.open.items() if alert.quiet_until and since < alert.quiet_until <= now]

    def fade(self, now: datetime) -> None:
        """Forget what ended too long ago to be counted."""
        self.ended = {pk: at for pk, at in self.ended.items() if at > now - FADES_AFTER}
