"""`availability()` of the Python client: kept for 15 s, asked once by many threads, and never in the bot's way."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from agent_live_monitoring import Availability, Client, availability
from tests.lane_double import LaneDouble, Told

SAID = {
    "as_of": "2026-05-04T03:00:00.000000Z",
    "org_id": "org-1",
    "agent_name": "Billing Bot",
    "on_duty": 2,
    "reachable": 1,
    "expected_wait_seconds": 94.5,
    "n": 12,
    "next_duty_at": None,
}
MakeClient = Callable[..., Client]


def told(**fields: Any) -> Told:
    return Told(200, {}, json.dumps(SAID | fields).encode())


def test_an_answer_is_kept_for_15_s_for_each_agent(
    double: LaneDouble, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = make_client(double.url)
    double.scripted += [told(), told(on_duty=0, next_duty_at="2026-05-05T01:00:00.000000Z"), told(on_duty=3)]
    found = monitor.availability("Billing Bot")
    assert found == Availability(datetime(2026, 5, 4, 3, tzinfo=UTC), 2, 1, 94.5, 12, None)
    assert monitor.availability("Billing Bot") is found
    other = monitor.availability("Sales & Co", org_id="org 2")
    assert other is not None and other.next_duty_at == datetime(2026, 5, 5, 1, tzinfo=UTC)
    assert [request.path for request in double.requests] == [
        "/api/availability?agent=Billing+Bot",
        "/api/availability?agent=Sales+%26+Co&org_id=org+2",
    ]
    later = time.monotonic() + availability.KEPT
    monkeypatch.setattr(availability.time, "monotonic", lambda: later)
    again = monitor.availability("Billing Bot")
    assert again is not None and again.on_duty == 3


@pytest.mark.parametrize(
    "trouble",
    [Told(503), Told(403), Told(302, {"Location": "/elsewhere"}), Told(200, {}, b"<html>"), Told(200, {}, b"{}"),
     Told(200, {}, b'{"on_duty": 10}'), Told(hang_up=True)],
)  # fmt: skip
def test_trouble_is_no_answer_and_not_asked_again_at_once(
    double: LaneDouble, make_client: MakeClient, trouble: Told
) -> None:
    monitor = make_client(double.url)
    double.scripted += [trouble, told()]
    assert monitor.availability("Billing Bot") is None
    assert monitor.availability("Billing Bot") is None
    assert len(double.requests) == 1


def test_who_does_not_answer_in_time_is_given_up(
    double: LaneDouble, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    double.let_go.clear()
    monitor, begun = make_client(double.url, timeout=0.2), time.monotonic()
    assert monitor.availability("Billing Bot") is None
    assert time.monotonic() - begun < 8  # without it: 10
    assert make_client("http://127.0.0.1:1").availability(None) is None  # type: ignore[arg-type]


def test_many_threads_ask_once(double: LaneDouble, make_client: MakeClient) -> None:
    double.scripted += [told()]
    double.let_go.clear()
    monitor, found = make_client(double.url), []
    threads = [threading.Thread(target=lambda: found.append(monitor.availability("Billing Bot"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    double.let_go.set()
    for thread in threads:
        thread.join(10)
    assert len(double.requests) == 1
    assert {one and one.on_duty for one in found} == {2}


async def test_an_event_loop_can_await_it(double: LaneDouble, make_client: MakeClient) -> None:
    double.scripted += [told()]
    found = await make_client(double.url).aavailability("Billing Bot")
    assert found is not None and found.n == 12
