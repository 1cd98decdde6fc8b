"""One request of the lane: its headers, and its body read within a budget."""

import asyncio
import re
import time
from collections import Counter
from random import getrandbits

from console.ingest.bodies import AsgiScope, Body, Disconnected, Receive, client_address
from console.ingest.decode import Refusal
from orgs.incoming import is_json

DISCARD_SECONDS = 10.0
DISCARD_LIMIT = 64 * 1024 * 1024  # bytes of a refused body that are read and dropped, so that its sender hears why
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Request(Body):
    """One request and its body; `headers` by lower-case name, a repeated one joined with commas."""

    def __init__(self, scope: AsgiScope, receive: Receive) -> None:
        super().__init__(scope["headers"], receive)
        self.path: str = scope["path"]
        self.name = self.path  # in logs and metrics; a webhook's path is a secret
        self.client = client_address(scope)
        self.method: str = scope["method"]
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.id = request_id(self.headers.get("x-request-id", ""))
        self.started = time.monotonic()
        self.caller = ""
        self.origins: list[str] | None = None  # that the caller's source lists; None: nobody knows who called
        self.counts: Counter[str] = Counter()

    async def discard(self) -> bool:
        """Read and drop the rest of a refused body; False if too much of it is left to keep the connection."""
        if not self.begun and "expect" in self.headers:  # it waits for our word before it sends anything
            return self.whole
        if self.whole:
            return True
        dropped = 0
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self.whole and dropped < DISCARD_LIMIT:
                    dropped += len(await self.chunk())
        except (TimeoutError, Disconnected):
            return False
        return self.whole


def request_id(given: str) -> str:
    """The sender's id of a request if it is a sane one, else a new one."""
    return given if REQUEST_ID.fullmatch(given) else f"{getrandbits(128):032x}"  # no secret; as `new_id`


def is_packed(request: Request) -> bool:
    """Whether the body is gzip. Raises Refusal (415) for any other packing, and for what is no JSON in UTF-8."""
    if not is_json(request.headers.get("content-type", "")):
        raise Refusal(415, "unsupported_type", "Send Content-Type: application/json, in UTF-8.")
    packing = request.headers.get("content-encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip"):
        raise Refusal(415, "unsupported_type", "Send the body as it is, or with Content-Encoding: gzip.")
    return packing == "gzip"
