"""Bad bodies: each answered as the contract says, with bounded work, and nothing stored."""

import gzip
import json
import socket
import zlib
from typing import Any

import psutil
import pytest

from console.ingest import http, request
from console.ingest.decode import Refusal, decode, unpack
from tests.ingest_server import EVENTS, Answer, Sender, event, events, pack

MIB = 1024 * 1024


def refused(body: bytes) -> tuple[int, str]:
    """Status and code with which a body is refused."""
    with pytest.raises(Refusal) as caught:
        decode(body)
    assert caught.value.message.endswith(".")
    return caught.value.status, caught.value.code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1,]",
        b"{'a': 1}",
        b"\xff\xfe{}",
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": ' + b"9" * 4301 + b"}",
        b'{"a": "\n"}',
        b"{} {}",
    ],
)
def test_what_is_no_json_is_400(body: bytes) -> None:
    assert refused(body) == (400, "not_json")


@pytest.mark.parametrize("body", [b"1", b'"text"', b"null", b"true"])
def test_json_without_objects_is_400(body: bytes) -> None:
    assert refused(body) == (400, "not_items")


@pytest.mark.parametrize(
    "body", [b'{"a": 1, "a": 1}', b'[{"m": {"x": 1, "x": 2}}]', b'{"a": 1, "\\u0061": 2}', b'{"a":"b:c","a":"\\u003a"}']
)
def test_a_key_twice_is_400(body: bytes) -> None:
    assert refused(body) == (400, "duplicate_key")


@pytest.mark.parametrize("depth", [33, 1000, 200_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_400(depth: int, opens: str, closes: str) -> None:
    inner = "1" if opens != "[" else ""
    assert refused((opens * depth + inner + closes * depth).encode()) == (400, "too_deep")


def test_nesting_of_32_is_taken() -> None:
    assert decode(b"[" * 32 + b"]" * 32).items


def test_1001_items_are_too_many() -> None:
    assert refused(json.dumps([{}] * 1001).encode()) == (413, "too_many_items")
    assert len(decode(json.dumps([{}] * 1000).encode()).items) == 1000


def test_nothing_can_stand_beside_items() -> None:
    assert refused(b'{"items": [], "then": 1}') == (400, "unknown_field")


def test_a_name_beside_items_is_answered_even_if_utf_8_cannot_say_it(sender: Sender) -> None:
    answer = sender.send(EVENTS, b'{"items": [], "odd\\ud800": 1}')
    assert (answer.status, answer.error["code"], answer.error["field"]) == (400, "unknown_field", "odd?")


def test_items_that_is_no_array_is_a_field_of_a_single_object() -> None:
    assert decode(b'{"items": 1}').single


def test_a_gzip_bomb_is_stopped_at_the_limit() -> None:
    bomb = gzip.compress(b" " * (64 * MIB))
    assert len(bomb) < MIB
    before = psutil.Process().memory_info().rss
    with pytest.raises(Refusal) as caught:
        unpack(bomb)
    assert (caught.value.status, caught.value.code) == (413, "too_large")
    assert psutil.Process().memory_info().rss - before < 16 * MIB


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        gzip.compress(b"[]", mtime=0)[:-4],
        gzip.compress(b"[]", mtime=0) + gzip.compress(b"[]", mtime=0),
        gzip.compress(b"[]", mtime=0) + b"x",
        zlib.compress(b"[]"),
    ],
)
def test_what_is_not_one_whole_gzip_member_is_400(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        unpack(body)
    assert (caught.value.status, caught.value.code) == (400, "bad_gzip")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": None},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json; version=2; charset=latin-1"},
        {"Content-Type": "application/json-seq"},
        {"Content-Encoding": "br"},
        {"Content-Encoding": "gzip, gzip"},
    ],
)
def test_other_types_are_415(sender: Sender, headers: dict[str, str | None]) -> None:
    answer = sender.send(EVENTS, json.dumps(event()).encode(), headers=headers)
    assert (answer.status, answer.error["code"]) == (415, "unsupported_type")


