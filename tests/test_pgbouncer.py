"""Behind a pgbouncer that changes connections between transactions, with prepared statements switched off."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection
from django_scopes import scopes_disabled

from alerts.models import FailureEvent, Push
from tests.factories import AssignmentFactory, SourceFactory, without_limits
from tests.ingest_server import ACTIVITY, EVENTS, activity, event, make_key
from tests.launching import free_port
from tests.stack import Stack, stack, until
from tests.standins import Standins

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = [
    pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("system"),
]


@pytest.fixture
def pooled(transactional_db: None) -> Iterator[str]:
    """The URL of the test database behind a pgbouncer of two server connections, which many clients share."""
    assert PGBOUNCER
    host, user, name = (str(connection.get_connection_params().get(key, "")) for key in ("host", "user", "dbname"))
    with tempfile.TemporaryDirectory(prefix="live-pgb-", dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        port = free_port()
        ini = Path(folder) / "pgbouncer.ini"
        ini.write_text(
            f"[databases]\n{name} = host={host} dbname={name} user={user}\n[pgbouncer]\npool_mode = transaction\n"
            f"default_pool_size = 2\nlisten_addr =\nlisten_port = {port}\n"
            f"unix_socket_dir = {folder}\nauth_type = any\nlogfile = {folder}/log\n"
        )
        become = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([PGBOUNCER, *become, str(ini)], stderr=subprocess.DEVNULL)
        url = f"postgresql://{user}@/{name}?host={quote(folder, safe='')}&port={port}"
        try:
            until(lambda: _answers(url))
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_many_at_once_are_taken_decided_and_told(pooled: str, _standins_process: Standins) -> None:
    """Mutation: with prepared statements a connection is asked for what another one prepared."""
    source = SourceFactory()
    AssignmentFactory(org=without_limits(source.org))
    key = make_key(source)[1]
    made: Stack
    with stack(_standins_process, pooled) as made:
        made.start("web", DB_PREPARED_STATEMENTS="0")

        def post(turn: int) -> int:
            if turn % 2:
                return made.post(ACTIVITY, key, activity(room_id=f"room-{turn % 5}", kind="customer_message"))[0]
            return made.post(EVENTS, key, event(room_id=f"room-{turn % 5}"))[0]

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(post, range(80))) == {201}
    with scopes_disabled():
        assert (FailureEvent.objects.count(), Push.objects.count()) == (40, 5)
