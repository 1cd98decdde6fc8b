"""The outbox on real PostgreSQL against the real stand-in: what is sent, when again, and how it ends."""

import hashlib
import json
import random
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.delivery import notification_service, outbox
from alerts.delivery.finish import delay_of
from alerts.models import Alert, Gate, Push
from orgs.models import Assignment
from tests.factories import AlertFactory, AssignmentFactory, OrgFactory, PushFactory
from tests.outbox import NoJitter, fresh, posts, set_gate, sweep

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]


def test_sends_what_is_due(standins: Any) -> None:
    push = PushFactory()
    assert sweep() == 1
    row = fresh(push)
    assert (row.state, row.push, row.attempts) == ("sent", "queued", 1)
    assert row.notification_id.startswith("ntf_")
    assert row.sent_at is not None
    assert row.ended_at == row.sent_at
    assert (row.lease_token, row.lease_until, row.next_attempt_at) == (None, None, None)
    (request,) = posts(standins)
    assert request["signature_ok"]
    assert request["headers"]["Idempotency-Key"] == str(push.idempotency_key)
    assert request["body"] == json.loads(push.body)


def test_sends_nothing_twice(standins: Any) -> None:
    PushFactory()
    assert [sweep(), sweep()] == [1, 0]
    assert len(posts(standins)) == 1


def test_leaves_what_is_not_due(standins: Any) -> None:
    push = PushFactory(next_attempt_at=datetime.now(UTC) + timedelta(minutes=1))
    assert sweep() == 0
    assert fresh(push).state == "pending"


def test_min_age_leaves_what_has_only_just_become_due(standins: Any, clock: Any) -> None:
    PushFactory()
    assert outbox.sweep_outbox(min_age=2.0) == 0
    clock.advance(seconds=3)
    assert outbox.sweep_outbox(min_age=2.0) == 1


def test_no_phone_still_counts_as_sent(standins: Any) -> None:
    push = PushFactory()
    standins.tokens({push.supervisor.sso_id: 0})
    sweep()
    assert (fresh(push).state, fresh(push).push) == ("sent", "no_token")


def test_every_retry_sends_the_same_key_and_the_same_bytes(standins: Any, clock: Any) -> None:
    push = PushFactory()
    standins.behave("status", status=503, for_requests=3)
    for _ in range(4):
        sweep()
        clock.advance(seconds=16)
    requests = posts(standins)
    assert len(requests) == 4
    assert {row["headers"]["Idempotency-Key"] for row in requests} == {str(push.idempotency_key)}
    assert {row["body_sha256"] for row in requests} == {hashlib.sha256(push.body.encode()).hexdigest()}
    assert (fresh(push).state, fresh(push).attempts) == ("sent", 4)


def test_delays_of_the_retry_table() -> None:
    assert [delay_of(n, NoJitter()) for n in range(1, 10)] == [0, 5, 15, 30, 60, 120, 300, 300, 300]
    assert 0 <= delay_of(7, random.Random(1)) <= 300


def test_waits_as_long_as_the_table_says(standins: Any, clock: Any) -> None:
    push = PushFactory(attempts=2)
    standins.behave("status", status=500)
    sweep()
    row = fresh(push)
    assert (row.state, row.attempts, row.last_answer) == ("pending", 3, "500 from notification-service")
    assert row.next_attempt_at is not None
    left = row.next_attempt_at - datetime.now(UTC)
    assert timedelta(seconds=14) < left <= timedelta(seconds=15)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 301, 307])
def test_retries(standins: Any, status: int) -> None:
    push = PushFactory(attempts=1)
    standins.behave("status", status=status, for_requests=1)
    sweep()
    assert (fresh(push).state, fresh(push).attempts) == ("pending", 2)
    assert len(posts(standins)) == 1  # and a redirect was not followed


@pytest.mark.parametrize("status", [400, 422])
def test_refused_is_dead(standins: Any, status: int) -> None:
    push = PushFactory()
    standins.behave("status", status=status, for_requests=1)
    sweep()
    row = fresh(push)
    assert (row.state, row.ended_reason) == ("dead", "refused")
    assert row.last_answer.startswith(f"{status} from notification-service")
    assert row.ended_at is not None


