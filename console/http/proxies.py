"""Finds who asks, and by what scheme, behind proxies; all other code reads `client` and `scheme` of the scope.

Each trusted proxy appends the address that called it to X-Forwarded-For, so we count from the right: whoever asks can
write what stands further left.
"""

from functools import wraps
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from django.conf import settings

from console.ingest.bodies import App, AsgiScope, Receive, Send, client_address

SECURE = {"http": "https", "ws": "wss"}
PLAIN = {"https": "http", "wss": "ws"}
FOR, PROTO = b"x-forwarded-for", b"x-forwarded-proto"


def behind_proxies(app: App) -> App:
    """The app with the client and the scheme that `TRUSTED_PROXIES` proxies saw; we believe nobody else."""

    @wraps(app)
    async def wrapped(scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and settings.TRUSTED_PROXIES > 0:
            peer = _address(client_address(scope))
            if peer and any(peer in network for network in settings.FORWARDED_ALLOW_IPS):
                scope = _seen_in_front(scope, settings.TRUSTED_PROXIES)
        await app(scope, receive, send)

    return wrapped


def _seen_in_front(scope: AsgiScope, hops: int) -> AsgiScope:
    chain, schemes = _listed(scope, FOR), _listed(scope, PROTO)
    changed: dict[str, Any] = {"headers": [pair for pair in scope["headers"] if pair[0] not in (FOR, PROTO)]}
    # fewer than there are proxies: the request came in at an inner one, and the first entry is what that one saw
    client = _address(chain[max(0, len(chain) - hops)]) if chain else None
    if client is not None:
        changed["client"] = (str(client), 0)
    if schemes:
        secure = schemes[max(0, len(schemes) - hops)].lower() in ("https", "wss")
        scheme = scope.get("scheme", "http")
        changed["scheme"] = (SECURE if secure else PLAIN).get(scheme, scheme)
    return {**scope, **changed}


def _listed(scope: AsgiScope, name: bytes) -> list[str]:
    """The entries of a header that may be there several times."""
    lines = [value.decode("latin-1") for header, value in scope["headers"] if header == name]
    return [entry.strip() for line in lines for entry in line.split(",")]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: perhaps with a port, perhaps in brackets; None if it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
