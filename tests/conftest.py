"""Fixtures for every test: real PostgreSQL, a clock that moves, a real stand-in on the other side."""

import gc
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from asgiref.sync import SyncToAsync
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from django.test import TransactionTestCase
from django_scopes import scopes_disabled

from agent_live_monitoring import Client
from alerts.models import Gate
from orgs.clock import now
from orgs.database import switch_off_jit
from orgs.models import Org
from tests.examples import FAST, THOROUGH
from tests.factories import OrgFactory, SourceFactory
from tests.ingest_server import Sender, make_key, serving
from tests.lane_double import LaneDouble
from tests.once import once
from tests.order import HERE, group_of, is_slow, place_of
from tests.outbox import set_gate
from tests.stack import until
from tests.standins import CLIENT_ID, CLIENT_SECRET, RECEIPT_SECRET, Standins

# What `bin/test --fast` chooses, and what a night has time for: `bin/test --hypothesis-profile=thorough`.
hypothesis.settings.register_profile("fast", max_examples=FAST, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=THOROUGH, deadline=None)
gc.disable()  # until everything is imported
LIVE_NOW = (
    "CREATE OR REPLACE FUNCTION live_now() RETURNS timestamptz LANGUAGE sql VOLATILE "
    "AS 'SELECT clock_timestamp() + interval ''{} seconds'''"
)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Of several processes, each of which reads all test modules, each reads its share first: in a fresh checkout none
    is compiled by all. What is wrong with one is said when it is collected.
    """
    process: dict[str, Any] | None = getattr(session.config, "workerinput", None)
    if process is None or [Path(name).resolve() for name in session.config.args] != [HERE]:
        return
    which, of = int(process["workerid"].removeprefix("gw")), process["workercount"]
    for path in sorted(HERE.rglob("test_*.py"))[which::of]:
        if not pytest_ignore_collect(path, session.config):
            with suppress(Exception):
                import_module(".".join(path.relative_to(HERE.parent).with_suffix("").parts))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`bin/test --fast` does not even read what it leaves out: the examples of one module take seconds to make."""
    return True if config.getoption("--hypothesis-profile") == "fast" and is_slow(collection_path) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests that share something expensive go to one process; which ones an inner loop leaves out."""
    if group := group_of(item.path):
        item.add_marker(pytest.mark.xdist_group(group))
    if is_slow(item.path):
        item.add_marker("slow")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones come first, in whatever order the rest was shuffled: no process ends long after the others."""
    items.sort(key=lambda item: place_of(item.path))


def pytest_collection_finish() -> None:
    """What was imported stays until the end: the garbage collector need not walk over it again and again.

    Nor over what urls and templates become later every 700 objects, which was a tenth of the time of a usual test.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None,
    django_db_blocker: Any,
    django_db_keepdb: bool,
    django_db_createdb: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """The test database, migrated once; of several test processes each works on a copy.

    In place of pytest-django's own, which migrates in every process.
    """
    creation, before = connection.creation, connection.settings_dict["NAME"]
    name = migrated = creation._get_test_db_name()
    process = os.environ.get("PYTEST_XDIST_WORKER")

    def migrate() -> None:
        kept = django_db_keepdb and not django_db_createdb
        creation.create_test_db(verbosity=0, autoclobber=True, serialize=False, keepdb=kept)
        _keep_ids_apart()
        connection.close()
        connection.close_pool()  # nobody may be in a database that is copied

    with django_db_blocker.unblock():
        if process is None:
            migrate()
        else:
            once(tmp_path_factory, "database", migrate)
            connection.settings_dict["NAME"] = migrated
            creation.clone_test_db(process, verbosity=0, autoclobber=True)
            name = connection.settings_dict["NAME"] = creation.get_test_db_clone_settings(process)["NAME"]
            switch_off_jit()  # what `migrate` set for the database is not copied with it
    yield
    if not django_db_keepdb:
        with django_db_blocker.unblock(), creation._nodb_cursor() as cursor:
            connection.close()
            connection.close_pool()
            connection.settings_dict["NAME"] = before
            cursor.execute(f"DROP DATABASE {connection.ops.quote_name(name)} WITH (FORCE)")


def _keep_ids_apart() -> None:
    """No id of one table is an id of another: who takes one for the other finds nothing, whichever tests ran before."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('ALTER SEQUENCE %I RESTART %s', name, first) FROM"
            " (SELECT sequencename AS name, last_value, 1000000 * row_number() OVER (ORDER BY sequencename) AS first"
            " FROM pg_sequences WHERE schemaname = 'public') sequence WHERE coalesce(last_value, 0) < first"
        )
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)


