"""POST /api/webhooks/{kind}/{endpoint}: what a chat product posts. 200 once it is stored, whatever it says.

Chat products do not try again, so the lane refuses nothing but a wrong address: it keeps what it cannot read as not
understood, with the reason, and /sources shows it.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
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
from console.ingest.tally import tally
from console.ingest.work import Answer, database, note_heard
from orgs import clock, webhooks
from orgs.models import Source, WebhookEndpoint
from orgs.strict_json import BadJson, parse_json

PREFIX = "/api/webhooks/"

log = structlog.get_logger(__name__)


def named(path: str) -> str:
    """What a path is called in logs and metrics: without the endpoint and its secret."""
    kind = path.removeprefix(PREFIX).partition("/")[0]
    return PREFIX + (kind if kind in WebhookEndpoint.Kind.values else "unknown")


def unknown() -> Refusal:
    """401, the same bytes for no such endpoint, a wrong token and one that was rotated away."""
    return Refusal(401, "unauthenticated", "There is no such webhook address, or it was replaced by a newer one.")


def find_endpoint(path: str) -> WebhookEndpoint:
    """The live endpoint behind a path, from the database. Raises Refusal (401)."""
    kind, _, segment = path.removeprefix(PREFIX).partition("/")
    try:
        return webhooks.find(kind, segment, clock.now())
    except webhooks.UnknownEndpoint:
        raise unknown() from None


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
        heard: dict[Source, set[int]] = defaultdict(set)
        for delivery in deliveries:
            if delivery.pk not in gone:
                heard[delivery.endpoint.source].add(delivery.org_id)
        for source, orgs in heard.items():
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
