"""The Python client against the real lane: what is reported is stored, once, and every item is answered for."""

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from agent_live_monitoring import Client, FailureEvent, Problem, RoomActivity
from alerts.items import ActivityItem, EventItem
from tests.ingest_server import Sender, activities, alerts, events

MakeClient = Callable[..., Client]


@pytest.fixture
def problems() -> list[Problem]:
    return []


@pytest.fixture
def client(sender: Sender, make_client: MakeClient, problems: list[Problem]) -> Client:
    return make_client(f"http://127.0.0.1:{sender.port}", sender.key, on_error=problems.append)


def failure(**fields: Any) -> dict[str, Any]:
    return {
        "signal": "agent_error",
        "agent_name": "Billing Bot",
        "room_id": "r-7",
        "error": {"type": "Timeout"},
    } | fields


def test_a_failure_opens_an_alert(client: Client) -> None:
    client.report_failure(**failure())
    assert client.flush() == (1, 0, 0, 0)
    assert [alert.severity for alert in alerts()] == ["critical"]


def test_room_activity_stops_the_alarm(client: Client) -> None:
    client.report_failure(**failure())
    client.report_room_activity(room_id="r-7", kind="human_message", actor_external_id="42")
    assert client.flush().delivered == 2
    assert [alert.state for alert in alerts()] == ["intervened"]


def test_an_id_and_a_time_are_made_where_there_is_none(client: Client) -> None:
    before = datetime.now(UTC)
    client.report_failure(**failure())
    client.report_room_activity(room_id="r-7", kind="bot_message")
    client.flush()
    (event,), (activity,) = events(), activities()
    assert uuid.UUID(event.event_id) != uuid.UUID(activity.activity_id)
    assert before <= event.occurred_at <= activity.at <= datetime.now(UTC)


def test_an_id_and_a_time_of_the_callers_are_kept(client: Client) -> None:
    at = datetime.now(timezone(timedelta(hours=7))) - timedelta(minutes=2)
    client.report_failure(**failure(event_id="e-1", occurred_at=at))
    client.flush()
    assert [(event.event_id, event.occurred_at) for event in events()] == [("e-1", at)]


def test_the_same_again_is_delivered_and_stored_once(client: Client) -> None:
    at = datetime.now(UTC)
    for _ in range(3):
        client.report_failure(**failure(event_id="e-1", occurred_at=at))
    assert client.flush().delivered == 3
    assert len(events()) == 1


def test_many_reports_go_out_in_few_packed_requests(client: Client) -> None:
    for number in range(1_000):
        client.report_failure(**failure(room_id=f"r-{number % 50}"))
    assert client.flush(30) == (1_000, 0, 0, 0)
    assert len(events()) == 1_000
    assert client.stats().requests < 20


def test_a_bad_item_fails_alone_and_says_what_is_wrong(client: Client, problems: list[Problem]) -> None:
    client.report_failure(**failure(event_id="good"))
    client.report_failure(**failure(event_id="bad", signal="bored"))
    client.report_failure(**failure(event_id="odd", colour="red"))
    assert client.flush() == (1, 2, 0, 0)
    assert [(p.item_id, p.code, p.lost, p.kind) for p in problems] == [
        ("bad", "invalid_item", True, "failure_event"),
        ("odd", "unknown_field", True, "failure_event"),
    ]
    assert [problem.field for problem in problems] == ["signal", "colour"]


def test_the_same_id_with_other_content_fails(client: Client, problems: list[Problem]) -> None:
    client.report_failure(**failure(event_id="e-1"))
    client.report_failure(**failure(event_id="e-1", channel="webchat"))
    assert client.flush() == (1, 1, 0, 0)
    assert [problem.code for problem in problems] == ["id_conflict"]


def test_what_poisons_a_request_is_found_and_its_neighbours_are_stored(client: Client, problems: list[Problem]) -> None:
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"in": deep}
    for number in range(20):
        client.report_failure(**failure(event_id=f"e-{number}", confidence=deep if number == 13 else None))
    assert client.flush() == (19, 1, 0, 0)
    assert [(problem.item_id, problem.code) for problem in problems] == [("e-13", "too_deep")]


def test_an_unknown_key_fails_what_it_sent(sender: Sender, make_client: MakeClient, problems: list[Problem]) -> None:
    client = make_client(f"http://127.0.0.1:{sender.port}", "no.key", on_error=problems.append)
    client.report_failure(**failure(event_id="e-1"))
    assert client.flush().failed == 1
    assert [(problem.code, problem.status, problem.item_id) for problem in problems] == [
        ("unauthenticated", 401, "e-1")
    ]


def test_the_order_within_a_room_is_kept(client: Client) -> None:
    for kind in ("human_message", "returned_to_agent"):
        client.report_failure(**failure())
        client.report_room_activity(room_id="r-7", kind=kind)
    client.report_failure(**failure())
    assert client.flush().delivered == 5
    (alert,) = alerts()
    assert (alert.state, alert.event_count) == ("open", 3)


def test_reports_of_many_threads_all_arrive(client: Client) -> None:
    def report(name: int) -> None:
        for number in range(50):
            client.report_failure(**failure(event_id=f"{name}-{number}", room_id=f"r-{name}"))

    threads = [threading.Thread(target=report, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(30).delivered == 400
    assert len(events()) == 400


async def test_async_reports_arrive_while_the_loop_goes_on(client: Client) -> None:
    async with client:
        await client.areport_failure(**failure())
        await client.areport_room_activity(room_id="r-7", kind="assigned")
        flushing = asyncio.ensure_future(client.aflush())
        turns = 0
        while not flushing.done():
            await asyncio.sleep(0)
            turns += 1
    assert flushing.result().delivered == 2
    assert turns > 1


def test_numbers_of_other_kinds_are_said(client: Client) -> None:
    client.report_failure(**failure(signal="low_confidence", confidence=Decimal("0.25"), error=None))
    assert client.flush().delivered == 1
    assert [event.confidence for event in events()] == [0.25]


@pytest.mark.parametrize(("told", "taken"), [(FailureEvent, EventItem), (RoomActivity, ActivityItem)])
def test_type_checkers_know_the_fields_that_the_lane_takes(told: type, taken: type) -> None:
    fields = msgspec.structs.fields(taken)
    made = {"event_id", "occurred_at", "activity_id", "at"}
    assert told.__required_keys__ | told.__optional_keys__ == {field.name for field in fields}
    assert told.__required_keys__ == {field.name for field in fields if field.required} - made


def test_a_flush_ends_as_soon_as_all_is_answered_for(client: Client) -> None:
    client.report_failure(**failure())
    began = time.monotonic()
    assert client.flush(30).delivered == 1
    assert time.monotonic() - began < 10


def test_a_flush_tells_of_what_came_since_the_last(client: Client) -> None:
    client.report_failure(**failure())
    client.flush()
    client.report_failure(**failure())
    assert client.flush().delivered == 1
    assert (client.stats().reported, client.stats().delivered) == (2, 2)
