"""Rows for tests, made past the tenant scope so that a test may hold several orgs at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import factory
from django_scopes import scopes_disabled
from factory.django import DjangoModelFactory

from alerts.delivery.message import idempotency_key, push_body
from alerts.models import Alert, Push, RejectedItem, Room, SourceMinute, WebhookDelivery, new_id
from orgs.models import Agent, Assignment, Membership, Org, Policy, Source, SupervisorRole, User, WebhookEndpoint
from orgs.routing import Recipient


class ScopelessFactory(DjangoModelFactory):
    class Meta:
        abstract = True

    @classmethod
    def _create(cls, model_class: type, *args: Any, **kwargs: Any) -> Any:
        with scopes_disabled():
            return super()._create(model_class, *args, **kwargs)


class _OrgFactory(ScopelessFactory):
    class Meta:
        model = Org

    external_id = factory.Sequence(lambda n: f"org-{n}")
    name = factory.LazyAttribute(lambda o: f"Toko {o.external_id}")
    locale = "en"
    room_url_template = "https://chat.example.com/inbox/{room_id}"


class _UserFactory(ScopelessFactory):
    class Meta:
        model = User

    sso_id = factory.Sequence(lambda n: f"sso-{n}")
    email = factory.LazyAttribute(lambda o: f"{o.sso_id}@example.com")
    name = factory.Sequence(lambda n: f"Supervisor {n}")


class _AgentFactory(ScopelessFactory):
    class Meta:
        model = Agent

    org = factory.SubFactory(_OrgFactory)
    name = factory.Sequence(lambda n: f"Billing Bot {n}")


class _SupervisorRoleFactory(ScopelessFactory):
    class Meta:
        model = SupervisorRole

    org = factory.SubFactory(_OrgFactory)
    name = factory.Sequence(lambda n: f"Team lead {n}")
    tier = 1


class _AssignmentFactory(ScopelessFactory):
    """Role and person belong to the assignment's org."""

    class Meta:
        model = Assignment

    org = factory.SubFactory(_OrgFactory)
    role = factory.SubFactory(_SupervisorRoleFactory, org=factory.SelfAttribute("..org"))
    user = factory.SubFactory(_UserFactory)


class _MembershipFactory(ScopelessFactory):
    class Meta:
        model = Membership

    org = factory.SubFactory(_OrgFactory)
    user = factory.SubFactory(_UserFactory)


class _SourceFactory(ScopelessFactory):
    """An org source; `org=None` makes it a platform source."""

    class Meta:
        model = Source

    org = factory.SubFactory(_OrgFactory)
    name = factory.Sequence(lambda n: f"chatbot back end {n}")


class _WebhookEndpointFactory(ScopelessFactory):
    """An endpoint whose token nobody knows; `orgs.webhooks.create` gives one with an address."""

    class Meta:
        model = WebhookEndpoint

    org = factory.SubFactory(_OrgFactory)
    source = factory.SubFactory(_SourceFactory, org=factory.SelfAttribute("..org"))
    kind = "qontak"
    token_hash = b"h"


class _SourceMinuteFactory(ScopelessFactory):
    """The present minute of a source, nothing in it."""

    class Meta:
        model = SourceMinute

    org = factory.SubFactory(_OrgFactory)
    source = factory.SubFactory(_SourceFactory, org=factory.SelfAttribute("..org"))
    minute = factory.LazyFunction(lambda: datetime.now(UTC).replace(second=0, microsecond=0))


class _RejectedItemFactory(ScopelessFactory):
    """An invalid failure event, just now."""

    class Meta:
        model = RejectedItem

    org = factory.SubFactory(_OrgFactory)
    source = factory.SubFactory(_SourceFactory, org=factory.SelfAttribute("..org"))
    at = factory.LazyFunction(lambda: datetime.now(UTC))
    status = "invalid"
    path = "/api/failure-events"
    code = "missing_field"
    message = "confidence is required."
    field = "confidence"
    sample = {"signal": "low_confidence"}


class _WebhookDeliveryFactory(ScopelessFactory):
    """A delivery that told of a customer message."""

    class Meta:
        model = WebhookDelivery

    endpoint = factory.SubFactory(_WebhookEndpointFactory)
    org = factory.LazyAttribute(lambda o: o.endpoint.org)
    received_at = factory.LazyFunction(lambda: datetime.now(UTC))
    outcome = "understood"
    understood = factory.LazyFunction(lambda: [{"kind": "customer_message", "room_id": "room-1", "status": "created"}])


