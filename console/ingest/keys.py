"""Who calls the lane, and how often: keys cached for at most 5 s, and a token bucket for each, in memory."""

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass

from django.conf import settings

from console.ingest.decode import Refusal
from orgs.auth import InvalidKey, find_key
from orgs.models import Scope, Source

CACHED_SECONDS = 5.0
REMEMBERED = 10_000  # keys, buckets


@dataclass(frozen=True, slots=True)
class Caller:
    """A live key with the scope `ingest`. `rate`: requests per minute, 0 = no limit."""

    prefix: str
    source: Source
    rate: int
    scopes: frozenset[str]


def unauthenticated() -> Refusal:
    """401, the same bytes whether there is no key, an unknown, an expired or a revoked one."""
    return Refusal(
        401, "unauthenticated", "Send a live key: Authorization: Bearer <key>. This one is missing or not live."
    )


def bearer(authorization: str) -> str:
    """The key of an Authorization header. Raises Refusal where it cannot be one."""
    kind, _, raw = authorization.partition(" ")
    raw = raw.strip()
    if kind.lower() != "bearer" or "." not in raw or not raw.isascii() or len(raw) > 200 or "\x00" in raw:
        raise unauthenticated()
    return raw


class KeyCache:
    """Live keys by the hash of their secret. An unknown key is never remembered: a new one works at once."""

    def __init__(self) -> None:
        self._live: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    def get(self, raw: str) -> Caller | None:
        """The caller, if their key was found live less than 5 s ago."""
        known = self._live.get(_digest(raw))
        return known[1] if known and time.monotonic() < known[0] else None

    def look_up(self, raw: str) -> Caller:
        """The caller, from the database. Raises Refusal (401)."""
        until = time.monotonic() + CACHED_SECONDS
        try:
            key = find_key(raw)
        except InvalidKey:
            raise unauthenticated() from None
        rate = settings.INGEST_RATE_PER_MINUTE if key.rate_per_minute is None else key.rate_per_minute
        caller = Caller(key.prefix, key.source, rate, frozenset(key.scopes))
        self._live[_digest(raw)] = (until, caller)
        self._live.move_to_end(_digest(raw))
        while len(self._live) > REMEMBERED:
            self._live.popitem(last=False)
        return caller


def _digest(raw: str) -> bytes:
    return hashlib.sha256(raw.encode()).digest()


def check_scope(caller: Caller) -> None:
    """Raise Refusal (403) for a key without the scope `ingest`."""
    if Scope.INGEST not in caller.scopes:
        raise Refusal(403, "missing_scope", "This key has not the scope ingest. Make one that has it.")


class Rates:
    """A token bucket for each key: a full minute's requests at once, then as many as its rate gives."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # prefix -> (tokens, at)

    def take(self, caller: Caller, now: float) -> None:
        """Count one request at `now` (monotonic seconds). Raises Refusal (429)."""
        if caller.rate == 0:
            return
        tokens, at = self._buckets.get(caller.prefix, (float(caller.rate), now))
        tokens = min(caller.rate, tokens + (now - at) * caller.rate / 60)
        allowed = tokens >= 1
        self._buckets[caller.prefix] = (tokens - 1 if allowed else tokens, now)
        self._buckets.move_to_end(caller.prefix)
        while len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        if not allowed:
            wait = int((1 - tokens) * 60 / caller.rate) + 1
            message = f"This key may send {caller.rate} requests a minute. Wait {wait} s, or send batches."
            raise Refusal(429, "rate_limited", message, retry_after=wait)
