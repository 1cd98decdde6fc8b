"""The Python client when the service is away, slow, busy or wrong: it never raises, blocks or loses silently."""

import logging
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from agent_live_monitoring import Client, Problem, retry
from tests.lane_double import LaneDouble, Told, failure

MakeClient = Callable[..., Client]
WaitFor = Callable[..., Any]
AT_ONCE = 2.0  # seconds that no report may take on a busy machine; what it must not wait for takes 10 or more


@pytest.fixture
def problems() -> list[Problem]:
    return []


@pytest.fixture
def client(double: LaneDouble, make_client: MakeClient, problems: list[Problem]) -> Client:
    return make_client(double.url, on_error=problems.append)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        return int(kept.getsockname()[1])


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address where a connection is taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


# --- The caller is kept out of it -------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_a_report_returns_at_once_with_nobody_there(make_client: MakeClient, url: str) -> None:
    client = make_client(url)
    began = time.monotonic()
    client.report_failure(**failure())
    assert time.monotonic() - began < AT_ONCE


def test_a_report_returns_at_once_while_a_request_hangs(double: LaneDouble, client: Client, wait_for: WaitFor) -> None:
    double.let_go.clear()
    client.report_failure(**failure())
    wait_for(lambda: double.requests)
    began = time.monotonic()
    client.report_failure(**failure("e-2"))
    assert time.monotonic() - began < AT_ONCE


def test_a_slow_on_error_keeps_no_caller_waiting(make_client: MakeClient) -> None:
    holding = threading.Event()
    client = make_client("http://127.0.0.1:1", max_items=1, on_error=lambda problem: holding.wait(30))
    began = time.monotonic()
    for number in range(100):
        client.report_failure(**failure(f"e-{number}"))
    assert time.monotonic() - began < AT_ONCE
    holding.set()


class Evil:
    def __str__(self) -> str:
        raise RuntimeError("not even this")

    __repr__ = __str__


class EvilError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class EvilNumber(float):
    def __repr__(self) -> str:
        raise EvilError

    __float__ = __int__ = __str__ = __repr__


LOOP: dict[str, Any] = {}
LOOP["again"] = LOOP


@pytest.mark.parametrize(
    "fields",
    [
        {"confidence": math.nan},
        {"occurred_at": datetime.now()},
        {"error": LOOP},
        {"channel": object()},
        {"error": {("a", "tuple"): 1}},
        {"channel": b"1"},
        {"room_id": Evil()},
    ],
    ids=["NaN", "naive time", "loop", "object", "tuple as key", "bytes", "raises"],
)
def test_what_json_cannot_say_fails_without_raising(
    client: Client, problems: list[Problem], fields: dict[str, Any]
) -> None:
    client.report_failure(**failure(**fields))
    assert client.flush() == (0, 1, 0, 0)
    assert [(problem.code, problem.item_id, problem.lost) for problem in problems] == [("unsayable", "e-1", True)]


def test_nothing_at_all_raises_nothing(client: Client) -> None:
    client.report_failure()  # type: ignore[call-arg]
    client.report_room_activity(colour="red")  # type: ignore[call-arg]
    client.report_failure(**failure(metadata={"evil": EvilNumber(1)}))
    assert client.flush().waiting == 0


def test_what_the_caller_changes_later_changes_nothing(double: LaneDouble, client: Client) -> None:
    double.let_go.clear()
    error = {"type": "Timeout"}
    client.report_failure(**failure(error=error))
    error["type"] = "changed"
    double.let_go.set()
    client.flush()
    assert double.items()[0]["error"] == {"type": "Timeout"}


def test_on_error_that_raises_ends_nothing(double: LaneDouble, make_client: MakeClient) -> None:
    def on_error(problem: Problem) -> None:
        raise RuntimeError

    client = make_client(double.url, on_error=on_error)
    client.report_failure(**failure(confidence=math.nan))
    client.report_failure(**failure())
    assert client.flush() == (1, 1, 0, 0)


