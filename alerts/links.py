"""The link into a room of the chat product: built or checked here, never taken from a sender on trust."""

from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from django.conf import settings

from alerts.models import Room
from orgs.models import Org
from orgs.texts import TEXT_LENGTH

PORTS = {"https": 443, "http": 80}


def room_url(org: Org, room: Room) -> str | None:
    """Where a supervisor enters the room: the event's own link if its host is on the org's list, else the template.

    https only; http on loopback in demo mode. None if neither is allowed.
    """
    if room.url and is_allowed(room.url, set(org.allowed_hosts)):
        return room.url
    filled = _fill(org, room)
    return filled if filled is not None and is_allowed(filled, None) else None


def is_allowed(url: str, hosts: set[str] | None) -> bool:
    """Whether a browser may be sent there. `hosts`: with their port where it is not the scheme's own; None: any host
    (the template was set by a specialist).
    """
    if len(url) > TEXT_LENGTH or not url.isascii() or not url.isprintable() or any(c in url for c in "\\ <>\"'`"):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or port == 0:
        return False
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.DEMO and _loopback(host)):
        return False
    place = (host.rstrip("."), port or PORTS[parts.scheme])
    return hosts is None or place in {_place(listed, PORTS[parts.scheme]) for listed in hosts}


def _place(listed: str, default: int) -> tuple[str, int] | None:
    """Host and port of an entry of an org's list; None for what is neither."""
    try:
        parts = urlsplit(f"//{listed.strip()}")
        return ((parts.hostname or "").rstrip("."), parts.port or default)
    except ValueError:
        return None


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fill(org: Org, room: Room) -> str | None:
    """The template with percent-encoded ids: a room id can add neither a path nor a host."""
    template = org.room_url_template
    _, _, rest = template.partition("://")
    if "{" in rest.split("/", 1)[0]:
        return None  # a variable in the host would let a sender choose it
    account = quote(org.external_id, safe="")  # the org's id in the chat product is its account there
    values = {"room_id": quote(room.room_id, safe=""), "org_id": account, "account_id": account}
    if any(value in (".", "..", "") for name, value in values.items() if f"{{{name}}}" in template):
        return None  # a browser would resolve it away, into another page
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError):
        return None
