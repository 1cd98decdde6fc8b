"""Faults 1-10 and 12 with real processes, really killed; after each the oracle says that nothing was lost."""

import shutil
import signal
import subprocess
import sysconfig
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from django.db import connections
from django.db.models import F
from django_scopes import scopes_disabled

from alerts.models import Alert, FailureEvent, Push
from launch import postgres
from orgs.keys import issue
from orgs.models import Source
from runs.models import AgentRun, DayKpi, HourKpi
from tests.factories import AssignmentFactory, OrgFactory, SourceFactory, SupervisorRoleFactory, without_limits
from tests.ingest_server import RUNS, run
from tests.outbox import set_gate
from tests.stack import Oracle, Process, Stack, WarmStack, accepted, database_url, stack, until
from tests.standins import Standins

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("system")]
EVENTS = "/api/failure-events"


def failure(room: str = "room-1", **fields: Any) -> dict[str, Any]:
    return {
        "event_id": f"event-{uuid4().hex}",
        "agent_name": "Billing Bot",
        "room_id": room,
        "signal": "agent_error",
        "occurred_at": datetime.now(UTC).isoformat(),
        "error": {"type": "Timeout"},
        **fields,
    }


def staffed_key() -> str:
    """An org with one supervisor; the key of its source."""
    set_gate()
    org = without_limits(OrgFactory())
    AssignmentFactory(org=org, role=SupervisorRoleFactory(org=org))
    return issue(Source.objects.get(pk=SourceFactory(org=org).pk), ["ingest"])[1]


@pytest.fixture(scope="module")
def warm(django_db_setup: None, django_db_blocker: Any, _standins_process: Standins) -> Iterator[WarmStack]:
    """One stack for this module, of which each test starts again what it killed."""
    with django_db_blocker.unblock():
        url = database_url()
    with stack(_standins_process, url, WarmStack) as made:
        yield made


@pytest.fixture
def running(warm: WarmStack, standins: Standins, transactional_db: None) -> Iterator[Stack]:
    yield warm
    warm.rest()


@pytest.fixture
def key(running: Stack) -> str:
    return staffed_key()


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


def arrived(standins: Standins, count: int) -> list[dict[str, Any]]:
    """Wait until the stand-in has accepted so many different pushes."""
    return until(lambda: rows if len(rows := accepted(standins)) >= count else None)


def all_sent() -> bool:
    return not Push.objects.exclude(state="sent").exists()


def test_1_web_killed_before_commit_gives_no_answer_and_the_retry_creates(
    running: Stack, key: str, standins: Standins, oracle: Oracle
) -> None:
    event = failure()
    web = running.start("web", failpoint="before_commit")
    assert running.post(EVENTS, key, event)[0] == 0
    assert web.died() == -signal.SIGKILL
    assert not FailureEvent.objects.exists()
    running.start("web")
    running.start("dispatcher")
    status, body = running.post(EVENTS, key, event)
    oracle.saw(status, body)
    assert (status, body["status"]) == (201, "created")
    arrived(standins, 1)
    oracle.check(standins)


def test_2_web_killed_after_commit_gives_no_answer_and_the_retry_is_a_duplicate(
    running: Stack, key: str, standins: Standins, oracle: Oracle
) -> None:
    event = failure()
    running.start("web", failpoint="ingest_committed")
    assert running.post(EVENTS, key, event)[0] == 0
    running.start("web")
    running.start("dispatcher")
    status, body = running.post(EVENTS, key, event)
    oracle.saw(status, body)
    assert (status, body["status"]) == (200, "duplicate")
    assert Alert.objects.count() == 1
    arrived(standins, 1)
    oracle.check(standins)


