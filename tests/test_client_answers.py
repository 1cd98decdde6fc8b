"""The Python client and what it is answered: nonsense means again, too much means halves, no means failed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agent_live_monitoring import Client, Problem
from tests.lane_double import ACTIVITY, LaneDouble, Told, failure

MakeClient = Callable[..., Client]
WaitFor = Callable[..., Any]
GARBAGE = [
    Told(200, body=b"<html>Welcome to this hotel</html>"),
    Told(207, body=b'{"results": [{"index": 0, "status"'),
    Told(207, body=b'{"results": []}'),
    Told(207, body=b'{"results": [{"index": 0, "status": "perhaps"}]}'),
    Told(207, body=b"[" * 100_000),
    Told(207, body=b"\xff\xfe"),
    Told(404, body=b"<h1>Not here</h1>"),
    Told(302, {"Location": "http://127.0.0.1:1/elsewhere"}, b""),
    Told(502, body=b"Bad gateway"),
    Told(hang_up=True),
    Told(207, {"Content-Length": "999", "Connection": "close"}, b"{}"),
    Told(207, body=b" " * 2_000_000),
]


@pytest.fixture
def problems() -> list[Problem]:
    return []


@pytest.fixture
def client(double: LaneDouble, make_client: MakeClient, problems: list[Problem]) -> Client:
    return make_client(double.url, on_error=problems.append)


@pytest.mark.parametrize("told", GARBAGE, ids=range(len(GARBAGE)))
def test_after_garbage_the_same_is_sent_again(double: LaneDouble, client: Client, told: Told) -> None:
    double.scripted = [told, told]
    client.report_failure(**failure())
    assert client.flush(20) == (1, 0, 0, 0)
    assert len({request.raw for request in double.requests}) == 1
    assert len(double.requests) == 3


@pytest.mark.parametrize(("status", "code"), [(413, "too_many_items"), (413, "too_large"), (400, "too_deep")])
def test_too_much_is_sent_again_in_halves(double: LaneDouble, client: Client, status: int, code: str) -> None:
    error = json.dumps({"error": {"code": code, "message": "Less."}}).encode()
    double.whole = lambda items: Told(status, body=error) if len(items) > 3 else None
    double.let_go.clear()
    for number in range(40):
        client.report_failure(**failure(f"e-{number}"))
    double.let_go.set()
    assert client.flush(20) == (40, 0, 0, 0)
    taken = [item["event_id"] for request in double.requests if len(request.items) <= 3 for item in request.items]
    assert taken == [f"e-{number}" for number in range(40)]


def test_one_item_that_is_too_large_fails(double: LaneDouble, client: Client, problems: list[Problem]) -> None:
    double.whole = lambda items: Told(413) if any(item["event_id"] == "big" for item in items) else None
    for name in ("a", "big", "b"):
        client.report_failure(**failure(name))
    assert client.flush(20) == (2, 1, 0, 0)
    assert [(problem.item_id, problem.status) for problem in problems] == [("big", 413)]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_that_stays_fails_and_names_its_target(
    double: LaneDouble, client: Client, problems: list[Problem], status: int
) -> None:
    double.whole = lambda items: Told(status, {"Location": "https://new.example/api/failure-events?token=canary"}, b"")
    client.report_failure(**failure())
    assert client.flush(20) == (0, 1, 0, 0)
    assert len(double.requests) == 3
    assert [(problem.code, problem.lost, problem.status) for problem in problems] == [
        ("redirected", False, status),
        ("redirected", True, status),
    ]
    assert all("https://new.example/api/failure-events" in problem.message for problem in problems)
    assert all("canary" not in problem.message for problem in problems)
    client.report_failure(**failure("e-2"))
    assert client.flush(20).failed == 1
    assert len(double.requests) == 4  # it is known by now
    double.whole = lambda items: None
    client.report_failure(**failure("e-3"))
    assert client.flush(20).delivered == 1


def test_a_field_is_named_as_the_caller_knows_it(double: LaneDouble, client: Client, problems: list[Problem]) -> None:
    error = {"code": "invalid_item", "message": "No.", "field": "items[1].error.type"}
    double.judge = lambda item: (
        {"status": "invalid", "error": error} if item["event_id"] == "e-1" else {"status": "created"}
    )
    double.let_go.clear()
    for number in range(3):
        client.report_failure(**failure(f"e-{number}"))
    double.let_go.set()
    assert client.flush(20) == (2, 1, 0, 0)
    assert [(problem.item_id, problem.field) for problem in problems] == [("e-1", "error.type")]


@pytest.mark.parametrize("status", [401, 403, 404, 415])
def test_what_trying_again_cannot_help_fails_at_once(
    double: LaneDouble, client: Client, problems: list[Problem], status: int
) -> None:
    double.scripted = [Told(status)]
    client.report_failure(**failure())
    assert client.flush() == (0, 1, 0, 0)
    assert [(problem.code, problem.status, problem.lost) for problem in problems] == [("told_to", status, True)]
    client.report_failure(**failure("e-2"))
    assert client.flush().delivered == 1


def test_an_item_that_the_service_stumbles_over_holds_up_no_others(
    double: LaneDouble, client: Client, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_live_monitoring.retry.pause", lambda attempt, asked: 0.01)
    double.whole = lambda items: Told(500) if any(item["event_id"] == "e-5" for item in items) else None
    double.let_go.clear()
    for number in range(20):
        client.report_failure(**failure(f"e-{number}"))
    double.let_go.set()
    wait_for(lambda: client.stats().delivered == 19)
    assert client.stats().waiting == 1
    double.whole = lambda items: None  # the fault is mended: nothing was lost
    assert client.flush(20).waiting == 0
    assert client.stats().delivered == 20


def test_conflict_and_invalid_fail_alone(double: LaneDouble, client: Client, problems: list[Problem]) -> None:
    error = {"code": "too_long", "message": "channel is over 200 characters.", "field": "items[0].channel"}
    answers = {"a": {"status": "duplicate"}, "b": {"status": "invalid", "error": error}, "c": {"status": "conflict"}}
    double.judge = lambda item: answers[item["event_id"]]
    for name in answers:
        client.report_failure(**failure(name))
    assert client.flush() == (1, 2, 0, 0)
    assert [(problem.item_id, problem.code) for problem in problems] == [("b", "too_long"), ("c", "conflict")]


def test_no_request_overtakes_within_a_room(double: LaneDouble, client: Client) -> None:
    double.let_go.clear()
    for number in range(30):
        client.report_failure(**failure(f"{3 * number}", room_id=f"r-{number % 2}"))
        client.report_room_activity(activity_id=f"{3 * number + 1}", room_id=f"r-{number % 2}", kind="bot_message")
        client.report_room_activity(activity_id=f"{3 * number + 2}", room_id="r-0", kind="bot_message")
    double.let_go.set()
    assert client.flush(20).delivered == 90
    items = [item for request in double.requests for item in request.items]
    came = [(item["room_id"], int(item.get("event_id") or item["activity_id"])) for item in items]
    for room in ("r-0", "r-1"):
        numbers = [number for name, number in came if name == room]
        assert numbers == sorted(numbers)
    assert {request.path for request in double.requests} >= {ACTIVITY}
