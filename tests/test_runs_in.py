"""Runs by POST /api/agent-runs: what becomes of each post, and what is refused, by code and field."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django_scopes import scopes_disabled

from console.ingest import check, records
from orgs.models import Agent
from runs.containment import sweep_sessions
from runs.models import RoomSession, SessionsMark
from tests.ingest_server import RUNS, Sender, ago, run, runs

RUN = "6a90b3d1-2c6b-4a3a-8bb9-23a93ebffb8e"
SEED = {
    "run_id": RUN,
    "agent_name": "support-triage",
    "input_kind": "ticket",
    "started_at": "2025-10-10T02:15:30Z",
    "ended_at": "2025-10-10T02:16:12Z",
    "resolution": "resolved",
    "self_corrected": True,
    "tokens_input": 3421,
    "tokens_output": 1890,
    "cost_usd": 0.0342,
    "sla_target_seconds": 600,
    "metadata": {"shop_id": "hotrodan", "ticket_id": "T-9123"},
}
START = {"run_id": RUN, "agent_name": "Bot", "input_kind": "chat", "started_at": "2025-10-10T02:15:30.123456Z"}
END = {"run_id": RUN, "ended_at": "2025-10-10T02:16:12Z", "resolution": "resolved"}
PHONE, EMAIL = "081298765432", "sari.canary@example.com"


def refused(sent: Any) -> tuple[str, str]:
    """Code and field with which the lane refuses this run of an org source."""
    with pytest.raises(check.InvalidItem) as caught:
        check.check(sent, 0, records.RUNS, check.ItemSender({"org-1": 1}, "org-1"), datetime.now(UTC))
    assert caught.value.message.endswith(".")
    return caught.value.code, caught.value.field


def posted(sender: Sender, *items: dict[str, Any]) -> list[str]:
    """What becomes of these runs, each in a post of its own."""
    return [sender.post(item, RUNS).json["status"] for item in items]


# --- what becomes of a post ------------------------------------------------------------------------------------------


def test_the_example_of_the_metrics_spec_posts_as_it_is(sender: Sender) -> None:
    answer = sender.post(SEED, RUNS)
    assert (answer.status, answer.json["status"], answer.json["id"]) == (201, "created", RUN)
    (stored,) = runs()
    assert (stored.agent.name, stored.agent.confirmed, str(stored.cost_usd)) == ("support-triage", False, "0.03420")
    assert stored.metadata == SEED["metadata"]
    assert stored.started_at == datetime(2025, 10, 10, 2, 15, 30, tzinfo=UTC)


def test_its_re_sends_are_a_duplicate_and_a_conflict(sender: Sender) -> None:
    sender.post(SEED, RUNS)
    again, other = sender.post(SEED, RUNS), sender.post({**SEED, "cost_usd": 0.0343}, RUNS)
    assert (again.status, again.json["status"]) == (200, "duplicate")
    assert (other.status, other.json["status"], other.error["field"]) == (409, "conflict", "cost_usd")
    assert [str(stored.cost_usd) for stored in runs()] == ["0.03420"]


def test_a_run_is_posted_at_its_start_and_completed_by_its_id_alone(sender: Sender) -> None:
    assert posted(sender, START, END) == ["created", "updated"]
    (stored,) = runs()
    assert (stored.resolution, stored.ended_at - stored.started_at) == ("resolved", timedelta(seconds=41.876544))
    assert stored.due_at is None


def test_a_start_or_an_end_that_comes_again_is_a_duplicate(sender: Sender) -> None:
    assert posted(sender, START, END, START, END, {"run_id": RUN}) == ["created", "updated", *["duplicate"] * 3]


def test_what_completes_a_run_comes_in_any_number_of_posts(sender: Sender) -> None:
    parts = [{"cost_usd": "0.5"}, {"tokens_input": 0}, {"self_corrected": False}, {"agent_version": "2"}]
    parts += [{"resolution": "escalated"}, {"ended_at": END["ended_at"]}, {"room_id": "room-7"}]
    assert posted(sender, START, *({"run_id": RUN} | part for part in parts)) == ["created"] + ["updated"] * 7
    (stored,) = runs()
    assert (stored.cost_usd, stored.tokens_input, stored.self_corrected) == (Decimal("0.5"), 0, False)
    assert (stored.agent_version, stored.resolution, stored.room) == ("2", "escalated", "room-7")


def test_many_at_once_are_kept_as_few_are(sender: Sender) -> None:
    """Many new rows are written in another way than few."""
    sent = [
        run(
            agent_version=f"{n} {EMAIL}",
            metadata={"note": f'\\ "{n}" caf\u00e9', "deep": [{"n": n}]},
            room_id=f"room-{n}",
        )
        | {"cost_usd": n / 7, "confidence": 0.25, "self_corrected": n % 2 == 0, "tokens_input": n}
        for n in range(60)
    ]
    assert set(sender.post(sent, RUNS).statuses) == {"created"}
    assert set(sender.post(sent, RUNS).statuses) == {"duplicate"}
    by_id = {str(stored.run_id): stored for stored in runs()}
    for n, one in enumerate(sent):
        stored = by_id[one["run_id"]]
        assert (stored.metadata, stored.agent_version, stored.room) == (one["metadata"], f"{n} [email]", f"room-{n}")
        assert (stored.confidence, stored.tokens_input, stored.flags) == (0.25, n, ["masked"])
        assert (stored.started_at.isoformat(), list(stored.altered)) == (one["started_at"], ["agent_version"])


def test_they_may_come_in_one_batch_too(sender: Sender) -> None:
    answer = sender.post([END, START, END, START, {**END, "resolution": "failed"}], RUNS)
    assert answer.statuses == ["invalid", "created", "updated", "duplicate", "conflict"]
    assert answer.json["results"][0]["error"]["field"] == "items[0].agent_name"
    assert [stored.resolution for stored in runs()] == ["resolved"]


def test_an_end_before_any_start_carries_what_a_new_run_needs(sender: Sender) -> None:
    assert posted(sender, {**START, **END}, START) == ["created", "duplicate"]


@pytest.mark.parametrize("field", ["agent_name", "input_kind", "started_at", "resolution"])
def test_what_a_new_run_lacks_is_named(sender: Sender, field: str) -> None:
    answer = sender.post({**SEED, field: None}, RUNS)
    assert (answer.status, answer.error["code"], answer.error["field"]) == (422, "missing_field", field)
    assert runs() == []


def test_an_end_needs_its_resolution(sender: Sender) -> None:
    sender.post(START, RUNS)
    assert sender.post({"run_id": RUN, "ended_at": END["ended_at"]}, RUNS).error["field"] == "resolution"


@pytest.mark.parametrize(
    "other",
    [
        {"agent_name": "Another"},
        {"input_kind": "faq"},
        {"started_at": "2025-10-10T02:15:30.123Z"},
        {"ended_at": "2025-10-10T02:16:13Z"},
        {"resolution": "failed"},
        {"self_corrected": False},
        {"tokens_input": 0},
        {"cost_usd": "0.03421"},
        {"sla_target_seconds": 601},
        {"metadata": {"shop_id": "another", "more": 1}},
    ],
)
def test_what_differs_is_a_conflict_and_nothing_of_its_post_is_stored(sender: Sender, other: dict[str, Any]) -> None:
    known = {**SEED, "started_at": START["started_at"]}
    sender.post(known, RUNS)
    answer = sender.post({"run_id": RUN, "channel": "whatsapp", **other}, RUNS)
    (name,) = other
    assert (answer.status, answer.error["code"]) == (409, "id_conflict")
    assert answer.error["field"] == ("metadata.shop_id" if name == "metadata" else name)
    (stored,) = runs()
    assert (stored.channel, stored.metadata) == ("", SEED["metadata"])
    assert posted(sender, known) == ["duplicate"]


def test_a_completion_for_another_agent_makes_no_agent(sender: Sender) -> None:
    sender.post([START, {**START, "agent_name": "Another"}], RUNS)
    with scopes_disabled():
        assert [agent.name for agent in Agent.objects.all()] == ["Bot"]


def test_the_same_number_and_time_in_another_spelling_is_the_same(sender: Sender) -> None:
    sender.post(SEED, RUNS)
    other = {"started_at": "2025-10-10T09:15:30.000+07:00", "cost_usd": "0.034200", "agent_name": " support-triage "}
    assert posted(sender, {**SEED, **other, "run_id": RUN.upper(), "room_id": None}) == ["duplicate"]


def test_metadata_merges_by_key(sender: Sender) -> None:
    parts = [{"order": {"id": 7}}, {"shop_id": "hotrodan", "flag": True}, {"flag": True}, {"flag": 1}, {"order": 1}]
    answers = posted(sender, SEED, *({"run_id": RUN, "metadata": part} for part in parts))
    assert answers == ["created", "updated", "updated", "duplicate", "conflict", "conflict"]
    assert [stored.metadata for stored in runs()] == [{**SEED["metadata"], "order": {"id": 7}, "flag": True}]


def test_metadata_of_many_posts_has_one_limit(sender: Sender) -> None:
    whole = {"run_id": RUN, "metadata": {"a": "x " * 2500}}
    answers = [sender.post(item, RUNS) for item in (SEED, whole, {"run_id": RUN, "metadata": {"b": "y " * 2500}})]
    assert [answer.status for answer in answers] == [201, 200, 422]
    assert (answers[2].error["code"], answers[2].error["field"]) == ("too_long", "metadata")


def test_a_run_is_known_by_org_and_id_whoever_posts_it(sender: Sender, platform: Sender) -> None:
    org = sender.source.org.external_id
    assert posted(sender, START) == ["created"]
    assert posted(platform, {**END, "org_id": org}) == ["updated"]
    assert platform.post(END, RUNS).error["field"] == "org_id"
    assert [(stored.source_id, stored.resolution) for stored in runs()] == [(sender.source.pk, "resolved")]


# --- times -----------------------------------------------------------------------------------------------------------


def test_an_end_before_the_start_is_refused_in_one_post_and_in_two(sender: Sender) -> None:
    early = {**END, "ended_at": "2025-10-10T02:15:29Z"}
    whole = sender.post({**START, **early}, RUNS)
    sender.post(START, RUNS)
    for answer in (whole, sender.post(early, RUNS)):
        assert (answer.status, answer.error["code"], answer.error["field"]) == (422, "invalid_item", "ended_at")
    assert posted(sender, END) == ["updated"]


def test_a_clock_a_little_ahead_says_how_long_it_took(sender: Sender) -> None:
    sender.post(run(started_at=ago(minutes=-3), ended_at=ago(minutes=-4)), RUNS)
    (stored,) = runs()
    assert stored.flags == []
    assert timedelta(seconds=59) < stored.ended_at - stored.started_at < timedelta(seconds=61)


def test_a_clock_far_ahead_is_clamped_flagged_and_the_same_when_it_comes_again(sender: Sender) -> None:
    sent = run(started_at=ago(minutes=-10), ended_at=ago(minutes=-11))
    assert posted(sender, sent, sent, {**sent, "ended_at": ago(minutes=-12)}) == ["created", "duplicate", "conflict"]
    (stored,) = runs()
    assert stored.flags == ["clock"]
    assert stored.started_at == stored.ended_at == stored.received_at < stored.started_as_sent


def test_an_end_that_is_clamped_does_not_lie_before_its_start(sender: Sender) -> None:
    assert posted(sender, run(started_at=ago(minutes=-4.5), ended_at=ago(minutes=-6))) == ["created"]
    (stored,) = runs()
    assert stored.ended_at == stored.started_at


def test_a_run_of_the_year_2000_is_taken(sender: Sender) -> None:
    assert posted(sender, run(started_at="2000-01-01T00:00:00Z", ended_at="2000-01-01T00:00:01Z")) == ["created"]


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"mood": "bad"}, "unknown_field", "mood"),
        ({"cost_usd": "1" * 29}, "invalid_item", "cost_usd"),
        ({"run_id": None}, "missing_field", "run_id"),
        ({"run_id": "run-7"}, "invalid_item", "run_id"),
        ({"run_id": 7}, "invalid_item", "run_id"),
        ({"started_at": "2025-10-10T02:15:30"}, "invalid_item", "started_at"),
        ({"started_at": "1999-12-31T23:59:59Z"}, "too_old", "started_at"),
        ({"started_at": ago(hours=-25)}, "in_the_future", "started_at"),
        ({"ended_at": "2025-10-10T02:15:30"}, "invalid_item", "ended_at"),
        ({"ended_at": ago(hours=-25)}, "in_the_future", "ended_at"),
        ({"ended_at": "1999-12-31T23:59:59Z"}, "too_old", "ended_at"),
        ({"started_at": 1767225600}, "invalid_item", "started_at"),
        ({"resolution": "abandoned"}, "invalid_item", "resolution"),
        ({"surface": "fax"}, "invalid_item", "surface"),
        ({"self_corrected": 1}, "invalid_item", "self_corrected"),
        ({"cost_usd": -0.01}, "invalid_item", "cost_usd"),
        ({"cost_usd": "-0.01"}, "invalid_item", "cost_usd"),
        ({"cost_usd": "cheap"}, "invalid_item", "cost_usd"),
        ({"cost_usd": "1e-3"}, "invalid_item", "cost_usd"),
        ({"cost_usd": "NaN"}, "invalid_item", "cost_usd"),
        ({"cost_usd": ""}, "invalid_item", "cost_usd"),
        ({"cost_usd": " 1"}, "invalid_item", "cost_usd"),
        ({"cost_usd": "9" * 400}, "invalid_item", "cost_usd"),
        ({"cost_usd": True}, "invalid_item", "cost_usd"),
        ({"cost_usd": 10**7}, "invalid_item", "cost_usd"),
        ({"cost_usd": "9999999.999995"}, "invalid_item", "cost_usd"),
        ({"cost_usd": 1e300}, "invalid_item", "cost_usd"),
        ({"cost_usd": float("inf")}, "bad_number", "cost_usd"),
        ({"cost_usd": 10**30}, "bad_number", "cost_usd"),
        ({"tokens_input": 10**30}, "bad_number", "tokens_input"),
        ({"tokens_output": 2**63}, "bad_number", "tokens_output"),
        ({"tokens_output": -1}, "invalid_item", "tokens_output"),
        ({"tokens_input": 1.5}, "invalid_item", "tokens_input"),
        ({"tokens_input": "12"}, "invalid_item", "tokens_input"),
        ({"sla_target_seconds": 0}, "invalid_item", "sla_target_seconds"),
        ({"sla_target_seconds": 2**31}, "invalid_item", "sla_target_seconds"),
        ({"confidence": 1.01}, "invalid_item", "confidence"),
        ({"confidence": -0.01}, "invalid_item", "confidence"),
        ({"message_count": -1}, "invalid_item", "message_count"),
        ({"message_cap": 2**31}, "invalid_item", "message_cap"),
        ({"agent_name": "a" * 201}, "too_long", "agent_name"),
        ({"input_kind": "k" * 201}, "too_long", "input_kind"),
        ({"agent_version": "v" * 201}, "too_long", "agent_version"),
        ({"channel": "c" * 201}, "too_long", "channel"),
        ({"room_id": "r" * 201}, "too_long", "room_id"),
        ({"room_id": "room\u200b-1"}, "bad_text", "room_id"),
        ({"agent_name": "Bot\x00"}, "bad_text", "agent_name"),
        ({"input_kind": "chat\x00"}, "bad_text", "input_kind"),
        ({"channel": "wa\ud800"}, "bad_text", "channel"),
        ({"agent_version": "1\x00"}, "bad_text", "agent_version"),
        ({"agent_version": "password=hunter2"}, "secret", "agent_version"),
        ({"metadata": [1]}, "invalid_item", "metadata"),
        ({"metadata": {"note": "a\x00"}}, "bad_text", "metadata.note"),
        ({"metadata": {"list": ["\ud800"]}}, "bad_text", "metadata.list[0]"),
        ({"metadata": {"a\x00": 1}}, "bad_text", "metadata.a\x00"),
        ({"metadata": {"n": float("inf")}}, "bad_number", "metadata.n"),
        ({"metadata": {"api_key": "sk-1"}}, "secret", "metadata.api_key"),
        ({"metadata": {"shop": {"accessToken": 7}}}, "secret", "metadata.shop.accessToken"),
        ({"metadata": {"note": "Authorization: Basic c2VjcmV0"}}, "secret", "metadata.note"),
        (
            {"metadata": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {}}}}}}}}}},
            "too_deep",
            "metadata.a.b.c.d.e.f.g.h",
        ),
        ({"metadata": {"note": "x" * 8200}}, "too_long", "metadata"),
    ],
)
def test_a_bad_run_is_refused_by_field(fields: dict[str, Any], code: str, field: str) -> None:
    assert refused({name: value for name, value in {**SEED, **fields}.items() if value is not None}) == (code, field)


def test_the_neighbours_of_a_bad_run_are_stored_and_its_field_has_its_place(sender: Sender) -> None:
    answer = sender.post([run(), run(tokens_input=-1), "no object", run(agent_name=None), run()], RUNS)
    assert answer.statuses == ["created", "invalid", "invalid", "invalid", "created"]
    fields = [result["error"]["field"] for result in answer.json["results"] if "error" in result]
    assert fields == ["items[1].tokens_input", "items[2]", "items[3].agent_name"]
    assert len(runs()) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"resolution": "RESOLVED"}, "resolution must be one of resolved, escalated, failed."),
        ({"surface": "web"}, "surface must be one of chatbot, chatwoot, shopify_admin, runbook."),
        ({"room_id": ["r1"]}, "room_id must be a string."),
        ({"metadata": "x"}, "metadata must be an object."),
    ],
)
def test_a_field_of_the_wrong_type_is_told_what_it_must_be(
    sender: Sender, fields: dict[str, Any], message: str
) -> None:
    """Mutation: None is not taken off a choice that may be left out."""
    assert sender.post(run(**fields), RUNS).error["message"] == message


def test_a_batch_with_half_of_a_surrogate_pair_costs_that_run_alone(sender: Sender) -> None:
    good, bad = run(), run(metadata={"note": "\ud83d"})
    assert sender.post([good, bad], RUNS).statuses == ["created", "invalid"]


# --- what is kept ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("0.123455", "0.12346"),
        (0.123445, "0.12344"),
        (1e-7, "0.00000"),
        (3, "3.00000"),
        ("9999999.99999", "9999999.99999"),
        ("0000000000.5", "0.50000"),
    ],
)
def test_a_cost_has_five_places_half_to_even(sender: Sender, sent: Any, kept: str) -> None:
    one = run(cost_usd=sent)
    assert posted(sender, one, one, {**one, "cost_usd": kept}) == ["created", "duplicate", "duplicate"]
    assert [str(stored.cost_usd) for stored in runs()] == [kept]


def test_the_most_that_can_be_kept_is_kept_and_counted_twice(sender: Sender) -> None:
    most = {"tokens_input": 2**63 - 1, "tokens_output": 2**63 - 1, "sla_target_seconds": 2**31 - 1}
    most |= {"started_at": "2000-01-01T00:00:00Z", "cost_usd": "9999999.99999", "message_count": 2**31 - 1}
    assert posted(sender, run(**most), run(**most)) == ["created", "created"]


def test_personal_data_is_masked_before_it_is_stored_and_the_same_when_it_comes_again(sender: Sender) -> None:
    sent = run(
        agent_name=f"Bot {PHONE}",
        channel=EMAIL,
        agent_version=PHONE,
        input_kind=f"ask {EMAIL}",
        metadata={"note": f"call {PHONE}", EMAIL: {"deep": [PHONE]}, "phone": int(f"62{PHONE[1:]}"), "plain": "x"},
    )
    assert posted(sender, sent, sent) == ["created", "duplicate"]
    (stored,) = runs()
    assert (stored.agent.name, stored.channel, stored.agent_version) == ("Bot [phone]", "[email]", "[phone]")
    assert stored.input_kind == "ask [email]"
    expected = {"note": "call [phone]", "[email]": {"deep": ["[phone]"]}, "phone": "[phone]", "plain": "x"}
    assert (stored.metadata, stored.flags) == (expected, ["masked"])
    assert PHONE not in str(stored.altered) and EMAIL not in str(stored.altered)


def test_who_differs_behind_a_mask_is_a_conflict(sender: Sender) -> None:
    sent = run(agent_name=f"Bot {PHONE}", metadata={"note": EMAIL})
    other = PHONE.replace("12", "13")
    answers = posted(sender, sent, {**sent, "agent_name": f"Bot {other}"}, {**sent, "metadata": {"note": f"x{EMAIL}"}})
    assert answers == ["created", "conflict", "conflict"]


def test_an_odd_character_is_cleaned_and_flagged(sender: Sender) -> None:
    sent = run(channel="whats\x07app", metadata={"note": "a\x1bb"})
    assert posted(sender, sent, sent) == ["created", "duplicate"]
    (stored,) = runs()
    assert (stored.channel, stored.metadata, stored.flags) == ("whats\ufffdapp", {"note": "a\ufffdb"}, ["truncated"])


def test_whole_numbers_are_taken_as_text_for_ids(sender: Sender) -> None:
    assert posted(sender, run(room_id=42, agent_version=3, input_kind=7)) == ["created"]
    assert [(stored.room, stored.agent_version, stored.input_kind) for stored in runs()] == [("42", "3", "7")]


def test_blank_optional_fields_are_not_said(sender: Sender) -> None:
    sent = run(channel="", agent_version="", room_id="")
    assert posted(sender, sent, {**sent, "channel": "whatsapp"}) == ["created", "updated"]


def test_a_run_that_has_not_ended_is_due_after_its_target(sender: Sender) -> None:
    sender.post([{**START, "sla_target_seconds": 30}, {**START, "run_id": RUN.replace("6a", "7a")}], RUNS)
    assert [(stored.due_at - stored.started_at).seconds for stored in runs()] == [30, 120]


def test_what_a_known_run_says_later_of_its_room_and_of_a_human_reaches_the_sessions(sender: Sender) -> None:
    def swept() -> list[tuple[str, bool]]:
        with scopes_disabled():
            sweep_sessions(datetime.now(UTC) + timedelta(minutes=1))
            SessionsMark.objects.update(run=runs()[0].pk)  # new runs are read again for a while, this one no longer
            return list(RoomSession.objects.values_list("room", "contained"))

    posted(sender, START, END)
    assert swept() == []
    posted(sender, {"run_id": RUN, "room_id": "room-7"})
    assert swept() == [("room-7", True)]
    posted(sender, {"run_id": RUN, "human_touched": True})
    assert swept() == [("room-7", False)]
