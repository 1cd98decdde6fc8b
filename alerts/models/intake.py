"""What the senders sent: webhook deliveries, counts by the minute, and why something was refused."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from alerts.models.alerts import new_id
from orgs.models import NAME, Org, Source, WebhookEndpoint


class WebhookDelivery(models.Model):
    """One request of a chat product: stored first (`outcome` empty), then worked. Holds no personal data."""

    class Outcome(models.TextChoices):
        UNDERSTOOD = "understood", _("Understood")
        REPEATED = "repeated", _("Received before")
        NOT_UNDERSTOOD = "not_understood", _("Not understood")
        REFUSED = "refused", _("Not accepted")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    org = models.ForeignKey(Org, models.CASCADE, related_name="+")
    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="deliveries")
    received_at = models.DateTimeField()
    outcome = models.CharField(max_length=16, choices=Outcome, blank=True)
    reason = models.CharField(max_length=32, blank=True)  # a code: why it was not understood, or refused
    field = models.CharField(max_length=NAME, blank=True)  # what it is about
    understood = models.JSONField(default=list)  # [{"kind", "activity_id", "room_id", "at", "status"}]
    facts = models.JSONField(default=list)  # what is still to be worked; emptied then
    sample = models.JSONField(default=dict)  # the payload with every personal value replaced by what kind it was

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [
            # the drain: what is stored and not worked, oldest first
            models.Index(fields=["endpoint", "id"], condition=Q(outcome=""), name="webhookdelivery_due"),
            # the last 50 of an endpoint, and those that were not understood
            models.Index(fields=["endpoint", "-id"], name="webhookdelivery_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome or 'received'} {self.id}"


class SourceMinute(models.Model):
    """What a source, or one webhook endpoint of it, sent for an org within a minute. Kept 8 days."""

    org = models.ForeignKey(Org, models.CASCADE, null=True, related_name="+")  # null: items that named no org of ours
    source = models.ForeignKey(Source, models.CASCADE, related_name="+")
    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, null=True, related_name="+")  # null: by key
    minute = models.DateTimeField()
    created = models.PositiveIntegerField(default=0)  # stored for the first time, or updated
    duplicate = models.PositiveIntegerField(default=0)
    conflict = models.PositiveIntegerField(default=0)
    invalid = models.PositiveIntegerField(default=0)
    not_understood = models.PositiveIntegerField(default=0)
    lag_ms = models.BigIntegerField(default=0)  # sum over what was created: occurred -> stored
    lag_most_ms = models.BigIntegerField(default=0)
    events = models.PositiveIntegerField(default=0)  # failure events among what was created
    with_confidence = models.PositiveIntegerField(default=0)
    with_secret = models.PositiveIntegerField(default=0, db_default=0)  # a secret was found in them, and replaced
    slow = models.PositiveIntegerField(default=0, db_default=0)  # created over 5 min after they happened

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org", "source", "endpoint", "minute"],
                name="sourceminute_org_source_endpoint_minute",
                nulls_distinct=False,
            )
        ]
        indexes = [models.Index(fields=["minute"], name="sourceminute_minute")]  # windows, and what is too old

    def __str__(self) -> str:
        return f"{self.source_id} {self.minute:%H:%M}"


class SenderProcess(models.Model):
    """How many items a process of a source said it has sent so far. Kept 30 days after it was last heard.

    Processes without a name of their own share the row of where they send from, with a count each, the newest first.
    """

    org = models.ForeignKey(Org, models.CASCADE, null=True, related_name="+")  # of the source; null: the platform's
    source = models.ForeignKey(Source, models.CASCADE, related_name="+")
    process = models.CharField(max_length=96)  # its own random name, else where it sends from
    counts = ArrayField(models.BigIntegerField(), default=list)
    at = models.DateTimeField()

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org", "source", "process"], name="senderprocess_org_source_process", nulls_distinct=False
            )
        ]
        indexes = [models.Index(fields=["at"], name="senderprocess_at")]  # what is too old

    def __str__(self) -> str:
        return f"{self.source_id} {self.process}"


class SenderHour(models.Model):
    """What the processes of a source say that they sent within an hour, and what of it arrived. Kept 8 days."""

    org = models.ForeignKey(Org, models.CASCADE, null=True, related_name="+")  # of the source; null: the platform's
    source = models.ForeignKey(Source, models.CASCADE, related_name="+")
    hour = models.DateTimeField()
    sent = models.BigIntegerField(default=0)
    arrived = models.BigIntegerField(default=0)  # of the requests that said so, each item once

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org", "source", "hour"], name="senderhour_org_source_hour", nulls_distinct=False
            )
        ]
        indexes = [models.Index(fields=["hour"], name="senderhour_hour")]  # windows, and what is too old

    def __str__(self) -> str:
        return f"{self.source_id} {self.hour:%d %H}"


class RejectedItem(models.Model):
    """One item that was refused, as a sample: its reason, and the item without anything personal. Kept 7 days."""

    org = models.ForeignKey(Org, models.CASCADE, null=True, related_name="+")  # null: it named no org of ours
    source = models.ForeignKey(Source, models.CASCADE, related_name="+")
    at = models.DateTimeField()
    status = models.CharField(max_length=16)  # invalid | conflict
    path = models.CharField(max_length=64)
    item_id = models.CharField(max_length=NAME, blank=True)
    code = models.CharField(max_length=32)
    message = models.CharField(max_length=500)
    field = models.CharField(max_length=NAME, blank=True)
    sample = models.JSONField(default=dict)

    objects = ScopedManager(org="org")

    class Meta:
        indexes = [
            models.Index(fields=["source", "-at"], name="rejecteditem_source"),  # the newest of a source
            models.Index(fields=["at"], name="rejecteditem_at"),  # what is too old
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.item_id}"
