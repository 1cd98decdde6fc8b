"""The outbox: pushes, and the gate they pass."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from alerts.models.alerts import Alert, new_id
from alerts.models.rooms import Room
from orgs.models import NAME, Org, Severity

OF_ORG_ALONE = (F("org") + 0, F("planned_at"), F("id"))  # for the claim: no other query is served by such an index


class Push(models.Model):
    """One notification to one supervisor; a row of the outbox. Ends sent, dead, cancelled or skipped, with a reason."""

    class Kind(models.TextChoices):
        ALERT = "alert"
        DIGEST = "digest"
        TEST = "test"
        DUTY = "duty"  # of no alert: their duty begins or has changed
        REVOKE = "revoke"  # takes another push back from a phone: it tells nobody, and the API does not speak of it

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        SENDING = "sending", _("Sending")
        SENT = "sent", _("Sent")
        DEAD = "dead", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")
        SKIPPED = "skipped", _("Skipped")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # `db_index=False`: as in alerts/models/alerts.py. An index of an org alone would mislead the claim's planner too.
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", verbose_name=_("org"), db_index=False)
    alert = models.ForeignKey(  # null: a digest, whose alerts are its DigestAlerts, a test push, or one about duty
        Alert, models.CASCADE, null=True, related_name="pushes", db_index=False
    )
    room = models.ForeignKey(Room, models.CASCADE, null=True, related_name="+", db_index=False)
    supervisor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="pushes", verbose_name=_("supervisor"), db_index=False
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind, default=Kind.ALERT)
    # Of a revocation: the push that it takes back, which may be purged before it. `occurrence` counts those of a push.
    revokes = models.UUIDField(null=True)
    occurrence = models.PositiveIntegerField(default=0)  # of its alert; of a digest its number for this person
    tier = models.PositiveSmallIntegerField(default=1)
    # why it was planned: first, worsened, repeat_due, rearmed, escalated, test; of a digest over_budget;
    # of one about duty duty_starts, duty_changed
    reason = models.CharField(_("reason"), max_length=32)
    severity = models.CharField(max_length=8, choices=Severity)
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.PENDING)
    # why it was skipped, cancelled or is dead
    ended_reason = models.CharField(_("why it ended"), max_length=32, blank=True)
    body = models.TextField(blank=True)  # the request body, frozen: identical bytes on every attempt
    idempotency_key = models.UUIDField()
    planned_at = models.DateTimeField(_("planned"))
    next_attempt_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
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
    # of the last attempt: milliseconds from its plan to committed, kicked (if a kick came), claimed, sent, answered
    trace = models.JSONField(default=dict, db_default={})

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("push")
        verbose_name_plural = _("pushes")
        constraints = [
            models.UniqueConstraint(  # one for each occurrence; test pushes have no alert: they may be many
                fields=["alert", "supervisor", "occurrence"], name="push_alert_supervisor_occurrence"
            ),
            models.UniqueConstraint(
                fields=["org", "supervisor", "occurrence"], condition=Q(kind="digest"), name="push_digest_number"
            ),
            models.UniqueConstraint(fields=["idempotency_key"], name="push_idempotency_key"),
        ]
        indexes = [
            # the claim: of each org the oldest that is pending, critical ones first; and rows whose lease ran out
            models.Index(
                *OF_ORG_ALONE,
                condition=Q(state="pending", severity=Severity.CRITICAL),
                name="push_pending_critical",
            ),
            models.Index(
                *OF_ORG_ALONE,
                condition=Q(state="pending") & ~Q(severity=Severity.CRITICAL),
                name="push_pending_other",
            ),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="push_leased"),
            # throttle: when was this supervisor last told about this room
            models.Index(fields=["room", "supervisor", "-planned_at"], name="push_told"),
            # the budget: what a person was told of lately; before the throttle's, which begins with the room
            models.Index(
                fields=["org", "supervisor", "-planned_at"],
                condition=Q(kind="alert", state__in=["pending", "sending", "sent"]),
                name="push_spent",
            ),
            # what expired of late, and is to be named in a digest: alerts/actions/recovery.py
            models.Index(
                fields=["ended_at"], condition=Q(state="cancelled", ended_reason="expired"), name="push_expired"
            ),
            # who just could not be told at all: alerts/actions/timers.py
            models.Index(fields=["ended_at"], condition=Q(state="dead"), name="push_died"),
            # who went off duty before they were told: alerts/actions/timers.py
            models.Index(
                fields=["ended_at"],
                condition=Q(state="cancelled", ended_reason__in=["away", "off_duty"]),
                name="push_went",
            ),
            # revocations of a push: alerts/actions/revoking.py and the claim
            models.Index(fields=["revokes"], condition=Q(revokes__isnull=False), name="push_revokes"),
            # test pushes: who was tested lately, of a round and on Reach
            models.Index(fields=["org", "-planned_at"], condition=Q(kind="test"), name="push_tests"),
            # dead pushes on screen
            models.Index(fields=["org", "-planned_at"], condition=Q(state="dead"), name="push_dead"),
            # GET /api/pushes and the admin: newest first, of an org and of all
            models.Index(fields=["org", "-planned_at", "-id"], name="push_newest"),
            models.Index(fields=["-planned_at", "-id"], name="push_newest_of_all"),
            # reach: when a push of an org to a person last was delivered, opened, refused, or found no phone
            models.Index(fields=["org", "supervisor", "delivered_at"], name="push_delivered"),
            models.Index(
                fields=["org", "supervisor", "opened_at"], condition=Q(opened_at__isnull=False), name="push_opened"
            ),
            models.Index(
                fields=["org", "supervisor", "failed_at"], condition=Q(failed_at__isnull=False), name="push_failed"
            ),
            models.Index(
                fields=["org", "supervisor", "ended_at"],
                condition=Q(state="dead", ended_reason="refused"),
                name="push_refused",
            ),
            models.Index(fields=["org", "supervisor", "sent_at"], condition=Q(push="no_token"), name="push_no_token"),
        ]

    def __str__(self) -> str:
        return f"{self.supervisor_id} {self.state}"


class DigestAlert(models.Model):
    """One alert that a digest stands for. `named`: whether the digest named it; null until the digest is written."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    push = models.ForeignKey(Push, models.CASCADE, related_name="digested", db_index=False)
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="digests", db_index=False)
    named = models.BooleanField(null=True)
    joined_at = models.DateTimeField(null=True)  # for the last time; who was pushed it since needs no digest for it

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["push", "alert"], name="digestalert_push_alert")]
        indexes = [models.Index(fields=["alert"], name="digestalert_alert")]  # the digests of an alert, on its page

    def __str__(self) -> str:
        return f"{self.push_id} {self.alert_id}"


class Gate(models.Model):
    """The one row through which every push passes: token bucket, breaker, shared pause. Works while Redis is down."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    tokens = models.FloatField(default=0)
    refilled_at = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)  # in a row
    closed_until = models.DateTimeField(null=True)  # nothing is sent before
    reason = models.CharField(max_length=32, blank=True)  # breaker | retry_after | configuration
    probing = models.BooleanField(default=False)  # after a pause: one push, then a doubling rate
    # notification-service does not know how to take a push back: it is asked again from then on
    revokes_off_until = models.DateTimeField(null=True)
    allowance = models.FloatField(null=True)  # pushes a sweep may claim while recovering; null = no limit

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="gate_one_row")]

    def __str__(self) -> str:
        return self.reason or "open"
