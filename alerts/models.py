"""Failure events, alerts, pushes. Written by alerts/actions (alert state) and alerts/delivery (push state) only."""

import os
import time
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from orgs.models import NAME, Agent, Org, Severity, Source


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562): ordered by creation time, so that index inserts stay local; tells no count."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


class Signal(models.TextChoices):
    AGENT_ERROR = "agent_error", _("Agent error")
    UNEXPECTED_HANDOFF = "unexpected_handoff", _("Unexpected handoff")
    MESSAGE_CAP = "message_cap", _("Message cap")
    LOW_CONFIDENCE = "low_confidence", _("Low confidence")


class Room(models.Model):
    """One customer conversation: the lock row of everything decided about it, and its memory."""

    class State(models.TextChoices):
        BOT = "bot", _("Bot")
        HANDED_OFF = "handed_off", _("Handed off")
        HUMAN = "human", _("Human")
        RESOLVED = "resolved", _("Resolved")

    org = models.ForeignKey(Org, models.CASCADE, related_name="+")
    room_id = models.CharField(max_length=NAME)
    label = models.CharField(max_length=NAME, blank=True)
    channel = models.CharField(max_length=NAME, blank=True)
    url = models.CharField(max_length=2000, blank=True)  # as the event named it; checked again before a redirect
    last_customer_text = models.CharField(max_length=2000, blank=True)  # masked before it got here
    state = models.CharField(max_length=16, choices=State, default=State.BOT)
    customer_waiting_since = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)  # the last bot or human message
    handed_off_at = models.DateTimeField(null=True)  # runs until the first human message or takeover
    human = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    human_since = models.DateTimeField(null=True)  # a human holds the room (message, assignment, takeover)
    human_last_at = models.DateTimeField(null=True)  # the last human act; presence ends 15 min later
    settled_at = models.DateTimeField(null=True)  # last resolution or return: what happened before is over

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "room_id"], name="room_org_room")]

    def __str__(self) -> str:
        return self.label or self.room_id


class Alert(models.Model):
    """What a supervisor sees: one open alert per room. `version` grows by one with every change."""

    class Scope(models.TextChoices):
        ROOM = "room", _("Room")
        AGENT = "agent", _("Agent")
        SOURCE = "source", _("Source")

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        INTERVENED = "intervened", _("Intervened")
        RESOLVED = "resolved", _("Resolved")

    class Verdict(models.TextChoices):
        CONFIRMED = "confirmed", _("Confirmed")
        FALSE_ALARM = "false_alarm", _("False alarm")

    class By(models.TextChoices):
        HUMAN = "human"
        ROOM = "room"
        QUIET = "quiet"
        ABANDONED = "abandoned"
        RECOVERED = "recovered"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    org = models.ForeignKey(Org, models.CASCADE, related_name="+")
    scope = models.CharField(max_length=8, choices=Scope, default=Scope.ROOM)
    room = models.ForeignKey(Room, models.CASCADE, null=True, related_name="alerts")
    agent = models.ForeignKey(Agent, models.CASCADE, null=True, related_name="+")
    agent_version = models.CharField(max_length=NAME, blank=True)
    severity = models.CharField(max_length=8, choices=Severity)
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    # In order of arrival: [{"signal", "count", "first_at", "last_at", "severity", "note"}], times as RFC 3339.
    signals = models.JSONField(default=list)
    event_count = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(default=1)

    # The current episode: from first failure to human act or end.
    episode = models.PositiveIntegerField(default=1)
    opened_at = models.DateTimeField()
    first_failure_at = models.DateTimeField()
    last_event_at = models.DateTimeField()
    ladder_from = models.DateTimeField()  # the repeat ladder and the reading of "nobody acted" start here
    repeats_done = models.PositiveSmallIntegerField(default=0)
    human_acted_at = models.DateTimeField(null=True)  # first human act in the room; time to intervene ends
    last_told_at = models.DateTimeField(null=True)  # the last time anybody was told
    last_reason = models.CharField(max_length=32, blank=True)  # the last decision, shown as a sentence

    customer_waiting_since = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    acknowledge_expires_at = models.DateTimeField(null=True)
    intervened_at = models.DateTimeField(null=True)
    intervened_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    resolved_kind = models.CharField(max_length=16, choices=By, blank=True)
    assigned_to = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    snoozed_until = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=16, choices=Verdict, blank=True)
    verdict_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    verdict_note = models.CharField(max_length=2000, blank=True)

    occurrence = models.PositiveIntegerField(default=0)  # how often people were to be told; part of a push's key
    due_at = models.DateTimeField(null=True)  # the next timer of this alert: repeat, expiry, handoff clock, end
    updated_at = models.DateTimeField()

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org", "room"],
                condition=~Q(state="resolved") & Q(scope="room"),
                name="alert_one_open_per_room",
            ),
            models.CheckConstraint(
                condition=Q(scope="room", room__isnull=False) | ~Q(scope="room"), name="alert_room_has_room"
            ),
            models.CheckConstraint(
                condition=Q(state="resolved", resolved_at__isnull=False)
                | (~Q(state="resolved") & Q(resolved_at__isnull=True)),
                name="alert_resolved_has_time",
            ),
        ]
        indexes = [
            # timers: WHERE due_at <= now
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="alert_due"),
            # the board and the checksum: what is open of an org
            models.Index(fields=["org", "-last_event_at"], condition=~Q(state="resolved"), name="alert_open"),
            # the resolved tab and GET /api/alerts: newest activity first
            models.Index(fields=["org", "-last_event_at", "-id"], name="alert_newest"),
            # the newest alert of a room, to arm again
            models.Index(fields=["room", "-opened_at"], name="alert_of_room"),
            # the hub's poll: what changed since
            models.Index(fields=["updated_at"], name="alert_updated"),
        ]

    def __str__(self) -> str:
        return f"{self.room or self.agent} {self.severity} {self.state}"


