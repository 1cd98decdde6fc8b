"""The second silence: a human took the room, the customer wrote, and nobody answers."""

from datetime import timedelta

import pytest

from alerts import actions
from alerts.models import Alert, BlindInterval, FailureEvent, Push
from alerts.sources.qontak import read
from orgs import clock as database_clock
from orgs.models import Policy
from tests.factories import AssignmentFactory, SupervisorRoleFactory, UserFactory
from tests.qontak import message
from tests.scene import Scene, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock):
    scene = Scene()
    scene.second = AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=2)).user
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
    pushes = Push.objects.filter(supervisor=person, kind="alert").order_by("planned_at", "occurrence")
    return list(pushes.values_list("reason", "severity", "state"))


def held(scene, who=None):
    """A room in which a bot wrote, then a human, then the customer twice."""
    scene.happens("bot_message", ago=20)
    scene.happens("human_message", ago=10, who=who or scene.people[0])
    for ago in (5, 0):
        scene.happens("customer_message", ago=ago)


def stalls():
    return FailureEvent.objects.filter(signal="human_stalled").count()


def test_who_has_the_room_is_told_after_ten_minutes_and_the_first_tier_five_later(scene, later):
    rina, bayu = scene.people
    held(scene, rina)
    later(minutes=9, seconds=50)
    assert stalls() == 0
    later(seconds=10)
    alert = scene.alert()
    assert (alert.severity, alert.state, alert.agent) == ("warning", "open", None)
    assert scene.changes() == [("opened", "human_stalled")]
    assert (told(rina), told(bayu)) == ([("human_stalled", "warning", "pending")], [])
    later(minutes=4, seconds=50)
    assert told(bayu) == []
    later(seconds=15)
    assert told(bayu)[0] == ("escalated", "warning", "pending")
    assert ("escalated", "escalated") in scene.changes()
    later(minutes=5)
    assert told(scene.second)[0][0] == "escalated"


def test_without_an_assignment_of_theirs_the_first_tier_is_told_at_once(scene, later):
    held(scene, UserFactory())
    later(minutes=10, seconds=5)
    assert [told(person) for person in scene.people] == [[("human_stalled", "warning", "pending")]] * 2


def test_an_answer_in_time_is_enough(scene, later):
    held(scene)
    later(minutes=9)
    scene.happens("human_message", who=scene.people[0])
    later(hours=2)
    assert stalls() == 0


def test_it_is_found_once_a_wait(scene, later):
    held(scene)
    later(minutes=10, seconds=5)
    scene.happens("customer_message")
    later(hours=1)
    assert stalls() == 1
    scene.happens("human_message", who=scene.people[0])
    for _ in range(2):
        scene.happens("customer_message")
    later(minutes=10, seconds=5)
    assert stalls() == 2
    assert Alert.objects.get().episode == 2


def test_thanks_ring_nobody(scene, later):
    scene.happens("bot_message", ago=20)
    scene.happens("human_message", ago=10, who=scene.people[0])
    scene.happens("customer_message")
    later(hours=3)
    assert stalls() == 0
    scene.happens("customer_message")  # much later: it may be for the bot, which has a minute
    later(seconds=55)
    assert stalls() == 0
    later(seconds=6)
    assert stalls() == 1


def test_one_message_with_a_question_is_enough(scene, later):
    scene.happens("bot_message", ago=20)
    scene.happens("human_message", ago=10, who=scene.people[0])
    one = scene.activity("customer_message")
    one.asks = True
    actions.record_activity(scene.source, [one])
    later(minutes=10, seconds=5)
    assert stalls() == 1


def test_a_room_without_an_agent_of_late_is_none_of_ours(scene, later):
    scene.happens("human_message", ago=10, who=scene.people[0])
    for ago in (5, 0):
        scene.happens("customer_message", ago=ago)
    later(hours=1)
    assert stalls() == 0


def test_the_bot_that_has_the_room_back_ends_it(scene, later):
    held(scene)
    later(minutes=6)
    scene.happens("bot_message")
    later(hours=1)
    assert stalls() == 0


def test_it_opens_the_alert_again_that_the_human_had(scene, later):
    scene.fails("agent_error", ago=30)
    held(scene)
    assert scene.alert().state == "intervened"
    later(minutes=10, seconds=5)
    alert = scene.alert()
    assert (alert.state, alert.episode, alert.agent.name) == ("open", 2, "Billing Bot")
    assert scene.changes()[-1] == ("rearmed", "human_stalled")
    assert told(scene.people[0])[-1] == ("human_stalled", "warning", "pending")


def test_an_answer_stops_it(scene, later):
    held(scene)
    later(minutes=10, seconds=5)
    scene.happens("human_message", who=scene.people[0])
    later(minutes=20)
    assert scene.alert().state == "intervened"
    assert told(scene.people[1]) == []


def test_whoever_was_just_assigned_has_their_own_ten_minutes(scene, later):
    scene.happens("bot_message", ago=620)
    for ago in (600, 590):
        scene.happens("customer_message", ago=ago)
    scene.happens("assigned", who=scene.people[0])
    later(minutes=9)
    assert stalls() == 0
    later(minutes=1, seconds=5)
    assert stalls() == 1


def test_a_silent_source_may_hold_the_answer_back(scene, later):
    held(scene)
    silence = BlindInterval.objects.create(
        org=scene.org, source=scene.source, cause="source_silent", starts=database_clock.now()
    )
    later(minutes=30)
    assert stalls() == 0
    BlindInterval.objects.filter(pk=silence.pk).update(ends=database_clock.now())
    later(minutes=2, seconds=5)
    assert stalls() == 1


def test_the_chat_product_tells_whether_a_message_asks(scene):
    said = [
        read(message(who, text=text), "org-1", database_clock.now()).facts[0]
        for who, text in (("customer", "Kapan sampai?"), ("customer", "Makasih"), ("bot", "Ada lagi?"))
    ]
    assert [fact.asks for fact in said] == [True, False, False]


def test_what_is_due_is_found_by_an_index_alone(scene):
    held(scene)
    room = scene.room()
    assert abs(room.due_at - room.unanswered_since - timedelta(minutes=10)) < timedelta(seconds=1)
    scene.happens("resolved")
    assert scene.room().due_at is None


def test_a_shorter_time_by_policy_counts_for_who_holds_a_room_now(scene, later):
    """Though the room has no alert."""
    held(scene)
    later(minutes=6)
    Policy.objects.create(org=scene.org, limits={"stalled_minutes": 5})
    actions.retime(scene.org.pk)
    later(seconds=5)
    assert stalls() == 1