@pytest.mark.parametrize(("failpoint", "again"), [("before_commit", "created"), ("ingest_committed", "duplicate")])
def test_1_to_3_web_killed_around_the_commit_of_runs(running: Stack, key: str, failpoint: str, again: str) -> None:
    """Each run is stored and counted once; what is counted later is swept though nobody told of it."""
    batch = [run(), run(ended_at=None, resolution=None)]
    web = running.start("web", failpoint=failpoint)
    assert running.post(RUNS, key, batch)[0] == 0
    assert web.died() == -signal.SIGKILL
    assert AgentRun.objects.count() == (0 if again == "created" else 2)
    running.start("web")
    running.start("dispatcher")
    _, body = running.post(RUNS, key, batch)
    assert [result["status"] for result in body["results"]] == [again, again]
    assert AgentRun.objects.count() == sum(HourKpi.objects.values_list("runs", flat=True)) == 2
    until(lambda: AgentRun.objects.filter(overdue_at__isnull=False).exists())
    until(lambda: not DayKpi.objects.exclude(changes=F("folded")).exists())


def test_3_killed_before_the_kick_is_swept_within_5_s(
    running: Stack, key: str, standins: Standins, oracle: Oracle
) -> None:
    running.start("dispatcher")
    running.start("web", failpoint="before_kick")
    running.post(EVENTS, key, failure())
    until(lambda: accepted(standins), seconds=10)  # as much again for a busy machine
    until(all_sent)
    oracle.check(standins)


@pytest.mark.parametrize("failpoint", ["before_commit", "ingest_committed", "answered"])
def test_web_killed_in_the_middle_of_a_flood_loses_nothing_and_doubles_nothing(
    running: Stack, key: str, standins: Standins, oracle: Oracle, failpoint: str
) -> None:
    """Requests that share transactions: each is whole or absent, whoever was answered before the others is stored."""
    batches = [[failure(f"room-{n % 7}", event_id=f"event-{n}-{i}") for i in range(3)] for n in range(30)]
    web = running.start("web", failpoint=failpoint)
    with ThreadPoolExecutor(15) as pool:
        for status, body in pool.map(lambda batch: running.post(EVENTS, key, batch), batches):
            assert status in (0, 207)
            if status:
                oracle.saw(status, body)
    assert web.died() == -signal.SIGKILL
    stored = set(FailureEvent.objects.values_list("event_id", flat=True))
    assert oracle.acknowledged <= stored
    for batch in batches:
        assert len(stored & {event["event_id"] for event in batch}) in (0, 3)
    running.start("web")
    running.start("dispatcher")
    for batch in batches:
        status, body = running.post(EVENTS, key, batch)
        oracle.saw(status, body)
        for result in body["results"]:
            assert result["status"] == ("duplicate" if result["id"] in stored else "created")
    assert (FailureEvent.objects.count(), Alert.objects.count(), Push.objects.count()) == (90, 7, 7)
    arrived(standins, 7)
    until(all_sent)
    oracle.check(standins)


def test_4_a_worker_killed_after_its_claim_loses_nothing(
    running: Stack, key: str, standins: Standins, clock: Any, oracle: Oracle
) -> None:
    worker = running.start("worker", failpoint="after_claim")
    running.start("web")
    oracle.saw(*running.post(EVENTS, key, failure()))
    until(lambda: Push.objects.filter(state="sending").exists())
    worker.kill()
    assert accepted(standins) == []
    running.start("worker")
    running.start("dispatcher")
    clock.advance(seconds=61)
    arrived(standins, 1)
    until(all_sent)
    oracle.check(standins)


def test_5_a_worker_killed_after_the_2xx_sends_the_same_key_again(
    running: Stack, key: str, standins: Standins, clock: Any, oracle: Oracle
) -> None:
    worker = running.start("worker", failpoint="after_2xx")
    running.start("web")
    oracle.saw(*running.post(EVENTS, key, failure()))
    arrived(standins, 1)
    worker.kill()
    assert Push.objects.get().state == "sending"
    running.start("dispatcher")
    clock.advance(seconds=61)
    until(all_sent)
    assert len(accepted(standins)) == 1
    assert [row["duplicate"] for row in standins.log() if row["method"] == "POST"] == [False, True]
    oracle.check(standins)


