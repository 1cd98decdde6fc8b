"""Sending systems, and what opens the door for them: keys and webhook endpoints."""

import secrets
from ipaddress import ip_network
from typing import ClassVar

import pghistory
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager
from rest_framework_api_key.crypto import KeyGenerator
from rest_framework_api_key.models import AbstractAPIKey, APIKeyManager

from orgs.identifiers import IdentifierField
from orgs.models.tenants import NAME, Org
from orgs.origins import ORIGIN_LENGTH, check_origin


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
    name = IdentifierField(_("name"), max_length=NAME)
    allowed_origins = ArrayField(
        models.CharField(max_length=ORIGIN_LENGTH, validators=[check_origin]),
        verbose_name=_("allowed origins"),
        default=list,
        db_default=[],
        blank=True,
        help_text=_("Of web pages that may send with a client token, such as https://shop.example. Empty: none."),
    )

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


def check_network(value: str) -> None:
    """Raise ValidationError unless `value` is an IP address or a network in CIDR notation."""
    try:
        ip_network(value)
    except ValueError:
        raise ValidationError(
            _("%(value)s is not an address or a network such as 203.0.113.0/24."), params={"value": value}
        ) from None


def new_public_id() -> str:
    """The part of a webhook's address that names the endpoint and may be shown: 60 bits, letters and digits."""
    return secrets.token_hex(8)


@pghistory.track(exclude=["token_hash", "previous_hash", "older"])
class WebhookEndpoint(models.Model):
    """An address that a chat product posts to, bound to one org. Its secret is part of the address, stored hashed."""

    class Kind(models.TextChoices):
        QONTAK = "qontak", "Qontak"

    org = models.ForeignKey(Org, models.CASCADE, related_name="webhook_endpoints", verbose_name=_("org"))
    source = models.ForeignKey(Source, models.CASCADE, related_name="webhook_endpoints", verbose_name=_("source"))
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    public_id = models.CharField(max_length=16, unique=True, default=new_public_id, editable=False)
    token_hash = models.BinaryField(max_length=32, editable=False)  # SHA-256 of 256 random bits
    previous_hash = models.BinaryField(max_length=32, null=True, editable=False)  # the token before, while it overlaps
    previous_until = models.DateTimeField(null=True, editable=False)
    older = models.JSONField(null=True, editable=False)  # the tokens before that one: hash in hex -> until, ISO 8601
    organization_id = IdentifierField(
        _("organization id"),
        max_length=NAME,
        blank=True,
        help_text=_("Of the org in the chat product. Empty: the same as its external id."),
    )
    allowed_addresses = ArrayField(
        models.CharField(max_length=64, validators=[check_network]),
        verbose_name=_("allowed addresses"),
        default=list,
        blank=True,
        help_text=_("Addresses or networks such as 203.0.113.0/24, separated with commas. Empty: from anywhere."),
    )
    active = models.BooleanField(_("active"), default=True)

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        ordering = ["kind", "public_id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.public_id}"


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
    FASTEST: ClassVar[int] = 2**31 - 1  # what the column of the rate holds

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

    @property
    def scopes_said(self) -> str:
        """What it may do, in the reader's words."""
        return ", ".join(str(Scope(scope).label) for scope in self.scopes)
