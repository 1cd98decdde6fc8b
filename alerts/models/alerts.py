"""What a supervisor sees: alerts, the failure events that attach to them, every change and its reason."""

import os
import time
import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import JSONArray, JSONObject
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from alerts.decide import AlertFacts
from alerts.models.rooms import Room
from orgs.models import NAME, Agent, Org, Severity, Source
from orgs.signals import signal_choices
from orgs.texts import ID_LENGTH, TEXT_LENGTH


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562): ordered by creation time, so that index inserts stay local; tells no count."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


class Alert(models.Model):
    """What a supervisor sees: one open alert per room. `version` grows by one with every change."""

    class Scope(models.TextChoices):
        ROOM = "room", _("Room")
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
    # Here and below `db_index=False`: an index that begins with the column is there, or nobody asks by it. People,
    # agents and sources are never deleted, so nothing looks for the rows that name one.
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", verbose_name=_("org"), db_index=False)
    scope = models.CharField(max_length=8, choices=Scope, default=Scope.ROOM)
    room = models.ForeignKey(
        Room, models.CASCADE, null=True, related_name="alerts", verbose_name=_("room"), db_index=False
    )
    agent = models.ForeignKey(
        Agent, models.CASCADE, null=True, related_name="+", verbose_name=_("agent"), db_index=False
    )
    source = models.ForeignKey(  # of an alert of scope source
        Source, models.CASCADE, null=True, related_name="+", db_index=False
    )
    agent_version = models.CharField(max_length=NAME, blank=True)
    severity = models.CharField(_("severity"), max_length=8, choices=Severity)
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.OPEN)
    # In order of arrival: [{"signal", "count", "first_at", "last_at", "severity", "note"}], times as RFC 3339.
    signals = models.JSONField(default=list)
    event_count = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(default=1)

    # The current episode: from first failure to human act or end.
    episode = models.PositiveIntegerField(default=1)
    opened_at = models.DateTimeField()
    first_failure_at = models.DateTimeField()
    last_event_at = models.DateTimeField(_("last failure"))
    ladder_from = models.DateTimeField()  # the repeat ladder and the reading of "nobody acted" start here
    repeats_done = models.PositiveSmallIntegerField(default=0)
    revived_at = models.DateTimeField(null=True)  # reopened or released as an act: end timers count from here too
    human_acted_at = models.DateTimeField(null=True)  # first human act in the room; time to intervene ends
    last_told_at = models.DateTimeField(null=True)  # the last time anybody was told
    last_reason = models.CharField(max_length=32, blank=True)  # the last decision, shown as a sentence

    customer_waiting_since = models.DateTimeField(null=True)
    waited_since = models.DateTimeField(null=True)  # of the wait that a human ended by coming
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    acknowledge_expires_at = models.DateTimeField(null=True)
    intervened_at = models.DateTimeField(null=True)
    intervened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    resolved_kind = models.CharField(max_length=16, choices=By, blank=True)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    snoozed_until = models.DateTimeField(null=True)
    undoable = models.JSONField(default=list)  # what the last acts replaced, for their undo: alerts/actions/undo.py
    verdict = models.CharField(max_length=16, choices=Verdict, blank=True)
    verdict_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    verdict_note = models.CharField(max_length=TEXT_LENGTH, blank=True)

    occurrence = models.PositiveIntegerField(default=0)  # how often people were to be told; part of a push's key
    due_at = models.DateTimeField(null=True)  # the next timer of this alert: repeat, expiry, handoff clock, end
    timer_failures = models.PositiveSmallIntegerField(default=0)  # in a row; due_at is put off, specialists see it
    updated_at = models.DateTimeField()

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        constraints = [
            models.UniqueConstraint(
                fields=["org", "room"],
                condition=~Q(state="resolved") & Q(scope="room"),
                name="alert_one_open_per_room",
            ),
            models.UniqueConstraint(
                fields=["org", "source"],
                condition=~Q(state="resolved") & Q(scope="source"),
                name="alert_one_open_per_source",
            ),
            models.CheckConstraint(
                condition=Q(scope="source", source__isnull=False) | ~Q(scope="source"), name="alert_source_has_source"
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
            # GET /api/alerts and the admin: newest activity first, of an org and of all
            models.Index(fields=["org", "-last_event_at", "-id"], name="alert_newest"),
            models.Index(fields=["-last_event_at", "-id"], name="alert_newest_of_all"),
            # the resolved tab, and what has just been resolved: newest first, of an org and of all
            models.Index(fields=["org", "-resolved_at", "-id"], condition=Q(state="resolved"), name="alert_resolved"),
            models.Index(fields=["-resolved_at", "-id"], condition=Q(state="resolved"), name="alert_resolved_of_all"),
            # the newest alert of each source, in each org: alerts/sources/watch.py
            models.Index(fields=["org", "source", "-opened_at"], condition=Q(scope="source"), name="alert_of_source"),
            # the newest alert of a room, to arm again
            models.Index(fields=["room", "-opened_at"], name="alert_of_room"),
        ]

    def __str__(self) -> str:
        return f"{self.room or self.agent} {self.severity} {self.state}"

    @property
    def facts(self) -> AlertFacts:
        """What the pure rules need to know of it."""
        return AlertFacts(
            state=self.state,  # type: ignore[arg-type]
            severity=self.severity,
            last_event_at=self.last_event_at,
            ladder_from=self.ladder_from,
            repeats_done=self.repeats_done,
            resolved_at=self.resolved_at,
            snoozed_until=self.snoozed_until,
            acknowledge_expires_at=self.acknowledge_expires_at,
            customer_waiting_since=self.customer_waiting_since,
            revived_at=self.revived_at,
        )

    def is_snoozed(self, now: datetime) -> bool:
        """Whether somebody holds its repeats at this time."""
        return self.snoozed_until is not None and self.snoozed_until > now

    @property
    def signals_now(self) -> list[dict[str, Any]]:
        """The entries of the current episode; in SQL: `signalling`."""
        return [entry for entry in self.signals if entry["episode"] == self.episode]


def signalling(signal: str) -> Q:
    """Alerts that have this signal in their current episode."""
    return Q(signals__contains=JSONArray(JSONObject(signal=Value(signal), episode=F("episode"))))


def needing_human(now: datetime) -> Q:
    """Alerts that nobody has, and that nobody put aside for later."""
    return Q(state=Alert.State.OPEN) & ~Q(snoozed_until__gt=now)


# What the alarm about ourselves counts: the open alerts that time can do nothing to, because their timers fail.
BROKEN_TIMERS = Q(timer_failures__gt=0) & ~Q(state=Alert.State.RESOLVED)


class FailureEvent(models.Model):
    """One immutable report of a signal. Unique per (org, source, event_id)."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    source = models.ForeignKey(Source, models.CASCADE, related_name="+", db_index=False)
    event_id = models.CharField(max_length=ID_LENGTH)
    payload_hash = models.BinaryField(max_length=32)  # of the item as sent, normalised: same id, other hash = conflict
    room = models.ForeignKey(Room, models.CASCADE, related_name="events")
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="+", db_index=False)
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
        REPEATED = "repeated"
        RESOLVED = "resolved"
        ABANDONED = "abandoned"
        REOPENED = "reopened"
        VERDICT = "verdict"

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="transitions", db_index=False)
    at = models.DateTimeField()
    change = models.CharField(max_length=16, choices=Change)
    reason = models.CharField(max_length=32, blank=True)
    episode = models.PositiveIntegerField(default=1)
    occurrence = models.PositiveIntegerField(default=0)  # the pushes this change caused; 0 = none
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False)
    event = models.ForeignKey(FailureEvent, models.SET_NULL, null=True, related_name="+")
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


class Comment(models.Model):
    """What a person has to say about an alert, for whoever reads it. It changes nothing of the alert."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="+")
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="comments")
    at = models.DateTimeField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    text = models.CharField(max_length=2000)

    objects = ScopedManager(org="org")

    class Meta:
        indexes = [models.Index(fields=["alert", "at"], name="comment_alert")]  # the alert's timeline

    def __str__(self) -> str:
        return f"{self.author} {self.at}"
