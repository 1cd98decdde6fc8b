"""Where a browser may be sent into a chat product: the same for the template of an org and for the link it makes."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings

from orgs.texts import TEXT_LENGTH

PORTS = {"https": 443, "http": 80}


def place_of_link(url: str) -> tuple[str, int] | None:
    """Host and port of a link that a browser may be sent to; None for every other: https only, in demo mode http on
    loopback too.
    """
    if len(url) > TEXT_LENGTH or not url.isascii() or not url.isprintable() or any(c in url for c in "\\ <>\"'`"):
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or "@" in parts.netloc or port == 0:
        return None
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.DEMO and _loopback(host)):
        return None
    return host.rstrip("."), port or PORTS[parts.scheme]


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
