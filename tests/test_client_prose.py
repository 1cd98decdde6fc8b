"""An alarm is worth more than its prose: what is odd in a text loses no report of the Python client."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import pytest

from agent_live_monitoring import Client
from tests.ingest_server import Sender, events
from tests.lane_double import LaneDouble, failure

MakeClient = Callable[..., Client]


@pytest.fixture
def sent(double: LaneDouble, make_client: MakeClient) -> Callable[..., dict[str, Any]]:
    """The item that goes out for these fields."""

    def send(**fields: Any) -> dict[str, Any]:
        client = make_client(double.url)
        client.report_failure(**failure(**fields))
        assert client.flush(20) == (1, 0, 0, 0)
        return double.items()[-1]

    return send


TEXTS = [
    ({"error": {"type": "T", "message": "x" * 2001}}, "error.message", "x" * 1999 + "…"),
    ({"error": {"type": "T" * 201}}, "error.type", "T" * 199 + "…"),
    ({"error": {"type": "T", "message": "a\x00b"}}, "error.message", "a\ufffdb"),
    ({"error": {"type": "half \ud83d"}}, "error.type", "half \ufffd"),
    ({"error": {"type": "T", "message": "whole \ud83d\ude00"}}, "error.message", "whole 😀"),
    ({"error": {"type": "T", "message": ValueError("an exception")}}, "error.message", "an exception"),
    ({"error": {"type": "T", "message": b"caf\xe9"}}, "error.message", "caf\ufffd"),
    ({"error": {"type": 500}}, "error.type", "500"),
    ({"last_customer_text": "ü" * 5_000}, "last_customer_text", "ü" * 1999 + "…"),
    ({"room_label": "l" * 300}, "room_label", "l" * 199 + "…"),
    ({"handoff": {"completed": False, "reason": "r" * 9_999}}, "handoff.reason", "r" * 1999 + "…"),
]


@pytest.mark.parametrize(("fields", "name", "text"), TEXTS, ids=[f"{n} {name}" for n, (_, name, _) in enumerate(TEXTS)])
def test_a_text_is_cut_and_cleaned_and_marked(
    sent: Callable[..., dict[str, Any]], fields: dict[str, Any], name: str, text: str
) -> None:
    item = sent(**fields, metadata={"tool": "search"})
    outer, _, inner = name.partition(".")
    assert (item[outer][inner] if inner else item[outer]) == text
    said = isinstance(fields[outer][inner] if inner else fields[outer], str)
    assert item["metadata"] == {"tool": "search", **({"truncated": [name]} if said else {})}


def test_what_is_fit_is_sent_as_it_is_and_not_marked(sent: Callable[..., dict[str, Any]]) -> None:
    fields = {
        "error": {"type": "T" * 200, "message": "x" * 2000},
        "room_label": "Ibu Sari 😀",
        "metadata": {"a": ["b", 1, None, {"c": 0.5}]},
    }
    item = sent(**fields)
    assert {name: item[name] for name in fields} == fields


def test_metadata_is_cleaned_within_and_left_out_where_it_is_too_much(sent: Callable[..., dict[str, Any]]) -> None:
    odd = sent(metadata={"ke\x00y": ["half \udc00", {"in": "a\x00"}]})["metadata"]
    assert odd == {"ke\ufffdy": ["half \ufffd", {"in": "a\ufffd"}], "truncated": ["metadata"]}
    assert sent(metadata={"trace": "x" * 8_200})["metadata"] == {"truncated": ["metadata"]}


ODD_METADATA = [
    {"score": float("nan")},
    {"tags": {"a", "b"}, "raw": b"1"},
    {("a", "tuple"): 1},
    {"when": datetime(2026, 11, 21)},
    {"deep": reduce(lambda inner, _: [inner], range(40), 1)},
    ["a list"],
    "a text",
]


@pytest.mark.parametrize("metadata", ODD_METADATA, ids=["NaN", "set", "tuple", "time", "deep", "list", "text"])
def test_metadata_that_cannot_be_said_is_left_out_and_loses_no_alarm(
    sent: Callable[..., dict[str, Any]], metadata: Any
) -> None:
    assert sent(metadata=metadata)["metadata"] == {"truncated": ["metadata"]}


def test_metadata_that_holds_itself_is_left_out(sent: Callable[..., dict[str, Any]]) -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    assert sent(metadata=endless)["metadata"] == {"truncated": ["metadata"]}


def test_tuples_in_metadata_are_cleaned_as_lists_are(sent: Callable[..., dict[str, Any]]) -> None:
    assert sent(metadata={"a": ("half \ud83d", 1)})["metadata"]["a"] == ["half \ufffd", 1]


def test_metadata_that_is_full_has_no_room_for_the_mark(sent: Callable[..., dict[str, Any]]) -> None:
    full = {"trace": "x" * 8_170}
    assert sent(metadata=full, error={"type": "T" * 201})["metadata"] == full


def test_whole_numbers_are_names_as_well_and_nothing_else_of_a_name_is_touched(
    sent: Callable[..., dict[str, Any]], double: LaneDouble, make_client: MakeClient
) -> None:
    item = sent(event_id=7, room_id=42, org_id=3, agent_version=4, room_label=5)
    assert [item[name] for name in ("event_id", "room_id", "org_id", "agent_version")] == ["7", "42", "3", "4"]
    assert item["room_label"] == "5"
    assert sent(room_id="r" * 201, agent_name="a\x00", message_count=3) | {"room_id": "", "agent_name": ""} == failure(
        room_id="", agent_name="", message_count=3, occurred_at=double.items()[-1]["occurred_at"]
    )
    client = make_client(double.url)
    client.report_room_activity(activity_id=1, room_id=42, kind="human_message", actor_external_id=9)
    client.flush()
    assert {"activity_id": "1", "room_id": "42", "actor_external_id": "9"}.items() <= double.items(
        "/api/room-activity"
    )[0].items()


def test_the_lane_takes_the_alarm_with_what_is_left_of_its_prose(sender: Sender, make_client: MakeClient) -> None:
    client = make_client(f"http://127.0.0.1:{sender.port}", sender.key)
    at = datetime.now(UTC)
    for number, (fields, _, _) in enumerate(TEXTS):
        client.report_failure(**failure(f"e-{number}", occurred_at=at, room_id=number, **fields))
    assert client.flush(20) == (len(TEXTS), 0, 0, 0)
    assert {event.event_id for event in events()} == {f"e-{number}" for number in range(len(TEXTS))}
