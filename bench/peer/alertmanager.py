"""The peer of decisions and pushes: Debian's Alertmanager, beside us in the same run where it is installed.

It keeps its alerts in memory and writes them to disk now and then; ours are committed before they are answered.
"""

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from bench.feed_setup import HOST
from bench.peer.ports import free_port, until_open

PROGRAM = "prometheus-alertmanager"
CONFIG = """
route: {receiver: bench, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
- name: bench
  webhook_configs: [{url: 'http://%s:%d/', send_resolved: false, max_alerts: 0}]
"""

numbers = count()


class Alertmanager:
    """One that runs on `port` and sends each alert to `Receiver`."""

    def __init__(self, port: int, receiver: "Receiver") -> None:
        self.port, self.receiver = port, receiver

    async def accepts(self, how_many: int, connections: int, size: int) -> float:
        """Alerts a second that it answers with 200, so many requests of `size` alerts each."""
        waiting = iter([_request(self.port, [_alert(next(numbers)) for _ in range(size)]) for _ in range(how_many)])
        began = time.perf_counter()
        await asyncio.gather(*(self._sender(waiting) for _ in range(connections)))
        return how_many * size / (time.perf_counter() - began)

    async def _sender(self, waiting: Iterator[bytes]) -> None:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        for request in waiting:
            await _exchange(reader, writer, request)
        writer.close()

    async def delivers(self, how_many: int, rate: float) -> list[float]:
        """Seconds from the POST of an alert to its arrival at the receiver, `rate` a second, sorted."""
        sent: dict[str, float] = {}
        reader, writer = await asyncio.open_connection(HOST, self.port)
        began = time.monotonic()
        for n in range(how_many):
            await asyncio.sleep(max(0.0, began + n / rate - time.monotonic()))
            alert = _alert(next(numbers))
            sent[alert["labels"]["room"]] = time.monotonic()
            await _exchange(reader, writer, _request(self.port, [alert]))
        writer.close()
        deadline = time.monotonic() + 20
        while not sent.keys() <= self.receiver.seen.keys():
            if time.monotonic() > deadline:
                raise SystemExit("Alertmanager did not deliver all alerts.")
            await asyncio.sleep(0.05)
        return sorted(self.receiver.seen[room] - at for room, at in sent.items())


class Receiver:
    """A bare HTTP server that keeps when each room's alert arrived."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            except (asyncio.IncompleteReadError, asyncio.CancelledError):  # it left, or the bench is over
                break
            body = await reader.readexactly(int(head.partition("content-length:")[2].split("\r\n")[0]))
            for alert in json.loads(body)["alerts"]:
                self.seen.setdefault(alert["labels"]["room"], time.monotonic())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()


@contextmanager
def started(receiver_port: int) -> Iterator[int]:
    """Alertmanager on a free port, its data in a folder that is gone afterwards; the port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="live-peer-", dir="/tmp") as folder:
        config = Path(folder, "config.yml")
        config.write_text(CONFIG % (HOST, receiver_port))
        where = [f"--config.file={config}", f"--storage.path={folder}", f"--web.listen-address={HOST}:{port}"]
        process = subprocess.Popen(
            [PROGRAM, *where, "--cluster.listen-address="], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            until_open(port)
            yield port
        finally:
            process.kill()
            process.wait()


def is_installed() -> bool:
    """Whether the peer can run here."""
    return shutil.which(PROGRAM) is not None


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    await reader.readexactly(int((head.partition("content-length:")[2] or "0").split("\r\n")[0]))
    if head.split()[1] != "200":
        raise SystemExit(f"Alertmanager refused an alert: {head}")


def _alert(number: int) -> dict[str, Any]:
    """As much as a failure event of ours says."""
    return {
        "labels": {
            "alertname": "agent_error",
            "agent": f"Agent {number % 20}",
            "room": f"room-{number}",
            "severity": "critical",
            "channel": "whatsapp",
            "version": "2026.11.3",
        },
        "annotations": {
            "error": "The model gave no answer within 30 s",
            "label": f"Order {number}",
            "text": "Halo, pesanan saya belum datang, bisa dibantu?",
        },
    }


def _request(port: int, alerts: list[dict[str, Any]]) -> bytes:
    body = json.dumps(alerts).encode()
    head = f"POST /api/v2/alerts HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
