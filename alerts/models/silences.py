"""Silences and maintenance windows: what is told to nobody for a while, and what each of them held back."""

import pghistory
from django.conf import settings
from django.db import models
from django.db.models import Count, F, Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from alerts.models.alerts import Alert, new_id
from alerts.silencing import SilenceFacts
from orgs.models import NAME, Agent, Org, Source
from orgs.texts import TEXT_LENGTH

# What the sweep keeps for itself: no history, and nobody else reads it.
OF_THE_SWEEP = ["begun_at", "turned_at", "due_at", "unsettled"]


@pghistory.track(exclude=OF_THE_SWEEP)
class Silence(models.Model):
    """A window of time in which people are told nothing of what it covers; alerts/silencing.py says when and what.

    It always ends: at `ends_at`, at `until` if it recurs, when nothing matched for so long, or when a person ends it.
    Written by alerts/actions/silences.py alone.
    """

    class Recurrence(models.TextChoices):
        DAILY = "daily", _("Every day")
        WEEKLY = "weekly", _("Every week")

    class Ended(models.TextChoices):
        EXPIRED = "expired"
        IDLE = "idle"
        PERSON = "person"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", verbose_name=_("org"), db_index=False)
    agent = models.ForeignKey(
        Agent, models.CASCADE, null=True, related_name="+", verbose_name=_("agent"), db_index=False
    )
    signal = models.CharField(_("signal"), max_length=32, blank=True)
    room_id = models.CharField(_("room"), max_length=NAME, blank=True)
    channel = models.CharField(_("channel"), max_length=NAME, blank=True)  # as `channel_name` spells it
    whole_org = models.BooleanField(_("whole org"), default=False)
    starts_at = models.DateTimeField(_("begin"))
    ends_at = models.DateTimeField(_("end"))
    recurrence = models.CharField(_("recurrence"), max_length=8, choices=Recurrence, blank=True)
    until = models.DateTimeField(_("until"), null=True)
    until_idle_minutes = models.PositiveIntegerField(_("minutes without a failure"), null=True)
    note = models.CharField(_("note"), max_length=TEXT_LENGTH, blank=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("made by"),
        db_index=False,
    )
    made_by = models.ForeignKey(  # the source whose key made it, if no person is named
        Source, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    ended_at = models.DateTimeField(_("ended"), null=True)  # for good
    ended_how = models.CharField(max_length=8, choices=Ended, blank=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("ended by"),
        db_index=False,
    )
    closed_at = models.DateTimeField(null=True)  # the begin of a window that ended early, for nothing matched

    begun_at = models.DateTimeField(null=True)  # the begin of the window that alerts were last judged for
    turned_at = models.DateTimeField(null=True)  # it began or ended then, and alerts are to be judged once more
    due_at = models.DateTimeField(null=True)  # it begins, ends, or may have been idle for long enough
    unsettled = models.BooleanField(default=False)  # alerts are to be judged

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("silence")
        verbose_name_plural = _("silences")
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="silence_ends_after_it_starts"),
            models.CheckConstraint(
                condition=Q(recurrence="", until__isnull=True) | (~Q(recurrence="") & Q(until__isnull=False)),
                name="silence_recurs_until",
            ),
        ]
        indexes = [
            # those that may hold something: of the lane's orgs, of a claim's
            models.Index(fields=["org", "starts_at"], condition=Q(ended_at__isnull=True), name="silence_standing"),
            # the sweep
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="silence_due"),
            models.Index(fields=["id"], condition=Q(unsettled=True), name="silence_unsettled"),
            # the page and GET /api/silences, the purge
            models.Index(fields=["org", "-created_at", "-id"], name="silence_newest"),
            models.Index(fields=["org", "ended_at"], condition=Q(ended_at__isnull=False), name="silence_ended"),
        ]

    def __str__(self) -> str:
        return self.note or str(self.pk)

    @property
    def facts(self) -> SilenceFacts:
        """What the pure rules need to know of it; `org` is loaded."""
        return SilenceFacts(
            id=self.pk,
            zone=self.org.zone,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            recurrence=self.recurrence,
            until=self.until,
            agent_id=self.agent_id,
            signal=self.signal,
            room_id=self.room_id,
            channel=self.channel,
            closed_at=self.closed_at,
        )


class SilencedAlert(models.Model):
    """An alert that a silence met. `held`: while it was open, so that people were told nothing of it."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    silence = models.ForeignKey(Silence, models.CASCADE, related_name="alerts", db_index=False)
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="silences", db_index=False)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()  # a failure of it, to within half a minute
    held = models.BooleanField(default=False)

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["silence", "alert"], name="silencedalert_silence_alert")]
        indexes = [
            # when something last matched
            models.Index(fields=["silence", "-last_at"], name="silencedalert_last"),
            # the purge of an alert
            models.Index(fields=["alert"], name="silencedalert_alert"),
        ]

    def __str__(self) -> str:
        return f"{self.silence_id} {self.alert_id}"


def counted_silences() -> QuerySet[Silence]:
    """With what each of them held back, and all that its answer says."""
    rows = Silence.objects.select_related("org", "agent", "created_by", "made_by", "ended_by")
    return rows.annotate(held_back=Count("alerts", filter=Q(alerts__held=True)))
