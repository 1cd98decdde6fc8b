"""Faults 13-15, 23-30 of the lane: storms, repeats, an engine that is away, a full house. Each with its mutation.

The bodies of faults 23-27 are tested one by one in test_ingest_limits.py and test_ingest_items.py; here they come
together, while good traffic goes on.
"""

import gzip
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import psutil
import psycopg
import pytest
from django.db import OperationalError, connections
from django_scopes import scopes_disabled

from alerts import known
from alerts.items import Accepted, Result
from alerts.models import Push, Room
from console.ingest import http, memory, work
from console.ingest.together import Together
from orgs.models import Source
from runs import fold
from tests.conftest import Clock
from tests.factories import AssignmentFactory, without_limits
from tests.ingest_server import (
    ACTIVITY,
    EVENTS,
    REVIEWS,
    RUNS,
    Sender,
    activities,
    activity,
    ago,
    alerts,
    event,
    events,
    review,
    reviews,
    run,
    runs,
)
from tests.recount import roll_ups_are_true
from tests.stack import APART, database_url, until

pytestmark = pytest.mark.faults

MIB = 1024 * 1024
Batches = list[tuple[Source, list[Accepted]]]


def at_once(count: int, step: Callable[[int], Any]) -> list[Any]:
    """What `step` gave for 0..count-1, all begun together in 20 threads."""
    with ThreadPoolExecutor(20) as pool:
        return list(pool.map(step, range(count)))


def test_14_the_same_batch_100_times_at_once_is_one_row_each_and_one_alert(sender: Sender) -> None:
    """Mutation: without the unique constraint and judge_repeat this stores each event many times over."""
    AssignmentFactory(org=sender.source.org)
    batch = [event(event_id=f"e-{n}", signal="agent_error") for n in range(10)]
    answers = at_once(100, lambda _: sender.post(batch))
    assert {answer.status for answer in answers} == {207}
    statuses = Counter(status for answer in answers for status in answer.statuses)
    assert statuses == {"created": 10, "duplicate": 990}
    assert sorted(stored.event_id for stored in events()) == sorted(one["event_id"] for one in batch)
    (alert,) = alerts()
    assert alert.event_count == 10
    with scopes_disabled():
        assert Push.objects.count() == 1


def test_14_the_same_activity_100_times_at_once_is_one_row(sender: Sender) -> None:
    sent = activity()
    answers = at_once(100, lambda _: sender.post(sent, ACTIVITY))
    assert Counter(answer.status for answer in answers) == {201: 1, 200: 99}
    assert len(activities()) == 1


def test_14_the_same_runs_100_times_at_once_are_one_row_each_and_counted_once(sender: Sender) -> None:
    """Mutation: without the second try after a unique violation some of these answers are 503."""
    batch = [run() for _ in range(10)]
    answers = at_once(100, lambda turn: sender.post(batch if turn % 2 else batch[::-1], RUNS))
    assert {answer.status for answer in answers} == {207}
    statuses = Counter(status for answer in answers for status in answer.statuses)
    assert statuses == {"created": 10, "duplicate": 990}
    assert len(runs()) == 10
    with scopes_disabled():
        roll_ups_are_true()


def test_14_start_end_and_reviews_of_a_run_at_once_end_the_same(sender: Sender) -> None:
    whole = run()
    start = {name: value for name, value in whole.items() if name not in ("ended_at", "resolution")}
    posts = [(RUNS, start), (RUNS, whole)]
    posts += [(REVIEWS, review(run_id=whole["run_id"], reviewer=name)) for name in ("rina", "budi")]
    answers = at_once(40, lambda turn: sender.post(posts[turn % 4][1], posts[turn % 4][0]))
    assert {answer.status for answer in answers} == {200, 201}
    with scopes_disabled():
        fold.fold_all()
        roll_ups_are_true()
    (stored,) = runs()
    assert (stored.resolution, stored.review_count, stored.review_sum, len(reviews())) == ("resolved", 2, 8, 2)


def test_15_the_same_run_with_other_payloads_at_once_keeps_one_original(sender: Sender) -> None:
    sent = run(channel="c-0")
    answers = at_once(40, lambda n: sender.post({**sent, "channel": f"c-{n % 4}"}, RUNS))
    assert Counter(answer.status for answer in answers) == {201: 1, 200: 9, 409: 30}
    (stored,) = runs()
    assert sender.post({**sent, "channel": stored.channel}, RUNS).json["status"] == "duplicate"


