"""Silences: nothing is told of what they cover while they last; at their end what still waits is told once."""

from datetime import timedelta

import pytest
from django_scopes import scopes_disabled

from alerts import actions
from alerts.models import Alert, Push, Silence, SilencedAlert, Transition
from orgs import clock as database_clock
from orgs.models import Assignment
from tests.factories import AssignmentFactory, SupervisorRoleFactory, UserFactory
from tests.outbox import posts, sweep
from tests.scene import Scene, about, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]


@pytest.fixture
def scene(clock):
    return Scene(staff=1)


@pytest.fixture
def later(clock):
    def move(**parts):
        Push.objects.filter(state="pending", kind="alert").update(state="sent", next_attempt_at=None)
        clock.advance(**parts)
        while actions.sweep_timers():
            pass

    return move


def silence(scene, minutes=30, after=0, by=None, **named):
    """One that lasts so many minutes, from so many on."""
    now = database_clock.now()
    starts = now + timedelta(minutes=after)
    named = named or {"room_id": "r1"}
    asked = actions.AskedSilence(scene.org, starts + timedelta(minutes=minutes), starts if after else None, **named)
    return actions.make_silence(asked, by or scene.people[0])


def told(scene, room="r1"):
    """(reason, state, why it ended) of the pushes about this room, in order."""
    pushes = Push.objects.filter(alert=scene.alert(room), kind="alert").order_by("planned_at", "occurrence")
    return list(pushes.values_list("reason", "state", "ended_reason"))


def events(scene, room="r1"):
    return list(scene.room(room).events.order_by("id").values_list("reason", flat=True))


# --- what is held ---


def test_what_fails_in_a_silenced_room_opens_with_the_reason_and_a_row_for_each_recipient(scene):
    AssignmentFactory(org=scene.org, role=scene.role)
    silence(scene, channel="whatsapp")
    scene.fails("message_cap", channel="WABA")
    scene.fails("message_cap")
    scene.fails("agent_error")
    assert scene.changes() == [("opened", "silenced"), ("attached", "silenced"), ("worsened", "silenced")]
    assert events(scene) == ["silenced", "silenced", "silenced"]
    assert told(scene) == [("first", "skipped", "silenced")] * 2 + [("worsened", "skipped", "silenced")] * 2
    assert scene.last_change().detail["wanted"] == "worsened"


def test_what_it_does_not_cover_is_told(scene):
    scene.fails("message_cap", room="r9")
    silence(scene, room_id="r9")
    scene.fails("message_cap")
    assert told(scene) == [("first", "pending", "")]


def test_one_that_begins_cancels_what_waits_and_holds_repeats_and_the_next_tier(scene, later, standins):
    AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=2))
    scene.fails("agent_error")
    silence(scene, minutes=60)
    assert told(scene) == [("first", "cancelled", "silenced")]
    sweep()
    later(minutes=59)
    assert scene.changes() == [("opened", "first"), ("attached", "silenced")]
    assert posts(standins) == []


def test_one_made_after_the_decision_is_seen_at_the_claim(scene, standins):
    """As when the event was decided just before, and nobody swept since."""
    scene.fails("agent_error")
    Alert.objects.update(silence=None)
    now = database_clock.now()
    Silence.objects.create(
        org=scene.org, whole_org=True, starts_at=now, ends_at=now + timedelta(hours=1), created_at=now
    )
    sweep()
    assert told(scene) == [("first", "cancelled", "silenced")]


def test_a_scheduled_one_begins_when_it_is_due(scene, later):
    scene.fails("agent_error")
    silence(scene, after=2)
    assert scene.alert().silenced_until is None
    later(minutes=2)
    assert about(scene.alert().silenced_until, database_clock.now() + timedelta(minutes=30))
    later(minutes=20)
    assert [reason for reason, *_ in told(scene)] == ["first"]


def test_one_that_names_a_signal_covers_that_alone(scene):
    silence(scene, signal="low_confidence")
    scene.fails("low_confidence", confidence=0.1)
    assert events(scene) == ["silenced"]
    scene.fails("low_confidence", room="r2", confidence=0.1)
    scene.fails("agent_error", room="r2")
    assert told(scene, "r2")[-1] == ("worsened", "pending", "")
    assert scene.alert("r2").silenced_until is None


