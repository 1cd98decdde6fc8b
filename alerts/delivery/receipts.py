"""Receipts of notification-service: proof of reach. `opened` proves reach only, it is no follow-up."""

from collections.abc import Sequence
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
UNKNOWN_PUSH = {"code": "unknown_push", "message": "No push was sent under this key.", "field": "idempotency_key"}


def record_receipts(items: Sequence[ReceiptItem]) -> list[Result]:
    """Write receipts down, one result for each in the same order: updated, duplicate, or invalid (unknown_push).

    Opens its own transaction and locks the Push rows in the order of their ids; publishes after commit.
    """
    keys = {item.idempotency_key for item in items}
    with scopes_disabled(), transaction.atomic():
        rows = Push.objects.select_for_update().filter(idempotency_key__in=keys).order_by("id").defer("body")
        known = {row.idempotency_key: row for row in rows}
        now = clock.now()
        results: list[Result] = []
        changed: dict[UUID, Push] = {}
        for index, item in enumerate(items):
            push = known.get(item.idempotency_key)
            if push is None:
                results.append(Result(index, str(item.idempotency_key), "invalid", UNKNOWN_PUSH))
                continue
            is_new = _take(push, item, now)
            results.append(Result(index, str(item.idempotency_key), "updated" if is_new else "duplicate"))
            if is_new:
                changed[push.id] = push
        _write(list(changed.values()))
        alerts = {push.alert_id for push in changed.values() if push.alert_id is not None}
        transaction.on_commit(lambda: feed.publish(sorted(alerts)), robust=True)
    return results


def _take(push: Push, item: ReceiptItem, now: datetime) -> bool:
    """Whether the receipt says anything new: each time is set once, none lies in the future, or before the push was
    planned, whatever its sender's clock says. Opened is delivered.
    """
    at = max(min(item.at, now), push.planned_at)
    is_new = getattr(push, f"{item.state}_at") is None
    match item.state:
        case "delivered":
            push.delivered_at = push.delivered_at or at
        case "opened":
            push.opened_at = push.opened_at or at
            push.delivered_at = push.delivered_at or at
        case "failed" if is_new:
            push.failed_at, push.failed_reason = at, (item.reason or "")[:200]
    return is_new


def _write(changed: list[Push]) -> None:
    if not changed:
        return
    values: dict[str, Any] = {
        "ids": [push.id for push in changed],
        "delivered": [push.delivered_at for push in changed],
        "opened": [push.opened_at for push in changed],
        "failed": [push.failed_at for push in changed],
        "reasons": [push.failed_reason for push in changed],
    }
    with connection.cursor() as cursor:
        cursor.execute(UPDATE, values)
