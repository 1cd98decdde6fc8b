"""What nobody may read later: canaries go in wherever somebody sends something, and come out nowhere.

Every log at its most talkative, every command Valkey is given, every error report and the metrics are searched, while
the service works and while its tables are broken.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urlsplit
from uuid import uuid4

import brotli
import pytest
import redis
from django.conf import settings
from django.db import connection

from alerts.models import Push
from console import celery_app
from orgs.models import User, Wall
from tests.api_client import signed_in
from tests.factories import OrgFactory, UserFactory
from tests.stack import Stack, stack, until
from tests.standins import Standins
from tests.test_faults import EVENTS, staffed_key

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("system")]

NAMES = [
    *("invitation", "reset", "words", "webhook", "hook", "next", "query", "host", "fragment", "socket"),
    *("text", "label", "key", "password", "header", "verb", "agent", "referer", "wall"),
]
CANARIES = {name: f"canary{number}zq{name}" for number, name in enumerate(NAMES)}
WALL = "0" * 16  # the public id of a wall board, whose secret is the canary
PHONE = "+62 811 7654 321"


class Reports(BaseHTTPRequestHandler):
    """Where error reports go in this test: what Sentry's library sent, unpacked."""

    got: list[str] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Encoding"] == "br"
        self.got.append(brotli.decompress(body).decode())
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def reports() -> Iterator[str]:
    """The DSN of a place for error reports."""
    Reports.got.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Reports)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://public@127.0.0.1:{server.server_port}/1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def running(standins: Standins, transactional_db: None, reports: str) -> Iterator[Stack]:
    with stack(standins) as made:
        made.env |= {"SENTRY_DSN": reports, "LOG_LEVEL": "DEBUG"}
        yield made


@contextmanager
def overheard(url: str) -> Iterator[list[str]]:
    """Every command that Valkey is given meanwhile."""
    heard: list[str] = []
    with redis.from_url(url, socket_timeout=None) as client, client.monitor() as monitor:

        def listen() -> None:
            with suppress(redis.ConnectionError):  # it ends with its Valkey where a test fails
                while "end of listening" not in (heard[-1] if heard else ""):
                    heard.append(str(monitor.next_command()))

        listening = threading.Thread(target=listen, daemon=True)
        listening.start()
        yield heard
        with redis.from_url(url) as other:
            other.echo("end of listening")
        listening.join(10)


def ask(stack: Stack, method: str, path: str, body: bytes = b"", **headers: str) -> int:
    """One request; its status."""
    address = urlsplit(stack.url)
    client = http.client.HTTPConnection(address.hostname or "", address.port or 0, timeout=30)
    client.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
    status = client.getresponse().status
    client.close()
    return status


def say_everything(stack: Stack, cookie: str, key: str) -> list[int]:
    """A canary in whatever a stranger, a person and a sender can send; the statuses of the answers."""
    c = CANARIES
    item = {
        "event_id": f"event-{uuid4().hex}",
        "agent_name": "Billing Bot",
        "room_id": "room-1",
        "room_label": c["label"],
        "signal": "agent_error",
        "occurred_at": datetime.now(UTC).isoformat(),
        "error": {"type": "Timeout", "message": f"{c['text']} {PHONE}"},
        "last_customer_text": f"call me at {PHONE}, {c['text']}",
    }
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    handshake = {"Sec_WebSocket_Key": "MDEyMzQ1Njc4OTAxMjM0NQ==", **upgrade}
    bearer = {"Authorization": f"Bearer {c['key']}", "Content_Type": "application/json"}
    return [
        ask(stack, "GET", f"/invite/abc/{c['invitation']}"),
        ask(stack, "GET", f"/accounts/password/reset/key/1z-{c['reset']}/"),
        ask(stack, "GET", f"/?q={c['words']}", Cookie=cookie),
        ask(stack, "GET", f"/admin/orgs/user/?q={c['words']}", Cookie=cookie),
        ask(stack, "GET", "/", Cookie=cookie, User_Agent=c["agent"], Referer=f"http://{c['referer']}/"),
        ask(stack, "GET", f"/alerts/{c['verb']}", Cookie=cookie),
        ask(stack, "GET", f"/api/alerts?room={c['query']}&key={c['key']}", Authorization=f"Bearer {key}"),
        ask(stack, "GET", f"/wall/{WALL}.{c['wall']}"),
        ask(stack, "GET", f"/wall/{WALL}.{c['wall']}/more"),
        ask(stack, "GET", f"/wall/x.{c['wall']}?partial=1"),
        ask(stack, "GET", f"/ws/wall/{WALL}.{c['wall']}", Origin=stack.url, **handshake),
        ask(stack, "GET", f"/ws/wall/x.{c['wall']}", **handshake),
        ask(stack, "POST", f"/api/webhooks/qontak/x.{c['webhook']}/extra", b"{}"),
        ask(stack, "POST", f"/api/webhooks/{c['webhook']}", b"{}"),
        ask(stack, "POST", f"/webhook/{c['hook']}", b"{}"),
        ask(stack, "POST", f"/language?next={c['next']}", f"next={c['next']}".encode(), **form),
        ask(stack, "GET", f"/livez?{c['query']}", Host=f"{c['host']}.example"),
        ask(stack, "GET", f"/x%23{c['fragment']}?api_key={c['key']}", X_Request_Id="trace-me"),
        ask(stack, "GET", f"/feed?{c['socket']}", **handshake),
        ask(stack, "POST", "/accounts/login/", f"login=a%40b.example&password={c['password']}".encode(), **form),
        ask(stack, "POST", EVENTS, json.dumps(item).encode(), **bearer),
        ask(stack, "POST", EVENTS, json.dumps(item).encode(), **bearer | {"Authorization": f"Bearer {key}"}),
        ask(stack, "POST", EVENTS, json.dumps(item | {"verb": c["verb"]}).encode(), Authorization=f"Bearer {key}",
            Content_Type=f"application/json; {c['header']}"),
    ]  # fmt: skip


