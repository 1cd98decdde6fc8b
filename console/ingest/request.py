"""One request of the lane: its headers, and its body read with a limit."""

import asyncio
import re
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from console.ingest.decode import BODY_LIMIT, Refusal, too_large

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

READ_SECONDS = 30.0
DISCARD_SECONDS = 10.0
DISCARD_LIMIT = 64 * 1024 * 1024  # bytes of a refused body that are read and dropped, so that its sender hears why
HELD_LIMIT = 64 * 1024 * 1024  # bytes of the bodies of all requests at one time
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
CONTENT_TYPE = re.compile(r"application/json\s*(?:;\s*(?:charset=\"?utf-?8\"?\s*)?)?", re.IGNORECASE)


class Disconnected(Exception):
    """The sender left before the body was whole: there is nobody to answer."""


class Held:
    """How many bytes of bodies are held, by all requests of this process."""

    def __init__(self) -> None:
        self.bytes = 0


class Request:
    """One request; `headers` by lower-case name, a repeated one joined with commas."""

    def __init__(self, scope: Scope, receive: Receive, held: Held) -> None:
        self.path: str = scope["path"]
        self.name = self.path  # in logs and metrics; a webhook's path is a secret
        self.client: str = (scope.get("client") or ("",))[0]
        self.method: str = scope["method"]
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.id = request_id(self.headers.get("x-request-id", ""))
        self.started = time.monotonic()
        self.caller = ""
        self.counts: Counter[str] = Counter()
        self._receive = receive
        self._held = held
        self._content = bytearray()
        self._read_any = False
        self._whole = False

    async def read(self) -> bytes:
        """The body, refused as soon as it grows over 2 MiB, whatever Content-Length says. Raises Refusal."""
        length = self.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > BODY_LIMIT:
            raise too_large()
        try:
            async with asyncio.timeout(READ_SECONDS):
                while not self._whole:
                    self._keep(await self._chunk())
        except TimeoutError:
            raise Refusal(408, "too_slow", "The body did not arrive in time. Send it again.") from None
        return bytes(self._content)

    def _keep(self, chunk: bytes) -> None:
        if len(self._content) + len(chunk) > BODY_LIMIT:
            raise too_large()
        if self._held.bytes + len(chunk) > HELD_LIMIT:
            raise Refusal(503, "overloaded", "Too much is being sent. Send this again.", retry_after=1)
        self._content += chunk
        self._held.bytes += len(chunk)

    async def _chunk(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        self._read_any = True
        self._whole = not message.get("more_body", False)
        return message.get("body", b"")

    async def discard(self) -> bool:
        """Read and drop the rest of a refused body; False if too much of it is left to keep the connection."""
        if self._whole:
            return True
        if not self._read_any and "expect" in self.headers:  # it waits for our word before it sends anything
            return False
        dropped = 0
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self._whole and dropped < DISCARD_LIMIT:
                    dropped += len(await self._chunk())
        except (TimeoutError, Disconnected):
            return False
        return self._whole

    def free(self) -> None:
        """Let go of the body."""
        self._held.bytes -= len(self._content)
        self._content = bytearray()


def request_id(given: str) -> str:
    """The sender's id of a request if it is a sane one, else a new one."""
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def is_packed(request: Request) -> bool:
    """Whether the body is gzip. Raises Refusal (415) for any other packing, and for what is no JSON in UTF-8."""
    if not CONTENT_TYPE.fullmatch(request.headers.get("content-type", "").strip()):
        raise Refusal(415, "unsupported_type", "Send Content-Type: application/json, in UTF-8.")
    packing = request.headers.get("content-encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip"):
        raise Refusal(415, "unsupported_type", "Send the body as it is, or with Content-Encoding: gzip.")
    return packing == "gzip"
