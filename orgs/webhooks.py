"""Webhook endpoints: made, rotated, found. The secret is part of the address and exists once: in what is answered."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.db import transaction

from orgs import clock
from orgs.models import Org, Source, WebhookEndpoint

OVERLAP = timedelta(hours=24)  # how long the address before a rotation goes on working
NOBODY = bytes(32)
TOKEN_BYTES = 32


class UnknownEndpoint(Exception):
    """No such endpoint, a token that is not (or no longer) its own, or switched off: the caller is not told which."""


def create(
    org: Org, kind: str, *, organization_id: str = "", allowed_addresses: list[str] | None = None
) -> tuple[WebhookEndpoint, str]:
    """Make an endpoint for an org; gives it and its whole address, which is not kept anywhere.

    It belongs to the org's source of that kind, which is made with the first one.
    """
    with transaction.atomic():
        source, _ = Source.objects.get_or_create(org=org, name=WebhookEndpoint.Kind(kind).label)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        endpoint = WebhookEndpoint.objects.create(
            org=org,
            source=source,
            kind=kind,
            token_hash=_digest(token),
            organization_id=organization_id,
            allowed_addresses=allowed_addresses or [],
        )
    return endpoint, _address(endpoint, token)


def rotate_address(endpoint: WebhookEndpoint, overlap: timedelta = OVERLAP) -> str:
    """A new address; the present one works for `overlap` longer, each before it to its own end. The lock is the row."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with transaction.atomic():
        row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        now = clock.now()
        row.older = {digest.hex(): until.isoformat() for digest, until in _overlapping(row, now)} or None
        row.previous_hash, row.previous_until = row.token_hash, now + overlap
        row.token_hash = _digest(token)
        row.save(update_fields=["token_hash", "previous_hash", "previous_until", "older"])
    return _address(row, token)


def end_overlap(endpoint: WebhookEndpoint) -> None:
    """From here on (5 s later in processes that remember) only the newest address works."""
    rows = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    rows.update(previous_hash=None, previous_until=None, older=None)


def _overlapping(endpoint: WebhookEndpoint, now: datetime) -> list[tuple[bytes, datetime]]:
    """The tokens before the present one that still work, and until when."""
    held = [(bytes.fromhex(digest), datetime.fromisoformat(until)) for digest, until in (endpoint.older or {}).items()]
    if endpoint.previous_hash is not None and endpoint.previous_until is not None:
        held.append((bytes(endpoint.previous_hash), endpoint.previous_until))
    return [(digest, until) for digest, until in held if until > now]


def find(kind: str, segment: str, now: datetime) -> WebhookEndpoint:
    """The endpoint named by the last part of an address, `public_id.token`. Raises UnknownEndpoint.

    Found by its public id, each token's hash compared in constant time, whether there is one or not.
    """
    public_id, _, token = segment.partition(".")
    rows = WebhookEndpoint.objects.select_related("org", "source__org")
    name = public_id if public_id.isascii() and public_id.isalnum() else ""  # a NUL is no question for the database
    endpoint = rows.filter(kind=kind, public_id=name, active=True).first()
    good = [bytes(endpoint.token_hash), *(one for one, _until in _overlapping(endpoint, now))] if endpoint else [NOBODY]
    digest = _digest(token)
    held = [hmac.compare_digest(digest, one) for one in good]
    if endpoint is None or not any(held):
        raise UnknownEndpoint
    return endpoint


def may_post(endpoint: WebhookEndpoint, address: str) -> bool:
    """Whether this address may post: any, where no address is listed."""
    if not endpoint.allowed_addresses:
        return True
    try:
        client = ip_address(address)
    except ValueError:
        return False
    client = getattr(client, "ipv4_mapped", None) or client
    networks = [ip_network(listed, strict=False) for listed in endpoint.allowed_addresses]
    return any(client.version == network.version and client in network for network in networks)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _address(endpoint: WebhookEndpoint, token: str) -> str:
    return f"{settings.BASE_URL}/api/webhooks/{endpoint.kind}/{endpoint.public_id}.{token}"
