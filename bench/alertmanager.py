"""Prometheus Alertmanager as a peer: it takes alerts of the same size into memory, and keeps nothing.

Debian's package `prometheus-alertmanager`; where it is not installed the bench says so and goes on.
"""

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.feed_setup import HOST

CONFIG = "route: {receiver: nobody, group_by: [room]}\nreceivers: [{name: nobody}]\n"
STARTS_WITHIN = 10.0  # seconds


@contextmanager
def alertmanager() -> Iterator[int | None]:
    """The port of a running one; None: it is not installed."""
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="live-bench-") as folder, socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        listening.close()
        (Path(folder) / "config.yml").write_text(CONFIG, "utf-8")
        argv = [program, f"--config.file={folder}/config.yml", f"--storage.path={folder}", "--cluster.listen-address="]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen([*argv, f"--web.listen-address={HOST}:{port}"], stdout=quiet, stderr=quiet)
        try:
            _wait_until_ready(port)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_ready(port: int) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            urllib.request.urlopen(f"http://{HOST}:{port}/-/ready").close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def requests(numbers: Iterator[int], how_many: int, size: int) -> list[bytes]:
    """Ready bytes of that many requests of `size` alerts each, five of a room, of some 460 bytes each."""
    return [_request([_alert(next(numbers)) for _ in range(size)]) for _ in range(how_many)]


def _request(alerts: list[dict[str, object]]) -> bytes:
    body = json.dumps(alerts).encode()
    head = f"POST /api/v2/alerts HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _alert(number: int) -> dict[str, object]:
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
