"""A room that fails again and again is told of once; low confidence alone and what expired go into a digest."""

from datetime import timedelta

import pytest
from django.test import Client as Browser

from alerts import actions
from alerts.models import DigestAlert, Push
from orgs.models import Org, Policy
from tests.outbox import posts, sweep
from tests.scene import Scene

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


def fails_and_ends(scene, later, times, signal="agent_error", minutes=6):
    for _ in range(times):
        scene.fails(signal)
        later(seconds=30)
        actions.resolve(scene.alert().pk, scene.people[0])
        later(minutes=minutes)


def digests(scene):
    rows = DigestAlert.objects.filter(push__org=scene.org).order_by("push__occurrence", "pk")
    return [(row.push.reason, row.push.state, row.alert.room.room_id) for row in rows]


# --- flapping ---


def test_the_fourth_episode_within_the_hour_tells_nobody(scene, later):
    fails_and_ends(scene, later, 3)
    told = len(scene.told())
    scene.fails("agent_error")
    assert scene.changes()[-1] == ("rearmed", "flapping")
    assert len(scene.told()) == told
    assert (scene.alert().episode, scene.alert().state) == (4, "open")


def test_its_ladder_and_clocks_run_on(scene, later):
    fails_and_ends(scene, later, 3)
    before = scene.alert()
    scene.fails("agent_error")
    after = scene.alert()
    assert after.tier == before.tier == 1
    assert after.escalate_at is not None
    assert after.escalate_at - after.opened_at < timedelta(minutes=3)
    later(minutes=5)
    assert scene.last_change().change in ("escalated", "repeated")


def test_an_episode_that_is_worse_is_told_all_the_same(scene, later):
    fails_and_ends(scene, later, 3, "message_cap")
    scene.fails("agent_error")
    assert scene.changes()[-1] == ("rearmed", "rearmed")


def test_episodes_further_apart_are_told(scene, later):
    fails_and_ends(scene, later, 3, minutes=25)
    scene.fails("agent_error")
    assert scene.changes()[-1] == ("rearmed", "rearmed")


def test_the_row_says_that_it_flaps(scene, later):
    fails_and_ends(scene, later, 3)
    scene.fails("agent_error")
    browser = Browser()
    browser.force_login(scene.people[0])
    assert "flapping" in browser.get("/").content.decode()
    assert "it fails again and again, and people know" in browser.get(f"/alerts/{scene.alert().pk}").content.decode()


# --- low confidence ---


@pytest.fixture
def old_org(scene):
    """Its first 30 days are over."""
    Org.objects.filter(pk=scene.org.pk).update(created_at=scene.org.created_at - timedelta(days=31))
    return scene.org


def test_low_confidence_is_pushed_in_an_orgs_first_30_days(scene):
    scene.fails("low_confidence")
    assert scene.told() == [("first", "pending", "")]


def test_later_it_waits_for_a_digest_ten_minutes_at_most(scene, old_org):
    scene.fails("low_confidence")
    assert scene.told()[0] == ("first", "skipped", "uncorroborated")
    (digest,) = Push.objects.filter(kind="digest")
    assert digest.planned_at - scene.alert().opened_at == timedelta(minutes=10)


def test_policy_goes_before_the_orgs_age(scene):
    Policy.objects.create(org=scene.org, limits={"low_confidence": "digest"})
    scene.fails("low_confidence")
    assert scene.told()[0] == ("first", "skipped", "uncorroborated")


def test_it_rides_with_any_digest(scene, old_org):
    Policy.objects.create(org=scene.org, limits={"budget": {"pushes": 1}})
    scene.fails("low_confidence")
    for room in ("r2", "r3"):
        scene.fails("message_cap", room=room)
    (digest,) = Push.objects.filter(kind="digest")
    assert digest.planned_at - scene.alert("r3").opened_at == timedelta(seconds=30)
    assert sorted(room for _, _, room in digests(scene)) == ["r1", "r3"]


def test_a_second_signal_promotes_it(scene, old_org):
    Policy.objects.create(org=scene.org, severities={"message_cap": "info"})
    scene.fails("low_confidence")
    scene.fails("message_cap")
    assert scene.last_told() == ("corroborated", "pending", "")
    assert scene.changes()[-1] == ("attached", "corroborated")


def test_the_same_signal_again_does_not(scene, old_org):
    scene.fails("low_confidence")
    scene.fails("low_confidence")
    assert len(scene.told()) == 1


def test_getting_worse_is_pushed(scene, old_org):
    scene.fails("low_confidence")
    scene.fails("agent_error")
    assert scene.last_told() == ("worsened", "pending", "")


# --- after an outage of notification-service ---


def test_what_expired_and_is_over_comes_in_none(scene, standins, clock):
    for n in range(3):
        scene.fails("low_confidence", room=f"r{n}")
    clock.advance(minutes=31)
    sweep()
    while actions.sweep_timers():
        pass
    assert posts(standins) == []
    assert digests(scene) == []


def test_what_expired_and_still_waits_comes_in_one_digest(scene, standins, clock):
    Policy.objects.create(org=scene.org, limits={"outage": {"rooms": 0}}, severities={"agent_error": "info"})
    for n in range(3):
        scene.fails("agent_error", room=f"r{n}")
    clock.advance(minutes=31)
    sweep()
    assert {(push.state, push.ended_reason) for push in Push.objects.filter(kind="alert")} == {("cancelled", "expired")}
    for _ in range(2):
        actions.sweep_timers()
    assert digests(scene) == [("expired", "pending", f"r{n}") for n in range(3)]
    clock.advance(seconds=31)
    sweep()
    (body,) = [one["body"] for one in posts(standins)]
    assert body["title"] == "3 more rooms need a human"
    assert body["body"].startswith("These could not be pushed in time.")
