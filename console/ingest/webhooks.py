"""POST /api/webhooks/{kind}/{endpoint}: what a chat product posts. 200 once it is stored, whatever it says.

Chat products do not try again, so nothing but a wrong address is refused: what cannot be read is kept as not
understood, with its reason, and shown at /sources.
"""

import hashlib
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog

from alerts.models import WebhookDelivery
from alerts.sources import inbox
from alerts.sources.traffic import Counts, slot
from console.ingest.decode import Refusal, parse, unpack
from console.ingest.keys import CACHED_SECONDS, REMEMBERED
from console.ingest.tally import tally
from console.ingest.work import Answer, database, hear
from orgs import clock, webhooks
from orgs.models import WebhookEndpoint

PREFIX = "/api/webhooks/"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a webhook's path. Never logged: the segment holds the secret."""

    kind: str
    segment: str


def address(path: str) -> Address:
    """The parts of a path that begins with PREFIX; an impossible one is that of no endpoint."""
    kind, _, segment = path.removeprefix(PREFIX).partition("/")
    return Address(kind, segment)


def named(path: str) -> str:
    """What a path is called in logs and metrics: without the endpoint and its secret."""
    kind = address(path).kind
    return PREFIX + (kind if kind in WebhookEndpoint.Kind.values else "unknown")


def unknown() -> Refusal:
    """401, the same bytes for no such endpoint, a wrong token and one that was rotated away."""
    return Refusal(401, "unauthenticated", "There is no such webhook address, or it was replaced by a newer one.")


class EndpointCache:
    """Live endpoints by the hash of their address, for at most 5 s; an unknown one is never remembered."""

    def __init__(self) -> None:
        self._live: OrderedDict[bytes, tuple[float, WebhookEndpoint]] = OrderedDict()

    def get(self, asked: Address) -> WebhookEndpoint | None:
        """The endpoint, if it was found less than 5 s ago."""
        known = self._live.get(_digest(asked))
        return known[1] if known and time.monotonic() < known[0] else None

    def look_up(self, asked: Address) -> WebhookEndpoint:
        """The endpoint, from the database. Raises Refusal (401)."""
        until = time.monotonic() + CACHED_SECONDS
        try:
            endpoint = webhooks.find(asked.kind, asked.segment, clock.now())
        except webhooks.UnknownEndpoint:
            raise unknown() from None
        self._live[_digest(asked)] = (until, endpoint)
        self._live.move_to_end(_digest(asked))
        while len(self._live) > REMEMBERED:
            self._live.popitem(last=False)
        return endpoint


def _digest(asked: Address) -> bytes:
    return hashlib.sha256(f"{asked.kind}/{asked.segment}".encode(errors="replace")).digest()


def receive(endpoint: WebhookEndpoint, client: str, content: bytes, *, packed: bool) -> Answer:
    """Store one delivery from `client`, an IP address. Raises Refusal: 403 from a wrong address, 503."""
    with database():
        now = clock.now()
        if not webhooks.is_allowed(endpoint, client):
            inbox.refuse(endpoint, "address", now)
            log.warning("webhook_address_refused", endpoint=endpoint.public_id, client=client)
            raise Refusal(403, "address_refused", "This address may not post here.")
        delivery = _store(endpoint, content, packed, now)
        hear(endpoint.source, {endpoint.org_id}, now)
    _count(endpoint, delivery)
    body = {"delivery_id": str(delivery.pk), "status": delivery.outcome or "stored"}
    return Answer(200, msgspec.json.encode(body), Counter())


def _store(endpoint: WebhookEndpoint, content: bytes, packed: bool, now: datetime) -> WebhookDelivery:
    try:
        payload = parse(unpack(content) if packed else content)
    except Refusal as error:
        return inbox.refuse(endpoint, error.code, now)
    return inbox.store(endpoint, payload, now)


def _count(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> None:
    """What is not understood is counted here; the rest by whoever works it."""
    if delivery.outcome in (WebhookDelivery.Outcome.NOT_UNDERSTOOD, WebhookDelivery.Outcome.REFUSED):
        place = slot(endpoint.org_id, endpoint.source_id, endpoint.pk, delivery.received_at)
        tally.count(place, Counts(not_understood=1))
