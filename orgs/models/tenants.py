"""Orgs, their agents, and what an org wants to be told: the tenant and its policy."""

import re
import string
import zoneinfo
from typing import Any

import pghistory
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from orgs.identifiers import IdentifierField
from orgs.policy_fields import POLICY_FIELDS, BadPolicy, check_policy, refuse_names
from orgs.room_links import place_of_link
from orgs.signals import ROOM_SIGNALS
from orgs.texts import NAME_LENGTH

LOCALES = [("en", _("English")), ("id", _("Bahasa Indonesia"))]
ROOM_URL_VARIABLES = ("room_id", "org_id", "account_id")
NAME = NAME_LENGTH


class Severity(models.TextChoices):
    INFO = "info", _("Info")
    WARNING = "warning", _("Warning")
    CRITICAL = "critical", _("Critical")


def locale_of(value: str) -> str:
    """The language of a locale as others write it: `id-ID`, `ID`, `en_US.UTF-8`; one we do not speak as it is."""
    language = re.split(r"[-_.]", value.strip(), maxsplit=1)[0].lower()
    return language if language in dict(LOCALES) else value


def check_zone(value: str) -> None:
    """Raise ValidationError unless `value` is UTC or a zone of a region, such as every browser knows."""
    if value not in zoneinfo.available_timezones() or ("/" not in value and value != "UTC"):
        raise ValidationError(_("%(zone)s is not a time zone such as Asia/Jakarta."), params={"zone": value})


def check_room_url_template(value: str) -> None:
    """Raise ValidationError unless the template is a link with known variables only, bare, that may be followed."""
    try:
        parts = [part[1:] for part in string.Formatter().parse(value) if part[1] is not None]
    except ValueError:
        parts = [("", "", None)]
    if any(name not in ROOM_URL_VARIABLES or form or conversion for name, form, conversion in parts):
        raise ValidationError(_("Only {room_id}, {org_id} and {account_id} can be used."))
    if not value.startswith(("https://", "http://")):
        raise ValidationError(_("A room link starts with https://."))
    if "{" in value.split("/")[2]:
        raise ValidationError(_("The host of a room link is fixed."))
    if place_of_link(value.format(**dict.fromkeys(ROOM_URL_VARIABLES, "1"))) is None:
        if value.startswith("http://"):
            raise ValidationError(_("A room link starts with https://."))
        raise ValidationError(_("A room link has a plain host, and no blanks or quotes."))


class PersonalData(models.TextChoices):
    MASK = "mask", _("Mask before storing")
    DROP = "drop", _("Do not store")


@pghistory.track()
class Org(models.Model):
    """A customer company; the tenant. `external_id` is its name everywhere outside the database."""

    external_id = IdentifierField(_("external id"), max_length=NAME, unique=True)
    name = models.CharField(_("name"), max_length=NAME)
    zone = models.CharField(_("time zone"), max_length=64, default="Asia/Jakarta", validators=[check_zone])
    locale = models.CharField(_("language of pushes"), max_length=8, choices=LOCALES, default="id")
    room_url_template = models.CharField(
        _("room link"),
        max_length=500,
        default="https://chat.qontak.com/inbox/{room_id}",
        validators=[check_room_url_template],
        help_text=_("With {room_id}, {org_id}, {account_id}."),
    )
    allowed_hosts = ArrayField(
        models.CharField(max_length=253),
        verbose_name=_("allowed hosts of room links"),
        default=list,
        blank=True,
        help_text=_(
            "An event's own room link is used only if its host is listed here, with the port unless it is 443. "
            "Separate with commas."
        ),
    )
    plan = models.CharField(
        _("plan"),
        max_length=16,
        blank=True,
        choices=[("plus", "Plus"), ("ultimate", "Ultimate"), ("360", "360")],
    )
    ga_date = models.DateField(_("general availability"), null=True, blank=True)
    targeted = models.BooleanField(_("targeted"), default=False)
    show_customer_text = models.BooleanField(
        _("show the customer's last words"),
        default=False,
        help_text=_("On screen; masked before it is stored."),
    )
    personal_data = models.CharField(
        _("customer names and texts"),
        max_length=8,
        choices=PersonalData,
        default=PersonalData.MASK,
        help_text=_("From failure events and webhooks. Phone numbers are never stored."),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("org")
        verbose_name_plural = _("orgs")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


@pghistory.track()
class Agent(models.Model):
    """An AI agent of an org, never a human. One that was first heard of in an event is unconfirmed."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="agents", verbose_name=_("org"))
    name = IdentifierField(_("name"), max_length=NAME)
    production = models.BooleanField(_("in production"), default=True)
    confirmed = models.BooleanField(_("confirmed"), default=True)
    version = models.CharField(_("version"), max_length=NAME, blank=True)

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("agent")
        verbose_name_plural = _("agents")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["org", "name"], name="agent_org_name")]

    def __str__(self) -> str:
        return self.name


def check_severities(value: Any) -> None:
    """Raise ValidationError unless it names signals of rooms, and a severity for each."""
    wrong = not isinstance(value, dict) or not value.keys() <= ROOM_SIGNALS.keys()
    if wrong or any(severity not in Severity.values for severity in value.values()):
        raise ValidationError(_("Severities name signals, and a severity for each."))


OWN_COLUMNS = ("confidence_threshold", "detect_from_runs", "severities")  # of a policy; all else is in its limits


def check_limits(value: Any) -> None:
    """Raise ValidationError unless it holds fields of a policy (`orgs.policy_fields`) that have no own column."""
    try:
        check_policy(value, whole=False)
        refuse_names(value, set(POLICY_FIELDS) - set(OWN_COLUMNS))
    except BadPolicy as bad:
        raise ValidationError(f"{bad.field}: {bad.message}") from None


@pghistory.track()
class Policy(models.Model):
    """Severity per signal, the confidence threshold, and whether failures are found in runs; for an org or one agent.

    Empty = default.
    """

    org = models.ForeignKey(Org, models.CASCADE, related_name="policies", verbose_name=_("org"))
    agent = models.ForeignKey(
        Agent,
        models.CASCADE,
        null=True,
        blank=True,
        verbose_name=_("agent"),
        help_text=_("Empty: all agents."),
    )
    confidence_threshold = models.FloatField(
        _("confidence threshold"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
    )
    detect_from_runs = models.BooleanField(
        _("find failures in runs"), null=True, blank=True, help_text=_("Empty: as the org; for the org, yes.")
    )
    severities = models.JSONField(_("severities"), default=dict, blank=True, validators=[check_severities])
    # What it says besides: {"throttle_minutes": 5, "budget": {"pushes": 6, "minutes": 10}, ...}; absent: inherited.
    limits = models.JSONField(
        _("limits"), default=dict, db_default={}, blank=True, editable=False, validators=[check_limits]
    )
    # Its version. The database counts, so that whoever writes makes a new one; each is kept in the history.
    revision = models.PositiveIntegerField(default=1, db_default=1, editable=False)

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("policy")
        verbose_name_plural = _("policies")
        triggers = [
            pgtrigger.Trigger(
                name="count_revision",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(),
                func="NEW.revision = OLD.revision + 1; RETURN NEW;",
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["org", "agent"], name="policy_org_agent", nulls_distinct=False),
            models.CheckConstraint(
                condition=models.Q(confidence_threshold__isnull=True)
                | models.Q(confidence_threshold__range=(0.0, 1.0)),
                name="policy_threshold_0_1",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.org}: {self.agent or _('all agents')}"
