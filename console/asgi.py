"""The one ASGI application: sockets to the feed, machine writes to the lane, everything else to Django."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application

django: Any = get_asgi_application()

import msgspec  # noqa: E402 - models can be imported only after Django is set up
from servestatic import ServeStaticASGI  # noqa: E402

from console.ingest.http import answers, lane  # noqa: E402
from console.ingest.request import Message, Receive, Scope, Send, request_id  # noqa: E402
from console.proxies import behind_proxies  # noqa: E402
from console.sockets import websocket_application  # noqa: E402
from orgs.errors import error_body  # noqa: E402

SLOT_WAIT = 2.0  # seconds
BODY_SECONDS = 30.0
BODY_LIMIT = 16 * 1024 * 1024  # bytes; a CSV of assignments is the largest thing a page takes
UNLIMITED = frozenset({"/livez"})
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Refused(Exception):
    """The body of a page is too large or too slow."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


class Slots:
    """Django behind a bound: each of its requests costs a thread and perhaps a connection.

    A request waits 2 s for a slot, then gets 503. uvicorn's own limit counts sockets too and cannot serve here.
    """

    def __init__(self, app: App, slots: int) -> None:
        self._app = app
        self._slots = asyncio.Semaphore(slots)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in UNLIMITED:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(SLOT_WAIT):
                await self._slots.acquire()
        except TimeoutError:
            await _refuse(send, 503, "overloaded", "Too many requests at once. Try again.", retry_after=2)
            return
        try:
            await self._app(scope, _Body(receive), send)
        except _Refused as error:
            await _refuse(send, error.status, error.code, error.message)
        finally:
            self._slots.release()


class _Body:
    """`receive` of a page, which reads the whole body before anything else: bounded in bytes and time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0
        self._whole = False
        self._until = asyncio.get_running_loop().time() + BODY_SECONDS

    async def __call__(self) -> Message:
        if self._whole:  # from here on it only tells when the browser leaves
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise _Refused(408, "too_slow", "The body did not arrive in time.") from None
        self._bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._bytes > BODY_LIMIT:
            raise _Refused(413, "too_large", "The body is over 16 MiB.")
        return message


async def _refuse(send: Send, status: int, code: str, message: str, retry_after: int | None = None) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(error_body(code, message))})


def with_request_id(app: App) -> App:
    """Give the app a sane X-Request-Id, its sender's or a new one, and the answer the same."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        pair = (b"x-request-id", request_id(given.decode("latin-1")).encode())
        headers = [(name, value) for name, value in scope["headers"] if name != pair[0]]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name, value) for name, value in message.get("headers", []) if name.lower() != pair[0]]
                message = {**message, "headers": [*own, pair]}
            await send(message)

        await app({**scope, "headers": [*headers, pair]}, receive, answer)

    return wrapped


def _static_headers(headers: Any, path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"


def _with_static(app: App) -> App:
    """Static files answered in front of the slots; those with a hash in their name may be kept for ever.

    Where nothing was collected, Django's middleware finds them in the source.
    """
    if not Path(settings.STATIC_ROOT).is_dir():
        return app
    return ServeStaticASGI(
        app,
        root=settings.STATIC_ROOT,
        prefix=settings.STATIC_URL,
        immutable_file_test=r"\.[0-9a-f]{12}\.[^/]+$",
        add_headers_function=_static_headers,
    )


pages = with_request_id(_with_static(Slots(django, settings.DJANGO_SLOTS)))


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await asyncio.to_thread(lane().close)
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


@behind_proxies
async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """What the server calls."""
    if scope["type"] == "websocket":
        await websocket_application(scope, receive, send)
    elif scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif answers(scope["path"]):
        await lane()(scope, receive, send)
    else:
        await pages(scope, receive, send)
