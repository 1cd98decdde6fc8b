"""What a report costs the bot that makes it: the time its call takes in the caller's thread, Python and TypeScript.

A server in another process takes what the clients send, so that nothing of it is counted. Reports are paced as a busy
bot makes them; the limit is what serialising the same fields alone costs in the same run.

    python -m bench.client [--small]

Exit code 1: a median is over twice the target; a p99 is the machine's as well. Without node, or a client that is built,
Python alone is measured.
"""

import argparse
import gzip
import json
import multiprocessing
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "clients" / "python")]

from agent_live_monitoring import Client  # noqa: E402 - they are found from here on
from bench.table import Measured, tell  # noqa: E402

WANTED = 50.0  # us in the caller, p99
RUN: dict[str, Any] = {
    "agent_name": "Billing Bot",
    "agent_version": "4.2.0",
    "input_kind": "faq",
    "surface": "chatbot",
    "room_id": "room-42",
    "sla_target_seconds": 30,
    "metadata": {"shop_id": "toko-maju", "ticket_id": "T-9123", "tools": ["search", "refund"]},
}
TYPESCRIPT = ROOT / "clients" / "typescript"


def main() -> int:
    """Parse, measure, print; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.client", description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a short run for .ci/run")
    calls = 3_000 if parser.parse_args().small else 30_000
    with serving() as url, TemporaryDirectory() as folder:
        rows = rows_of("Python, memory", *python(url, calls, None))
        rows += rows_of("Python, spool", *python(url, calls, folder))
        if shutil.which("node") and (TYPESCRIPT / "dist" / "index.js").exists():
            for one in typescript(url, calls):
                rows += rows_of(f"TypeScript, {one['name']}", one["took"], one["alone"])
    return 0 if tell(rows) else 1


def rows_of(name: str, took: list[float], alone: list[float]) -> list[Measured]:
    """Median and p99 of the call in us, beside serialising the same; what else the machine does is in the p99."""
    p50, p99 = (quantile(took, q) for q in (0.5, 0.99))
    limit = f"{WANTED:.0f} us wanted; serialised alone {quantile(alone, 0.5):.1f} / {quantile(alone, 0.99):.1f} us"
    figure = f"a report in the caller, {name}"
    return [
        Measured(f"{figure}, p50", f"{p50:.1f} us", limit, WANTED / p50, 1.0, 0.5),
        Measured(f"{figure}, p99", f"{p99:.1f} us", limit, WANTED / p99, 1.0),
    ]


def python(url: str, calls: int, spool: str | None) -> tuple[list[float], list[float]]:
    """What each call took, and what serialising alone took, in us."""
    client = Client(url, "k", spool=spool)
    client.log_agent_run_start(**RUN)
    client.flush()
    took = timed(lambda: client.log_agent_run_start(**RUN), calls)
    client.close(30)
    return took, timed(lambda: json.dumps(RUN), calls)


def timed(step: Callable[[], object], calls: int) -> list[float]:
    """us of each call; bursts of ten, some 1,500 calls a second."""
    took = []
    for n in range(calls):
        begun = time.perf_counter_ns()
        step()
        took.append((time.perf_counter_ns() - begun) / 1000)
        if n % 10 == 9:
            time.sleep(0.005)
    return took


def typescript(url: str, calls: int) -> list[dict[str, Any]]:
    """The same of the TypeScript client, by its own script."""
    command = ["node", "bench/caller.mjs", url, str(calls), json.dumps(RUN)]
    said = subprocess.run(command, cwd=TYPESCRIPT, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in said.splitlines()]


def quantile(values: list[float], q: float) -> float:
    """The value below which a share `q` lies."""
    return sorted(values)[min(int(len(values) * q), len(values) - 1)]


class Taker(BaseHTTPRequestHandler):
    """Takes everything."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        items = json.loads(gzip.decompress(content) if self.headers["Content-Encoding"] else content)
        taken = [{"index": index, "id": item["run_id"], "status": "created"} for index, item in enumerate(items)]
        body = json.dumps({"results": taken}).encode()
        self.send_response(207)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def _serve(ports: "multiprocessing.SimpleQueue[int]") -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    ports.put(server.server_port)
    server.serve_forever()


@contextmanager
def serving() -> Iterator[str]:
    """The address of a server in a process of its own."""
    ports: multiprocessing.SimpleQueue[int] = multiprocessing.SimpleQueue()
    process = multiprocessing.Process(target=_serve, args=(ports,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get()}"
    finally:
        process.terminate()


if __name__ == "__main__":
    sys.exit(main())
