"""The helpers of bench/feed.py, each a process of its own: many sockets that listen, and the servers beside us.

Both are told what to do by JSON lines on stdin and answer with JSON lines on stdout. Times are CLOCK_MONOTONIC, which
all processes of one machine share.
"""

import asyncio
import base64
import json
import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

TOKEN = re.compile(r">bench-(\d{6})</bdi>")  # the room's name in a row
AT_ONCE = 25  # handshakes
TEXT, PING, PONG = 1, 9, 10
Command = dict[str, Any]


@dataclass
class Group:
    """Sockets that get the same bytes: one org, one language."""

    frames: dict[bytes, "Frame"] = field(default_factory=dict)
    arrivals: list[tuple[str, float]] = field(default_factory=list)  # token and time, once per socket


@dataclass
class Frame:
    """One frame, parsed once for all sockets that got these bytes."""

    text: str
    kind: str
    tokens: list[str]
    orgs: dict[str, Any]
    first: float

    @classmethod
    def parse(cls, data: bytes, at: float) -> "Frame":
        content = json.loads(data)
        html = "".join(row["html"] for row in content.get("rows", []))
        return cls(data.decode(), content["type"], TOKEN.findall(html), content["orgs"], at)


class Socket(asyncio.Protocol):
    """A WebSocket client that does as little as can be: it keeps when which frame came, and follows the chain."""

    def __init__(self, group: Group, request: bytes) -> None:
        self.group, self.request = group, request
        self.buffer = bytearray()
        self.open = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.chain: dict[str, str] = {}
        self.seen: set[str] = set()  # a row may come again
        self.breaks = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        at = time.monotonic()
        self.buffer += data
        if not self.open:
            head, gap, rest = bytes(self.buffer).partition(b"\r\n\r\n")
            if not gap:
                return
            if b" 101 " not in head[:20]:
                self.ready.set_exception(ConnectionError(head[:200].decode()))
                return
            self.open, self.buffer = True, bytearray(rest)
        while payload := self._next():
            self._take(payload, at)

    def _next(self) -> bytes | None:
        """The payload of the next whole text frame; a server's frames are not masked."""
        buffer = self.buffer
        while len(buffer) >= 2:
            length, start = buffer[1] & 127, 2
            if length >= 126:
                start = 4 if length == 126 else 10
                length = int.from_bytes(buffer[2:start])
            if len(buffer) < start + length:
                return None
            opcode, payload = buffer[0] & 15, bytes(buffer[start : start + length])
            del buffer[: start + length]
            if opcode == TEXT:
                return payload
            if opcode == PING:
                self.transport.write(bytes([0x80 | PONG, 0x80 | len(payload)]) + bytes(4) + payload)  # masked by zeros
        return None

    def _take(self, payload: bytes, at: float) -> None:
        frame = self.group.frames.get(payload)
        if frame is None:
            frame = self.group.frames[payload] = Frame.parse(payload, at)
        if frame.kind == "rows":
            for org, link in frame.orgs.items():
                self.breaks += self.chain.get(org, "0:0") != link["prev"]
                self.chain[org] = link["checksum"]
            for token in frame.tokens:
                if token not in self.seen:
                    self.seen.add(token)
                    self.group.arrivals.append((token, at))
        else:
            self.breaks += frame.kind == "beat" and self.chain != frame.orgs
            self.chain = dict(frame.orgs)
        if not self.ready.done():
            self.ready.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.breaks += 1  # nobody closes a socket while it is measured
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("closed"))


