"""Debian's Alertmanager, the peer of decisions and pushes: it takes alerts of the same size, into memory alone.

Where `prometheus-alertmanager` is not installed a bench says so and goes on.
"""

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from bench.feed_setup import HOST
from bench.peer.ports import free_port, until_open

PROGRAM = "prometheus-alertmanager"
MISSING = f"{PROGRAM} is not installed: not compared"
CONFIG = """
route: {receiver: bench, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
- name: bench
"""
HOOK = "  webhook_configs: [{url: 'http://%s:%d/', send_resolved: false}]\n"
PATIENCE = 20.0  # seconds for the last delivery


@contextmanager
def alertmanager(receiver: int | None = None) -> Iterator[int | None]:
    """The port of a running one, which sends each alert at once to `receiver`, a port; None: it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="live-bench-") as folder:
        Path(folder, "config.yml").write_text(CONFIG + (HOOK % (HOST, receiver) if receiver else ""), "utf-8")
        argv = [program, f"--config.file={folder}/config.yml", f"--storage.path={folder}", "--cluster.listen-address="]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen([*argv, f"--web.listen-address={HOST}:{port}"], stdout=quiet, stderr=quiet)
        try:
            until_open(port)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def requests(numbers: Iterator[int], how_many: int, size: int) -> list[bytes]:
    """Ready bytes of that many requests of `size` alerts each, of some 460 bytes each."""
    return [_request([_alert(next(numbers)) for _ in range(size)]) for _ in range(how_many)]


async def delivered(how_many: int, rate: float) -> list[float] | None:
    """Seconds from the POST of an alert to its webhook, `rate` a second, sorted; None: it is not installed."""
    seen: dict[str, float] = {}
    server = await asyncio.start_server(lambda reader, writer: _receive(seen, reader, writer), HOST, 0)
    numbers, sent = count(), dict[str, float]()
    with alertmanager(server.sockets[0].getsockname()[1]) as port:
        if port is None:
            return None
        reader, writer = await asyncio.open_connection(HOST, port)
        began = time.monotonic()
        for n in range(how_many):
            await asyncio.sleep(max(0.0, began + n / rate - time.monotonic()))
            alert = _alert(next(numbers))
            sent[alert["labels"]["event"]] = time.monotonic()
            writer.write(_request([alert]))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if head.split()[1] != "200":
                raise SystemExit(f"Alertmanager refused an alert: {head}")
        deadline = time.monotonic() + PATIENCE
        while not sent.keys() <= seen.keys():
            if time.monotonic() > deadline:
                raise SystemExit("Alertmanager did not deliver all alerts.")
            await asyncio.sleep(0.05)
        writer.close()
    server.close()
    return sorted(seen[event] - at for event, at in sent.items())


async def _receive(seen: dict[str, float], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of the receiver: it keeps when each event came."""
    while True:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):  # it left, or the bench is over
            break
        body = await reader.readexactly(int(head.partition("content-length:")[2].split("\r\n")[0]))
        for alert in json.loads(body)["alerts"]:
            seen.setdefault(alert["labels"]["event"], time.monotonic())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    writer.close()


def _request(alerts: list[dict[str, Any]]) -> bytes:
    body = json.dumps(alerts).encode()
    head = f"POST /api/v2/alerts HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _alert(number: int) -> dict[str, Any]:
    return {
        "labels": {
            "alertname": "agent_error",
            "agent": f"Agent {number % 20}",
            "room": f"room-{number // 5}",
            "event": f"event-{number}",
            "run": f"00000000-0000-4000-8000-{number:012d}",
        },
        "annotations": {
            "error": "The model gave no answer within 30 s",
            "room": f"Order {number}",
            "said": "Halo, pesanan saya belum datang, bisa dibantu?",
        },
        "startsAt": datetime.now(UTC).isoformat(),
    }
