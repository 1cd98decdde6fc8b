"""While we were down nobody is called a liar for it: timers wait, and what is due all the same is one digest."""

from datetime import timedelta

import pytest

from alerts import actions
from alerts.blind import beat, notice_down
from alerts.delivery.digest import still_waiting, write_digests
from alerts.known import Known
from alerts.models import Alert, BlindInterval, DigestAlert, FailureEvent, Push, Transition, WebHeartbeat
from orgs import clock as database_clock
from tests.factories import AssignmentFactory, SupervisorRoleFactory
from tests.scene import Scene, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]
ROOMS = [f"r{n}" for n in range(1, 5)]


@pytest.fixture
def scene(clock):
    scene = Scene()
    scene.second = AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=2)).user
    beat()
    return scene


@pytest.fixture
def sweep():
    def work():
        while actions.sweep_timers():
            pass

    return work


def up(clock, **parts):
    """A web process says that it is there, all the time."""
    left = timedelta(**parts)
    while left:
        step = min(left, timedelta(seconds=50))
        clock.advance(seconds=step.total_seconds())
        beat()
        left -= step


def down(clock, minutes=20):
    """Web and worker are gone for so long."""
    pushes_are_sent()
    clock.advance(minutes=minutes)


def pushes():
    return list(Push.objects.filter(kind="alert", state="pending").values_list("alert__room__room_id", "reason"))


def digests():
    return Push.objects.filter(kind="digest")


def named():
    return sorted(set(DigestAlert.objects.values_list("alert__room__room_id", flat=True)))


def test_twenty_minutes_down_while_humans_acted_give_no_false_escalation_and_one_digest(scene, clock, sweep):
    for room in ROOMS:
        scene.fails("agent_error", room=room)
    down(clock)
    sweep()  # the worker is back first: nobody said that a web process is
    assert BlindInterval.objects.get().ends is None
    assert (pushes(), digests().count()) == ([], 0)
    beat()
    for room in ROOMS[:3]:  # what happened meanwhile is told now
        scene.happens("human_message", room=room, ago=900, who=scene.people[0])
    sweep()
    assert (pushes(), digests().count()) == ([], 0)
    clock.advance(minutes=2, seconds=1)
    beat()
    sweep()
    assert pushes() == []
    assert not Transition.objects.filter(alert__room__room_id__in=ROOMS[:3], change__in=["escalated", "repeated"])
    assert named() == ["r4"]
    assert {digest.reason for digest in digests()} == {"blind"}
    assert digests().filter(supervisor=scene.people[0]).count() == 1
    assert ("escalated", "blind") in scene.changes("r4")


def test_the_digest_says_that_rooms_are_to_be_checked(scene, clock, sweep):
    scene.fails("agent_error")
    down(clock)
    notice_down()
    beat()
    clock.advance(minutes=2, seconds=1)
    beat()
    sweep()
    digest = digests().filter(supervisor=scene.people[0]).get()
    now = database_clock.now()
    assert "check these rooms" in next(iter(write_digests(still_waiting([digest], Known(), now), now).values()))


def test_a_silence_that_ended_meanwhile_lets_nothing_go_before_others_could_tell(scene, clock, sweep):
    for room in ("r1", "r2"):
        scene.fails("agent_error", room=room)
    whole = actions.AskedSilence(scene.org, database_clock.now() + timedelta(minutes=10), whole_org=True)
    actions.make_silence(whole, scene.people[0])
    down(clock)
    assert notice_down()
    beat()
    sweep()
    assert pushes() == []
    scene.happens("human_message", room="r1", ago=300, who=scene.people[0])
    clock.advance(minutes=2, seconds=1)
    beat()
    sweep()
    assert {room for room, _ in pushes()} | set(named()) == {"r2"}


def test_a_timer_that_fell_due_before_takes_none_with_it_that_did_so_meanwhile(scene, clock, sweep):
    scene.fails("unexpected_handoff")
    pushes_are_sent()
    up(clock, minutes=3, seconds=30)  # critical since 30 s ago, which no sweep has seen
    down(clock)
    assert notice_down()
    beat()
    sweep()
    assert scene.changes()[1:] == [("worsened", "worsened")]
    assert {reason for _, reason in pushes()} == {"worsened"}


def test_an_end_that_fell_due_meanwhile_lets_what_did_so_before_be_worked_and_sweeps_rest(scene, clock, sweep):
    scene.fails("message_cap")
    pushes_are_sent()
    up(clock, minutes=16)  # a repeat and the next tier are due, which no sweep has seen
    down(clock)
    assert notice_down()
    beat()
    sweep()  # else it has no end
    assert {reason for _, reason in pushes()} == {"repeat_due", "escalated"}
    assert scene.alert().state == "open"


def test_what_fell_due_before_it_runs_at_once_and_as_ever(scene, clock, sweep):
    scene.fails("agent_error")
    pushes_are_sent()
    up(clock, minutes=3, seconds=30)
    clock.advance(minutes=2)
    sweep()
    assert ("r1", "escalated") in pushes()


def test_a_restart_of_less_than_a_minute_is_none(scene, clock, sweep):
    scene.fails("agent_error")
    pushes_are_sent()
    up(clock, minutes=2, seconds=50)
    clock.advance(seconds=50)
    sweep()
    assert ("r1", "escalated") in pushes()


