"""Faults 3-5, 18-20 and 22 in the outbox: lost processes, a service that is away, and how it comes back."""

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.db import connection

from alerts.delivery import notification_service, outbox
from alerts.delivery import sender as sending
from alerts.delivery.claim import claim
from alerts.delivery.finish import finish
from alerts.delivery.sender import Finished, PushOutcome
from alerts.models import Gate, Push
from tests.factories import PushFactory
from tests.outbox import NoJitter, fresh, posts, set_gate, sweep

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]
SENT = PushOutcome("sent", "accepted", notification_id="ntf_zombie", push="queued")


def seconds_closed() -> float:
    until = Gate.objects.get().closed_until
    assert until is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM %s - live_now())", [until])
        return float(cursor.fetchone()[0])


@pytest.fixture
def one_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification_service, "IN_FLIGHT", 1)


# --- processes that die or stop ------------------------------------------------------------------------------------


def test_what_a_dead_process_had_claimed_goes_out_when_its_lease_ends(standins: Any, clock: Any) -> None:
    """Fault 4."""
    push = PushFactory()
    assert len(claim().pushes) == 1
    assert sweep() == 0
    clock.advance(seconds=61)
    assert sweep() == 1
    assert (fresh(push).state, fresh(push).attempts) == ("sent", 2)


def test_what_was_accepted_but_not_written_down_goes_again_under_the_same_key(standins: Any, clock: Any) -> None:
    """Fault 5: it dedups."""
    push = PushFactory()
    sweep()
    Push.objects.update(state="sending", lease_until=datetime.now(UTC), sent_at=None)
    clock.advance(seconds=61)
    sweep()
    first, second = posts(standins)
    assert [first["duplicate"], second["duplicate"]] == [False, True]
    assert fresh(push).state == "sent"


def test_a_zombie_cannot_mark_what_another_has_claimed_since(standins: Any, clock: Any) -> None:
    push = PushFactory()
    (zombies,) = claim().pushes
    clock.advance(seconds=61)
    (ours,) = claim().pushes
    changed, _ = finish([Finished(zombies, SENT, time.monotonic())], NoJitter())
    assert changed == []
    assert (fresh(push).state, fresh(push).lease_token) == ("sending", ours.token)
    assert fresh(push).notification_id == ""


def test_what_its_process_may_have_sent_says_so_when_it_is_cancelled(standins: Any, clock: Any) -> None:
    push = PushFactory()
    claim()
    clock.advance(minutes=31)
    sweep()
    row = fresh(push)
    assert (row.state, row.ended_reason) == ("cancelled", "expired")
    assert "may have arrived" in row.last_answer


def test_no_send_starts_long_after_its_claim(standins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "START_WITHIN", -1.0)
    push = PushFactory()
    assert outbox.sweep_outbox(until=time.monotonic() + 0.2) == 0
    assert (fresh(push).state, fresh(push).attempts) == ("pending", 0)
    assert posts(standins) == []


def test_told_to_stop_it_gives_back_what_it_has_not_begun(standins: Any, one_in_flight: None) -> None:
    PushFactory.create_batch(3)
    stop = threading.Event()
    stop.set()
    attempts = outbox.sweep_outbox(stop=stop)
    assert attempts <= 1
    assert Push.objects.filter(state="pending", attempts=0).count() >= 2
    assert not Push.objects.filter(state="sending").exists()


def test_told_to_stop_it_does_not_wait_for_ever(standins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "STOP_PATIENCE", 0.3)
    standins.behave("slow", delay_ms=30_000, for_requests=1)
    push = PushFactory()
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    outbox.sweep_outbox(stop=stop)
    assert time.monotonic() - began < 15
    assert fresh(push).state == "sending"  # the lease runs out, then the same key goes again


@pytest.mark.django_db(transaction=True)
def test_sweeps_at_once_send_each_push_once(standins: Any) -> None:
    set_gate(tokens=1000.0)
    PushFactory.create_batch(60)

    def one() -> None:
        try:
            outbox.sweep_outbox()
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = [row["headers"]["Idempotency-Key"] for row in posts(standins)]
    assert len(keys) == len(set(keys)) == 60
    assert Push.objects.filter(state="sent", attempts=1).count() == 60


# --- the service is away, busy, or does not know us ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(120, 120), ("1e9", 3600), (1_000_000_000, 3600), ("0", 1)],
)
def test_retry_after_pauses_all(standins: Any, one_in_flight: None, clock: Any, retry_after: Any, seconds: int) -> None:
    """Fault 18."""
    pushes = PushFactory.create_batch(3)
    standins.behave("status", status=429, retry_after=retry_after, for_requests=1)
    sweep()
    assert len(posts(standins)) == 1
    assert Gate.objects.get().reason == "retry_after"
    assert seconds - 2 < seconds_closed() <= seconds
    assert sweep() == 0
    if seconds < 1800:
        clock.advance(seconds=seconds + 1)
        sweep()
        assert {fresh(push).state for push in pushes} == {"sent"}


