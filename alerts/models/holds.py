"""Legal holds: what must not be deleted, however old it is, and why."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from alerts.models.alerts import Alert
from orgs.models import Org
from orgs.texts import TEXT_LENGTH

# "hold"; advisory. Who holds a run, which may not be here, takes it alone; who deletes runs, shared.
RUNS_LOCK = 0x686F_6C64


class LegalHold(models.Model):
    """An alert with all that hangs on it and its room, or a run, is kept until the hold is lifted.

    Written by alerts/actions/holds.py alone. A run is named by its id: it may not be here yet.
    """

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", verbose_name=_("org"), db_index=False)
    alert = models.ForeignKey(
        Alert, models.CASCADE, null=True, related_name="holds", verbose_name=_("alert"), editable=False
    )
    run_id = models.UUIDField(_("run"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=TEXT_LENGTH)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("set by"), db_index=False
    )
    at = models.DateTimeField(_("since"))
    ended_at = models.DateTimeField(_("lifted"), null=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("lifted by"),
        db_index=False,
    )

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("legal hold")
        verbose_name_plural = _("legal holds")
        constraints = [
            models.CheckConstraint(
                condition=Q(alert__isnull=False, run_id__isnull=True) | Q(alert__isnull=True, run_id__isnull=False),
                name="legalhold_alert_or_run",
            ),
            # purge and erase: is it held
            models.UniqueConstraint(
                fields=["org", "alert"], condition=Q(ended_at__isnull=True), name="legalhold_org_alert"
            ),
            models.UniqueConstraint(
                fields=["org", "run_id"], condition=Q(ended_at__isnull=True), name="legalhold_org_run"
            ),
        ]

    def __str__(self) -> str:
        return f"{_('alert')} {self.alert_id}" if self.alert_id else f"{_('run')} {self.run_id}"