def test_after_it_timers_push_again(scene, clock, sweep):
    scene.fails("agent_error")
    down(clock)
    notice_down()
    beat()
    clock.advance(minutes=2, seconds=1)
    beat()
    sweep()
    pushes_are_sent()
    for _ in range(30):
        clock.advance(seconds=30)
        beat()
        sweep()
    assert ("r1", "repeat_due") in pushes()


def test_an_outage_does_not_end_while_nobody_could_tell_of_it(scene, clock, sweep):
    for n in range(5):
        scene.fails("agent_error", room=f"out-{n}")
    outage = Alert.objects.get(scope="agent")
    down(clock)
    sweep()
    outage.refresh_from_db()
    assert outage.state == "open"


def test_a_silent_source_holds_the_quiet_end_and_no_alarm(scene, clock, sweep):
    scene.fails("message_cap")
    scene.happens("bot_message", room="r1")
    BlindInterval.objects.create(org=scene.org, source=scene.source, cause="source_silent", starts=database_clock.now())
    WebHeartbeat.objects.all().delete()  # never mind
    for _ in range(8):
        pushes_are_sent()
        clock.advance(minutes=10)
        sweep()
    assert scene.alert().state == "open"
    assert [reason for reason, *_ in scene.told()].count("repeat_due") >= 3
    BlindInterval.objects.update(ends=database_clock.now())
    for _ in range(3):
        clock.advance(minutes=2)
        sweep()
    assert (scene.alert().state, scene.alert().resolved_kind) == ("resolved", "quiet")


def test_no_bot_has_a_room_back_from_a_human_whom_a_silent_source_may_not_tell_of(scene, clock):
    scene.happens("human_message", who=scene.people[0])
    silence = BlindInterval.objects.create(
        org=scene.org, source=scene.source, cause="source_silent", starts=database_clock.now()
    )
    clock.advance(minutes=7)
    scene.happens("bot_message")
    assert scene.room().human_since is not None
    BlindInterval.objects.filter(pk=silence.pk).update(starts=scene.room().human_last_at - timedelta(minutes=9))
    BlindInterval.objects.filter(pk=silence.pk).update(ends=scene.room().human_last_at - timedelta(minutes=1))
    scene.happens("bot_message")
    assert scene.room().human_since is None


# --- told late -------------------------------------------------------------------------------------------------------


def test_told_late_of_a_room_nobody_heard_of_since_it_opens_its_alert_and_joins_a_digest(scene):
    scene.fails("agent_error", ago=1800)
    alert = scene.alert()
    assert (alert.state, alert.severity) == ("open", "critical")
    assert alert.customer_waiting_since == FailureEvent.objects.get().occurred_at
    assert scene.changes() == [("opened", "late")]
    assert (pushes(), named()) == ([], ["r1"])
    assert {digest.reason for digest in digests()} == {"late"}


@pytest.mark.parametrize("kind", ["human_message", "human_opened", "assigned", "resolved", "returned_to_agent"])
def test_not_where_something_was_heard_since(scene, kind):
    scene.happens(kind, ago=1700, who=scene.people[0])
    scene.fails("agent_error", ago=1800)
    assert not Alert.objects.exists()
    assert FailureEvent.objects.get().reason == "late"


def test_a_human_who_entered_before_it_failed_is_nobody_who_came_since(scene):
    scene.happens("human_opened", ago=1900, who=scene.people[0])
    scene.fails("agent_error", ago=1800)
    assert scene.changes() == [("opened", "late")]


def test_an_alert_that_closed_by_itself_is_nothing_that_was_heard(scene, clock):
    """Nobody said that it was over: who waits since before that still does."""
    scene.fails("message_cap")
    beat()
    for _ in range(46):
        clock.advance(minutes=1)
        beat()
        actions.sweep_timers()
    assert scene.alert().resolved_kind == "quiet"
    scene.fails("agent_error", ago=1200)
    assert (scene.changes()[-1], named()) == (("rearmed", "late"), ["r1"])


def test_nor_where_the_customer_was_answered_since(scene):
    scene.happens("customer_message", ago=1750)
    scene.happens("bot_message", ago=1700)
    scene.fails("agent_error", ago=1800)
    assert not Alert.objects.exists()


@pytest.mark.parametrize("gap", [True, False])
def test_older_than_an_hour_only_if_we_were_down_then(scene, clock, gap):
    if gap:
        clock.advance(minutes=90)
        notice_down()
        beat()
    scene.fails("agent_error", ago=4000)
    assert Alert.objects.exists() == gap


def test_it_stays_a_failure_when_the_room_is_read_anew(scene):
    scene.happens("customer_message", ago=5)
    scene.fails("agent_error", ago=1800)
    scene.happens("customer_message", ago=1900)
    assert scene.room().stranded_at == FailureEvent.objects.get().occurred_at


# --- due times -------------------------------------------------------------------------------------------------------


def test_a_timer_decides_as_of_when_it_was_due(scene, clock, sweep):
    scene.fails("agent_error")
    pushes_are_sent()
    due = scene.alert().due_at
    up(clock, minutes=3, seconds=40)
    sweep()
    change = scene.last_change()
    assert (change.change, change.at, change.detail.get("late_seconds")) == ("escalated", due, None)
    assert Push.objects.get(reason="escalated").planned_at == due


def test_over_a_minute_late_it_decides_as_of_now_and_says_so(scene, clock, sweep):
    scene.fails("agent_error")
    pushes_are_sent()
    due = scene.alert().due_at
    up(clock, minutes=4, seconds=10)
    sweep()
    change = scene.last_change()
    assert change.at - due > timedelta(seconds=65)
    assert change.detail["late_seconds"] in range(65, 90)
