"""API keys of a source: issue, find, rotate, revoke. The secret text exists once, in the answer of `issue`."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import cast

from django.db import transaction
from django.db.models import Q, QuerySet

from orgs import clock
from orgs.models import ApiKey, Scope, Source


class TooManyKeys(Exception):
    """The source has two live keys already: one of them has to be revoked first."""


class InvalidKey(Exception):
    """No such key, or it is revoked or has expired."""


class UnknownScope(Exception):
    """A scope that does not exist, or none at all; the message names it."""


def live_keys(sources: Iterable[int], now: datetime) -> QuerySet[ApiKey]:
    """The keys of these sources (pks) that still open the door at `now`, oldest first."""
    kept = ApiKey.objects.filter(source__in=sources, revoked=False)
    return kept.filter(Q(expiry_date=None) | Q(expiry_date__gt=now)).order_by("created")


def issue(
    source: Source,
    scopes: Collection[str],
    *,
    name: str = "",
    expires_days: int | None = None,
    rate_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; gives the row and the secret text `prefix.secret`, which is not kept anywhere.

    Two live keys at a time, so that a sender can change over without a gap. The lock is the source's row.
    Raises TooManyKeys, UnknownScope.
    """
    wanted = [scope for scope in Scope.values if scope in scopes]
    if not wanted or (unknown := sorted(set(scopes) - set(Scope.values))):
        raise UnknownScope(", ".join(unknown) if wanted else ", ".join(scopes))
    with transaction.atomic():
        Source.objects.select_for_update().get(pk=source.pk)
        now = clock.now()
        if live_keys([source.pk], now).count() >= ApiKey.LIVE_PER_SOURCE:
            raise TooManyKeys(source.name)
        key, secret = ApiKey.objects.create_key(
            source=source,
            name=name or ", ".join(wanted),
            scopes=wanted,
            expiry_date=now + timedelta(days=expires_days) if expires_days else None,
            rate_per_minute=rate_per_minute,
        )
        return cast(ApiKey, key), secret


def revoke(key: ApiKey) -> None:
    """End a key for good; requests with it are refused within 5 s (the lane remembers a key that long)."""
    key.revoked = True
    key.save(update_fields=["revoked"])


def live_key(prefix: str) -> ApiKey | None:
    """The key that begins so, with its source and org, unless it is revoked or has expired."""
    key = ApiKey.objects.select_related("source__org").filter(prefix=prefix, revoked=False).first()
    return None if key is None or key.has_expired else key


def find_key(raw: str) -> ApiKey:
    """The live key for the secret text `prefix.secret`; found by prefix, hash compared in constant time.

    Raises InvalidKey.
    """
    prefix, dot, _ = raw.partition(".")
    key = live_key(prefix)
    if not dot or key is None or not key.is_valid(raw):
        raise InvalidKey
    return key