def test_on_error_may_report_flush_and_close_and_is_not_told_of_itself(
    double: LaneDouble, make_client: MakeClient, problems: list[Problem], wait_for: WaitFor
) -> None:
    def on_error(problem: Problem) -> None:
        problems.append(problem)
        client.flush()
        client.close()
        client.report_failure(**failure("after the close"))

    client = make_client(double.url, on_error=on_error)
    client.report_failure(**failure(confidence=math.nan))
    wait_for(lambda: client.stats().dropped)
    client.close(0)
    assert [problem.code for problem in problems] == ["unsayable"]
    assert client.stats().dropped == 1


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        (None, "key is None"),
        (b"k", "key is bytes"),
        ("", "key is empty"),
        (" \n", "key is empty"),
        ("two\nlines", "place 4"),
        ("two words", "place 4"),
        ("schlüssel", "place 5"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused_and_says_why(key: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match="key") as caught:
        Client("http://localhost", key)
    assert wrong in str(caught.value)
    assert not key or str(key) not in str(caught.value)


def test_the_line_break_that_a_file_leaves_behind_a_key_is_no_part_of_it(
    double: LaneDouble, make_client: MakeClient
) -> None:
    client = make_client(double.url + "\n", "prefix.secret\r\n")
    client.report_failure(**failure())
    assert client.flush().delivered == 1
    assert double.requests[0].headers["Authorization"] == "Bearer prefix.secret"


@pytest.mark.parametrize("url", ["", "localhost", "ftp://host", "http://", "http://host:port", "http://me:pw@host"])
def test_an_address_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        Client(url, "k")


def test_the_key_and_what_was_said_are_in_no_log(
    double: LaneDouble, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    double.judge = lambda item: {"status": "invalid", "error": {"code": "bad", "message": "No."}}
    client = make_client(double.url, "canary-key.secret")
    client.report_failure(**failure(last_customer_text="canary words"))
    client.flush()
    assert "bad" in caplog.text
    assert "canary" not in caplog.text + repr(client)


# --- The service is away, slow or busy --------------------------------------------------------------------


def test_what_waits_while_the_service_is_away_is_delivered_when_it_is_back(
    make_client: MakeClient, free_port: int, problems: list[Problem], wait_for: WaitFor
) -> None:
    client = make_client(f"http://127.0.0.1:{free_port}", on_error=problems.append)
    for number in range(500):
        client.report_failure(**failure(f"e-{number}"))
    wait_for(lambda: client.stats().retries >= 2)
    double = LaneDouble(free_port)
    try:
        assert client.flush(30) == (500, 0, 0, 0)
        assert [item["event_id"] for item in double.items()] == [f"e-{number}" for number in range(500)]
    finally:
        double.stop()
    assert [(problem.code, problem.lost) for problem in problems] == [("unreachable", False)]  # once, not each time


def test_a_full_queue_drops_the_oldest_and_counts_them(
    double: LaneDouble, make_client: MakeClient, problems: list[Problem], wait_for: WaitFor
) -> None:
    client = make_client(double.url, max_items=10, on_error=problems.append)
    double.let_go.clear()
    client.report_failure(**failure("first"))
    wait_for(lambda: double.requests)
    for number in range(15):
        client.report_failure(**failure(f"e-{number}"))
    assert client.stats().dropped == 5
    double.let_go.set()
    assert client.flush() == (11, 0, 5, 0)
    assert [item["event_id"] for item in double.items()] == ["first", *(f"e-{number}" for number in range(5, 15))]
    assert [(p.code, p.item_id, p.lost) for p in problems] == [("queue_full", f"e-{n}", True) for n in range(5)]


def test_a_queue_is_bounded_in_bytes(make_client: MakeClient) -> None:
    client = make_client("http://127.0.0.1:1", max_bytes=50_000)
    for number in range(100):
        client.report_failure(**failure(f"e-{number}", last_customer_text="x" * 2_000))
    client.report_failure(**failure("huge", last_customer_text="x" * 60_000))
    stats = client.stats()
    assert stats.waiting * 2_000 < 50_000 + 200 * 2_200  # what is in flight has left the queue
    assert stats.dropped == stats.reported - stats.waiting > 0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_waited_for(double: LaneDouble, client: Client, status: int, as_date: bool) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=2.5), usegmt=True)
    double.scripted = [Told(status, {"Retry-After": at if as_date else "1.2"})]
    began = time.monotonic()
    client.report_failure(**failure())
    assert client.flush(20).delivered == 1
    assert time.monotonic() - began >= 1.0
    assert len({request.raw for request in double.requests}) == 1


