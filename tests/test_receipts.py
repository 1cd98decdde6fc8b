"""Receipts: proof of reach, written once."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from alerts import feed
from alerts.delivery.receipts import record_receipts
from alerts.items import ReceiptItem
from alerts.models import Alert, Push
from tests.factories import PushFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]
AT = datetime.now(UTC) - timedelta(minutes=1)
AGES = AT - timedelta(hours=1)  # when they were planned


def receipt(push: Push, state: Any, at: datetime = AT, reason: str | None = None) -> ReceiptItem:
    return ReceiptItem(idempotency_key=push.idempotency_key, state=state, at=at, reason=reason)


def statuses(*items: ReceiptItem) -> list[str]:
    return [result.status for result in record_receipts(items)]


def fresh(push: Push) -> Push:
    return Push.objects.get(id=push.id)


def test_delivered() -> None:
    push = PushFactory(state="sent", planned_at=AGES)
    assert statuses(receipt(push, "delivered")) == ["updated"]
    assert (fresh(push).delivered_at, fresh(push).opened_at) == (AT, None)


def test_opened_implies_delivered() -> None:
    push = PushFactory(state="sent", planned_at=AGES)
    assert statuses(receipt(push, "opened")) == ["updated"]
    assert (fresh(push).delivered_at, fresh(push).opened_at) == (AT, AT)


def test_a_delivered_that_comes_after_its_opened_changes_nothing() -> None:
    push = PushFactory(state="sent", planned_at=AGES)
    statuses(receipt(push, "opened"))
    assert statuses(receipt(push, "delivered", AT - timedelta(minutes=5))) == ["duplicate"]
    assert fresh(push).delivered_at == AT


def test_the_first_time_stays() -> None:
    push = PushFactory(state="sent", planned_at=AGES)
    statuses(receipt(push, "delivered"))
    assert statuses(receipt(push, "delivered", AT + timedelta(seconds=9))) == ["duplicate"]
    assert fresh(push).delivered_at == AT


def test_failed_keeps_its_reason() -> None:
    push = PushFactory(state="sent", planned_at=AGES)
    assert statuses(receipt(push, "failed", reason="x" * 900)) == ["updated"]
    assert fresh(push).failed_at == AT
    assert fresh(push).failed_reason == "x" * 200


def test_an_unknown_key_is_invalid_and_its_neighbours_are_kept() -> None:
    push = PushFactory(state="sent", planned_at=AGES)
    stranger = ReceiptItem(idempotency_key=uuid4(), state="delivered", at=AT)
    results = record_receipts([stranger, receipt(push, "delivered")])
    assert [result.status for result in results] == ["invalid", "updated"]
    assert results[0].error is not None
    assert results[0].error["code"] == "unknown_push"
    assert fresh(push).delivered_at == AT


def test_both_receipts_of_one_push_in_one_batch() -> None:
    push = PushFactory(state="sent", planned_at=AGES)
    items = [receipt(push, "delivered"), receipt(push, "opened", AT + timedelta(seconds=5)), receipt(push, "opened")]
    assert statuses(*items) == ["updated", "updated", "duplicate"]
    assert fresh(push).opened_at == AT + timedelta(seconds=5)


def test_no_time_lies_in_the_future() -> None:
    push = PushFactory(state="sent", planned_at=AGES)
    statuses(receipt(push, "delivered", datetime.now(UTC) + timedelta(hours=1)))
    delivered_at = fresh(push).delivered_at
    assert delivered_at is not None
    assert delivered_at <= datetime.now(UTC)


def test_opened_is_no_follow_up() -> None:
    push = PushFactory(state="sent", planned_at=AGES)
    statuses(receipt(push, "opened"))
    assert Alert.objects.get().state == "open"
    assert Alert.objects.get().human_acted_at is None


def test_it_publishes_the_alerts_after_the_commit(run_commit_hooks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[Any] = []
    monkeypatch.setattr(feed, "publish", published.extend)
    pushes = [PushFactory(state="sent", planned_at=AGES), PushFactory(state="sent", planned_at=AGES, delivered_at=AT)]
    with run_commit_hooks():
        statuses(*[receipt(push, "delivered") for push in pushes])
    assert published == [pushes[0].alert_id]


def test_a_test_push_has_no_alert_to_publish(run_commit_hooks: Any) -> None:
    push = PushFactory(alert=None, org=PushFactory().org, state="sent", planned_at=AGES)
    with run_commit_hooks():
        assert statuses(receipt(push, "delivered")) == ["updated"]


def test_a_thousand_receipts_take_a_handful_of_queries(django_assert_max_num_queries: Any) -> None:
    pushes = [PushFactory(state="sent", planned_at=AGES) for _ in range(20)]
    with django_assert_max_num_queries(6):
        assert set(statuses(*[receipt(push, "delivered") for push in pushes])) == {"updated"}


def test_nothing_arrived_before_it_was_planned_whatever_the_senders_clock_says() -> None:
    push = PushFactory(state="sent", planned_at=AT)
    statuses(receipt(push, "opened", AT - timedelta(days=20)))
    assert (fresh(push).delivered_at, fresh(push).opened_at) == (AT, AT)
    other = PushFactory(state="sent", planned_at=AT)
    statuses(receipt(other, "failed", AT - timedelta(days=20)))
    assert fresh(other).failed_at == AT
