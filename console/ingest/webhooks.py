"""POST /api/webhooks/{kind}/{endpoint}: what a chat product posts. 200 once it is stored, whatever it says.

Chat products do not try again, so nothing but a wrong address is refused: what cannot be read is kept as not
understood, with its reason, and shown at /sources.
"""

import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
import structlog
from django.db import DataError, Error, IntegrityError

from alerts.faults import PASSING, report
from alerts.models import WebhookDelivery
from alerts.sources import inbox
from alerts.sources.traffic import TrafficCounts, slot
from console.ingest.decode import Refusal, unpack
from console.ingest.keys import CACHED_SECONDS, REMEMBERED
from console.ingest.tally import tally
from console.ingest.work import Answer, database, note_heard
from orgs import clock, webhooks
from orgs.models import Source, WebhookEndpoint
from orgs.strict_json import BadJson, parse_json

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


@dataclass(frozen=True, slots=True)
class Posted:
    """One request to a live endpoint, from `client`, an IP address; `packed`: its body is gzip."""

    endpoint: WebhookEndpoint
    client: str
    content: bytes
    packed: bool


def receive(batch: Sequence[Posted]) -> Sequence[Answer | Refusal]:
    """Store the deliveries of some requests in one statement; each one's answer. Raises Refusal (503)."""
    with database():
        now = clock.now()
        deliveries = [_delivery(one, now) for one in batch]
        gone = _store(deliveries)
        for source, orgs in _heard(delivery for delivery in deliveries if delivery.pk not in gone).items():
            note_heard(source, orgs, now)
    for delivery in deliveries:
        _count(delivery)
    return [unknown() if delivery.pk in gone else _answer(delivery) for delivery in deliveries]


def _delivery(posted: Posted, now: datetime) -> WebhookDelivery:
    if not webhooks.may_post(posted.endpoint, posted.client):
        log.warning("webhook_address_refused", endpoint=posted.endpoint.public_id, client=posted.client)
        return inbox.unread(posted.endpoint, "address", now)
    try:
        payload = parse_json(unpack(posted.content) if posted.packed else posted.content)
    except (Refusal, BadJson) as error:
        return inbox.unread(posted.endpoint, error.code, now)
    return inbox.read_delivery(posted.endpoint, payload, now)


def _store(deliveries: Sequence[WebhookDelivery]) -> set[UUID]:
    """Store all at once; if one of them cannot be, each alone. Ids of those whose endpoint was deleted just now."""
    try:
        inbox.store(deliveries)
    except PASSING:
        raise
    except Error:
        return {delivery.pk for delivery in deliveries if not _is_stored(delivery)}
    return set()


def _is_stored(delivery: WebhookDelivery) -> bool:
    """What PostgreSQL cannot keep is kept as not understood, without what it said."""
    try:
        inbox.store([delivery])
    except IntegrityError:
        return False
    except DataError as error:
        report("delivery_failed", error, endpoint=delivery.endpoint_id)
        unread = inbox.unread(delivery.endpoint, inbox.INTERNAL_ERROR, delivery.received_at)
        delivery.outcome, delivery.reason = unread.outcome, unread.reason
        delivery.facts, delivery.understood, delivery.sample, delivery.field = [], [], {}, ""
        inbox.store([delivery])
    return True


def _heard(deliveries: Iterable[WebhookDelivery]) -> dict[Source, set[int]]:
    found: dict[Source, set[int]] = {}
    for delivery in deliveries:
        found.setdefault(delivery.endpoint.source, set()).add(delivery.org_id)
    return found


def _answer(delivery: WebhookDelivery) -> Answer | Refusal:
    if delivery.reason == "address":
        return Refusal(403, "address_refused", "This address may not post here.")
    body = {"delivery_id": str(delivery.pk), "status": delivery.outcome or "stored"}
    return Answer(200, msgspec.json.encode(body), Counter())


def _count(delivery: WebhookDelivery) -> None:
    """What is not understood is counted here; the rest by whoever works it."""
    if delivery.outcome in (WebhookDelivery.Outcome.NOT_UNDERSTOOD, WebhookDelivery.Outcome.REFUSED):
        endpoint = delivery.endpoint
        place = slot(endpoint.org_id, endpoint.source_id, endpoint.pk, delivery.received_at)
        tally.count(place, TrafficCounts(not_understood=1))
