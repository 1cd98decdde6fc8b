"""Receipts of notification-service: proof of reach. `opened` proves reach only, it is no follow-up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django_scopes import scopes_disabled

from alerts import feed
from alerts.items import ReceiptItem, Result
from alerts.models import Push
from orgs import clock

UPDATE = """
UPDATE alerts_push push
SET delivered_at = new.delivered_at, opened_at = new.opened_at, failed_at = new.failed_at,
    failed_reason = new.failed_reason
FROM unnest(%(ids)s::uuid[], %(delivered)s::timestamptz[], %(opened)s::timestamptz[], %(failed)s::timestamptz[],
            %(reasons)s::text[]) AS new (id, delivered_at, opened_at, failed_at, failed_reason)
WHERE push.id = new.id
"""


@dataclass(slots=True)
class ReceiptReach:
    """How far a push got: each time is set once."""

    id: UUID
    alert_id: UUID | None
    delivered_at: datetime | None
    opened_at: datetime | None
    failed_at: datetime | None
    failed_reason: str
    changed: bool = False

    def take(self, item: ReceiptItem, now: datetime) -> bool:
        """Whether the receipt said anything new. Opened implies delivered; no time lies in the future."""
        at = min(item.at, now)
        match item.state:
            case "delivered":
                new, self.delivered_at = self.delivered_at is None, self.delivered_at or at
            case "opened":
                new, self.opened_at = self.opened_at is None, self.opened_at or at
                self.delivered_at = self.delivered_at or at
            case "failed":
                new, self.failed_at = self.failed_at is None, self.failed_at or at
                if new:
                    self.failed_reason = (item.reason or "")[:200]
        self.changed |= new
        return new


def record_receipts(items: Sequence[ReceiptItem]) -> list[Result]:
    """Write receipts down, one result for each in the same order: updated, duplicate, or invalid (unknown_push).

    Opens its own transaction and locks the Push rows in the order of their ids; publishes after commit.
    """
    with scopes_disabled(), transaction.atomic():
        known = _locked({item.idempotency_key for item in items})
        now = clock.now()
        results = [_result(index, item, known, now) for index, item in enumerate(items)]
        changed = [reach for reach in known.values() if reach.changed]
        _write(changed)
        alerts = {reach.alert_id for reach in changed if reach.alert_id is not None}
        transaction.on_commit(lambda: feed.publish(sorted(alerts)), robust=True)
    return results


def _locked(keys: set[UUID]) -> dict[UUID, ReceiptReach]:
    rows = Push.objects.select_for_update().filter(idempotency_key__in=keys).order_by("id").defer("body")
    return {
        row.idempotency_key: ReceiptReach(
            row.id, row.alert_id, row.delivered_at, row.opened_at, row.failed_at, row.failed_reason
        )
        for row in rows
    }


def _result(index: int, item: ReceiptItem, known: dict[UUID, ReceiptReach], now: datetime) -> Result:
    reach = known.get(item.idempotency_key)
    if reach is None:
        error = {
            "code": "unknown_push",
            "message": "No push was sent under this key.",
            "field": "idempotency_key",
        }
        return Result(index, str(item.idempotency_key), "invalid", error)
    return Result(index, str(item.idempotency_key), "updated" if reach.take(item, now) else "duplicate")


def _write(changed: list[ReceiptReach]) -> None:
    if not changed:
        return
    values: dict[str, Any] = {
        "ids": [reach.id for reach in changed],
        "delivered": [reach.delivered_at for reach in changed],
        "opened": [reach.opened_at for reach in changed],
        "failed": [reach.failed_at for reach in changed],
        "reasons": [reach.failed_reason for reach in changed],
    }
    with connection.cursor() as cursor:
        cursor.execute(UPDATE, values)
