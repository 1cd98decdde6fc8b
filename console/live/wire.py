"""The wires of the feed: we encode a frame once, write it to each, and cut off a client that does not read.

ASGI's `send` encodes anew for every socket, and waits for ever for a client that does not read.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, cast

import msgspec
import structlog
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame as Encoder
from websockets.frames import Opcode
from websockets.http11 import Request

STUCK_SECONDS = 10.0
GOODBYE_SECONDS = 10.0
AGAIN = 1013  # close code: try again later
EXTENSION = "live.wire"
KERNEL_BYTES = 128 * 1024  # of what was written and not read; the kernel's own limit is megabytes a socket

log = structlog.get_logger(__name__)


class Frame(NamedTuple):
    """A message as JSON, and as the bytes of a WebSocket text frame."""

    text: bytes
    data: bytes


def encode(content: Any) -> Frame:
    """Encode a message once for all sockets."""
    text = msgspec.json.encode(content)
    return Frame(text, Encoder(Opcode.TEXT, text).serialize(mask=False))


class Wire(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which the application finds in the extensions of the scope.

    `full`: what was written has not been read yet; more of it for 10 s, and the socket is closed with 1013.
    """

    on_drain: Callable[[], None] | None = None
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        event.headers.clear()  # the scope has them; a socket lives for hours, and so would these 2.5 kB
        if self.response.status_code == 101:
            extensions: dict[str, Any] = cast(Any, self.scope["extensions"])
            extensions[EXTENSION] = self

    @property
    def full(self) -> bool:
        return not self.writable.is_set()

    def write(self, frame: Frame) -> None:
        """Write at once; ask `full` before."""
        if not self.close_sent and not self.transport.is_closing():
            self.transport.write(frame.data)

    def end(self, code: int) -> None:
        """Close without waiting; a client that has not answered 10 s later is cut off."""
        if self.close_sent or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": ""})
        self.conn.send_close(code)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._cut_off_soon()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(STUCK_SECONDS, self.end, AGAIN)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unstuck()
        if self.on_drain is not None:
            self.on_drain()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._cut_off_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unstuck()
        super().connection_lost(exc)

    def _unstuck(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _cut_off_soon(self) -> None:
        """uvicorn would only close, which waits until all is written: for ever, if nobody reads."""
        self.close_timer = self.loop.call_later(GOODBYE_SECONDS, self.transport.abort)


class PlainWire:
    """The same over plain ASGI, for other servers such as `runserver`'s: one send under way at a time."""

    def __init__(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._send = send
        self._sending: asyncio.Task[None] | None = None
        self.on_drain: Callable[[], None] | None = None

    @property
    def full(self) -> bool:
        return self._sending is not None

    def write(self, frame: Frame) -> None:
        """Begin to send; ask `full` before."""
        self._begin({"type": "websocket.send", "text": frame.text.decode()})

    def end(self, code: int) -> None:
        """Begin to close, and give up the frame that is still on its way."""
        if self._sending is not None:
            self._sending.cancel()
        self._begin({"type": "websocket.close", "code": code})

    def _begin(self, message: dict[str, Any]) -> None:
        self._sending = asyncio.create_task(self._deliver(message))

    async def _deliver(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(STUCK_SECONDS):
                await self._send(message)
        except (TimeoutError, RuntimeError, OSError) as error:
            log.info("feed_socket_gone", error=type(error).__name__)  # its disconnect takes it out of the hub
        if self._sending is asyncio.current_task():
            self._sending = None
            if self.on_drain is not None:
                self.on_drain()