def sweep_in(stack: Stack) -> None:
    """Ask the worker for a sweep."""
    url = stack.cache.url.replace("unix://", "redis+socket://")
    with celery_app.connection_for_write(url) as broker:
        celery_app.send_task("alerts.tasks.sweep_pushes", connection=broker)


@contextmanager
def broken() -> Iterator[None]:
    """Events and pushes are refused by the database, which quotes whole rows and statements in its errors."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE alerts_failureevent ADD CONSTRAINT nothing CHECK (false) NOT VALID")
        cursor.execute("ALTER TABLE alerts_push RENAME TO pushes_elsewhere")
        cursor.execute("ALTER TABLE orgs_user RENAME TO people_elsewhere")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE people_elsewhere RENAME TO orgs_user")
            cursor.execute("ALTER TABLE pushes_elsewhere RENAME TO alerts_push")
            cursor.execute("ALTER TABLE alerts_failureevent DROP CONSTRAINT nothing")


def told(stack: Stack) -> str:
    """All logs so far."""
    return "\n".join(one.log.read_text(errors="replace") for one in stack.running.values())


def found_in(text: str) -> set[str]:
    """The names of the canaries in a text, however it was quoted."""
    digits = "".join(PHONE.split())[3:]
    named = {name for name, canary in CANARIES.items() if canary in text or quote(canary) in text}
    return named | ({"phone"} if digits in text.replace(" ", "") or PHONE in text else set())


def test_nothing_that_was_sent_is_in_any_log_report_metric_or_in_valkey(running: Stack) -> None:
    key = staffed_key()
    Wall.objects.create(org=OrgFactory(), public_id=WALL, token_hash=sha256(CANARIES["wall"].encode()).digest())
    person: User = UserFactory(is_specialist=True)
    cookie = f"{settings.SESSION_COOKIE_NAME}={signed_in(person).cookies[settings.SESSION_COOKIE_NAME].value}"
    with overheard(running.cache.url) as heard:
        for name in ("web", "worker", "dispatcher"):
            running.start(name)
        statuses = say_everything(running, cookie, key)
        assert 201 in statuses and 404 in statuses and 200 in statuses
        until(lambda: Push.objects.filter(state="sent").exists())
        assert found_in(told(running)) == set()
        assert "succeeded" not in running.running["worker"].log.read_text()  # or an idle day is 11 MB of sweeps
        with broken():
            assert 500 in say_everything(running, cookie, key)
            sweep_in(running)
            running.running["worker"].says(r"alerts\.tasks\.\S+ raised unexpected: .*42P01")
            running.running["dispatcher"].says("42P01.*sweep_failed")
        metrics = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=30)
        metrics.request("GET", "/metrics")
        figures = metrics.getresponse().read().decode()
        until(lambda: "request_failed" in told(running) and "ProgrammingError 42P01" in "".join(Reports.got))
    logs = told(running)
    assert '"GET /invite/<str:uid>/<str:token>"' in logs and '"POST unknown"' in logs
    assert '"request_id": "trace-me"' in logs
    assert "23514 alerts_failureevent nothing" in logs  # of the database's errors: code and place
    assert "live_ingest_requests_total" in figures and any("PUBLISH" in command for command in heard)
    assert found_in(logs) == set()
    assert found_in("".join(Reports.got)) == set()
    assert found_in(figures) == set()
    assert found_in("".join(heard)) == set()