class Listeners:
    """`connect` opens sockets, `report` says what came since the last report."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = defaultdict(Group)
        self.sockets: list[Socket] = []

    async def connect(self, command: Command) -> dict[str, Any]:
        """{host, port, greets, sockets: [{group, path, cookie, address}]}; `greets`: the server speaks first."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(wanted: dict[str, str]) -> None:
            async with gate:
                await self._open(command, wanted)

        started = time.monotonic()
        await asyncio.gather(*(one(wanted) for wanted in command["sockets"]))
        return {"open": len(self.sockets), "seconds": time.monotonic() - started}

    async def _open(self, command: Command, wanted: dict[str, str]) -> None:
        server = f"{command['host']}:{command['port']}"
        lines = [
            f"GET {wanted['path']} HTTP/1.1",
            f"Host: {server}",
            f"Origin: http://{command['host']}",  # what bench/feed_setup.py calls BASE_URL
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            f"Cookie: {wanted['cookie']}",
        ]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        _, socket = await asyncio.get_running_loop().create_connection(
            lambda: Socket(self.groups[wanted["group"]], request),
            command["host"],
            command["port"],
            local_addr=(wanted["address"], 0),
        )
        if command["greets"]:
            await asyncio.wait_for(socket.ready, 60)
        self.sockets.append(socket)

    async def report(self, command: Command) -> dict[str, Any]:
        """{sent: token -> time}: how long each took to each socket, and every distinct frame in order of arrival."""
        sent = command["sent"]
        waits: list[float] = []
        frames: list[dict[str, Any]] = []
        for name, group in self.groups.items():
            waits += [at - sent[token] for token, at in group.arrivals if token in sent]
            rows = [frame for frame in group.frames.values() if frame.kind == "rows"]
            frames += [{"group": name, "at": frame.first, "text": frame.text} for frame in rows]
            group.arrivals, group.frames = [], {}
        breaks = sum(socket.breaks for socket in self.sockets)
        for socket in self.sockets:
            socket.breaks = 0
            socket.seen.clear()
        frames.sort(key=lambda frame: frame["at"])
        return {"waits": sorted(waits), "breaks": breaks, "frames": frames}

    async def count(self, command: Command) -> dict[str, Any]:
        """How many rows have arrived since the last report, over all sockets."""
        return {"rows": sum(len(group.arrivals) for group in self.groups.values())}


class Bare:
    """The limit: `websockets` broadcasting the same bytes at the same moments to as many sockets."""

    def __init__(self) -> None:
        self.groups: dict[str, set[ServerConnection]] = defaultdict(set)

    async def listen(self, command: Command) -> dict[str, Any]:
        """{host}: the port it serves at."""
        self.server = await serve(self._hold, command["host"], 0, compression=None, ping_interval=None)
        return {"port": next(iter(self.server.sockets)).getsockname()[1]}

    async def _hold(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        group = self.groups[connection.request.path.removeprefix("/")]
        group.add(connection)
        try:
            await connection.wait_closed()
        finally:
            group.discard(connection)

    async def replay(self, command: Command) -> dict[str, Any]:
        """{frames: [{group, at, text}]} as the listeners reported them: when each row was sent."""
        frames, sent = command["frames"], dict[str, float]()
        offset = time.monotonic() - frames[0]["at"]
        for frame in frames:
            await asyncio.sleep(max(0.0, frame["at"] + offset - time.monotonic()))
            for token in TOKEN.findall(json.loads(frame["text"])["rows"][0]["html"]):
                sent.setdefault(token, time.monotonic())
            broadcast(self.groups[frame["group"]], frame["text"])
        return {"sent": sent}


async def obey(commands: dict[str, Callable[[Command], Awaitable[dict[str, Any]]]]) -> None:
    """One JSON line in, one out, until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 30)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        answer = await commands[command["do"]](command)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


async def main(role: str) -> None:
    if role == "bare":
        bare = Bare()
        await obey({"listen": bare.listen, "replay": bare.replay})
    elif role == "stock":
        from bench.peer.stock_channels import Stock  # needs Django, which the others do without

        stock = Stock()
        await obey({"listen": stock.listen, "replay": stock.replay})
    else:
        listeners = Listeners()
        await obey({"connect": listeners.connect, "report": listeners.report, "count": listeners.count})


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
