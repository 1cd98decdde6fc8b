"""Webhook deliveries: stored before the answer, worked after it, in batches, each endpoint in its turn."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import QuerySet

from alerts import actions, feed
from alerts.faults import PASSING
from alerts.items import Accepted, ActivityItem, Result, RoomNames
from alerts.masking import mask, mask_cut
from alerts.models import WebhookDelivery
from alerts.sources import qontak, traffic
from alerts.sources.qontak import Reading
from alerts.sources.sample import sample_of
from alerts.sources.traffic import TrafficCounts
from alerts.tables import fetch
from orgs import clock
from orgs.identifiers import is_identifier, spelled
from orgs.models import PersonalData, WebhookEndpoint
from orgs.texts import NAME_LENGTH

WORK_LASTS = 18.0  # seconds; below the task limit of 30
BATCH = 200  # deliveries of one endpoint worked in one transaction
LOCK = 7_301_002  # first half of the advisory lock's key; the second is the endpoint: one process works it at a time
READERS: dict[str, Callable[[Any, str, datetime], Reading]] = {WebhookEndpoint.Kind.QONTAK: qontak.read}
WAITING = """
SELECT DISTINCT endpoint_id FROM alerts_webhookdelivery WHERE outcome = '' ORDER BY endpoint_id
"""  # index webhookdelivery_due; asked every second
FACT_IDS = ("kind", "activity_id", "at")
IDENTIFIERS = ("room_id", "actor_external_id")
INTERNAL_ERROR = "internal_error"
Outcome = WebhookDelivery.Outcome

log = structlog.get_logger(__name__)


# --- stored first ----------------------------------------------------------------------------------------------------


def read_delivery(endpoint: WebhookEndpoint, payload: Any, now: datetime) -> WebhookDelivery:
    """A delivery as it is stored: the facts of its payload, and nothing personal."""
    reading = READERS[endpoint.kind](payload, endpoint.organization_id or endpoint.org.external_id, now)
    return _delivery(endpoint, reading, sample_of(payload), now)


def unread(endpoint: WebhookEndpoint, reason: str, now: datetime) -> WebhookDelivery:
    """That a delivery could not be read at all (`reason` is a code), or came from where it may not (`address`)."""
    return _delivery(endpoint, Reading(reason=reason, refused=reason == "address"), {}, now)


def store(deliveries: Sequence[WebhookDelivery]) -> None:
    """Store deliveries, to be worked after the answer: one statement. Raises IntegrityError if an endpoint is gone."""
    WebhookDelivery.objects.bulk_create(deliveries)
    if any(delivery.facts for delivery in deliveries):
        transaction.on_commit(lambda: feed.kick(feed.DELIVERIES), robust=True)


def _delivery(endpoint: WebhookEndpoint, reading: Reading, sample: Any, now: datetime) -> WebhookDelivery:
    if not all(is_identifier(fact.room_id) for fact in reading.facts):
        reading = Reading(reason="bad_text", field="room_id", status=reading.status)
    outcome = ""
    if reading.refused:
        outcome = Outcome.REFUSED
    elif not reading.facts:
        outcome = Outcome.NOT_UNDERSTOOD if reading.reason else Outcome.UNDERSTOOD
    facts = [_kept_fact(fact.as_json()) for fact in reading.facts]
    if endpoint.org.personal_data == PersonalData.DROP:
        facts = [{name: value for name, value in fact.items() if name not in ("label", "text")} for fact in facts]
    return WebhookDelivery(
        org=endpoint.org,
        endpoint=endpoint,
        received_at=now,
        outcome=outcome,
        reason=reading.reason,
        field=mask_cut(reading.field, NAME_LENGTH),
        understood=[{"status": mask(reading.status)}] if reading.status else [],
        facts=facts,
        sample=sample,
    )


def _kept_fact(fact: dict[str, Any]) -> dict[str, Any]:
    """A fact as it may be stored: identifiers in their one spelling; a string that is no id is a text, and masked."""
    kept = {}
    for name, value in fact.items():
        judge = spelled if name in IDENTIFIERS else mask
        kept[name] = judge(value) if isinstance(value, str) and name not in FACT_IDS else value
    return kept


# --- then worked -----------------------------------------------------------------------------------------------------


def work(until: float | None = None) -> int:
    """Work all stored deliveries, each endpoint in its turn; returns how many. Run it with the tenant scope disabled.

    `until` is on `time.monotonic()`, default 18 s from now: an endpoint that never stops may not keep the worker.
    """
    until = time.monotonic() + WORK_LASTS if until is None else until
    worked = 0
    while time.monotonic() < until and (endpoints := fetch(WAITING)):
        done = sum(_work(endpoint) for (endpoint,) in endpoints)
        worked += done
        if not done:  # all of them are in other hands
            break
    return worked


def _work(endpoint_id: int) -> int:
    """One batch; if it fails each delivery is tried alone, so that a bad one holds up nobody."""
    try:
        with transaction.atomic():  # activity and outcome together
            deliveries = _oldest(endpoint_id, BATCH)
            _act(deliveries)
            return len(deliveries)
    except PASSING:
        raise
    except Exception:
        log.exception("deliveries_one_by_one", endpoint=endpoint_id)
    return sum(_work_alone(endpoint_id) for _ in range(BATCH))


def _work_alone(endpoint_id: int) -> int:
    """The oldest by itself. One that we fail on is marked under the same lock, and keeps its facts: see `again`."""
    with transaction.atomic():
        deliveries = _oldest(endpoint_id, 1)
        try:
            with transaction.atomic():
                _act(deliveries)
        except PASSING:
            raise
        except Exception:
            log.exception("delivery_failed", endpoint=endpoint_id)
            WebhookDelivery.objects.filter(pk=deliveries[0].pk).update(
                outcome=Outcome.NOT_UNDERSTOOD, reason=INTERNAL_ERROR
            )
        return len(deliveries)


def _oldest(endpoint_id: int, limit: int) -> list[WebhookDelivery]:
    """The deliveries that wait, with the endpoint locked until the transaction ends; none if another process has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK, endpoint_id % 2**31])
        if not cursor.fetchone()[0]:
            return []
    rows = WebhookDelivery.objects.filter(endpoint=endpoint_id, outcome="").select_related("endpoint__source")
    return list(rows.order_by("id")[:limit])