@pytest.mark.parametrize(
    "given",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/json;",
        "application/json; charset=utf-8;",
        "application/json; version=2; charset = utf-8",
        'application/json; profile="https://example.com/a"',
    ],
)
def test_json_in_utf_8_is_taken(sender: Sender, given: str) -> None:
    assert sender.post(event(), Content_Type=given).status == 201


def test_a_byte_order_mark_in_front_is_no_part_of_the_body(sender: Sender) -> None:
    assert sender.send(EVENTS, b"\xef\xbb\xbf" + json.dumps(event()).encode()).status == 201


@pytest.mark.parametrize("path", [f"{EVENTS}/", f"{EVENTS}//", "/api/failure-events/?"])
def test_a_slash_at_the_end_of_an_address_means_the_same(sender: Sender, path: str) -> None:
    assert sender.post(event(), path).status == 201


def test_the_answer_to_bad_json_is_in_the_one_error_shape(sender: Sender) -> None:
    answer = sender.send(EVENTS, b"{")
    assert answer.status == 400
    assert set(answer.json) == {"error"} and set(answer.error) == {"code", "message"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("bad", ["nul \x00", "half \ud800", "\udfff"])
def test_an_id_postgresql_cannot_keep_costs_its_item_alone(sender: Sender, bad: str) -> None:
    """Fault 26."""
    answer = sender.post([event(), event(room_id=bad), event(agent_name=bad), event()])
    assert answer.statuses == ["created", "invalid", "invalid", "created"]
    assert [r["error"]["code"] for r in answer.json["results"] if "error" in r] == ["bad_text", "bad_text"]
    assert answer.json["results"][1]["error"]["field"] == "items[1].room_id"


@pytest.mark.parametrize("bad", ["nul \x00", "half \ud800", "\udfff"])
def test_a_text_postgresql_cannot_keep_is_cleaned_and_costs_nothing(sender: Sender, bad: str) -> None:
    """Fault 26."""
    sent = [event(), event(last_customer_text=bad), event(metadata={"a": {bad: 1}}), event(error={"type": bad})]
    assert sender.post(sent).statuses == ["created"] * 4
    assert [stored.flags for stored in events()] == [[], ["truncated"], ["truncated"], ["truncated"]]
    assert sender.post(sent).statuses == ["duplicate"] * 4


def test_an_id_of_bad_text_is_not_repeated(sender: Sender) -> None:
    answer = sender.post([event(event_id="\ud800")])
    assert answer.json["results"][0]["id"] is None


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_beyond_every_limit_costs_its_item_alone(sender: Sender, number: str) -> None:
    """Fault 27."""
    body = json.dumps([event(), event(metadata={"n": "HERE"}), event(confidence=0.5)])
    answer = sender.send(EVENTS, body.replace('"HERE"', number).encode())
    assert answer.statuses == ["created", "invalid", "created"]
    assert answer.json["results"][1]["error"]["code"] == "bad_number"


def test_a_whole_number_beyond_64_bits_in_metadata_is_kept_as_text_and_costs_no_alarm(sender: Sender) -> None:
    sent = event(metadata={"order": 2**64 + 5, "of": [{"n": -(10**40)}], "small": 2**63 - 1, "yes": True})
    assert [sender.post(sent).json["status"] for _ in range(2)] == ["created", "duplicate"]
    assert sender.post(sent | {"metadata": {"order": 2**64 + 6}}).json["status"] == "conflict"
    (stored,) = events()
    kept = {"order": str(2**64 + 5), "of": [{"n": str(-(10**40))}], "small": 2**63 - 1, "yes": True}
    assert (stored.metadata, stored.flags) == (kept, ["truncated"])


def test_a_gzip_bomb_over_http_is_413(sender: Sender) -> None:
    assert sender.post_gzip(gzip.compress(b" " * (20 * MIB))).status == 413


def test_broken_gzip_over_http_is_400(sender: Sender) -> None:
    assert sender.post_gzip(pack([event()])[:-3]).status == 400


def raw(port: int, *parts: bytes) -> Answer:
    """What comes back for these bytes; sending goes on whatever the server says, as simple senders do."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        response = b""
        while b"\r\n\r\n" not in response or not response.endswith(b"}"):
            data = connection.recv(65536)
            if not data:
                break
            response += data
    head, _, body = response.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return Answer(int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:]), body)


def head(sender: Sender, *lines: str) -> bytes:
    given = [f"Authorization: Bearer {sender.key}", "Content-Type: application/json", *lines]
    return "\r\n".join([f"POST {EVENTS} HTTP/1.1", "Host: localhost", *given, "", ""]).encode()


def test_50_mb_with_their_length_are_413_and_memory_stays_flat(sender: Sender) -> None:
    """Fault 24: refused by its length; the sender, who only listens at the end, still hears it."""
    before = psutil.Process().memory_info().rss
    chunk = b" " * MIB
    answer = raw(sender.port, head(sender, f"Content-Length: {50 * MIB}"), *[chunk] * 50)
    assert (answer.status, answer.error["code"]) == (413, "too_large")
    assert psutil.Process().memory_info().rss - before < 16 * MIB


def test_50_mb_chunked_are_413_and_memory_stays_flat(sender: Sender) -> None:
    """Fault 24: no length to go by; refused while reading."""
    before = psutil.Process().memory_info().rss
    chunk = b"100000\r\n" + b" " * MIB + b"\r\n"
    answer = raw(sender.port, head(sender, "Transfer-Encoding: chunked"), *[chunk] * 50, b"0\r\n\r\n")
    assert answer.status == 413
    assert psutil.Process().memory_info().rss - before < 16 * MIB


def test_a_sender_who_asks_first_is_refused_before_it_sends(sender: Sender) -> None:
    answer = raw(sender.port, head(sender, f"Content-Length: {50 * MIB}", "Expect: 100-continue"))
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_a_refused_body_without_end_is_cut_off(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "DISCARD_LIMIT", MIB)
    chunk = b"100000\r\n" + b" " * MIB + b"\r\n"
    with pytest.raises(ConnectionError):
        raw(sender.port, head(sender, "Transfer-Encoding: chunked"), *[chunk] * 200)


def test_a_body_that_does_not_arrive_is_408(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.lane().of_keys, "seconds", 0.1)
    monkeypatch.setattr(request, "DISCARD_SECONDS", 0.1)
    answer = raw(sender.port, head(sender, "Content-Length: 100"), b"[")
    assert (answer.status, answer.error["code"]) == (408, "too_slow")


def test_too_many_bytes_at_one_time_are_503(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.lane().of_keys, "total", 10)
    answer = sender.post(event())
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def test_held_bytes_are_let_go_after_each_request(sender: Sender) -> None:
    for body in (b"[]", b"{", b" " * (3 * MIB)):
        sender.send(EVENTS, body)
    budget = http.lane().of_keys
    assert (budget.bytes, dict(budget.held), dict(budget.open)) == (0, {}, {})


def test_the_connection_lives_on_after_a_refusal(sender: Sender) -> None:
    good = json.dumps(event()).encode()
    first = head(sender, f"Content-Length: {3 * MIB}") + b" " * (3 * MIB)
    second = head(sender, f"Content-Length: {len(good)}", "Connection: close") + good
    with socket.create_connection(("127.0.0.1", sender.port), timeout=30) as connection:
        connection.sendall(first)
        assert b" 413 " in connection.recv(65536).split(b"\r\n")[0]
        connection.sendall(second)
        assert b" 201 " in connection.recv(65536).split(b"\r\n")[0]
    assert len(events()) == 1


def test_a_fault_of_ours_is_500_in_the_one_error_shape(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(http.work.check, "check", broken)
    answer = sender.post(event())
    assert (answer.status, answer.error["code"]) == (500, "internal_error")
    assert b"ZeroDivision" not in answer.body
