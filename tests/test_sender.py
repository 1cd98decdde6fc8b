"""What the sender keeps from one sweep to the next."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.factories import PushFactory
from tests.outbox import fresh, sweep

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
