"""What happens in a room, and what it does to the room's alert: people coming, customers writing, the bot returning."""

from datetime import timedelta

import pytest

from alerts import actions, feed
from alerts.models import Alert, Push, RoomActivity
from orgs import clock as database_clock
from tests.factories import AssignmentFactory, SourceFactory, UserFactory
from tests.scene import TAKEN_OVER_BY_NOBODY, Scene, about, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock):
    return Scene()


@pytest.fixture
def rina(scene):
    return scene.people[0]


# --- a human in the room ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["human_message", "assigned"])
def test_a_human_in_the_room_is_intervened_without_a_button(scene, rina, kind):
    scene.fails("agent_error")
    scene.happens(kind, who=rina)
    alert = scene.alert()
    assert (alert.state, alert.intervened_by) == ("intervened", rina)
    assert alert.intervened_at == alert.human_acted_at is not None
    change = scene.last_change()
    assert (change.change, change.actor, change.detail) == ("intervened", rina, {"cause": kind})


def test_a_human_message_stops_the_repeats(scene, rina, clock):
    scene.fails("agent_error")
    scene.happens("human_message", who=rina)
    clock.advance(minutes=20)
    assert actions.sweep_timers() == 0
    assert len(scene.told()) == 1


def test_a_human_message_answers_the_customer_and_stops_the_clock_of_a_handoff(scene, rina):
    scene.fails("unexpected_handoff")
    scene.happens("human_message", who=rina)
    assert scene.alert().customer_waiting_since is None
    room = scene.room()
    assert (room.state, room.customer_waiting_since, room.handed_off_at) == ("human", None, None)


def test_an_assignment_alone_answers_nobody(scene, rina):
    scene.fails("unexpected_handoff")
    scene.happens("assigned", who=rina)
    assert scene.alert().customer_waiting_since is not None
    assert scene.room().handed_off_at is not None


def test_the_first_human_act_of_an_episode_sets_time_to_intervene(scene, rina):
    scene.fails("agent_error", ago=240)
    scene.happens("human_opened", who=rina, ago=120)
    scene.happens("human_message", who=scene.people[1])
    alert = scene.alert()
    assert about(alert.human_acted_at - alert.first_failure_at, timedelta(minutes=2))


def test_somebody_without_an_assignment_still_stops_the_alarm_and_an_id_is_no_name(scene):
    scene.fails("agent_error")
    scene.happens("human_message", actor_external_id="agent-77")
    assert (scene.alert().state, scene.alert().intervened_by) == ("intervened", None)
    assert scene.last_change().detail == {"cause": "human_message"}


def test_a_second_message_of_the_same_human_is_no_second_transition(scene, rina):
    scene.fails("agent_error")
    scene.happens("human_message", who=rina)
    scene.happens("human_message", who=rina)
    assert [change for change, _ in scene.changes()] == ["opened", "intervened"]


# --- the drill-in ----------------------------------------------------------------------------------------------------


def test_entering_the_room_acknowledges_and_is_not_intervened(scene, rina):
    scene.fails("agent_error")
    scene.happens("human_opened", who=rina)
    alert = scene.alert()
    assert (alert.state, alert.acknowledged_by, alert.intervened_at) == ("acknowledged", rina, None)
    assert alert.human_acted_at is not None
    assert scene.changes()[-1][0] == "opened_room"


def test_entering_the_room_does_not_hold_it(scene, rina):
    scene.fails("message_cap")
    scene.happens("human_opened", who=rina)
    scene.fails("agent_error")
    assert scene.last_told()[:2] == ("worsened", "pending")


def test_who_entered_before_the_failure_did_not_come_because_of_it(scene, rina):
    scene.fails("agent_error")
    scene.happens("human_opened", who=rina, ago=60)
    assert (scene.alert().state, scene.alert().human_acted_at) == ("open", None)


# --- the bot gets it back --------------------------------------------------------------------------------------------


def taken_over(scene):
    scene.fails("agent_error")
    pushes_are_sent()
    scene.happens("human_message", who=scene.people[0])


@pytest.mark.parametrize(("kind", "minutes"), [("bot_message", 5), ("returned_to_agent", 0)])
def test_a_room_goes_back_to_the_bot_when_it_says_so_or_the_bot_writes_after_a_silent_human(
    scene, clock, kind, minutes
):
    taken_over(scene)
    clock.advance(minutes=minutes)
    scene.happens(kind)
    assert scene.changes()[-1] == ("returned", "")
    room = scene.room()
    assert (room.state, room.human_since, room.human) == ("bot", None, None)


def test_failing_again_after_the_return_is_a_new_episode_and_alarms(scene, clock):
    taken_over(scene)
    clock.advance(minutes=6)
    scene.happens("returned_to_agent")
    scene.fails("message_cap")
    alert = scene.alert()
    assert (alert.state, alert.episode, alert.severity) == ("open", 2, "warning")
    assert (alert.human_acted_at, alert.intervened_by) == (None, None)
    assert scene.last_told() == ("rearmed", "pending", "")