def test_a_flush_cuts_short_a_pause_that_nobody_asked_for(
    make_client: MakeClient, free_port: int, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_live_monitoring.retry.pause", lambda attempt, asked: 60.0)
    client = make_client(f"http://127.0.0.1:{free_port}")
    client.report_failure(**failure())
    wait_for(lambda: client.stats().requests)
    double = LaneDouble(free_port)
    try:
        wait_for(lambda: client.flush(1).delivered, 20)
    finally:
        double.stop()


def test_a_dripping_answer_is_cut_off_at_the_deadline(
    double: LaneDouble, make_client: MakeClient, problems: list[Problem]
) -> None:
    client = make_client(double.url, timeout=0.5, on_error=problems.append)
    double.scripted = [Told(207, drip=0.1)]
    began = time.monotonic()
    client.report_failure(**failure())
    assert client.flush(20).delivered == 1
    assert time.monotonic() - began < 8
    assert [(problem.code, problem.lost) for problem in problems] == [("unreachable", False)]


def test_a_service_too_slow_for_a_whole_batch_gets_smaller_ones(
    double: LaneDouble, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_live_monitoring.retry.pause", lambda attempt, asked: 0.01)

    def slow(items: list[Any]) -> None:
        threading.Event().wait(0.03 * len(items))

    double.whole = slow
    double.let_go.clear()
    client = make_client(double.url, timeout=0.5)
    for number in range(50):
        client.report_failure(**failure(f"e-{number}"))
    double.let_go.set()
    assert client.flush(40) == (50, 0, 0, 0)


def test_a_black_hole_holds_neither_flush_nor_close(make_client: MakeClient, black_hole: str) -> None:
    client = make_client(black_hole)
    client.report_failure(**failure())
    began = time.monotonic()
    assert client.flush(0.2).waiting == 1
    client.close(0.2)
    assert time.monotonic() - began < 2


def test_what_is_not_delivered_at_the_close_is_dropped_and_counted(
    make_client: MakeClient, problems: list[Problem]
) -> None:
    client = make_client("http://127.0.0.1:1", on_error=problems.append)
    for number in range(3):
        client.report_failure(**failure(f"e-{number}"))
    assert client.close(0.1) == (0, 0, 3, 0)
    client.report_failure(**failure("after"))
    assert client.stats().dropped == 4
    assert [problem.code for problem in problems if problem.lost] == ["closed"] * 3


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("1e9", 300.0),
        ("-5", 0.0),
        ("Fri, 02 Jan 2026 03:04:15 GMT", 10.0),
        ("Fri, 02 Jan 2026 03:04:15 -0000", 10.0),
        ("soon", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_within_reason(value: str | None, seconds: float | None) -> None:
    assert retry.retry_after(value, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == seconds


def test_pauses_double_up_to_half_a_minute_with_full_jitter() -> None:
    longest = [max(retry.pause(attempt, None) for _ in range(2_000)) for attempt in (1, 2, 3, 9, 99)]
    assert longest == pytest.approx([0.5, 1, 2, 30, 30], rel=0.05)
    assert min(retry.pause(9, None) for _ in range(2_000)) < 1
    assert 7 <= retry.pause(1, 7.0) <= 7.5
