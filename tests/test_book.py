"""Nothing that changed in a locked room or alert is lost: the book writes it, or refuses all of it."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from alerts import feed
from alerts.actions.book import ALERT_FIELDS, BOOKKEEPING, FOLLOWED, Book, UnrecordedChange
from alerts.models import Alert
from alerts.policy import DEFAULT_POLICY
from orgs import clock
from tests.scene import Scene

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene():
    scene = Scene()
    scene.fails("low_confidence")
    return scene


@pytest.fixture
def book(scene):
    with transaction.atomic():
        book = Book(clock.now())
        book.lock([(scene.org.pk, "r1")])
        yield book


@pytest.fixture
def alert(book):
    (alert,) = book.alerts.values()
    return alert


def test_a_room_that_changed_is_written_with_its_alerts_next_timer(scene, book, alert):
    alert.room.handed_off_at = book.now - timedelta(minutes=1)
    book.close()
    assert scene.room().handed_off_at == alert.room.handed_off_at
    assert scene.alert().due_at == alert.room.handed_off_at + DEFAULT_POLICY.handoff_clock


@pytest.mark.parametrize("field", [name for name in ALERT_FIELDS if name not in BOOKKEEPING | FOLLOWED])
def test_an_alert_that_changed_without_a_transition_is_refused(scene, book, alert, field):
    before = getattr(alert, field)
    setattr(alert, field, (before,) if field == "agent_id" else [before])  # by its agent a policy is looked up
    alert.room.label = "renamed"
    with pytest.raises(UnrecordedChange, match=field):
        book.close()
    assert (getattr(scene.alert(), field), scene.room().label) == (before, "")


def test_a_change_inside_a_list_is_noticed(book, alert):
    alert.signals[0]["count"] += 1
    with pytest.raises(UnrecordedChange, match="signals"):
        book.close()


def test_an_alert_that_is_new_needs_its_transition(scene, book, alert):
    book.alerts[alert.room_id] = Alert(org=scene.org, room=alert.room, agent=alert.agent)
    with pytest.raises(UnrecordedChange):
        book.close()


@pytest.mark.parametrize("field", sorted(FOLLOWED - {"window_ends_at", "window_over_at"}))  # those are reckoned
def test_what_follows_the_room_is_a_new_version_and_published(scene, book, alert, field, monkeypatch, run_commit_hooks):
    heard, version = [], alert.version
    monkeypatch.setattr(feed, "publish", heard.extend)
    setattr(alert, field, book.now)
    with run_commit_hooks():
        book.close()
    assert (getattr(scene.alert(), field), scene.alert().version, heard) == (book.now, version + 1, [alert.pk])


def test_what_did_not_change_is_not_written(book):
    with CaptureQueriesContext(connection) as asked:
        book.close()
    assert not [one for one in asked.captured_queries if not one["sql"].startswith("SELECT")]