def test_failing_again_15_minutes_after_the_last_human_act_is_a_new_episode_too(scene, clock):
    taken_over(scene)
    clock.advance(minutes=15)
    scene.fails("message_cap")
    assert scene.changes()[-1] == ("rearmed", "rearmed")


def test_a_bot_message_from_before_the_humans_is_no_return(scene):
    taken_over(scene)
    scene.happens("bot_message", ago=5)
    assert scene.room().human_since is not None


def test_the_bots_you_are_being_connected_after_an_assignment_is_no_return(scene, rina, clock):
    scene.fails("unexpected_handoff")
    scene.happens("assigned", who=rina)
    scene.happens("bot_message")
    assert scene.room().handed_off_at is not None
    clock.advance(minutes=3)
    actions.sweep_timers()
    assert (scene.alert().state, scene.alert().severity) == ("open", "critical")


def test_a_bot_message_answers_a_customer_who_wrote_after_the_failure(scene):
    scene.fails("agent_error", ago=30)
    scene.happens("customer_message", ago=20)
    scene.happens("bot_message", ago=10)
    assert scene.alert().customer_waiting_since is None
    assert scene.alert().state == "open"


def test_an_answer_from_before_the_newest_failure_does_not_answer_it(scene):
    scene.fails("agent_error", ago=120)
    scene.fails("agent_error", ago=30)
    scene.happens("human_message", ago=60)
    alert = scene.alert()
    assert about(alert.customer_waiting_since, database_clock.now() - timedelta(seconds=30))


# --- the room is resolved --------------------------------------------------------------------------------------------


def test_the_resolution_of_the_room_closes_its_alert(scene, rina):
    scene.fails("agent_error")
    scene.happens("resolved", who=rina)
    alert = scene.alert()
    assert (alert.state, alert.resolved_kind, alert.resolved_by, alert.due_at) == ("resolved", "room", rina, None)
    assert scene.changes()[-1] == ("resolved", "room")
    assert (scene.room().state, scene.room().customer_waiting_since) == ("resolved", None)


def test_the_resolution_ends_the_presence_of_the_human(scene, rina):
    taken_over(scene)
    scene.happens("resolved", who=rina)
    scene.fails("agent_error")
    assert scene.changes()[-1] == ("rearmed", "rearmed")


def test_a_customer_who_writes_after_the_resolution_is_with_the_bot_and_waits(scene):
    scene.happens("resolved", ago=30)
    scene.happens("customer_message", ago=10)
    assert (scene.room().state, scene.room().customer_waiting_since is None) == ("bot", False)


# --- the customer ----------------------------------------------------------------------------------------------------


def test_a_customer_who_writes_waits(scene):
    scene.fails("low_confidence")
    version = scene.alert().version
    scene.happens("customer_message")
    assert scene.alert().customer_waiting_since is not None
    assert scene.alert().version > version


def test_a_customer_waits_since_their_first_message(scene):
    scene.happens("customer_message", ago=90)
    scene.happens("customer_message", ago=30)
    scene.fails("message_cap")
    assert about(scene.alert().customer_waiting_since, database_clock.now() - timedelta(seconds=90))


def test_a_customer_message_that_was_answered_already_does_not_wait(scene):
    scene.happens("bot_message", ago=10)
    scene.happens("customer_message", ago=20)
    assert scene.room().customer_waiting_since is None


# --- out of order ----------------------------------------------------------------------------------------------------


def test_a_human_message_from_before_the_return_does_nothing(scene, rina):
    scene.fails("agent_error", ago=60)
    scene.happens("returned_to_agent", ago=20)
    scene.happens("human_message", who=rina, ago=40)
    assert scene.room().human_since is None
    assert scene.alert().state == "open"


def test_a_return_from_before_the_human_message_does_nothing(scene, rina):
    scene.fails("agent_error", ago=60)
    scene.happens("human_message", who=rina, ago=20)
    scene.happens("returned_to_agent", ago=40)
    assert scene.room().human_since is not None
    assert scene.changes()[-1][0] == "intervened"


def test_a_return_from_before_the_handoff_does_not_stop_its_clock(scene):
    scene.fails("unexpected_handoff", ago=30)
    scene.happens("returned_to_agent", ago=60)
    assert (scene.room().state, scene.room().handed_off_at is None) == ("handed_off", False)


def test_a_resolution_from_before_the_last_failure_does_nothing(scene):
    scene.fails("agent_error")
    scene.happens("resolved", ago=60)
    assert scene.alert().state == "open"


def test_a_resolution_from_before_the_human_message_does_nothing(scene, rina):
    scene.happens("human_message", who=rina)
    scene.happens("resolved", ago=60)
    assert scene.room().human_since is not None
    scene.fails("agent_error")
    assert scene.changes() == [("opened", "human_present")]


def test_a_customer_message_from_before_the_resolution_does_nothing(scene):
    scene.happens("resolved", ago=30)
    scene.happens("customer_message", ago=60)
    assert (scene.room().state, scene.room().customer_waiting_since) == ("resolved", None)


