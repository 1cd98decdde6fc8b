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
    seconds = ArrayField(models.FloatField(), default=list)  # until a human came, of each that one came to; sorted

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
