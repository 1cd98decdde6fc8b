"""Who may, and whom to tell. Every unique key of an org's data starts with the org."""

import string
import zoneinfo
from typing import ClassVar

import pghistory
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager
from rest_framework_api_key.crypto import KeyGenerator
from rest_framework_api_key.models import AbstractAPIKey, APIKeyManager

LOCALES = [("en", _("English")), ("id", _("Bahasa Indonesia"))]
THEMES = [("auto", _("As the device")), ("light", _("Light")), ("dark", _("Dark"))]
ROOM_URL_VARIABLES = ("room_id", "org_id", "account_id")
NAME = 200  # characters; the limit of every identifying string in contracts.md


class Severity(models.TextChoices):
    INFO = "info", _("Info")
    WARNING = "warning", _("Warning")
    CRITICAL = "critical", _("Critical")


def check_zone(value: str) -> None:
    """Raise ValidationError unless `value` is a zone of the IANA database."""
    if value not in zoneinfo.available_timezones():
        raise ValidationError(_("%(zone)s is not a time zone such as Asia/Jakarta."), params={"zone": value})


def check_room_url_template(value: str) -> None:
    """Raise ValidationError unless the template is an http(s) URL with known variables only, bare."""
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


@pghistory.track()
class Org(models.Model):
    """A customer company; the tenant. `external_id` is its name everywhere outside the database."""

    external_id = models.CharField(_("external id"), max_length=NAME, unique=True)
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
        help_text=_("An event's own room link is used only if its host is listed here. Separate with commas."),
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
    name = models.CharField(_("name"), max_length=NAME)
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


@pghistory.track()
class Policy(models.Model):
    """Severity per signal and the confidence threshold, for an org or one of its agents. Empty = default."""

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
    agent_error = models.CharField(_("agent error"), max_length=8, choices=Severity, blank=True)
    unexpected_handoff = models.CharField(
        _("unexpected handoff, completed"), max_length=8, choices=Severity, blank=True
    )
    message_cap = models.CharField(_("message cap"), max_length=8, choices=Severity, blank=True)
    low_confidence = models.CharField(_("low confidence"), max_length=8, choices=Severity, blank=True)

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("policy")
        verbose_name_plural = _("policies")
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


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str | None, password: str | None = None, **fields: object) -> "User":
        """A person; without a password they cannot log in until they follow an invitation."""
        email = self.normalize_email(email) or None
        user = self.model(email=email, **{"sso_id": email, **fields})
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        """A specialist: sees every org and the admin."""
        return self.create_user(email, password, is_specialist=True, **fields)


@pghistory.track(fields=["sso_id", "email", "name", "is_specialist", "is_active"], model_name="UserEvent")
class User(AbstractBaseUser):
    """A person, known to every system by `sso_id`. People who are only told about alerts have no e-mail here."""

    sso_id = models.CharField(_("SSO id"), max_length=NAME, unique=True)
    email = models.EmailField(_("e-mail"), unique=True, null=True, blank=True)
    name = models.CharField(_("name"), max_length=NAME, blank=True)
    locale = models.CharField(_("language"), max_length=8, choices=LOCALES, blank=True)
    zone = models.CharField(_("time zone"), max_length=64, blank=True, validators=[check_zone])
    theme = models.CharField(_("theme"), max_length=8, choices=THEMES, default="auto")
    is_specialist = models.BooleanField(_("specialist"), default=False, help_text=_("Sees every org and the admin."))
    is_active = models.BooleanField(_("active"), default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    push_tokens = models.PositiveIntegerField(_("phones"), null=True, editable=False)  # null = not asked yet
    push_tokens_at = models.DateTimeField(null=True, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["sso_id"]

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name or self.sso_id

    @property
    def is_staff(self) -> bool:
        """May enter the Django admin: specialists only."""
        return self.is_specialist

    @property
    def is_superuser(self) -> bool:
        return self.is_specialist

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """A specialist may do everything the admin offers, nobody else anything."""
        return self.is_active and self.is_specialist

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_specialist


@pghistory.track()
class Membership(models.Model):
    """The console role of a person in an org; what they see comes from their assignments."""

    class Role(models.TextChoices):
        SUPERVISOR = "supervisor", _("Supervisor")
        LEAD = "lead", _("Lead")

    org = models.ForeignKey(Org, models.CASCADE, related_name="memberships", verbose_name=_("org"))
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships", verbose_name=_("person"))
    role = models.CharField(_("role"), max_length=16, choices=Role, default=Role.SUPERVISOR)

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["org", "user"], name="membership_org_user")]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_role_display()}"


