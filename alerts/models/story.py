"""What happened to an alert: the failure events it hangs on, and each change with its reason."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django_scopes import ScopedManager

from alerts.models.alerts import Alert
from alerts.models.rooms import Room
from orgs.models import NAME, Agent, Org, Severity, Source
from orgs.signals import signal_choices
from orgs.texts import ID_LENGTH, TEXT_LENGTH


class FailureEvent(models.Model):
    """One immutable report of a signal. Unique per (org, source, event_id)."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    source = models.ForeignKey(Source, models.CASCADE, related_name="+", db_index=False)
    event_id = models.CharField(max_length=ID_LENGTH)
    payload_hash = models.BinaryField(max_length=32)  # of the item as sent, normalised: same id, other hash = conflict
    room = models.ForeignKey(Room, models.CASCADE, related_name="events")
    agent = models.ForeignKey(  # null: found here in a room that no agent ever failed in
        Agent, models.CASCADE, null=True, related_name="+", db_index=False
    )
    alert = models.ForeignKey(Alert, models.SET_NULL, null=True, related_name="events", db_index=False)
    signal = models.CharField(max_length=32, choices=signal_choices)
    severity = models.CharField(max_length=8, choices=Severity, blank=True)
    reason = models.CharField(max_length=32, blank=True)  # Decision.reason
    occurred_at = models.DateTimeField()  # at most its receipt: two senders' clocks differ by minutes
    as_sent = models.DateTimeField(null=True)  # the sender's word where it lies after receipt: shown, decides nothing
    received_at = models.DateTimeField()
    clock_flagged = models.BooleanField(default=False)  # more than 5 min in the future: clamped to receipt
    # Of its texts: `truncated` (cut, or cleaned), `masked`, `secret`.
    flags = ArrayField(models.CharField(max_length=16), default=list, db_default=[])
    agent_version = models.CharField(max_length=NAME, blank=True)
    run_id = models.CharField(max_length=NAME, blank=True)
    channel = models.CharField(max_length=NAME, blank=True)
    confidence = models.FloatField(null=True)
    threshold = models.FloatField(null=True)  # the one that was applied
    message_count = models.PositiveIntegerField(null=True)
    message_cap = models.PositiveIntegerField(null=True)
    error_type = models.CharField(max_length=NAME, blank=True)
    error_message = models.CharField(max_length=TEXT_LENGTH, blank=True)
    handoff_reason = models.CharField(max_length=TEXT_LENGTH, blank=True)
    handoff_completed = models.BooleanField(null=True)
    handoff_source = models.CharField(max_length=NAME, blank=True, default="", db_default="")
    handoff_target = models.CharField(max_length=NAME, blank=True, default="", db_default="")
    customer_waiting_since = models.DateTimeField(null=True)  # as the event said
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
            # whether a run's failure was told before: alerts/actions/same_run.py
            models.Index(fields=["org", "run_id", "signal"], condition=~Q(run_id=""), name="failureevent_run"),
        ]

    def __str__(self) -> str:
        return f"{self.signal} {self.event_id}"


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
        RELEASED_HOLD = "released_hold"
        REPEATED = "repeated"
        ESCALATED = "escalated"
        RESOLVED = "resolved"
        ABANDONED = "abandoned"
        REOPENED = "reopened"
        VERDICT = "verdict"
        WINDOW_OVER = "window_over"

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="transitions", db_index=False)
    at = models.DateTimeField()
    change = models.CharField(max_length=16, choices=Change)
    reason = models.CharField(max_length=32, blank=True)
    episode = models.PositiveIntegerField(default=1)
    occurrence = models.PositiveIntegerField(default=0)  # the pushes this change caused; 0 = none
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False)
    event = models.ForeignKey(FailureEvent, models.SET_NULL, null=True, related_name="+")
    # Of what time alone did, as of `at`: when the sweep came that worked it. A replay comes when it came.
    swept_at = models.DateTimeField(null=True)
    detail = models.JSONField(default=dict)  # {"from", "to", "until", "sso_id", "name", "note", "cause", "undo"}

    objects = ScopedManager(org="org")

    class Meta:
        indexes = [
            models.Index(fields=["alert", "at", "id"], name="transition_alert"),  # the alert's timeline
            # the first room opened in an org, the first human who came; verdicts by the day they were given
            models.Index(
                fields=["org", "change", "at"],
                condition=Q(change__in=["opened_room", "intervened", "verdict"]),
                name="transition_of_org",
            ),
            # the rooms that a person entered last
            models.Index(
                fields=["actor", "-at"],
                condition=Q(change__in=["opened_room", "intervened"]),
                name="transition_entering",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.change} {self.reason}"
