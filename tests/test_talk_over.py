"""Two voices in one room: the bot writes while a human has it."""

from datetime import timedelta

import pytest

from alerts import actions
from alerts.delivery.claim import claim
from alerts.models import Alert, FailureEvent, Push
from orgs import clock as database_clock
from orgs.models import Policy
from tests.factories import UserFactory, without_limits
from tests.scene import Scene, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock):
    return Scene()


def told(person):
    pushes = Push.objects.filter(supervisor=person, kind="alert").order_by("planned_at", "occurrence")
    return list(pushes.values_list("reason", "severity", "state"))


def test_who_has_the_room_is_told_that_the_bot_still_speaks_here(scene):
    rina, bayu = scene.people
    scene.happens("human_message", who=rina)
    scene.happens("bot_message")
    alert = scene.alert()
    assert (alert.severity, alert.state, alert.agent) == ("info", "intervened", None)
    assert [entry["signal"] for entry in alert.signals] == ["talk_over"]
    assert scene.changes() == [("opened", "talk_over")]
    assert (told(rina), told(bayu)) == ([("talk_over", "info", "pending")], [])
    assert FailureEvent.objects.get().agent is None


def test_without_an_assignment_of_theirs_the_first_tier_is_told(scene):
    scene.happens("human_message", who=UserFactory())
    scene.happens("bot_message")
    assert [told(person) for person in scene.people] == [[("talk_over", "info", "pending")]] * 2


def test_the_second_within_ten_minutes_is_a_warning_and_told_whatever_the_throttle(scene, clock):
    rina = scene.people[0]
    scene.happens("human_message", who=rina)
    scene.happens("bot_message")
    pushes_are_sent()
    clock.advance(minutes=3)
    scene.happens("human_message", who=rina)
    scene.happens("bot_message")
    assert scene.changes()[-1] == ("worsened", "talk_over")
    assert told(rina) == [("talk_over", "info", "sent"), ("talk_over", "warning", "pending")]
    clock.advance(minutes=1)
    scene.happens("bot_message")
    assert scene.told()[-1] == ("talk_over", "skipped", "throttled")


def test_a_second_one_much_later_is_none_worse(scene, clock):
    rina = scene.people[0]
    for _ in range(2):
        scene.happens("human_message", who=rina)
        scene.happens("bot_message")
        pushes_are_sent()
        clock.advance(minutes=11)
    assert [severity for _, severity, _ in told(rina)] == ["info", "info"]


@pytest.mark.parametrize(
    ("before", "ago"),
    [
        ([("human_message", 301)], 0),  # the bot has it back
        ([("human_message", 60), ("resolved", 30)], 0),
        ([("human_message", 60), ("returned_to_agent", 30)], 0),
        ([("human_message", 60)], 90),  # written before the human's
        ([], 0),
    ],
)
def test_it_is_none_when_nobody_holds_the_room(scene, before, ago):
    for kind, since in before:
        scene.happens(kind, ago=since, who=scene.people[0])
    scene.happens("bot_message", ago=ago)
    assert not FailureEvent.objects.exists()


def test_saying_that_somebody_comes_is_none(scene):
    scene.fails("unexpected_handoff", ago=30)
    scene.happens("assigned", ago=20, who=scene.people[0])
    scene.happens("bot_message")
    assert FailureEvent.objects.count() == 1


def test_it_attaches_to_the_open_alert_which_stays_with_its_human(scene, clock):
    scene.fails("agent_error", ago=30)
    scene.happens("human_message", who=scene.people[0])
    pushes_are_sent()
    clock.advance(minutes=1)
    scene.happens("bot_message")
    alert = scene.alert()
    assert (alert.state, alert.severity, alert.episode) == ("intervened", "critical", 1)
    assert (alert.agent.name, FailureEvent.objects.latest("id").agent.name) == ("Billing Bot", "Billing Bot")
    assert scene.told()[-1] == ("talk_over", "skipped", "throttled")


def test_a_human_who_writes_does_not_cancel_its_push(scene, gate, settings):
    settings.NOTIFICATION_SERVICE_URL = "http://127.0.0.1:1"
    without_limits(scene.org)
    scene.happens("human_message", who=scene.people[0])
    scene.happens("bot_message")
    scene.happens("human_message", who=scene.people[0])
    assert [push.body for push in claim().pushes]
    assert told(scene.people[0]) == [("talk_over", "info", "sending")]


def test_policy_says_how_severe_it_is(scene):
    Policy.objects.create(org=scene.org, severities={"talk_over": "critical"})
    scene.happens("human_message", who=scene.people[0])
    scene.happens("bot_message")
    assert scene.alert().severity == "critical"


def test_told_again_it_is_one(scene):
    scene.happens("human_message", ago=5, who=scene.people[0])
    for _ in range(2):
        scene.happens("bot_message", key="b1", at=database_clock.now() - timedelta(seconds=1))
    assert FailureEvent.objects.count() == 1


def test_reading_the_room_anew_finds_none_twice(scene):
    scene.happens("human_message", ago=60, who=scene.people[0])
    scene.happens("bot_message", ago=30)
    scene.happens("customer_message", ago=90)
    assert (FailureEvent.objects.count(), Alert.objects.get().customer_waiting_since) == (1, None)


def test_a_person_may_act_on_an_alert_of_no_agent(scene):
    scene.happens("human_message", who=scene.people[0])
    scene.happens("bot_message")
    actions.resolve(scene.alert().pk, scene.people[1])
    assert scene.alert().state == "resolved"
