"""People act, failures arrive, time passes, silences come and go, policies change and rooms are erased, all at once."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count

import psycopg
import pytest
from django.db import OperationalError, connection
from django_scopes import scopes_disabled

from alerts import actions
from alerts.models import Alert, Push, Room, Silence
from alerts.retention.erase import SubjectUnknown, erase_room
from orgs import clock
from orgs.models import Policy
from tests.factories import AssignmentFactory, OrgFactory, SourceFactory, SupervisorRoleFactory, UserFactory
from tests.invariants import (
    Seen,
    check_every_event_is_counted_and_says_why,
    check_one_open_alert_per_room,
    check_only_the_newest_push_waits,
)
from tests.test_state_machine import activity, failure

pytestmark = pytest.mark.django_db(transaction=True)
ROOMS = ["room-1", "room-2", "room-3", "room-4"]
GIVES_WAY = (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable)
EXPECTED = (actions.ActConflict, actions.ActInvalid, Alert.DoesNotExist, Silence.DoesNotExist, SubjectUnknown)


def test_nothing_breaks_and_every_row_says_what_is_so() -> None:
    with scopes_disabled():
        org, numbers = OrgFactory(), count()
        role = SupervisorRoleFactory(org=org)
        people = [AssignmentFactory(org=org, role=role, user=UserFactory()).user for _ in range(2)]
        AssignmentFactory(org=org, role=SupervisorRoleFactory(org=org, tier=2))
        source = SourceFactory(org=org)
        Policy.objects.create(org=org, limits={"outage": {"rooms": 3}, "budget": {"pushes": 3}})

    def fails(rng: random.Random) -> None:
        rooms = rng.sample(ROOMS, 3)
        agent = rng.choice(["Billing Bot", "Shipping Bot"])
        now = datetime.now(UTC)
        batch = [failure(org, room, "agent_error", now, f"e{next(numbers)}", agent_name=agent) for room in rooms]
        actions.record_events(source, batch)

    def happens(rng: random.Random) -> None:
        kind = rng.choice(["human_message", "customer_message", "bot_message", "resolved", "returned_to_agent"])
        told = activity(org, rng.choice(ROOMS), kind, datetime.now(UTC), f"a{next(numbers)}", people[0].sso_id)
        actions.record_activity(source, [told])

    def acts(rng: random.Random) -> None:
        found = list(Alert.objects.values_list("pk", "room_id"))
        if not found:
            return
        (pk, room), who = rng.choice(found), rng.choice(people)
        verbs = ["acknowledge", "take", "release", "undo", "wake", "reopen", "resolve", "snooze", "assign"]
        verb = rng.choice([*verbs, *(["open_room"] if room else [])])
        until = clock.now() + timedelta(minutes=10)
        extra = {"snooze": [until], "assign": [people[1]]}.get(verb, [])
        getattr(actions, verb)(pk, who, *extra)

    def silences(rng: random.Random) -> None:
        standing = list(Silence.objects.values_list("pk", "ended_at"))
        until = clock.now() + timedelta(minutes=10)
        if len(standing) < 3:
            actions.make_silence(actions.AskedSilence(org, until, None, signal="agent_error"), people[0])
            return
        pk, ended = rng.choice(standing)
        (actions.restore_silence if ended else actions.end_silence)(pk, people[0])

    def time_passes(rng: random.Random) -> None:
        actions.sweep_timers()

    def retimes(rng: random.Random) -> None:
        actions.retime(org.pk)

    def erases(rng: random.Random) -> None:
        erase_room(org, rng.choice(ROOMS), clock.now())

    jobs: list[Callable[[random.Random], None]] = [fails, fails, acts, acts, happens, silences, time_passes, retimes]

    def tried(job: Callable[[random.Random], None], rng: random.Random) -> None:
        """As the lane and browsers do: rooms that are new are locked as they come, and one of two gives way."""
        for _ in range(9):
            try:
                return job(rng)
            except OperationalError as error:
                if not isinstance(error.__cause__, GIVES_WAY):
                    raise
        raise AssertionError("nobody gives way")

    def work(worker: int) -> None:
        rng = random.Random(worker)
        with scopes_disabled():
            try:
                for step in range(30):
                    job = erases if worker == 7 and step % 10 == 9 else rng.choice(jobs)
                    with suppress(*EXPECTED):
                        tried(job, rng)
            finally:
                connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    with scopes_disabled():
        while actions.sweep_timers():
            pass
        seen = Seen()
        check_one_open_alert_per_room(seen)
        check_every_event_is_counted_and_says_why(seen)
        check_only_the_newest_push_waits(seen)
        assert Room.objects.exists() and Alert.objects.exists()
        assert not Push.objects.filter(state__in=["skipped", "cancelled", "dead"], ended_reason="").exists()
        late = Alert.objects.exclude(state="resolved").filter(due_at__lte=clock.now() - timedelta(minutes=1))
        assert not late.exists() and not Alert.objects.filter(timer_failures__gt=0).exists()
