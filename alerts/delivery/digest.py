"""What a digest names: decided when it is claimed, then frozen, so that every attempt sends the same bytes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from django.db.models import Exists, OuterRef

from alerts.decide import RANK
from alerts.delivery.message import digest_body
from alerts.delivery.silenced import silenced_alerts
from alerts.known import Known
from alerts.models import Alert, DigestAlert, Push, put_aside, under_outage
from orgs.models import Assignment, User

# What a digest that is not written yet stands for, and its reader was pushed since it joined.
PUSHED_SINCE = Push._base_manager.filter(
    alert=OuterRef("alert"),
    supervisor=OuterRef("push__supervisor"),
    kind=Push.Kind.ALERT,
    state__in=(Push.State.PENDING, Push.State.SENDING, Push.State.SENT),
    planned_at__gt=OuterRef("joined_at"),
)


class DueDigest(Protocol):
    """A digest that is claimed."""

    @property
    def id(self) -> UUID: ...
    @property
    def supervisor_id(self) -> int: ...
    @property
    def body(self) -> str: ...


def still_waiting(digests: Sequence[DueDigest], known: Known, now: datetime) -> dict[UUID, list[Alert]]:
    """The alerts of each that nobody has, and that its reader still backs up; the severest first, then the oldest.

    What its reader was pushed since it joined is left out: it is no news. No query for no digests. Of a digest that is
    written, only those that it named.
    """
    if not digests:
        return {}
    rows = DigestAlert.objects.filter(push__in=[one.id for one in digests], alert__state=Alert.State.OPEN)
    rows = rows.exclude(put_aside(now, "alert__")).exclude(named=False).exclude(under_outage("alert__"))
    rows = rows.exclude(Exists(PUSHED_SINCE), push__body="")
    found = list(rows.select_related("alert__org", "alert__room", "alert__agent", "alert__source"))
    silenced = silenced_alerts([one.alert_id for one in found], {one.org_id for one in found}, known, now)
    alerts: dict[UUID, list[Alert]] = defaultdict(list)
    for row in found:
        if is_waiting(row.alert, now, covered=row.alert_id in silenced):
            alerts[row.push_id].append(row.alert)
    people = {one.id: one.supervisor_id for one in digests}
    routed = [alert for some in alerts.values() for alert in some if alert.agent_id or alert.room_id]
    agents = {(alert.org_id, pk) for alert in routed for pk in alert.agents_now}
    theirs: set[tuple[int, int | None, int]] = {
        (*key, person.user_id) for key, some in known.people(agents).items() for person in some
    }
    if any(alert.is_outage and not alert.agent_id for some in alerts.values() for alert in some):
        held = Assignment.objects.filter(user__in=people.values(), user__is_active=True)
        theirs |= {(org, None, user) for org, user in held.values_list("org_id", "user_id")}
    specialists = _specialists(people.values()) if alerts else set()
    return {
        push_id: sorted(
            (
                alert
                for alert in some
                if people[push_id] in specialists
                or any((alert.org_id, pk, people[push_id]) in theirs for pk in _backed_up(alert))
            ),
            key=lambda alert: (-RANK[alert.severity], alert.customer_waiting_since or alert.first_failure_at, alert.pk),
        )
        for push_id, some in alerts.items()
    }


def is_waiting(alert: Alert, now: datetime, *, covered: bool) -> bool:
    """Whether a digest that is written now names this alert; `covered`: it is under an outage, whose own push says it.

    Once the bot answered nobody waits.
    """
    recovered = alert.room is not None and alert.room.recovered
    silenced = alert.silenced_until is not None and alert.silenced_until > now
    return alert.state == Alert.State.OPEN and not (covered or recovered or silenced or alert.is_snoozed(now))


def _backed_up(alert: Alert) -> Sequence[int | None]:
    """The agents whose supervisors are told: 0 where the room has none, None for any of a source's outage."""
    return [None] if alert.is_outage and not alert.agent_id else alert.agents_now


def _specialists(people: Iterable[int]) -> set[int]:
    return set(User.objects.filter(pk__in=list(people), is_specialist=True).values_list("pk", flat=True))


def write_digests(named: dict[UUID, list[Alert]], now: datetime) -> dict[UUID, str]:
    """The bodies of these digests, each with at least one alert to name; from now on they are written, and told now.

    The caller has locked their rows.
    """
    bodies = {}
    for push in Push.objects.filter(pk__in=named).select_related("supervisor").order_by("pk"):
        alerts = named[push.pk]
        person = push.supervisor
        push.body = bodies[push.pk] = digest_body(
            push_id=push.pk,
            number=push.occurrence,
            alerts=alerts,
            sso_id=person.sso_id,
            locale=person.locale,
            reason=push.reason,
        )
        push.severity = max((alert.severity for alert in alerts), key=lambda one: RANK[one])
        push.planned_at = now
        push.save(update_fields=["body", "severity", "planned_at"])
        rows = DigestAlert.objects.filter(push=push)
        rows.filter(alert__in=alerts).update(named=True)
        rows.exclude(alert__in=alerts).update(named=False)
    return bodies
