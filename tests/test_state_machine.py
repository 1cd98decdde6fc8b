"""Any order, repetition, split and concurrency of failure events, room activity and human acts keeps the invariants."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F, Q
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from alerts import actions
from alerts.actions.telling import TELLS
from alerts.blind import beat, notice_down
from alerts.delivery.digest import still_waiting, write_digests
from alerts.items import Accepted, ActivityItem, EventItem
from alerts.known import Known
from alerts.models import Alert, FailureEvent, Push, Room, Silence, Transition, WebHeartbeat
from orgs.models import Assignment, Policy, QuietHours
from orgs.rosters import rosters_of
from orgs.routing import standing_at
from orgs.signals import SENT
from tests.examples import at_most
from tests.factories import AssignmentFactory, OrgFactory, SourceFactory, SupervisorRoleFactory, UserFactory
from tests.invariants import (
    BUDGET,
    CHECKS,
    Seen,
    check_each_tier_is_told_before_the_next,
    check_planned_pushes_are_explained,
)
from tests.scene import NEEDS

pytestmark = pytest.mark.django_db

SIGNALS = st.sampled_from(sorted(SENT))  # what is found here comes of the bot messages
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
        room_id=room,
        signal=signal,
        occurred_at=at,
        channel="wa",
        **{"agent_name": "Billing Bot"} | NEEDS[signal] | facts,
    )
    return Accepted(0, org.pk, item, f"{event_id}{signal}{room}{at}".encode()[:32])


def activity(org, room, kind, at, activity_id, who=None, undelivered=False):
    item = ActivityItem(activity_id=activity_id, room_id=room, kind=kind, at=at, actor_sso_id=who)
    return Accepted(0, org.pk, item, f"{activity_id}{kind}{room}".encode()[:32], undelivered=undelivered)


def staffed_org(outage_rooms=0):
    """Two people in the first tier, one in the second, a specialist; a budget of three pushes."""
    org = OrgFactory()
    role = SupervisorRoleFactory(org=org)
    people = [AssignmentFactory(org=org, role=role, user=UserFactory()).user for _ in range(2)]
    AssignmentFactory(org=org, role=SupervisorRoleFactory(org=org, tier=2))
    UserFactory(is_specialist=True)
    Policy.objects.create(org=org, limits={"budget": {"pushes": BUDGET}, "outage": {"rooms": outage_rooms}})
    return org, SourceFactory(org=org), people


def freeze(at):
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION live_now() RETURNS timestamptz LANGUAGE sql VOLATILE "
            f"AS 'SELECT ''{at.isoformat()}''::timestamptz'"
        )


class Supervision(RuleBasedStateMachine):
    """A day in two rooms, with the clock under control."""

    outage_rooms = 0
    checks = CHECKS

    @initialize()
    def begin(self):
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.scope = scopes_disabled()
        self.scope.__enter__()
        self.now = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
        freeze(self.now)
        self.org, self.source, self.people = staffed_org(self.outage_rooms)
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
        if act == "open_room" and alert.room_id is None:
            return
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
        for _ in range(50):
            if not actions.sweep_timers():
                break
        else:
            raise AssertionError("sweeps have no end")
        assert not Alert.objects.filter(due_at__lte=self.now)

    @rule(back=st.booleans(), kind=st.sampled_from(["human_message", "customer_message", "resolved"]), room=ROOMS)
    def we_are_down_for_twenty_minutes(self, back, kind, room):
        """Nobody is pushed for what fell due meanwhile, before others could tell what happened."""
        self.time_passes(0)  # what fell due before is worked at once, whenever we are back
        self.what_is_pending_is_sent()
        beat()
        self.now += timedelta(minutes=20)
        freeze(self.now)
        assert notice_down()
        beat()
        self.something_happens_in_a_room(room, kind, 300, 2)
        for _ in range(2 if back else 0):
            self.now += timedelta(seconds=50)
            freeze(self.now)
            beat()
        before = Push.objects.filter(kind="alert").count()
        actions.sweep_timers()
        assert Push.objects.filter(kind="alert").count() == before
        WebHeartbeat.objects.all().delete()
        self.time_passes(121)

    @rule(room=ROOMS, seconds=st.sampled_from([1, 200, 299, 300, 3601]), signal=SIGNALS)
    def it_is_resolved_and_fails_again(self, room, seconds, signal):
        for pk in Alert.objects.filter(room__room_id=room).exclude(state="resolved").values_list("pk", flat=True):
            actions.resolve(pk, self.people[0])
        self.time_passes(seconds)
        self.events_arrive(room, [(signal, 0)])

    @rule(room=ROOMS, of=st.sampled_from(["room", "org", "signal"]), minutes=st.sampled_from([1, 4, 30, 600]))
    def a_silence_begins(self, room, of, minutes):
        if of == "room" and not Room.objects.filter(room_id=room).exists():
            return
        named = {"room": {"room_id": room}, "org": {"whole_org": True}, "signal": {"signal": "agent_error"}}[of]
        asked = actions.AskedSilence(self.org, self.now + timedelta(minutes=minutes), **named)
        actions.make_silence(asked, self.people[0])

    @rule(data=st.data())
    def a_silence_is_ended(self, data):
        standing = list(Silence.objects.filter(ended_at=None).order_by("created_at", "ends_at", "signal", "room_id"))
        if standing:
            actions.end_silence(data.draw(st.sampled_from(standing)).pk, self.people[1])

    def what_is_pending_is_sent(self):
        pending = Push.objects.filter(state="pending", next_attempt_at__lte=self.now)
        for digest in pending.filter(kind="digest"):
            digests = still_waiting([digest], Known(), self.now)
            if digests:
                write_digests(digests, self.now)
            else:
                pending.filter(pk=digest.pk).update(state="cancelled", ended_reason="no_longer_needed")
        pending.update(state="sent", sent_at=self.now)

    @invariant()
    def invariants_hold(self):
        if hasattr(self, "atomic"):
            seen = Seen()
            for check in self.checks:
                check(seen)


class Shifts(Supervision):
    """The same with hours: nobody is told who is off duty or away, nor in quiet hours of what does not pass them."""

    # Not those that know who is told beforehand.
    checks = [
        check
        for check in CHECKS
        if check not in (check_planned_pushes_are_explained, check_each_tier_is_told_before_the_next)
    ]
    HOURS = st.sampled_from([("00:00", "12:00"), ("02:00", "03:00"), ("09:00", "10:00"), ("22:00", "02:30")])

    @rule(who=st.integers(0, 2), hours=HOURS, kind=st.sampled_from(["duty", "duty", "quiet", "away", "none"]))
    def somebodys_hours_change(self, who, hours, kind):
        theirs = Assignment.objects.filter(org=self.org).order_by("pk")[who]
        weekly = [{"days": [1, 2, 3, 4, 5, 6, 7], "from": hours[0], "to": hours[1]}]
        if kind == "quiet":
            QuietHours.objects.update_or_create(org=self.org, user=theirs.user, defaults={"hours": weekly})
        else:
            theirs.duty = weekly if kind == "duty" else []
            theirs.away_until = self.now + timedelta(minutes=30) if kind == "away" else None
            theirs.save()
        self.since = self.now  # what was planned before was by other hours

    @invariant()
    def nobody_is_told_who_is_not_there(self):
        if not hasattr(self, "atomic"):
            return
        told = Push.objects.filter(kind="alert", state__in=TELLS, planned_at__gt=getattr(self, "since", self.now))
        for push in told.exclude(tier=0).select_related("alert"):
            standing = standing_at(
                rosters_of([self.org.pk], self.now)[self.org.pk], push.alert.agent_id, push.planned_at
            )
            reasons = {one.user_id: one.absent for one in standing.people}
            assert reasons[push.supervisor_id] in ("", "quiet_hours" if push.severity == "critical" else "")
        waits = Alert.objects.filter(state="open", duty_waits=True)
        assert not waits.filter(tier__gt=0, tier_from__gt=self.now)
        assert not Alert.objects.filter(hours_until__isnull=False, duty_waits=False)


class Storms(Supervision):
    """The same, where both rooms at once are an outage of their agent."""

    outage_rooms = 2


@pytest.mark.parametrize(("machine", "examples"), [(Supervision, 40), (Storms, 20), (Shifts, 10)])
def test_supervision_keeps_its_invariants(db, machine, examples):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=at_most(examples, usually=examples // 2),
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
        skip = ("id", "org_id", "agent_id", "room_id", "alert_id", "from_source_id")
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
@settings(
    max_examples=at_most(40, usually=20), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
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
        seen = Seen()
        for check in CHECKS:
            check(seen)
        assert not Alert.objects.filter(~Q(pk=None), version__lt=F("episode"))
