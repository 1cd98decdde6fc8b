"""Purges and erasures at the same time as each other, as what comes in, and as a kill -9."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django_scopes import scopes_disabled

from alerts import actions
from alerts.models import Alert, FailureEvent, LegalHold, Push, Room, Transition
from alerts.retention.erase import SubjectHeld, erase_person, erase_room
from alerts.retention.purge import Pace, purge
from orgs.models import Org, User
from tests.factories import AgentFactory, AlertFactory, RoomFactory, UserFactory
from tests.launching import ROOT
from tests.scene import Scene

pytestmark = [pytest.mark.usefixtures("transactional_db"), pytest.mark.django_db(transaction=True)]
LONG_AGO = datetime.now(UTC) - timedelta(days=500)


@pytest.fixture
def scene(transactional_db: None, system: None) -> Scene:
    return Scene()


def old_alerts(org: Org, many: int) -> list[Any]:
    """Ids of resolved alerts of one room, the oldest first, with a transition each."""
    agent, room = AgentFactory(org=org), RoomFactory(org=org)
    alerts = [
        AlertFactory(
            org=org, room=room, agent=agent, state="resolved", opened_at=at, resolved_at=at + timedelta(minutes=1)
        )
        for at in (LONG_AGO + timedelta(seconds=n) for n in range(many))
    ]
    Transition.objects.bulk_create(
        Transition(org=org, alert=alert, at=alert.resolved_at, change="resolved") for alert in alerts
    )
    return [alert.pk for alert in alerts]


@contextmanager
def beside(act: Callable[[], object]) -> Iterator[threading.Thread]:
    """Do this in another thread, with a connection of its own; what it raised is raised at the end."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with scopes_disabled():
                act()
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield thread
    thread.join(90)  # an erasure waits up to 30 s for whatever else is under way in these engines
    assert not thread.is_alive()
    if failed:
        raise failed[0]


def is_waiting() -> bool:
    """Whether somebody in this database waits for a row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def test_two_purges_share_the_work_and_wait_for_nobody(scene: Scene) -> None:
    ids = old_alerts(scene.org, 9)
    with transaction.atomic():
        list(Alert.objects.select_for_update().filter(pk__in=ids[:4]))
        rows: list[int] = []
        with beside(lambda: rows.append(purge(datetime.now(UTC), pace=Pace(rests=0))["alerts_alert"])):
            pass
        assert rows == [5]
    assert set(Alert.objects.values_list("pk", flat=True)) == set(ids[:4])
    assert purge(datetime.now(UTC), pace=Pace(rests=0))["alerts_alert"] == 4


def test_a_purge_that_is_over_leaves_the_rest_to_the_next(scene: Scene) -> None:
    ids = old_alerts(scene.org, 5)
    assert purge(datetime.now(UTC), pace=Pace(until=0.0))["alerts_alert"] == 0
    assert Alert.objects.count() == len(ids)


def test_killed_half_way_it_goes_on(scene: Scene) -> None:
    old_alerts(scene.org, 130)
    url = connection.settings_dict
    env = os.environ | {
        "TESTING": "1",
        "FAILPOINT": "purge",
        "DATABASE_URL": os.environ["DATABASE_URL"].replace("/live?", f"/{url['NAME']}?"),
    }
    killed = subprocess.run([sys.executable, ROOT / "manage.py", "purge"], env=env, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    left = Alert.objects.count()
    assert 0 < left < 130
    assert purge(datetime.now(UTC), pace=Pace(rests=0))["alerts_alert"] == left


def test_an_old_alert_that_is_held_just_now_stays(scene: Scene) -> None:
    """The hold commits while the purge waits for nobody: it skips the alert, and then sees the hold."""
    (held, other) = old_alerts(scene.org, 2)
    with transaction.atomic():
        actions.hold(held, UserFactory(is_specialist=True), "Case 12")
        with beside(lambda: purge(datetime.now(UTC), pace=Pace(rests=0))):
            pass
    assert not Alert.objects.filter(pk=other).exists()
    assert purge(datetime.now(UTC), pace=Pace(rests=0))["alerts_alert"] == 0
    assert Alert.objects.get().pk == held and LegalHold.objects.exists()


def test_what_comes_in_first_is_erased_with_the_room(scene: Scene, wait_for: Any) -> None:
    scene.fails(room="r1")
    now = datetime.now(UTC)
    with transaction.atomic():
        scene.fails(room="r1")
        erasing = beside(lambda: erase_room(scene.org, "r1", now))
        erasing.__enter__()
        wait_for(is_waiting)
    erasing.__exit__(None, None, None)
    assert not Room.objects.exists() and not FailureEvent.objects.exists() and not Alert.objects.exists()


def test_what_comes_in_meanwhile_waits_and_begins_a_new_room(scene: Scene, wait_for: Any) -> None:
    scene.fails(room="r1")
    before = Room.objects.get().pk
    with transaction.atomic():
        erase_room(scene.org, "r1", datetime.now(UTC))
        coming = beside(lambda: scene.fails(room="r1"))
        coming.__enter__()
        wait_for(is_waiting)
    coming.__exit__(None, None, None)
    assert Room.objects.get().pk != before and FailureEvent.objects.count() == 1
    assert Alert.objects.get().event_count == 1


def test_a_hold_that_is_being_set_forbids_the_erasure(scene: Scene, wait_for: Any) -> None:
    scene.fails(room="r1")
    now = datetime.now(UTC)
    with transaction.atomic():
        actions.hold(scene.alert("r1").pk, UserFactory(is_specialist=True), "Case 12")
        erasing = beside(lambda: erase_room(scene.org, "r1", now))
        erasing.__enter__()
        wait_for(is_waiting)
    with pytest.raises(SubjectHeld, match="Case 12"):
        erasing.__exit__(None, None, None)
    assert Room.objects.exists()


def test_what_was_under_way_names_a_forgotten_person_no_more(scene: Scene, wait_for: Any) -> None:
    """A push that was planned, and not committed, while its reader was erased."""
    person = scene.people[0]
    with transaction.atomic():
        scene.fails(room="r1")
        erasing = beside(lambda: erase_person(person.sso_id, datetime.now(UTC)))
        erasing.__enter__()
        wait_for(lambda: User.objects.get(pk=person.pk).sso_id != person.sso_id)
    erasing.__exit__(None, None, None)
    bodies = list(Push.objects.filter(supervisor=person).values_list("body", flat=True))
    assert len(bodies) == 1 and person.sso_id not in bodies[0]
