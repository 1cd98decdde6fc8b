"""What a page needs of its person: language, zone, and a session that ends."""

import time
import zoneinfo
from collections.abc import Callable
from itertools import chain

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from console.views import errors


class TextMiddleware:
    """Refuses a NUL in the path, the query or a form (400), in front of everything that would ask the database for it.

    JSON bodies are judged field by field, where the answer can name the field: orgs/incoming.py.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
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
