"""What time alone does to alerts: repeats, expiring acknowledges, the clock of a handoff, the end."""

from datetime import timedelta

import pytest
import structlog
from django.db import OperationalError

from alerts import actions, feed
from alerts.actions import timers
from alerts.models import Alert, Push, Transition
from orgs import clock as database_clock
from orgs.models import Policy
from tests.factories import AlertFactory, AssignmentFactory
from tests.scene import TAKEN_OVER_BY_NOBODY, Scene, about, due_in, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock):
    return Scene()


@pytest.fixture
def later(clock):
    """`later(minutes=5)`: what was planned is sent, time passes, everything due is worked."""

    def move(**parts):
        pushes_are_sent()
        clock.advance(**parts)
        while actions.sweep_timers():
            pass

    return move


# --- repeats ---------------------------------------------------------------------------------------------------------


def test_while_nobody_acts_people_are_told_again_at_5_15_35_and_75_minutes_then_no_more(scene, later):
    scene.fails("agent_error")
    told_at = []
    for minute in range(1, 101):
        before = len(scene.told())
        later(minutes=1)
        if len(scene.told()) > before:
            told_at.append(minute)
    assert told_at == [5, 15, 35, 75]
    assert [reason for reason, _, _ in scene.told()] == ["first"] + ["repeat_due"] * 4
    assert [one for one in scene.changes() if one[0] == "repeated"] == [("repeated", "repeat_due")] * 4


def test_info_is_told_once_and_never_again(scene, later):
    scene.fails("low_confidence")
    later(minutes=29)
    assert len(scene.told()) == 1
    assert scene.alert().state == "open"


def test_a_sweep_that_is_late_by_hours_tells_once(scene, later):
    scene.fails("agent_error")
    later(hours=3)
    assert [reason for reason, _, _ in scene.told()] == ["first", "repeat_due"]
    assert scene.alert().repeats_done == 4


def test_a_late_sweep_of_an_acknowledged_handoff_sends_one_push(scene, later):
    scene.fails("unexpected_handoff")
    actions.acknowledge(scene.alert().pk, scene.people[0])
    later(hours=3)
    assert [state for _, state, _ in scene.told()].count("pending") == 1
    assert (scene.alert().state, scene.alert().severity) == ("open", "critical")


def test_a_repeat_cancels_the_push_that_was_never_sent(scene, clock):
    scene.fails("agent_error")
    clock.advance(minutes=5)
    actions.sweep_timers()
    assert scene.told() == [("first", "cancelled", "superseded"), ("repeat_due", "pending", "")]


def test_a_snooze_holds_the_repeats_until_it_ends_and_then_tells_once(scene, later):
    scene.fails("agent_error")
    actions.snooze(scene.alert().pk, scene.people[0], database_clock.now() + timedelta(minutes=20))
    later(minutes=19)
    assert len(scene.told()) == 1
    later(minutes=2)
    assert [reason for reason, _, _ in scene.told()] == ["first", "repeat_due"]


def test_a_person_who_joined_since_is_told_by_the_repeat(scene, later):
    scene.fails("agent_error")
    newcomer = AssignmentFactory(org=scene.org, role=scene.role).user
    later(minutes=5)
    assert Push.objects.get(supervisor=newcomer).reason == "repeat_due"


# --- an acknowledge expires ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("signal", "minutes"), [("message_cap", 10), ("agent_error", 5)])
def test_an_acknowledge_without_a_human_act_expires_and_people_are_told(scene, later, signal, minutes):
    scene.fails(signal)
    actions.acknowledge(scene.alert().pk, scene.people[0])
    later(minutes=minutes - 1)
    assert scene.alert().state == "acknowledged"
    later(minutes=1)
    alert = scene.alert()
    assert (alert.state, alert.acknowledged_by, alert.acknowledge_expires_at) == ("open", None, None)
    change = scene.last_change()
    assert (change.change, change.reason, change.detail["name"]) == ("expired", "repeat_due", str(scene.people[0]))
    assert scene.last_told()[:2] == ("repeat_due", "pending")


def test_an_expired_acknowledge_of_info_is_silent(scene, later):
    scene.fails("low_confidence")
    actions.acknowledge(scene.alert().pk, scene.people[0])
    later(minutes=10)
    assert scene.changes()[-1] == ("expired", "")
    assert len(scene.told()) == 1