def _empty_tables(self: TransactionTestCase) -> None:
    """What follows a test with real commits, in place of Django's flush: that truncates every table, and makes every
    content type and permission anew, which takes twenty times as long.
    """
    models = [model for model in apps.get_models(include_auto_created=True) if model._meta.can_migrate(connection)]
    kept = (ContentType, Permission, Gate)  # the gate's one row was made by a migration
    tables = [connection.ops.quote_name(model._meta.db_table) for model in reversed(models) if model not in kept]
    # what the lane writes a second after its answer, in its order: not in between
    late = "alerts_sourceminute, alerts_rejecteditem, alerts_senderprocess, alerts_senderhour"
    lock = f"LOCK TABLE {late} IN EXCLUSIVE MODE"
    fresh = "UPDATE alerts_gate SET failures = 0, closed_until = NULL, reason = '', probing = false, allowance = NULL"
    statements = "; ".join([lock, fresh, *(f"DELETE FROM {table}" for table in tables)])  # one way there and back
    for again in (True, True, False):
        try:
            with transaction.atomic(), connection.cursor() as cursor:  # foreign keys are checked at the end only
                cursor.execute(statements)
            return
        except (OperationalError, IntegrityError):  # a server that still runs wrote meanwhile, in another order
            if not again:
                raise


TransactionTestCase._fixture_teardown = _empty_tables  # type: ignore[method-assign]


class Clock:
    """PostgreSQL's clock, and with it the service's: `clock.advance(minutes=5)`. The wall clock stays."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def advance(self, **parts: float) -> None:
        """Move on by a timedelta's parts; negative ones move back."""
        self.offset += timedelta(**parts)
        self._set(self.offset)

    def restore(self) -> None:
        """Back to the true time; inside a test's transaction the rollback does it."""
        if not connection.in_atomic_block:
            self._set(timedelta())

    def _set(self, offset: timedelta) -> None:
        with connection.cursor() as cursor:
            cursor.execute(LIVE_NOW.format(offset.total_seconds()))


@pytest.fixture
def clock(db: None) -> Iterator[Clock]:
    """The database's clock, to be moved; put right again at the end."""
    made = Clock()
    yield made
    made.restore()


@pytest.fixture
def noon(clock: Clock, org: Org) -> None:
    """It is noon where the org is: what is said of today has been today for long."""
    there = now().astimezone(ZoneInfo(org.zone))
    wait = there.replace(hour=12, minute=0, second=0) - there
    clock.advance(seconds=wait.total_seconds() % timedelta(days=1).total_seconds())


@pytest.fixture(autouse=True)
def _cheap_settings(settings: Any) -> None:
    """Pages name their static files as they lie in static/, nothing is collected; passwords hash at once."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _given_back(request: pytest.FixtureRequest) -> Iterator[None]:
    """An asynchronous test leaves no connection in the one thread that asks the database for all of them: another test
    may cut it meanwhile, and the next asynchronous one would find it so.
    """
    yield
    if inspect.iscoroutinefunction(request.function):
        SyncToAsync.single_thread_executor.submit(connections.close_all).result(10)


@pytest.fixture
def org(db: None) -> Org:
    """One org."""
    return OrgFactory()


@pytest.fixture
def system() -> Iterator[None]:
    """System work: the test looks at every org. Code under test that needs a scope must still enter its own."""
    with scopes_disabled():
        yield


@pytest.fixture
def run_commit_hooks(django_capture_on_commit_callbacks: Any) -> Callable[[], Any]:
    """`with run_commit_hooks() as callbacks:` runs what was left for after the commit, and returns it."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


@pytest.fixture
def gate(db: None) -> None:
    """An open gate with a full bucket."""
    set_gate()


@pytest.fixture(scope="session")
def _standins_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standins]:
    running = Standins(tmp_path_factory.mktemp("standins"))
    yield running
    running.stop()


@pytest.fixture
def standins(_standins_process: Standins, settings: Any) -> Iterator[Standins]:
    """The stand-in for notification-service, one process per test process; settings point at it."""
    _standins_process.reset()
    settings.NOTIFICATION_SERVICE_URL = _standins_process.url
    settings.NOTIFICATION_SERVICE_CLIENT_ID = CLIENT_ID
    settings.NOTIFICATION_SERVICE_CLIENT_SECRET = CLIENT_SECRET
    settings.NOTIFICATION_SERVICE_RECEIPT_SECRET = RECEIPT_SECRET
    yield _standins_process
    _standins_process.behave("ok")


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    """`wait_for(condition, seconds=30)` returns the first true answer, or fails."""
    return until


@pytest.fixture(scope="session")
def ingest_port(django_db_setup: None) -> Iterator[int]:
    """The port of the whole ASGI application, served by uvicorn in a thread; its tests need real transactions."""
    with serving() as port:
        yield port


@pytest.fixture
def sender(transactional_db: None, ingest_port: int) -> Sender:
    """An org source with a key of scope `ingest`."""
    source = SourceFactory()
    row, key = make_key(source)
    return Sender(ingest_port, source, key, row)


@pytest.fixture
def double() -> Iterator[LaneDouble]:
    """A server that answers as the lane would, or as it is told."""
    made = LaneDouble()
    yield made
    made.stop()


@pytest.fixture
def make_client() -> Iterator[Callable[..., Client]]:
    """`make_client(url, key="k", **options)`: a client that is closed at the end, whatever still waits in it."""
    made: list[Client] = []

    def make(url: str, key: str = "k", **options: Any) -> Client:
        made.append(Client(url, key, **options))
        return made[-1]

    yield make
    for client in made:
        client.close(0)


@pytest.fixture
def platform(transactional_db: None, ingest_port: int) -> Sender:
    """A platform source with a key of scope `ingest`."""
    source = SourceFactory(org=None)
    row, key = make_key(source)
    return Sender(ingest_port, source, key, row)
