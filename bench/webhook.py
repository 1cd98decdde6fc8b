"""One org's flood of webhook deliveries: is each answered within a second, and what do the other orgs notice?

A real web process and dispatcher on a scratch database. Another org posts failure events at a steady pace, first alone,
then beside 10,000 deliveries a minute of one org; the latency of its posts alone is the limit of the same run. In the
end as many deliveries a second come as a sale of 100 orgs asks for (docs/scale.md).

    python -m bench.webhook [--small] [--scale N]

Needs DATABASE_URL (a role that may create databases) and REDIS_URL. Exit code 1: a delivery was not 200, took over a
second at p99, was not worked a minute later, or the others' median is over MOST times what it was.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg

from bench.feed_setup import HOST, ROOT, environment, web_process
from bench.ingest import event
from bench.table import Measured, tell

FLOOD, STEADY = 10_000 / 60, 10.0  # requests a second
SALE = 700.0  # deliveries a second
CONNECTIONS = 16
SECONDS = 20.0
WITHIN = 1.0  # seconds for the answer to a delivery
WORKED_WITHIN = 60.0  # seconds after the flood
MOST = 8.0  # times; twice what a slow machine measured, where the flood comes as fast

numbers = count()


def main() -> int:
    """Parse, measure on a scratch database, print; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.webhook", description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a short run for .ci/run")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="N times as long")
    options = parser.parse_args()
    for name in ("DATABASE_URL", "REDIS_URL"):
        if name not in os.environ:
            parser.error(f"{name} is not set")
    os.environ.setdefault("SECRET_KEY", "only-for-this-bench-" + os.urandom(32).hex())
    with ExitStack() as stack:
        environment(stack)
        key, path = set_up()
        _, port = stack.enter_context(web_process())
        stack.enter_context(dispatcher())
        seconds = SECONDS * options.scale * (0.3 if options.small else 1.0)
        return asyncio.run(measure(port, key, path, seconds))


def set_up() -> tuple[str, str]:
    """The key of one org's source, and the path of another's webhook address."""
    from django_scopes import scopes_disabled

    from orgs import webhooks
    from orgs.models import ApiKey, Org, Source

    with scopes_disabled():
        quiet, loud = (Org.objects.create(external_id=name, name=name) for name in ("quiet", "loud"))
        key = ApiKey.objects.create_key(
            name="bench", source=Source.objects.create(org=quiet, name="bench"), scopes=["ingest"]
        )[1]
        return key, urlsplit(webhooks.create(loud, "qontak")[1]).path


@contextmanager
def dispatcher() -> Iterator[None]:
    """`manage.py dispatcher`, which works the deliveries."""
    process = subprocess.Popen([sys.executable, "manage.py", "dispatcher"], cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


async def measure(port: int, key: str, path: str, seconds: float) -> int:
    """The steady posts alone, then beside the flood; figures printed; the exit code."""
    steady = lambda: posted(key)  # noqa: E731
    await pace(port, steady, STEADY, 2.0, 2)  # warm
    alone = await pace(port, steady, STEADY, seconds, 2)
    flood, beside = await asyncio.gather(
        pace(port, lambda: delivered(path), FLOOD, seconds, CONNECTIONS), pace(port, steady, STEADY, seconds, 2)
    )
    began = time.perf_counter()
    sale = await pace(port, lambda: delivered(path), SALE, seconds / 2, CONNECTIONS)
    taken = len(sale) / (time.perf_counter() - began)
    waiting, worked_in = await worked()
    ratio = statistics.median(beside) / statistics.median(alone)
    beside_said, alone_said = ms(beside), f"{ms(alone)} alone"
    fast = tell(
        [
            Measured(
                "others' events beside a flood of webhooks, p50 / p99",
                beside_said,
                alone_said,
                1 / ratio,
                0.5,
                1 / MOST,
            ),
            Measured(
                f"answer to a webhook, {len(flood) / seconds:,.0f}/s, p50 / p99",
                ms(flood),
                f"{WITHIN * 1000:.0f} ms",
                WITHIN / quantile(flood, 0.99),
                1.0,
                1.0,
            ),
            Measured(
                "webhooks/s answered, a sale of 100 orgs",
                f"{taken:,.0f}",
                f"{SALE:,.0f}",
                taken / SALE,
                1.0,
                0.2,  # on a busy machine
            ),
            Measured("answer to one of them, p50 / p99", ms(sale), f"{WITHIN * 1000:.0f} ms"),
        ]
    )
    print(f"all worked {worked_in:.1f} s after the flood, {waiting} left")
    return 0 if fast and not waiting else 1


def ms(latencies: list[float]) -> str:
    """p50 and p99 in words."""
    return " / ".join(f"{1000 * quantile(latencies, q):.1f}" for q in (0.5, 0.99)) + " ms"


def quantile(values: list[float], q: float) -> float:
    """The value below which a share `q` lies."""
    return sorted(values)[min(int(len(values) * q), len(values) - 1)]


async def pace(port: int, made: Callable[[], bytes], rate: float, seconds: float, connections: int) -> list[float]:
    """Send `rate` requests a second for so long, each due at its moment: seconds from due to answer, of each."""
    start = time.perf_counter()
    due = iter([start + n / rate for n in range(int(rate * seconds))])
    latencies: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        for at in due:
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            writer.write(made())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.partition("content-length:")[2].split("\r\n")[0]))
            if head.split()[1] not in ("200", "201"):
                raise SystemExit(f"Refused: {head.split()[1]}")
            latencies.append(time.perf_counter() - at)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return latencies


def posted(key: str) -> bytes:
    """A failure event of the quiet org."""
    return _request("/api/failure-events", event(next(numbers)), f"Authorization: Bearer {key}\r\n")


def delivered(path: str) -> bytes:
    """A message in one of 500 rooms of the loud org, of some 900 bytes."""
    number = next(numbers)
    who, kind = (("customer", "Contact"), ("bot", "SystemAccount"), ("agent", "User"))[number % 3]
    at = datetime.now(UTC).isoformat()
    room = {"id": f"room-{number % 500}", "status": "unassigned", "updated_at": at, "channel": "wa", "name": "Sari D"}
    message = {
        "id": f"message-{number}", "status": "created", "created_at": at, "participant_type": who,
        "sender_type": f"Models::{kind}", "sender_id": "x0", "organization_id": "loud", "room_id": room["id"],
        "room": room | {"account_uniq_id": "6281200000001", "tags": [], "type": "Models::CustomerServiceRoom"},
        "text": "Halo, pesanan saya belum datang, bisa dibantu? Nomor saya 0812-0000-0001.", "type": "text",
    }  # fmt: skip
    return _request(path, message, "")


def _request(path: str, content: Mapping[str, object], headers: str) -> bytes:
    body = json.dumps(content).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{headers}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def worked() -> tuple[int, float]:
    """How many deliveries wait, and for how many seconds it was waited until none did."""
    started = time.perf_counter()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        while True:
            row = connection.execute("SELECT count(*) FROM alerts_webhookdelivery WHERE outcome = ''").fetchone()
            assert row is not None
            passed = time.perf_counter() - started
            if not row[0] or passed > WORKED_WITHIN:
                return row[0], passed
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
