"""The stand-in for notification-service keeps to the contract, remembers, and misbehaves as told."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from standardwebhooks import Webhook, WebhookVerificationError

from tests.standins import CLIENT_ID, CLIENT_SECRET, RECEIPT_SECRET, ROOT, Standins

NOTIFY = "/v1/notifications"


@dataclass(frozen=True)
class Reply:
    """An HTTP answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(url: str, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request(method, path, body or None, headers or {})
        answer = connection.getresponse()
        return Reply(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def signed(request_line: str, *, secret: str = CLIENT_SECRET, at: float | None = None) -> dict[str, str]:
    date = formatdate(at, usegmt=True)
    digest = hmac.digest(secret.encode(), f"date: {date}\n{request_line}".encode(), hashlib.sha256)
    authorization = (
        f'hmac username="{CLIENT_ID}", algorithm="hmac-sha256", headers="date request-line", '
        f'signature="{base64.b64encode(digest).decode()}"'
    )
    return {"Date": date, "Authorization": authorization, "Content-Type": "application/json"}


def notification(sso_id: str = "sari", **changes: Any) -> dict[str, Any]:
    return {
        "user_source": "chat",
        "recipient": {"sso_id": sso_id},
        "channels": ["in_app", "push"],
        "title": "Critical: agent error, Order Helper",
        "body": "The agent could not answer.",
        "locale": "en",
        "severity": "critical",
        "collapse_key": "alert-1",
        "ttl_seconds": 1800,
        "data": {
            "alert_id": "alert-1",
            "org_id": "acme",
            "room_id": "room-1",
            "url": "https://console.example/alerts/alert-1",
            "sequence": 1,
            "occurred_at": "2026-01-02T03:04:05Z",
        },
    } | changes


def notify(
    running: Standins, body: Any = None, *, key: str | None = None, headers: dict[str, str] | None = None
) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(notification() if body is None else body).encode()
    sent = signed(f"POST {NOTIFY} HTTP/1.1") if headers is None else headers
    return call(running.url, "POST", NOTIFY, raw, sent | {"Idempotency-Key": key or str(uuid.uuid4())})


def put(running: Standins, path: str, body: Any) -> Reply:
    return call(running.url, "PUT", path, json.dumps(body).encode(), {"Content-Type": "application/json"})


def health(running: Standins) -> Any:
    return call(running.url, "GET", "/_health").json


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standins]:
    made = Standins(tmp_path_factory.mktemp("standins"))
    yield made
    made.stop()


@pytest.fixture
def running(one_process: Standins) -> Standins:
    one_process.reset()
    return one_process


# --- The contract of POST /v1/notifications ---------------------------------------------------------------


def test_accepts_a_signed_notification(running: Standins) -> None:
    answer = notify(running)
    assert answer.status == 202
    assert answer.json["in_app"] == "stored"
    assert answer.json["push"] == "queued"
    assert answer.json["notification_id"]


def test_a_person_without_a_phone_gets_it_in_app_only(running: Standins) -> None:
    running.tokens({"phoneless": 0})
    assert notify(running, notification("phoneless")).json["push"] == "no_token"


def test_the_same_key_again_is_the_same_answer(running: Standins) -> None:
    first, again = notify(running, key="k-same"), notify(running, key="k-same")
    assert (first.status, first.body) == (again.status, again.body)


def test_the_same_key_again_is_a_duplicate_in_the_log(running: Standins) -> None:
    notify(running, key="k-dup")
    notify(running, key="k-dup")
    assert [row["duplicate"] for row in running.log()] == [False, True]


def test_the_same_key_again_makes_no_second_notification(running: Standins) -> None:
    before = health(running)["notifications"]
    notify(running, key="k-once")
    notify(running, key="k-once")
    assert health(running)["notifications"] == before + 1


def test_the_same_key_with_other_bytes_is_refused(running: Standins) -> None:
    notify(running, key="k-other")
    answer = notify(running, notification(title="Something else"), key="k-other")
    assert (answer.status, answer.json["error"]["field"]) == (422, "Idempotency-Key")


def test_a_refused_body_does_not_use_its_key_up(running: Standins) -> None:
    assert notify(running, notification(title=""), key="k-free").status == 422
    assert notify(running, key="k-free").status == 202


def test_a_missing_key_is_refused(running: Standins) -> None:
    raw = json.dumps(notification()).encode()
    answer = call(running.url, "POST", NOTIFY, raw, signed(f"POST {NOTIFY} HTTP/1.1"))
    assert (answer.status, answer.json["error"]["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (notification(user_source="email"), "user_source"),
        (notification(recipient={}), "recipient.sso_id"),
        (notification(channels=["push"]), "channels"),
        (notification(title="x" * 201), "title"),
        (notification(severity="urgent"), "severity"),
        (notification(ttl_seconds=0), "ttl_seconds"),
        (notification(colour="red"), "colour"),
        (notification(data={**notification()["data"], "url": "javascript:alert(1)"}), "data.url"),
        (notification(data={**notification()["data"], "occurred_at": "2026-01-02T03:04:05"}), "data.occurred_at"),
        ([], ""),
    ],
)  # fmt: skip
def test_a_body_that_is_not_the_contracts_is_named(running: Standins, body: Any, field: str) -> None:
    answer = notify(running, body)
    assert (answer.status, answer.json["error"].get("field", "")) == (422, field)


@pytest.mark.parametrize("body", [b"{", b'{"title": "\xff"}', b'{"title": "\\ud800"}', b"[" * 5000, b"1" * 4301])
def test_what_is_no_json_object_is_refused_and_logged(running: Standins, body: bytes) -> None:
    assert notify(running, body).status in {400, 422}
    assert len(running.log()) == 1


def test_a_body_above_64_kib_is_refused(running: Standins) -> None:
    assert notify(running, notification(body="x" * 70_000)).status == 413


def test_another_method_is_refused_by_name(running: Standins) -> None:
    answer = call(running.url, "GET", NOTIFY, headers=signed(f"GET {NOTIFY} HTTP/1.1"))
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


# --- The published contract -------------------------------------------------------------------------------

CONTRACT = yaml.safe_load((ROOT / "docs" / "contracts" / "notification-service.yaml").read_text())
OPERATION = CONTRACT["paths"][NOTIFY]["post"]
EXAMPLE = OPERATION["requestBody"]["content"]["application/json"]["examples"]["alert"]["value"]


def validate(value: Any, schema: str) -> None:
    """Check against a schema of the published contract."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": CONTRACT["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


def test_the_published_example_is_accepted(running: Standins) -> None:
    validate(EXAMPLE, "Notification")
    answer = notify(running, EXAMPLE)
    assert answer.status == 202
    validate(answer.json, "Accepted")


@pytest.mark.parametrize("field", CONTRACT["components"]["schemas"]["Notification"]["required"])
def test_every_published_field_is_required(running: Standins, field: str) -> None:
    answer = notify(running, {name: value for name, value in EXAMPLE.items() if name != field})
    assert (answer.status, answer.json["error"]["field"]) == (422, field)
    validate(answer.json, "Error")


# --- The signature ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        signed(f"POST {NOTIFY} HTTP/1.1", secret="another"),
        signed("POST /v1/other HTTP/1.1"),
        signed(f"POST {NOTIFY} HTTP/1.1") | {"Authorization": "Bearer x"},
        signed(f"POST {NOTIFY} HTTP/1.1") | {"Date": "yesterday"},
    ],
    ids=["none", "secret", "request line", "scheme", "date"],
)
def test_a_wrong_signature_is_refused(running: Standins, headers: dict[str, str]) -> None:
    assert notify(running, headers=headers).status == 401
    assert running.log()[0]["signature_ok"] is False


@pytest.mark.parametrize(("minutes", "status"), [(-6, 401), (-4, 202), (4, 202), (6, 401)])
def test_the_date_may_be_five_minutes_away(running: Standins, minutes: int, status: int) -> None:
    headers = signed(f"POST {NOTIFY} HTTP/1.1", at=time.time() + 60 * minutes)
    assert notify(running, headers=headers).status == status


# --- Push tokens ------------------------------------------------------------------------------------------


def test_push_tokens_of_known_and_unknown_people(running: Standins) -> None:
    running.tokens({"with-three": 3, "with-none": 0})
    path = "/v1/push-tokens?user_source=chat&sso_id=with-three&sso_id=with-none&sso_id=never-seen"
    answer = call(running.url, "GET", path, headers=signed(f"GET {path} HTTP/1.1"))
    assert answer.status == 200
    assert [row["tokens"] for row in answer.json["data"]] == [3, 0, 1]


def test_the_query_is_part_of_what_is_signed(running: Standins) -> None:
    path = "/v1/push-tokens?user_source=chat&sso_id=sari"
    answer = call(running.url, "GET", path, headers=signed("GET /v1/push-tokens HTTP/1.1"))
    assert answer.status == 401


# --- Misbehaving ------------------------------------------------------------------------------------------


def test_told_to_answer_a_status(running: Standins) -> None:
    running.behave("status", status=429, retry_after="soon, maybe")
    answer = notify(running)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "soon, maybe")


def test_down_cuts_the_connection_without_an_answer(running: Standins) -> None:
    running.behave("down")
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        notify(running)
    assert running.log()[0]["answer"] is None


def test_garbage_is_a_200_with_html(running: Standins) -> None:
    running.behave("garbage")
    answer = notify(running)
    assert (answer.status, answer.body[:9]) == (200, b"<!doctype")


def test_slow_waits_before_it_answers(running: Standins) -> None:
    running.behave("slow", delay_ms=300)
    began = time.monotonic()
    assert notify(running).status == 202
    assert time.monotonic() - began >= 0.3


def test_drip_sends_a_byte_a_second(running: Standins) -> None:
    running.behave("drip")
    parts = urlsplit(running.url)
    head = "".join(f"{name}: {value}\r\n" for name, value in signed(f"POST {NOTIFY} HTTP/1.1").items())
    raw = json.dumps(notification()).encode()
    request = f"POST {NOTIFY} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k-drip\r\nContent-Length: {len(raw)}\r\n"
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(f"{request}{head}\r\n".encode() + raw)
        received = b""
        while b"\r\n\r\n{" not in received:
            received += connection.recv(4096)
        began = time.monotonic()
        assert connection.recv(4096) == b'"'
    assert time.monotonic() - began > 0.5


def test_a_misbehaved_request_is_no_notification(running: Standins) -> None:
    before = health(running)["notifications"]
    running.behave("status", status=500)
    notify(running)
    assert health(running)["notifications"] == before


def test_misbehaves_for_so_many_requests(running: Standins) -> None:
    running.behave("status", status=503, for_requests=2)
    assert [notify(running).status for _ in range(3)] == [503, 503, 202]


@pytest.mark.parametrize(
    ("behaviour", "field"),
    [
        ({}, "mode"),
        ({"mode": "sleepy"}, "mode"),
        ({"mode": "status"}, "status"),
        ({"mode": "ok", "status": 500}, "status"),
        ({"mode": "status", "status": 99}, "status"),
        ({"mode": "slow", "delay_ms": -1}, "delay_ms"),
        ({"mode": "ok", "for_requests": 0}, "for_requests"),
        ({"mode": "status", "status": 429, "retry_after": "a\r\nb"}, "retry_after"),
        ({"mode": "ok", "mood": "bad"}, "mood"),
    ],
)
def test_a_wrong_behaviour_is_refused_by_field(running: Standins, behaviour: dict[str, Any], field: str) -> None:
    answer = put(running, "/_behaviour", behaviour)
    assert (answer.status, answer.json["error"]["field"]) == (422, field)


def test_its_own_paths_do_not_misbehave(running: Standins) -> None:
    running.behave("status", status=500)
    assert health(running)["mode"] == "status"


# --- The log ----------------------------------------------------------------------------------------------


def test_the_log_has_the_contracts_fields(running: Standins) -> None:
    notify(running, key="k-log")
    row = running.log()[0]
    assert row["headers"]["Idempotency-Key"] == "k-log"
    assert (row["method"], row["path"], row["body"]) == ("POST", NOTIFY, notification())
    assert row["signature_ok"] is True
    assert row["answer"]["status"] == 202
    assert row["at"].endswith("+00:00")


def test_the_log_begins_after_since(running: Standins) -> None:
    for _ in range(3):
        notify(running)
    first = running.log()[0]["n"]
    rows = call(running.url, "GET", f"/_log?since={first}").json["requests"]
    assert [row["n"] for row in rows] == [first + 1, first + 2]


@pytest.mark.parametrize("since", ["-1", "x", "1.5", "9" * 30])
def test_a_since_that_is_no_number_is_refused(running: Standins, since: str) -> None:
    assert call(running.url, "GET", f"/_log?since={since}").status == 422


def test_no_answered_row_is_lost_when_killed(tmp_path: Any) -> None:
    killed = Standins(tmp_path)
    notify(killed, key="k-kept")
    os.kill(killed.process.pid, signal.SIGKILL)
    killed.stop()
    again = Standins(tmp_path)
    try:
        assert [row["headers"]["Idempotency-Key"] for row in again.log()] == ["k-kept"]
    finally:
        again.stop()


def test_keys_are_known_after_a_restart(tmp_path: Any) -> None:
    first = Standins(tmp_path)
    notify(first, key="k-known")
    first.stop()
    again = Standins(tmp_path)
    try:
        assert notify(again, key="k-known").status == 202
        assert [row["duplicate"] for row in again.log()] == [False, True]
    finally:
        again.stop()


def test_tokens_are_known_after_a_restart(tmp_path: Any) -> None:
    first = Standins(tmp_path)
    first.tokens({"sari": 0})
    first.stop()
    again = Standins(tmp_path)
    try:
        assert notify(again).json["push"] == "no_token"
    finally:
        again.stop()


def test_a_torn_last_line_is_forgotten(tmp_path: Any) -> None:
    (tmp_path / "requests.jsonl").write_bytes(b'{"n":1,"at":"2026')
    running = Standins(tmp_path)
    try:
        notify(running)
        assert [row["n"] for row in running.log()] == [1]
    finally:
        running.stop()


# --- Receipts ---------------------------------------------------------------------------------------------


class Receiver:
    """A real HTTP server that takes receipts; `statuses` are its next answers, then 200."""

    def __init__(self) -> None:
        self.got: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.put((dict(self.headers.items()), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/push-receipts"

    def next(self) -> Any:
        """The next receipt, its signature verified."""
        headers, body = self.got.get(timeout=10)
        return Webhook(RECEIPT_SECRET).verify(body, headers)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def sending(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Standins]:
    made = Standins(tmp_path_factory.mktemp("receipts"), receiver.url)
    yield made
    made.stop()


def test_a_delivered_receipt_follows_an_accepted_push(sending: Standins, receiver: Receiver) -> None:
    notify(sending, key="k-delivered")
    receipt = receiver.next()
    assert (receipt["idempotency_key"], receipt["state"]) == ("k-delivered", "delivered")
    validate(receipt, "Receipt")


def test_a_receipt_on_demand_is_for_the_newest_notification(sending: Standins, receiver: Receiver) -> None:
    for key in ("k-older", "k-newer"):
        notify(sending, notification("newest"), key=key)
        receiver.next()
    put(sending, "/_receipts", {"sso_id": "newest", "state": "failed", "reason": "uninstalled"})
    receipt = receiver.next()
    assert (receipt["idempotency_key"], receipt["state"], receipt["reason"]) == (
        "k-newer",
        "failed",
        "uninstalled",
    )


def test_no_receipt_by_itself_without_a_phone(sending: Standins, receiver: Receiver) -> None:
    sending.tokens({"phoneless": 0})
    notify(sending, notification("phoneless"), key="k-phoneless")
    notify(sending, key="k-after")
    assert receiver.next()["idempotency_key"] == "k-after"


def test_a_receipt_is_tried_again_under_the_same_id(sending: Standins, receiver: Receiver) -> None:
    receiver.statuses[:] = [503]
    notify(sending)
    first, second = receiver.got.get(timeout=10), receiver.got.get(timeout=10)
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert first[1] == second[1]


def test_a_receipt_changed_on_the_way_does_not_verify(sending: Standins, receiver: Receiver) -> None:
    notify(sending)
    headers, body = receiver.got.get(timeout=10)
    with pytest.raises(WebhookVerificationError):
        Webhook(RECEIPT_SECRET).verify(body.replace(b"delivered", b"opened"), headers)


def test_a_receipt_for_nobody_is_refused(sending: Standins) -> None:
    assert put(sending, "/_receipts", {"sso_id": "nobody", "state": "opened"}).status == 404


def test_a_receipt_in_an_unknown_state_is_refused(sending: Standins) -> None:
    answer = put(sending, "/_receipts", {"sso_id": "sari", "state": "read"})
    assert (answer.status, answer.json["error"]["field"]) == (422, "state")


# --- Pages ------------------------------------------------------------------------------------------------


def test_a_room_page_escapes_the_room_id(running: Standins) -> None:
    page = call(running.url, "GET", "/rooms/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert page.status == 200
    assert b"Room &lt;script&gt;alert(1)&lt;/script&gt;: the chat product would be here" in page.body
    assert b"<script" not in page.body


def test_the_index_escapes_what_it_lists(running: Standins) -> None:
    notify(running, notification(title="<img src=x onerror=alert(1)>"))
    page = call(running.url, "GET", "/").body
    assert b"&lt;img src=x" in page
    assert b"<img" not in page


# --- The command ------------------------------------------------------------------------------------------


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        known = {
            "NOTIFICATION_SERVICE_CLIENT_ID": CLIENT_ID,
            "NOTIFICATION_SERVICE_CLIENT_SECRET": CLIENT_SECRET,
            "NOTIFICATION_SERVICE_RECEIPT_SECRET": RECEIPT_SECRET,
            "BASE_URL": "http://127.0.0.1:1",
        }
        return subprocess.run(
            [sys.executable, "-m", "demo.standins", *arguments],
            cwd=ROOT,
            env=os.environ | known | environ,
            capture_output=True,
            text=True,
            timeout=30,
        )

    return run


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1
    for word in words:
        assert word in result.stderr


def test_a_wrong_port_is_one_sentence(command: Any, tmp_path: Any) -> None:
    refused(command("--port", "99999", "--data", str(tmp_path)), "99999")


def test_a_taken_port_is_one_sentence(command: Any, tmp_path: Any, running: Standins) -> None:
    port = str(urlsplit(running.url).port)
    refused(command("--port", port, "--data", str(tmp_path)), port)


def test_a_folder_in_use_is_one_sentence(command: Any, tmp_path: Any) -> None:
    holder = Standins(tmp_path)
    try:
        refused(command("--port", "0", "--data", str(tmp_path)), str(tmp_path))
    finally:
        holder.stop()


def test_a_missing_secret_is_named(command: Any, tmp_path: Any) -> None:
    result = command("--port", "0", "--data", str(tmp_path), NOTIFICATION_SERVICE_CLIENT_SECRET="")
    refused(result, "NOTIFICATION_SERVICE_CLIENT_SECRET")


def test_a_receipt_secret_of_another_form_is_named(command: Any, tmp_path: Any) -> None:
    result = command("--port", "0", "--data", str(tmp_path), NOTIFICATION_SERVICE_RECEIPT_SECRET="plain")
    refused(result, "NOTIFICATION_SERVICE_RECEIPT_SECRET", "whsec_")


def test_manage_py_runs_the_same_command() -> None:
    result = subprocess.run(
        [sys.executable, "manage.py", "standins", "--port", "x", "--data", "y"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    refused(result, "standins", "'x'")
