"""How fast the outbox empties, and how long a failure event takes to reach notification-service.

Rows of the outbox are swept against the stand-in; the limit in the same run is a bare aiohttp loop that posts the
same bodies, 50 in flight, to the same stand-in. Then failure events are POSTed to a real web process with a real
worker behind it, 20 a second one by one and 200 a second by fives; the limit there is a bare chain: one raw commit and
one POST for each. Of the time of the whole chain the lane's answer is a part, which is printed beside it.

    python -m bench.push [--small] [--scale N]

Needs DATABASE_URL (a role that may create databases) and a Valkey or Redis server program. Exit code 1: a push was
lost, or a ratio is below half of what was measured (FLOORS).
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import aiohttp  # noqa: E402
import psycopg  # noqa: E402
from psycopg import sql  # noqa: E402

from bench.peer import alertmanager  # noqa: E402
from bench.table import Measured, tell  # noqa: E402

PUSHES = 2000  # swept in one round, at scale 1
ROUNDS = 3
SECONDS = 15.0
IN_FLIGHT = 50
# Half of what was measured on two quiet cores: outbox / bare loop (less than that where they are); bare / whole chain.
# A third of it at 20/s: the bare chain moves by half, and in a short run the p99 is the second slowest of 80 events.
FLOORS = {"throughput": 0.23, "20/s p50": 0.06, "20/s p99": 0.03, "200/s p50": 0.08, "200/s p99": 0.1}
HOPS = """
SELECT key, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY value::float)) FROM alerts_push, jsonb_each_text(trace)
WHERE planned_at > to_timestamp(%s) GROUP BY key ORDER BY 2
"""


class Pace(NamedTuple):
    """How events come, and what they may take: p50 and p99 in milliseconds, beside 5x and 10x of the bare chain."""

    posts: float  # a second
    events: int  # a post
    p50: float
    p99: float

    @property
    def name(self) -> str:
        return f"{self.posts * self.events:g}/s"


PACES = (Pace(20.0, 1, 15.0, 60.0), Pace(40.0, 5, 15.0, 150.0))


def main() -> int:
    """Parse, measure on a scratch database, print; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.push", description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a short run for .ci/run")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="N times as many pushes")
    options = parser.parse_args()
    if "DATABASE_URL" not in os.environ:
        parser.error("DATABASE_URL is not set")
    with scratch_database() as url, tempfile.TemporaryDirectory(prefix="live-bench-", dir="/tmp") as folder:
        set_up(url, Path(folder))
        return measure(PUSHES * options.scale // (4 if options.small else 1), 4.0 if options.small else SECONDS, url)


@contextmanager
def scratch_database() -> Iterator[str]:
    """A database that is gone afterwards; its URL."""
    name = f"live_bench_push_{os.getpid()}"
    given = os.environ["DATABASE_URL"]
    with psycopg.connect(given, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(given)._replace(path=f"/{name}"))
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def set_up(url: str, folder: Path) -> None:
    """Django on the scratch database, without a limit of its own on pushes; nobody listens at its Redis."""
    os.environ |= {
        "DATABASE_URL": url,
        "REDIS_URL": f"unix://{folder}/none.sock",
        "SECRET_KEY": "only-for-this-bench-" + uuid4().hex,
        "DATA_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "PUSH_RATE_PER_SECOND": "1000000",
        "PUSH_BURST": "1000000",
        "LOG_LEVEL": "ERROR",
    }
    os.chdir(ROOT)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def measure(pushes: int, seconds: float, url: str) -> int:
    """Both halves of the bench; 0 if nothing was lost and every ratio holds."""
    from django.conf import settings

    from tests.stack import stack
    from tests.standins import CLIENT_ID, CLIENT_SECRET, Standins

    with tempfile.TemporaryDirectory(prefix="live-standins-", dir="/tmp") as folder:
        standins = Standins(Path(folder))
        settings.NOTIFICATION_SERVICE_URL = standins.url
        settings.NOTIFICATION_SERVICE_CLIENT_ID, settings.NOTIFICATION_SERVICE_CLIENT_SECRET = CLIENT_ID, CLIENT_SECRET
        try:
            rows = [throughput(pushes)]
            with stack(standins, url) as running:
                key = start(running)
                for pace in PACES:
                    rows += latency(running, pace, seconds, url, key)
            return 0 if tell(rows) else 1
        finally:
            standins.stop()


# --- pushes a second -----------------------------------------------------------------------------------------------


def throughput(pushes: int) -> Measured:
    """Rounds of bare loop and outbox, in turns; the medians."""
    bodies = plan(pushes)
    raw, swept = [], []
    for _ in range(1 + ROUNDS):  # the first warms up and is dropped
        raw.append(pushes / asyncio.run(post_all(bodies)))
        swept.append(pushes / sweep_all(pushes))
    limit, figure = statistics.median(raw[1:]), statistics.median(swept[1:])
    said = f"{limit:,.0f} bare aiohttp loop"
    figure_said = f"pushes/s out of the outbox, {pushes:,} due"
    return Measured(figure_said, f"{figure:,.0f}", said, figure / limit, 0.8, FLOORS["throughput"])


def plan(count: int) -> list[str]:
    """So many pushes of one alert each, spread over ten orgs; their bodies."""
    from django_scopes import scopes_disabled

    from alerts.delivery.message import idempotency_key
    from alerts.models import Alert, Push, Room, new_id
    from tests.factories import AlertFactory, AssignmentFactory, PushFactory, RoomFactory

    with scopes_disabled():
        bodies: list[str] = []
        for _ in range(10):
            assignment = AssignmentFactory()
            one = PushFactory(alert=AlertFactory(org=assignment.org), assignment=None, supervisor=assignment.user)
            rooms = RoomFactory.build_batch(count // 10, org=one.org)
            Room.objects.bulk_create(rooms)
            alerts = AlertFactory.build_batch(count // 10, org=one.org, agent=one.alert.agent, room=None)
            for alert, room in zip(alerts, rooms, strict=True):
                alert.room = room
            Alert.objects.bulk_create(alerts)
            copies = [{"id": new_id(), "alert": alert, "room": alert.room} for alert in alerts]
            same = {"org": one.org, "supervisor": one.supervisor, "reason": "first", "severity": one.severity}
            same |= {"planned_at": one.planned_at, "occurrence": 1, "body": one.body, "state": "cancelled"}
            Push.objects.bulk_create(
                Push(**copy, **same, idempotency_key=idempotency_key(copy["id"])) for copy in copies
            )
            one.delete()
            bodies += [one.body] * len(copies)
    return bodies


def sweep_all(count: int) -> float:
    """Seconds that one sweep takes to send them all. Raises SystemExit if one is not sent."""
    from django.db.models.functions import Now
    from django_scopes import scopes_disabled

    from alerts.delivery import outbox
    from alerts.models import Push

    with scopes_disabled():
        keys = [(push.id, uuid4()) for push in Push.objects.only("id")]
        Push.objects.update(state="pending", next_attempt_at=Now(), planned_at=Now(), attempts=0, sent_at=None)
        Push.objects.bulk_update(
            [Push(id=push_id, idempotency_key=key) for push_id, key in keys], ["idempotency_key"], batch_size=500
        )
        began = time.monotonic()
        outbox.sweep_outbox(until=began + 600)
        took = time.monotonic() - began
        sent = Push.objects.filter(state="sent").count()
        Push.objects.update(state="cancelled")
    if sent != count:
        raise SystemExit(f"{count - sent} of {count} pushes were not sent.")
    return took


async def post_all(bodies: list[str]) -> float:
    """Seconds that a loop takes which does nothing but post."""
    waiting = list(bodies)

    async def lane(session: aiohttp.ClientSession) -> None:
        while waiting:
            assert await post(session, waiting.pop()) == 202

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:
        began = time.monotonic()
        await asyncio.gather(*[lane(session) for _ in range(IN_FLIGHT)])
        return time.monotonic() - began


async def post(session: aiohttp.ClientSession, body: str) -> int:
    """One signed POST; its status, the answer read."""
    from django.conf import settings

    from alerts.delivery.notification_service import NOTIFICATIONS, sign

    date = formatdate(usegmt=True)
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": uuid4().hex,
        "Date": date,
        "Authorization": sign("POST", NOTIFICATIONS, date),
    }
    async with session.post(settings.NOTIFICATION_SERVICE_URL + NOTIFICATIONS, data=body, headers=headers) as answer:
        await answer.read()
        return answer.status


# --- event to notification-service ---------------------------------------------------------------------------------


def start(running: Any) -> str:
    """Web and worker, warm; the key of a source."""
    running.start("web", LOG_LEVEL="ERROR")
    running.start("worker", LOG_LEVEL="INFO")  # it is known to be ready by its log
    key = make_source()
    asyncio.run(whole_chain(PACES[0], 10, running.url, key))  # imports, connections, caches
    return key


def latency(running: Any, pace: Pace, seconds: float, url: str, key: str) -> list[Measured]:
    """The whole chain against the bare one, and against Alertmanager's, at the same rate."""
    posts = int(pace.posts * seconds)
    bare_started, _ = asyncio.run(bare_chain(pace, posts, url))
    bare = arrivals(running.standins, bare_started)
    started, answered = asyncio.run(whole_chain(pace, posts, running.url, key))
    whole = arrivals(running.standins, started)
    peer = asyncio.run(alertmanager.delivered(posts, pace.posts))
    with psycopg.connect(url) as connection:
        hops = connection.execute(HOPS, [min(started.values())]).fetchall()
    print(f"event -> push, {pace.name}: p50 of each hop, in ms from the plan: ", end="")
    print(", ".join(f"{name} {after:g}" for name, after in hops))
    print(
        f"  the lane's answer p50 {percentile(answered, 0.5) * 1000:.1f} ms"
        + (f"; {alertmanager.MISSING}" * (not peer))
    )
    rows = []
    for name, share, times, most in (("p50", 0.5, 5, pace.p50), ("p99", 0.99, 10, pace.p99)):
        limit, figure = percentile(bare, share), percentile(whole, share)
        said = f"{limit * 1000:.1f} ms a raw commit and a POST"
        where = f"event -> push, {pace.name}, {name}"
        value = f"{figure * 1000:.1f} ms"
        rows.append(Measured(where, value, said, limit / figure, 1 / times, FLOORS[f"{pace.name} {name}"]))
        rows.append(Measured(where, value, f"{most:g} ms wanted", most / figure / 1000, 1.0))
        if peer:
            rows.append(Measured(where, value, f"{percentile(peer, share) * 1000:.1f} ms Alertmanager"))
    return rows


def make_source() -> str:
    """An org with one supervisor, and a key that may write for it."""
    from orgs.models import ApiKey
    from tests.factories import AssignmentFactory, SourceFactory, without_limits

    org = without_limits(AssignmentFactory().org)
    _, key = ApiKey.objects.create_key(
        source=SourceFactory(org=org), name="bench", scopes=["ingest"], rate_per_minute=0
    )
    return key


Started = tuple[dict[str, float], list[float]]  # wall-clock start by room id; how long each took to be answered, sorted


async def whole_chain(pace: Pace, posts: int, url: str, key: str) -> Started:
    """POST failure events at this pace."""

    async def one(session: aiohttp.ClientSession, room_ids: list[str]) -> None:
        events = [
            {
                "event_id": room_id,
                "agent_name": "Billing Bot",
                "room_id": room_id,
                "signal": "agent_error",
                "error": {"type": "Timeout"},
                "occurred_at": datetime.now(UTC).isoformat(),
            }
            for room_id in room_ids
        ]
        headers = {"Authorization": f"Bearer {key}"}
        body = events[0] if len(events) == 1 else events
        async with session.post(f"{url}/api/failure-events", json=body, headers=headers) as answer:
            assert answer.status in (201, 207), await answer.text()

    return await paced(pace, posts, one)


async def bare_chain(pace: Pace, posts: int, url: str) -> Started:
    """One raw commit and one POST for each event, at the same pace."""
    from tests.factories import PushFactory

    with_room = (await asyncio.to_thread(PushFactory)).body
    was = with_room.split('"room_id":"')[1].split('"')[0]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS bare (id text PRIMARY KEY, body text)")

        async def one(session: aiohttp.ClientSession, room_ids: list[str]) -> None:
            for room_id in room_ids:
                body = with_room.replace(f'"room_id":"{was}"', f'"room_id":"{room_id}"')
                await connection.execute("INSERT INTO bare VALUES (%s, %s)", (room_id, body))
                assert await post(session, body) == 202

        return await paced(pace, posts, one)


async def paced(pace: Pace, posts: int, one: Callable[[aiohttp.ClientSession, list[str]], Awaitable[None]]) -> Started:
    """Run `one` for so many posts, at the pace whatever each takes."""
    started: dict[str, float] = {}
    took: list[float] = []

    async def timed(session: aiohttp.ClientSession, room_ids: list[str]) -> None:
        at = time.monotonic()
        await one(session, room_ids)
        took.append(time.monotonic() - at)

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        began = time.monotonic()
        for number in range(posts):
            await asyncio.sleep(began + number / pace.posts - time.monotonic())
            room_ids = [uuid4().hex for _ in range(pace.events)]
            started |= dict.fromkeys(room_ids, time.time())
            group.create_task(timed(session, room_ids))
    return started, sorted(took)


def arrivals(standins: Any, started: dict[str, float]) -> list[float]:
    """Seconds from each start to its arrival at the stand-in, sorted. Raises SystemExit if one does not arrive."""
    deadline = time.monotonic() + 20
    while True:
        found = {
            row["body"]["data"]["room_id"]: datetime.fromisoformat(row["at"]).timestamp()
            for row in standins.log()
            if row["method"] == "POST"
        }
        if started.keys() <= found.keys():
            return sorted(found[room_id] - at for room_id, at in started.items())
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(started.keys() - found.keys())} of {len(started)} events never arrived.")
        time.sleep(0.1)


def percentile(waits: list[float], share: float) -> float:
    return waits[min(len(waits) - 1, int(len(waits) * share))]


if __name__ == "__main__":
    raise SystemExit(main())