def test_an_acknowledge_that_expires_within_a_snooze_is_silent_until_it_ends(scene, later):
    scene.fails("agent_error")
    actions.acknowledge(scene.alert().pk, scene.people[0])
    actions.snooze(scene.alert().pk, scene.people[0], database_clock.now() + timedelta(minutes=30))
    later(minutes=6)
    assert (scene.alert().state, len(scene.told())) == ("open", 1)
    later(minutes=25)
    assert scene.last_told()[:2] == ("repeat_due", "pending")


def test_who_took_it_and_did_not_come_does_not_have_it_any_more(scene, later):
    scene.fails("agent_error")
    actions.take(scene.alert().pk, scene.people[0])
    later(minutes=5)
    assert scene.alert().assigned_to is None
    actions.take(scene.alert().pk, scene.people[1])
    assert scene.alert().assigned_to == scene.people[1]


def test_after_it_expired_the_ladder_goes_on(scene, later):
    Policy.objects.create(org=scene.org, limits={"escalate_minutes": {"critical": 60}})
    scene.fails("agent_error")
    later(minutes=1)
    actions.acknowledge(scene.alert().pk, scene.people[0])
    later(minutes=5)
    assert about(due_in(scene.alert()), timedelta(minutes=9))


def test_who_entered_the_room_gets_15_minutes_to_write(scene, later):
    scene.fails("agent_error")
    actions.open_room(scene.alert().pk, scene.people[0])
    later(minutes=14)
    assert scene.alert().state == "acknowledged"
    later(minutes=1)
    assert scene.changes()[-1] == ("expired", "repeat_due")


def test_who_entered_the_room_and_is_told_of_when_they_have_left_holds_nothing_back(scene, later):
    """It counts as a follow-up; the alarm goes on as if nobody had it, for nobody has."""
    scene.fails("agent_error")
    later(minutes=17)
    before = scene.alert()
    scene.happens("human_opened", ago=960, who=scene.people[0])
    later(seconds=1)
    alert = scene.alert()
    assert (scene.changes()[-1], alert.state, alert.expiries) == (("opened_room", ""), "open", 0)
    assert about(alert.human_acted_at, alert.opened_at + timedelta(minutes=1))
    assert (alert.ladder_from, alert.escalate_at) == (before.ladder_from, before.escalate_at)


# --- handed off, nobody came -----------------------------------------------------------------------------------------


def test_a_handoff_to_which_nobody_came_is_critical_after_3_minutes_and_people_are_told(scene, later):
    scene.fails("unexpected_handoff")
    later(minutes=2, seconds=55)
    assert scene.alert().severity == "warning"
    later(seconds=10)
    assert scene.alert().severity == "critical"
    change = Transition.objects.get(alert=scene.alert(), change="worsened")
    assert change.reason == "worsened"
    assert change.detail == {"from": "warning", "to": "critical", "cause": "handed_off", "after": 180}
    assert scene.last_told() == ("worsened", "pending", "")


def test_the_clock_of_a_handoff_runs_while_the_alert_is_acknowledged(scene, later):
    scene.fails("unexpected_handoff")
    actions.acknowledge(scene.alert().pk, scene.people[0])
    later(minutes=3)
    assert (scene.alert().severity, scene.last_told()[0]) == ("critical", "worsened")
    assert about(scene.alert().acknowledge_expires_at, database_clock.now() + timedelta(minutes=5))


def test_the_clock_of_a_handoff_breaks_a_snooze(scene, later):
    scene.fails("unexpected_handoff")
    actions.snooze(scene.alert().pk, scene.people[0], database_clock.now() + timedelta(hours=1))
    later(minutes=3)
    assert (scene.alert().severity, scene.alert().snoozed_until) == ("critical", None)


def test_a_human_who_was_assigned_but_never_wrote_does_not_stop_the_clock_of_a_handoff(scene, later):
    scene.fails("unexpected_handoff")
    scene.happens("assigned", who=scene.people[0])
    later(minutes=3)
    alert = scene.alert()
    assert (alert.state, alert.severity, alert.intervened_by) == ("open", "critical", None)
    assert scene.last_told() == ("worsened", "pending", "")


def test_a_human_message_stops_the_clock_of_a_handoff(scene, later):
    scene.fails("unexpected_handoff")
    scene.happens("human_message", who=scene.people[0])
    later(minutes=4)
    assert (scene.alert().state, scene.alert().severity) == ("intervened", "warning")


