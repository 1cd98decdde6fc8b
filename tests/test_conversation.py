"""Who holds a room and since when its customer waits, whatever the order in which the sources tell of it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alerts import actions
from alerts.models import Alert, Room
from orgs import clock as database_clock
from tests.examples import at_most
from tests.scene import TAKEN_OVER_BY_NOBODY, Scene, about, pushes_are_sent
from tests.test_state_machine import freeze

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock):
    return Scene()


@pytest.fixture
def rina(scene):
    return scene.people[0]


def play(scene, *story):
    """(what, seconds ago): failures by their signal, everything else by its kind."""
    for what, ago in story:
        (scene.fails if what in SIGNALS else scene.happens)(what, ago=ago)


SIGNALS = ("agent_error", "unexpected_handoff", "message_cap", "low_confidence")


def waits(scene):
    """Seconds since when the customer waits, rounded; None: nobody does. Room and alert agree."""
    since = scene.room().customer_waiting_since
    assert scene.alert().customer_waiting_since == since
    return since and round((database_clock.now() - since).total_seconds(), -1)


# --- the wait --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "since"),
    [
        # a default answer after an error answers nobody
        ([("customer_message", 90), ("agent_error", 80), ("bot_message", 70)], 90),
        ([("agent_error", 80), ("bot_message", 70), ("bot_message", 60)], 80),
        # the conversation flows again
        ([("agent_error", 80), ("customer_message", 70), ("bot_message", 60)], None),
        ([("agent_error", 80), ("bot_message", 75), ("customer_message", 70), ("bot_message", 60)], None),
        ([("agent_error", 80), ("customer_message", 70), ("bot_message", 60), ("customer_message", 50)], 50),
        # a failure came between
        ([("agent_error", 80), ("customer_message", 70), ("agent_error", 65), ("bot_message", 60)], 80),
        ([("agent_error", 80), ("customer_message", 70), ("low_confidence", 65), ("bot_message", 60)], 80),
        ([("agent_error", 80), ("customer_message", 70), ("bot_message", 60), ("agent_error", 50)], 50),
        # no failure left the customer waiting: any answer is one
        ([("customer_message", 90), ("low_confidence", 80), ("bot_message", 70)], None),
        # while a handoff is open the bot answers nobody
        ([("unexpected_handoff", 80), ("bot_message", 70)], 80),
        ([("unexpected_handoff", 80), ("customer_message", 70), ("bot_message", 60)], 80),
        ([("unexpected_handoff", 80), ("assigned", 70), ("bot_message", 60)], 80),
        # a human, a resolution and an explicit return do
        ([("unexpected_handoff", 80), ("human_message", 70)], None),
        ([("unexpected_handoff", 80), ("returned_to_agent", 70)], None),
        ([("agent_error", 80), ("human_message", 70)], None),
        ([("agent_error", 80), ("assigned", 70)], 80),
    ],
)
def test_since_when_a_customer_waits_in_any_order_of_arrival(scene, story, since):
    for number, order in enumerate([story, story[::-1], [*story[1:], story[0]]]):
        one = Scene(scene.org)
        one.source = scene.source
        for what, ago in order:
            (one.fails if what in SIGNALS else one.happens)(what, ago=ago, room=f"r{number}")
        found = one.room(f"r{number}").customer_waiting_since
        alerts = Alert.objects.filter(room__room_id=f"r{number}")  # none, if it was over before the failure was told
        assert all(alert.customer_waiting_since == found for alert in alerts), order
        assert (found and round((database_clock.now() - found).total_seconds(), -1)) == since, order


def test_a_resolved_room_has_nobody_waiting(scene):
    play(scene, ("agent_error", 80), ("customer_message", 70), ("resolved", 60), ("bot_message", 50))
    assert scene.room().customer_waiting_since is None


def test_what_an_event_says_of_the_wait_counts_whatever_its_signal(scene):
    said = database_clock.now() - timedelta(seconds=300)
    scene.fails("message_cap", ago=100, customer_waiting_since=said)
    play(scene, ("bot_message", 90))
    assert scene.alert().customer_waiting_since == said
    play(scene, ("customer_message", 80), ("bot_message", 70))
    assert scene.alert().customer_waiting_since is None


def test_an_answer_to_the_customers_second_message_is_found_though_it_came_late(scene):
    play(scene, ("agent_error", 90), ("customer_message", 80), ("customer_message", 50), ("bot_message", 60))
    assert waits(scene) == 50


STEP = st.sampled_from(
    ["customer_message", "bot_message", "human_message", "assigned", "returned_to_agent", *SIGNALS[:2]]
)


@given(data=st.data(), steps=st.lists(STEP, min_size=2, max_size=7))
@settings(
    max_examples=at_most(40, usually=20),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a story of seven moments is read at once, and each takes its time
    suppress_health_check=list(HealthCheck),
)
def test_the_room_is_the_same_for_any_order_of_arrival(db, data, steps):
    ago = sorted(data.draw(st.sets(st.integers(1, 580), min_size=len(steps), max_size=len(steps))), reverse=True)
    story = list(zip(steps, ago, strict=True))
    assert told(story) == told(data.draw(st.permutations(story)))


def told(story):
    """The room after these moments, told in this order."""
    with transaction.atomic(), scopes_disabled():
        freeze(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))
        scene = Scene(staff=1)
        play(scene, *story)
        found = Room.objects.values("state", "customer_waiting_since", "handed_off_at", "human_since").get()
        transaction.set_rollback(True)
        return found


# --- the bot recovers ------------------------------------------------------------------------------------------------


def recovered(scene):
    scene.fails("agent_error", ago=30)
    pushes_are_sent()
    play(scene, ("customer_message", 20), ("bot_message", 10))


def test_nobody_is_told_again_of_a_customer_whom_the_bot_answered_and_quiet_closes_the_alert(scene, clock):
    recovered(scene)
    clock.advance(minutes=20)
    assert actions.sweep_timers() == 0
    clock.advance(minutes=10)
    actions.sweep_timers()
    assert scene.changes() == [("opened", "first"), ("resolved", "quiet")]
    assert len(scene.told()) == 1


def test_an_acknowledge_that_expires_after_the_bot_recovered_tells_nobody(scene, rina, clock):
    scene.fails("agent_error", ago=30)
    actions.acknowledge(scene.alert().pk, rina)
    play(scene, ("customer_message", 20), ("bot_message", 10))
    clock.advance(minutes=6)
    actions.sweep_timers()
    assert (scene.alert().state, scene.changes()[-1]) == ("open", ("expired", ""))
    assert len(scene.told()) == 1


def test_the_ladder_goes_on_from_where_it_stopped_when_the_bot_fails_again(scene, clock):
    recovered(scene)
    clock.advance(minutes=12)
    scene.fails("low_confidence")
    alert = scene.alert()
    assert about(alert.due_at, database_clock.now() + timedelta(minutes=3))  # the next tier's turn
    clock.advance(minutes=5)
    actions.sweep_timers()
    assert scene.last_told()[0] == "repeat_due"


def test_alerts_that_never_had_a_waiting_customer_repeat_as_ever(scene, clock):
    scene.fails("message_cap")
    pushes_are_sent()
    scene.happens("bot_message")
    clock.advance(minutes=5)
    actions.sweep_timers()
    assert scene.changes()[-1] == ("repeated", "repeat_due")


# --- the bot has the room back ---------------------------------------------------------------------------------------


def test_a_bot_that_writes_beside_a_human_has_nothing_back_and_answers_nobody(scene, rina, clock):
    scene.fails("agent_error", ago=60)
    scene.happens("human_message", who=rina, ago=50)
    play(scene, ("customer_message", 40), ("bot_message", 30))
    assert waits(scene) == 40
    assert (scene.room().state, scene.room().human_since is None) == ("human", False)
    clock.advance(minutes=3)
    scene.fails("agent_error")
    assert scene.changes()[-1] == ("attached", "human_present")


def test_a_human_message_told_late_contradicts_the_return(scene, rina, clock):
    scene.fails("agent_error", ago=500)
    scene.happens("human_message", who=rina, ago=400)
    scene.happens("bot_message", ago=60)
    assert scene.room().human_since is None
    scene.happens("human_message", who=rina, ago=200)
    assert (scene.room().state, scene.room().human, scene.room().returned_at) == ("human", rina, None)
    scene.fails("message_cap")
    assert scene.changes()[-1] == ("attached", "human_present")


def test_a_failure_of_before_the_return_that_is_told_after_it_rings_nobody_and_its_customer_waits(scene, rina, clock):
    scene.happens("human_message", who=rina, ago=400)
    scene.happens("bot_message", ago=20)
    scene.fails("agent_error", ago=25)
    alert = scene.alert()
    assert (alert.state, scene.changes(), scene.told()) == ("intervened", [("opened", "human_present")], [])
    assert waits(scene) == 20 or waits(scene) == 30
    clock.advance(minutes=9)  # 15 after the human's last act
    actions.sweep_timers()
    assert scene.changes()[-1] == ("expired", "repeat_due")


def test_a_return_by_silence_is_none_while_a_handoff_waits_for_its_human(scene, rina, clock):
    scene.fails("unexpected_handoff", **TAKEN_OVER_BY_NOBODY)
    scene.happens("assigned", who=rina)
    clock.advance(minutes=6)
    scene.happens("bot_message")
    assert scene.room().handed_off_at is not None
    assert ("returned", "") not in scene.changes()


def test_whoever_was_assigned_and_did_not_come_holds_nothing_after_a_late_message(scene, rina, clock):
    scene.fails("unexpected_handoff", **TAKEN_OVER_BY_NOBODY)
    scene.happens("assigned", who=rina)
    clock.advance(minutes=3, seconds=1)
    actions.sweep_timers()
    assert scene.alert().state == "open"
    scene.happens("customer_message", ago=1)
    scene.happens("customer_message", ago=100)
    scene.fails("agent_error")
    assert scene.room().human_since is None
    assert scene.changes()[-1] == ("attached", "attached")
