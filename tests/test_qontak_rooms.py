"""What Qontak's deliveries do to a room and its alert: who is taken for a human, and what reached the customer."""

import itertools
from datetime import timedelta

import pytest

from alerts import actions
from alerts.models import RoomActivity, WebhookDelivery
from alerts.sources import inbox
from console.pages.sources import words
from orgs import clock as database_clock
from orgs import webhooks
from tests.factories import AssignmentFactory
from tests.qontak import message
from tests.scene import Scene, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


class Chat:
    """The Qontak of a scene's org; its room is `r1`."""

    def __init__(self, scene):
        self.scene = scene
        self.endpoint, _ = webhooks.create(scene.org, "qontak")

    def tells(self, *messages, together=False):
        """These deliveries arrive, each (who, seconds ago, fields), and are worked, one by one or in one batch."""
        for who, ago, fields in messages:
            at = database_clock.now() - timedelta(seconds=ago)
            payload = message(who, org=self.scene.org.external_id, room="r1", at=at, **fields)
            inbox.store([inbox.read_delivery(self.endpoint, payload, database_clock.now())])
            if not together:
                inbox.work()
        inbox.work()

    def outcomes(self):
        return [(one.outcome, one.reason) for one in WebhookDelivery.objects.order_by("id")]


@pytest.fixture
def scene(clock):
    made = Scene()
    made.fails("agent_error", ago=120)
    pushes_are_sent()
    return made


@pytest.fixture
def chat(scene):
    return Chat(scene)


# --- who acted -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "fields"),
    [
        ("agent", {"sender_type": None}),
        ("agent", {"sender_type": "Models::Automation"}),
        ("agent", {"sender_type": "Models::Contact"}),
        ("agent", {"is_campaign": "true"}),
        ("agent", {"is_campaign": 1}),
        ("agent", {"is_campaign": "t"}),
        ("agent", {"is_campaign": 1.0}),
        ("agent", {"status": "failed"}),
        ("bot", {"sender_type": None}),
    ],
)
def test_nobody_we_know_stops_no_alarm(scene, chat, who, fields):
    chat.tells((who, 60, fields))
    assert (scene.alert().state, scene.alert().customer_waiting_since is None) == ("open", False)
    assert (scene.room().human_since, scene.room().answered_at) == (None, None)


def test_what_is_not_understood_is_shown_and_its_room_is_resolved_all_the_same(scene, chat):
    chat.tells(("system", 60, {"room_status": "resolved"}))
    assert (scene.alert().state, scene.alert().resolved_kind) == ("resolved", "room")
    assert chat.outcomes() == [("not_understood", "unknown_sender")]


def test_the_delivery_page_names_both(scene, chat):
    chat.tells(("system", 60, {"room_status": "resolved"}))
    said = [str(one) for one in words.told(WebhookDelivery.objects.get(), {})]
    assert said[0] == "It does not say who wrote"
    assert said[1].endswith("resolved")


def test_a_campaign_or_an_unknown_sender_gives_no_room_back(scene, chat, clock):
    chat.tells(("agent", 100, {}))
    clock.advance(minutes=6)
    chat.tells(("bot", 1, {"is_campaign": "1"}), ("bot", 1, {"sender_type": "Models::Automation"}))
    assert scene.room().human_since is not None
    chat.tells(("bot", 0, {}))
    assert scene.room().human_since is None


def test_the_delivery_page_says_what_did_not_arrive_and_which_time_was_not_believed(scene, chat):
    chat.tells(("agent", 60, {"status": "failed", "created_at": 1763607480}))
    (said,) = words.told(WebhookDelivery.objects.get(), {})
    assert "it did not reach the customer; its time cannot be trusted" in said


# --- what reached the customer ---------------------------------------------------------------------------------------

SAME = {"id": "m-1", "sender_id": "u0"}


def statuses(*names):
    return [("agent", 60, {**SAME, "status": name}) for name in names]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(["created", "sent", "failed"])))
def test_a_message_that_failed_did_nothing_in_whatever_order_its_statuses_come(scene, chat, order, together):
    waited = scene.room().customer_waiting_since
    chat.tells(*statuses(*order), together=together)
    alert, room = scene.alert(), scene.room()
    assert (alert.state, alert.intervened_at, alert.human_acted_at) == ("open", None, None)
    assert (room.human_since, room.human_last_at, room.answered_at) == (None, None, None)
    assert alert.customer_waiting_since == room.customer_waiting_since == waited
    assert RoomActivity.objects.get().undelivered


def test_people_are_told_again_of_an_alarm_that_a_failed_message_had_stopped(scene, chat, clock):
    AssignmentFactory(org=scene.org, role=scene.role, external_user_id="u0", user__name="Rina")
    chat.tells(*statuses("created"))
    assert scene.alert().state == "intervened"
    clock.advance(minutes=6)
    chat.tells(("agent", 420, {**SAME, "status": "failed"}))
    change = scene.last_change()
    assert (change.change, change.reason, str(change.actor)) == ("expired", "repeat_due", "Rina")
    assert scene.last_told() == ("repeat_due", "pending", "")


def test_a_failed_message_after_another_human_act_leaves_the_room_with_them(scene, chat):
    chat.tells(("agent", 90, {"sender_id": "u1", "id": "m-0"}), *statuses("created", "failed"))
    alert = scene.alert()
    assert alert.state == "intervened"
    assert alert.customer_waiting_since is None
    assert scene.room().human_last_at == alert.intervened_at == RoomActivity.objects.get(activity_id="message:m-0").at


def test_a_room_that_is_assigned_stays_taken_and_its_customer_waits(scene, chat):
    assigned = {"room_status": "assigned"}
    chat.tells(*[(who, ago, {**fields, **assigned}) for who, ago, fields in statuses("created", "failed")])
    assert (scene.alert().state, scene.alert().customer_waiting_since is None) == ("intervened", False)


def test_an_acknowledge_from_before_holds_again_for_its_time(scene, chat):
    actions.take(scene.alert().pk, scene.people[0])
    chat.tells(*statuses("created", "failed"))
    alert = scene.alert()
    assert (alert.state, alert.assigned_to) == ("acknowledged", scene.people[0])
    assert alert.due_at == alert.acknowledge_expires_at == alert.acknowledged_at + timedelta(minutes=5)


def test_a_failed_bot_message_answers_nobody(scene, chat):
    chat.tells(("customer", 90, {}), ("bot", 80, {"id": "b-1"}))
    assert scene.alert().customer_waiting_since is None
    chat.tells(("bot", 80, {"id": "b-1", "status": "failed"}))
    assert scene.alert().customer_waiting_since is not None
    assert chat.outcomes()[-1] == ("understood", "")


def test_failed_told_twice_is_heard_before(scene, chat):
    chat.tells(*statuses("created", "failed", "failed"))
    assert [outcome for outcome, _ in chat.outcomes()] == ["understood", "understood", "repeated"]
    assert [change for change, _ in scene.changes()] == ["opened", "intervened", "expired"]