class _RoomFactory(ScopelessFactory):
    class Meta:
        model = Room

    org = factory.SubFactory(_OrgFactory)
    room_id = factory.Sequence(lambda n: f"room-{n}")


class _AlertFactory(ScopelessFactory):
    """An open, critical room alert of one failed handoff, opened just now."""

    class Meta:
        model = Alert

    org = factory.SubFactory(_OrgFactory)
    room = factory.SubFactory(_RoomFactory, org=factory.SelfAttribute("..org"))
    agent = factory.SubFactory(_AgentFactory, org=factory.SelfAttribute("..org"))
    severity = "critical"
    opened_at = factory.LazyFunction(lambda: datetime.now(UTC))
    first_failure_at = factory.SelfAttribute("opened_at")
    last_event_at = factory.SelfAttribute("opened_at")
    ladder_from = factory.SelfAttribute("opened_at")
    updated_at = factory.SelfAttribute("opened_at")
    event_count = 1
    episode = 1
    occurrence = 1
    last_reason = "first"
    signals = factory.LazyAttribute(
        lambda o: [
            {
                "signal": "unexpected_handoff",
                "count": 1,
                "first_at": o.opened_at.isoformat(),
                "last_at": o.opened_at.isoformat(),
                "severity": o.severity,
                "episode": o.episode,
            }
        ]
    )


class _PushFactory(ScopelessFactory):
    """A push that is due, to a person assigned for it. `alert=None, org=...`: a test push.

    With `supervisor=...` give `assignment=None` too, or an assignment of theirs.
    """

    class Meta:
        model = Push
        exclude = ("assignment",)

    id = factory.LazyFunction(new_id)
    alert = factory.SubFactory(_AlertFactory)
    org = factory.LazyAttribute(lambda o: o.alert.org)
    room = factory.LazyAttribute(lambda o: o.alert and o.alert.room)
    assignment = factory.SubFactory(_AssignmentFactory, org=factory.SelfAttribute("..org"))
    supervisor = factory.LazyAttribute(lambda o: o.assignment.user)
    kind = factory.LazyAttribute(lambda o: "alert" if o.alert else "test")
    occurrence = 1
    reason = "first"
    severity = factory.LazyAttribute(lambda o: o.alert.severity if o.alert else "info")
    planned_at = factory.LazyFunction(lambda: datetime.now(UTC) - timedelta(milliseconds=50))
    next_attempt_at = factory.SelfAttribute("planned_at")
    idempotency_key = factory.LazyAttribute(lambda o: idempotency_key(o.id))
    body = factory.LazyAttribute(lambda o: _body(o))


def _body(made: Any) -> str:
    person, alert = made.supervisor, made.alert
    push = Push(
        id=made.id,
        severity=made.severity,
        occurrence=made.occurrence,
        reason=made.reason,
        planned_at=made.planned_at,
    )
    return push_body(
        push=push,
        alert=alert,
        org=made.org,
        room=made.room,
        subject=alert.agent.name if alert and alert.agent else "",
        recipient=Recipient(person.id, person.sso_id, person.name, person.locale, 1),
    )


# A factory called gives a model, which its class cannot tell the type checker.
OrgFactory: Any = _OrgFactory
UserFactory: Any = _UserFactory
AgentFactory: Any = _AgentFactory
SupervisorRoleFactory: Any = _SupervisorRoleFactory
AssignmentFactory: Any = _AssignmentFactory
MembershipFactory: Any = _MembershipFactory
SourceFactory: Any = _SourceFactory
WebhookEndpointFactory: Any = _WebhookEndpointFactory
SourceMinuteFactory: Any = _SourceMinuteFactory
RejectedItemFactory: Any = _RejectedItemFactory
WebhookDeliveryFactory: Any = _WebhookDeliveryFactory
RoomFactory: Any = _RoomFactory
AlertFactory: Any = _AlertFactory
PushFactory: Any = _PushFactory


def reach(person: User, org: Org) -> Push:
    """Prove that a push reaches this person: a test push of the org was delivered."""
    now = datetime.now(UTC)
    return PushFactory(
        alert=None, org=org, assignment=None, supervisor=person, state="sent", sent_at=now, delivered_at=now
    )


def without_limits(org: Org) -> Org:
    """An org whose people are told of each room, however many fail: no budget, no outage of an agent."""
    with scopes_disabled():
        limits = {"budget": {"pushes": 0}, "outage": {"rooms": 0}}
        Policy.objects.update_or_create(org=org, agent=None, defaults={"limits": limits})
    return org
