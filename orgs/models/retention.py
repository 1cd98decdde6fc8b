"""How long an org's raw data is kept. Summaries (success figures, KPIs) stay."""

from typing import Any

import pghistory
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from orgs.models.tenants import Org

FIVE_YEARS = 1830  # days
# What comes late comes within 30 days; only a day that nothing can reach any more is counted for good.
SETTLED = 40  # days


def _days(label: Any, usual: int, least: int, most: int) -> Any:
    """So many days, within bounds that the form and the table check."""
    return models.PositiveSmallIntegerField(
        label, default=usual, validators=[MinValueValidator(least), MaxValueValidator(most)]
    )


@pghistory.track()
class Retention(models.Model):
    """After how many days raw rows of an org are deleted. An org without a row has the defaults."""

    org = models.OneToOneField(Org, models.CASCADE, related_name="retention", verbose_name=_("org"))
    runs_days = _days(_("days of runs and reviews"), 90, 30, FIVE_YEARS)
    failure_events_days = _days(_("days of alerts and failure events"), 400, SETTLED, FIVE_YEARS)
    room_activity_days = _days(_("days of room activity"), 90, SETTLED, FIVE_YEARS)
    pushes_days = _days(_("days of pushes and receipts"), 400, 7, FIVE_YEARS)
    deliveries_days = _days(_("days of webhook deliveries"), 30, 1, 400)
    rejected_items_days = _days(_("days of rejected items"), 7, 1, 7)  # traffic.tidy() keeps no more

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("retention")
        verbose_name_plural = _("retention")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(runs_days__range=(30, FIVE_YEARS))
                & models.Q(failure_events_days__range=(SETTLED, FIVE_YEARS))
                & models.Q(room_activity_days__range=(SETTLED, FIVE_YEARS))
                & models.Q(pushes_days__range=(7, FIVE_YEARS))
                & models.Q(deliveries_days__range=(1, 400))
                & models.Q(rejected_items_days__range=(1, 7)),
                name="retention_within_bounds",
            )
        ]

    def __str__(self) -> str:
        return str(self.org)


def retention_of(org: Org | None) -> Retention:
    """What holds for this org; None, for what is of no org: the defaults."""
    return (Retention.objects.filter(org=org).first() if org else None) or Retention(org=org)
