"""Failure events in: what they do to alerts, who is told, and what is written down about it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_scopes import scopes_disabled

from alerts import actions, feed
from alerts.actions.telling import PUSHES
from alerts.models import Alert, FailureEvent, Push, Room, Transition
from orgs import clock as database_clock
from orgs.models import Agent, Policy
from tests.factories import AgentFactory, AssignmentFactory, RoomFactory, SourceFactory, SupervisorRoleFactory
from tests.scene import TAKEN_OVER_BY_NOBODY, Scene, about, due_in, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock):
    return Scene()


# --- one alert per room ----------------------------------------------------------------------------------------------


def test_the_first_failure_of_a_room_opens_an_alert_and_tells_every_supervisor(scene):
    scene.fails("agent_error", key="e1")
    alert = scene.alert()
    assert (alert.state, alert.severity, alert.event_count, alert.episode) == ("open", "critical", 1, 1)
    assert scene.changes() == [("opened", "first")]
    assert scene.stored("e1").alert_id == alert.pk
    pushes = Push.objects.filter(alert=alert)
    assert {push.supervisor for push in pushes} == set(scene.people)
    assert {(push.reason, push.state, push.occurrence) for push in pushes} == {("first", "pending", 1)}
    assert all(push.body and push.next_attempt_at for push in pushes)


def test_further_failures_attach_to_the_open_alert_of_their_room_and_tell_nobody(scene):
    scene.fails("agent_error")
    scene.fails("agent_error")
    assert scene.alert().event_count == 2
    assert scene.changes() == [("opened", "first"), ("attached", "attached")]
    assert len(scene.told()) == 1


def test_another_room_has_its_own_alert(scene):
    scene.fails(room="r1")
    scene.fails(room="r2")
    assert scene.alert("r1").pk != scene.alert("r2").pk


def test_the_same_room_id_in_another_org_is_another_room(scene):
    other = Scene()
    scene.fails(room="r1")
    other.fails(room="r1")
    assert scene.alert().event_count == other.alert().event_count == 1
    assert {push.org_id for push in Push.objects.filter(supervisor__in=other.people)} == {other.org.pk}


# --- the ladder ------------------------------------------------------------------------------------------------------


def test_the_failure_ladder_worsens_one_alert_and_pushes_only_on_worsening(scene):
    for signal in ("low_confidence", "low_confidence", "message_cap", "message_cap", "agent_error", "agent_error"):
        scene.fails(signal)
        pushes_are_sent()
    assert scene.changes() == [
        ("opened", "first"),
        ("attached", "attached"),
        ("worsened", "worsened"),
        ("attached", "attached"),
        ("worsened", "worsened"),
        ("attached", "attached"),
    ]
    assert [(reason, state) for reason, state, _ in scene.told()] == [
        ("first", "sent"),
        ("worsened", "sent"),
        ("worsened", "sent"),
    ]


def test_a_worsened_alert_says_from_what_to_what(scene):
    scene.fails("message_cap")
    scene.fails("unexpected_handoff", **TAKEN_OVER_BY_NOBODY)
    assert scene.last_change().detail == {"from": "warning", "to": "critical"}
    assert scene.alert().severity == "critical"


def test_a_milder_failure_does_not_lower_the_severity(scene):
    scene.fails("agent_error")
    scene.fails("low_confidence")
    assert scene.alert().severity == "critical"


def test_worsening_starts_the_repeats_anew(scene, clock):
    scene.fails("message_cap")
    clock.advance(minutes=6)
    actions.sweep_timers()
    scene.fails("agent_error")
    alert = scene.alert()
    assert alert.repeats_done == 0
    assert about(due_in(alert), timedelta(minutes=5))


def test_signals_are_counted_with_their_first_and_last_time(scene):
    scene.fails("message_cap", ago=60)
    scene.fails("agent_error", ago=30)
    scene.fails("message_cap")
    signals = scene.alert().signals
    assert [(one["signal"], one["count"]) for one in signals] == [("message_cap", 2), ("agent_error", 1)]
    assert signals[0]["first_at"] < signals[1]["first_at"] < signals[0]["last_at"]


def test_the_first_failure_of_an_episode_is_the_earliest_that_happened_not_the_first_that_arrived(scene):
    scene.fails("message_cap", ago=5)
    scene.fails("agent_error", ago=65)
    assert about(scene.alert().first_failure_at, database_clock.now() - timedelta(seconds=65))


def test_a_superseded_push_waits_no_longer(scene):
    scene.fails("message_cap")
    scene.fails("agent_error")
    assert scene.told() == [("first", "cancelled", "superseded"), ("worsened", "pending", "")]


def test_a_push_that_is_superseded_within_its_batch_is_kept_and_says_so(scene):
    actions.record_events(scene.source, [scene.event("message_cap"), scene.event("agent_error")])
    assert scene.told() == [("first", "cancelled", "superseded"), ("worsened", "pending", "")]


# --- once ------------------------------------------------------------------------------------------------------------


def test_the_same_failure_event_again_is_a_duplicate_and_changes_nothing(scene):
    again = scene.event()
    assert actions.record_events(scene.source, [again])[0].status == "created"
    version = scene.alert().version
    assert actions.record_events(scene.source, [again])[0].status == "duplicate"
    assert (scene.alert().version, FailureEvent.objects.count()) == (version, 1)


def test_the_same_id_with_other_content_is_a_conflict_and_the_original_is_kept(scene):
    scene.fails("message_cap", key="e1")
    result = scene.fails("agent_error", key="e1")
    assert (result.status, result.error["code"]) == ("conflict", "id_conflict")
    assert scene.stored("e1").signal == "message_cap"
    assert scene.alert().severity == "warning"


def test_duplicates_and_conflicts_are_found_within_a_batch_and_answered_in_its_order(scene):
    first = scene.event("message_cap", key="e1")
    results = actions.record_events(scene.source, [first, first, scene.event("agent_error", key="e1"), scene.event()])
    assert [result.status for result in results] == ["created", "duplicate", "conflict", "created"]
    assert scene.alert().event_count == 2


def test_the_same_id_from_another_source_is_another_failure_event(scene):
    scene.fails(key="e1")
    other = SourceFactory(org=scene.org)
    assert actions.record_events(other, [scene.event(key="e1")])[0].status == "created"
    assert scene.alert().event_count == 2


def test_the_same_id_of_a_platform_source_in_another_org_is_another_failure_event(scene):
    platform, other = SourceFactory(org=None), Scene()
    results = actions.record_events(platform, [scene.event(key="e1"), other.event(key="e1")])
    assert [result.status for result in results] == ["created", "created"]


def test_a_conflict_leaves_no_trace_of_what_it_named(scene):
    scene.fails(key="e1")
    scene.fails(key="e1", agent_name="Other Bot")
    assert not Agent.objects.filter(name="Other Bot")


# --- too late, not low enough ----------------------------------------------------------------------------------------


def test_a_late_failure_opens_its_alert_within_the_hour_and_pushes_to_nobody(scene):
    scene.fails(key="e1", room="r1", ago=3601)
    assert (scene.stored("e1").reason, scene.stored("e1").alert) == ("late", None)
    scene.fails(key="e2", room="r2", ago=601)
    assert (scene.stored("e2").reason, scene.stored("e2").alert) == ("late", Alert.objects.get())
    assert set(Push.objects.values_list("kind", flat=True)) == {"digest"}  # "check these rooms"


def test_a_late_failure_joins_an_open_alert_without_worsening_it(scene):
    scene.fails("low_confidence")
    scene.fails("agent_error", ago=601)
    alert = scene.alert()
    assert (alert.severity, alert.event_count) == ("info", 2)
    assert scene.changes()[-1] == ("attached", "late")
    assert len(scene.told()) == 1


def test_a_late_failure_does_not_make_the_customer_wait(scene):
    scene.fails("low_confidence")
    scene.fails("agent_error", ago=601)
    assert scene.alert().customer_waiting_since is None


def test_confidence_at_the_threshold_is_stored_and_decides_nothing(scene):
    scene.fails("low_confidence", key="e1", confidence=0.5)
    event = scene.stored("e1")
    assert (event.reason, event.alert, event.threshold) == ("above_threshold", None, 0.5)
    assert not Alert.objects.exists()


def test_the_threshold_of_the_org_goes_before_that_of_the_event(scene):
    Policy.objects.create(org=scene.org, confidence_threshold=0.3)
    scene.fails("low_confidence", key="e1", confidence=0.4, threshold=0.9)
    assert (scene.stored("e1").reason, scene.stored("e1").threshold) == ("above_threshold", 0.3)


def test_the_threshold_of_the_agent_goes_before_that_of_the_org(scene):
    agent = AgentFactory(org=scene.org, name="Billing Bot")
    Policy.objects.create(org=scene.org, confidence_threshold=0.3)
    Policy.objects.create(org=scene.org, agent=agent, confidence_threshold=0.6)
    scene.fails("low_confidence", confidence=0.5)
    assert scene.alert().severity == "info"


def test_the_policy_of_an_agent_leaves_the_rest_to_the_org(scene):
    agent = AgentFactory(org=scene.org, name="Billing Bot")
    Policy.objects.create(org=scene.org, severities={"message_cap": "info", "low_confidence": "warning"})
    Policy.objects.create(org=scene.org, agent=agent, severities={"message_cap": "critical"})
    scene.fails("message_cap", room="r1")
    scene.fails("low_confidence", room="r2")
    assert (scene.alert("r1").severity, scene.alert("r2").severity) == ("critical", "warning")


def test_the_policy_of_another_agent_or_org_does_not_count(scene):
    Policy.objects.create(org=scene.org, agent=AgentFactory(org=scene.org), severities={"message_cap": "critical"})
    Policy.objects.create(org=Scene().org, severities={"message_cap": "critical"})
    scene.fails("message_cap")
    assert scene.alert().severity == "warning"


# --- again after the end ---------------------------------------------------------------------------------------------


def resolved(scene, clock, minutes_ago):
    scene.fails("agent_error")
    pushes_are_sent()
    actions.resolve(scene.alert().pk, scene.people[0])
    clock.advance(minutes=minutes_ago)


def test_failing_again_within_an_hour_of_the_resolution_arms_the_same_alert_again(scene, clock):
    resolved(scene, clock, 59)
    scene.fails("message_cap")
    alert = scene.alert()
    assert (alert.state, alert.episode, alert.severity, alert.event_count) == ("open", 2, "warning", 2)
    assert (alert.resolved_at, alert.resolved_by, alert.acknowledged_by) == (None, None, None)
    assert scene.changes()[-1] == ("rearmed", "rearmed")
    assert scene.last_told()[:2] == ("rearmed", "pending")


def test_failing_again_after_an_hour_opens_another_alert(scene, clock):
    resolved(scene, clock, 61)
    scene.fails("message_cap", key="e2")
    first, second = Alert.objects.order_by("opened_at")
    assert (first.state, second.state, second.episode) == ("resolved", "open", 1)
    assert scene.stored("e2").alert_id == second.pk


def test_armed_again_within_five_minutes_of_a_push_is_throttled_and_says_so(scene, clock):
    resolved(scene, clock, 2)
    scene.fails("agent_error")
    assert scene.told() == [("first", "sent", ""), ("rearmed", "skipped", "throttled")]


def test_who_was_throttled_is_told_by_the_next_repeat(scene, clock):
    resolved(scene, clock, 2)
    scene.fails("agent_error")
    clock.advance(minutes=5)
    actions.sweep_timers()
    assert scene.last_told()[:2] == ("repeat_due", "pending")


def test_nobody_counts_as_told_by_pushes_that_were_throttled(scene, clock):
    resolved(scene, clock, 2)
    told_at = scene.alert().last_told_at
    scene.fails("agent_error")
    assert scene.alert().last_told_at == told_at


def test_a_person_who_came_after_the_last_push_is_not_throttled(scene, clock):
    resolved(scene, clock, 2)
    newcomer = AssignmentFactory(org=scene.org, role=scene.role).user
    scene.fails("agent_error")
    assert Push.objects.get(supervisor=newcomer).state == "pending"


def test_the_signals_of_an_episode_are_counted_apart_from_the_last_one(scene, clock):
    resolved(scene, clock, 10)
    scene.fails("agent_error")
    assert [(one["episode"], one["count"]) for one in scene.alert().signals] == [(1, 1), (2, 1)]


def test_what_happened_before_the_resolution_does_not_bring_it_back(scene, clock):
    resolved(scene, clock, 2)
    scene.fails("agent_error", key="e2", ago=180)
    assert scene.alert().state == "resolved"
    assert (scene.stored("e2").reason, scene.stored("e2").alert) == ("late", None)


# --- not now ---------------------------------------------------------------------------------------------------------


def test_while_a_human_holds_the_room_a_failure_attaches_silently(scene):
    scene.fails("message_cap")
    scene.happens("human_message", who=scene.people[0])
    scene.fails("agent_error")
    assert scene.changes()[-1] == ("worsened", "human_present")
    assert (scene.alert().state, scene.alert().severity) == ("intervened", "critical")
    assert len(scene.told()) == 1


def test_a_room_that_fails_first_with_a_human_in_it_is_silent_and_theirs(scene):
    scene.happens("human_message", who=scene.people[0])
    scene.fails("agent_error")
    alert = scene.alert()
    assert (alert.state, alert.intervened_by) == ("intervened", scene.people[0])
    assert scene.changes() == [("opened", "human_present")]
    assert not Push.objects.exists()


def test_an_acknowledged_alert_takes_more_of_the_same_without_a_push(scene):
    scene.fails("agent_error")
    actions.acknowledge(scene.alert().pk, scene.people[0])
    scene.fails("agent_error")
    assert scene.changes()[-1] == ("attached", "acknowledged")
    assert len(scene.told()) == 1


def test_an_acknowledged_alert_that_gets_worse_tells_again_and_stays_acknowledged(scene):
    scene.fails("message_cap")
    actions.acknowledge(scene.alert().pk, scene.people[0])
    scene.fails("agent_error")
    assert scene.alert().state == "acknowledged"
    assert scene.last_told()[:2] == ("worsened", "pending")


def test_an_acknowledge_of_a_warning_holds_only_five_minutes_more_once_it_is_critical(scene):
    scene.fails("message_cap")
    actions.acknowledge(scene.alert().pk, scene.people[0])
    scene.fails("agent_error")
    assert about(scene.alert().acknowledge_expires_at, database_clock.now() + timedelta(minutes=5))


def test_a_snoozed_alert_takes_more_of_the_same_without_a_push(scene):
    scene.fails("agent_error")
    actions.snooze(scene.alert().pk, scene.people[0], database_clock.now() + timedelta(hours=1))
    scene.fails("agent_error")
    assert scene.changes()[-1] == ("attached", "snoozed")
    assert len(scene.told()) == 1


def test_worsening_breaks_a_snooze(scene):
    scene.fails("message_cap")
    actions.snooze(scene.alert().pk, scene.people[0], database_clock.now() + timedelta(hours=1))
    scene.fails("agent_error")
    assert scene.alert().snoozed_until is None
    assert scene.last_told()[:2] == ("worsened", "pending")


# --- nobody to tell --------------------------------------------------------------------------------------------------


def test_where_nobody_is_to_be_told_the_alert_says_unroutable(clock):
    scene = Scene(staff=0)
    scene.fails("agent_error", key="e1")
    change = scene.last_change()
    assert (change.change, change.reason, change.detail) == ("opened", "unroutable", {"wanted": "first"})
    assert scene.stored("e1").reason == scene.alert().last_reason == "unroutable"
    assert (scene.alert().state, scene.alert().last_told_at) == ("open", None)
    assert not Push.objects.exists()


def test_a_role_for_another_agent_only_does_not_make_it_routable(clock):
    scene = Scene(staff=0)
    role = SupervisorRoleFactory(org=scene.org)
    role.agents.add(AgentFactory(org=scene.org))
    AssignmentFactory(org=scene.org, role=role)
    scene.fails()
    assert scene.last_change().reason == "unroutable"


def test_an_inactive_person_is_not_told(clock):
    scene = Scene(staff=1)
    type(scene.people[0]).objects.update(is_active=False)
    scene.fails()
    assert scene.last_change().reason == "unroutable"


def test_the_repeats_of_an_unroutable_alert_reach_people_as_soon_as_there_are_some(clock):
    scene = Scene(staff=0)
    scene.fails()
    clock.advance(minutes=5)
    actions.sweep_timers()
    assert scene.changes()[-1] == ("repeated", "unroutable")
    person = AssignmentFactory(org=scene.org, role=scene.role).user
    clock.advance(minutes=10)
    actions.sweep_timers()
    assert scene.changes()[-1] == ("repeated", "repeat_due")
    assert Push.objects.get(supervisor=person).state == "pending"


# --- the room and its agent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", ["agent_error", "unexpected_handoff", "help_requested"])
def test_a_failure_without_an_answer_makes_the_customer_wait(scene, signal):
    scene.fails(signal)
    assert scene.alert().customer_waiting_since == scene.room().customer_waiting_since is not None


@pytest.mark.parametrize("signal", ["message_cap", "low_confidence"])
def test_a_failure_with_an_answer_leaves_nobody_waiting(scene, signal):
    scene.fails(signal)
    assert scene.alert().customer_waiting_since is None


def test_the_wait_begins_where_the_event_says(scene):
    since = database_clock.now() - timedelta(minutes=4)
    scene.fails("message_cap", customer_waiting_since=since)
    assert scene.alert().customer_waiting_since == since


def test_a_handoff_starts_the_clock_of_the_room(scene):
    scene.fails("unexpected_handoff")
    room = scene.room()
    assert (room.state, room.handed_off_at) == ("handed_off", scene.alert().first_failure_at)


def test_a_handoff_to_a_human_who_is_there_starts_no_clock(scene):
    scene.happens("human_message", who=scene.people[0])
    scene.fails("unexpected_handoff")
    assert scene.room().handed_off_at is None


def test_an_unknown_agent_is_made_unconfirmed(scene):
    scene.fails(agent_name="New Bot", agent_version="7")
    agent = Agent.objects.get(org=scene.org, name="New Bot")
    assert (agent.confirmed, agent.version) == (False, "7")
    assert scene.alert().agent == agent


def test_a_known_agent_stays_confirmed_and_its_version_is_followed(scene):
    AgentFactory(org=scene.org, name="Billing Bot", version="1")
    scene.fails(agent_version="2")
    agent = Agent.objects.get(org=scene.org, name="Billing Bot")
    assert (agent.confirmed, agent.version) == (True, "2")
    assert scene.alert().agent_version == "2"


def test_the_version_is_followed_alone_and_in_a_batch_alike(scene):
    batch = [scene.event(agent_version="2"), scene.event()]
    actions.record_events(scene.source, batch)
    assert Agent.objects.get(org=scene.org).version == "2"


@pytest.mark.parametrize("old", ["again", "late"])
def test_old_news_does_not_take_the_version_back(scene, old):
    first = scene.event(agent_version="1")
    actions.record_events(scene.source, [first])
    scene.fails(agent_version="2")
    actions.record_events(scene.source, [first if old == "again" else scene.event(agent_version="1", ago=700)])
    assert Agent.objects.get(org=scene.org).version == "2"


def test_an_agent_of_the_same_name_in_another_org_is_another_agent(scene):
    other = Scene()
    scene.fails(agent_version="1")
    other.fails(agent_version="2")
    assert Agent.objects.get(org=scene.org).version == "1"


def test_a_room_of_another_org_with_the_same_id_is_not_touched(scene):
    foreign = RoomFactory(room_id="r1", label="theirs")
    scene.fails(room="r1", room_label="ours")
    foreign.refresh_from_db()
    assert (foreign.label, scene.room().label) == ("theirs", "ours")


# --- after the commit ------------------------------------------------------------------------------------------------


@pytest.fixture
def heard(monkeypatch):
    """What was published and kicked."""
    calls = []
    monkeypatch.setattr(feed, "publish", lambda ids: calls.extend(ids))
    monkeypatch.setattr(feed, "kick", lambda: calls.append("kick"))
    return calls


def test_the_feed_and_the_sweep_hear_of_it_after_the_commit_only(scene, heard, run_commit_hooks):
    with run_commit_hooks():
        scene.fails()
        assert heard == []
    assert heard == [scene.alert().pk, "kick"]


def test_the_sweep_is_not_kicked_when_nobody_is_to_be_told(scene, heard, run_commit_hooks):
    scene.fails()
    with run_commit_hooks():
        scene.fails()
    assert heard == [scene.alert().pk]


def test_nothing_is_heard_of_a_duplicate(scene, heard, run_commit_hooks):
    again = scene.event()
    actions.record_events(scene.source, [again])
    with run_commit_hooks():
        actions.record_events(scene.source, [again])
    assert heard == []


def test_nothing_is_stored_and_nothing_heard_when_it_rolls_back(scene, heard, run_commit_hooks, monkeypatch):
    monkeypatch.setattr(PUSHES, "insert", lambda pushes: 1 / 0)
    with run_commit_hooks() as callbacks, pytest.raises(ZeroDivisionError):
        scene.fails()
    assert (callbacks, heard) == ([], [])
    assert not (FailureEvent.objects.exists() or Alert.objects.exists() or Transition.objects.exists())


# --- at once, and many -----------------------------------------------------------------------------------------------


def statements(source, batch):
    with CaptureQueriesContext(connection) as queries:
        actions.record_events(source, batch)
    return len([q for q in queries if "SAVEPOINT" not in q["sql"]])


def test_one_failure_event_costs_a_bounded_number_of_statements(scene):
    assert statements(scene.source, [scene.event()]) <= 28


def test_the_number_of_statements_does_not_grow_with_the_batch(scene):
    Policy.objects.create(org=scene.org, limits={"budget": {"pushes": 0}, "outage": {"rooms": 0}})
    alone = statements(scene.source, [scene.event(room="one", agent_name="a bot", agent_version="1")])
    rooms = [scene.event(room=f"room-{n}", agent_name=f"bot-{n}", agent_version="1") for n in range(100)]
    assert statements(scene.source, rooms) <= alone
    later = [scene.event(room=f"room-{n}", agent_name=f"bot-{n}", agent_version="2") for n in range(100)]
    assert statements(scene.source, later) <= alone


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_same_batch_a_hundred_times_at_once_is_stored_once():
    with scopes_disabled():
        scene = Scene()
    batch = [scene.event(room=f"r{n}", agent_name=f"bot-{n}", key=f"e{n}") for n in range(3)]

    def send(turn):
        with scopes_disabled():
            try:
                return [one.status for one in actions.record_events(scene.source, batch[:: -1 if turn % 2 else 1])]
            finally:
                connection.close()

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for found in pool.map(send, range(100)) for status in found]
    assert statuses.count("created") == 3
    assert statuses.count("duplicate") == 297
    assert (FailureEvent.objects.count(), Alert.objects.count(), Room.objects.count()) == (3, 3, 3)
