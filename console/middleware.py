"""What a page needs of its person: language, zone, and a session that ends."""

import time
import zoneinfo
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django_structlog.middlewares import RequestMiddleware

from orgs.logs import route


class PersonMiddleware:
    """Activates the person's language and zone (signed out: the cookie's, else the browser's language).

    A session ends 7 days after log-in whatever happens, and 12 h after the last page otherwise.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            self._end_old_session(request)
        language = getattr(request.user, "locale", "") or translation.get_language_from_request(request)
        zone = getattr(request.user, "zone", "") or "Asia/Jakarta"
        with translation.override(language), timezone.override(zoneinfo.ZoneInfo(zone)):
            request.LANGUAGE_CODE = language
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        return response

    @staticmethod
    def _end_old_session(request: HttpRequest) -> None:
        started = request.session.setdefault("started", int(time.time()))
        if time.time() - started > settings.SESSION_ABSOLUTE_AGE:
            logout(request)
        else:
            request.session.modified = True  # the idle time starts anew with every page


class RequestLog(RequestMiddleware):
    """Logs when a request begins and ends, by method and route: its path and query may hold secrets."""

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {route(request)}"
