"""The recipe of docs/operations.md: what pg_dump wrote, pg_restore makes a database of that the service can use."""

import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from launch import postgres
from tests.factories import AlertFactory
from tests.stack import database_url

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"


@pytest.fixture
def empty(transactional_db: None) -> Iterator[str]:
    """The URL of an empty database beside that of the tests."""
    name = f"restored_{uuid4().hex[:8]}"
    with psycopg.connect(database_url(), autocommit=True) as beside:
        beside.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        yield database_url().replace(f"/{connection.settings_dict['NAME']}?", f"/{name}?")
        beside.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


def content(url: str) -> dict[str, int]:
    """How many rows each table has."""
    with psycopg.connect(url) as reader:
        names = [str(row[0]) for row in reader.execute(TABLES)]
        counts = [reader.execute(f'SELECT count(*) FROM "{name}"').fetchone() for name in names]  # type: ignore[call-overload]
    return {name: count[0] for name, count in zip(names, counts, strict=True) if count}


def test_a_restored_backup_has_every_row_and_goes_on(empty: str, system: None, tmp_path: Path) -> None:
    alert = AlertFactory()
    tools = postgres.find(Path(sysconfig.get_path("purelib")))[0].folder
    dump = tmp_path / "live.dump"
    subprocess.run([tools / "pg_dump", "--format=custom", f"--file={dump}", database_url()], check=True)
    restore = ["--clean", "--if-exists", "--no-owner", "--single-transaction", f"--dbname={empty}"]
    subprocess.run([tools / "pg_restore", *restore, dump], check=True)
    assert content(empty) == content(database_url()) and content(empty)["alerts_alert"] == 1
    with psycopg.connect(empty) as restored:
        assert restored.execute("SELECT id, live_now() > opened_at FROM alerts_alert").fetchone() == (alert.pk, True)
