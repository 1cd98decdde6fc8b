"""Boards on a wall: each shows one org to whoever has its address."""

import pghistory
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from orgs.models.people import THEMES
from orgs.models.sources import new_public_id
from orgs.models.tenants import LOCALES, NAME, Org


@pghistory.track(exclude=["token_hash"])
class Wall(models.Model):
    """A wall board of one org. Its address can only be read from, until it is revoked; its secret is stored hashed."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="walls", verbose_name=_("org"))
    name = models.CharField(_("name"), max_length=NAME, blank=True, help_text=_("Where it hangs."))
    public_id = models.CharField(max_length=16, unique=True, default=new_public_id, editable=False)
    token_hash = models.BinaryField(max_length=32, editable=False)  # SHA-256 of 256 random bits
    locale = models.CharField(_("language"), max_length=8, choices=LOCALES, default="en")
    theme = models.CharField(_("theme"), max_length=8, choices=THEMES, default="dark")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("wall board")
        verbose_name_plural = _("wall boards")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.name or self.public_id