def test_14_rooms_named_in_any_order_at_once_are_no_deadlock_for_the_sender(sender: Sender) -> None:
    """Mutation: rooms locked in the order sent, and no retry: some of these answers are 500 or 503."""
    without_limits(sender.source.org)

    def post(turn: int) -> int:
        rooms = [f"room-{n}" for n in range(8)]
        return sender.post([event(room_id=room) for room in (rooms if turn % 2 else reversed(rooms))]).status

    assert set(at_once(40, post)) == {207}
    with scopes_disabled():
        assert Room.objects.count() == len(alerts()) == 8


def test_15_the_same_id_with_other_payloads_at_once_keeps_one_original(sender: Sender) -> None:
    sent = event(event_id="e-1", channel="c-0")
    answers = at_once(40, lambda n: sender.post({**sent, "channel": f"c-{n % 4}"}))
    created = [answer for answer in answers if answer.status == 201]
    assert len(created) == 1
    assert Counter(answer.status for answer in answers) == {201: 1, 200: 9, 409: 30}
    (stored,) = events()
    assert sender.post({**sent, "channel": stored.channel}).json["status"] == "duplicate"


BAD_BODIES: list[tuple[bytes, dict[str, str | None], set[int]]] = [
    (b"{", {}, {400}),
    (b"\xff" * 1000, {}, {400}),
    (b"[" * MIB, {}, {400}),
    (b" " * (3 * MIB), {}, {413}),
    (gzip.compress(b" " * (64 * MIB)), {"Content-Encoding": "gzip"}, {413}),
    (b"[]", {"Content-Type": "application/json; charset=latin-1"}, {415}),
    (b'{"a":' + b"9" * 4301 + b"}", {}, {400}),
    (b'{"a": NaN}', {}, {400}),
    (b'{"a": 1, "a": 2}', {}, {400}),
    (b'{"event_id": "\\u0000", "confidence": 1e999}', {}, {422}),
]


@pytest.mark.parametrize(("path", "make"), [(EVENTS, event), (RUNS, run)])
def test_23_to_27_bad_bodies_leave_memory_flat_and_good_traffic_alone(
    sender: Sender, path: str, make: Callable[..., dict[str, Any]]
) -> None:
    """Mutation: a body collected whole before it is measured, or unpacked without a limit, grows by 64 MiB here."""
    process = psutil.Process()
    for body, headers, _ in BAD_BODIES:
        sender.send(path, body, headers=headers)  # what is allocated once is no growth
    before = process.memory_info().rss

    def post(turn: int) -> tuple[int, set[int]]:
        if turn % 2:
            return sender.post(make(room_id=f"room-{turn}"), path).status, {201}
        body, headers, expected = BAD_BODIES[turn // 2 % len(BAD_BODIES)]
        return sender.send(path, body, headers=headers).status, expected

    for status, expected in at_once(100, post):
        assert status in expected
    assert process.memory_info().rss - before < 64 * MIB
    assert len(events() if path == EVENTS else runs()) == 50


def test_28_no_time_however_odd_costs_more_than_its_item(sender: Sender) -> None:
    times = ["2026-05-04T10:00:00", ago(hours=-30), "1970-01-01T00:00:00Z", ago(hours=-2), ago(seconds=5)]
    answer = sender.post([event(occurred_at=time) for time in times])
    assert answer.statuses == ["invalid", "invalid", "invalid", "created", "created"]
    codes = [result["error"]["code"] for result in answer.json["results"] if "error" in result]
    assert codes == ["invalid_item", "in_the_future", "too_old"]
    assert [stored.clock_flagged for stored in events()] == [True, False]


def test_28_the_database_s_clock_is_the_one_that_counts(sender: Sender) -> None:
    clock = Clock()
    clock.advance(hours=-2)
    try:
        assert sender.post(event()).status == 201
    finally:
        clock.restore()
    assert [stored.clock_flagged for stored in events()] == [True]


def test_30_a_revoked_key_is_401_after_5_seconds_at_most(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., Any]
) -> None:
    """Mutation: a key cached without an end is never refused."""
    monkeypatch.setattr(memory, "CACHED_SECONDS", 0.3)
    assert sender.post(event()).status == 201
    sender.row.revoked = True
    sender.row.save()
    wait_for(lambda: sender.post(event()).status == 401)


