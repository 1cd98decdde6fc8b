"""Django within ASGI: one thread a request, nothing left behind in it, connections given back, streams that end."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.utils import translation

from console.http.mount import Mount
from console.ingest.bodies import Message

PATIENCE = 30.0
seen: dict[str, Any] = {}
together = threading.Barrier(4)


def ask(request: HttpRequest) -> HttpResponse:
    """Everything that a request may leave behind in its thread: a language, a connection."""
    language = translation.get_language()
    translation.activate("id")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    together.wait(PATIENCE)
    return HttpResponse(language, headers={"X-Thread": threading.current_thread().name})


class NamingMiddleware:
    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["X-Outside"] = threading.current_thread().name
        return response


def endless(request: HttpRequest) -> StreamingHttpResponse:
    """Asks the database for each part, and says when it is over."""

    def look() -> bytes:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'part'")
            return str(cursor.fetchone()[0]).encode()

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield await sync_to_async(look)()
        finally:
            seen["over"] = True

    return StreamingHttpResponse(parts())


def failing(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


urlpatterns = [path("ask", ask), path("endless", endless), path("failing", failing)]
handler500 = "django.views.defaults.server_error"


@pytest.fixture
def mount(transactional_db: None, settings: Any) -> Mount:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [f"{__name__}.NamingMiddleware"]
    return Mount(4)


async def call(app: Mount, address: str, leaves_after: int | None = None) -> list[Message]:
    """What is sent until the app ends; the client leaves after so many parts."""
    sent: list[Message] = []
    left = asyncio.Event()
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if asked:
            return asked.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if leaves_after is not None and len(sent) > leaves_after:
            left.set()
        await asyncio.sleep(0)

    scope = {"type": "http", "method": "GET", "path": address, "query_string": b"", "headers": []}
    await asyncio.wait_for(app(scope, receive, send), PATIENCE)
    return sent


def headers_of(answer: list[Message]) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in answer[0]["headers"]}


def held() -> int:
    """Connections that somebody has taken out of the pool."""
    pool: Any = connections["default"].pool  # type: ignore[attr-defined]
    stats = pool.get_stats()
    return int(stats["pool_size"] - stats["pool_available"])


async def given_back(before: int) -> None:
    """No more are taken than before, once other threads of this process have done what they were at."""
    async with asyncio.timeout(PATIENCE):
        while await sync_to_async(held)() > before:
            await asyncio.sleep(0.05)  # a poll of a condition


async def test_a_request_stays_in_its_thread_and_leaves_nothing_there(mount: Mount) -> None:
    before = await sync_to_async(held)()
    for _ in range(2):  # the second time in threads that were used
        answers = await asyncio.gather(*(call(mount, "/ask") for _ in range(4)))
        named = [headers_of(answer) for answer in answers]
        assert all(one["x-thread"] == one["x-outside"] for one in named)
        assert len({one["x-thread"] for one in named}) == 4
        assert {answer[1]["body"] for answer in answers} == {b"en"}
    await given_back(before)


async def test_a_stream_ends_when_its_client_leaves_and_gives_its_connection_back(mount: Mount) -> None:
    seen.clear()
    before = await sync_to_async(held)()
    sent = await call(mount, "/endless", leaves_after=3)
    assert [message["body"] for message in sent[1:4]] == [b"part"] * 3
    assert seen == {"over": True}
    await given_back(before)


async def test_a_view_that_fails_is_a_500_and_the_thread_goes_on(mount: Mount) -> None:
    for _ in range(5):
        assert (await call(mount, "/failing"))[0]["status"] == 500


@pytest.fixture(scope="module")
def afterwards() -> Iterator[None]:
    """What holds when the tests of this module are over."""
    yield
    assert SyncToAsync.single_thread_executor.submit(lambda: connection.connection).result(PATIENCE) is None


@pytest.mark.usefixtures("transactional_db", "afterwards")
async def test_an_asynchronous_test_leaves_no_connection_to_be_cut() -> None:
    """Of the tests themselves: `_given_back` in conftest.py."""

    def look() -> Any:
        connection.ensure_connection()
        return connection.connection

    assert await sync_to_async(look)() is not None