def _act(deliveries: Sequence[WebhookDelivery]) -> None:
    if not deliveries:
        return
    now = clock.now()
    batch = Batch(deliveries, now)
    endpoint = deliveries[0].endpoint
    counts = batch.settle(actions.record_activity(endpoint.source, batch.accepted))
    WebhookDelivery.objects.bulk_update(deliveries, ["outcome", "reason", "understood", "facts"])
    traffic.add({traffic.slot(endpoint.org_id, endpoint.source_id, endpoint.pk, now): counts})


def failed_on(endpoint: WebhookEndpoint) -> QuerySet[WebhookDelivery]:
    """The deliveries that we failed on; their facts are kept."""
    return WebhookDelivery.objects.filter(endpoint=endpoint, outcome=Outcome.NOT_UNDERSTOOD, reason=INTERNAL_ERROR)


def work_again(endpoint: WebhookEndpoint) -> int:
    """Put the deliveries that we failed on back in line; returns how many."""
    with transaction.atomic():
        count = failed_on(endpoint).update(outcome="", reason="")
        if count:
            transaction.on_commit(lambda: feed.kick(feed.DELIVERIES), robust=True)
    return count


@dataclass
class Batch:
    """The facts of some deliveries as items for `record_activity`, and what became of them."""

    deliveries: Sequence[WebhookDelivery]
    now: datetime
    accepted: list[Accepted[ActivityItem]] = field(default_factory=list)
    _of: list[WebhookDelivery] = field(default_factory=list)  # the delivery of each accepted item

    def __post_init__(self) -> None:
        for delivery in self.deliveries:
            for fact in delivery.facts:
                one = _accepted(len(self.accepted), delivery.org_id, fact)
                one.received_at = delivery.received_at
                self.accepted.append(one)
                self._of.append(delivery)

    def settle(self, results: Sequence[Result]) -> TrafficCounts:
        """Write into each delivery what was understood from it; the figures of the minute."""
        counts = TrafficCounts()
        by_delivery: dict[Any, list[tuple[Accepted[ActivityItem], Result]]] = defaultdict(list)
        for delivery, one, result in zip(self._of, self.accepted, results, strict=True):
            by_delivery[delivery.pk].append((one, result))
        for delivery in self.deliveries:
            pairs = by_delivery[delivery.pk]
            new = [one for one, result in pairs if result.status in ("created", "updated")]
            if delivery.reason:  # its message said nothing, but its room did
                delivery.outcome = Outcome.NOT_UNDERSTOOD
                counts.not_understood += 1
            elif not new and any(result.status == "conflict" for _, result in pairs):
                delivery.outcome, delivery.reason = Outcome.NOT_UNDERSTOOD, "id_conflict"
                counts.conflict += 1
            else:
                delivery.outcome = Outcome.UNDERSTOOD if new else Outcome.REPEATED
                counts.duplicate += not new
            delivery.understood = [*delivery.understood, *(_understood(one, result) for one, result in pairs)]
            delivery.facts = []
            for one in new[:1]:
                counts.stored(one.item.at, delivery.received_at)
        return counts


def _accepted(index: int, org_id: int, fact: dict[str, Any]) -> Accepted[ActivityItem]:
    item = ActivityItem(
        activity_id=fact["activity_id"],
        room_id=fact["room_id"],
        kind=fact["kind"],
        at=datetime.fromisoformat(fact["at"]),
        actor_external_id=fact.get("actor_external_id"),
    )
    # With another status the same message may name another time: it is still the same message.
    same = sha256(json.dumps([item.activity_id, item.room_id, item.kind]).encode()).digest()
    names = RoomNames(fact.get("label", ""), fact.get("channel", ""), "", fact.get("text", ""))
    flagged, undelivered = fact.get("clock_flagged", False), fact.get("undelivered", False)
    asks = fact.get("asks", False)
    return Accepted(index, org_id, item, same, flagged, names, undelivered=undelivered, asks=asks)


def _understood(one: Accepted[ActivityItem], result: Result) -> dict[str, Any]:
    item = one.item
    return {
        "kind": item.kind,
        "room_id": item.room_id,
        "at": item.at.isoformat(),
        "actor": item.actor_external_id or "",
        "status": result.status,
        **({"clock_flagged": True} if one.clock_flagged else {}),
        **({"undelivered": True} if one.undelivered else {}),
    }