def test_6_killed_in_the_middle_of_a_fan_out_leaves_all_or_none(
    running: Stack, key: str, standins: Standins, oracle: Oracle
) -> None:
    org = Source.objects.get().org
    AssignmentFactory(org=org, role=SupervisorRoleFactory(org=org))
    event = failure()
    running.start("web", failpoint="fan_out")
    assert running.post(EVENTS, key, event)[0] == 0
    assert (Push.objects.count(), Alert.objects.count()) == (0, 0)
    running.start("web")
    running.start("dispatcher")
    oracle.saw(*running.post(EVENTS, key, event))
    assert Push.objects.count() == 2
    arrived(standins, 2)
    until(all_sent)
    oracle.check(standins)


def test_8_without_valkey_events_are_taken_and_pushes_go_out(
    running: Stack, key: str, standins: Standins, oracle: Oracle
) -> None:
    for name in ("web", "worker", "dispatcher"):
        running.start(name)
    oracle.saw(*running.post(EVENTS, key, failure("room-1")))
    arrived(standins, 1)
    running.running["valkey"].kill()
    for number in (2, 3, 4):
        status, body = running.post(EVENTS, key, failure(f"room-{number}"), timeout=10)
        assert status == 201
        oracle.saw(status, body)
    arrived(standins, 4)
    running.start("valkey")
    oracle.saw(*running.post(EVENTS, key, failure("room-5")))
    arrived(standins, 5)
    until(all_sent)
    oracle.check(standins)


def test_7_a_stopped_worker_that_wakes_after_its_lease_marks_nothing(
    running: Stack, key: str, standins: Standins, clock: Any, oracle: Oracle
) -> None:
    standins.behave("slow", delay_ms=1500, for_requests=1)
    worker = running.start("worker")
    running.start("web")
    oracle.saw(*running.post(EVENTS, key, failure("room-1")))
    until(lambda: Push.objects.filter(state="sending").exists())
    worker.kill(signal.SIGSTOP)
    clock.advance(seconds=91)
    dispatcher = running.start("dispatcher")
    until(all_sent)
    (before,) = Push.objects.values()
    worker.kill(signal.SIGCONT)
    dispatcher.kill()
    oracle.saw(*running.post(EVENTS, key, failure("room-2")))
    arrived(standins, 2)  # by the worker alone, one task after the other: what it was about to mark it has tried to
    until(all_sent)
    assert Push.objects.values().get(pk=before["id"]) == before
    oracle.check(standins)


def test_7_whoever_of_those_that_deliver_is_killed_nothing_is_lost(
    running: Stack, key: str, standins: Standins, oracle: Oracle
) -> None:
    """There is no beat at all in any of these tests."""
    running.start("web")
    worker, dispatcher = running.start("worker"), running.start("dispatcher")
    oracle.saw(*running.post(EVENTS, key, failure("room-1")))
    arrived(standins, 1)
    worker.kill()
    oracle.saw(*running.post(EVENTS, key, failure("room-2")))
    arrived(standins, 2)
    running.start("worker")
    dispatcher.kill()
    oracle.saw(*running.post(EVENTS, key, failure("room-3")))
    arrived(standins, 3)
    running.running["worker"].kill()
    oracle.saw(*running.post(EVENTS, key, failure("room-4")))
    assert Push.objects.filter(state="pending").count() == 1
    running.start("dispatcher")
    arrived(standins, 4)
    until(all_sent)
    oracle.check(standins)


