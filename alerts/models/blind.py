"""When we could not see: what every figure leaves out, and every chart shades."""

from django.db import models
from django.db.models import F, Q
from django_scopes import ScopedManager

from orgs.models import Org, Source


class BlindInterval(models.Model):
    """A stretch of time in which we could not see. Written by alerts/blind alone.

    `down`: no web process was there, for any org; org and source are null. `source_silent`: one source said nothing of
    one org where it usually does. At most one of each is open (`ends` null).
    """

    class Cause(models.TextChoices):
        DOWN = "down"
        SOURCE_SILENT = "source_silent"

    org = models.ForeignKey(Org, models.CASCADE, null=True, related_name="+", db_index=False)
    source = models.ForeignKey(Source, models.CASCADE, null=True, related_name="+")
    cause = models.CharField(max_length=16, choices=Cause)
    starts = models.DateTimeField()
    ends = models.DateTimeField(null=True)  # null: still blind
    # false: it is new, or it changed, since the days that are over were looked at for it (alerts/figures/closing.py)
    counted = models.BooleanField(default=False, db_default=False)

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org", "source", "cause", "starts"],
                name="blindinterval_org_source_cause_starts",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                fields=["org", "source", "cause"],
                condition=Q(ends=None),
                name="blindinterval_one_open",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(cause="down", org=None, source=None)
                | Q(cause="source_silent", org__isnull=False, source__isnull=False),
                name="blindinterval_cause_has_its_org",
            ),
            models.CheckConstraint(condition=Q(ends=None) | Q(ends__gte=F("starts")), name="blindinterval_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.cause} {self.starts:%Y-%m-%d %H:%M}"


class WebHeartbeat(models.Model):
    """When a web process last said that it is there: one row for all of them (alerts/blind/heartbeat.py)."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="webheartbeat_one_row")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"
