"""The lane's answers to good input: one object, many, again, changed, packed."""

import pytest

from tests.ingest_server import ACTIVITY, EVENTS, Sender, activities, activity, alerts, event, events, pack


def test_one_event_is_created_and_opens_an_alert(sender: Sender) -> None:
    sent = event(event_id="e-1")
    answer = sender.post(sent)
    assert (answer.status, answer.json) == (201, {"index": 0, "id": "e-1", "status": "created"})
    assert [stored.event_id for stored in events()] == ["e-1"]
    assert [alert.severity for alert in alerts()] == ["critical"]


def test_the_same_event_again_is_a_duplicate(sender: Sender) -> None:
    sent = event(event_id="e-1")
    sender.post(sent)
    answer = sender.post(sent)
    assert (answer.status, answer.json["status"]) == (200, "duplicate")
    assert len(events()) == 1


def test_the_same_event_with_keys_in_another_order_is_a_duplicate(sender: Sender) -> None:
    sent = event(event_id="e-1", run_id="0f7c6a51-6a0e-4d54-9a8f-1f0f5f3c9f11")
    sender.post(sent)
    again = dict(reversed(sent.items())) | {"channel": None}
    assert sender.post(again).json["status"] == "duplicate"


def test_the_same_event_said_in_another_way_is_a_duplicate(sender: Sender) -> None:
    run_id = "0f7c6a51-6a0e-4d54-9a8f-1f0f5f3c9f11"
    sent = event(event_id="1001", room_id=42, run_id=run_id, agent_version="7", error={"type": "504"})
    assert sender.post(sent).status == 201
    error = {"type": 504, "message": None}
    again = {"event_id": 1001, "room_id": " 42", "run_id": run_id.upper(), "agent_version": 7, "error": error}
    for name, value in again.items():
        assert sender.post(sent | {name: value}).json["status"] == "duplicate", name
    assert sender.post(sent | again | {"agent_name": "\u00a0Billing Bot"}).json["status"] == "duplicate"
    assert sender.post(sent | {"error": {"type": "504", "message": ""}}).json["status"] == "conflict"
    assert len(events()) == 1


def test_the_own_org_named_or_not_is_the_same_event(sender: Sender) -> None:
    sent = event(event_id="e-1")
    sender.post(sent)
    assert sender.post({**sent, "org_id": sender.source.org.external_id}).json["status"] == "duplicate"


def test_the_same_id_with_other_content_is_a_conflict_and_the_original_is_kept(sender: Sender) -> None:
    sent = event(event_id="e-1", channel="whatsapp")
    sender.post(sent)
    answer = sender.post({**sent, "channel": "webchat"})
    assert (answer.status, answer.json["status"], answer.json["error"]["code"]) == (409, "conflict", "id_conflict")
    assert [stored.channel for stored in events()] == ["whatsapp"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_array_is_answered_item_by_item(sender: Sender, wrapped: bool) -> None:
    first, bad, last = event(), event(signal="bored"), event(room_id="room-2")
    items = [first, bad, last, first]
    answer = sender.post({"items": items} if wrapped else items)
    assert answer.status == 207
    assert answer.statuses == ["created", "invalid", "created", "duplicate"]
    assert [result["index"] for result in answer.json["results"]] == [0, 1, 2, 3]
    assert answer.json["results"][1]["id"] == bad["event_id"]
    assert answer.json["results"][1]["error"]["field"] == "items[1].signal"
    counts = {name: answer.json[name] for name in ("created", "updated", "duplicate", "conflict", "invalid")}
    assert counts == {"created": 2, "updated": 0, "duplicate": 1, "conflict": 0, "invalid": 1}


def test_an_empty_array_is_nothing_to_do(sender: Sender) -> None:
    answer = sender.post([])
    assert (answer.status, answer.json["results"], answer.json["created"]) == (207, [], 0)


@pytest.mark.slow
def test_one_thousand_items_are_taken(sender: Sender) -> None:
    answer = sender.post([event(room_id=f"room-{n % 50}") for n in range(1000)])
    assert (answer.status, answer.json["created"], len(events())) == (207, 1000, 1000)


def test_gzip_is_unpacked(sender: Sender) -> None:
    assert sender.post_gzip(pack([event(), event()])).json["created"] == 2


def test_room_activity_is_created_and_repeated(sender: Sender) -> None:
    sent = activity(activity_id="a-1")
    assert sender.post(sent, ACTIVITY).status == 201
    assert sender.post(sent, ACTIVITY).json == {"index": 0, "id": "a-1", "status": "duplicate"}
    assert sender.post({**sent, "kind": "resolved"}, ACTIVITY).status == 409
    assert [(stored.activity_id, stored.kind) for stored in activities()] == [("a-1", "human_message")]


def test_a_human_message_stops_the_alarm(sender: Sender) -> None:
    sender.post(event())
    sender.post(activity(), ACTIVITY)
    assert [alert.state for alert in alerts()] == ["intervened"]


def test_every_field_of_an_event_is_stored(sender: Sender) -> None:
    sender.post(
        event(
            signal="message_cap",
            message_count=20,
            message_cap=20,
            confidence=0.25,
            threshold=1,
            agent_version="2.1",
            run_id="0F7C6A51-6A0E-4D54-9A8F-1F0F5F3C9F11",
            channel="whatsapp",
            handoff={"completed": False, "reason": "nobody free"},
            room_label="Order 77",
            room_url="https://chat.example.com/inbox/1",
            last_customer_text="Halo?",
            metadata={"attempt": 2, "tags": ["a", None, True, 1.5]},
        )
    )
    (stored,) = events()
    assert (stored.message_count, stored.message_cap, stored.confidence, stored.threshold) == (20, 20, 0.25, 1.0)
    assert (stored.agent_version, stored.run_id, stored.channel) == (
        "2.1",
        "0f7c6a51-6a0e-4d54-9a8f-1f0f5f3c9f11",
        "whatsapp",
    )
    assert (stored.handoff_completed, stored.handoff_reason) == (False, "nobody free")
    assert (stored.room.label, stored.room.last_customer_text) == ("Order 77", "Halo?")
    assert stored.metadata == {"attempt": 2, "tags": ["a", None, True, 1.5]}


def test_each_answer_carries_a_request_id(sender: Sender) -> None:
    assert sender.post(event(), X_Request_Id="from-me.1").headers["x-request-id"] == "from-me.1"
    made = sender.post(event(), X_Request_Id="not sane!").headers["x-request-id"]
    assert made != "not sane!" and len(made) == 32


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods_are_not_allowed(sender: Sender, method: str) -> None:
    answer = sender.send(EVENTS, b"", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
