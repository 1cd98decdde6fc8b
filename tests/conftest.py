"""Fixtures for every test: real PostgreSQL, a clock that moves, a real stand-in on the other side."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django_scopes import scopes_disabled

from agent_live_monitoring import Client
from alerts.models import Gate
from orgs.models import Org
from tests.factories import OrgFactory, SourceFactory
from tests.ingest_server import Sender, make_key, serving
from tests.lane_double import LaneDouble
from tests.outbox import set_gate
from tests.stack import until
from tests.standins import CLIENT_ID, CLIENT_SECRET, RECEIPT_SECRET, Standins

LIVE_NOW = (
    "CREATE OR REPLACE FUNCTION live_now() RETURNS timestamptz LANGUAGE sql VOLATILE "
    "AS 'SELECT clock_timestamp() + interval ''{} seconds'''"
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright leaves a running event loop behind, in which no async test can start."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


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


@pytest.fixture(autouse=True)
def _cheap_settings(settings: Any) -> None:
    """Pages name their static files as they lie in static/, nothing is collected; passwords hash at once."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


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
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The database with real commits, for code that runs in other threads and processes; emptied afterwards.

    In place of pytest-django's own, which makes every content type and permission anew: ten times slower.
    """
    with django_db_blocker.unblock():
        yield
        models = [model for name in ("alerts", "orgs") for model in apps.get_app_config(name).get_models()]
        models.remove(Gate)  # its one row was made by a migration
        with transaction.atomic(), connection.cursor() as cursor:  # foreign keys are checked at the end only
            # the lane writes these a second after its answer: not in between
            cursor.execute("LOCK TABLE alerts_sourceminute, alerts_rejecteditem IN EXCLUSIVE MODE")
            for model in reversed(models):
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")


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