@contextmanager
def recording(monkeypatch: pytest.MonkeyPatch, record: work.Record) -> Iterator[None]:
    """The lane with another action behind /api/failure-events."""
    with monkeypatch.context() as patched:
        patched.setitem(http.WRITES, EVENTS, work.Endpoint(EVENTS, work.EVENTS.kind, record))
        yield


def _failing(error: Exception, cause: Exception | None, times: int) -> work.Record:
    left = [times]

    def record(batches: Batches) -> list[list[Result]]:
        if left[0]:
            left[0] -= 1
            raise error from cause
        return work.EVENTS.record(batches)

    return record


@pytest.mark.parametrize("cause", [psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure])
def test_13_a_deadlock_is_tried_again(sender: Sender, monkeypatch: pytest.MonkeyPatch, cause: type) -> None:
    with recording(monkeypatch, _failing(OperationalError("deadlock"), cause(), times=2)):
        assert sender.post(event()).status == 201
    assert len(events()) == 1


def test_13_a_deadlock_without_end_is_503_with_retry_after(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    with recording(monkeypatch, _failing(OperationalError("x"), psycopg.errors.DeadlockDetected(), times=99)):
        answer = sender.post(event())
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "unavailable", "2")


@pytest.mark.parametrize(("path", "make"), [(EVENTS, event), (RUNS, run), (REVIEWS, review)])
def test_10_a_database_that_cuts_the_connections_is_503_and_then_recovers(
    sender: Sender, wait_for: Callable[..., Any], path: str, make: Callable[[], Any]
) -> None:
    sender.post(make(), path)
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' "
            "AND application_name <> %s",  # the browser tests' web process answers one page with 500 for each
            [APART],
        )
    sent = make()
    statuses: list[int] = []

    def stored() -> bool:
        statuses.append(sender.post(sent, path).status)
        return statuses[-1] == 201

    wait_for(stored)
    assert set(statuses) <= {201, 503}
    connections["default"].close()
    connections["default"].close_pool()  # else the next tests get the connections that were cut


