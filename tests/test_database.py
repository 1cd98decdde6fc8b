"""A database that cannot be used is one sentence and exit code 2, for every process and every way to be wrong."""

import os
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DataError, connection

from orgs.database import look, read_url
from tests.launching import ROOT, environment, run, short_folder
from tests.stack import database_url

SECRET = "canarypassword"
PROCESSES = {
    "serve": ["--port", "0"],
    "worker": [],
    "beat": ["--schedule", "/nonexistent/schedule"],
    "dispatcher": [],
    "migrate": [],
}


def begin(command: str, url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", command, *PROCESSES[command]],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(process: "subprocess.Popen[str]") -> str:
    """The one sentence of a process that ends with 2."""
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2, said
    assert len(said.splitlines()) == 1 and said.endswith(".\n"), said
    assert SECRET not in said
    return said


@pytest.fixture
def picky() -> Iterator[str]:
    """A PostgreSQL that likes no password, as far as it goes on the wire."""
    fields = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "live"\0\0'
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                while len(client.recv(1024)) == 8:  # may it be encrypted?
                    client.sendall(b"N")
                client.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)

    threading.Thread(target=answer, daemon=True).start()
    yield f"postgresql://live:{SECRET}@127.0.0.1:{server.getsockname()[1]}/live"
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def test_a_wrong_password_is_said(picky: str) -> None:
    said = refused(begin("migrate", picky))
    assert said == 'migrate: The database does not answer: password authentication failed for user "live".\n'


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"postgresql://live:{SECRET}@127.0.0.1:1/live", "Connection refused"),
        (f"mysql://live:{SECRET}@127.0.0.1/live", "only PostgreSQL"),
    ],
)
def test_a_wrong_address_is_said(url: str, reason: str) -> None:
    assert reason in refused(begin("dispatcher", url))


def test_a_database_that_is_not_there_is_named(db: None) -> None:
    name = connection.settings_dict["NAME"]
    missing = database_url().replace(f"/{name}?", "/nowhere?")
    assert 'database "nowhere" does not exist' in refused(begin("migrate", missing))


@pytest.mark.parametrize(
    "url",
    [
        f"live:{SECRET}@host/live",
        f"postgresql://live:1{SECRET}/2@host/live",
        f"postgresql://live:12/{SECRET}@host/live",
        f"postgresql://live:{SECRET}#1@host/live",
        f"postgresql://live:{SECRET}?1@host/live",
        f"postgresql://live:{SECRET}@host:port/live",
        f"postgresql://live:{SECRET}@host",
        f"postgresql://live:{SECRET}@host/",
        f"sqlite:///{SECRET}",
        f"//live:{SECRET}@host/live",
        f"'postgresql://live:{SECRET}@host/live'",
        f"postgresql//live:{SECRET}@host/live",
    ],
)
def test_an_address_that_cannot_be_read_is_never_quoted(url: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        read_url(url)
    assert not warned
    assert "postgresql://user:password@host/name" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://u:p%2Fw@h:5433/n", "postgres://u@/n?host=%2Ftmp%2Fsockets"])
def test_a_good_address_is_read(url: str) -> None:
    assert read_url(url)["NAME"] == "n"


@pytest.fixture
def newer(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[str]:
    """The test's database as a later version of the code leaves it."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('orgs', '9999_later', now())")
        yield database_url()
        cursor.execute("DELETE FROM django_migrations WHERE name = '9999_later'")


def test_old_code_does_not_begin_on_a_newer_schema(newer: str) -> None:
    for process in [begin(command, newer) for command in PROCESSES]:
        assert "newer version than this code (it has orgs.9999_later): run the newer code" in refused(process)


def test_what_is_not_migrated_yet_is_known(db: None) -> None:
    assert (look().ahead, look().pending) == ([], [])


def test_a_process_says_that_migrations_are_missing() -> None:
    empty = os.environ["DATABASE_URL"]  # the engine's own database, beside those of the tests
    process = begin("beat", empty)
    _, said = process.communicate(timeout=60)
    assert "migrations_pending" in said and "orgs.0" in said


@pytest.mark.launcher
def test_bin_up_says_it_too() -> None:
    with short_folder() as data:
        done = run(ROOT / "bin" / "up", "--data", str(data), DATABASE_URL=f"mysql://live:{SECRET}@127.0.0.1/live")
        logs = "".join(log.read_text() for log in (data / "logs").iterdir())
    assert done.returncode == 2
    assert "only PostgreSQL" in done.stderr and len(done.stderr.splitlines()) == 1
    assert SECRET not in done.stdout + done.stderr + logs


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL"])
def test_a_setting_that_is_missing_is_one_sentence(name: str) -> None:
    kept = {key: value for key, value in environment().items() if key != name}
    env = kept | ({"SECRET_KEY": "x" * 50} if name != "SECRET_KEY" else {"DATABASE_URL": os.environ["DATABASE_URL"]})
    done = subprocess.run([sys.executable, "manage.py", "check"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"check: Set the {name} environment variable\n")


@pytest.mark.django_db(transaction=True)
def test_each_migrate_lets_the_database_compile_no_query() -> None:
    """Mutation: a server that can compile queries takes 290 ms for a claim of pushes that runs for 1."""
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" RESET jit')
    connection.close()
    connection.close_pool()  # what is open does not notice
    call_command("migrate", verbosity=0)
    with psycopg.connect(**connection.get_connection_params()) as new:
        assert new.execute("SHOW jit").fetchone() == ("off",)


@pytest.mark.django_db
def test_in_tests_no_query_is_compiled_either() -> None:
    """Of the tests themselves: a copy of a database has none of its settings, and compiled each claim of pushes."""
    with psycopg.connect(**connection.get_connection_params()) as new:
        assert new.execute("SHOW jit").fetchone() == ("off",)


@pytest.mark.parametrize("text", ["2026-11-30 14:00:01.123456", "2026-11-30 14:00:01.1", "0001-01-01 00:00:00"])
def test_a_time_is_read_as_it_is_written(db: None, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [f"{text}+00"])
        (found,) = cursor.fetchone()
    assert found == datetime.fromisoformat(text).replace(tzinfo=UTC)
    assert found.tzinfo is UTC


def test_a_time_that_python_does_not_know_is_an_error(db: None) -> None:
    with connection.cursor() as cursor, pytest.raises(DataError):
        cursor.execute("SELECT 'infinity'::timestamptz")
        cursor.fetchone()


@pytest.mark.django_db
def test_in_tests_no_id_of_one_table_is_one_of_another() -> None:
    """Of the tests themselves: `_keep_ids_apart` in conftest.py."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(format('%I.%I', schemaname, sequencename)) FROM pg_sequences")
        taken = [number // 1_000_000 for (number,) in cursor.fetchall() if number > 1_000_000]  # or a test made it
    assert len(set(taken)) == len(taken) > 50
