"""What the API says of alerts and pushes: their structs, and how they are made of rows, empty strings as null."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from msgspec import UNSET, UnsetType

from alerts import actions
from alerts.faults import contained
from alerts.models import Alert, DigestAlert, FailureEvent, Push, Transition
from orgs.models import Severity, User
from orgs.shapes import Amount, ErrorPart, S, Shape, Uri, UtcTime, Whole, about, one_of, shape_of
from orgs.signals import SIGNALS

RELATED = ("org", "room", "agent", "source", "acknowledged_by", "intervened_by", "resolved_by", "assigned_to")
SOMEBODY = "a human agent"  # acted in the room, and is nobody we know
BY_HUMANS = ("human_opened", "human_message", "assigned")  # causes that only a human can be
HISTORY = 1000  # events, transitions and pushes of one alert, the newest
PUSH_KINDS = [kind for kind in Push.Kind.values if kind != Push.Kind.REVOKE]  # a revocation tells nobody anything
SignalWord = Annotated[str, one_of(list(SIGNALS))]


class ActorShape(Shape):
    """Who did it: a person (`sso_id` null for a human agent we cannot match), or what ended it."""

    sso_id: str | None
    name: str | None
    kind: Annotated[str, one_of(Alert.By.values)]


class AlertSignalShape(Shape):
    """A signal of the current episode."""

    signal: SignalWord
    count: Whole
    first_at: UtcTime
    last_at: UtcTime


class OutageRoomPart(Shape):
    """A room whose episode falls under the outage of its agent."""

    alert_id: UUID
    room_id: str
    state: Annotated[str, one_of(Alert.State.values)]


class RefusedRoomPart(Shape):
    """A room that was not taken with its outage, and why."""

    alert_id: UUID
    code: Annotated[str, one_of(("already_taken", "already_resolved"))]


class AlertShape(Shape):
    """What a supervisor sees. Timestamps and signals are those of the current episode."""

    id: UUID
    org_id: str
    scope: Annotated[str, one_of(Alert.Scope.values)]
    agent_name: str | None
    agent_version: str | None
    source_name: Annotated[str | None, about("Of an alert of scope source.")]
    room_id: str | None
    severity: Annotated[str, one_of(Severity.values)]
    state: Annotated[str, one_of(Alert.State.values)]
    signals: list[AlertSignalShape]
    event_count: Whole
    opened_at: UtcTime
    last_event_at: UtcTime
    customer_waiting_since: UtcTime | None
    acknowledged_by: ActorShape | None
    acknowledged_at: UtcTime | None
    intervened_by: ActorShape | None
    intervened_at: UtcTime | None
    resolved_by: ActorShape | None
    resolved_at: UtcTime | None
    assigned_to: ActorShape | None
    snoozed_until: UtcTime | None
    episode: Whole
    channel: str | None
    room_label: str | None
    time_to_intervene_seconds: Annotated[
        Amount | None, about("First failure of the episode to the first human act in the room.")
    ]
    verdict: Annotated[str, one_of(Alert.Verdict.values)] | None
    version: Annotated[Whole, about("Grows by one with every change.")]
    url: Uri
    rooms: Annotated[
        list[OutageRoomPart] | UnsetType,
        about("Of scope agent, and of the outage of a source: the rooms under it, the newest 1,000."),
    ] = UNSET
    rooms_done: Annotated[
        list[UUID] | UnsetType, about("Of the answer to take: the alerts of rooms that were taken with their outage.")
    ] = UNSET
    rooms_refused: Annotated[list[RefusedRoomPart] | UnsetType, about("Of the same: those that were not.")] = UNSET


class AlertEventShape(Shape):
    """A failure event of an alert."""

    event_id: str
    signal: SignalWord
    occurred_at: UtcTime
    received_at: UtcTime
    reason: Annotated[str | None, about("Why it did, or did not, tell people.")]
    flags: Annotated[
        list[Annotated[str, one_of(("clock", "truncated", "masked", "secret"))]],
        about(
            "clock: it was sent with a time more than 5 min ahead. truncated: a text was cut or cleaned."
            " masked: personal data was masked. secret: a secret was replaced."
        ),
    ]


class AlertTransitionShape(Shape):
    """A change of an alert, and why."""

    at: UtcTime
    change: Annotated[str, one_of(Transition.Change.values)]
    reason: str | None
    actor: ActorShape | None


class AlertPushShape(Shape):
    """One notification to one supervisor."""

    id: UUID
    sso_id: str
    tier: Whole
    occurrence: Whole
    reason: Annotated[str, about("Why it was skipped, cancelled or is dead; else why it was planned.")]
    kind: Annotated[str, one_of(PUSH_KINDS)]
    alert_ids: Annotated[
        list[UUID], about("Its one alert, or all that a digest stands for; none of a test push or one about duty.")
    ]
    state: Annotated[str, one_of(Push.State.values)]
    attempts: Whole
    next_attempt_at: UtcTime | None
    idempotency_key: UUID
    push: Annotated[str, one_of(("queued", "no_token"))] | None
    sent_at: UtcTime | None
    delivered_at: UtcTime | None
    opened_at: UtcTime | None


class AlertDetailShape(AlertShape, kw_only=True):
    """An alert and everything that happened to it, oldest first; of each list the newest 1,000."""

    events: list[AlertEventShape]
    transitions: list[AlertTransitionShape]
    pushes: list[AlertPushShape]


class PushShape(AlertPushShape):
    """A push, and what it is about."""

    org_id: str
    alert_id: UUID | None
    planned_at: UtcTime
    last_answer: Annotated[str | None, about("What the last attempt got.")]


class HopPart(Shape):
    """`at` and `answer` are null where it has not come yet."""

    hop: Annotated[str, one_of(("planned", "notification_service", "delivered", "opened"))]
    at: UtcTime | None
    answer: str | None


class PushDetailShape(PushShape):
    """A push with its way to the person."""

    hops: list[HopPart]


class AlertConflictShape(Shape):
    """Somebody was faster; the alert as it is now."""

    error: ErrorPart
    alert: AlertShape


class PushConflictShape(Shape):
    """It is not dead (any more); the push as it is now."""

    error: ErrorPart
    push: PushDetailShape


# --- alerts ----------------------------------------------------------------------------------------------------------


def for_answer(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """With everything that `alert_list` reads, so that any number of alerts costs two queries."""
    return alerts.select_related(*RELATED)


def alert_list(alerts: Sequence[Alert]) -> list[Any]:
    """One struct for each alert of `for_answer`. A broken one is left out, so that the others can be read."""
    made = []
    for alert in alerts:
        with contained("alert_unreadable", alert=str(alert.pk)):
            made.append(alert_summary(alert))
    return made


def alert_detail(alert: Alert) -> AlertDetailShape:
    """One alert with its events, transitions and pushes, oldest first; of each the newest 1,000."""
    events = FailureEvent.objects.filter(alert=alert).order_by("-received_at", "-id")[:HISTORY]
    transitions = Transition.objects.filter(alert=alert).select_related("actor").order_by("-at", "-id")[:HISTORY]
    pushes = pushes_about(alert).select_related("supervisor").order_by("-planned_at", "-id")[:HISTORY]
    digested = digested_by(pushes)
    return _alert(
        AlertDetailShape,
        alert,
        events=[_event(event) for event in reversed(events)],
        transitions=[
            AlertTransitionShape(one.at, one.change, one.reason or None, _actor(one)) for one in reversed(transitions)
        ],
        pushes=[_push(AlertPushShape, push, digested) for push in reversed(pushes)],
    )


def alert_summary(alert: Alert, taken: actions.TakenAlert | None = None) -> AlertShape:
    """The struct of one alert of `for_answer`; `taken`: it was just taken, with what became of its rooms."""
    if taken is None or not alert.is_outage:
        return _alert(AlertShape, alert)
    refused = [RefusedRoomPart(*one) for one in taken.rooms_refused]
    return _alert(AlertShape, alert, rooms_done=taken.rooms_done, rooms_refused=refused)


def _alert(kind: type[S], alert: Alert, **more: Any) -> S:
    room, acted = alert.room, alert.human_acted_at
    return shape_of(
        kind,
        alert,
        org_id=alert.org.external_id,
        agent_name=alert.agent.name if alert.agent else None,
        agent_version=alert.agent_version or None,
        source_name=alert.source.name if alert.source else None,
        room_id=room.room_id if room else None,
        signals=[_signal(entry) for entry in alert.signals_now],
        acknowledged_by=_by(alert.acknowledged_by) if alert.acknowledged_at else None,
        intervened_by=_by(alert.intervened_by) if alert.intervened_at else None,
        resolved_by=_by(alert.resolved_by, alert.resolved_kind or Alert.By.HUMAN) if alert.resolved_at else None,
        assigned_to=_by(alert.assigned_to) if alert.assigned_to else None,
        channel=(room.channel or None) if room else None,
        room_label=(room.label or None) if room else None,
        time_to_intervene_seconds=round((acted - alert.first_failure_at).total_seconds(), 3) if acted else None,
        verdict=alert.verdict or None,
        url=f"{settings.BASE_URL}/alerts/{alert.pk}",
        **{"rooms": _rooms(alert), "rooms_done": UNSET, "rooms_refused": UNSET, **more},
    )


def _rooms(alert: Alert) -> list[OutageRoomPart] | UnsetType:
    """One query for an outage, none for others."""
    if alert.scope != Alert.Scope.AGENT and not alert.is_outage:
        return UNSET
    found = actions.rooms_of_outage(alert).select_related("room")[:HISTORY] if alert.is_outage else []
    return [OutageRoomPart(one.pk, one.room.room_id if one.room else "", one.state) for one in found]


def _signal(entry: dict[str, Any]) -> AlertSignalShape:
    times = (datetime.fromisoformat(entry[end]) for end in ("first_at", "last_at"))
    return AlertSignalShape(entry["signal"], entry["count"], *times)


# --- people ----------------------------------------------------------------------------------------------------------


def _by(user: User | None, kind: str = Alert.By.HUMAN) -> ActorShape:
    """A person, or what ended it; a room may tell who resolved it there.

    A human we cannot match has no name: an id in the chat product is none.
    """
    if user is not None:
        return ActorShape(user.sso_id, str(user), kind)
    return ActorShape(None, SOMEBODY if kind == Alert.By.HUMAN else None, kind)


def _actor(transition: Transition) -> ActorShape | None:
    """Who did it: a person, or what ended the alert; null for what the service did by itself."""
    if transition.change in (Transition.Change.RESOLVED, Transition.Change.ABANDONED) and transition.reason:
        return _by(transition.actor, transition.reason)
    if transition.actor is not None:
        return _by(transition.actor)
    return _by(None) if transition.detail.get("cause") in BY_HUMANS else None


def _event(event: FailureEvent) -> AlertEventShape:
    return shape_of(
        AlertEventShape,
        event,
        occurred_at=event.as_sent or event.occurred_at,
        reason=event.reason or None,
        flags=[*(["clock"] if event.clock_flagged else []), *event.flags],
    )


# --- pushes ----------------------------------------------------------------------------------------------------------


Digested = Mapping[UUID, list[UUID]]  # the alerts that a digest stands for, by its push


def pushes_about(alert: Alert) -> QuerySet[Push]:
    """The pushes of this alert, and the digests that stand for it among others."""
    digests = list(DigestAlert.objects.filter(alert=alert).values_list("push_id", flat=True))
    return Push.objects.filter(Q(alert=alert) | Q(pk__in=digests) if digests else Q(alert=alert))


def digested_by(pushes: Iterable[Push]) -> Digested:
    """The alerts of those of these pushes that are digests. One query, none without a digest."""
    digests = [push.pk for push in pushes if push.kind == Push.Kind.DIGEST]
    found: dict[UUID, list[UUID]] = {pk: [] for pk in digests}
    rows = DigestAlert.objects.filter(push__in=digests).order_by("alert_id") if digests else []
    for row in rows:
        found[row.push_id].append(row.alert_id)
    return found


def _push(kind: type[S], push: Push, digested: Digested, **more: Any) -> S:
    about = digested.get(push.pk, [push.alert_id] if push.alert_id else [])
    reason = push.ended_reason or push.reason
    known = {"reason": reason, "alert_ids": about, "push": push.push or None}
    return shape_of(kind, push, sso_id=push.supervisor.sso_id, **known, **more)


def _whole_push(kind: type[S], push: Push, digested: Digested, **more: Any) -> S:
    last_answer = push.last_answer or None
    return _push(kind, push, digested, org_id=push.org.external_id, last_answer=last_answer, **more)


def push_list(pushes: Iterable[Push]) -> list[Any]:
    """Pushes by themselves: also whose, about what, planned when, and the last answer."""
    pushes = list(pushes)
    digested = digested_by(pushes)
    return [_whole_push(PushShape, push, digested) for push in pushes]


def push_detail(push: Push) -> PushDetailShape:
    """A push with its way to the person, hop by hop; `at` and `answer` are null where it has not come yet."""
    ended = f"{push.state}: {push.ended_reason}" if push.ended_reason else None
    refused = f"failed: {push.failed_reason}".rstrip(": ") if push.failed_at and not push.delivered_at else None
    arrived = refused or ("delivered" if push.delivered_at else None)
    hops = [
        HopPart("planned", push.planned_at, push.reason),
        HopPart("notification_service", push.sent_at or push.ended_at, push.push or push.last_answer or ended),
        HopPart("delivered", push.delivered_at or push.failed_at, arrived),
        HopPart("opened", push.opened_at, "opened" if push.opened_at else None),
    ]
    return _whole_push(PushDetailShape, push, digested_by([push]), hops=hops)
