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


class UnknownEndpoint(Exception):
    """No such endpoint, a token that is not (or no longer) its own, or it was switched off: all the same outside."""


def create(
    org: Org, kind: str, *, organization_id: str = "", allowed_addresses: list[str] | None = None
) -> tuple[WebhookEndpoint, str]:
    """Make an endpoint for an org; gives it and its whole address, which is not kept anywhere.

    It belongs to the org's source of that kind, which is made with the first one.
    """
    with transaction.atomic():
        source, _ = Source.objects.get_or_create(org=org, name=WebhookEndpoint.Kind(kind).label)
        token = _new_token()
        endpoint = WebhookEndpoint.objects.create(
            org=org,
            source=source,
            kind=kind,
            token_hash=_digest(token),
            organization_id=organization_id,
            allowed_addresses=allowed_addresses or [],
        )
    return endpoint, _address(endpoint, token)


def rotate(endpoint: WebhookEndpoint, overlap: timedelta = OVERLAP) -> str:
    """A new address; the present one works for `overlap` longer, one before it no more. The lock is the row."""
    token = _new_token()
    with transaction.atomic():
        row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        row.previous_hash, row.previous_until = row.token_hash, clock.now() + overlap
        row.token_hash = _digest(token)
        row.save(update_fields=["token_hash", "previous_hash", "previous_until"])
    return _address(row, token)


def find(kind: str, segment: str, now: datetime) -> WebhookEndpoint:
    """The endpoint named by the last part of an address, `public_id.token`. Raises UnknownEndpoint.

    Found by its public id, the token's hash compared in constant time, whether there is one or not.
    """
    public_id, _, token = segment.partition(".")
    rows = WebhookEndpoint.objects.select_related("org", "source__org")
    name = public_id if public_id.isascii() and public_id.isalnum() else ""  # a NUL is no question for the database
    endpoint = rows.filter(kind=kind, public_id=name, active=True).first()
    digest = _digest(token)
    holds = hmac.compare_digest(digest, bytes(endpoint.token_hash) if endpoint else NOBODY)
    before = endpoint is not None and endpoint.previous_hash is not None and (endpoint.previous_until or now) > now
    held = hmac.compare_digest(digest, bytes(endpoint.previous_hash or NOBODY) if endpoint and before else NOBODY)
    if endpoint is None or not (holds or held):
        raise UnknownEndpoint
    return endpoint


def is_allowed(endpoint: WebhookEndpoint, address: str) -> bool:
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


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _address(endpoint: WebhookEndpoint, token: str) -> str:
    return f"{settings.BASE_URL}/api/webhooks/{endpoint.kind}/{endpoint.public_id}.{token}"
