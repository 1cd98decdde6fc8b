"""Who sends a request, for code that has to know it before Django works on the request."""

from contextlib import suppress

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, parse_cookie

from console.http.sessions import SessionStore
from console.ingest import keys
from console.ingest.decode import Refusal
from console.ingest.work import database
from orgs.keys import InvalidKey, find_key


def known_caller(headers: list[tuple[bytes, bytes]]) -> str | None:
    """A name for the signed-in person or the live key behind these headers; None for everybody else.

    Asks the database, in a thread without a scope. Raises Refusal (503) if it is away.
    """
    given = {name: value.decode("latin-1") for name, value in headers}
    with database():
        with suppress(Refusal, InvalidKey):
            return f"key {find_key(keys.bearer(given.get(b'authorization', ''))).prefix}"
        request = HttpRequest()
        request.session = SessionStore(parse_cookie(given.get(b"cookie", "")).get(settings.SESSION_COOKIE_NAME))
        user = get_user(request)
        return f"person {user.pk}" if user.is_authenticated else None