def test_an_answer_that_is_not_the_contracts_is_retried(standins: Any) -> None:
    push = PushFactory(attempts=1)
    standins.behave("garbage", for_requests=1)
    sweep()
    assert fresh(push).state == "pending"
    assert "not the contract's" in fresh(push).last_answer


def test_a_cut_connection_is_retried(standins: Any) -> None:
    push = PushFactory(attempts=1)
    standins.behave("down", for_requests=1)
    sweep()
    assert fresh(push).state == "pending"
    assert fresh(push).last_answer == "no answer from notification-service: it cut the connection"


def test_a_dripping_answer_is_cut_at_the_deadline(standins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification_service, "DEADLINE", 0.5)
    push = PushFactory(attempts=1)
    standins.behave("drip", for_requests=1)
    sweep()
    assert fresh(push).state == "pending"
    assert fresh(push).last_answer == "no answer from notification-service: timed out after 0.5 s"


def test_an_unknown_host_is_retried(settings: Any) -> None:
    settings.NOTIFICATION_SERVICE_URL = "http://notification-service.invalid"
    push = PushFactory(attempts=1)
    sweep()
    assert fresh(push).state == "pending"
    assert fresh(push).last_answer.startswith("no answer from notification-service: ")


def test_a_black_hole_is_given_up_and_retried(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 21: whoever connects hears nothing, ever."""
    monkeypatch.setattr(notification_service, "DEADLINE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        settings.NOTIFICATION_SERVICE_URL = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        pushes = PushFactory.create_batch(3, attempts=1)
        began = time.monotonic()
        sweep()
        assert time.monotonic() - began < 5  # all at the same time
    assert {fresh(push).state for push in pushes} == {"pending"}
    assert {fresh(push).last_answer for push in pushes} == {
        "no answer from notification-service: timed out after 0.5 s"
    }


def test_the_first_retry_comes_at_once(standins: Any) -> None:
    push = PushFactory()
    standins.behave("down", for_requests=1)
    assert sweep() == 2
    assert (fresh(push).state, fresh(push).attempts) == ("sent", 2)


def test_gives_up_when_every_try_failed_while_others_got_through(standins: Any) -> None:
    push = PushFactory(attempts=8, planned_at=datetime.now(UTC) - timedelta(minutes=28))
    standins.behave("status", status=500, for_requests=1)
    sweep()
    assert (fresh(push).state, fresh(push).ended_reason, fresh(push).attempts) == ("dead", "gave_up", 9)


def test_an_outage_makes_nothing_dead(standins: Any) -> None:
    set_gate(failures=6, probing=True, reason="breaker")
    push = PushFactory(attempts=8, planned_at=datetime.now(UTC) - timedelta(minutes=28))
    standins.behave("status", status=500, for_requests=1)
    sweep()
    assert fresh(push).state == "pending"


def test_without_an_address_pushes_wait_and_it_shows(settings: Any) -> None:
    settings.NOTIFICATION_SERVICE_URL = ""
    push = PushFactory()
    assert sweep() == 0
    assert fresh(push).state == "pending"
    assert Gate.objects.get().reason == "configuration"


def test_with_an_address_again_it_goes_on(standins: Any, settings: Any) -> None:
    settings.NOTIFICATION_SERVICE_URL = ""
    PushFactory()
    sweep()
    settings.NOTIFICATION_SERVICE_URL = standins.url
    assert sweep() == 1
    assert Gate.objects.get().reason == ""


# --- checked again at the claim ------------------------------------------------------------------------------------


def cancelled(push: Push) -> str:
    row = fresh(push)
    assert row.state == "cancelled", row.state
    assert row.ended_at is not None
    assert row.next_attempt_at is None
    return row.ended_reason


def test_cancels_for_a_supervisor_who_was_removed(standins: Any) -> None:
    """Fault 44: removed between decision and send."""
    push = PushFactory()
    Assignment.objects.all().delete()
    sweep()
    assert cancelled(push) == "removed"
    assert posts(standins) == []


def test_cancels_for_a_person_who_is_no_longer_active(standins: Any) -> None:
    push = PushFactory()
    push.supervisor.is_active = False
    push.supervisor.save()
    sweep()
    assert cancelled(push) == "removed"


def test_cancels_what_a_newer_push_replaces(standins: Any) -> None:
    old = PushFactory()
    new = PushFactory(alert=old.alert, supervisor=old.supervisor, assignment=None, occurrence=2)
    sweep()
    assert cancelled(old) == "superseded"
    assert fresh(new).state == "sent"


def test_a_newer_push_that_was_skipped_replaces_nothing(standins: Any) -> None:
    old = PushFactory()
    PushFactory(
        alert=old.alert,
        supervisor=old.supervisor,
        assignment=None,
        occurrence=2,
        state="skipped",
        ended_reason="throttled",
        next_attempt_at=None,
    )
    sweep()
    assert fresh(old).state == "sent"


def test_cancels_what_is_older_than_half_an_hour(standins: Any, clock: Any) -> None:
    push = PushFactory()
    clock.advance(minutes=31)
    sweep()
    assert cancelled(push) == "expired"


@pytest.mark.parametrize("state", ["intervened", "resolved", "acknowledged"])
def test_cancels_what_nobody_needs_any_more(standins: Any, state: str) -> None:
    now = datetime.now(UTC)
    push = PushFactory(alert=AlertFactory(state=state, resolved_at=now if state == "resolved" else None))
    Alert.objects.update(acknowledged_at=datetime.now(UTC) if state == "acknowledged" else None)
    sweep()
    assert cancelled(push) == "no_longer_needed"


def test_what_was_planned_after_the_acknowledge_is_sent(standins: Any) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    push = PushFactory(alert=AlertFactory(state="acknowledged", acknowledged_at=before), reason="worsened")
    sweep()
    assert fresh(push).state == "sent"


def test_cancelled_pushes_do_not_use_up_the_bucket(standins: Any, settings: Any, clock: Any) -> None:
    settings.PUSH_RATE_PER_SECOND, settings.PUSH_BURST = 0.001, 1.0
    set_gate(tokens=1.0)
    old = PushFactory.create_batch(3)
    clock.advance(minutes=31)
    new = PushFactory(planned_at=datetime.now(UTC) + timedelta(minutes=30))
    assert sweep() == 1
    assert {cancelled(push) for push in old} == {"expired"}
    assert fresh(new).state == "sent"


# --- order and rate ------------------------------------------------------------------------------------------------


def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification_service, "IN_FLIGHT", 1)


def told(standins: Any) -> list[str]:
    return [row["body"]["recipient"]["sso_id"] for row in posts(standins)]


def test_critical_first(standins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one_at_a_time(monkeypatch)
    org = OrgFactory()
    early = datetime.now(UTC) - timedelta(minutes=2)
    info = PushFactory(alert=AlertFactory(org=org, severity="info"), planned_at=early)
    critical = PushFactory(alert=AlertFactory(org=org, severity="critical"))
    sweep()
    assert told(standins) == [critical.supervisor.sso_id, info.supervisor.sso_id]


def test_orgs_take_turns_then_the_oldest(standins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one_at_a_time(monkeypatch)
    storm, calm = AssignmentFactory(), AssignmentFactory()

    def push(assignment: Assignment, minutes: int) -> Push:
        planned_at = datetime.now(UTC) - timedelta(minutes=minutes)
        alert = AlertFactory(org=assignment.org)
        return PushFactory(alert=alert, assignment=None, supervisor=assignment.user, planned_at=planned_at)

    pushes = [push(storm, 9), push(storm, 8), push(storm, 7), push(calm, 1)]
    sweep()
    expected = [pushes[0], pushes[3], pushes[1], pushes[2]]
    assert [row["body"]["collapse_key"] for row in posts(standins)] == [str(one.alert_id) for one in expected]


def test_no_more_than_the_bucket_holds(standins: Any, settings: Any) -> None:
    settings.PUSH_RATE_PER_SECOND, settings.PUSH_BURST = 0.001, 3.0
    set_gate(tokens=3.0)
    PushFactory.create_batch(5)
    assert outbox.sweep_outbox(until=time.monotonic() + 0.5) == 3
    assert Push.objects.filter(state="pending").count() == 2
