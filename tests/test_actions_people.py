"""What supervisors do with an alert: acknowledge, take, release, resolve, reopen, snooze, assign, verdict, drill in."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django_scopes import scope, scopes_disabled

from alerts import actions, feed
from alerts.models import Alert, RoomActivity, Transition
from orgs import clock as database_clock
from tests.factories import AssignmentFactory, UserFactory
from tests.scene import Scene, about, due_in, fresh, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock):
    made = Scene()
    made.fails("agent_error")
    pushes_are_sent()
    return made


@pytest.fixture
def rina(scene):
    return scene.people[0]


@pytest.fixture
def bob(scene):
    return scene.people[1]


@pytest.fixture
def alert(scene):
    return scene.alert()


def in_minutes(minutes):
    return database_clock.now() + timedelta(minutes=minutes)


def conflict(act, *args):
    with pytest.raises(actions.ActConflict) as caught:
        act(*args)
    return caught.value


# --- acknowledge and take --------------------------------------------------------------------------------------------


def test_acknowledge_stops_the_repeats_and_says_when_it_expires(scene, alert, rina):
    found = actions.acknowledge(alert.pk, rina)
    stored = scene.alert()
    assert (stored.state, stored.acknowledged_by, stored.assigned_to) == ("acknowledged", rina, None)
    assert (found.state, found.version) == (stored.state, stored.version)
    assert about(due_in(stored), timedelta(minutes=5))
    assert scene.last_change().actor == rina


def test_acknowledge_is_not_a_human_act_in_the_room(alert, rina):
    actions.acknowledge(alert.pk, rina)
    assert (fresh(alert.pk).human_acted_at, fresh(alert.pk).intervened_at) == (None, None)


def test_acknowledging_twice_changes_nothing_more(scene, alert, rina):
    actions.acknowledge(alert.pk, rina)
    version = scene.alert().version
    actions.acknowledge(alert.pk, rina)
    assert scene.alert().version == version


def test_take_acknowledges_and_assigns_to_me(scene, alert, rina):
    actions.take(alert.pk, rina)
    assert (scene.alert().state, scene.alert().assigned_to) == ("acknowledged", rina)
    assert scene.last_change().detail == {"assigned": True}


def test_who_acknowledged_it_can_take_it(scene, alert, rina):
    actions.acknowledge(alert.pk, rina)
    actions.take(alert.pk, rina)
    assert scene.alert().assigned_to == rina


def test_taking_twice_changes_nothing_more(scene, alert, rina):
    actions.take(alert.pk, rina)
    version = scene.alert().version
    actions.take(alert.pk, rina)
    assert scene.alert().version == version


@pytest.mark.parametrize("act", [actions.take, actions.acknowledge])
def test_the_second_supervisor_learns_who_was_faster(alert, rina, bob, act):
    actions.take(alert.pk, rina)
    refused = conflict(act, alert.pk, bob)
    assert (refused.code, refused.alert.assigned_to) == ("already_taken", rina)
    assert refused.alert.version == fresh(alert.pk).version


def test_an_alert_whose_room_another_human_holds_is_taken(scene, alert, rina, bob):
    scene.happens("human_message", who=rina)
    assert conflict(actions.take, alert.pk, bob).code == "already_taken"
    assert actions.take(alert.pk, rina).assigned_to == rina


@pytest.mark.parametrize("act", [actions.take, actions.acknowledge, actions.release])
def test_a_resolved_alert_cannot_be_taken_or_released(alert, rina, bob, act):
    actions.resolve(alert.pk, rina)
    assert conflict(act, alert.pk, bob).code == "already_resolved"


@pytest.mark.django_db(transaction=True)
def test_of_two_supervisors_who_take_at_once_one_wins_and_the_other_gets_the_fresh_alert():
    with scopes_disabled():
        scene = Scene()
        scene.fails("agent_error")
        alert = scene.alert()
    start = threading.Barrier(2)

    def take(person):
        with scope(org=[scene.org.pk]):
            try:
                start.wait(timeout=10)
                return actions.take(alert.pk, person)
            except actions.ActConflict as refused:
                return refused
            finally:
                connection.close()

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(take, scene.people))
    [winner] = [one for one in outcomes if isinstance(one, Alert)]
    [loser] = [one for one in outcomes if isinstance(one, actions.ActConflict)]
    assert (loser.code, loser.alert.assigned_to) == ("already_taken", winner.assigned_to)
    assert loser.alert.version == winner.version == scene.alert().version
    assert Transition.objects.filter(change="acknowledged").count() == 1


# --- release ---------------------------------------------------------------------------------------------------------


def test_release_makes_it_nobodys_and_open_again(scene, alert, rina):
    actions.take(alert.pk, rina)
    actions.release(alert.pk, rina)
    stored = scene.alert()
    assert (stored.state, stored.assigned_to, stored.acknowledged_by, stored.acknowledge_expires_at) == (
        "open",
        None,
        None,
        None,
    )
    assert scene.changes()[-1] == ("released", "")


def test_after_a_release_the_repeats_go_on(scene, alert, rina, clock):
    actions.take(alert.pk, rina)
    clock.advance(minutes=4)
    actions.release(alert.pk, rina)
    clock.advance(minutes=1)
    actions.sweep_timers()
    assert scene.changes()[-1] == ("repeated", "repeat_due")


def test_after_a_release_another_can_take_it(alert, rina, bob):
    actions.take(alert.pk, rina)
    actions.release(alert.pk, rina)
    assert actions.take(alert.pk, bob).assigned_to == bob


def test_releasing_what_nobody_has_changes_nothing(scene, alert, rina):
    actions.release(alert.pk, rina)
    assert scene.alert().version == alert.version


# --- resolve and reopen ----------------------------------------------------------------------------------------------


def test_resolve_closes_the_alert_by_a_human(scene, alert, rina):
    actions.resolve(alert.pk, rina)
    stored = scene.alert()
    assert (stored.state, stored.resolved_by, stored.resolved_kind, stored.due_at) == ("resolved", rina, "human", None)
    assert scene.room().customer_waiting_since is None


def test_who_resolved_it_may_say_so_twice(scene, alert, rina, bob):
    actions.resolve(alert.pk, rina)
    assert actions.resolve(alert.pk, rina).state == "resolved"
    assert conflict(actions.resolve, alert.pk, bob).code == "already_resolved"
    assert [change for change, _ in scene.changes()].count("resolved") == 1


def test_resolve_ends_the_presence_of_the_human_so_that_the_next_failure_alarms(scene, alert, rina, clock):
    scene.happens("human_message", who=rina)
    actions.resolve(alert.pk, rina)
    clock.advance(minutes=6)
    scene.fails("agent_error")
    assert scene.changes()[-1] == ("rearmed", "rearmed")
    assert scene.last_told() == ("rearmed", "pending", "")


def test_resolve_stops_the_clock_of_a_handoff(scene, rina, clock):
    scene.fails("unexpected_handoff", room="r2")
    actions.resolve(scene.alert("r2").pk, rina)
    clock.advance(minutes=4)
    actions.sweep_timers()
    assert (scene.alert("r2").state, scene.room("r2").handed_off_at) == ("resolved", None)


def test_reopen_undoes_a_resolution_and_the_repeats_go_on(scene, alert, rina):
    actions.resolve(alert.pk, rina)
    actions.reopen(alert.pk, rina)
    stored = scene.alert()
    assert (stored.state, stored.resolved_at, stored.resolved_by, stored.resolved_kind) == ("open", None, None, "")
    assert stored.customer_waiting_since == alert.customer_waiting_since == scene.room().customer_waiting_since
    assert about(due_in(stored), timedelta(minutes=3))  # the next tier, before the first repeat


def test_reopen_does_not_make_a_customer_wait_who_was_answered_since(scene, alert, rina):
    actions.resolve(alert.pk, rina)
    scene.happens("human_message")
    actions.reopen(alert.pk, rina)
    assert scene.alert().customer_waiting_since is None


@pytest.mark.parametrize("minutes", [1, 11])  # an undo, an act
def test_a_bot_that_wrote_by_itself_answered_nobody_who_waits_again(scene, alert, rina, clock, minutes):
    actions.resolve(alert.pk, rina)
    scene.happens("bot_message")
    clock.advance(minutes=minutes)
    actions.reopen(alert.pk, rina)
    assert scene.alert().customer_waiting_since == alert.customer_waiting_since


@pytest.mark.parametrize("minutes", [1, 11])
def test_a_conversation_that_flowed_again_since_leaves_nobody_waiting(scene, alert, rina, clock, minutes):
    actions.resolve(alert.pk, rina)
    scene.happens("customer_message")
    scene.happens("bot_message")
    clock.advance(minutes=minutes)
    actions.reopen(alert.pk, rina)
    assert scene.alert().customer_waiting_since is None


def test_reopen_does_not_forget_a_customer_who_wrote_since(scene, rina):
    scene.fails("message_cap", room="r2")
    alert = scene.alert("r2")
    actions.resolve(alert.pk, rina)
    scene.happens("customer_message", room="r2")
    actions.reopen(alert.pk, rina)
    assert scene.alert("r2").customer_waiting_since == scene.room("r2").customer_waiting_since is not None


def test_only_a_resolved_alert_can_be_reopened(alert, rina):
    assert conflict(actions.reopen, alert.pk, rina).code == "not_resolved"


def test_an_alert_is_not_reopened_beside_another_open_one_of_its_room(scene, alert, rina, clock):
    actions.resolve(alert.pk, rina)
    clock.advance(minutes=61)
    scene.fails("agent_error", key="e2")
    refused = conflict(actions.reopen, alert.pk, rina)
    assert (refused.code, refused.alert.pk) == ("other_open", scene.stored("e2").alert_id)
    assert fresh(alert.pk).state == "resolved"


def test_an_older_alert_is_reopened_when_no_other_is_open(scene, alert, rina, clock):
    actions.resolve(alert.pk, rina)
    clock.advance(minutes=61)
    scene.fails("agent_error", key="e2")
    newer = scene.stored("e2").alert
    actions.resolve(newer.pk, rina)
    actions.reopen(alert.pk, rina)
    assert (fresh(alert.pk).state, fresh(newer.pk).state) == ("open", "resolved")
    assert fresh(alert.pk).due_at is not None
    scene.fails("agent_error", key="e3")
    assert scene.stored("e3").alert_id == alert.pk


# --- snooze ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [1, 23 * 60 + 59])
def test_snooze_is_for_a_time_in_the_next_24_hours(scene, alert, rina, minutes):
    until = in_minutes(minutes)
    actions.snooze(alert.pk, rina, until)
    assert scene.alert().snoozed_until == until
    assert scene.last_change().detail == {"until": until.isoformat()}


@pytest.mark.parametrize("minutes", [-1, 24 * 60 + 1])
def test_a_snooze_into_the_past_or_for_longer_is_refused(scene, alert, rina, minutes):
    with pytest.raises(actions.ActInvalid) as refused:
        actions.snooze(alert.pk, rina, in_minutes(minutes))
    assert refused.value.field == "until"
    assert scene.alert().version == alert.version


def test_who_wakes_an_alert_ends_its_snooze_and_can_undo_that(scene, alert, rina, bob):
    until = in_minutes(60)
    actions.snooze(alert.pk, rina, until)
    actions.wake(alert.pk, bob)
    assert scene.alert().snoozed_until is None
    change = scene.last_change()
    assert (change.change, change.actor, change.detail) == ("snoozed", bob, {"until": None})
    version = scene.alert().version
    actions.wake(alert.pk, bob)
    assert scene.alert().version == version
    actions.undo(alert.pk, bob)
    assert scene.alert().snoozed_until == until
    actions.resolve(alert.pk, rina)
    assert conflict(actions.wake, alert.pk, rina).code == "already_resolved"


def test_a_resolved_alert_is_not_snoozed(alert, rina):
    actions.resolve(alert.pk, rina)
    assert conflict(actions.snooze, alert.pk, rina, in_minutes(5)).code == "already_resolved"


# --- assign and verdict ----------------------------------------------------------------------------------------------


def test_assign_gives_it_to_another_supervisor_of_the_org(scene, alert, rina, bob):
    actions.assign(alert.pk, rina, bob)
    assert (scene.alert().assigned_to, scene.alert().state) == (bob, "open")
    change = scene.last_change()
    assert (change.change, change.actor, change.detail["sso_id"]) == ("assigned", rina, bob.sso_id)


def test_who_is_here_may_take_what_waits_for_somebody_who_was_assigned(scene, alert, rina, bob):
    actions.assign(alert.pk, rina, bob)
    actions.take(alert.pk, rina)
    assert (scene.alert().assigned_to, scene.alert().state) == (rina, "acknowledged")


def test_assigning_the_same_person_twice_changes_nothing_more(scene, alert, rina, bob):
    actions.assign(alert.pk, rina, bob)
    version = scene.alert().version
    actions.assign(alert.pk, rina, bob)
    assert scene.alert().version == version


@pytest.mark.parametrize(
    "outsider",
    [
        lambda: UserFactory(),
        lambda: AssignmentFactory().user,
    ],
    ids=["nobody", "of another org"],
)
def test_assign_to_an_outsider_is_refused(scene, alert, rina, outsider):
    with pytest.raises(actions.ActInvalid) as refused:
        actions.assign(alert.pk, rina, outsider())
    assert refused.value.field == "sso_id"
    assert scene.alert().assigned_to is None


def test_assign_to_a_person_who_left_is_refused(alert, rina, bob):
    bob.is_active = False
    bob.save()
    with pytest.raises(actions.ActInvalid):
        actions.assign(alert.pk, rina, bob)


def test_a_later_verdict_replaces_the_earlier_and_both_are_kept(scene, alert, rina, bob):
    actions.verdict(alert.pk, rina, "false_alarm", "a test")
    actions.verdict(alert.pk, bob, "confirmed", "")
    stored = scene.alert()
    assert (stored.verdict, stored.verdict_by, stored.verdict_note) == ("confirmed", bob, "")
    rows = Transition.objects.filter(change="verdict").order_by("id")
    assert [row.detail["to"] for row in rows] == ["false_alarm", "confirmed"]


def test_a_verdict_can_be_given_on_a_resolved_alert(alert, rina):
    actions.resolve(alert.pk, rina)
    assert actions.verdict(alert.pk, rina, "confirmed", "").verdict == "confirmed"


def test_an_unknown_verdict_is_refused(alert, rina):
    with pytest.raises(actions.ActInvalid) as refused:
        actions.verdict(alert.pk, rina, "perhaps", "")
    assert refused.value.field == "verdict"


# --- the drill-in ----------------------------------------------------------------------------------------------------


def test_the_drill_in_is_recorded_as_activity_and_acknowledges_but_is_not_intervened(scene, alert, rina):
    actions.open_room(alert.pk, rina)
    activity = RoomActivity.objects.get()
    assert (activity.kind, activity.actor, activity.source) == ("human_opened", rina, None)
    stored = scene.alert()
    assert (stored.state, stored.acknowledged_by, stored.intervened_at) == ("acknowledged", rina, None)
    assert stored.human_acted_at == activity.at
    assert scene.changes()[-1] == ("opened_room", "")


def test_the_drill_in_of_a_second_supervisor_takes_nothing_from_the_first(scene, alert, rina, bob):
    actions.take(alert.pk, rina)
    actions.open_room(alert.pk, bob)
    stored = scene.alert()
    assert (stored.acknowledged_by, stored.assigned_to) == (rina, rina)
    assert stored.human_acted_at is not None


def test_the_drill_in_on_a_resolved_alert_is_recorded_and_changes_nothing(scene, alert, rina):
    actions.resolve(alert.pk, rina)
    version = scene.alert().version
    assert actions.open_room(alert.pk, rina).state == "resolved"
    assert scene.alert().version == version
    assert RoomActivity.objects.count() == 1


def test_every_drill_in_is_its_own_activity(alert, rina):
    for _ in range(2):
        actions.open_room(alert.pk, rina)
    assert RoomActivity.objects.count() == 2


# --- tenants and commits ---------------------------------------------------------------------------------------------

ACTS = {
    "acknowledge": lambda pk, me: actions.acknowledge(pk, me),
    "take": lambda pk, me: actions.take(pk, me),
    "release": lambda pk, me: actions.release(pk, me),
    "resolve": lambda pk, me: actions.resolve(pk, me),
    "reopen": lambda pk, me: actions.reopen(pk, me),
    "snooze": lambda pk, me: actions.snooze(pk, me, in_minutes(5)),
    "assign": lambda pk, me: actions.assign(pk, me, me),
    "verdict": lambda pk, me: actions.verdict(pk, me, "confirmed", ""),
    "open_room": lambda pk, me: actions.open_room(pk, me),
    "undo": lambda pk, me: actions.undo(pk, me),
}


@pytest.mark.parametrize("act", ACTS)
def test_an_alert_outside_the_scope_does_not_exist(scene, alert, act):
    other = Scene()
    with scope(org=[other.org.pk]), pytest.raises(Alert.DoesNotExist):
        ACTS[act](alert.pk, other.people[0])
    assert scene.alert().version == alert.version


@pytest.mark.parametrize("act", ["take", "snooze", "verdict", "open_room"])
def test_within_the_scope_it_does(scene, alert, rina, act):
    with scope(org=[scene.org.pk]):
        ACTS[act](alert.pk, rina)
    assert scene.alert().version == alert.version + 1


@pytest.fixture
def heard(monkeypatch):
    """What was published."""
    ids = []
    monkeypatch.setattr(feed, "publish", ids.extend)
    return ids


def test_the_feed_hears_of_an_act_after_the_commit_only(alert, rina, heard, run_commit_hooks):
    with run_commit_hooks():
        actions.take(alert.pk, rina)
        assert heard == []
    assert heard == [alert.pk]


def test_nothing_is_written_or_heard_of_an_act_that_was_refused(scene, alert, rina, bob, heard, run_commit_hooks):
    actions.take(alert.pk, rina)
    version = scene.alert().version
    with run_commit_hooks():
        conflict(actions.take, alert.pk, bob)
    assert (heard, scene.alert().version) == ([], version)
