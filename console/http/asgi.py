"""The one ASGI application: sockets to the feed, machine writes to the lane, everything else to Django."""

import asyncio
import codecs
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from django import setup
from django.conf import settings
from django.utils.http import parse_header_parameters

setup(set_prefix=False)

import msgspec  # noqa: E402 - models can be imported only after Django is set up
from servestatic import ServeStaticASGI  # noqa: E402

from console.http.callers import known_caller  # noqa: E402
from console.http.heartbeat import beating  # noqa: E402
from console.http.mount import Mount  # noqa: E402
from console.http.proxies import behind_proxies  # noqa: E402
from console.ingest.bodies import (  # noqa: E402
    App,
    AsgiScope,
    Body,
    Budget,
    Disconnected,
    Message,
    Receive,
    Send,
    client_address,
    site,
)
from console.ingest.decode import MIB, Refusal  # noqa: E402
from console.ingest.http import answers, lane  # noqa: E402
from console.ingest.request import request_id  # noqa: E402
from console.live.sockets import websocket_application  # noqa: E402
from console.loaded import keep_loaded  # noqa: E402
from orgs.errors import error_body  # noqa: E402

SLOT_WAIT = 2.0  # seconds
FORM_LIMIT = 64 * 1024  # bytes; every form of a page and nearly every call of the API is smaller
UPLOAD_LIMIT = 16 * MIB  # bytes; a CSV of assignments is the largest thing a page takes
HEALTH_SLOTS = 2
_lookups = ThreadPoolExecutor(4, thread_name_prefix="callers")
django = Mount(settings.DJANGO_SLOTS + 2 * HEALTH_SLOTS)


class Slots:
    """Django behind a bound: each of its requests costs a thread and perhaps a connection.

    Nobody holds a slot while only sending or receiving: we read the body before we take one, and send an answer that
    is whole after we give it back. A request waits 2 s for a slot, then gets 503. uvicorn's own limit counts sockets
    too and cannot serve here.
    """

    def __init__(self, app: App, slots: int) -> None:
        self._app = app
        self._slots = asyncio.Semaphore(slots)
        self.of_anybody = Budget(FORM_LIMIT, 10.0, each=MIB, at_once=64, total=16 * MIB)
        self.of_known = Budget(UPLOAD_LIMIT, 30.0, each=32 * MIB, at_once=64, total=64 * MIB)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        body, answer = Body(scope["headers"], receive), _Answer(send)
        try:
            _check_type(scope["headers"])
            content = await self._read(scope, body)
            async with self._slot():
                await self._app(scope, _whole(content, receive), answer)
        except Refusal as error:
            await _refuse(answer, error)
        except Disconnected:
            return
        finally:
            body.free()
        await answer.finish()

    async def _read(self, scope: AsgiScope, body: Body) -> bytes:
        """The body. Only what is too much for anybody is worth asking who sends it. Raises Refusal, Disconnected."""
        try:
            return await body.read(self.of_anybody, site(client_address(scope)))
        except Refusal as error:
            if error.status == 408:
                raise
            async with self._slot():
                look_up = partial(known_caller, scope["headers"])
                caller = await asyncio.get_running_loop().run_in_executor(_lookups, look_up)
            if caller is None:
                raise
        return await body.read(self.of_known, caller)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(SLOT_WAIT):
                await self._slots.acquire()
        except TimeoutError:
            raise Refusal(503, "overloaded", "Too many requests at once. Try again.", retry_after=2) from None
        try:
            yield
        finally:
            self._slots.release()


def _check_type(headers: list[tuple[bytes, bytes]]) -> None:
    """Raise Refusal (415) for a Content-Type in no encoding of texts: Django would decode it, and its form, so."""
    given = b",".join(value for name, value in headers if name == b"content-type").decode("latin-1")
    try:
        kind, parameters = parse_header_parameters(given)
        in_utf8 = codecs.lookup(parameters.get("charset", "utf-8")).name == "utf-8"
    except (LookupError, ValueError):  # its own parameters name an encoding (RFC 2231)
        kind, in_utf8 = "", False
    if not in_utf8 and kind in ("", "multipart/form-data"):
        raise Refusal(415, "unsupported_type", "This Content-Type cannot be read. Send UTF-8.")


def _whole(content: bytes, receive: Receive) -> Receive:
    """`receive` of an app whose request is here; after its body it tells only when the browser leaves."""
    waiting = [{"type": "http.request", "body": content, "more_body": False}]

    async def given() -> Message:
        return waiting.pop() if waiting else await receive()

    return given


class _Answer:
    """`send` that keeps an answer of known length until `finish`; what streams goes out as it is made."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._kept: list[Message] | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            sized = any(name.lower() == b"content-length" for name, _ in message.get("headers", []))
            self._kept = [] if sized else None
        if self._kept is None:
            await self._send(message)
        else:
            self._kept.append(message)

    async def finish(self) -> None:
        for message in self._kept or []:
            await self._send(message)


async def _refuse(send: Send, error: Refusal) -> None:
    body = msgspec.json.encode(error_body(error.code, error.message))
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length), (b"connection", b"close")]
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def with_request_id(app: App) -> App:
    """Give the app a sane X-Request-Id, its sender's or a new one, and the answer the same."""

    async def wrapped(scope: AsgiScope, receive: Receive, send: Send) -> None:
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

    In development nothing is collected, and Django's middleware finds them in the source.
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


def behind_slots(app: App, slots: int) -> App:
    """The app with this many slots. Health checks have their own: a full house is no reason for a restart."""
    healths = {path: Slots(app, HEALTH_SLOTS) for path in ("/livez", "/readyz")}
    others = Slots(app, slots)

    async def chosen(scope: AsgiScope, receive: Receive, send: Send) -> None:
        await healths.get(scope["path"], others)(scope, receive, send)

    return chosen


pages = with_request_id(_with_static(behind_slots(django, settings.DJANGO_SLOTS)))


async def _lifespan(receive: Receive, send: Send) -> None:
    async with beating() if settings.WEB_HEARTBEAT else nullcontext():
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                keep_loaded(pages=True)
            else:
                await asyncio.to_thread(lane().close)
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


@behind_proxies
async def application(scope: AsgiScope, receive: Receive, send: Send) -> None:
    """What the server calls. An address of the API means the same with slashes at its end."""
    if scope.get("path", "").startswith("/api/"):
        scope = {**scope, "path": scope["path"].rstrip("/") if scope["path"].strip("/") != "api" else "/api/"}
    if scope["type"] == "websocket":
        await websocket_application(scope, receive, send)
    elif scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif answers(scope["path"]):
        await lane()(scope, receive, send)
    else:
        await pages(scope, receive, send)