def test_retry_after_as_a_date(standins: Any) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    PushFactory()
    standins.behave("status", status=503, retry_after=date, for_requests=1)
    sweep()
    assert 85 < seconds_closed() <= 90


def test_retry_after_that_is_garbage_is_an_ordinary_failure(standins: Any) -> None:
    push = PushFactory(attempts=1)
    standins.behave("status", status=429, retry_after="in a while", for_requests=1)
    sweep()
    assert Gate.objects.get().closed_until is None
    assert fresh(push).state == "pending"


def test_unauthorized_holds_all_and_burns_nothing(standins: Any, one_in_flight: None, clock: Any) -> None:
    pushes = PushFactory.create_batch(3)
    standins.behave("status", status=401, for_requests=2)
    sweep()
    assert len(posts(standins)) == 1
    assert [(fresh(push).state, fresh(push).attempts) for push in pushes] == [("pending", 0)] * 3
    assert Gate.objects.get().reason == "configuration"
    assert 55 < seconds_closed() <= 60
    clock.advance(seconds=61)
    assert sweep() == 1  # the probe, refused again
    clock.advance(seconds=61)
    assert sweep() == 3
    assert {fresh(push).state for push in pushes} == {"sent"}
    assert Gate.objects.get().reason == ""


def test_five_failures_in_a_row_close_the_gate_and_one_probe_opens_it(
    standins: Any, one_in_flight: None, clock: Any
) -> None:
    pushes = PushFactory.create_batch(8, attempts=1)
    standins.behave("down", for_requests=6)
    sweep()
    assert len(posts(standins)) == 5
    assert Gate.objects.get().reason == "breaker"
    clock.advance(seconds=6)
    assert sweep() == 1
    assert len(posts(standins)) == 6  # the probe failed
    assert 6 < seconds_closed() <= 10
    clock.advance(seconds=61)
    for _ in range(3):
        sweep()
        clock.advance(seconds=20)
    assert {fresh(push).state for push in pushes} == {"sent"}
    assert Gate.objects.get().failures == 0


def test_while_the_gate_is_closed_nothing_is_sent(standins: Any) -> None:
    set_gate(closed_until=datetime.now(UTC) + timedelta(minutes=1), reason="breaker", probing=True)
    PushFactory()
    assert sweep() == 0
    assert posts(standins) == []


def test_an_hour_away_every_push_ends(standins: Any, clock: Any) -> None:
    """Fault 19: delivered or expired; nothing retries for ever, nothing is sent stale."""
    stale = PushFactory.create_batch(5)
    standins.behave("down")
    for _ in range(4):
        sweep()
        clock.advance(minutes=9)
    standins.behave("ok")
    clock.advance(minutes=30)
    young = PushFactory(planned_at=datetime.now(UTC) + clock.offset)
    for _ in range(3):
        sweep()
        clock.advance(seconds=30)
    assert {fresh(push).state for push in stale} == {"cancelled"}
    assert fresh(young).state == "sent"


def test_a_huge_answer_is_read_to_64_kb_only(settings: Any, huge_answer_url: str) -> None:
    """Fault 22."""
    settings.NOTIFICATION_SERVICE_URL = huge_answer_url
    push = PushFactory(attempts=1)
    began = time.monotonic()
    sweep()
    assert time.monotonic() - began < 5
    assert fresh(push).state == "pending"
    assert "not the contract's" in fresh(push).last_answer


@pytest.fixture
def huge_answer_url() -> Any:
    """A server that answers 200 with a gigabyte, as long as somebody reads it."""
    import socket

    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        taken, _ = server.accept()
        with taken:
            taken.recv(65536)
            taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            try:
                while True:
                    taken.sendall(b"x" * 65536)
            except OSError:
                return  # the reader has had enough

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    thread.join(10)
    server.close()
    assert not thread.is_alive()


@pytest.mark.django_db(transaction=True)
def test_a_slow_answer_holds_up_nothing_that_was_planned_meanwhile(
    standins: Any, wait_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "STOP_PATIENCE", 0.3)
    standins.behave("slow", delay_ms=30_000, for_requests=1)
    slow, stop = PushFactory(), threading.Event()

    def one() -> None:
        try:
            outbox.sweep_outbox(stop=stop)
        finally:
            connection.close()

    sweeping = threading.Thread(target=one)
    sweeping.start()
    try:
        wait_for(lambda: fresh(slow).state == "sending", 10)
        meanwhile = PushFactory()
        wait_for(lambda: fresh(meanwhile).state == "sent", 15)
        assert fresh(slow).state == "sending"
    finally:
        stop.set()
        sweeping.join()
