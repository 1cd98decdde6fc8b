"""What the sender keeps from one sweep to the next, and the trace it leaves of a push."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from alerts.delivery import outbox
from alerts.delivery.answers import GIVEN_BACK
from alerts.delivery.claim import claim
from alerts.delivery.finish import finish
from alerts.delivery.sender import Finished
from alerts.feed import Kick
from tests.factories import PushFactory
from tests.outbox import NoJitter, fresh, sweep

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]
ACCEPTED = json.dumps({"notification_id": "ntf_1", "in_app": "stored", "push": "queued"}).encode()


@pytest.fixture
def lines(settings: Any) -> Iterator[list[int]]:
    """A notification-service that says, for each push, over which connection it came: by the port at our end."""
    seen: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.client_address[1])
            self.send_response(202)
            self.send_header("Content-Length", str(len(ACCEPTED)))
            self.end_headers()
            self.wfile.write(ACCEPTED)

        def log_message(self, *about: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.NOTIFICATION_SERVICE_URL = f"http://127.0.0.1:{server.server_port}"
        yield seen
        server.shutdown()
        server.block_on_close = False


def test_one_sweep_after_another_uses_the_same_connection(lines: list[int]) -> None:
    pushes = []
    for _ in range(3):
        pushes.append(PushFactory())
        assert sweep() == 1
    assert [fresh(push).state for push in pushes] == ["sent"] * 3
    assert len(lines) == 3
    assert len(set(lines)) == 1


# --- the trace of a push ---------------------------------------------------------------------------------------------


def test_the_trace_has_the_kick_that_brought_a_push(lines: list[int]) -> None:
    push = PushFactory(planned_at=datetime.now(UTC) - timedelta(seconds=0.9))
    planned = push.planned_at.timestamp()
    outbox.sweep_outbox(kick=Kick(planned + 0.3, planned + 0.6))
    trace = fresh(push).trace
    passed = [trace.pop(name) for name in ("committed", "kicked", "claimed", "sent", "answered")]
    assert passed == sorted(passed)
    assert not trace
    assert passed[:2] == [pytest.approx(300, abs=100), pytest.approx(600, abs=100)]


@pytest.mark.parametrize("seconds", [None, -5.0, 5.0])
def test_a_push_that_another_ones_kick_or_none_brought_has_no_kick(lines: list[int], seconds: float | None) -> None:
    push = PushFactory()
    asked = push.planned_at.timestamp() + (seconds or 0)
    outbox.sweep_outbox(kick=Kick(asked, asked) if seconds else None)
    assert set(fresh(push).trace) == {"claimed", "sent", "answered"}


def test_what_was_not_sent_has_the_trace_of_its_last_attempt(lines: list[int]) -> None:
    push = PushFactory(trace={"claimed": 7})
    (claimed,) = claim().pushes
    finish([Finished(claimed, GIVEN_BACK, time.monotonic())], NoJitter())
    assert fresh(push).trace == {"claimed": 7}


@pytest.mark.parametrize("headers", [None, {}, {"asked": "now", "sent": 1.0}, {"asked": 1.0}])
def test_headers_that_are_no_kicks_are_no_kick(headers: Any) -> None:
    assert Kick.of(headers) is None