def test_each_human_who_is_assigned_to_a_critical_handoff_gets_3_minutes(scene, later):
    scene.fails("unexpected_handoff", **TAKEN_OVER_BY_NOBODY)
    for person in scene.people:
        scene.happens("assigned", who=person)
        later(minutes=2, seconds=55)
        assert scene.alert().state == "intervened"
        later(seconds=10)
        assert scene.alert().state == "open"


def test_a_human_who_left_a_failure_without_an_answer_is_gone_after_15_minutes(scene, later):
    scene.fails("agent_error")
    scene.happens("assigned", who=scene.people[0])
    later(minutes=14, seconds=55)
    assert scene.alert().state == "intervened"
    later(seconds=10)
    assert scene.alert().state == "open"
    assert scene.last_change().detail == {"name": str(scene.people[0]), "sso_id": scene.people[0].sso_id}
    assert scene.last_told() == ("repeat_due", "pending", "")


def test_a_failure_in_the_presence_of_a_human_who_never_answered_it_is_told_when_they_are_gone(scene, later):
    scene.happens("human_message", who=scene.people[0])
    later(minutes=5)
    scene.fails("agent_error")
    assert not scene.told()
    later(minutes=10)
    assert scene.last_told() == ("repeat_due", "pending", "")


def test_a_customer_who_thanks_the_human_rings_nobody(scene, later):
    scene.fails("agent_error")
    scene.happens("human_message", who=scene.people[0])
    later(minutes=1)
    scene.happens("customer_message")
    later(minutes=20)
    assert (scene.alert().state, len(scene.told())) == ("intervened", 1)


# --- the end ---------------------------------------------------------------------------------------------------------


def test_30_quiet_minutes_close_an_alert_where_nobody_waits(scene, later):
    scene.fails("message_cap")
    later(minutes=29)
    assert scene.alert().state == "open"
    later(minutes=1)
    alert = scene.alert()
    assert (alert.state, alert.resolved_kind, alert.due_at) == ("resolved", "quiet", None)
    assert scene.changes()[-1] == ("resolved", "quiet")


def test_quiet_counts_from_the_last_failure(scene, later):
    scene.fails("message_cap")
    later(minutes=20)
    scene.fails("message_cap")
    later(minutes=20)
    assert scene.alert().state == "open"


def test_quiet_counts_from_the_last_human_act(scene, later):
    scene.fails("agent_error")
    later(minutes=20)
    scene.happens("human_message", who=scene.people[0])
    later(minutes=29)
    assert scene.alert().state == "intervened"
    later(minutes=1)
    assert scene.alert().resolved_kind == "quiet"


@pytest.mark.parametrize("signal", ["agent_error", "unexpected_handoff", "help_requested"])
def test_an_alert_whose_customer_waits_is_not_closed_by_quiet_but_abandoned_after_24_hours(scene, later, signal):
    scene.fails(signal)
    later(hours=23, minutes=59)
    assert scene.alert().state == "open"
    later(minutes=1)
    alert = scene.alert()
    assert (alert.state, alert.resolved_kind, alert.due_at) == ("resolved", "abandoned", None)
    assert scene.changes()[-1] == ("abandoned", "abandoned")
    assert (scene.room().customer_waiting_since, scene.room().handed_off_at) == (None, None)


def test_a_late_sweep_tells_nobody_of_what_is_over(scene, later):
    scene.fails("message_cap")
    later(hours=3)
    assert scene.changes() == [("opened", "first"), ("resolved", "quiet")]
    assert len(scene.told()) == 1


def test_a_failure_on_its_way_when_quiet_closed_the_alert_is_not_lost(scene, later):
    scene.fails("message_cap")
    later(minutes=30, seconds=10)
    scene.fails("agent_error", ago=60)
    assert scene.changes()[-1] == ("rearmed", "rearmed")
    assert scene.last_told() == ("rearmed", "pending", "")


# --- the sweep -------------------------------------------------------------------------------------------------------


def test_a_sweep_with_nothing_due_does_nothing(scene):
    scene.fails("agent_error")
    assert actions.sweep_timers() == 0


def test_a_sweep_works_no_more_than_its_limit_the_longest_due_first(scene, clock):
    for room in ("r1", "r2", "r3"):
        scene.fails("agent_error", room=room)
    clock.advance(minutes=5)
    assert actions.sweep_timers(limit=2) == 2
    assert scene.alert("r3").repeats_done == 0
    assert actions.sweep_timers(limit=2) == 1


