"""What the environment may say of a setting: a wrong value is one sentence that names its variable.

One that is empty counts as not set: compose passes all of them on. What may hold a password is never quoted.
"""

import math
import os
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

YES, NO = frozenset({"1", "true", "on", "yes", "y", "ok"}), frozenset({"0", "false", "off", "no", "n"})
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
REDIS = "must be redis://:password@host:port/number, rediss://... or unix:///path, with special characters as %XX"
MAIL = "must be smtp+tls://user:password@host:587, with special characters of the password as %XX"
SENTRY = "must be the address of a Sentry project, https://key@host/number"
SERVICE = "must be a whole URL such as https://notifications.example.com; http only for this machine or in demo mode"
SITE = "must be a whole URL such as https://monitor.example.com, with nothing behind the host"
MOST = 1_000_000_000


def read_text(name: str, default: str = "") -> str:
    """The value without blanks around it."""
    return os.environ.get(name, "").strip() or default


def read_whole(name: str, default: int, *, least: int = 0) -> int:
    """A whole number. Raises ImproperlyConfigured."""
    given = read_text(name)
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(MOST)) and least <= int(given) <= MOST):
        raise ImproperlyConfigured(f"{name} must be a whole number from {least} to {MOST}, not {given!r}.")
    return int(given)


def read_number(name: str, default: float, *, least: float) -> float:
    """A number. Raises ImproperlyConfigured."""
    given = read_text(name)
    try:
        value = float(given) if given else default
    except ValueError:
        value = math.nan
    if not least <= value <= MOST:  # nan is neither
        raise ImproperlyConfigured(f"{name} must be a number from {least:g} to {MOST}, not {given!r}.")
    return value


def read_switch(name: str, default: bool = False) -> bool:
    """On or off. Raises ImproperlyConfigured: one that is misspelt would count as off, and nobody would see it."""
    given = read_text(name).lower()
    if given and given not in YES | NO:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {given!r}.")
    return given in YES if given else default


def read_log_level() -> str:
    """`LOG_LEVEL`. Raises ImproperlyConfigured."""
    given = read_text("LOG_LEVEL", "INFO").upper()
    if given not in LEVELS:
        raise ImproperlyConfigured(f"LOG_LEVEL must be one of {', '.join(LEVELS)}, not {given!r}.")
    return given


def read_site(name: str, default: str) -> str:
    """The address people use. Raises ImproperlyConfigured; a path in it would stand in no link and in no cookie."""
    given = read_text(name, default).rstrip("/")
    parts = _parts(given)
    if (
        parts is None
        or parts.scheme not in ("http", "https")
        or parts.netloc != given.partition("://")[2]
        or parts.username
    ):
        raise ImproperlyConfigured(f"{name} {SITE}, not {given!r}.")
    return given


def read_service(name: str, *, demo: bool) -> str:
    """The address of a service that gets what customers wrote, or nothing. Raises ImproperlyConfigured."""
    given = read_text(name).rstrip("/")
    parts = _parts(given)
    if given and (
        parts is None or not (parts.scheme == "https" or (parts.scheme == "http" and (demo or _near(parts))))
    ):
        raise ImproperlyConfigured(f"{name} {SERVICE}.")
    return given


def read_redis(name: str, default: str) -> str:
    """The address of Valkey or Redis. Raises ImproperlyConfigured."""
    given = read_text(name, default)
    scheme, _, rest = given.partition("://")
    if scheme == "unix":
        usable = rest.partition("?")[0].startswith("/")
    else:
        parts = _parts(given)
        number_of_it = parts.path.strip("/") if parts else ""
        usable = parts is not None and scheme in ("redis", "rediss") and (number_of_it or "0").isdigit()
    if not usable:
        raise ImproperlyConfigured(f"{name} {REDIS}.")
    return given


def check_sentry(name: str) -> None:
    """Look at the address of a Sentry project. Raises ImproperlyConfigured."""
    parts = _parts(read_text(name))
    if parts is None or parts.scheme not in ("http", "https") or not parts.username or not parts.path.strip("/"):
        raise ImproperlyConfigured(f"{name} {SENTRY}.")


def read_mail(name: str) -> dict[str, Any]:
    """The settings of where mail goes. Raises ImproperlyConfigured."""
    try:
        return environ.Env.email_url_config(read_text(name))
    except (ImproperlyConfigured, ValueError):
        raise ImproperlyConfigured(f"{name} {MAIL}.") from None


def _parts(url: str) -> SplitResult | None:
    """The parts of an address that names a host; None for anything else, a password that cut it short too."""
    try:
        parts = urlsplit(url)
        whole_address = bool(parts.hostname) and (parts.port is None or parts.port > 0) and not parts.fragment
    except ValueError:
        return None
    return parts if whole_address and "@" not in parts.path and not any(one.isspace() for one in url) else None


def _near(parts: SplitResult) -> bool:
    """Whether the host is this machine."""
    try:
        return parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
