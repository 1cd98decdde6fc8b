"""Previews: what somebody asked of a policy that is not saved, and what came of it.

One ahead of what will be asked has no policy: it plays the span as it was, which is the same for every draft.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from orgs.models import Agent, Org


class PolicyPreview(models.Model):
    """A policy that is asked about, the span it is played over, and how far that is. Kept for a day."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    agent = models.ForeignKey(Agent, models.CASCADE, null=True, related_name="+", db_index=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False)
    policy = models.JSONField()  # as it was asked
    since = models.DateTimeField()
    until = models.DateTimeField()
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()  # it is deleted then
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    progress = models.FloatField(default=0.0)  # 0..1
    heard_at = models.DateTimeField(null=True)  # when who works it last said how far it is
    answer = models.JSONField(null=True)

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org"], condition=Q(state__in=["waiting", "running"]), name="preview_one_of_org"
            ),
        ]
        indexes = [
            # who works them, and what is deleted: both of a few rows
            models.Index(fields=["org", "-asked_at"], name="preview_of_org"),
            models.Index(fields=["expires_at"], name="preview_expires"),
        ]

    def __str__(self) -> str:
        return f"{self.org_id} {self.state}"

    @property
    def is_ahead(self) -> bool:
        """Nobody asked for it yet, and nobody waits; in SQL: AHEAD."""
        return not self.policy and self.agent_id is None


AHEAD = Q(policy={}, agent=None)  # the policy of an org says everything, that of an agent may be empty