def test_a_human_message_from_before_the_failure_counts_while_they_are_there(scene, rina):
    scene.fails("agent_error")
    scene.happens("human_message", who=rina, ago=60)
    alert = scene.alert()
    assert (alert.state, alert.human_acted_at) == ("intervened", alert.first_failure_at)
    assert alert.customer_waiting_since is not None


def test_a_human_message_from_long_before_the_failure_does_not_count(scene, rina):
    scene.fails("agent_error")
    scene.happens("human_message", who=rina, ago=16 * 60)
    assert scene.alert().state == "open"


# --- once ------------------------------------------------------------------------------------------------------------


def test_the_same_activity_again_is_a_duplicate_and_changes_nothing(scene, rina):
    scene.fails("agent_error")
    again = scene.activity("human_opened", who=rina)
    assert actions.record_activity(scene.source, [again])[0].status == "created"
    version = scene.alert().version
    assert actions.record_activity(scene.source, [again])[0].status == "duplicate"
    assert scene.alert().version == version


def test_the_same_id_with_another_kind_is_a_conflict_and_does_nothing(scene):
    scene.fails("agent_error")
    scene.happens("customer_message", key="a1")
    assert scene.happens("resolved", key="a1").status == "conflict"
    assert scene.alert().state == "open"


def test_a_batch_acts_in_its_order(scene, rina):
    scene.fails("agent_error")
    first, second = scene.activity("human_message", who=rina), scene.activity("returned_to_agent")
    results = actions.record_activity(scene.source, [first, first, second])
    assert [result.status for result in results] == ["created", "duplicate", "created"]
    assert [change for change, _ in scene.changes()] == ["opened", "intervened", "returned"]


def test_activity_of_another_source_with_the_same_id_is_another(scene):
    scene.happens("customer_message", key="a1")
    other = SourceFactory(org=scene.org)
    assert actions.record_activity(other, [scene.activity("customer_message", key="a1")])[0].status == "created"


def test_activity_in_a_room_that_never_failed_is_kept_and_opens_nothing(scene, rina):
    scene.happens("human_message", who=rina)
    assert RoomActivity.objects.get().actor == rina
    assert not Alert.objects.exists()


# --- who it was ------------------------------------------------------------------------------------------------------


def test_the_actor_is_found_by_the_id_in_the_chat_product(scene):
    person = AssignmentFactory(org=scene.org, role=scene.role, external_user_id="77").user
    scene.fails("agent_error")
    scene.happens("human_message", actor_external_id="77")
    assert scene.alert().intervened_by == person


def test_an_sso_id_is_never_taken_for_an_id_in_the_chat_product(scene):
    AssignmentFactory(org=scene.org, role=scene.role, external_user_id="77")
    scene.fails("agent_error")
    scene.happens("human_message", actor_sso_id="77")
    assert scene.alert().intervened_by is None


def test_an_actor_of_another_org_is_never_matched(scene):
    foreign = AssignmentFactory(external_user_id="77").user
    scene.fails("agent_error")
    scene.happens("human_message", actor_sso_id=foreign.sso_id, actor_external_id="77")
    assert (scene.alert().state, scene.alert().intervened_by) == ("intervened", None)


def test_an_actor_of_another_org_in_the_same_batch_is_matched_there_only(scene):
    platform, other = SourceFactory(org=None), Scene()
    for one in (scene, other):
        one.fails("agent_error")
    batch = [one.activity("human_message", who=other.people[0]) for one in (scene, other)]
    actions.record_activity(platform, batch)
    assert scene.alert().intervened_by is None
    assert other.alert().intervened_by == other.people[0]


def test_a_person_without_any_assignment_is_not_matched(scene):
    scene.fails("agent_error")
    scene.happens("human_message", who=UserFactory())
    assert scene.alert().intervened_by is None


def test_the_room_of_another_org_with_the_same_id_is_not_touched(scene, rina):
    other = Scene()
    other.fails("agent_error")
    scene.happens("resolved", who=rina)
    assert other.alert().state == "open"


# --- after the commit ------------------------------------------------------------------------------------------------


def test_the_feed_hears_of_it_after_the_commit_only(scene, rina, run_commit_hooks, monkeypatch):
    heard = []
    monkeypatch.setattr(feed, "publish", heard.extend)
    scene.fails("agent_error")
    with run_commit_hooks():
        scene.happens("human_message", who=rina)
        assert heard == []
    assert heard == [scene.alert().pk]


def test_a_critical_handoff_with_somebody_assigned_is_not_silent_for_good(scene, rina, clock):
    scene.fails("unexpected_handoff", **TAKEN_OVER_BY_NOBODY)
    pushes_are_sent()
    clock.advance(minutes=4)
    scene.happens("assigned", who=rina)
    clock.advance(minutes=3)
    actions.sweep_timers()
    alert = scene.alert()
    assert (alert.state, alert.intervened_by) == ("open", None)
    assert scene.changes()[-1] == ("expired", "repeat_due")
    assert Push.objects.get(supervisor=rina, occurrence=2).state == "pending"
