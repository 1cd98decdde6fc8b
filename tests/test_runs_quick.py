"""What is read quickly is what the careful way takes, item by item and answer by answer; all else is left to it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from console.ingest import check, records
from console.ingest.decode import Refusal, decode
from console.ingest.quick import QuickCheck, quick_body
from tests.examples import at_most
from tests.ingest_server import RUNS, Sender, run, runs

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
SENDER = check.ItemSender({"org-1": 1}, "org-1")
PHONE = "081298765432"
TEXTS = st.one_of(
    st.sampled_from(["Bot", "", " ", "Bot ", PHONE, "a\x00", "caf\u00e9", "x" * 201, "password=hunter2", "a\nb", '":']),
    st.text(max_size=5),
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2**31, 2**63, 10**30, 0.5, 1.0, -0.0, 1e300, 9_999_999.999996, int(PHONE), True]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
TIMES = st.sampled_from(
    [
        "2026-05-04T09:59:00Z",
        "2026-05-04T16:59:30.123456+07:00",
        "2026-05-04T10:03:00Z",
        "2026-05-04T10:06:00Z",
        "2026-05-06T10:00:00Z",
        "1999-12-31T23:59:59Z",
        "2026-05-04T09:59:00",
        "yesterday",
    ]
)
VALUES = st.recursive(
    st.one_of(TEXTS, NUMBERS, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)
IDS = st.sampled_from(["6a90b3d1-2c6b-4a3a-8bb9-23a93ebffb8e", "6A90B3D1-2C6B-4A3A-8BB9-23A93EBFFB8E", "run-7", "", 7])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "agent_name": TEXTS,
    "input_kind": TEXTS,
    "agent_version": TEXTS,
    "channel": TEXTS,
    "room_id": st.one_of(TEXTS, st.integers(), IDS),
    "org_id": st.sampled_from(["org-1", "org-2", " org-1", ""]),
    "started_at": TIMES,
    "ended_at": TIMES,
    "resolution": st.sampled_from(["resolved", "lost"]),
    "self_corrected": st.sampled_from([True, 1]),
    "tokens_input": NUMBERS,
    "cost_usd": st.one_of(NUMBERS, st.sampled_from(["0.1", "1e3", "-1", "9" * 31, "0.123455"])),
    "sla_target_seconds": NUMBERS,
    "confidence": NUMBERS,
    "message_count": NUMBERS,
    "surface": st.sampled_from(["chatbot", "fax"]),
    "metadata": st.one_of(
        st.dictionaries(st.one_of(TEXTS, st.sampled_from(["api_key", "shop"])), VALUES, max_size=3), st.just([1])
    ),
    "mood": st.just(1),
}
SENT = st.fixed_dictionaries(
    {"run_id": IDS}, optional={name: st.one_of(how, st.none()) for name, how in FIELDS.items()}
)


def carefully(raw: Any) -> Any:
    """What `check` makes of an item: what is accepted, or the refusal."""
    try:
        return check.check(raw, 0, records.RUNS, SENDER, NOW)
    except check.InvalidItem as refused:
        return refused


@settings(max_examples=at_most(400), deadline=None)
@given(items=st.lists(SENT, min_size=1, max_size=2), spaced=st.booleans())
@example(items=[{"run_id": "6a90b3d1-2c6b-4a3a-8bb9-23a93ebffb8e", "metadata": {"a": {"b": 1}}}], spaced=False)
def test_what_is_taken_quickly_is_what_would_be_taken_carefully(items: list[dict[str, Any]], spaced: bool) -> None:
    content = json.dumps(items, separators=(", ", ": ") if spaced else (",", ":")).encode()
    body = quick_body(content)
    if body is None:
        return
    assert body.items == decode(content).items
    quick = QuickCheck(SENDER, NOW)
    for item, raw in zip(body.made, body.items, strict=True):
        if (taken := quick.take(item, 0)) is not None:
            assert taken == carefully(raw)


def test_what_back_ends_usually_send_is_taken_quickly() -> None:
    """Else nobody would notice that it no longer is."""
    sent = run(
        agent_version="2026.11.3",
        channel="whatsapp",
        room_id="room-1",
        cost_usd=0.0342,
        metadata={"shop_id": "hotrodan", "ticket_id": "T-9123", "attempt": 2, "vip": False},
    )
    for content in (json.dumps(sent), json.dumps([sent, sent]), json.dumps([{"run_id": sent["run_id"]}])):
        body = quick_body(content.encode())
        assert body is not None
        assert None not in [QuickCheck(SENDER, datetime.now(UTC)).take(item, 0) for item in body.made]


ONE = '{"run_id":"6a90b3d1-2c6b-4a3a-8bb9-23a93ebffb8e","agent_name":"Bot"'


@pytest.mark.parametrize(
    "content",
    [
        ONE + ',"agent_name":"Bot"}',
        ONE + ',"agent_name" :"Bot"}',
        ONE + ',"agent_name"\n:"Bot"}',
        ONE + ',"metadata":{"a":1,"a":2}}',
        ONE + ',"metadata":{"a":{"b":1,"b" :1}}}',
        ONE + ',"channel":"\\u0022:"}'.replace("\\u0022", '\\"'),
        ONE + ',"channel":null}',
        ONE + ',"channel":"\\ud800"}',
        ONE + ',"cost_usd":1e999}',
        ONE + ',"cost_usd":NaN}',
        ONE + ',"tokens_input":' + "9" * 4301 + "}",
        ONE + ',"metadata":' + '{"a":' * 40 + "1" + "}" * 41,
        '{"items":[' + ONE + "}]}",
        "\ufeff" + ONE + "}",
        ONE + "}}",
        "[]",
        "7",
        "",
        "[" * 100_000,
    ],
)
def test_what_is_unusual_is_read_carefully(content: str) -> None:
    assert quick_body(content.encode()) is None


def test_bytes_that_are_no_utf8_are_read_carefully() -> None:
    assert quick_body(ONE.encode() + b',"channel":"\xff"}') is None


@pytest.mark.parametrize("bad", ["a\tb", "a\x01b"])
def test_what_is_no_strict_json_is_refused_whole(sender: Sender, bad: str) -> None:
    """Control characters may stand in a text only escaped."""
    content = json.dumps([run(), run(channel="CHANNEL")]).replace("CHANNEL", bad).encode()
    with pytest.raises(Refusal):
        decode(content)
    answer = sender.send(RUNS, content)
    assert (answer.status, answer.error["code"]) == (400, "not_json")
    assert runs() == []


def test_one_unusual_item_leaves_its_neighbours_and_their_order(sender: Sender) -> None:
    sent = [run(), run(agent_name=f"Bot {PHONE}"), run(tokens_input=-1), run(room_id=7), run()]
    assert sender.post(sent, RUNS).statuses == ["created", "created", "invalid", "created", "created"]
    assert [stored.run_id for stored in runs()] == sorted(
        UUID(one["run_id"]) for one in sent if one.get("tokens_input") != -1
    )


def test_a_platform_source_names_orgs_in_whatever_spelling(sender: Sender, platform: Sender) -> None:
    org = sender.source.org.external_id
    sent = [run(org_id=name) for name in (org, f" {org} ", "no such", None, f"{org}\x00", "")]
    assert platform.post(sent, RUNS).statuses == ["created", "created", *["invalid"] * 4]


def test_times_of_quick_items_are_utc() -> None:
    content = json.dumps(run(started_at=datetime.now(UTC).astimezone().isoformat(), ended_at=None, resolution=None))
    body = quick_body(content.encode())
    assert body is not None
    taken = QuickCheck(SENDER, datetime.now(UTC) + timedelta(seconds=1)).take(body.made[0], 0)
    assert taken is not None and taken.item.started_at is not None and taken.item.started_at.tzinfo is UTC
