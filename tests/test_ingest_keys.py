"""Who may write, how often, and what a stranger learns: nothing."""

import asyncio
import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django_scopes import scopes_disabled

from console.ingest import http, keys, memory
from console.ingest.decode import Refusal
from orgs.models import SourceHeard
from tests.factories import OrgFactory, SourceFactory
from tests.ingest_server import ACTIVITY, EVENTS, RECEIPTS, Sender, event, events, make_key
from tests.stack import until


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer nonsense", "Bearer abcdefgh.x", "Basic abc.def", "Bearer ab.\xe9"]
)
@pytest.mark.parametrize("path", [EVENTS, ACTIVITY])
def test_without_a_live_key_the_answer_is_401(sender: Sender, authorization: str | None, path: str) -> None:
    answer = sender.post(event(), path, Authorization=authorization)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.error["code"] == "unauthenticated"


def test_no_unknown_expired_and_revoked_key_get_the_same_bytes(sender: Sender) -> None:
    _, expired = make_key(sender.source, expiry_date=datetime.now(UTC) - timedelta(seconds=1))
    row, revoked = make_key(sender.source)
    row.revoked = True
    row.save()
    wrong = sender.key[:-1] + ("a" if sender.key[-1] != "a" else "b")
    tried = [None, "Bearer unknown1.secret", f"Bearer {expired}", f"Bearer {revoked}", f"Bearer {wrong}"]
    assert len({sender.post(event(), Authorization=given).body for given in tried}) == 1
    assert events() == []


def test_a_key_without_the_scope_is_403(sender: Sender) -> None:
    _, key = make_key(sender.source, scopes=("read", "act"))
    answer = sender.post(event(), Authorization=f"Bearer {key}")
    assert (answer.status, answer.error["code"]) == (403, "missing_scope")


def test_a_key_over_its_rate_is_429_with_retry_after(sender: Sender) -> None:
    _, key = make_key(sender.source, rate_per_minute=2)
    answers = [sender.post(event(), Authorization=f"Bearer {key}") for _ in range(3)]
    assert [answer.status for answer in answers] == [201, 201, 429]
    assert answers[2].error["code"] == "rate_limited"
    assert 1 <= int(answers[2].headers["retry-after"]) <= 31


def caller(**fields: Any) -> keys.Caller:
    return keys.Caller(**{"prefix": "p", "source": None, "rate": 60, "scopes": frozenset(), **fields})


def test_the_allowance_comes_back_with_time() -> None:
    rates = keys.Rates()
    for _ in range(60):
        rates.take(caller(), 100.0)
    with pytest.raises(Refusal):
        rates.take(caller(), 100.0)
    rates.take(caller(), 101.1)


def test_one_key_s_rate_leaves_the_others() -> None:
    rates = keys.Rates()
    rates.take(caller(rate=1), 100.0)
    rates.take(caller(rate=1, prefix="q"), 100.0)


def test_rate_0_is_no_limit() -> None:
    rates = keys.Rates()
    for _ in range(10_000):
        rates.take(caller(rate=0), 100.0)


def test_remembered_rates_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "REMEMBERED", 10)
    rates = keys.Rates()
    for n in range(100):
        rates.take(caller(prefix=str(n)), 100.0)
    assert len(rates._buckets) == 10


