"""One item of the lane: what is refused, by code and field, and that its neighbours are stored."""

from datetime import UTC, datetime
from typing import Any

import pytest

from console.ingest import check
from tests.conftest import Clock
from tests.ingest_server import ACTIVITY, Sender, activities, activity, ago, event, events

CAP = {"signal": "message_cap", "message_count": 20, "message_cap": 20}


def refused(sent: Any, kind: check.ItemKind = check.EVENTS) -> tuple[str, str]:
    """Code and field with which the lane refuses this item of an org source."""
    with pytest.raises(check.InvalidItem) as caught:
        check.check(sent, 0, kind, check.ItemSender({"org-1": 1}, "org-1"), datetime.now(UTC))
    assert caught.value.message.endswith(".")
    return caught.value.code, caught.value.field


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"mood": "bad"}, "unknown_field", "mood"),
        ({"error": {"type": "t", "stack": "x"}}, "unknown_field", "error.stack"),
        ({"event_id": None}, "missing_field", "event_id"),
        ({"agent_name": None}, "missing_field", "agent_name"),
        ({"room_id": "  "}, "missing_field", "room_id"),
        ({"signal": None}, "missing_field", "signal"),
        ({"occurred_at": None}, "missing_field", "occurred_at"),
        ({"error": None}, "missing_field", "error"),
        ({"error": {"message": "no type"}}, "missing_field", "error.type"),
        ({"error": {"type": " "}}, "missing_field", "error.type"),
        ({"signal": "unexpected_handoff"}, "missing_field", "handoff"),
        ({"signal": "unexpected_handoff", "handoff": {"reason": "x"}}, "missing_field", "handoff.completed"),
        ({**CAP, "message_count": None}, "missing_field", "message_count"),
        ({**CAP, "message_cap": None}, "missing_field", "message_cap"),
        ({"signal": "low_confidence"}, "missing_field", "confidence"),
        ({"signal": "kpi_breach"}, "invalid_item", "signal"),
        ({"event_id": 7.5}, "invalid_item", "event_id"),
        ({"event_id": True}, "invalid_item", "event_id"),
        ({"error": "boom"}, "invalid_item", "error"),
        ({"error": {"type": 5.5}}, "invalid_item", "error.type"),
        ({"metadata": [1]}, "invalid_item", "metadata"),
        ({"message_count": True}, "invalid_item", "message_count"),
        ({"message_count": -1}, "invalid_item", "message_count"),
        ({"message_cap": 2**31}, "invalid_item", "message_cap"),
        ({"message_count": 10**30}, "bad_number", "message_count"),
        ({"confidence": 1.01}, "invalid_item", "confidence"),
        ({"threshold": -0.1}, "invalid_item", "threshold"),
        ({"event_id": "e" * 129}, "too_long", "event_id"),
        ({"room_id": "r" * 201}, "too_long", "room_id"),
        ({"agent_name": "a" * 201}, "too_long", "agent_name"),
        ({"room_id": 10**200}, "too_long", "room_id"),
        ({"room_id": "room\u200b-1"}, "bad_text", "room_id"),
        ({"agent_name": "Billing\x07Bot"}, "bad_text", "agent_name"),
        ({"event_id": "e\x00"}, "bad_text", "event_id"),
        ({"run_id": "run-7"}, "invalid_item", "run_id"),
        ({"run_id": 7}, "invalid_item", "run_id"),
        ({"run_id": ""}, "invalid_item", "run_id"),
        ({"metadata": {"\ud800": float("inf")}}, "bad_number", "metadata.\ufffd"),
        ({"occurred_at": "yesterday"}, "invalid_item", "occurred_at"),
        ({"occurred_at": 1767225600}, "invalid_item", "occurred_at"),
        ({"occurred_at": "2026-05-04T10:00:00"}, "invalid_item", "occurred_at"),
        ({"occurred_at": "1970-01-01T00:00:00Z"}, "too_old", "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "too_old", "occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-12:00"}, "in_the_future", "occurred_at"),
        ({"occurred_at": ago(hours=-25)}, "in_the_future", "occurred_at"),
        ({"customer_waiting_since": "2026-05-04T10:00:00"}, "invalid_item", "customer_waiting_since"),
        ({"customer_waiting_since": "1970-01-01T00:00:00Z"}, "too_old", "customer_waiting_since"),
    ],
)
def test_a_bad_event_is_refused_by_field(fields: dict[str, Any], code: str, field: str) -> None:
    assert refused(event(**fields)) == (code, field)


def test_a_bad_single_event_is_answered_422_with_its_field_and_not_stored(sender: Sender) -> None:
    answer = sender.post(event(event_id="e-1", mood="bad"))
    assert (answer.status, answer.json["id"], answer.json["status"]) == (422, "e-1", "invalid")
    assert (answer.error["code"], answer.error["field"]) == ("unknown_field", "mood")
    assert events() == []