def test_a_second_signal_of_no_higher_severity_is_told_too_if_nothing_covers_it(scene):
    silence(scene, signal="message_cap")
    scene.fails("message_cap")
    scene.fails("unexpected_handoff")
    assert told(scene) == [("first", "skipped", "silenced"), ("corroborated", "pending", "")]


def test_rooms_that_are_silenced_make_no_outage(scene):
    scene.fails("message_cap", room="r0")
    silence(scene, agent_name="Billing Bot")
    for n in range(7):
        scene.fails("agent_error", room=f"x{n}")
    assert not Alert.objects.filter(scope="agent")


def test_the_outage_of_a_silenced_agent_is_held_and_told_at_the_end(scene, later):
    for n in range(5):
        scene.fails("agent_error", room=f"x{n}")
    outage = Alert.objects.get(scope="agent")
    made = silence(scene, agent_name="Billing Bot", minutes=9)
    assert set(outage.pushes.values_list("state", "ended_reason")) == {("cancelled", "silenced")}
    later(minutes=8)
    assert outage.pushes.count() == 1
    later(minutes=1, seconds=1)
    assert outage.pushes.latest("planned_at").reason == "silence_ended"
    assert made.alerts.filter(held=True).count() == 6


def test_it_never_silences_that_nobody_can_be_told(scene):
    scene.fails("message_cap")
    Assignment.objects.all().delete()
    silence(scene, whole_org=True)
    scene.fails("agent_error")
    assert scene.changes()[-1] == ("worsened", "unroutable")
    assert scene.alert().silenced_until is None


def test_nor_that_nobody_is_on_duty(scene):
    specialist = UserFactory(is_specialist=True)
    scene.fails("message_cap", room="r0")
    silence(scene, whole_org=True)
    Assignment.objects.update(away_until=database_clock.now() + timedelta(days=1))
    scene.fails("agent_error")
    assert scene.changes() == [("opened", "unroutable")]
    assert Push.objects.get(supervisor=specialist).state == "pending"
    assert scene.alert().silenced_until is None


# --- how it ends ---


def test_at_its_end_what_still_waits_is_told_once_and_goes_on(scene, later):
    scene.fails("message_cap", room="r0")
    silence(scene, whole_org=True)
    for room in ("r1", "r2", "r3"):
        scene.fails("agent_error", room=room)
    scene.happens("customer_message", room="r2")
    scene.happens("bot_message", room="r2")
    actions.resolve(scene.alert("r3").pk, scene.people[0])
    later(minutes=30, seconds=1)
    assert told(scene, "r1")[-1] == ("silence_ended", "pending", "")
    assert scene.changes("r1")[-1] == ("released_hold", "silence_ended")
    for room in ("r2", "r3"):
        assert [reason for reason, *_ in told(scene, room)] == ["first"]
    assert (scene.alert("r1").tier, scene.alert("r1").silence_id, scene.alert("r3").silence_id) == (1, None, None)
    later(minutes=5, seconds=1)
    assert [reason for reason, *_ in told(scene, "r1")].count("silence_ended") == 1
    assert scene.changes("r1")[-1] == ("repeated", "repeat_due")


def test_the_clock_of_a_tier_stands_still_meanwhile(scene, later):
    AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=2))
    scene.fails("agent_error")
    later(minutes=2)
    silence(scene, minutes=20)
    later(minutes=20)
    assert scene.changes()[-1] == ("released_hold", "silence_ended")
    later(seconds=50)
    assert scene.alert().tier == 1
    later(seconds=20)
    assert scene.alert().tier == 2


def test_ending_it_tells_at_once_and_again_changes_nothing(scene, later):
    scene.fails("message_cap", room="r0")
    made = silence(scene, room_id="r0", minutes=600)
    scene.fails("agent_error", room="r0")
    actions.end_silence(made.pk, scene.people[0])
    assert told(scene, "r0")[-1] == ("silence_ended", "pending", "")
    ended = actions.end_silence(made.pk, scene.people[0])
    assert (ended.ended_how, ended.ended_by) == ("person", scene.people[0])
    assert [reason for reason, *_ in told(scene, "r0")].count("silence_ended") == 1