def test_a_sweep_works_the_alerts_of_all_orgs_and_tells_their_own_people(scene, later):
    other = Scene()
    for one in (scene, other):
        one.fails("agent_error")
    later(minutes=5)
    assert scene.last_told()[0] == other.last_told()[0] == "repeat_due"
    assert set(Push.objects.filter(org=other.org).values_list("supervisor", flat=True)) == {p.pk for p in other.people}


def test_every_open_alert_has_its_next_timer_in_its_row(scene, later):
    scene.fails("agent_error")
    for minutes in (5, 10, 20, 40, 60):
        later(minutes=minutes)
        assert due_in(scene.alert()) > timedelta()
    assert not Alert.objects.filter(due_at=None)


def break_alert(scene, room="r1"):
    """A row that no push can be made of."""
    Alert.objects.filter(org=scene.org, room__room_id=room).update(signals=5)


def test_a_broken_alert_holds_up_no_other_and_is_tried_again_more_and_more_seldom(scene, later):
    other = Scene()
    scene.fails("agent_error")
    break_alert(scene)
    other.fails("agent_error")
    later(minutes=5)
    assert other.last_told()[0] == "repeat_due"
    assert (scene.alert().timer_failures, scene.changes()) == (1, [("opened", "first")])
    assert about(due_in(scene.alert()), timedelta(minutes=1))
    later(minutes=1)
    assert (scene.alert().timer_failures, other.alert().timer_failures) == (2, 0)
    assert about(due_in(scene.alert()), timedelta(minutes=2))
    for _ in range(6):
        later(hours=1)
    assert about(due_in(scene.alert()), timedelta(hours=1))


def test_a_broken_alert_that_is_mended_goes_on(scene, later):
    scene.fails("agent_error")
    signals = scene.alert().signals
    break_alert(scene)
    later(minutes=5)
    Alert.objects.update(signals=signals)
    later(minutes=1)
    assert (scene.alert().timer_failures, scene.last_told()[0]) == (0, "repeat_due")


def test_more_broken_alerts_than_a_sweep_takes_do_not_keep_the_others_waiting(scene, later):
    for room in ("r1", "r2", "r3"):
        scene.fails("agent_error", room=room)
        if room != "r3":
            break_alert(scene, room)
    later(minutes=4)
    later(minutes=1)
    actions.sweep_timers(limit=2)
    assert scene.alert("r3").repeats_done == 1


def test_the_log_of_a_broken_alert_has_ids_and_the_place_but_no_words_of_the_error(scene, clock, monkeypatch):
    def fail(*args):
        raise ValueError("call me at 0812 3456 7890")

    scene.fails("agent_error")
    clock.advance(minutes=5)
    monkeypatch.setitem(timers.TIMERS, "repeat", fail)
    with structlog.testing.capture_logs() as logs:
        actions.sweep_timers()
    [said] = [line for line in logs if line["event"] == "timer_failed"]
    assert (said["log_level"], said["error"], said["alert"]) == ("error", "ValueError", str(scene.alert().pk))
    assert "test_timers.py" in said["where"]
    assert "0812 3456" not in str(logs)


def test_a_database_that_is_away_breaks_no_alert(scene, clock, monkeypatch):
    def away(*args):
        raise OperationalError("the server closed the connection")

    scene.fails("agent_error")
    clock.advance(minutes=5)
    monkeypatch.setitem(timers.TIMERS, "repeat", away)
    with pytest.raises(OperationalError):
        actions.sweep_timers()
    assert scene.alert().timer_failures == 0


def test_what_has_no_room_or_is_over_takes_no_place_in_a_sweep(scene, clock):
    now = database_clock.now()
    AlertFactory(room=None, agent=None, scope="source", source=scene.source, org=scene.org, due_at=now)
    AlertFactory(state="resolved", resolved_at=now, due_at=now)
    scene.fails("agent_error")
    clock.advance(minutes=5)
    assert actions.sweep_timers(limit=1) == 1
    assert scene.alert().repeats_done == 1


def test_what_a_sweep_did_is_heard_after_the_commit_only(scene, clock, run_commit_hooks, monkeypatch):
    heard = []
    monkeypatch.setattr(feed, "publish", heard.extend)
    monkeypatch.setattr(feed, "kick", lambda: heard.append("kick"))
    scene.fails("agent_error")
    clock.advance(minutes=5)
    with run_commit_hooks():
        actions.sweep_timers()
        assert heard == []
    assert heard == [scene.alert().pk, "kick"]
