"""The simulator's chat product: what happens in rooms is told as Qontak tells it, and read back as it was meant."""

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice

from agent_live_monitoring import Availability
from alerts.sources.qontak import read
from demo.simulator.cast import Player
from demo.simulator.chat import HONEST
from demo.simulator.story import FAILURE_EVENTS, ROOM_ACTIVITY, Step, Story

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PATH = "/api/webhooks/qontak/abc.def"
PLAYERS = (
    Player("melati", "Order Helper", "3.1.4", ("sari", "budi"), PATH, ("chat-sari", "chat-budi")),
    Player("cendana", "Billing Bot", "2.9.1", ("ratna",)),
)


def told() -> list[Step]:
    story = Story(seed=3, run="r", players=PLAYERS, rooms=20, scenario="calm")
    return list(islice(story.steps(), 3_000))


def test_an_org_with_a_webhook_tells_by_it_and_any_other_by_key() -> None:
    paths = {(step.item.get("org_id") or step.item["organization_id"], step.path) for step in told()}
    assert paths == {
        ("melati", PATH),
        ("melati", FAILURE_EVENTS),
        ("cendana", FAILURE_EVENTS),
        ("cendana", ROOM_ACTIVITY),
    }


def test_every_message_is_understood_as_it_was_meant() -> None:
    kinds = set()
    for n, step in enumerate(step for step in told() if step.by_webhook):
        reading = read(step.at(NOW + timedelta(seconds=n)), "melati", NOW + timedelta(hours=1))
        assert (reading.reason, bool(reading.facts)) == ("", True)
        kinds |= {fact.kind for fact in reading.facts}
    assert kinds == {"customer_message", "bot_message", "human_message", "assigned", "resolved"}


def test_a_bot_that_asked_says_so_in_the_room_and_the_chat_product_reads_a_bots_message() -> None:
    nobody = Availability(NOW, 0, 0, None, 0, None)
    story = Story(seed=3, run="r", players=PLAYERS, rooms=5, scenario="honest", who_is_there=lambda player: nobody)
    honest = [line for lines in HONEST.values() for line in lines]
    said = [step for step in islice(story.steps(), 400) if step.by_webhook and step.item["text"] in honest]
    assert said
    for step in said:
        assert [fact.kind for fact in read(step.at(NOW), "melati", NOW).facts] == ["bot_message"]


def test_humans_are_named_as_the_chat_product_knows_them() -> None:
    senders = {
        step.item["sender_id"] for step in told() if step.by_webhook and step.item["participant_type"] == "agent"
    }
    assert senders == {"chat-sari", "chat-budi"}


def test_a_room_that_the_bot_got_back_can_be_assigned_again() -> None:
    assigned: dict[str, set[str]] = defaultdict(set)
    for step in told():
        if step.by_webhook:
            facts = read(step.at(NOW), "melati", NOW).facts
            assigned[step.item["room_id"]] |= {fact.activity_id for fact in facts if fact.kind == "assigned"}
    assert max(len(ids) for ids in assigned.values()) > 1


def test_no_number_of_anybody_is_told() -> None:
    assert not [step for step in told() if step.by_webhook and re.search(r"\d{7}", str(step.item["text"]))]
