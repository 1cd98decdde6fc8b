"""Nobody acts: the next tier is told, tier by tier, until the last."""

from datetime import timedelta

import pytest
from django.test import Client as Browser

from alerts import actions
from alerts.models import Push
from orgs.clock import now as clock_now
from orgs.models import Policy
from tests.factories import AssignmentFactory, SupervisorRoleFactory, UserFactory
from tests.scene import Scene, about, due_in, pushes_are_sent
from tests.test_pages import text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock):
    """Tier 1: two supervisors; tier 3: one. In tier 2 is nobody yet."""
    scene = Scene()
    scene.third = AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=3)).user
    return scene


@pytest.fixture
def later(clock):
    def move(**parts):
        pushes_are_sent()
        clock.advance(**parts)
        while actions.sweep_timers():
            pass

    return move


def told(person):
    """(reason, tier, state) of the pushes to this person, oldest first."""
    pushes = Push.objects.filter(supervisor=person, kind="alert").order_by("planned_at", "occurrence")
    return list(pushes.values_list("reason", "tier", "state"))


def escalations(scene, room="r1"):
    return [reason for change, reason in scene.changes(room) if change == "escalated"]


@pytest.mark.parametrize(("signal", "minutes"), [("agent_error", 3), ("message_cap", 5)])
def test_the_next_tier_is_told_when_nobody_acts(scene, later, signal, minutes):
    scene.fails(signal)
    later(minutes=minutes, seconds=-2)
    assert told(scene.third) == []
    later(seconds=3)
    assert told(scene.third)[0] == ("escalated", 3, "pending")
    assert scene.changes()[1] == ("escalated", "escalated")


def test_the_minutes_are_policy(scene, later):
    Policy.objects.create(org=scene.org, limits={"escalate_minutes": {"critical": 1}})
    scene.fails("agent_error")
    later(seconds=61)
    assert told(scene.third) == [("escalated", 3, "pending")]


def test_info_escalates_nothing(scene, later):
    scene.fails("low_confidence")
    later(minutes=29)
    assert escalations(scene) == []


def test_an_act_stops_it(scene, later):
    scene.fails("agent_error")
    scene.happens("human_message", who=scene.people[0])
    later(minutes=4)
    assert told(scene.third) == []


def test_after_an_acknowledge_expired_the_clock_starts_anew(scene, later):
    scene.fails("agent_error")
    later(minutes=2)
    actions.acknowledge(scene.alert().pk, scene.people[0])
    later(minutes=5, seconds=1)
    assert told(scene.third) == []
    later(minutes=3)
    assert told(scene.third) == [("escalated", 3, "pending")]


def test_the_second_expiry_of_an_episode_escalates_at_once(scene, later):
    scene.fails("agent_error")
    for _ in range(2):
        actions.acknowledge(scene.alert().pk, scene.people[0])
        later(minutes=5, seconds=1)
    assert told(scene.third) == [("escalated", 3, "pending")]


def test_undoing_an_acknowledge_lets_the_clock_go_on(scene, later):
    scene.fails("agent_error")
    actions.take(scene.alert().pk, scene.people[0])
    later(minutes=2)
    actions.undo(scene.alert().pk, scene.people[0])
    later(minutes=1, seconds=1)
    assert told(scene.third) == [("escalated", 3, "pending")]


def test_a_release_later_starts_the_clock_anew(scene, later):
    scene.fails("agent_error")
    actions.take(scene.alert().pk, scene.people[0])
    later(minutes=4)
    actions.release(scene.alert().pk, scene.people[1])
    later(minutes=2)
    assert told(scene.third) == []
    later(minutes=1, seconds=1)
    assert told(scene.third) == [("escalated", 3, "pending")]


def test_a_snooze_holds_the_clock_and_it_goes_on_after(scene, later, clock):
    scene.fails("agent_error")
    later(minutes=1)
    until = scene.alert().opened_at + timedelta(minutes=11)
    actions.snooze(scene.alert().pk, scene.people[0], until)
    later(minutes=10, seconds=1)
    assert told(scene.third) == []
    later(minutes=2)
    assert told(scene.third) == [("escalated", 3, "pending")]


def test_waking_it_gives_back_what_was_left(scene, later):
    scene.fails("agent_error")
    later(minutes=1)
    actions.snooze(scene.alert().pk, scene.people[0], scene.alert().opened_at + timedelta(hours=1))
    later(minutes=10)
    actions.wake(scene.alert().pk, scene.people[0])
    later(minutes=1, seconds=55)
    assert told(scene.third) == []
    later(seconds=6)
    assert told(scene.third) == [("escalated", 3, "pending")]


def test_getting_worse_counts_from_when_the_tier_was_told(scene, later):
    scene.fails("message_cap")
    later(minutes=2)
    scene.fails("agent_error")
    assert about(due_in(scene.alert()), timedelta(minutes=1))


def test_repeats_go_to_every_tier_told_so_far(scene, later):
    scene.fails("agent_error")
    later(minutes=3, seconds=1)
    later(minutes=12)
    assert [reason for reason, *_ in told(scene.people[0])] == ["first", "repeat_due"]
    assert told(scene.third)[-1][0] == "repeat_due"


def test_getting_worse_tells_every_tier_told_so_far(scene, later):
    scene.fails("message_cap")
    later(minutes=5, seconds=1)
    scene.fails("agent_error")
    assert [told(person)[-1][0] for person in (scene.people[0], scene.third)] == ["worsened", "worsened"]


