"""CORS on the ingest endpoints: which pages of other origins may send, and read what they are answered.

A preflight carries no key, so it is allowed for an origin that any source lists: that lets the browser send, and no
more. The answer to what is sent may be read by the origins that its own source lists; one to a caller whom we do not
know (401) by all that are listed anywhere. Cookies have no part in it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection

from console.ingest.decode import Refusal
from console.ingest.memory import CACHED_SECONDS
from orgs.models import Source

Headers = list[tuple[bytes, bytes]]

PREFLIGHT_SECONDS = b"600"  # how long a browser remembers a preflight; what it then sends is judged all the same
METHODS, FIELDS = b"POST", b"Authorization, Content-Type, Content-Encoding"
READABLE = b"Retry-After, X-Request-Id"
ASKED_AGAIN_SECONDS = 1.0  # after which one that is not listed is looked for again: a new one need not wait 5 s
LONGEST_ORIGIN = 300  # characters of the header


def listed_origins() -> frozenset[str]:
    """All origins that some source lists, from the database."""
    listed = Source.objects.exclude(allowed_origins=[]).values_list("allowed_origins", flat=True)
    return frozenset(origin for origins in listed for origin in origins)


class Origins:
    """What `look_up` found, for at most 5 s: a storm of preflights is one query a second."""

    def __init__(self, look_up: Callable[[], Awaitable[frozenset[str]]]) -> None:
        self._look_up = look_up
        self._listed: frozenset[str] = frozenset()
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def lists(self, origin: str) -> bool:
        """Whether any source lists this origin. Raises Refusal (503)."""
        async with self._looking:
            patience = CACHED_SECONDS if origin in self._listed else ASKED_AGAIN_SECONDS
            if (now := time.monotonic()) >= self._looked_at + patience:
                self._looked_at = now  # also where it fails: who waits behind does not ask once more
                self._listed = await self._look_up()
        return origin in self._listed

    async def allows(self, origin: str, of_caller: Collection[str] | None) -> bool:
        """Whether this origin may read the answer; `of_caller`: what the caller's source lists, None if nobody knows
        who called. The database away is no."""
        if not origin or len(origin) > LONGEST_ORIGIN:
            return False
        if of_caller is not None:
            return origin in of_caller
        try:
            return await self.lists(origin)
        except Refusal:
            return False


def cors_headers(origin: str, allowed: bool) -> Headers:
    """The headers of an answer to a request with this Origin; its bytes differ by it, which caches must know."""
    if not origin:
        return []
    named = [(b"access-control-allow-origin", origin.encode("latin-1"))] if allowed else []
    return [*named, *([(b"access-control-expose-headers", READABLE)] if allowed else []), (b"vary", b"Origin")]


def is_preflight(method: str, headers: dict[str, str]) -> bool:
    """Whether a browser asks if a page may send."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


PREFLIGHT: Headers = [
    (b"access-control-allow-methods", METHODS),
    (b"access-control-allow-headers", FIELDS),
    (b"access-control-max-age", PREFLIGHT_SECONDS),
]


def not_listed() -> Refusal:
    """403: no source lists this origin."""
    return Refusal(403, "origin_not_allowed", "No source lists this origin. Add it: --origin, or allowed origins.")