def test_a_revoked_key_is_refused_once_the_cache_is_old(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CACHED_SECONDS", 0.0)
    assert sender.post(event()).status == 201
    sender.row.revoked = True
    sender.row.save()
    assert sender.post(event()).status == 401


def test_a_key_is_remembered_for_5_seconds_and_no_longer(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(memory.time, "monotonic", lambda: now[0])
    cache = memory.ShortMemory(keys.find_caller)
    cache.look_up(sender.key)
    now[0] = 104.9
    assert cache.get(sender.key) is not None
    now[0] = 105.0
    assert cache.get(sender.key) is None


async def test_many_who_come_with_one_key_ask_the_database_once() -> None:
    asked, go_on = [], threading.Event()

    def find(secret: str) -> str:
        asked.append(secret)
        assert go_on.wait(20)
        return secret.upper()

    lane, known = http.Lane(), memory.ShortMemory(find)
    some = [asyncio.create_task(lane._known(known, "a.key")) for _ in range(8)]
    await asyncio.to_thread(until, lambda: asked)
    go_on.set()
    assert await asyncio.gather(*some) == ["A.KEY"] * 8
    assert asked == ["a.key"]
    lane.pool.close()


async def test_who_waited_for_another_s_question_that_failed_asks_again() -> None:
    asked, go_on = [], threading.Event()

    def find(secret: str) -> str:
        asked.append(secret)
        assert go_on.wait(20)
        if len(asked) == 1:
            raise Refusal(503, "unavailable", "away")
        return secret.upper()

    lane, known = http.Lane(), memory.ShortMemory(find)
    some = [asyncio.create_task(lane._known(known, "a.key")) for _ in range(2)]
    await asyncio.to_thread(until, lambda: asked)
    go_on.set()
    first, second = await asyncio.gather(*some, return_exceptions=True)
    assert (getattr(first, "status", None), second) == (503, "A.KEY")
    lane.pool.close()


def test_an_unknown_key_is_never_remembered(sender: Sender) -> None:
    cache = memory.ShortMemory(keys.find_caller)
    with pytest.raises(Refusal):
        cache.look_up("abcdefgh.unknown")
    assert cache.get("abcdefgh.unknown") is None


def test_remembered_keys_are_bounded(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "REMEMBERED", 1)
    cache = memory.ShortMemory(keys.find_caller)
    _, other = make_key(sender.source)
    cache.look_up(sender.key)
    cache.look_up(other)
    assert cache.get(sender.key) is None and cache.get(other) is not None


def test_an_org_source_learns_nothing_about_other_orgs(sender: Sender) -> None:
    """Fault 29: a foreign org and one that does not exist get the same bytes."""
    other = OrgFactory()
    sent = event(event_id="e-1", org_id=other.external_id)
    foreign, unknown = sender.post(sent), sender.post({**sent, "org_id": "no-such-org"})
    assert foreign.status == 422 and foreign.error["code"] == "unknown_org"
    assert foreign.body == unknown.body
    assert events() == []


@pytest.mark.parametrize("named", ["", "no-such-org", 7, "nul\x00", "half \ud800", "x" * 300, {"a": 1}])
def test_a_platform_source_gets_unknown_org_for_what_does_not_exist(platform: Sender, named: Any) -> None:
    answer = platform.post([event(org_id=named, event_id="e-1")])
    (result,) = answer.json["results"]
    assert (result["status"], result["error"]["code"]) == ("invalid", "unknown_org")
    assert result["error"]["field"] == "items[0].org_id"


def test_a_source_heard_from_is_remembered(sender: Sender) -> None:
    sender.post(event())
    with scopes_disabled():
        assert list(SourceHeard.objects.values_list("org", "source")) == [(sender.source.org_id, sender.source.pk)]


def test_two_orgs_may_use_the_same_room_and_event_ids(sender: Sender) -> None:
    source = SourceFactory()
    _, key = make_key(source)
    sent = event()
    assert sender.post(sent).status == 201
    assert sender.post(sent, Authorization=f"Bearer {key}").status == 201
    assert {stored.org_id for stored in events()} == {sender.source.org_id, source.org_id}


def test_receipts_take_no_key(sender: Sender) -> None:
    assert sender.post([], RECEIPTS).status == 401


def test_who_is_to_come_later_is_told_later_and_holds_nothing(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: said at once, it is asked at once again, and the answers take the time of what could be stored."""
    monkeypatch.setattr(http, "HELD_FOR", 30.0)
    monkeypatch.setattr(http, "HELD_AT_ONCE", 1)
    _, key = make_key(sender.source, rate_per_minute=1)
    assert sender.post(event(), Authorization=f"Bearer {key}").status == 201
    body = json.dumps(event()).encode()
    head = f"POST {EVENTS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    lane = http.lane()
    with socket.create_connection(("127.0.0.1", sender.port)) as held:
        held.sendall(head.encode() + body)
        until(lambda: lane._held == 1)
        assert not lane.of_keys.open
        assert sender.post(event(), Authorization=f"Bearer {key}").status == 429  # nobody else is held
        assert sender.post(event()).status == 201
    until(lambda: lane._held == 0)  # it left