def test_an_empty_tier_is_passed_and_it_is_said(scene, later):
    SupervisorRoleFactory(org=scene.org, tier=2)
    scene.fails("agent_error")
    later(minutes=3, seconds=1)
    assert escalations(scene) == ["nobody_on_duty", "escalated"]
    assert told(scene.third) == [("escalated", 3, "pending")]


def test_an_empty_first_tier_is_passed_and_the_next_is_told_as_the_first(scene):
    scene.role.assignments.all().delete()
    scene.fails("agent_error")
    assert scene.changes() == [("opened", "first"), ("escalated", "nobody_on_duty")]
    assert told(scene.third) == [("first", 3, "pending")]


def test_after_the_last_tier_specialists_are_told_once(scene, later):
    specialist = UserFactory(is_specialist=True, name="Dewi")
    scene.fails("agent_error")
    later(minutes=3, seconds=1)
    later(minutes=3, seconds=1)
    later(minutes=30)
    assert told(specialist) == [("escalated", 0, "sent")]
    browser = Browser()
    browser.force_login(scene.people[0])
    page = text(browser.get(f"/alerts/{scene.alert().pk}"))
    assert "Every tier was told and nobody acted" in page and "Pushed to Dewi: nobody on the" in page
    assert "no specialist" not in page
    assert scene.last_change().change == "repeated"
    assert scene.alert().tiers_over_at is not None


def test_where_there_is_no_specialist_nobody_says_that_they_are_told(scene, later):
    """Mutation: "the specialists are told", or "no worse than before", where nobody is left."""
    scene.fails("agent_error")
    later(minutes=3, seconds=1)
    browser = Browser()
    browser.force_login(scene.people[0])
    later(minutes=2)
    before = browser.get(f"/alerts/{scene.alert().pk}").content.decode()
    assert "no tier and no specialist is left to be told" in before
    later(minutes=1, seconds=1)
    board = browser.get("/").content.decode()
    assert "Every tier was told, nobody came" in board and "no specialist is there to be told either" in board
    page = browser.get(f"/alerts/{scene.alert().pk}").content.decode()
    assert "Nobody acted: tier 3 is told" in page
    assert "Every tier was told and nobody acted" in page and "no specialist is there to be told either" in page
    assert "specialists are told" not in board + page and "no worse" not in board + page


def test_whoever_joins_the_next_tier_meanwhile_is_told(scene, later):
    scene.fails("agent_error")
    later(minutes=1)
    new = AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=2)).user
    later(minutes=2, seconds=1)
    assert told(new) == [("escalated", 2, "pending")]
    assert told(scene.third) == []


def test_escalation_breaks_a_throttle(scene, later):
    Policy.objects.create(org=scene.org, limits={"escalate_minutes": {"critical": 1}})
    scene.fails("agent_error")
    later(minutes=1, seconds=1)
    scene.happens("human_message", who=scene.people[0])
    scene.happens("returned_to_agent")
    scene.fails("agent_error")
    later(minutes=1, seconds=1)
    assert told(scene.third)[-1] == ("escalated", 3, "pending")


def test_escalation_goes_before_a_repeat_of_the_same_instant(scene, later):
    scene.fails("message_cap")
    later(minutes=5, seconds=1)
    changes = [change for change, _ in scene.changes()]
    assert changes.index("escalated") < changes.index("repeated")


def test_a_new_episode_begins_with_the_first_tier(scene, later):
    scene.fails("agent_error")
    later(minutes=3, seconds=1)
    actions.resolve(scene.alert().pk, scene.people[0])
    later(minutes=6)
    scene.fails("agent_error")
    assert told(scene.people[0])[-1][0] == "rearmed"
    assert [reason for reason, *_ in told(scene.third)] == ["escalated"]


def test_the_page_says_who_is_next(scene):
    scene.fails("agent_error")
    browser = Browser()
    browser.force_login(scene.people[0])
    assert "the next tier is told" in browser.get(f"/alerts/{scene.alert().pk}").content.decode()


def test_a_tier_whose_pushes_all_died_is_passed_at_once(scene, later):
    scene.fails("agent_error")
    pushes = Push.objects.filter(supervisor__in=scene.people)
    pushes.filter(supervisor=scene.people[0]).update(state="dead", ended_reason="refused", ended_at=clock_now())
    later(seconds=5)
    assert told(scene.third) == []  # the other one may still be told
    pushes.update(state="dead", ended_reason="refused", ended_at=clock_now())
    later(seconds=5)
    assert told(scene.third) == [("escalated", 3, "pending")]


@pytest.mark.parametrize("aside", ["snoozed", "recovered"])
def test_a_death_passes_no_tier_of_what_is_put_aside(scene, later, aside):
    scene.fails("agent_error")
    pushes_are_sent()
    one = Push.objects.get(supervisor=scene.people[1])
    Push.objects.filter(pk=one.pk).update(state="dead", ended_reason="refused", ended_at=clock_now())
    if aside == "snoozed":
        actions.snooze(scene.alert().pk, scene.people[0], clock_now() + timedelta(hours=1))
    else:
        Push.objects.filter(supervisor__in=scene.people).update(
            state="dead", ended_reason="refused", ended_at=clock_now()
        )
        scene.happens("customer_message")
        scene.happens("bot_message")
    later(seconds=5)
    assert told(scene.third) == []
