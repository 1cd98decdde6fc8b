"""What stands around Django: slots, bounded bodies, request ids, static files, the lane's paths."""

import asyncio
import json
import re
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as database

from console.http import asgi
from console.ingest.bodies import AsgiScope, Message, Receive, Send
from tests.ingest_server import Sender

PATIENCE = 30.0
LOGIN = "/accounts/login/"


async def call(
    app: asgi.App, *chunks: bytes, path: str = "/", headers: list[tuple[bytes, bytes]] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a request whose body comes in these chunks."""
    waiting = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": headers or []}
    await asyncio.wait_for(app(scope, receive, send), PATIENCE)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:])


async def reading(scope: AsgiScope, receive: Receive, send: Send) -> None:
    """An app that reads its body and answers with its length and its request id."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message["body"]), message["more_body"]
    given = dict(scope["headers"]).get(b"x-request-id", b"")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"length", str(length).encode())]})
    await send({"type": "http.response.body", "body": given})


class Holding:
    """An app that answers nothing until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/livez":
            self.begun.set()
            await self.go_on.wait()
        await reading(scope, receive, send)


async def test_without_a_free_slot_the_answer_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "SLOT_WAIT", 0.05)
    holding = Holding()
    slots = asgi.Slots(holding, 1)
    held = asyncio.create_task(call(slots))
    await holding.begun.wait()
    status, headers, body = await call(slots)
    assert (status, headers["retry-after"]) == (503, "2")
    assert json.loads(body)["error"]["code"] == "overloaded"
    holding.go_on.set()
    assert (await held)[0] == 200
    assert (await call(slots))[0] == 200


async def test_livez_needs_no_slot() -> None:
    holding = Holding()
    slots = asgi.behind_slots(holding, 1)
    held = asyncio.create_task(call(slots))
    await holding.begun.wait()
    assert (await call(slots, path="/livez"))[0] == 200
    holding.go_on.set()
    await held


async def test_a_slot_is_given_back_when_the_app_fails() -> None:
    async def failing(scope: AsgiScope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    slots = asgi.Slots(failing, 1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await call(slots)


async def test_a_page_s_body_is_bounded() -> None:
    slots = asgi.Slots(reading, 1)
    slots.of_anybody.limit = 10
    assert (await call(slots, b"12345", b"67890"))[1]["length"] == "10"
    status, _, body = await call(slots, b"12345", b"678901")
    assert (status, json.loads(body)["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/plain; charset*=nope''%20", 415),
        ("text/plain; x*=undefined''%20", 415),
        ("multipart/form-data; boundary*=idna''%ff", 415),
        ("multipart/form-data; boundary=x; charset=base64", 415),
        ("multipart/form-data; boundary=x; charset=unicode_escape", 415),
        ("multipart/form-data; boundary=x; charset=nope", 415),
        ("multipart/form-data; boundary=x; charset=UTF-8", 403),  # read, and without a token
        ("multipart/form-data; boundary=x", 403),
        ("text/plain; charset=latin-1", 403),
        ("", 403),
    ],
)
def test_a_form_in_what_is_no_utf8_is_415(sender: Sender, content_type: str, status: int) -> None:
    """Mutation: Django decodes by whatever encoding the sender names, before any of our code runs: 500."""
    form = b'--x\r\nContent-Disposition: form-data; name="login"\r\n\r\n\\ud800\r\n--x--\r\n'
    answer = sender.send(LOGIN, form, headers={"Content-Type": content_type, "Authorization": None})
    assert answer.status == status


async def test_a_page_s_body_that_does_not_arrive_takes_no_slot() -> None:
    slots = asgi.Slots(reading, 1)
    slots.of_anybody.seconds = 0.05
    sent: list[Message] = []

    async def silence() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(message: Message) -> None:
        sent.append(message)

    await asyncio.wait_for(slots({"type": "http", "path": "/", "headers": []}, silence, send), PATIENCE)
    assert sent[0]["status"] == 408
    assert (await call(slots))[0] == 200


async def test_a_page_gets_the_request_id_and_answers_with_it() -> None:
    app = asgi.with_request_id(reading)
    _, headers, body = await call(app, headers=[(b"x-request-id", b"from-me")])
    assert (headers["x-request-id"], body) == ("from-me", b"from-me")
    _, headers, body = await call(app, headers=[(b"x-request-id", b"not\tsane")])
    assert len(headers["x-request-id"]) == 32 and headers["x-request-id"].encode() == body


async def test_static_files_take_no_slot(tmp_path: Path, settings: Any) -> None:
    (tmp_path / "app.0123456789ab.js").write_text("1")
    (tmp_path / "plain.js").write_text("2")
    settings.STATIC_ROOT = tmp_path
    holding = Holding()
    app = asgi._with_static(asgi.Slots(holding, 0))
    scope = {"type": "http", "method": "GET", "headers": [], "query_string": b""}
    for name, kept in (("app.0123456789ab.js", True), ("plain.js", False)):
        sent: list[Message] = []

        async def send(message: Message, sent: list[Message] = sent) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        await asyncio.wait_for(app({**scope, "path": f"/static/{name}"}, receive, send), PATIENCE)
        headers = dict(sent[0]["headers"])
        assert sent[0]["status"] == 200 and headers[b"x-content-type-options"] == b"nosniff"
        assert (b"immutable" in headers[b"cache-control"]) is kept


def test_without_collected_files_django_answers_itself(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = tmp_path / "nothing"
    assert asgi._with_static(reading) is reading


@pytest.mark.parametrize(
    ("path", "status"), [("/api/alerts", 403), ("/api/schema", 200), ("/api/", 404), ("/api//", 404)]
)
def test_a_slash_at_the_end_of_an_api_address_means_the_same(sender: Sender, path: str, status: int) -> None:
    """The sender's key may not read. Examples of the document hold the second in which it was asked for."""
    answers = [sender.send(one, b"", method="GET") for one in (path, f"{path}/")]
    assert [answer.status for answer in answers] == [status] * 2
    bodies = [re.sub(rb"20\d\d-\d\d-\d\dT[\d:]{8}Z", b"", answer.body) for answer in answers]
    assert bodies[0] == bodies[1]


def test_a_page_s_answer_carries_a_request_id(sender: Sender) -> None:
    connection = HTTPConnection("127.0.0.1", sender.port, timeout=30)
    connection.request("GET", "/no-such-page", headers={"X-Request-Id": "from-me"})
    response = connection.getresponse()
    assert (response.status, response.getheader("X-Request-Id")) == (404, "from-me")
    connection.close()


def test_an_error_page_gives_its_connection_back(sender: Sender, wait_for: Callable[..., Any]) -> None:
    """Django renders it in a thread of its own; held there, six of the pool's 24 would be gone for good."""

    def used() -> int:
        pool = database.pool.get_stats()
        return pool["pool_size"] - pool["pool_available"]

    before = used()  # this test's own, and what tests before it left in their threads
    for _ in range(3):
        sender.send("/no-such-page", b"", method="GET")
    wait_for(lambda: used() <= before)
