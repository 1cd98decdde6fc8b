"""Any order, repetition, split and concurrency of failure events, room activity and human acts keeps the invariants."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.models import Count, F, Q
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from alerts import actions
from alerts.actions.telling import TELLS
from alerts.decide import THROTTLE, next_timer
from alerts.items import Accepted, ActivityItem, EventItem
from alerts.models import Alert, FailureEvent, Push, Room, RoomActivity, Transition
from tests.examples import at_most
from tests.factories import AssignmentFactory, OrgFactory, SourceFactory, SupervisorRoleFactory, UserFactory
from tests.scene import NEEDS

pytestmark = pytest.mark.django_db

SIGNALS = st.sampled_from(sorted(NEEDS))
ROOMS = st.sampled_from(["room-1", "room-1", "room-1", "room-2"])
ACTS = ["acknowledge", "take", "release", "resolve", "reopen", "open_room", "snooze", "verdict", "assign", "undo"]
SECONDS_AGO = st.sampled_from([0, 0, 0, 5, 60, 250, 601, 1500])
KINDS = st.sampled_from(
    ["human_opened", "human_message", "assigned", "resolved", "returned_to_agent", "customer_message", "bot_message"]
)
numbers = itertools.count()


def failure(org, room, signal, at, event_id, **facts):
    item = EventItem(
        event_id=event_id,
        agent_name="Billing Bot",
        room_id=room,
        signal=signal,
        occurred_at=at,
        **NEEDS[signal] | facts,
    )
    return Accepted(0, org.pk, item, f"{event_id}{signal}{room}{at}".encode()[:32])


def activity(org, room, kind, at, activity_id, who=None, undelivered=False):
    item = ActivityItem(activity_id=activity_id, room_id=room, kind=kind, at=at, actor_sso_id=who)
    return Accepted(0, org.pk, item, f"{activity_id}{kind}{room}".encode()[:32], undelivered=undelivered)


def staffed_org():
    org = OrgFactory()
    role = SupervisorRoleFactory(org=org)
    people = [AssignmentFactory(org=org, role=role, user=UserFactory()).user for _ in range(2)]
    return org, SourceFactory(org=org), people


def freeze(at):
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION live_now() RETURNS timestamptz LANGUAGE sql VOLATILE "
            f"AS 'SELECT ''{at.isoformat()}''::timestamptz'"
        )


def check_one_open_alert_per_room():
    doubled = Alert.objects.exclude(state="resolved").values("room").annotate(n=Count("id")).filter(n__gt=1)
    assert not doubled


def check_no_two_pushes_in_a_window_unless_worsened():
    pushes = Push.objects.filter(state__in=TELLS, kind="alert").order_by("planned_at", "occurrence")
    last = {}
    for push in pushes:
        told = last.get((push.room_id, push.supervisor_id))
        assert told is None or push.reason == "worsened" or push.planned_at - told >= THROTTLE
        last[(push.room_id, push.supervisor_id)] = push.planned_at


def check_every_event_is_counted_and_says_why():
    assert not FailureEvent.objects.filter(reason="")
    for alert in Alert.objects.annotate(n=Count("events")):
        assert alert.event_count == alert.n == sum(entry["count"] for entry in alert.signals)


def check_every_timer_is_in_its_row():
    for alert in Alert.objects.select_related("room"):
        timer = next_timer(alert.facts, alert.room.facts)
        assert alert.due_at == (timer[0] if timer else None)


def check_nobody_is_told_of_what_is_over():
    """By the events' own times, not by the reason the code under test gave them."""
    late = Q(event__received_at__gt=F("event__occurred_at") + timedelta(minutes=10))
    assert not Transition.objects.filter(late).exclude(change="attached", occurrence=0)
    for again in Transition.objects.filter(change="rearmed").select_related("event"):
        ends = Transition.objects.filter(alert=again.alert_id, id__lt=again.id, change__in=["resolved", "returned"])
        ends = ends.exclude(reason="quiet")  # nobody said it was over
        assert not ends.filter(at__gt=again.event.occurred_at)


def check_an_open_alert_waits_as_its_room_does():
    for alert in Alert.objects.exclude(state="resolved").select_related("room"):
        assert alert.customer_waiting_since == alert.room.customer_waiting_since


def check_nobody_waits_whom_a_human_answered():
    """And a bot's answer counts only if no failure that left the customer waiting came after what they asked."""
    for room in Room.objects.filter(answered_at__isnull=False, customer_waiting_since__isnull=False):
        human = RoomActivity.objects.filter(room=room, kind="human_message", undelivered=False, at=room.answered_at)
        assert not human or room.customer_waiting_since > room.answered_at


def check_only_the_newest_push_waits():
    waiting = Push.objects.filter(state="pending").values("alert", "supervisor").annotate(n=Count("id"))
    assert not waiting.filter(n__gt=1)


