"""Reads the body of a request, of pages and of the lane, whole before anything works on it.

A sender we do not know yet may send little, and only for a short time. Each kind of sender has a budget of its own and
each sender a part of it, so nobody takes what others need.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from console.ingest.decode import Refusal, too_large

AsgiScope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[AsgiScope, Receive, Send], Awaitable[None]]

SITE = 64  # bits: one customer has every IPv6 address that begins with the same 64


class Disconnected(Exception):
    """The sender left before the body was whole: there is nobody to answer."""


class Budget:
    """What the bodies of one kind of sender may take of this process.

    `limit`: bytes of a body; `seconds`: from the headers to its end; `each`, `at_once`: bytes and number of the bodies
    of one sender that are held at one time; `total`: bytes of all senders.
    """

    def __init__(self, limit: int, seconds: float, *, each: int, at_once: int, total: int) -> None:
        self.limit, self.seconds, self.each, self.at_once, self.total = limit, seconds, each, at_once, total
        self.held: Counter[str] = Counter()  # bytes by sender
        self.open: Counter[str] = Counter()  # bodies by sender
        self.bytes = 0

    def add(self, sender: str, size: int, bodies: int = 0) -> None:
        """Count bytes, and bodies; negative ones are let go."""
        self.bytes += size
        self.held[sender] += size
        self.open[sender] += bodies
        if not self.open[sender]:  # its bytes are gone too: nobody is remembered
            del self.open[sender], self.held[sender]

    def check(self, sender: str, size: int) -> None:
        """Whether this sender's body may go on, with `size` bytes here or announced. Raises Refusal: 413, 429, 503."""
        if size > self.limit:
            raise too_large(self.limit)
        if self.open[sender] > self.at_once or self.held[sender] > self.each:
            raise Refusal(429, "too_much_at_once", "Wait for the answers to your other requests.", retry_after=1)
        if self.bytes > self.total:
            raise Refusal(503, "overloaded", "Too much is being sent. Send this again.", retry_after=1)


class Body:
    """The body of one request, as far as it has come. Call `free` at the end."""

    def __init__(self, headers: list[tuple[bytes, bytes]], receive: Receive) -> None:
        length = next((value for name, value in headers if name == b"content-length"), b"")
        self.announced = int(length[:20]) if length.isdigit() else 0
        self.content = bytearray()
        self.begun = self.whole = False
        self._since = asyncio.get_running_loop().time()
        self._receive = receive
        self._place: tuple[Budget, str] | None = None

    async def read(self, budget: Budget, sender: str) -> bytes:
        """All of it, within the budget; refused as soon as it grows over, whatever Content-Length says.

        Called again with another budget it goes on. Raises Refusal (408, 413, 429, 503), Disconnected.
        """
        self.free()
        self._place = budget, sender
        budget.add(sender, len(self.content), 1)
        budget.check(sender, max(self.announced, len(self.content)))
        try:
            async with asyncio.timeout_at(self._since + budget.seconds):
                while not self.whole:
                    chunk = await self.chunk()
                    self.content += chunk
                    budget.add(sender, len(chunk))
                    budget.check(sender, len(self.content))
        except TimeoutError:
            raise Refusal(408, "too_slow", "The body did not arrive in time. Send it again.") from None
        return bytes(self.content)

    async def chunk(self) -> bytes:
        """The next piece. Raises Disconnected."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        self.begun = True
        self.whole = not message.get("more_body", False)
        return message.get("body", b"")

    def free(self) -> None:
        """Let go of what is counted."""
        if self._place is not None:
            budget, sender = self._place
            budget.add(sender, -len(self.content), -1)
            self._place = None


def client_address(scope: AsgiScope) -> str:
    """The address that a request came from; empty if the server does not know."""
    return (scope.get("client") or ("",))[0]


def site(address: str) -> str:
    """Whose budget an address draws on: an IPv4 address's own, an IPv6 address's network of 64 bits."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, SITE), strict=False))
    return str(found)
