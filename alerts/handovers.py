"""Somebody hands their rooms over for a while: what they have goes back to the tier, and they are told of nothing."""

from datetime import datetime

from django.db.models import Q

from alerts import actions
from alerts.models import Alert
from orgs.duty_changes import hand_over
from orgs.models import Handover, Org, User


def hand_over_rooms(org: Org, person: User, minutes: int, now: datetime) -> tuple[Handover, int]:
    """The hand-over, and how many alerts nobody has any more; run it inside a scope.

    The person is off first, so that no telling of a released alert finds them.
    """
    made = hand_over(org, person, minutes, now)
    acknowledged = Q(state=Alert.State.ACKNOWLEDGED, acknowledged_by=person, assigned_to=None)
    held = Alert.objects.filter(Q(assigned_to=person) | acknowledged, org=org).exclude(state=Alert.State.RESOLVED)
    return made, sum(_released(alert, person) for alert in held.order_by("pk"))


def _released(alert: Alert, person: User) -> bool:
    try:
        actions.release(alert.pk, person)
    except actions.ActConflict:  # it ended meanwhile
        return False
    return True
