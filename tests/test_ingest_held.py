"""Fault 46: who is not known holds nothing that others need, however slowly or however much they send."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from console.http import asgi, door
from console.ingest.bodies import AsgiScope, Budget, Receive, Send, site
from console.ingest.decode import Refusal
from orgs import webhooks
from orgs.keys import issue
from tests.factories import SourceFactory, UserFactory
from tests.ingest_server import ACTIVITY, EVENTS, RECEIPTS, Sender, event, serving
from tests.tenants import browser
from tests.test_ingest_receipts import signed

pytestmark = pytest.mark.faults

MIB = 1024 * 1024
LOGIN = "/accounts/login/"
FORM = "application/x-www-form-urlencoded"
AT_ONCE = 2.5  # seconds, on a busy machine


def opened(port: int, data: bytes) -> socket.socket:
    """A connection on which this was sent, and nothing more."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(data)
    return connection


@contextmanager
def held(port: int, *requests: bytes) -> Iterator[list[socket.socket]]:
    """A connection for each, on which nothing more is sent."""
    with ExitStack() as stack:
        yield [stack.enter_context(opened(port, data)) for data in requests]


def short_by_one(path: str, size: int, *headers: str, content_type: str = "application/json") -> bytes:
    """A request whose body of `size` bytes lacks its last."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {content_type}", f"Content-Length: {size}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + b" " * (size - 1)


def answer_of(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and JSON of what comes, up to the end of the connection."""
    response = b""
    while data := connection.recv(65536):
        response += data
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def get(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def log_in(sender: Sender) -> int:
    return sender.send(LOGIN, b"login=a%40b.c&password=x", headers={"Content-Type": FORM, "Authorization": None}).status


def assert_all_answer_at_once(sender: Sender) -> None:
    """Events, pages, forms and health."""
    for step, expected in (
        (lambda: sender.post(event()).status, 201),
        (lambda: get(sender.port, LOGIN), 200),
        (lambda: log_in(sender), 403),  # the form has no token: Django judged it
        (lambda: get(sender.port, "/livez"), 200),
        (lambda: get(sender.port, "/readyz"), 200),
    ):
        begun = time.monotonic()
        assert step() == expected
        assert time.monotonic() - begun < AT_ONCE


@pytest.fixture
def warm(sender: Sender, settings: Any) -> Sender:
    """What is made once at the first request is made."""
    settings.NOTIFICATION_SERVICE_RECEIPT_SECRET = "whsec_" + "c2VjcmV0" * 4
    assert sender.post(event()).status == 201
    assert [get(sender.port, path) for path in (LOGIN, "/readyz", "/livez")] == [200, 200, 200]
    return sender


def unsigned() -> list[str]:
    """The headers of a receipt that look signed."""
    headers = signed("another body", secret="whsec_" + "b3RoZXJz" * 4)
    return [f"{name}: {value}" for name, value in headers.items() if value]


def test_46_unauthenticated_bodies_one_byte_short_stop_nobody(warm: Sender) -> None:
    """Mutation: one budget for receipts and events, with no part for each sender: events are refused with 503."""
    machines = [
        short_by_one(EVENTS, 2 * MIB),
        short_by_one(ACTIVITY, 2 * MIB, "Authorization: Bearer no.key"),
        short_by_one("/api/webhooks/qontak/no.token", 2 * MIB),
        short_by_one(RECEIPTS, 2 * MIB),
        short_by_one(RECEIPTS, 60 * 1024, *unsigned()),
    ]
    process = psutil.Process()
    before = process.memory_info().rss
    with held(warm.port, *machines * 32):
        assert_all_answer_at_once(warm)
        assert process.memory_info().rss - before < 64 * MIB


def test_46_forms_that_drip_stop_nobody(warm: Sender) -> None:
    """Mutation: a slot taken before the body is read: every page waits 2 s and is 503."""
    form = short_by_one(LOGIN, 1000, content_type=FORM)
    with held(warm.port, *[form] * 40, *[form.replace(LOGIN.encode(), b"/readyz")] * 10) as dripping:
        for connection in dripping:
            connection.sendall(b"")
        assert_all_answer_at_once(warm)


def test_46_header_blocks_that_never_end_stop_nobody_and_are_408(warm: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: without the timer the connections stay for ever."""
    monkeypatch.setattr(door, "HEAD_SECONDS", 4.0)  # for longer than AT_ONCE
    with held(warm.port, *[b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Wait: "] * 30) as waiting:
        assert_all_answer_at_once(warm)
        for connection in waiting:
            status, content = answer_of(connection)
            assert (status, content["error"]["code"]) == (408, "too_slow")


def test_a_header_that_drips_is_408_all_the_same(
    warm: Sender, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., Any]
) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.5)
    with held(warm.port, b"GET / HTTP/1.1\r\n") as (connection,):
        connection.settimeout(0.05)

        def answered() -> bytes:
            connection.sendall(b"x: y\r\n")
            try:
                return connection.recv(100)
            except TimeoutError:
                return b""

        assert wait_for(answered).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(("sent", "told"), [(b"", b""), (b"\r\n", b"HTTP/1.1 408 ")])
def test_a_connection_without_a_request_is_closed(
    warm: Sender, monkeypatch: pytest.MonkeyPatch, sent: bytes, told: bytes
) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.2)
    with held(warm.port, sent) as (connection,):
        assert connection.recv(100)[: len(told) or None] == told


HEADS = {
    "one header": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ", b"x" * MIB),
    "many headers": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"x: y\r\n" * (MIB // 6)),
    "a long address": (b"GET /", b"x" * MIB),
    "trailers": (
        b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"x: y\r\n" * (MIB // 6),
    ),
}


@pytest.mark.parametrize("kind", HEADS)
def test_46_headers_of_100_mb_are_431_and_memory_stays_flat(warm: Sender, kind: str) -> None:
    """Mutation: without the count in data_received a single header grows in the parser to its end."""
    start, more = HEADS[kind]
    process = psutil.Process()
    before = process.memory_info().rss
    sent = 0
    with held(warm.port, start) as (connection,), pytest.raises(OSError):  # the server does not read on
        while sent < 100:
            connection.sendall(more)
            sent += 1
    assert sent < 32  # MiB, which the kernel's buffers took
    assert process.memory_info().rss - before < 16 * MIB
    assert_all_answer_at_once(warm)


def test_headers_over_32_kib_are_431_in_the_one_error_shape(warm: Sender) -> None:
    large = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"x" * (33 * 1024)
    for data in (large, large + b"\r\n\r\n"):
        with held(warm.port, data) as (connection,):
            status, content = answer_of(connection)
        assert (status, content["error"]["code"]) == (431, "headers_too_large")


def test_headers_of_30_kib_and_bodies_of_any_size_are_taken(warm: Sender) -> None:
    answer = warm.send(EVENTS, json.dumps([event()] * 100).encode(), headers={"X-Long": "x" * 30 * 1024})
    assert answer.status == 207


def test_a_connection_goes_on_after_each_answer_with_its_time_anew(
    warm: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.3)
    connection = HTTPConnection("127.0.0.1", warm.port, timeout=30)
    connection.connect()
    first = connection.sock
    begun = time.monotonic()
    while time.monotonic() - begun < 0.7:  # longer than any one head may take
        connection.request("GET", "/livez", headers={"Connection": "keep-alive"})
        assert connection.getresponse().read() == b"ok\n"
    assert connection.sock is first
    connection.close()


async def answering_at_once(scope: AsgiScope, receive: Receive, send: Send) -> None:
    """An app that never looks at a body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


def test_who_was_answered_before_the_body_was_whole_is_cut_off() -> None:
    """Mutation: without on_response_complete such a connection lives for as long as it drips."""
    with serving(answering_at_once) as port, held(port, short_by_one(LOGIN, 1000)) as (connection,):
        assert answer_of(connection) == (200, {})


async def answering_much(scope: AsgiScope, receive: Receive, send: Send) -> None:
    """An app whose answer is larger than every buffer on the way."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(100):
        await send({"type": "http.response.body", "body": b"x" * MIB, "more_body": True})


def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., Any]) -> None:
    monkeypatch.setattr(door, "STUCK_SECONDS", 0.3)
    with serving(answering_much) as port, held(port, b"GET / HTTP/1.1\r\n\r\n") as (connection,):
        client = connection.getsockname()
        wait_for(lambda: client not in {one.raddr for one in psutil.Process().net_connections() if one.raddr}, 10)


def test_a_receipt_that_cannot_be_signed_is_refused_on_its_headers(warm: Sender) -> None:
    stale = signed("x")["webhook-signature"]
    for headers in (
        [],
        ["webhook-id: 1", "webhook-timestamp: 1", f"webhook-signature: {stale}"],
        ["webhook-id: 1", f"webhook-timestamp: {time.time():.0f}", "webhook-signature: v1,c2hvcnQ="],
    ):
        with held(warm.port, short_by_one(RECEIPTS, 5000, "Expect: 100-continue", *headers)[:-4999]) as (connection,):
            assert answer_of(connection)[0] == 401


def test_receipts_over_64_kib_are_413(warm: Sender, settings: Any) -> None:
    body = b" " * (64 * 1024 + 1)
    secret = settings.NOTIFICATION_SERVICE_RECEIPT_SECRET
    answer = warm.send(RECEIPTS, body, headers=signed(body.decode(), secret=secret))
    assert (answer.status, answer.error["message"]) == (413, "The body is over 64 KiB. Send less in one request.")


def test_a_large_form_is_for_who_is_signed_in(warm: Sender) -> None:
    body = b"csrfmiddlewaretoken=" + b"x" * (100 * 1024)
    form = {"Content-Type": FORM, "Authorization": None}
    assert warm.send(LOGIN, body, headers=form).status == 413
    assert warm.send(LOGIN, body, headers={**form, "Cookie": "session=0123456789abcdef"}).status == 413
    cookie = browser(UserFactory()).cookies["session"].value
    assert warm.send(LOGIN, body, headers={**form, "Cookie": f"session={cookie}"}).status == 403


def test_a_large_call_of_the_api_is_for_a_live_key(warm: Sender) -> None:
    body = json.dumps({"org_id": "x" * 100 * 1024}).encode()
    _, key = issue(SourceFactory(), ["act"])
    calls = {"Bearer no.key": 413, f"Bearer {key}": 404}
    for authorization, expected in calls.items():
        assert warm.send("/api/nothing", body, headers={"Authorization": authorization}).status == expected


def test_what_one_address_holds_leaves_the_others_theirs() -> None:
    budget = Budget(100, 1.0, each=150, at_once=2, total=1000)
    budget.add("203.0.113.1", 151, 1)
    budget.add("203.0.113.2", 10, 3)
    for sender in ("203.0.113.1", "203.0.113.2"):
        with pytest.raises(Refusal) as caught:
            budget.check(sender, 1)
        assert (caught.value.status, caught.value.retry_after) == (429, 1)
    budget.add("203.0.113.3", 10, 1)
    budget.check("203.0.113.3", 10)


def test_one_customer_s_ipv6_addresses_are_one_sender() -> None:
    assert site("2001:db8::1") == site("2001:db8::ffff") != site("2001:db8:0:1::1")
    assert (site("::ffff:203.0.113.1"), site("203.0.113.1"), site("")) == ("203.0.113.1", "203.0.113.1", "")


def test_a_signed_in_person_s_form_is_not_refused_for_the_strangers_on_their_address(
    warm: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = asgi.Slots(asgi.django, 1)
    monkeypatch.setattr(slots.of_anybody, "at_once", 0)
    monkeypatch.setattr(asgi, "pages", slots)
    form: dict[str, str | None] = {"Content-Type": FORM, "Authorization": None}
    assert warm.send(LOGIN, b"login=x", headers=form).status == 429
    cookie = browser(UserFactory()).cookies["session"].value
    assert warm.send(LOGIN, b"login=x", headers={**form, "Cookie": f"session={cookie}"}).status == 403


def test_a_webhook_is_not_asked_for_its_body_from_an_address_that_may_not_post(warm: Sender) -> None:
    org = warm.source.org
    assert org is not None
    _, url = webhooks.create(org, "qontak", allowed_addresses=["203.0.113.0/24"])
    path = urlsplit(url).path
    with held(warm.port, short_by_one(path, 5000, "Expect: 100-continue")[:-4999]) as (connection,):
        assert answer_of(connection)[0] == 403
