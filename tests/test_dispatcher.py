"""The dispatcher as a real process, with Redis away: it delivers, keeps time, and dies without losing anything."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from alerts.models import Alert, Push, RoomActivity, WebhookDelivery
from alerts.sources import inbox
from console.management.commands import dispatcher
from orgs import webhooks
from tests.factories import AlertFactory, OrgFactory, PushFactory
from tests.outbox import fresh, posts, sweep
from tests.qontak import message
from tests.stack import database_url
from tests.standins import CLIENT_ID, CLIENT_SECRET, ROOT

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("system", "gate"),
]
Start = Callable[..., "subprocess.Popen[bytes]"]
STARTS_WITHIN = 60  # seconds, on a machine that is busy with other tests
LONG_AGO = timedelta(seconds=10)  # the dispatcher leaves what has been due for less than 2 s to the worker


@pytest.fixture
def start(standins: Any, tmp_path: Any) -> Iterator[Start]:
    """Start a dispatcher on the test's database, at a Redis that is not there."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(**extra: str) -> "subprocess.Popen[bytes]":
        environment = os.environ | {
            "DATABASE_URL": database_url(),
            "PGAPPNAME": "dispatcher under test",
            "REDIS_URL": f"unix://{tmp_path}/no-redis.sock",
            "NOTIFICATION_SERVICE_URL": standins.url,
            "NOTIFICATION_SERVICE_CLIENT_ID": CLIENT_ID,
            "NOTIFICATION_SERVICE_CLIENT_SECRET": CLIENT_SECRET,
        }
        process = subprocess.Popen([sys.executable, "manage.py", "dispatcher"], cwd=ROOT, env=environment | extra)
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait(10)


def due(**fields: Any) -> Push:
    return PushFactory(planned_at=datetime.now(UTC) - LONG_AGO, **fields)


def has(push: Push, state: str) -> Callable[[], bool]:
    return lambda: fresh(push).state == state


def test_delivers_what_nobody_kicked_while_redis_is_down_and_ends_on_term(
    start: Start, standins: Any, wait_for: Any
) -> None:
    """Faults 3 and 8: killed before the kick, and Redis away; swept within 5 s of being due,
    and as much again for a busy machine.
    """
    process = start()
    wait_for(has(due(), "sent"), STARTS_WITHIN)
    push = PushFactory(planned_at=datetime.now(UTC))
    wait_for(has(push, "sent"), 10)
    assert len(posts(standins)) == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_works_the_timers_and_goes_on_when_the_database_drops_it(start: Start, standins: Any, wait_for: Any) -> None:
    long_ago = datetime.now(UTC) - timedelta(minutes=40)
    alert = AlertFactory(severity="info", opened_at=long_ago, due_at=datetime.now(UTC) - timedelta(minutes=10))
    process = start()
    wait_for(lambda: Alert.objects.get(id=alert.id).state == "resolved", STARTS_WITHIN)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'dispatcher under test'"
        )
    wait_for(has(due(), "sent"), 20)
    assert process.poll() is None


@pytest.mark.parametrize("broken", ["outbox.sweep_outbox", "actions.sweep_timers", "inbox.work"])
def test_a_sweep_that_fails_stops_no_other(monkeypatch: Any, broken: str) -> None:
    done = []

    def fails(*args: Any, **kwargs: Any) -> int:
        raise LookupError(broken)

    for name in ("outbox.sweep_outbox", "actions.sweep_timers", "inbox.work"):
        work = fails if name == broken else lambda *args, name=name, **kwargs: done.append(name) or 0
        monkeypatch.setattr(f"console.management.commands.dispatcher.{name}", work)
    dispatcher._turn(threading.Event(), {})
    assert sorted([*done, broken]) == ["actions.sweep_timers", "inbox.work", "outbox.sweep_outbox"]


def test_works_the_deliveries_that_nobody_kicked_and_one_it_was_killed_in(start: Start, wait_for: Any) -> None:
    """A web process that died after its 200, and a dispatcher that dies in the middle: once each, nothing lost."""
    endpoint, _ = webhooks.create(OrgFactory(), "qontak")
    org = endpoint.org.external_id
    inbox.store([inbox.read_delivery(endpoint, message(org=org, room="r1"), datetime.now(UTC))])
    killed = start(TESTING="1", FAILPOINT="before_commit")
    assert killed.wait(STARTS_WITHIN) == -signal.SIGKILL
    assert not RoomActivity.objects.exists()
    start()
    wait_for(lambda: WebhookDelivery.objects.filter(outcome="understood").exists(), STARTS_WITHIN)
    assert RoomActivity.objects.values_list("kind", flat=True).get() == "customer_message"


def test_killed_after_its_claim(start: Start, standins: Any, wait_for: Any, clock: Any) -> None:
    """Fault 4: nothing was sent; the next one sends it when the lease has run out."""
    push = due()
    process = start(TESTING="1", FAILPOINT="after_claim")
    assert process.wait(STARTS_WITHIN) == -signal.SIGKILL
    assert (fresh(push).state, posts(standins)) == ("sending", [])
    clock.advance(seconds=61)
    sweep()
    assert fresh(push).state == "sent"


def test_killed_after_the_answer(start: Start, standins: Any, wait_for: Any, clock: Any) -> None:
    """Fault 5: the same key goes again, and notification-service knows it."""
    push = due()
    process = start(TESTING="1", FAILPOINT="after_2xx")
    assert process.wait(STARTS_WITHIN) == -signal.SIGKILL
    assert fresh(push).state == "sending"
    clock.advance(seconds=61)
    sweep()
    assert fresh(push).state == "sent"
    assert [row["duplicate"] for row in posts(standins)] == [False, True]
