"""The origin of a web page, as its browser says it: scheme, host, and the port where it is not the usual one."""

from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

ORIGIN_LENGTH = 255
USUAL_PORTS = {"https": 443, "http": 80}


def spelled_origin(text: str) -> str:
    """The origin of an address, such as https://shop.example. Raises ValueError for what can be none."""
    parts = urlsplit(text.strip())
    host, port = (parts.hostname or "").lower(), parts.port
    if parts.scheme not in USUAL_PORTS or not host or not host.isascii() or "@" in parts.netloc or "*" in host:
        raise ValueError(text)
    if any(letter.isspace() or letter in "%,\\\"'" for letter in host):
        raise ValueError(text)
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}" + ("" if port in (None, USUAL_PORTS[parts.scheme]) else f":{port}")


def check_origin(value: str) -> None:
    """Raise ValidationError unless `value` is an origin, written as browsers write it."""
    try:
        origin = spelled_origin(value)
    except ValueError:
        message = _("%(value)s is no origin such as https://shop.example: scheme, host, port.")
        raise ValidationError(message, params={"value": value}) from None
    if origin != value:
        message = _("%(value)s is not written as browsers write it: %(origin)s.")
        raise ValidationError(message, params={"value": value, "origin": origin})
