"""Saved views: filters of the board under a name."""

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from orgs.models.people import User
from orgs.models.tenants import Org

VIEW_NAME = 60  # characters
VIEW_QUERY = 2000


def keep_shared(collector: Any, field: Any, views: Any, using: str) -> None:
    """What becomes of the views of a person who is deleted (Django's `on_delete`): what an org shares stays with it."""
    models.SET_NULL(collector, field, views.filter(org__isnull=False), using)
    models.CASCADE(collector, field, views.filter(org__isnull=True), using)


class SavedView(models.Model):
    """What the board shows under these filters: for its owner alone, or (`org`) for everybody who sees this org.

    `query` is the query string as the board itself writes it. Who may see a view is asked of `orgs.auth`. A shared one
    whose owner is no longer known has none.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, keep_shared, null=True, related_name="saved_views", verbose_name=_("person"))
    org = models.ForeignKey(Org, models.CASCADE, null=True, related_name="saved_views", verbose_name=_("org"))
    name = models.CharField(_("name"), max_length=VIEW_NAME)
    query = models.CharField(_("filters"), max_length=VIEW_QUERY, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        constraints = (
            models.CheckConstraint(
                name="view_is_somebodys", condition=models.Q(owner__isnull=False) | models.Q(org__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return self.name
