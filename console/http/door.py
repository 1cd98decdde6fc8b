"""The server's side of a connection. It bounds the headers of a request in bytes and time before anything runs.

uvicorn takes headers, trailers and chunk extensions of any size, and waits for ever for them and for a client that does
not read.
"""

import asyncio
import uuid
from typing import Any

import msgspec
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from orgs.errors import error_body

HEAD_LIMIT = 32 * 1024  # bytes of the request line, the headers and the trailers
HEAD_SECONDS = 10.0
STUCK_SECONDS = 30.0  # without reading anything of an answer

log = structlog.get_logger(__name__)


class _TooLarge(Exception):
    """Raised into the parser, which then stops."""


class Door(HttpToolsProtocol):
    """uvicorn's HTTP protocol with those bounds: 431 and 408, then the connection is closed."""

    _head = 0  # bytes of the finished headers of this request
    _unread = 0  # bytes received since the parser last finished something: they wait in its memory
    _in_body = False
    _late: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        self._is_read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(STUCK_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._is_read()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unread += len(data)
        if not self._in_body:
            self._wait_for_head()
        super().data_received(data)
        if self._unread > HEAD_LIMIT:
            self._turn_away(431, "headers_too_large", f"The headers are over {HEAD_LIMIT // 1024} KiB.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._in_body = 0, False
        self._wait_for_head()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_is_here()
        self._unread, self._in_body = 0, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread, self._in_body = 0, False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A client that has its answer before its body is whole could send the rest for ever."""
        super().on_response_complete()
        if self._in_body and self.cycle.response_complete:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        if self._head > HEAD_LIMIT:
            self._turn_away(431, "headers_too_large", f"The headers are over {HEAD_LIMIT // 1024} KiB.")
        else:
            self._turn_away(400, "bad_request", msg)

    def _count(self, count: int) -> None:
        self._head += count
        if self._head > HEAD_LIMIT:
            raise _TooLarge

    def _is_read(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _wait_for_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_here(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _head_is_late(self) -> None:
        self._late = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait_for_head()  # the answer to the request before is still on its way
        elif self._unread:
            self._turn_away(408, "too_slow", "The headers did not arrive in time.")
        else:
            self.transport.close()  # a browser that connected ahead and had nothing to ask

    def _turn_away(self, status: int, code: str, message: str) -> None:
        if self.transport.is_closing():
            return
        log.info("turned_away", status=status, code=code)
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_answer(status, msgspec.json.encode(error_body(code, message))))
        self.transport.close()


def _answer(status: int, body: bytes) -> bytes:
    headers: dict[str, Any] = {
        "content-type": "application/json",
        "content-length": len(body),
        "x-request-id": uuid.uuid4().hex,
        "connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[status] + lines.encode() + b"\r\n" + body
