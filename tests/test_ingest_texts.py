"""An alarm is worth more than its prose: texts are masked, cleaned, cut and flagged; ids get their one spelling."""

import json
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django_scopes import scopes_disabled
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.actions import verdict
from alerts.items import ActivityItem, EventItem, Holds, ReceiptItem
from alerts.models import Alert, WebhookDelivery
from alerts.sources import inbox
from console.ingest import check
from console.ingest.fields import FIELDS
from console.ingest.tally import tally
from orgs.models import Agent, Org
from tests.api_client import signed_in, supervisor_of
from tests.factories import OrgFactory, UserFactory, WebhookEndpointFactory
from tests.ingest_server import Sender, event, events
from tests.qontak import message

PHONE, EMAIL = "081298765432", "sari.canary@example.com"
CANARY = f"{PHONE} {EMAIL}"


def judged(**fields: Any) -> tuple[EventItem, set[str]]:
    """A failure event as the lane takes it, and its flags."""
    item, flags = check.convert(event(**fields), check.EVENTS, datetime.now(UTC))
    assert isinstance(item, EventItem)
    return item, flags


def strings_of(struct: type, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Holds]]:
    """Every string of an item, as a path, and what it is declared to hold."""
    for name, holds in FIELDS[struct].items():
        if isinstance(holds, Holds):
            yield (*path, name), holds
        elif isinstance(holds, type) and holds is not dict:
            yield from strings_of(holds, (*path, name))


SHOWN = [
    path
    for path, holds in strings_of(EventItem)
    if holds.what in ("text", "link") or holds.masked  # the rest are ids, which mean nothing to people
]