def test_8_valkey_that_is_emptied_again_and_again_loses_nothing(
    running: Stack, key: str, standins: Standins, oracle: Oracle
) -> None:
    for name in ("web", "worker", "dispatcher"):
        running.start(name)
    with redis.from_url(running.cache.url) as client:
        for number in range(10):
            oracle.saw(*running.post(EVENTS, key, failure(f"room-{number}")))
            client.flushall()
    arrived(standins, 10)
    until(all_sent)
    oracle.check(standins)


@contextmanager
def valkey_that_is(trouble: str, running: Stack) -> Iterator[None]:
    """Standing still with its socket open, or refusing every write."""
    if trouble == "paused":
        running.running["valkey"].kill(signal.SIGSTOP)
        yield
        running.running["valkey"].kill(signal.SIGCONT)
        return
    with redis.from_url(running.cache.url) as client:
        before = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", before)


@pytest.mark.parametrize("trouble", ["paused", "full"])
def test_9_nobody_waits_for_a_valkey_that_stands_still_or_is_full(
    running: Stack, key: str, standins: Standins, oracle: Oracle, trouble: str
) -> None:
    """A caller of Redis waits 2 s for it: no request does. Mutation: let `feed.kick` send the task itself."""
    for name in ("web", "worker", "dispatcher"):
        running.start(name)
    waited = []
    with valkey_that_is(trouble, running):
        for number in range(40):
            began = time.monotonic()
            status, body = running.post(EVENTS, key, failure(f"room-{number}"))
            waited.append(time.monotonic() - began)
            assert status == 201
            oracle.saw(status, body)
            if number % 8 == 0:
                began = time.monotonic()
                assert answers(running, "/accounts/login/") == 200
                waited.append(time.monotonic() - began)
        assert answers(running, "/livez") == 200
        assert answers(running, "/readyz") == 200
        assert sorted(waited)[-2] < 1
        arrived(standins, 40)
    until(all_sent)
    oracle.check(standins)


def answers(running: Stack, path: str) -> int:
    """The status of a GET."""
    with urllib.request.urlopen(running.url + path, timeout=20) as answer:
        return int(answer.status)


# --- 10: a PostgreSQL of our own, killed and started again under load ---