def check_planned_pushes_are_explained():
    """Every decision to tell people left a push for each recipient, and every one not sent says why."""
    assert not Push.objects.filter(state__in=["skipped", "cancelled", "dead"], ended_reason="")
    for transition in Transition.objects.filter(occurrence__gt=0).exclude(reason="unroutable"):
        assert Push.objects.filter(alert=transition.alert_id, occurrence=transition.occurrence).count() == 2


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]


class Supervision(RuleBasedStateMachine):
    """A day in two rooms, with the clock under control."""

    @initialize()
    def begin(self):
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.scope = scopes_disabled()
        self.scope.__enter__()
        self.now = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
        freeze(self.now)
        self.org, self.source, self.people = staffed_org()
        self.sent = []

    def teardown(self):
        if hasattr(self, "atomic"):
            self.scope.__exit__(None, None, None)
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    @rule(room=ROOMS, failures=st.lists(st.tuples(SIGNALS, SECONDS_AGO), min_size=1, max_size=4))
    def failures_arrive(self, room, failures):
        self.events_arrive(room, failures)

    def events_arrive(self, room, failures):
        batch = [
            failure(self.org, room, signal, self.now - timedelta(seconds=ago), f"event-{next(numbers)}")
            for signal, ago in failures
        ]
        actions.record_events(self.source, batch)
        self.sent += batch

    @rule(data=st.data())
    def an_old_batch_comes_again(self, data):
        if not self.sent:
            return
        before = list(Alert.objects.order_by("pk").values_list("pk", "version", "state"))
        again = data.draw(st.lists(st.sampled_from(self.sent), max_size=3, unique_by=id))
        assert all(result.status == "duplicate" for result in actions.record_events(self.source, again))
        assert list(Alert.objects.order_by("pk").values_list("pk", "version", "state")) == before

    @rule(room=ROOMS, kind=KINDS, ago=SECONDS_AGO, who=st.integers(0, 2))
    def something_happens_in_a_room(self, room, kind, ago, who):
        sso_id = self.people[who].sso_id if who < 2 else None
        at = self.now - timedelta(seconds=ago)
        actions.record_activity(self.source, [activity(self.org, room, kind, at, f"activity-{next(numbers)}", sso_id)])

    @rule(room=ROOMS, kind=st.sampled_from(["human_message", "bot_message"]), ago=SECONDS_AGO)
    def a_message_never_reaches_the_customer(self, room, kind, ago):
        """Told first as one that might, then as one that did not: the room is as before."""
        before = self.room_as_it_is(room)
        key, at = f"activity-{next(numbers)}", self.now - timedelta(seconds=ago)
        for undelivered in (False, True):
            told = [activity(self.org, room, kind, at, key, undelivered=undelivered)]
            actions.record_activity(self.source, told)
        assert before in (None, self.room_as_it_is(room))

    def room_as_it_is(self, room):
        """Since when its customer waits; None for one that nobody heard of since it was settled, or for a day."""
        heard = Room.objects.filter(Q(settled_at=None) | Q(heard_at__gt=F("settled_at")), room_id=room)
        heard = heard.filter(heard_at__gt=self.now - timedelta(hours=24))
        return heard.values("customer_waiting_since", "handed_off_at").first()

    @rule(
        data=st.data(),
        act=st.sampled_from(ACTS),
        who=st.integers(0, 1),
    )
    def a_person_acts(self, data, act, who):
        alerts = list(Alert.objects.order_by("room__room_id", "opened_at", "episode", "version"))
        if not alerts:
            return
        alert = data.draw(st.sampled_from(alerts))
        extra = {
            "snooze": [self.now + timedelta(minutes=10)],
            "verdict": ["confirmed", ""],
            "assign": [self.people[1]],
        }.get(act, [])
        try:
            after = getattr(actions, act)(alert.pk, self.people[who], *extra)
        except actions.ActConflict as conflict:
            stored = Alert.objects.get(pk=conflict.alert.pk)
            assert (stored.state, stored.version) == (conflict.alert.state, conflict.alert.version)
        else:
            assert after.version >= alert.version
            self.time_passes(0)
            assert act != "reopen" or Alert.objects.get(pk=alert.pk).state != "resolved"

    @rule(seconds=st.sampled_from([1, 30, 200, 301, 905, 1900, 4000, 90000]))
    def time_goes_by(self, seconds):
        self.time_passes(seconds)

    def time_passes(self, seconds):
        self.what_is_pending_is_sent()
        self.now += timedelta(seconds=seconds)
        freeze(self.now)
        while actions.sweep_timers():
            pass
        assert not Alert.objects.filter(due_at__lte=self.now)

    @rule(room=ROOMS, seconds=st.sampled_from([1, 200, 299, 300, 3601]), signal=SIGNALS)
    def it_is_resolved_and_fails_again(self, room, seconds, signal):
        for pk in Alert.objects.filter(room__room_id=room).exclude(state="resolved").values_list("pk", flat=True):
            actions.resolve(pk, self.people[0])
        self.time_passes(seconds)
        self.events_arrive(room, [(signal, 0)])

    def what_is_pending_is_sent(self):
        Push.objects.filter(state="pending").update(state="sent", sent_at=self.now)

    @invariant()
    def invariants_hold(self):
        if hasattr(self, "atomic"):
            for check in CHECKS:
                check()