def test_11_more_requests_than_may_wait_are_503_at_once(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: without the bound in Together.run every request waits for its group."""
    go_on, begun = threading.Event(), threading.Event()

    def record(batches: Batches) -> list[list[Result]]:
        begun.set()
        assert go_on.wait(20)
        return work.EVENTS.record(batches)

    narrow = Together("narrow", lambda group: work.write(http.WRITES[EVENTS], group), most=1, waiting=1)
    monkeypatch.setitem(http.lane().writes, EVENTS, narrow)
    sent = event()
    with recording(monkeypatch, record), ThreadPoolExecutor(1) as other:
        held = other.submit(sender.post, event())
        assert begun.wait(10)
        refused = sender.post(sent)
        go_on.set()
        assert held.result(20).status == 201
    assert (refused.status, refused.headers["retry-after"], refused.error["code"]) == (503, "1", "overloaded")
    assert sender.post(sent).status == 201


def test_a_body_that_is_one_item_is_never_judged_as_many(sender: Sender) -> None:
    answer = sender.send(EVENTS, json.dumps({"items": event()}).encode())
    assert (answer.status, answer.error["field"]) == (422, "items")


# --- requests that share a transaction -------------------------------------------------------------------------------


def with_a_group_of(
    senders: Sequence[Callable[[], Any]], monkeypatch: pytest.MonkeyPatch, record: work.Record
) -> list[Any]:
    """What `senders` answer when the others come while the request of the first is worked: they are one group."""
    begun, go_on = threading.Event(), threading.Event()

    def held(batches: Batches) -> list[list[Result]]:
        if not begun.is_set():
            begun.set()
            assert go_on.wait(20)
            return work.EVENTS.record(batches)
        return record(batches)

    together = http.lane().writes[EVENTS]
    with recording(monkeypatch, held), ThreadPoolExecutor(len(senders) + 1) as pool:
        first = pool.submit(senders[0])
        assert begun.wait(10)
        rest = [pool.submit(send) for send in senders[1:]]
        until(lambda: together.held == len(senders))
        go_on.set()
        return [one.result(30) for one in (first, *rest)]


def test_who_poisons_a_group_is_alone_with_it(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: without the second try each by itself, all of the group are 500."""
    groups: list[int] = []

    def record(batches: Batches) -> list[list[Result]]:
        groups.append(len(batches))
        if any(one.item.room_id == "poison" for _, accepted in batches for one in accepted):
            raise ZeroDivisionError
        return work.EVENTS.record(batches)

    rooms = ["first", "room-1", "poison", "room-2"]
    senders = [partial(sender.post, event(room_id=room)) for room in rooms]
    answers = with_a_group_of(senders, monkeypatch, record)
    assert [answer.status for answer in answers] == [201, 201, 500, 201]
    assert groups == [3, 1, 1, 1]
    assert sorted(stored.room.room_id for stored in events()) == ["first", "room-1", "room-2"]


def test_who_wants_a_room_that_is_held_waits_alone(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: without the lock timeout all of the group wait until the room is free."""
    monkeypatch.setattr(known, "LOCK_WAIT", 200)
    known._statement.cache_clear()
    sender.post([event(room_id="held"), event(room_id="free")])
    senders = [partial(sender.post, event(room_id=room)) for room in ("first", "free", "held", "free")]
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT 1 FROM alerts_room WHERE room_id = 'held' FOR UPDATE")
        answers = with_a_group_of(senders, monkeypatch, work.EVENTS.record)
    known._statement.cache_clear()
    assert [answer.status for answer in answers] == [201, 201, 503, 201]
    assert answers[2].headers["retry-after"] == "2"
    assert sorted(stored.room.room_id for stored in events()) == ["first", "free", "free", "free", "held"]


def test_of_one_group_each_gets_its_own_answer(
    sender: Sender, platform: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = sender.source.org.external_id
    sent = event(event_id="e-1")
    senders: list[Callable[[], Any]] = [
        partial(sender.post, event(room_id="first")),
        partial(sender.post, sent),
        partial(platform.post, {**sent, "org_id": org}),
        partial(sender.post, [event(), event(signal="no such"), event()]),
        partial(sender.send, EVENTS, b"{"),
        partial(platform.post, [{**event(), "org_id": org}, {**event(), "org_id": "another"}]),
    ]
    answers = with_a_group_of(senders, monkeypatch, work.EVENTS.record)
    assert [answer.status for answer in answers] == [201, 201, 201, 207, 400, 207]
    assert answers[3].statuses == ["created", "invalid", "created"]
    assert answers[5].statuses == ["created", "invalid"]
    again = [answer.status for answer in (sender.post(sent), sender.post({**sent, "channel": "other"}))]
    assert again == [200, 409]
    assert len(events()) == 6


def test_a_flood_of_one_source_fills_no_more_than_its_turns(
    sender: Sender, platform: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutation: one queue for all puts the other source's request behind the whole flood."""
    groups: list[list[int]] = []

    def record(batches: Batches) -> list[list[Result]]:
        groups.append([source.pk for source, _ in batches])
        return work.EVENTS.record(batches)

    monkeypatch.setattr(http.lane().writes[EVENTS], "_most", 3)
    quiet = partial(platform.post, {**event(), "org_id": sender.source.org.external_id})
    senders = [partial(sender.post, event(room_id=f"room-{n}")) for n in range(12)]
    answers = with_a_group_of([*senders, quiet], monkeypatch, record)
    assert {answer.status for answer in answers} == {201}
    assert platform.source.pk in groups[0] + groups[1]
    assert len(groups) == 4


def test_who_hangs_up_before_the_answer_is_stored_whole(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: a group that ends with its caller is lost, or a part of it is."""

    def hang_up() -> None:
        body = json.dumps([event(room_id=f"room-{n}") for n in range(3)]).encode()
        head = f"POST {EVENTS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {sender.key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", sender.port)) as connection:
            connection.sendall(head.encode() + body)
            lane = http.lane().writes[EVENTS]
            until(lambda: lane.held == 3 or any(one.room.room_id == "room-0" for one in events()))  # or it is over

    before, after = (partial(sender.post, event(room_id=room)) for room in ("before", "with it"))
    first, gone, stayed = with_a_group_of([before, hang_up, after], monkeypatch, work.EVENTS.record)
    assert (first.status, gone, stayed.status) == (201, None, 201)
    assert sorted(one.room.room_id for one in events()) == ["before", "room-0", "room-1", "room-2", "with it"]
