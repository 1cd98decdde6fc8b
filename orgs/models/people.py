"""People, the roles they hold in an org, and where each assignment came from."""

from typing import Any, ClassVar

import pghistory
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from orgs.duty.hours import HoursInvalid, normal_hours
from orgs.identifiers import IdentifierField
from orgs.models.tenants import LOCALES, NAME, Agent, Org, check_zone

ERASED = "erased-"  # how the sso_id begins of somebody who was forgotten, and still did what they did
FORMER = _("a former supervisor")
THEMES = [("auto", _("As the device")), ("light", _("Light")), ("dark", _("Dark"))]


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

    sso_id = IdentifierField(_("SSO id"), max_length=NAME, unique=True)
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
        called = self.name or self.sso_id
        return str(FORMER) if called.startswith(ERASED) else called

    @property
    def is_staff(self) -> bool:
        """May enter the Django admin: specialists only."""
        return self.is_specialist

    is_superuser = is_staff

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """A specialist may do everything the admin offers, nobody else anything."""
        return self.is_active and self.is_specialist

    has_module_perms = has_perm


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
    name = IdentifierField(_("name"), max_length=NAME)
    tier = models.PositiveSmallIntegerField(_("tier"), default=1, validators=[MinValueValidator(1)])
    agents = models.ManyToManyField(
        Agent, blank=True, verbose_name=_("only these agents"), help_text=_("None selected: all agents.")
    )
    fallback = models.BooleanField(
        _("fallback"),
        default=False,
        db_default=False,
        help_text=_("Belongs to no tier; told when nobody of any tier is on duty, at whatever hour."),
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


def check_duty(value: Any) -> None:
    """Raise ValidationError unless it is a list of weekly hours, each of which may be off on holidays."""
    try:
        normal_hours(value, holidays=True)
    except HoursInvalid as wrong:
        raise ValidationError(f"{wrong.field} {wrong}".strip()) from None


class ConfirmedManager(models.Manager["Assignment"]):
    """Leaves out those that wait for a word: they show nothing, tell nobody and count nowhere."""

    def get_queryset(self) -> models.QuerySet["Assignment"]:
        return super().get_queryset().filter(pending=False)


@pghistory.track()
class Assignment(models.Model):
    """Maps a supervisor role to a person. A composite foreign key (migration) keeps role and org together.

    `objects` are those that hold; `every` has the pending ones too, for whoever writes the list or confirms.
    """

    class Provenance(models.TextChoices):
        """Who said so last: the set-up page's list, a CSV file, a permission system, the admin."""

        LIST = "list", _("List")
        CSV = "csv", _("CSV")
        SYNC = "sync", _("Sync")
        ADMIN = "admin", _("Admin")

    org = models.ForeignKey(Org, models.CASCADE, related_name="assignments", verbose_name=_("org"))
    role = models.ForeignKey(SupervisorRole, models.CASCADE, related_name="assignments", verbose_name=_("role"))
    user = models.ForeignKey(User, models.CASCADE, related_name="assignments", verbose_name=_("person"))
    external_user_id = IdentifierField(
        _("id in the chat product"),
        max_length=NAME,
        blank=True,
        help_text=_("Who wrote a message in the room."),
    )
    provenance = models.CharField(
        _("provenance"), max_length=8, choices=Provenance, default=Provenance.ADMIN, editable=False
    )
    pending = models.BooleanField(
        _("pending"),
        default=False,
        db_default=False,  # the release before does not know this column
        editable=False,
        help_text=_("An org named somebody of others: it waits for their word or a specialist's."),
    )
    # [{"days": [1..7], "from": "22:00", "to": "06:00", "holidays": "off"?}] by the org's wall clock: orgs/duty/hours.py
    duty = models.JSONField(
        _("duty"), default=list, db_default=[], blank=True, validators=[check_duty], help_text=_("Empty: always.")
    )
    away_until = models.DateTimeField(_("away until"), null=True, blank=True)

    objects = ScopedManager(_manager_class=ConfirmedManager, org="org")
    every = ScopedManager(org="org")

    class Meta:
        default_manager_name = "every"  # what is unique, the admin and deletions see all rows
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