def test_one_ended_before_it_held_anything_tells_nobody(scene, later):
    scene.fails("agent_error")
    pushes_are_sent()
    later(minutes=1)
    actions.end_silence(silence(scene).pk, scene.people[0])
    assert [reason for reason, *_ in told(scene)] == ["first"]
    assert scene.alert().silenced_until is None


def test_an_undo_lets_it_hold_again(scene):
    scene.fails("agent_error")
    made = silence(scene)
    actions.end_silence(made.pk, scene.people[0])
    actions.restore_silence(made.pk, scene.people[0])
    assert scene.alert().silence_id == made.pk
    assert told(scene)[-1] == ("silence_ended", "cancelled", "silenced")


def test_it_ends_when_nothing_matched_for_so_long(scene, later):
    scene.fails("message_cap")
    pushes_are_sent()
    made = silence(scene, minutes=600, agent_name="Billing Bot", until_idle_minutes=20)
    later(minutes=15)
    scene.fails("agent_error", room="r2")
    later(minutes=19)
    assert Silence.objects.get().ended_at is None
    later(minutes=1, seconds=1)
    made.refresh_from_db()
    assert (made.ended_how, about(made.ended_at, database_clock.now())) == ("idle", True)
    assert told(scene, "r2")[-1] == ("silence_ended", "pending", "")


def test_the_idle_window_of_one_that_recurs_is_over_and_the_next_one_begins(scene, later):
    scene.fails("message_cap", room="r0")
    now = database_clock.now()
    until = now + timedelta(days=5)
    made = silence(scene, minutes=60, agent_name="Billing Bot", until_idle_minutes=10, recurrence="daily", until=until)
    later(minutes=11)
    scene.fails("agent_error", room="r2")
    assert told(scene, "r2") == [("first", "pending", "")]
    later(hours=23, minutes=55)
    scene.fails("agent_error", room="r3")
    assert events(scene, "r3") == ["silenced"]
    later(days=5)
    later(seconds=11)
    made.refresh_from_db()
    assert (made.ended_how, made.due_at, made.unsettled) == ("expired", None, False)


def test_where_two_cover_it_the_end_of_one_tells_nobody(scene, later):
    scene.fails("message_cap", room="r0")
    silence(scene, minutes=10, agent_name="Billing Bot")
    longer = silence(scene, minutes=60, signal="agent_error")
    scene.fails("agent_error")
    assert scene.alert().silence_id == longer.pk
    later(minutes=11)
    assert [reason for reason, *_ in told(scene)] == ["first"]
    actions.end_silence(longer.pk, None)
    assert told(scene)[-1][0] == "silence_ended"


def test_an_acknowledge_that_expires_meanwhile_is_held_and_told_at_the_end(scene, later):
    scene.fails("agent_error")
    silence(scene)
    actions.acknowledge(scene.alert().pk, scene.people[0])
    later(minutes=6)
    assert told(scene)[-1] == ("repeat_due", "skipped", "silenced")
    later(minutes=25)
    assert told(scene)[-1] == ("silence_ended", "pending", "")


def test_what_each_held_back_is_counted_once(scene, later):
    scene.fails("message_cap", room="r0")
    made = silence(scene, whole_org=True)
    for _ in range(3):
        scene.fails("agent_error")
    scene.fails("agent_error", room="r2")
    held = SilencedAlert.objects.filter(silence=made, held=True).values_list("alert__room__room_id", flat=True)
    assert sorted(held) == ["r0", "r1", "r2"]


def test_what_a_dead_sweep_left_is_released_by_the_alerts_own_timer(scene, later):
    """Also if nobody ever swept the silence itself."""
    made = silence(scene, whole_org=True)
    scene.fails("agent_error")
    Silence.objects.filter(pk=made.pk).update(due_at=None, unsettled=False)
    later(minutes=30, seconds=1)
    assert told(scene)[-1] == ("silence_ended", "pending", "")


def test_a_silence_of_one_org_is_none_of_another(scene, later):
    other = Scene(staff=1)
    silence(scene, whole_org=True)
    other.fails("agent_error")
    assert told(other) == [("first", "pending", "")]
    assert not Transition.objects.filter(org=other.org, reason="silenced")
    with scopes_disabled():
        assert SilencedAlert.objects.count() == 0
