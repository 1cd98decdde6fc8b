"""Success figures of the past, counted once."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django_scopes import ScopedManager

from orgs.models import Org


class KeptFigures(models.Model):
    """What was counted of an org in a stretch of time that is over: a day of its zone, or its baseline.

    Written by alerts/figures/closing.py alone, which deletes a row when something that it counted changes.
    """

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    starts = models.DateTimeField()
    ends = models.DateTimeField()
    zone = models.CharField(max_length=64)  # whose days they are
    counts = models.JSONField()  # {metric: {outcome: n}}
    # Of the episodes that began in it: seconds until a human came, and until one left without (it ended, or we went
    # blind), both sorted; when those began that still wait; until when any of them was watched, null: one still is.
    seconds = ArrayField(models.FloatField(), default=list)
    unreached = ArrayField(models.FloatField(), default=list, db_default=[])
    waiting = ArrayField(models.DateTimeField(), default=list, db_default=[])
    watched_until = models.DateTimeField(null=True)
    formula = models.PositiveSmallIntegerField(default=1, db_default=0)  # how it was counted: closing.py counts anew
    # Raw rows that it counted are deleted: it is never counted again, in whatever zone the org is.
    sealed = models.BooleanField(default=False, db_default=False)

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name_plural = "kept figures"
        constraints = [models.UniqueConstraint(fields=["org", "starts", "ends"], name="keptfigures_org_starts_ends")]

    def __str__(self) -> str:
        return f"{self.org_id} {self.starts:%Y-%m-%d}"


class FiguresMark(models.Model):
    """How far the rows were read for changes of days that are over: the ids up to which nothing new can come."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    transition = models.BigIntegerField(default=0)
    event = models.BigIntegerField(default=0)
    activity = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="figuresmark_one_row")]

    def __str__(self) -> str:
        return f"{self.transition}/{self.event}/{self.activity}"