def test_the_neighbours_of_a_bad_item_are_stored_and_its_field_has_its_place(sender: Sender) -> None:
    answer = sender.post([event(), event(error={"type": "t", "stack": "x"}), "no object", event()])
    assert answer.statuses == ["created", "invalid", "invalid", "created"]
    assert answer.json["results"][1]["error"]["field"] == "items[1].error.stack"
    assert answer.json["results"][2]["error"]["field"] == "items[2]"
    assert len(events()) == 2


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"kind": "waved"}, "invalid_item", "kind"),
        ({"kind": None}, "missing_field", "kind"),
        ({"activity_id": None}, "missing_field", "activity_id"),
        ({"room_id": ""}, "missing_field", "room_id"),
        ({"at": None}, "missing_field", "at"),
        ({"at": ago(days=31)}, "too_old", "at"),
        ({"actor_sso_id": "s" * 201}, "too_long", "actor_sso_id"),
        ({"text": "hello"}, "unknown_field", "text"),
    ],
)
def test_a_bad_activity_is_refused_by_field(fields: dict[str, Any], code: str, field: str) -> None:
    assert refused(activity(**fields), check.ACTIVITY) == (code, field)


def test_free_fields_go_under_metadata_where_there_is_one(sender: Sender) -> None:
    for fields in ({"mood": "bad"}, {"error": {"type": "t", "stack": "x"}}):
        assert "goes under metadata" in sender.post(event(**fields)).error["message"]
    assert sender.post(activity(metadata={}), ACTIVITY).error["message"] == "There is no field metadata."
    assert sender.post(event(metadata={"mood": "bad", "tokens_used": 153, "token": None})).status == 201


def test_a_little_ahead_is_kept_and_counts_as_of_its_receipt(sender: Sender) -> None:
    sender.post(event(occurred_at=ago(minutes=-4)))
    (stored,) = events()
    assert not stored.clock_flagged and stored.as_sent > datetime.now(UTC)
    assert stored.occurred_at == stored.received_at


def test_an_activity_a_little_ahead_counts_as_of_its_receipt(sender: Sender) -> None:
    sender.post(activity(at=ago(minutes=-4)), ACTIVITY)
    (stored,) = activities()
    assert stored.as_sent > datetime.now(UTC)
    assert stored.at == stored.received_at


def test_further_ahead_is_clamped_to_receipt_and_flagged(sender: Sender) -> None:
    assert sender.post(event(occurred_at=ago(minutes=-6))).status == 201
    (stored,) = events()
    assert stored.clock_flagged and stored.occurred_at <= stored.received_at


def test_an_activity_ahead_is_clamped_and_flagged_too(sender: Sender) -> None:
    sender.post(activity(at=ago(hours=-23)), ACTIVITY)
    assert [(stored.clock_flagged, stored.at <= stored.received_at) for stored in activities()] == [(True, True)]


def test_nobody_waits_since_later_than_now(sender: Sender) -> None:
    sender.post(event(customer_waiting_since=ago(minutes=-3)))
    (stored,) = events()
    assert stored.room.customer_waiting_since <= stored.received_at
    assert not stored.clock_flagged


def test_the_database_clock_decides_what_is_old(sender: Sender) -> None:
    clock = Clock()
    clock.advance(days=31)
    try:
        assert sender.post(event()).error["code"] == "too_old"
    finally:
        clock.restore()


def test_the_hash_is_of_what_was_sent_not_of_what_was_clamped(sender: Sender) -> None:
    sent = event(occurred_at=ago(hours=-2), last_customer_text="hubungi budi@example.com")
    assert sender.post(sent).status == 201
    assert sender.post(sent).json["status"] == "duplicate"


def test_personal_data_is_masked_before_it_is_stored(sender: Sender) -> None:
    personal = "budi@example.com 081234567890"
    sender.post(
        event(
            last_customer_text=personal,
            error={"type": "t", "message": personal},
            handoff={"completed": True, "reason": personal},
            metadata={"note": [personal], "count": 3},
        )
    )
    (stored,) = events()
    masked = "[email] [phone]"
    assert (stored.error_message, stored.handoff_reason) == (masked, masked)
    assert stored.room.last_customer_text == masked
    assert stored.metadata == {"note": [masked], "count": 3}


def test_a_platform_source_names_the_org_of_each_item(platform: Sender, sender: Sender) -> None:
    org = sender.source.org.external_id
    assert platform.post(event(org_id=org)).status == 201
    assert platform.post(event()).error["code"] == "missing_field"
    assert [stored.org.external_id for stored in events()] == [org]


def test_ids_are_unique_per_source(platform: Sender, sender: Sender) -> None:
    sent = event(event_id="same")
    assert sender.post(sent).status == 201
    assert platform.post({**sent, "org_id": sender.source.org.external_id}).status == 201
