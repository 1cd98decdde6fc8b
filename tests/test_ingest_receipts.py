"""Receipts of notification-service: signed, told once, and nothing for a stranger."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django_scopes import scopes_disabled
from standardwebhooks import Webhook

from alerts.models import Push
from tests.factories import PushFactory
from tests.ingest_server import RECEIPTS, Answer, Sender, ago
from tests.standins import RECEIPT_SECRET


@pytest.fixture(autouse=True)
def _secret(settings: Any) -> None:
    settings.NOTIFICATION_SERVICE_RECEIPT_SECRET = RECEIPT_SECRET


def signed(body: str, *, at: datetime | None = None, secret: str = RECEIPT_SECRET) -> dict[str, str | None]:
    """The three Standard Webhooks headers."""
    at = at or datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body),
        "Authorization": None,
    }


def post(sender: Sender, content: Any, **options: Any) -> Answer:
    body = json.dumps(content)
    headers = signed(body, **options)
    return sender.send(RECEIPTS, body.encode(), headers=headers)


def receipt(push: Push, **fields: Any) -> dict[str, Any]:
    return {"idempotency_key": str(push.idempotency_key), "state": "delivered", "at": ago(seconds=1), **fields}


def again(push: Push) -> Push:
    with scopes_disabled():
        return Push.objects.get(pk=push.pk)


def test_a_receipt_is_recorded(sender: Sender) -> None:
    push = PushFactory(state="sent")
    answer = post(sender, receipt(push))
    assert (answer.status, answer.json["status"]) == (200, "updated")
    assert again(push).delivered_at is not None


def test_the_same_receipt_again_is_a_duplicate(sender: Sender) -> None:
    push = PushFactory(state="sent")
    sent = receipt(push)
    post(sender, sent)
    assert post(sender, sent).json["status"] == "duplicate"


def test_receipts_in_a_batch_are_answered_one_by_one(sender: Sender) -> None:
    push = PushFactory(state="sent")
    unknown = receipt(push) | {"idempotency_key": str(uuid4())}
    answer = post(sender, [receipt(push, state="read"), receipt(push, state="opened"), unknown])
    assert answer.statuses == ["invalid", "updated", "invalid"]
    assert [r["error"]["field"] for r in answer.json["results"] if "error" in r] == [
        "items[0].state",
        "items[2].idempotency_key",
    ]
    assert again(push).opened_at is not None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"idempotency_key": "no uuid"}, "idempotency_key"),
        ({"at": "2026-05-04T10:00:00"}, "at"),
        ({"state": None}, "state"),
        ({"phone": "x"}, "phone"),
    ],
)
def test_a_bad_receipt_is_refused_by_field(sender: Sender, fields: dict[str, Any], field: str) -> None:
    answer = post(sender, receipt(PushFactory(state="sent"), **fields))
    assert (answer.status, answer.error["field"]) == (422, field)


def refused(answer: Answer) -> bool:
    return answer.status == 401 and answer.error["code"] == "unauthenticated"


def test_without_a_true_signature_nothing_is_recorded(sender: Sender) -> None:
    push = PushFactory(state="sent")
    body = json.dumps(receipt(push)).encode()
    true = signed(body.decode())
    stranger = "whsec_" + "QUJD" * 11
    for changed in (
        {"webhook-signature": None},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,not base64!"},
        {"webhook-id": "msg_2"},
        {"webhook-id": None},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": None},
        {"webhook-signature": signed(body.decode(), secret=stranger)["webhook-signature"]},
    ):
        assert refused(sender.send(RECEIPTS, body, headers=true | changed)), changed
    assert refused(sender.send(RECEIPTS, body + b" ", headers=true))
    assert refused(sender.send(RECEIPTS, b"\xff", headers=true))
    assert again(push).delivered_at is None


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_or_future_signature_is_refused(sender: Sender, minutes: int) -> None:
    push = PushFactory(state="sent")
    assert refused(post(sender, receipt(push), at=datetime.now(UTC) - timedelta(minutes=minutes)))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_x"])
def test_without_a_usable_secret_every_receipt_is_refused(sender: Sender, settings: Any, secret: str) -> None:
    settings.NOTIFICATION_SERVICE_RECEIPT_SECRET = secret
    assert refused(post(sender, receipt(PushFactory(state="sent"))))


def test_the_signature_is_checked_before_the_body_is_read_as_json(sender: Sender) -> None:
    headers = signed("{}")
    assert refused(sender.send(RECEIPTS, b"{", headers=headers))


def test_a_signed_body_that_is_no_json_is_400(sender: Sender) -> None:
    headers = signed("{")
    assert sender.send(RECEIPTS, b"{", headers=headers).status == 400


def test_packed_receipts_are_415(sender: Sender) -> None:
    assert sender.send(RECEIPTS, b"{}", headers={"Content-Encoding": "gzip"}).status == 415


def test_other_methods_are_not_allowed(sender: Sender) -> None:
    assert sender.send(RECEIPTS, b"", method="GET").status == 405
