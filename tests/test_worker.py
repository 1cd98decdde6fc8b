"""The Celery worker as a real process: what it keeps from one task to the next."""

from collections.abc import Iterator

import pytest
from celery import Celery
from django.conf import settings
from django.db import connection

from alerts import feed
from alerts.models import Push
from tests.factories import PushFactory
from tests.outbox import set_gate
from tests.stack import Stack, stack, until
from tests.standins import Standins

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("system")]
NAME = "worker under test"


@pytest.fixture
def running(standins: Standins, transactional_db: None) -> Iterator[Stack]:
    with stack(standins) as made:
        yield made


def kick(running: Stack) -> None:
    """As a web process of this stack does it."""
    broker = running.cache.url.replace("unix://", "redis+socket://")
    with Celery(broker=broker) as app:
        app.send_task(feed.PUSHES, queue=settings.CELERY_TASK_DEFAULT_QUEUE)


def backends() -> set[int]:
    """The connections that the worker has to PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s", [NAME]
        )
        return {pid for (pid,) in cursor.fetchall()}


def test_keeps_its_connection_to_the_database_and_makes_a_new_one_when_that_is_cut(running: Stack) -> None:
    set_gate()
    running.start("worker", PGAPPNAME=NAME)

    def deliver() -> set[int]:
        """The worker's connections after it was kicked, and has sent a push."""
        push = PushFactory()
        kick(running)
        until(lambda: Push.objects.get(pk=push.pk).state == "sent")
        return backends()

    first = deliver()
    assert len(first) == 1
    assert deliver() == first
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [next(iter(first))])
    kick(running)  # finds the line cut
    until(lambda: first.isdisjoint(backends()))
    assert first.isdisjoint(deliver())
