"""The transport to notification-service: signed requests, a total deadline, a capped answer. No database here.

The contract is docs/contracts/notification-service.yaml.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

import aiohttp
import structlog
from django.conf import settings
from yarl import URL

from alerts.delivery.answers import PushOutcome, classify, classify_revocation, no_answer, refused_field
from alerts.delivery.message import NOT_IN_EVERY_SERVICE, without_new_fields

DEADLINE = 10.0  # seconds for one request in total, however slowly the answer drips
ANSWER_CAP = 64 * 1024  # bytes that are read of an answer
IN_FLIGHT = 50
NOTIFICATIONS, PUSH_TOKENS, REVOCATIONS = "/v1/notifications", "/v1/push-tokens", "/v1/revocations"
TOKENS_QUERY = 4000  # characters of a query; longer lists are asked in parts

log = structlog.get_logger(__name__)


ASKED_AGAIN_AFTER = 3600.0  # seconds: whether the service knows the newer fields by now


class Sendable(Protocol):
    """What is sent: the frozen body, under a key that stays the same. `is_revocation`: it takes another one back."""

    @property
    def body(self) -> str: ...

    @property
    def idempotency_key(self) -> UUID: ...

    @property
    def is_revocation(self) -> bool: ...


class _ServiceKnowledge:
    """What this process has learnt of the service: until when it is not sent the newer fields, monotonic clock."""

    plain_until = 0.0


def sign(method: str, target: str, date: str) -> str:
    """The `Authorization` header (Mekari HMAC) for a request line's `target`, path and query, and a `Date`."""
    text = f"date: {date}\n{method} {target} HTTP/1.1"
    secret = settings.NOTIFICATION_SERVICE_CLIENT_SECRET.encode()
    signature = base64.b64encode(hmac.new(secret, text.encode(), hashlib.sha256).digest()).decode()
    return (
        f'hmac username="{settings.NOTIFICATION_SERVICE_CLIENT_ID}", algorithm="hmac-sha256", '
        f'headers="date request-line", signature="{signature}"'
    )


def open_session() -> aiohttp.ClientSession:
    """A session that keeps connections alive, sends no cookies, and unpacks nothing."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),  # who sends bounds how many are in flight
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "live-monitoring"},
    )


async def send(session: aiohttp.ClientSession, push: Sendable) -> PushOutcome:
    """One attempt to deliver one push. Never raises for anything the other side or the network does."""
    try:
        if push.is_revocation:
            return classify_revocation(*await _post(session, REVOCATIONS, push, push.body), datetime.now(UTC))
        return await _notify(session, push)
    except TimeoutError:
        missed = no_answer(f"timed out after {DEADLINE:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        missed = no_answer(_why(error))
    return replace(missed, kind="put_off") if push.is_revocation else missed


async def _notify(session: aiohttp.ClientSession, push: Sendable) -> PushOutcome:
    """A service that refuses a newer field by name never used the key up: it gets the same without those, at once."""
    plain = time.monotonic() < _ServiceKnowledge.plain_until
    answer = await _post(session, NOTIFICATIONS, push, without_new_fields(push.body) if plain else push.body)
    refused = refused_field(answer[0], answer[2])
    if not plain and refused in (*NOT_IN_EVERY_SERVICE, "Idempotency-Key"):  # the latter: it went without them before
        _ServiceKnowledge.plain_until = time.monotonic() + ASKED_AGAIN_AFTER
        answer = await _post(session, NOTIFICATIONS, push, without_new_fields(push.body))
    return classify(*answer, datetime.now(UTC))


async def _post(
    session: aiohttp.ClientSession, path: str, push: Sendable, body: str
) -> tuple[int, str | None, bytes | None]:
    """Status, Retry-After and body of the answer; None: a longer one than we read."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(push.idempotency_key)}
    async with _request(session, "POST", path, headers, body.encode()) as answer:
        return answer.status, answer.headers.get("Retry-After"), await _read_capped(answer)


def ask_tokens(sso_ids: Iterable[str]) -> dict[str, int]:
    """How many phones notification-service knows for each of these people; those it does not answer for are left out.

    Raises aiohttp.ClientError, TimeoutError or ValueError (an answer that is not the contract's).
    """
    return asyncio.run(_ask_tokens(sorted(set(sso_ids))))


async def _ask_tokens(sso_ids: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    async with open_session() as session:
        for query in _queries(sso_ids):
            async with _request(session, "GET", f"{PUSH_TOKENS}?{query}", {}, None) as answer:
                answer.raise_for_status()
                found |= _tokens(await _read_capped(answer))
    wanted = set(sso_ids)
    return {sso_id: tokens for sso_id, tokens in found.items() if sso_id in wanted}


def _queries(sso_ids: list[str]) -> Iterator[str]:
    query = start = urlencode({"user_source": "chat"})
    for sso_id in sso_ids:
        part = f"&sso_id={quote(sso_id, safe='')}"
        if query != start and len(query) + len(part) > TOKENS_QUERY:
            yield query
            query = start
        query += part
    if query != start:
        yield query


def _tokens(body: bytes | None) -> dict[str, int]:
    decoded = json.loads(body or b"")
    if not isinstance(decoded, dict) or not isinstance(decoded.get("data"), list):
        raise ValueError("the answer is not the contract's")
    found: dict[str, int] = {}
    for person in decoded["data"]:
        match person:
            case {"sso_id": str(sso_id), "tokens": int(tokens)} if 0 <= tokens < 2**31:
                found[sso_id] = tokens
    return found


def _request(
    session: aiohttp.ClientSession, method: str, path: str, headers: dict[str, str], body: bytes | None
) -> "aiohttp.client._RequestContextManager":
    url, target = _address(settings.NOTIFICATION_SERVICE_URL, path)
    date = formatdate(usegmt=True)  # this machine's clock: the other side compares it with its own
    signed = {"Date": date, "Authorization": sign(method, target, date)}
    timeout = aiohttp.ClientTimeout(total=DEADLINE)
    return session.request(method, url, data=body, headers=headers | signed, allow_redirects=False, timeout=timeout)


@lru_cache(maxsize=8)
def _address(base: str, path: str) -> tuple[URL, str]:
    """The URL, and its part that stands in the request line."""
    return URL(base + path, encoded=True), urlsplit(base).path + path


async def _read_capped(answer: aiohttp.ClientResponse) -> bytes | None:
    """The body, or None if there is more than the cap; the connection of such an answer is dropped unread."""
    body = bytearray()
    while chunk := await answer.content.read(ANSWER_CAP + 1 - len(body)):
        body += chunk
        if len(body) > ANSWER_CAP:
            answer.close()
            return None
    return bytes(body)


def _why(error: Exception) -> str:
    """A few words for people; the class says more than most messages, and no message may carry a secret."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "it refuses connections"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError):
        return "it cut the connection"
    return type(error).__name__