class FailureEvent(models.Model):
    """One immutable report of a signal. Unique per (org, source, event_id)."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="+")
    source = models.ForeignKey(Source, models.CASCADE, related_name="+")
    event_id = models.CharField(max_length=128)
    payload_hash = models.BinaryField(max_length=32)  # of the item as sent, normalised: same id, other hash = conflict
    room = models.ForeignKey(Room, models.CASCADE, related_name="events")
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="+")
    alert = models.ForeignKey(Alert, models.SET_NULL, null=True, related_name="events")
    signal = models.CharField(max_length=32, choices=Signal)
    severity = models.CharField(max_length=8, choices=Severity, blank=True)
    reason = models.CharField(max_length=32, blank=True)  # Decision.reason
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    clock_flagged = models.BooleanField(default=False)  # more than 5 min in the future: clamped to receipt
    agent_version = models.CharField(max_length=NAME, blank=True)
    run_id = models.CharField(max_length=NAME, blank=True)
    channel = models.CharField(max_length=NAME, blank=True)
    confidence = models.FloatField(null=True)
    threshold = models.FloatField(null=True)  # the one that was applied
    message_count = models.PositiveIntegerField(null=True)
    message_cap = models.PositiveIntegerField(null=True)
    error_type = models.CharField(max_length=NAME, blank=True)
    error_message = models.CharField(max_length=2000, blank=True)
    handoff_reason = models.CharField(max_length=2000, blank=True)
    handoff_completed = models.BooleanField(null=True)
    metadata = models.JSONField(default=dict)

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["org", "source", "event_id"], name="failureevent_org_source_event")
        ]
        indexes = [
            # the alert page and GET /api/alerts/{id}
            models.Index(fields=["alert", "received_at"], name="failureevent_alert"),
            # health of an agent: failure events per hour against the usual
            models.Index(fields=["agent", "-received_at"], name="failureevent_agent"),
        ]

    def __str__(self) -> str:
        return f"{self.signal} {self.event_id}"


class RoomActivity(models.Model):
    """What happened in a room besides failures: people coming, customers writing, the bot getting it back."""

    class Kind(models.TextChoices):
        HUMAN_OPENED = "human_opened"
        HUMAN_MESSAGE = "human_message"
        ASSIGNED = "assigned"
        RESOLVED = "resolved"
        RETURNED_TO_AGENT = "returned_to_agent"
        CUSTOMER_MESSAGE = "customer_message"
        BOT_MESSAGE = "bot_message"

    org = models.ForeignKey(Org, models.CASCADE, related_name="+")
    source = models.ForeignKey(Source, models.CASCADE, null=True, related_name="+")  # null: the console's drill-in
    activity_id = models.CharField(max_length=128)
    payload_hash = models.BinaryField(max_length=32)
    room = models.ForeignKey(Room, models.CASCADE, related_name="activities")
    kind = models.CharField(max_length=32, choices=Kind)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    actor_external_id = models.CharField(max_length=NAME, blank=True)
    at = models.DateTimeField()
    received_at = models.DateTimeField()
    clock_flagged = models.BooleanField(default=False)

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org", "source", "activity_id"],
                name="roomactivity_org_source_activity",
                nulls_distinct=False,
            )
        ]
        indexes = [models.Index(fields=["room", "at"], name="roomactivity_room")]  # the alert page's timeline

    def __str__(self) -> str:
        return f"{self.kind} {self.activity_id}"


class Transition(models.Model):
    """One change of an alert, and why: written in the same transaction as the change."""

    class Change(models.TextChoices):
        OPENED = "opened"
        ATTACHED = "attached"
        WORSENED = "worsened"
        ACKNOWLEDGED = "acknowledged"
        EXPIRED = "expired"
        ASSIGNED = "assigned"
        RELEASED = "released"
        SNOOZED = "snoozed"
        OPENED_ROOM = "opened_room"
        INTERVENED = "intervened"
        RETURNED = "returned"
        REARMED = "rearmed"
        REPEATED = "repeated"
        RESOLVED = "resolved"
        ABANDONED = "abandoned"
        REOPENED = "reopened"
        VERDICT = "verdict"

    org = models.ForeignKey(Org, models.CASCADE, related_name="+")
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="transitions")
    at = models.DateTimeField()
    change = models.CharField(max_length=16, choices=Change)
    reason = models.CharField(max_length=32, blank=True)
    episode = models.PositiveIntegerField(default=1)
    occurrence = models.PositiveIntegerField(default=0)  # the pushes this change caused; 0 = none
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    event = models.ForeignKey(FailureEvent, models.SET_NULL, null=True, related_name="+")
    detail = models.JSONField(default=dict)  # {"from", "to", "until", "sso_id", "name", "kind", "note", "cause"}

    objects = ScopedManager(org="org")

    class Meta:
        indexes = [models.Index(fields=["alert", "at", "id"], name="transition_alert")]  # the alert's timeline

    def __str__(self) -> str:
        return f"{self.change} {self.reason}"


class Push(models.Model):
    """One notification to one supervisor; a row of the outbox. Ends sent, dead, cancelled or skipped, with a reason."""

    class Kind(models.TextChoices):
        ALERT = "alert"
        TEST = "test"

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        SENDING = "sending", _("Sending")
        SENT = "sent", _("Sent")
        DEAD = "dead", _("Dead")
        CANCELLED = "cancelled", _("Cancelled")
        SKIPPED = "skipped", _("Skipped")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    org = models.ForeignKey(Org, models.CASCADE, related_name="+")
    alert = models.ForeignKey(Alert, models.CASCADE, null=True, related_name="pushes")  # null: a test push
    room = models.ForeignKey(Room, models.CASCADE, null=True, related_name="+")
    supervisor = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="pushes")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.ALERT)
    occurrence = models.PositiveIntegerField(default=0)
    tier = models.PositiveSmallIntegerField(default=1)
    reason = models.CharField(max_length=32)  # why it was planned: first, worsened, repeat_due, rearmed, test
    severity = models.CharField(max_length=8, choices=Severity)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    ended_reason = models.CharField(max_length=32, blank=True)  # why it was skipped, cancelled or is dead
    body = models.TextField(blank=True)  # the request body, frozen: identical bytes on every attempt
    idempotency_key = models.UUIDField()
    planned_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    last_answer = models.CharField(max_length=300, blank=True)  # of the last attempt, for people
    notification_id = models.CharField(max_length=NAME, blank=True)
    push = models.CharField(max_length=16, blank=True)  # queued | no_token, as notification-service answered
    ended_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)  # the phone's provider refused it, after it was sent
    failed_reason = models.CharField(max_length=200, blank=True)

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name_plural = "pushes"
        constraints = [
            models.UniqueConstraint(  # I3; test pushes have no alert and are not held back by it
                fields=["alert", "supervisor", "occurrence"], name="push_alert_supervisor_occurrence"
            ),
            models.UniqueConstraint(fields=["idempotency_key"], name="push_idempotency_key"),
        ]
        indexes = [
            # the claim: due rows, and rows whose lease ran out
            models.Index(fields=["next_attempt_at"], condition=Q(state="pending"), name="push_due"),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="push_leased"),
            # throttle: when was this supervisor last told about this room
            models.Index(fields=["room", "supervisor", "-planned_at"], name="push_told"),
            # dead pushes on screen
            models.Index(fields=["org", "-planned_at"], condition=Q(state="dead"), name="push_dead"),
        ]

    def __str__(self) -> str:
        return f"{self.supervisor_id} {self.state}"


class Gate(models.Model):
    """The one row through which every push passes: token bucket, breaker, shared pause. Works while Redis is down."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    tokens = models.FloatField(default=0)
    refilled_at = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)  # in a row
    closed_until = models.DateTimeField(null=True)  # nothing is sent before
    reason = models.CharField(max_length=32, blank=True)  # breaker | retry_after | configuration
    probing = models.BooleanField(default=False)  # after a pause: one push, then a doubling rate
    allowance = models.FloatField(null=True)  # pushes a sweep may claim while recovering; null = no limit

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="gate_one_row")]

    def __str__(self) -> str:
        return self.reason or "open"
