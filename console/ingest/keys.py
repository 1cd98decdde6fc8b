"""Who calls the lane, and how often: a token bucket for each key, in memory."""

from dataclasses import dataclass

from django.conf import settings

from console.ingest.decode import Refusal
from console.ingest.memory import Newest
from orgs import clock
from orgs.client_tokens import find_token, is_client_token
from orgs.keys import InvalidKey, find_key
from orgs.models import ApiKey, Org, Source


@dataclass(frozen=True, slots=True)
class Caller:
    """A live key, or a client token made with one. `rate`: requests per minute, 0 = no limit.

    `prefix` names the key in logs, rates and budgets; its tokens share another name, so that a page in somebody's
    browser takes nothing of what the back end may send. `org`: the one org that a token writes for.
    """

    prefix: str
    source: Source
    rate: int
    scopes: frozenset[str]
    org: Org | None = None


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


def find_caller(raw: str) -> Caller:
    """The caller behind a key or a client token, from the database. Raises Refusal (401)."""
    try:
        if is_client_token(raw):
            let_in = find_token(raw, clock.now())
            return _caller(let_in.key, f"{let_in.key.prefix}/token", let_in.org)
        key = find_key(raw)
    except InvalidKey:
        raise unauthenticated() from None
    return _caller(key, key.prefix, None)


def _caller(key: ApiKey, name: str, org: Org | None) -> Caller:
    rate = settings.INGEST_RATE_PER_MINUTE if key.rate_per_minute is None else key.rate_per_minute
    return Caller(name, key.source, rate, frozenset(key.scopes), org)


class Rates:
    """A token bucket for each key: a full minute's requests at once, then as many as its rate gives."""

    def __init__(self) -> None:
        self._buckets: Newest[str, tuple[float, float]] = Newest()  # prefix -> (tokens, at)

    def take(self, caller: Caller, now: float) -> None:
        """Count one request at `now` (monotonic seconds). Raises Refusal (429)."""
        if caller.rate == 0:
            return
        tokens, at = self._buckets.get(caller.prefix, (float(caller.rate), now))
        tokens = min(caller.rate, tokens + (now - at) * caller.rate / 60)
        allowed = tokens >= 1
        self._buckets[caller.prefix] = (tokens - 1 if allowed else tokens, now)
        if not allowed:
            wait = int((1 - tokens) * 60 / caller.rate) + 1
            message = f"This key may send {caller.rate} requests a minute. Wait {wait} s, or send batches."
            raise Refusal(429, "rate_limited", message, retry_after=wait)
