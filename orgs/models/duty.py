"""When people are on duty and when they are left in peace: what stands beside the hours of an assignment."""

from typing import Any

import pghistory
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from orgs.duty.hours import HoursInvalid, normal_hours
from orgs.models.people import SupervisorRole, User, check_duty
from orgs.models.tenants import NAME, Org


def check_hours(value: Any) -> None:
    """Raise ValidationError unless it is a list of weekly hours."""
    try:
        normal_hours(value)
    except HoursInvalid as wrong:
        raise ValidationError(f"{wrong.field} {wrong}".strip()) from None


@pghistory.track()
class QuietHours(models.Model):
    """When a person of an org is not pushed though they are on duty, by the org's wall clock."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", verbose_name=_("org"))
    user = models.ForeignKey(User, models.CASCADE, related_name="+", verbose_name=_("person"))
    hours = models.JSONField(_("hours"), default=list, blank=True, validators=[check_hours])  # as orgs/duty/hours.py

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("quiet hours")
        verbose_name_plural = _("quiet hours")
        constraints = [models.UniqueConstraint(fields=["org", "user"], name="quiethours_org_user")]

    def __str__(self) -> str:
        return str(self.user)


@pghistory.track()
class BusinessHours(models.Model):
    """When an org is open, by its wall clock; an org without a row says nothing of it."""

    org = models.OneToOneField(Org, models.CASCADE, related_name="business_hours", verbose_name=_("org"))
    hours = models.JSONField(_("hours"), default=list, blank=True, validators=[check_hours])

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("business hours")
        verbose_name_plural = _("business hours")

    def __str__(self) -> str:
        return str(self.org)


@pghistory.track()
class Holiday(models.Model):
    """A day on which hours that say so are off; copied from a country's list, then the org's own to edit."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="holidays", verbose_name=_("org"))
    date = models.DateField(_("date"))
    name = models.CharField(_("name"), max_length=NAME, blank=True)

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("holiday")
        verbose_name_plural = _("holidays")
        ordering = ["date"]
        constraints = [models.UniqueConstraint(fields=["org", "date"], name="holiday_org_date")]

    def __str__(self) -> str:
        return f"{self.date} {self.name}"


@pghistory.track()
class TemporarySchedule(models.Model):
    """From `starts_at` to `ends_at` each role that it names is staffed by it alone; other roles keep their people."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="temporary_schedules", verbose_name=_("org"))
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("to"))

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("temporary schedule")
        verbose_name_plural = _("temporary schedules")
        ordering = ["starts_at"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="temporaryschedule_ends_later")
        ]

    def __str__(self) -> str:
        return f"{self.starts_at} {self.ends_at}"


@pghistory.track()
class TemporaryDuty(models.Model):
    """A person in a role of a temporary schedule; one without an assignment in the org is not told."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", verbose_name=_("org"))
    schedule = models.ForeignKey(
        TemporarySchedule, models.CASCADE, related_name="duties", verbose_name=_("temporary schedule")
    )
    role = models.ForeignKey(SupervisorRole, models.CASCADE, related_name="+", verbose_name=_("role"))
    user = models.ForeignKey(User, models.CASCADE, related_name="+", verbose_name=_("person"))
    duty = models.JSONField(_("duty"), default=list, blank=True, validators=[check_duty])  # as Assignment.duty

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("temporary duty")
        verbose_name_plural = _("temporary duties")
        constraints = [
            models.UniqueConstraint(fields=["schedule", "role", "user"], name="temporaryduty_schedule_role_user")
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.role}"


@pghistory.track()
class Handover(models.Model):
    """A person hands their rooms to their tier for a while: they are not told of anything in between."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", verbose_name=_("org"))
    user = models.ForeignKey(User, models.CASCADE, related_name="+", verbose_name=_("person"))
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("to"))

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("handover")
        verbose_name_plural = _("handovers")
        constraints = [models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="handover_ends_later")]
        indexes = [models.Index(fields=["org", "ends_at"], name="handover_ends")]  # those of now: orgs/rosters.py

    def __str__(self) -> str:
        return f"{self.user} {self.ends_at}"


class DutyMark(models.Model):
    """The one row that says up to when it was looked at who came on duty, so that a restart forgets nobody."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    swept_to = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="dutymark_one_row")]

    def __str__(self) -> str:
        return str(self.swept_to)


class DutyReminder(models.Model):
    """A person of an org asked to be pushed when their duty there begins and when it has changed.

    What is known of their duty is kept here, so that a change is found whoever made it, also after a restart.
    """

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", verbose_name=_("org"))
    user = models.ForeignKey(User, models.CASCADE, related_name="+", verbose_name=_("person"))
    asked_at = models.DateTimeField(_("since"))  # what began before is not told
    due_at = models.DateTimeField(db_index=True)  # when it is looked at next: alerts/duty_pushes.py
    known = models.JSONField(null=True)  # [[role, begin, end or null]] up to `known_until`; null: not looked at yet
    known_until = models.DateTimeField(null=True)
    differs_since = models.DateTimeField(null=True)  # duty is otherwise than `known` since then, and nobody was told

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("pushes about duty")
        verbose_name_plural = _("pushes about duty")
        constraints = [models.UniqueConstraint(fields=["org", "user"], name="dutyreminder_org_user")]

    def __str__(self) -> str:
        return str(self.user)
