"""Senders' clocks differ by minutes: nothing can have happened after we heard of it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alerts import actions
from alerts.api.shapes import alert_detail, alert_list, for_answer
from alerts.models import Alert, FailureEvent, Push, Room, RoomActivity, Transition
from alerts.times import heard
from tests.examples import at_most
from tests.factories import SourceFactory
from tests.scene import Scene, pushes_are_sent
from tests.test_state_machine import freeze

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]
START = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


@pytest.fixture
def scene(clock):
    return Scene()


@pytest.fixture
def later(clock):
    def move(**parts):
        pushes_are_sent()
        clock.advance(**parts)
        while actions.sweep_timers():
            pass

    return move


def shown(scene):
    return alert_list([for_answer(Alert.objects).get(org=scene.org)])[0]


def test_a_resolution_after_a_failure_of_a_fast_clock_stands_and_nobody_is_told_again(scene, later):
    scene.fails("agent_error", ago=-30)
    later(seconds=1)
    scene.happens("resolved")
    later(hours=2)
    assert (scene.alert().state, scene.alert().resolved_kind) == ("resolved", "room")
    assert [reason for reason, _, _ in scene.told()] == ["first"]


def test_a_human_who_answered_a_failure_of_a_fast_clock_took_a_second_and_nobody_waits(scene, later):
    scene.fails("agent_error", ago=-30)
    later(seconds=1)
    scene.happens("human_message", who=scene.people[0])
    assert (scene.alert().state, scene.room().customer_waiting_since) == ("intervened", None)
    assert 1 <= shown(scene).time_to_intervene_seconds < 20


def test_a_failure_after_a_resolution_of_a_fast_clock_is_not_late(scene, later):
    scene.fails("agent_error")
    scene.happens("resolved", ago=-240)
    later(seconds=1)
    scene.fails("agent_error")
    assert (scene.alert().state, scene.alert().episode) == ("open", 2)


def test_what_the_sender_said_is_kept_and_shown(scene):
    scene.fails("agent_error", ago=-30, key="e1")
    event = scene.stored("e1")
    assert event.occurred_at == event.received_at == scene.alert().first_failure_at
    assert event.as_sent - event.received_at > timedelta(seconds=20)
    assert alert_detail(for_answer(Alert.objects).get()).events[0].occurred_at == event.as_sent


def test_items_of_one_request_keep_their_order_though_the_clock_is_ahead(scene):
    batch = [scene.activity("customer_message", ago=-60), scene.activity("bot_message", ago=-90)]
    actions.record_activity(scene.source, batch)
    assert scene.room().customer_waiting_since is None
    batch = [scene.activity("bot_message", ago=-100), scene.activity("customer_message", ago=-120)]
    actions.record_activity(scene.source, batch)
    assert scene.room().customer_waiting_since is not None


def test_what_was_received_earlier_than_it_is_worked_is_bounded_by_its_receipt(scene):
    one = scene.activity("human_message", ago=5)
    one.received_at = one.item.at - timedelta(seconds=30)
    actions.record_activity(scene.source, [one])
    assert RoomActivity.objects.get().at == one.received_at


def test_heard_changes_nothing_that_is_not_ahead():
    a, b = START, START + timedelta(seconds=3)
    assert heard([(a, b), (b, b), (b, a)]) == [a, b, a]


# --- any story, two clocks -------------------------------------------------------------------------------------------

SIGNALS = ["agent_error", "unexpected_handoff", "message_cap", "low_confidence"]
KINDS = [
    "human_opened",
    "human_message",
    "assigned",
    "resolved",
    "returned_to_agent",
    "customer_message",
    "bot_message",
]
GAPS = st.sampled_from([1, 2, 20, 170, 301, 905])
STEP = st.one_of(
    st.tuples(st.just("fails"), st.sampled_from(SIGNALS), GAPS),
    st.tuples(st.just("happens"), st.sampled_from(KINDS), GAPS),
)
OFFSET = st.sampled_from([0, 0.5, 1, 30, 240, 300])


def play(steps, of_agent, of_chat):
    """The story as told by a chatbot back end and a chat product whose clocks are ahead by these seconds."""
    with transaction.atomic(), scopes_disabled():
        now = START
        freeze(now)
        scene = Scene()
        chat = SourceFactory(org=scene.org)
        for kind, what, gap in steps:
            pushes_are_sent()
            now += timedelta(seconds=gap)
            freeze(now)
            while actions.sweep_timers():
                pass
            if kind == "fails":
                scene.fails(what, ago=-of_agent, key=f"e{now}")
            else:
                activity = scene.activity(what, ago=-of_chat, key=f"a{now}", who=scene.people[0])
                actions.record_activity(chat, [activity])
            check_no_time_is_ahead_of(now)
        state = state_of(scene)
        transaction.set_rollback(True)
    return state


def check_no_time_is_ahead_of(now):
    for model, fields in (
        (FailureEvent, ["occurred_at"]),
        (RoomActivity, ["at"]),
        (Transition, ["at"]),
        (
            Room,
            ["customer_waiting_since", "answered_at", "handed_off_at", "human_since", "human_last_at", "settled_at"],
        ),
        (Alert, ["first_failure_at", "last_event_at", "customer_waiting_since", "human_acted_at", "intervened_at"]),
    ):
        for field in fields:
            assert not model.objects.filter(**{f"{field}__gt": now}).exists(), (model, field)


def state_of(scene):
    people = {person.pk: index for index, person in enumerate(scene.people)}
    ours = {"id", "org_id", "agent_id", "room_id", "alert_id", "source_id", "from_source_id"}

    def plain(row):
        named = ("_by_id", "_to_id", "human_id", "actor_id")
        return {k: people.get(v, v) if k.endswith(named) else v for k, v in row.items() if k not in ours}

    alerts = for_answer(Alert.objects).order_by("opened_at", "episode")
    pushes = Push.objects.order_by("planned_at", "occurrence", "supervisor_id")
    return {
        "alerts": [plain(row) for row in Alert.objects.order_by("opened_at", "episode").values()],
        "rooms": [plain(row) for row in Room.objects.values()],
        "changes": [
            plain(row) for row in Transition.objects.order_by("id").values("change", "reason", "at", "episode")
        ],
        "pushes": list(pushes.values_list("reason", "state", "ended_reason", "planned_at")),
        "times": [alert.time_to_intervene_seconds for alert in alert_list(list(alerts))],
    }


@given(steps=st.lists(STEP, min_size=2, max_size=8), of_agent=OFFSET, of_chat=OFFSET)
@settings(
    max_examples=at_most(40, usually=20),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_two_clocks_that_differ_by_up_to_five_minutes_change_nothing(db, steps, of_agent, of_chat):
    exact, fast = play(steps, 0, 0), play(steps, of_agent, of_chat)
    assert fast == exact
    assert all(seconds is None or seconds > 0 for seconds in fast["times"])