@pytest.fixture
def own_postgres() -> Iterator["OwnPostgres"]:
    with tempfile.TemporaryDirectory(prefix="live-pg-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        made = OwnPostgres(Path(folder))
        try:
            yield made
        finally:
            made.process.kill(signal.SIGQUIT)
            made.process.popen.wait(30)


class OwnPostgres:
    """A cluster that may be killed without taking the other tests' database along."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        packages = Path(sysconfig.get_path("purelib"))
        self.cluster = postgres.prepare(folder / "data", folder, postgres.find(packages))
        self.start()

    def start(self) -> None:
        """Start and wait; a server whose predecessor's children still die refuses, and is started again."""
        self._launch()
        until(self._answers)

    def copy_tables(self) -> None:
        """As migrated for the tests: to migrate once more takes ten times as long."""
        tools = self.cluster.binaries.folder
        dump = subprocess.run([tools / "pg_dump", "--format=custom", database_url()], check=True, capture_output=True)
        restore = [tools / "pg_restore", "--no-owner", "--single-transaction", f"--dbname={self.cluster.url}"]
        subprocess.run(restore, input=dump.stdout, check=True)

    def _launch(self) -> None:
        program = self.cluster.program()
        self.process = Process("postgres", program.argv, dict(program.env), self.folder, become=program.become)

    def _answers(self) -> bool:
        if self.process.popen.poll() is not None:
            self._launch()
        try:
            psycopg.connect(self.cluster.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def test_10_postgresql_killed_under_load_answers_503_and_recovers(
    standins: Standins, own_postgres: OwnPostgres, oracle: Oracle
) -> None:
    url = own_postgres.cluster.url
    own_postgres.copy_tables()
    with stack(standins, url) as made, aliased(url):
        key = staffed_key()
        made.start("web")
        made.start("dispatcher")
        statuses: list[int] = []
        stop = threading.Event()

        def load(worker: int) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                event = failure(f"room-{worker}-{number % 20}", event_id=f"{worker}-{number}")
                while not stop.is_set():
                    status, body = made.post(EVENTS, key, event)
                    statuses.append(status)
                    if status in (200, 201):
                        oracle.saw(status, body)
                        break

        threads = [threading.Thread(target=load, args=(worker,)) for worker in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: statuses.count(201) > 20)
        own_postgres.process.kill(signal.SIGKILL)
        until(lambda: 503 in statuses)
        own_postgres.start()
        before = statuses.count(201)
        until(lambda: statuses.count(201) > before + 20)
        stop.set()
        for thread in threads:
            thread.join()
        assert set(statuses) <= {200, 201, 503, 0}
        connections["default"].close()
        connections["default"].close_pool()  # its connections died with the server
        until(lambda: not Push.objects.filter(state__in=["pending", "sending"]).exists(), seconds=60)
        oracle.check(standins)


# --- 12: its disk is full ---


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 200 MB, where this user may make one."""
    with tempfile.TemporaryDirectory(prefix="live-disk-", dir="/tmp") as folder:
        made = ["mount", "-t", "tmpfs", "-o", "size=200m,mode=0711", "live", folder]
        if shutil.which("mount") is None or subprocess.run(made, capture_output=True, check=False).returncode:
            pytest.skip("this user may not make a file system")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """A file that leaves no byte of it."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))
    return filler


def test_12_on_a_full_disk_nothing_is_promised_and_it_resumes(
    standins: Standins, small_disk: Path, oracle: Oracle
) -> None:
    """Mutation: answer 201 before the commit."""
    own = OwnPostgres(small_disk)
    own.copy_tables()
    url = own.cluster.url
    try:
        with stack(standins, url) as made, aliased(url):
            key = staffed_key()
            made.start("web")
            made.start("dispatcher")

            def post() -> int:
                """Some 3 MB, all of one room."""
                batch = [failure(metadata={"note": f"{n} {uuid4().hex} " * 150}) for n in range(200)]
                status, body = made.post(EVENTS, key, batch)
                oracle.saw(status, body)
                return status

            assert post() == 207
            filler = fill(small_disk)
            statuses = {until(lambda: status if (status := post()) != 207 else None, seconds=60)}
            statuses |= {post() for _ in range(3)}
            assert 207 not in statuses and statuses <= {503, 0}
            assert answers(made, "/livez") == 200
            filler.unlink()
            until(own._answers)  # it may have stopped for want of room for its log
            until(lambda: post() == 207, seconds=60)
            connections["default"].close()
            connections["default"].close_pool()
            until(lambda: not Push.objects.filter(state__in=["pending", "sending"]).exists(), seconds=60)
            oracle.check(standins)
    finally:
        own.process.kill(signal.SIGQUIT)
        own.process.popen.wait(30)


class aliased:
    """Django's default connection points at another database meanwhile."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None:
        params = psycopg.conninfo.conninfo_to_dict(self.url)
        self.connection = connections["default"]
        self.connection.close()
        self.connection.close_pool()  # after close(), which would make a new pool with the old address
        self.before = dict(self.connection.settings_dict)
        options = {name: value for name, value in self.before["OPTIONS"].items() if name != "host"}
        self.connection.settings_dict.update(
            NAME=params["dbname"], USER=params["user"], HOST=params["host"], OPTIONS=options
        )

    def __exit__(self, *exc: object) -> None:
        self.connection.close()
        self.connection.close_pool()
        self.connection.settings_dict.update(self.before)


def test_the_oracle_notices_a_lost_event(standins: Standins, transactional_db: None) -> None:
    """The oracle itself: it must not be satisfied with nothing."""
    lost = Oracle()
    lost.saw(201, {"id": "never-stored", "status": "created"})
    with pytest.raises(AssertionError), scopes_disabled():
        lost.check(standins)