@pghistory.track()
class SupervisorRole(models.Model):
    """A named role of an org; tier 1 is told first. It backs up all agents unless it lists some."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="supervisor_roles", verbose_name=_("org"))
    name = models.CharField(_("name"), max_length=NAME)
    tier = models.PositiveSmallIntegerField(_("tier"), default=1, validators=[MinValueValidator(1)])
    agents = models.ManyToManyField(
        Agent, blank=True, verbose_name=_("only these agents"), help_text=_("None selected: all agents.")
    )

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("supervisor role")
        verbose_name_plural = _("supervisor roles")
        ordering = ["tier", "name"]
        constraints = [
            models.UniqueConstraint(fields=["org", "name"], name="supervisorrole_org_name"),
            models.UniqueConstraint(fields=["org", "id"], name="supervisorrole_org_id"),  # for the composite key
            models.CheckConstraint(condition=models.Q(tier__gte=1), name="supervisorrole_tier_from_1"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({_('tier')} {self.tier})"


@pghistory.track(pghistory.InsertEvent(), pghistory.DeleteEvent(), obj_field=None)
class RoleAgent(SupervisorRole.agents.through):  # type: ignore[name-defined]
    """That a role is limited to an agent; here only so that its changes are kept."""

    class Meta:
        proxy = True
        verbose_name = _("only these agents")


@pghistory.track()
class Assignment(models.Model):
    """Maps a supervisor role to a person. A composite foreign key (migration) keeps role and org together."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="assignments", verbose_name=_("org"))
    role = models.ForeignKey(SupervisorRole, models.CASCADE, related_name="assignments", verbose_name=_("role"))
    user = models.ForeignKey(User, models.CASCADE, related_name="assignments", verbose_name=_("person"))
    external_user_id = models.CharField(
        _("id in the chat product"),
        max_length=NAME,
        blank=True,
        help_text=_("Who wrote a message in the room."),
    )

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("assignment")
        verbose_name_plural = _("assignments")
        constraints = [models.UniqueConstraint(fields=["org", "role", "user"], name="assignment_org_role_user")]
        indexes = [
            # the actor of a room activity: WHERE org_id = ? AND external_user_id = ?
            models.Index(fields=["org", "external_user_id"], name="assignment_external"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.role}"

    def clean(self) -> None:
        if self.role_id and self.org_id and self.role.org_id != self.org_id:
            raise ValidationError({"role": _("This role belongs to another org.")})


@pghistory.track()
class Source(models.Model):
    """A sending system: bound to one org, or platform-wide (no org: each item names its own)."""

    org = models.ForeignKey(
        Org,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="sources",
        verbose_name=_("org"),
        help_text=_("Empty: a platform source, which names the org in every item."),
    )
    name = models.CharField(_("name"), max_length=NAME)

    class Meta:
        verbose_name = _("source")
        verbose_name_plural = _("sources")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["org", "name"], name="source_org_name", nulls_distinct=False)]

    def __str__(self) -> str:
        return self.name


class SourceHeard(models.Model):
    """When a source was last heard, for an org: green never means "no data". Written at most every 10 s."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="+")
    source = models.ForeignKey(Source, models.CASCADE, related_name="heard")
    at = models.DateTimeField()

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "source"], name="sourceheard_org_source")]

    def __str__(self) -> str:
        return f"{self.source_id} {self.at:%H:%M:%S}"


class ApiKeyManager(APIKeyManager):
    key_generator = KeyGenerator(secret_key_length=43)  # 43 characters of 62: 256 bits


class Scope(models.TextChoices):
    INGEST = "ingest", _("Ingest")
    READ = "read", _("Read")
    ACT = "act", _("Act")


@pghistory.track(exclude=["hashed_key"])
class ApiKey(AbstractAPIKey):
    """A key of a source: `prefix.secret`, stored hashed, shown once. Two live at a time, for rotation."""

    LIVE_PER_SOURCE: ClassVar[int] = 2

    source = models.ForeignKey(Source, models.CASCADE, related_name="api_keys", verbose_name=_("source"))
    scopes = ArrayField(models.CharField(max_length=8, choices=Scope), verbose_name=_("scopes"), default=list)
    rate_per_minute = models.PositiveIntegerField(
        _("requests per minute"), null=True, blank=True, help_text=_("Empty: the default; 0: no limit.")
    )

    objects = ApiKeyManager()  # type: ignore[misc]

    class Meta(AbstractAPIKey.Meta):
        verbose_name = _("API key")  # type: ignore[assignment]
        verbose_name_plural = _("API keys")  # type: ignore[assignment]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scopes__contained_by=list(Scope.values)) & ~models.Q(scopes=[]),
                name="apikey_scopes",
            )
        ]
