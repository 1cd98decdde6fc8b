"""A real standby of the test database: figures are read from it while it is good for that, else from the primary."""

import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import connection, connections, transaction

from launch import postgres
from orgs import clock
from orgs.models import Org
from orgs.replica import ALIAS, MOST_BEHIND, PRIMARY, ReplicaWatch, replica
from tests.api_client import signed_in
from tests.factories import OrgFactory
from tests.scene import Scene
from tests.stack import Process, until

pytestmark = pytest.mark.django_db(transaction=True)
STATEMENT = "SELECT count(*) FROM orgs_org"
IDLE = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND NOT active"


@dataclass
class Second:
    """The standby as Django's second database: it stops replaying, gets all there is, loses its connections."""

    direct: psycopg.Connection

    def lag(self) -> None:
        self.direct.execute("SELECT pg_wal_replay_pause()")
        until(lambda: self._says("SELECT pg_get_wal_replay_pause_state() = 'paused'"))

    def catch_up(self) -> None:
        self.direct.execute("SELECT pg_wal_replay_resume()")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_insert_lsn()")
            written = cursor.fetchone()[0]
        until(lambda: self._says(f"SELECT pg_last_wal_replay_lsn() >= '{written}'"))

    def cut(self) -> None:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        self.direct.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        until(lambda: self._says(f"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE {others})"))

    def _says(self, question: str) -> bool:
        row = self.direct.execute(question).fetchone()
        return bool(row and row[0])


@pytest.fixture(scope="module")
def standby(django_db_setup: None) -> Iterator[postgres.Cluster]:
    """A streaming standby of the test cluster, started."""
    folder = Path(tempfile.mkdtemp(prefix="live-standby-", dir="/tmp"))
    folder.chmod(0o755)
    cluster = postgres.prepare(folder / "server", folder / "server", postgres.find(Path(sysconfig.get_path("purelib"))))
    shutil.rmtree(cluster.data)
    primary = str(connection.get_connection_params()["host"])
    slot = f"standby_{os.getpid()}"  # from here on the primary keeps what the standby has not read yet
    with psycopg.connect(host=primary, user="live", dbname="live", autocommit=True) as direct:
        direct.execute("SELECT pg_create_physical_replication_slot(%s, true)", [slot])
    copy = [str(cluster.binaries.folder / "pg_basebackup"), "-D", str(cluster.data), "-R", "-h", primary, "-U", "live"]
    copy += ["--checkpoint=fast", "--no-sync", f"--slot={slot}"]
    subprocess.run(copy, check=True, cwd="/", preexec_fn=cluster.identity.become)
    program = cluster.program(durable=False)
    process = Process("standby", program.argv, dict(program.env or {}), folder, program.become)
    until(cluster.is_ready)
    yield cluster
    process.kill()
    with psycopg.connect(host=primary, user="live", dbname="live", autocommit=True) as direct:
        until(lambda: direct.execute(IDLE, [slot]).fetchone())
        direct.execute("SELECT pg_drop_replication_slot(%s)", [slot])
    shutil.rmtree(folder)


@contextmanager
def configured(**changes: str) -> Iterator[None]:
    """Another database beside the test's own. It is connected here: a test's guard lets no further one connect."""
    connections.settings[ALIAS] = deepcopy(connections.settings["default"]) | changes
    connections[ALIAS].connect()
    try:
        yield
    finally:
        connections[ALIAS].close()
        connections[ALIAS].close_pool()
        del connections[ALIAS], connections.settings[ALIAS]


@pytest.fixture
def second(standby: postgres.Cluster) -> Iterator[Second]:
    place, name = str(standby.socket), connections.settings["default"]["NAME"]
    until(lambda: _has(standby, name))
    with psycopg.connect(host=place, user="live", dbname=name, autocommit=True) as direct:
        made = Second(direct)
        made.catch_up()
        with configured(HOST=place):
            yield made
        made.catch_up()


def _has(standby: postgres.Cluster, name: str) -> bool:
    """Whether the standby knows this database yet: each test process makes its own."""
    try:
        with psycopg.connect(host=str(standby.socket), user="live", dbname=name):
            return True
    except psycopg.OperationalError:
        return False


def orgs_counted(source: ReplicaWatch) -> int:
    return int(source.rows(STATEMENT, {})[0][0])


def test_without_a_replica_the_primary_is_read(org: Org) -> None:
    assert ReplicaWatch().reading() == PRIMARY
    assert orgs_counted(ReplicaWatch()) == 1


def test_figures_are_read_from_a_replica_that_is_up_to_date(second: Second, org: Org) -> None:
    second.catch_up()
    found = ReplicaWatch().reading()
    assert found.alias == ALIAS
    assert found.behind < MOST_BEHIND  # other tests write to this cluster in between
    assert orgs_counted(ReplicaWatch()) == 1


def test_figures_say_how_old_they_are(second: Second, org: Org) -> None:
    second.catch_up()
    second.lag()
    OrgFactory()
    source = ReplicaWatch()
    found = source.reading()
    assert found.alias == ALIAS
    assert timedelta(0) < found.behind < MOST_BEHIND
    assert orgs_counted(source) == 1


def test_a_replica_too_far_behind_is_left_alone(second: Second, org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    second.lag()
    OrgFactory()
    monkeypatch.setattr("orgs.replica.MOST_BEHIND", timedelta(0))
    source = ReplicaWatch()
    assert source.reading() == PRIMARY
    assert orgs_counted(source) == 2


def test_within_a_transaction_the_primary_is_read(second: Second, org: Org) -> None:
    second.catch_up()
    second.lag()
    OrgFactory()
    source = ReplicaWatch()
    with transaction.atomic():
        assert orgs_counted(source) == 2
    assert orgs_counted(source) == 1


def test_a_primary_is_no_replica(org: Org) -> None:
    with configured():
        assert ReplicaWatch().reading() == PRIMARY


def test_a_replica_that_goes_while_it_is_read_costs_no_figure(second: Second, org: Org) -> None:
    second.catch_up()
    source = ReplicaWatch()
    assert source.reading().alias == ALIAS
    second.cut()
    assert orgs_counted(source) == 1
    assert source.reading() == PRIMARY


def test_success_says_as_of_when_it_counts(
    second: Second, system: None, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(org)
    client = signed_in(scene.people[0])
    scene.fails()
    second.catch_up()
    second.lag()
    scene.happens("human_message")
    monkeypatch.setattr(replica, "_until", 0.0)  # ask anew
    older = client.get("/api/success").json()
    second.catch_up()
    monkeypatch.setattr(replica, "_until", 0.0)
    newer = client.get("/api/success").json()
    assert [answer["results"][0]["value"] is None for answer in (older, newer)] == [True, False]
    assert datetime.fromisoformat(older["as_of"]) < clock.now() - replica.reading().behind
