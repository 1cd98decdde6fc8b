"""The publisher's thread: kicks go at once, and not more of them than the workers need."""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis
from django.conf import settings

from alerts import feed
from tests.stack import until

QUEUE = settings.CELERY_TASK_DEFAULT_QUEUE


@pytest.fixture
def broker() -> Iterator["redis.Redis[bytes]"]:
    with redis.from_url(settings.REDIS_URL) as client:
        yield client
        client.delete(QUEUE)


def test_the_first_kick_goes_at_once_and_those_that_follow_go_together(
    broker: "redis.Redis[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "KICK_SECONDS", 0.2)
    task, publisher = f"test.{uuid4().hex}", feed.Publisher()

    def kicks() -> int:
        return sum(task.encode() in message for message in broker.lrange(QUEUE, 0, -1))

    began = time.monotonic()
    publisher.put(task)
    until(lambda: kicks() == 1)
    for _ in range(100):
        publisher.put(task)
    until(lambda: kicks() >= 2)  # the last one is never forgotten
    until(lambda: not (publisher.waiting.qsize() or publisher._owed))
    assert kicks() <= 1 + (time.monotonic() - began) / 0.2
