"""What a page needs of its person: language, zone, a session that ends, and answers that no browser or proxy keeps."""

import time
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.contrib.auth import logout, user_logged_in, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django_structlog.middlewares import RequestMiddleware
from django_structlog.signals import bind_extra_request_metadata

from console.pages import errors
from orgs.logs import route
from orgs.models import User

log = structlog.get_logger(__name__)

Answerer = Callable[[HttpRequest], HttpResponse]
MOVED_BY = 60  # seconds: a session's end is written no more often
HEALTH = frozenset({"/livez", "/readyz", "/metrics"})


class HealthMiddleware:
    """Lets health checks call this machine by its address, which is not in ALLOWED_HOSTS.

    A foreign name gets no such pass: its page may have sent a browser on this machine here.
    """

    def __init__(self, get_response: Answerer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path in HEALTH and _is_address(request.META.get("HTTP_HOST", "")):
            request.META["HTTP_HOST"] = urlsplit(settings.BASE_URL).netloc
        return self.get_response(request)


def _is_address(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False


class TextMiddleware:
    """Refuses a NUL in the path, the query or a form (400), before anything asks the database for it.

    JSON bodies are judged field by field, where the answer can name the field: orgs/incoming.py.
    """

    def __init__(self, get_response: Answerer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path_info:
            return errors.bad_text(request)
        for name, values in chain(request.GET.lists(), request.POST.lists()):
            if any("\x00" in text for text in (name, *values)):
                return errors.bad_text(request, name.replace("\x00", ""))
        return self.get_response(request)


class PersonMiddleware:
    """Activates the person's language and zone (signed out: the cookie's, else the browser's language).

    A session ends 7 days after log-in whatever happens, and 12 h after the last thing its person did. No browser
    or proxy keeps an answer to a signed-in person: after log-out the back button shows nothing of it, and the browser
    empties its cache. What it stores for this device (a sound, say) stays: nothing of it is about anybody.
    """

    def __init__(self, get_response: Answerer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        known = request.user.is_authenticated
        if known and time.time() - _started(request) > settings.SESSION_ABSOLUTE_AGE:
            logout(request)
        language = getattr(request.user, "locale", "") or translation.get_language_from_request(request)
        zone = getattr(request.user, "zone", "") or "Asia/Jakarta"
        with translation.override(language), timezone.override(zoneinfo.ZoneInfo(zone)):
            request.LANGUAGE_CODE = language
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        if isinstance(request.user, User) and _is_of_a_person(request, response):
            # The session's end is a moment, so that nothing else that saves the session moves it.
            started = _started(request)
            ends = min(started + settings.SESSION_ABSOLUTE_AGE, time.time() + settings.SESSION_COOKIE_AGE)
            if "started" not in request.session or ends - request.session.get_expiry_date().timestamp() >= MOVED_BY:
                request.session["started"] = started
                request.session.set_expiry(datetime.fromtimestamp(ends, UTC))
        kept = response.headers.get("Cache-Control", "")
        is_kept = "max-age" in kept and not isinstance(request.user, User)  # as its view says
        if (known or request.user.is_authenticated) and "no-store" not in kept and not is_kept:
            response.headers["Cache-Control"] = "no-store"
        if known and not request.user.is_authenticated:
            response.headers["Clear-Site-Data"] = '"cache"'
        return response


def _started(request: HttpRequest) -> int:
    return int(request.session.get("started", time.time()))


def _is_of_a_person(request: HttpRequest, response: HttpResponse) -> bool:
    """Whether a person acted or opened a page. What a page or a machine asks for by itself does not count."""
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        return True
    asks_by_itself = "HX-Request" in request.headers or "partial" in request.GET
    navigates = request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
    is_page = response.headers.get("Content-Type", "").startswith("text/html")
    return request.method == "GET" and navigates and is_page and not asks_by_itself


class RequestLog(RequestMiddleware):
    """Logs when a request begins and ends, by method and route: its path, query and headers may hold secrets.

    The address is the one that `console/http/proxies.py` vouches for; a forwarded header says what its sender likes.
    """

    @classmethod
    def bind_ip(cls, request: HttpRequest) -> None:
        structlog.contextvars.bind_contextvars(ip=request.META.get("REMOTE_ADDR", ""))

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {route(request)}"


@receiver(bind_extra_request_metadata, sender=RequestLog)
def _leave_headers_out(log_kwargs: dict[str, Any], **_: Any) -> None:
    del log_kwargs["user_agent"]


@receiver(user_logged_in)
def _say_who_came(user: User, **_: Any) -> None:
    log.info("logged_in", person=user.pk)


@receiver(user_login_failed)
def _say_that_nobody_came(**_: Any) -> None:
    """What was typed is said nowhere: a password is easily typed into the wrong field."""
    log.warning("log_in_failed")
