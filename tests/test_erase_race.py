"""A room that is erased while the sessions of rooms are being written: whichever comes first, nothing of it is left."""

import threading

import pytest
from django.db import connection, transaction
from django_scopes import scopes_disabled

from alerts.models import Room
from alerts.retention.erase import erase_room
from orgs import clock
from runs.containment import sweep_sessions
from runs.models import RoomSession
from tests.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)


def in_a_thread(work):
    def alone():
        with scopes_disabled():
            try:
                work()
                done.set()
            finally:
                connection.close()

    done = threading.Event()
    thread = threading.Thread(target=alone)
    thread.start()
    return thread, done


@pytest.mark.usefixtures("system")
def test_a_session_that_is_being_written_goes_with_its_room():
    scene = Scene(staff=1)
    scene.happens("customer_message", room="gone")
    scene.fails(room="gone")
    with transaction.atomic():
        assert sweep_sessions(clock.now()) == 1
        erasing, erased = in_a_thread(lambda: erase_room(scene.org, "gone", clock.now()))
        assert not erased.wait(0.5)  # it waits for what is being written
    erasing.join(20)
    assert erased.is_set()
    assert not RoomSession.objects.exists() and not Room.objects.exists()


@pytest.mark.usefixtures("system")
def test_nothing_is_written_of_a_room_that_is_being_erased():
    scene = Scene(staff=1)
    scene.happens("customer_message", room="gone")
    scene.fails(room="gone")
    swept = []
    with transaction.atomic():
        erase_room(scene.org, "gone", clock.now())
        sweeping, done = in_a_thread(lambda: swept.append(sweep_sessions(clock.now())))
        assert done.wait(20)
    sweeping.join(20)
    sweep_sessions(clock.now())
    assert swept == [0] and not RoomSession.objects.exists()
