"""Which alerts need a human now, and which are put aside: snoozed, or silenced."""

from datetime import datetime

from django.db.models import Q
from django.db.models.functions import Greatest

from alerts.models.alerts import Alert


def needing_human(now: datetime) -> Q:
    """Alerts that nobody has, and that nobody put aside for later."""
    return Q(state=Alert.State.OPEN) & ~put_aside(now)


# Until when an alert is put aside, snoozed or silenced; NULL where it is neither.
QUIET_UNTIL = Greatest("snoozed_until", "silenced_until")


def put_aside(now: datetime, of: str = "") -> Q:
    """Alerts that are snoozed or silenced; `of` leads to the alert: "alert__"."""
    return Q(**{f"{of}snoozed_until__gt": now}) | Q(**{f"{of}silenced_until__gt": now})