def everything_stored() -> str:
    """Every row of every table, as text."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(f'SELECT row_to_json(t)::text FROM "{table}" t')
            found += [row for (row,) in cursor.fetchall()]
    return "\n".join(found)


def holds_canary(stored: str) -> list[str]:
    return [row for row in stored.splitlines() if PHONE in row or EMAIL in row or "987654" in row]


# --- masked ----------------------------------------------------------------------------------------------------------


def test_every_text_of_every_item_is_declared_or_masked_as_a_text() -> None:
    ids = {
        "event_id", "org_id", "room_id", "activity_id", "actor_sso_id", "actor_external_id",
    }  # fmt: skip
    for struct in (EventItem, ActivityItem, ReceiptItem):
        unmasked = {path[-1] for path, holds in strings_of(struct) if holds.what in ("token", "identifier")}
        assert unmasked - {"agent_name"} <= ids
    assert {path[-1] for path in SHOWN} == {
        "agent_name", "agent_version", "channel", "type", "message", "reason", "room_label", "last_customer_text",
        "room_url", "source", "target",
    }  # fmt: skip


def test_no_text_of_a_failure_event_brings_personal_data_into_any_table(sender: Sender) -> None:
    sent = [event(org_id=None, metadata={CANARY: {"deep": [CANARY, int(PHONE), CANARY + "x"]}})]
    for path in SHOWN:
        made = event(handoff={"completed": True}, channel="whatsapp")
        place = made if len(path) == 1 else made[path[0]]
        place[path[-1]] = f"https://chat.example/{PHONE}?mail={EMAIL}" if path[-1] == "room_url" else CANARY
        sent.append(made)
    assert sender.post(sent).statuses == ["created"] * len(sent)
    assert {"masked"} == {flag for stored in events() for flag in stored.flags}
    assert all("masked" in stored.flags for stored in events())
    assert holds_canary(everything_stored()) == []


def test_what_is_refused_brings_no_personal_data_into_any_table(sender: Sender) -> None:
    sender.post([event(**{PHONE: 1}), event(**{EMAIL: 1}), event(error={"type": "t", PHONE: 1}), event(signal=CANARY)])
    sender.post([event(event_id=CANARY * 9), event(room_id=CANARY * 9), event(metadata={PHONE: float("inf")})])
    with scopes_disabled():
        tally.flush()
    stored = everything_stored()
    assert "unknown_field" in stored
    assert holds_canary(stored) == []


@pytest.mark.parametrize("field", ["webhook_event", "status", "text", "room_name", "room_channel", "room_status"])
def test_no_text_of_a_webhook_brings_personal_data_into_any_table(system: None, org: Org, field: str) -> None:
    endpoint = WebhookEndpointFactory(org=org)
    inbox.store([inbox.read_delivery(endpoint, message(org=org.external_id, **{field: CANARY}), datetime.now(UTC))])
    assert WebhookDelivery.objects.count() == 1
    inbox.work()
    assert holds_canary(everything_stored()) == []


def test_what_a_person_writes_with_a_verdict_is_masked(system: None, sender: Sender) -> None:
    sender.post(event())
    alert = Alert.objects.get()
    person = UserFactory()
    verdict(alert.pk, person, "confirmed", f"{'x' * 1990} {CANARY}")
    alert.refresh_from_db()
    assert len(alert.verdict_note) == 2000 and alert.verdict_note.endswith("x [phone] [")
    assert holds_canary(everything_stored()) == []


def test_a_personal_agent_name_makes_one_agent(sender: Sender) -> None:
    sender.post([event(agent_name=f"Bot {PHONE}"), event(agent_name=f"Bot {PHONE}")])
    with scopes_disabled():
        assert [agent.name for agent in Agent.objects.all()] == ["Bot [phone]"]


def test_a_room_link_with_personal_data_gives_way_to_the_template() -> None:
    item, flags = judged(room_url=f"https://chat.example/rooms/{PHONE}")
    assert (item.room_url, flags) == (None, {"masked"})
    item, flags = judged(room_url="https://chat.example/rooms/42")
    assert (item.room_url, flags) == ("https://chat.example/rooms/42", set())


def test_a_room_link_is_never_cut() -> None:
    item, flags = judged(room_url="https://chat.example/" + "r" * 2000)
    assert (item.room_url, flags) == (None, {"truncated"})


def test_the_reason_of_a_receipt_is_masked_and_cut() -> None:
    sent = {
        "idempotency_key": str(uuid4()),
        "state": "failed",
        "at": datetime.now(UTC).isoformat(),
        "reason": f"{CANARY} " + "x" * 200,
    }
    item, flags = check.convert(sent, check.RECEIPTS, datetime.now(UTC))
    assert isinstance(item, ReceiptItem) and item.reason is not None
    assert item.reason.startswith("[phone] [email] x") and len(item.reason) == 200
    assert flags == {"masked", "truncated"}


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ({"deep": [{"api_key": "abc"}]}, {"deep": [{"api_key": "[secret]"}]}),
        ({"Authorization": "Bearer x"}, {"Authorization": "[secret]"}),
        ({"password": {"old": "a", "new": 1}}, {"password": "[secret]"}),
        ({"note": "password: hunter2"}, {"note": "password: [secret]"}),
    ],
)
def test_a_secret_costs_no_alarm_but_is_replaced_and_flagged(metadata: Any, kept: Any) -> None:
    item, flags = judged(metadata=metadata)
    assert (item.metadata, flags) == (kept, {"secret"})


def test_a_name_of_a_secret_without_one_is_no_secret() -> None:
    assert judged(metadata={"token": None, "password": False})[1] == set()


def test_sources_shows_how_many_events_brought_a_secret(sender: Sender) -> None:
    sender.post([event(metadata={"token": "abc"}), event()])
    with scopes_disabled():
        tally.flush()
    page = signed_in(UserFactory(is_specialist=True)).get("/sources").content.decode()
    assert "1 failure event held a secret" in page


# --- cut and cleaned -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"error": {"type": "t", "message": "x" * 2001}}, "x" * 2000),
        ({"error": {"type": "t", "message": "x\x00y"}}, "x\ufffdy"),
        ({"error": {"type": "t", "message": "half \ud83d"}}, "half \ufffd"),
        ({"error": {"type": "t", "message": "bell\x07 and \x9f"}}, "bell\ufffd and \ufffd"),
    ],
)
def test_a_text_that_is_too_long_or_odd_is_cut_or_cleaned(fields: Any, kept: str) -> None:
    item, flags = judged(**fields)
    assert item.error is not None
    assert (item.error.message, flags) == (kept, {"truncated"})


@pytest.mark.parametrize("text", ["a line\nand\ta tab\r\n", "x" * 2000, "emoji 😀", ""])
def test_an_ordinary_text_is_neither_cut_nor_flagged(text: str) -> None:
    item, flags = judged(last_customer_text=text)
    assert (item.last_customer_text, flags) == (text, set())


@pytest.mark.parametrize("name", ["room_label", "channel", "agent_version"])
def test_short_texts_are_cut_to_200(name: str) -> None:
    item, flags = judged(**{name: "x" * 201})
    assert (len(getattr(item, name)), flags) == (200, {"truncated"})


def test_an_error_type_that_is_too_long_or_odd_keeps_its_alarm(sender: Sender) -> None:
    assert sender.post(event(error={"type": "T" * 201})).status == 201
    assert sender.post(event(error={"type": "\x00"})).status == 201
    assert [(len(stored.error_type), stored.flags) for stored in events()] == [(200, ["truncated"]), (1, ["truncated"])]


def test_metadata_keeps_what_fits_in_8_kib() -> None:
    item, flags = judged(metadata={"a": 1, "b": "x" * 8192, "c": 2})
    assert (item.metadata, flags) == ({"a": 1}, {"truncated"})
    item, flags = judged(metadata={"a": "x" * 8000})
    assert (item.metadata, flags) == ({"a": "x" * 8000}, set())


def test_a_number_that_is_cut_off_with_its_text_is_masked_all_the_same() -> None:
    item, _ = judged(last_customer_text="x" * 1994 + " " + PHONE)
    assert item.last_customer_text is not None and "0812" not in item.last_customer_text


@settings(deadline=None)
@given(
    st.text(alphabet=string.ascii_letters + " 0123456789@.\x00\ud800\u200b", min_size=1, max_size=400),
    st.integers(1, 12),
)
def test_no_text_at_all_costs_the_alarm(text: str, times: int) -> None:
    long = text * times
    made = event(error={"type": long, "message": long}, room_label=long, last_customer_text=long, metadata={long: long})
    if not long.strip():
        return
    item, _ = check.convert(made, check.EVENTS, datetime.now(UTC))
    json.dumps(item.metadata, ensure_ascii=False).encode()


def test_the_api_and_the_timeline_say_what_was_done(system: None, sender: Sender) -> None:
    assert sender.source.org is not None
    rina = supervisor_of(sender.source.org)
    sender.post(
        event(
            occurred_at="2099-01-01T00:00:00Z",
            error={"type": "t", "message": PHONE + "x" * 2001},
            metadata={"token": "abc"},
        )
    )
    assert events() == []  # a time is never touched: refused as before
    sender.post(event(error={"type": "t", "message": PHONE + " " + "x" * 2001}, metadata={"token": "abc"}))
    alert = Alert.objects.get()
    client = signed_in(rina)
    (told,) = client.get(f"/api/alerts/{alert.pk}").json()["events"]
    assert told["flags"] == ["masked", "secret", "truncated"]
    page = client.get(f"/alerts/{alert.pk}").content.decode()
    assert "some of its text was cut or cleaned, a secret in it was replaced" in page


# --- ids -------------------------------------------------------------------------------------------------------------


def test_whole_numbers_are_taken_as_text_for_ids(sender: Sender) -> None:
    answer = sender.post(event(event_id=7, room_id=42, agent_name=3))
    assert (answer.status, answer.json["id"]) == (201, "7")
    (stored,) = events()
    assert (stored.event_id, stored.room.room_id, stored.agent.name) == ("7", "42", "3")


def test_a_platform_source_may_name_its_org_by_a_number_or_in_another_spelling(platform: Sender) -> None:
    number, uuid = OrgFactory(external_id="4711"), OrgFactory(external_id=str(uuid4()))
    sent = [event(org_id=4711), event(org_id=f" {uuid.external_id.upper()} ")]
    assert platform.post(sent).statuses == ["created", "created"]
    assert [stored.org for stored in events()] == [number, uuid]


def test_one_room_and_one_agent_in_every_spelling(sender: Sender) -> None:
    room = str(uuid4())
    spellings = [room, room.upper(), f" {room} ", f"{room}\u00a0"]
    names = ["Bot", " Bot", "Bot ", "Bot\n"]
    sent = [event(room_id=one, agent_name=name) for one, name in zip(spellings, names, strict=True)]
    assert sender.post(sent).statuses == ["created"] * 4
    assert {(stored.room.room_id, stored.agent.name) for stored in events()} == {(room, "Bot")}


def test_the_run_of_an_event_is_stored_in_lower_case(sender: Sender) -> None:
    run = uuid4()
    assert sender.post(event(run_id=str(run).upper())).status == 201
    assert [stored.run_id for stored in events()] == [str(run)]


def test_a_whole_number_for_a_text_is_taken_as_text(sender: Sender) -> None:
    sent = [event(event_id="e-1", error={"type": 500, "message": 7}, channel=5, room_label=12)]
    assert sender.post(sent).statuses == ["created"]
    (stored,) = events()
    assert (stored.error_type, stored.error_message, stored.channel, stored.room.label) == ("500", "7", "5", "12")
