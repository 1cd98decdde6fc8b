"""Calendars of somebody's duty that other programs subscribe to."""

import pghistory
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from orgs.models.people import User
from orgs.models.sources import new_public_id
from orgs.models.tenants import Org


@pghistory.track(exclude=["token_hash"])
class DutyFeed(models.Model):
    """The duty of one person in one org, as a calendar behind an address; its secret is stored hashed."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="duty_feeds", verbose_name=_("org"))
    user = models.ForeignKey(User, models.CASCADE, related_name="duty_feeds", verbose_name=_("person"))
    public_id = models.CharField(max_length=16, unique=True, default=new_public_id, editable=False)
    token_hash = models.BinaryField(max_length=32, editable=False)  # SHA-256 of 256 random bits
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("calendar of duty")
        verbose_name_plural = _("calendars of duty")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return str(self.user)