def test_supervision_keeps_its_invariants(db):
    run_state_machine_as_test(
        Supervision,
        settings=settings(
            max_examples=at_most(40),
            stateful_step_count=18,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


# --- the same final state for any batching ---

STEP = st.one_of(
    st.tuples(st.just("event"), ROOMS, SIGNALS, SECONDS_AGO),
    st.tuples(st.just("activity"), ROOMS, KINDS, SECONDS_AGO),
)


def final_state(steps, cuts, at):
    """Play the steps in batches cut at `cuts`; what is in the tables at the end, ids left out."""
    with transaction.atomic(), scopes_disabled():
        freeze(at)
        org, source, people = staffed_org()
        names = {person.pk: index for index, person in enumerate(people)}
        batch = []
        for index, step in enumerate(steps):
            if batch and (index in cuts or batch[-1][0] != step[0]):
                send(org, source, people, batch, at)
                batch = []
            batch.append((*step, index))
        send(org, source, people, batch, at)
        skip = ("id", "org_id", "agent_id", "room_id", "alert_id")
        state = [
            [
                {k: names.get(v, v) if k.endswith(("_by_id", "_to_id")) else v for k, v in row.items() if k not in skip}
                for row in Alert.objects.order_by("room__room_id", "opened_at", "episode").values()
            ],
            list(
                Transition.objects.order_by("alert__room__room_id", "id").values_list(
                    "change", "reason", "episode", "occurrence", "event__event_id", "at"
                )
            ),
            [
                (*rest, names[who])
                for *rest, who in Push.objects.order_by("room__room_id", "occurrence", "supervisor_id").values_list(
                    "occurrence", "reason", "state", "ended_reason", "severity", "supervisor_id"
                )
            ],
            list(FailureEvent.objects.order_by("event_id").values_list("event_id", "reason", "severity")),
            list(
                Room.objects.order_by("room_id").values_list(
                    "room_id", "state", "customer_waiting_since", "handed_off_at", "human_since", "settled_at"
                )
            ),
        ]
        transaction.set_rollback(True)
        return state


def send(org, source, people, batch, at):
    if not batch:
        return
    if batch[0][0] == "event":
        actions.record_events(
            source, [failure(org, r, s, at - timedelta(seconds=ago), f"e{n}") for _, r, s, ago, n in batch]
        )
    else:
        actions.record_activity(
            source,
            [activity(org, r, k, at - timedelta(seconds=ago), f"a{n}", people[0].sso_id) for _, r, k, ago, n in batch],
        )


@given(steps=st.lists(STEP, min_size=2, max_size=8), cuts=st.sets(st.integers(1, 7)))
@settings(max_examples=at_most(40), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_final_state_is_the_same_for_any_batching(db, steps, cuts):
    at = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    assert final_state(steps, set(), at) == final_state(steps, cuts, at)


# --- concurrency ---


@pytest.mark.django_db(transaction=True)
def test_many_at_once_on_two_rooms_keep_the_invariants():
    with scopes_disabled():
        org, source, people = staffed_org()
    now = datetime.now(UTC)

    def work(worker):
        with scopes_disabled():
            try:
                for step in range(6):
                    signal = sorted(NEEDS)[(worker + step) % 4]
                    rooms = ["room-1", "room-2"] if worker % 2 else ["room-2", "room-1"]
                    batch = [failure(org, room, signal, now, f"{worker}-{step}-{room}") for room in rooms]
                    shared = failure(org, rooms[0], "agent_error", now, f"shared-{step}-{rooms[0]}")
                    actions.record_events(source, [*batch, shared])
                    act(people[worker % 2], step)
            finally:
                connection.close()

    def act(person, step):
        for pk in Alert.objects.exclude(state="resolved").values_list("pk", flat=True):
            try:
                [actions.take, actions.release, actions.resolve][step % 3](pk, person)
            except actions.ActConflict as conflict:
                assert conflict.alert.pk

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    with scopes_disabled():
        assert FailureEvent.objects.count() == 8 * 6 * 2 + 6 * 2
        for check in CHECKS:
            check()
        assert not Alert.objects.filter(~Q(pk=None), version__lt=F("episode"))
