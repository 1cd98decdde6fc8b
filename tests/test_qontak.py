"""What is read from a Qontak delivery, and what is not."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.sources.qontak import Reading, read, shortened_name
from alerts.sources.sample import LIMIT, sample_of
from tests.qontak import message

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
AT = NOW - timedelta(minutes=2)
SENT = "2026-11-20T02:58:00.000Z"


def reading(*args: Any, **fields: Any) -> Reading:
    return read(message(*args, **{"at": AT, **fields}), "org-1", NOW)


def facts(*args: Any, **fields: Any) -> list[tuple[str, str, str]]:
    """(kind, at, actor) of each fact."""
    return [(fact.kind, fact.at, fact.actor_external_id) for fact in reading(*args, **fields).facts]


# --- who writes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "kind", "actor"),
    [("customer", "customer_message", ""), ("bot", "bot_message", ""), ("agent", "human_message", "u0")],
)
def test_a_message_is_the_activity_of_its_sender(who: str, kind: str, actor: str) -> None:
    assert facts(who) == [(kind, SENT, actor)]


@pytest.mark.parametrize(
    ("sender_type", "kind"),
    [
        ("Models::Contact", "customer_message"),
        ("Models::SystemAccount", "bot_message"),
        ("Models::User", "human_message"),
    ],
)
def test_without_a_participant_the_sender_type_says_who_writes(sender_type: str, kind: str) -> None:
    assert [kind_ for kind_, _, _ in facts(participant_type=None, sender_type=sender_type)] == [kind]


UNKNOWN = [None, "Models::Automation", "Models::Contact", "Models::SystemAccount", "", 7, ["Models::User"]]


@pytest.mark.parametrize("sender", UNKNOWN)
def test_an_agent_that_is_no_user_is_not_taken_for_a_human(sender: Any) -> None:
    found = reading("agent", sender_type=sender)
    assert (found.facts, found.reason, found.field) == ([], "unknown_sender", "sender_type")


@pytest.mark.parametrize("sender", [None, "Models::Automation", "Models::Contact", "Models::User"])
def test_an_outgoing_message_that_is_not_plainly_the_bots_is_not_understood(sender: str) -> None:
    found = reading("bot", sender_type=sender)
    assert (found.facts, found.reason, found.field) == ([], "unknown_sender", "sender_type")


@pytest.mark.parametrize("sender", [None, "Models::Contact", "Models::Lead"])
def test_a_customer_needs_no_sender_type(sender: str) -> None:
    assert [kind for kind, _, _ in facts("customer", sender_type=sender)] == ["customer_message"]


@pytest.mark.parametrize(
    ("participant", "sender"),
    [("agent", "Models::SystemAccount"), ("system", None), (None, None), ("customer", "Models::User")],
)
def test_who_is_neither_customer_bot_nor_human_is_not_understood(participant: str, sender: str) -> None:
    found = reading(participant_type=participant, sender_type=sender)
    assert (found.facts, found.reason) == ([], "unknown_sender")


@pytest.mark.parametrize("yes", [True, 1, "true", "True", "1"])
@pytest.mark.parametrize("who", ["bot", "agent", "system"])
def test_a_campaign_is_nobody(who: str, yes: Any) -> None:
    found = reading(who, is_campaign=yes)
    assert (found.facts, found.reason) == ([], "")


@pytest.mark.parametrize("no", [False, 0, "false", "", None])
def test_what_is_no_campaign_is_a_message(no: Any) -> None:
    assert [kind for kind, _, _ in facts("bot", is_campaign=no)] == ["bot_message"]


@pytest.mark.parametrize("who", ["bot", "agent"])
@pytest.mark.parametrize("status", ["failed", "FAILED"])
def test_a_message_that_failed_never_reached_the_customer(who: str, status: str) -> None:
    (fact,) = reading(who, status=status).facts
    assert fact.undelivered


@pytest.mark.parametrize("status", ["created", "sent", "delivered", "read", "pending", None])
def test_any_other_status_may_have_reached_the_customer(status: str) -> None:
    assert not reading("agent", status=status).facts[0].undelivered


@pytest.mark.parametrize("mark", [{"is_echo": True}, {"content_attributes": {"external_echo": True}}])
def test_what_was_typed_in_the_phones_own_app_is_an_unknown_human(mark: dict[str, Any]) -> None:
    assert facts("agent", sender_type=None, sender_id=None, **mark) == [("human_message", SENT, "")]
    assert facts("", sender_type=None, sender_id=None, **mark) == [("human_message", SENT, "")]


@pytest.mark.parametrize(
    ("who", "fields"),
    [
        ("agent", {"sender_type": None, "sender_id": None}),  # no sender, and no echo
        ("bot", {"sender_type": None, "sender_id": None, "is_echo": True}),
        ("agent", {"sender_type": "Models::Broadcast", "is_echo": True}),  # of a kind we do not know
    ],
)
def test_an_echo_is_never_guessed(who: str, fields: dict[str, Any]) -> None:
    assert (facts(who, **fields), reading(who, **fields).reason) == ([], "unknown_sender")


def test_a_campaign_is_nobody_though_it_is_an_echo() -> None:
    assert facts("agent", sender_type=None, sender_id=None, is_echo=True, is_campaign=True) == []


# --- the room --------------------------------------------------------------------------------------------------------


def test_an_assigned_room_is_assigned_once_for_each_session() -> None:
    first, second = (reading(room_status="assigned").facts[1] for _ in range(2))
    other = reading(room_status="assigned", room_session_at="2026-11-20T02:50:00.000Z").facts[1]
    assert first.kind == "assigned"
    assert first.activity_id == second.activity_id != other.activity_id


def test_a_human_who_writes_is_the_one_it_is_assigned_to() -> None:
    assert facts("agent", room_status="assigned") == [("human_message", SENT, "u0"), ("assigned", SENT, "u0")]


def test_a_resolved_room_names_when_and_by_which_human() -> None:
    over = {"room_status": "resolved", "room_resolved_at": "2026-11-20T02:58:01.000Z"}
    by = {"room_resolved_by_id": "u7", "room_resolved_by_type": "Models::User"}
    assert facts("agent", **over, **by)[1] == ("resolved", "2026-11-20T02:58:01.000Z", "u7")
    assert facts("bot", **over, room_resolved_by_type="Models::SystemAccount")[1][2] == ""


@pytest.mark.parametrize(
    "message_of",
    [
        {"who": "customer"},
        {"who": "bot"},
        {"who": "agent", "sender_type": "Models::Automation"},
        {"who": "system"},
        {"who": "bot", "is_campaign": True},
        {"who": "agent", "status": "failed"},
        {"who": "agent", "id": None},
    ],
)
@pytest.mark.parametrize("status", ["assigned", "resolved"])
def test_the_rooms_own_status_is_read_whoever_sent_the_message(message_of: dict[str, Any], status: str) -> None:
    found = reading(**message_of, room_status=status, room_resolved_at="2026-11-20T02:58:01.000Z")
    assert [fact.kind for fact in found.facts][-1:] == [status]


def test_a_resolution_whose_time_cannot_be_read_is_one_however_often_it_is_told() -> None:
    told = [
        reading("bot", room_status="resolved", room_resolved_at=1763604001, id=name).facts[-1] for name in ("a", "b")
    ]
    assert told[0].activity_id == told[1].activity_id
    assert reading(room_status="resolved", room_resolved_at=1763609999).facts[-1].activity_id != told[0].activity_id


def test_the_room_stands_in_for_what_is_missing_at_the_top() -> None:
    assert reading(room_id=None).facts[0].room_id == "room-1"


def test_names_and_words_are_masked_and_phone_numbers_never_read() -> None:
    fact = reading(text="Hubungi saya di 0812-3456-7890 ya").facts[0]
    assert (fact.label, fact.channel, fact.text) == ("Sari D. H.", "WhatsApp", "Hubungi saya di [phone] ya")
    assert "6281200000001" not in json.dumps(fact.as_json())


@pytest.mark.parametrize("who", ["bot", "agent"])
def test_only_the_customers_words_are_kept(who: str) -> None:
    assert reading(who).facts[0].text == ""


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Sari Dewi Hartono", "Sari D. H."),
        ("Sari", "Sari"),
        ("", ""),
        ("+62 812 3456 7890", "[phone]"),
        ("Ibu Sari Hartono", "Ibu Sari H."),
        ("Pelanggan 98820", "Pelanggan 98820"),
    ],
)
def test_a_name_is_shortened(name: str, short: str) -> None:
    assert shortened_name(name) == short


# --- what is not understood ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"room_id": "", "room": None}, "no_room", "room_id"),
        ({"id": None}, "no_id", "id"),
        ({"created_at": "2026-09-20T02:58:00Z"}, "too_old", "created_at"),
        ({"webhook_event": "room_deleted"}, "unknown_event", "room_deleted"),
    ],
)
def test_what_is_not_understood_says_why(fields: dict[str, Any], reason: str, field: str) -> None:
    payload = {**message(at=AT), **fields}
    found = read({name: value for name, value in payload.items() if value is not None}, "org-1", NOW)
    assert (found.facts, found.reason, found.field) == ([], reason, field)


@pytest.mark.parametrize(
    "unreadable",
    [
        None,
        1763607480,
        1763607480000,
        "1763607480",
        "yesterday",
        "2026-11-20 02:58:00 UTC",
        "2026-11-20T02:58Z",
        "2026-11-20T02:58:00",
        "2026-11-22T02:58:00Z",
        True,
        {"$date": 1},
    ],
)
def test_a_time_that_cannot_be_read_is_that_of_the_receipt_and_flagged(unreadable: Any) -> None:
    payload = {**message("agent", at=AT, room_status="assigned"), "created_at": unreadable}
    said, assigned = read(payload, "org-1", NOW).facts
    assert (said.kind, said.at, said.clock_flagged) == ("human_message", "2026-11-20T03:00:00.000Z", True)
    assert (assigned.at, assigned.clock_flagged) == (said.at, True)


def test_newer_versions_name_their_event() -> None:
    assert facts(webhook_event="message_interaction", data_event="receive_message_from_customer")


def test_another_org_is_refused() -> None:
    found = read(message(org="org-2", at=AT), "org-1", NOW)
    assert (found.facts, found.reason, found.refused) == ([], "wrong_org", True)


def test_a_clock_that_is_ahead_is_clamped_and_flagged() -> None:
    fact = reading(at=NOW + timedelta(minutes=10)).facts[0]
    assert (fact.at, fact.clock_flagged) == ("2026-11-20T03:00:00.000Z", True)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*message(), "x"]), ANYTHING) | ANYTHING)
def test_no_payload_breaks_the_reading_or_the_sample(payload: Any) -> None:
    assert isinstance(read(payload, "org-1", NOW), Reading)
    assert len(json.dumps(sample_of(payload))) <= LIMIT


# --- the sample ------------------------------------------------------------------------------------------------------


def test_a_sample_shows_what_happened_and_nothing_about_whom() -> None:
    sample = sample_of(message(at=AT, text="Nomor saya 0812-3456-7890", secret_token="abc"))
    assert (sample["status"], sample["participant_type"], sample["created_at"]) == ("created", "customer", SENT)
    assert (sample["text"], sample["[secret]"]) == ("[text, 25]", "[text, 3]")
    assert (sample["room"]["name"], sample["room"]["account_uniq_id"]) == ("[text, 17]", "[text, 13]")


def test_a_phone_number_as_an_id_or_a_name_is_not_in_the_sample() -> None:
    assert "81234567890" not in json.dumps(sample_of({"room_id": "081234567890", "081234567890": 1}))


def test_a_huge_payload_leaves_a_small_sample() -> None:
    assert sample_of({f"{n} {'x' * 190}": {str(m): m for m in range(60)} for n in range(60)}) == {"[too large]": 60}
