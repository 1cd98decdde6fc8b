"""The invariants I1-I6 of the outbox. Each test names the one mutation that turns it red."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from alerts import actions
from alerts.actions import stored_tellings
from alerts.delivery import notification_service, outbox
from alerts.delivery import sender as sending
from alerts.delivery.claim import LEASE, claim
from alerts.delivery.finish import finish
from alerts.delivery.message import idempotency_key
from alerts.delivery.sender import Finished, PushOutcome
from alerts.items import Accepted, EventItem, Handoff
from alerts.models import Alert, FailureEvent, Push, Room, Transition
from orgs.models import Source
from tests.factories import AlertFactory, AssignmentFactory, PushFactory, SourceFactory
from tests.outbox import NoJitter, fresh, posts, sweep

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]


def a_source() -> Source:
    """A source of an org that has somebody to tell."""
    return SourceFactory(org=AssignmentFactory().org)


def report(source: Source, event_id: str = "e-1") -> list[str]:
    """A failed handoff, as the lane hands it in after its checks; the status of its result."""
    item = EventItem(
        event_id=event_id,
        agent_name="Billing Bot",
        room_id="room-1",
        signal="unexpected_handoff",
        occurred_at=datetime.now(UTC),
        handoff=Handoff(completed=False),
    )
    assert source.org_id is not None
    accepted = Accepted(index=0, org_id=source.org_id, item=item, payload_hash=event_id.encode().ljust(32))
    return [result.status for result in actions.record_events(source, [accepted])]


def rows_seen_by_another_connection() -> tuple[int, int]:
    """Failure events and pushes, as a stranger to this transaction sees them."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
        found = other.execute(
            "SELECT (SELECT count(*) FROM alerts_failureevent), (SELECT count(*) FROM alerts_push)"
        ).fetchone()
    assert found is not None
    return found


@pytest.mark.django_db(transaction=True)
def test_i1_what_is_answered_with_2xx_is_committed() -> None:
    """I1. Mutation: in `record_events` return the results from a transaction that is left open."""
    assert report(a_source()) == ["created"]
    assert rows_seen_by_another_connection() == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_i2_event_decision_alert_and_push_share_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """I2. Mutation: take `transaction.atomic()` out of `record_events`."""
    source = a_source()

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the push cannot be written")

    monkeypatch.setattr(stored_tellings, "push_body", fail)
    with pytest.raises(RuntimeError):
        report(source)
    stored = [model.objects.count() for model in (FailureEvent, Room, Alert, Transition, Push)]
    assert stored == [0, 0, 0, 0, 0]


def test_i3_one_push_for_each_alert_supervisor_and_occurrence() -> None:
    """I3. Mutation: drop the constraint `push_alert_supervisor_occurrence`."""
    first = PushFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        PushFactory(alert=first.alert, supervisor=first.supervisor, assignment=None, occurrence=first.occurrence)


def test_i3_the_same_report_again_plans_nothing_new() -> None:
    """I3. Mutation: let `record_events` apply an event whose id it has seen."""
    source = a_source()
    assert [report(source), report(source)] == [["created"], ["duplicate"]]
    assert Push.objects.count() == 1


def test_i4_only_the_holder_of_the_lease_may_mark(standins: Any, clock: Any) -> None:
    """I4. Mutation: take `push.lease_token = done.token` out of FINISH."""
    push = PushFactory()
    (zombie,) = claim().pushes
    clock.advance(seconds=LEASE.total_seconds() + 1)
    (holder,) = claim().pushes
    accepted = PushOutcome("sent", "accepted", notification_id="ntf_1", push="queued")
    finish([Finished(zombie, PushOutcome("refused", "400"), 0.0)], NoJitter())
    assert fresh(push).state == "sending"
    finish([Finished(holder, accepted, 0.0)], NoJitter())
    assert fresh(push).state == "sent"


def test_i4_a_send_is_over_before_its_lease() -> None:
    """I4: the last start + deadline < task limit < lease. Mutation: raise DEADLINE, START_WITHIN or SWEEP_LASTS."""
    limit = settings.CELERY_TASK_TIME_LIMIT
    assert sending.START_WITHIN + notification_service.DEADLINE < limit < LEASE.total_seconds()
    assert limit > outbox.SWEEP_LASTS + notification_service.DEADLINE


def test_i4_nothing_is_sent_inside_a_transaction(standins: Any) -> None:
    """I4. Mutation: take `durable=True` out of `claim`, which lets a sweep run inside a transaction."""
    PushFactory()
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        sweep()
    assert posts(standins) == []


def test_i5_every_attempt_has_the_same_key_and_the_same_bytes(standins: Any, clock: Any) -> None:
    """I5. Mutation: put a fresh uuid4 in `Idempotency-Key`, or build the body when it is sent."""
    push = PushFactory()
    standins.behave("status", status=503, for_requests=2)
    for _ in range(3):
        sweep()
        Alert.objects.update(severity="info", customer_waiting_since=datetime.now(UTC))
        push.supervisor.locale = "id"
        push.supervisor.save()
        clock.advance(seconds=16)
    sent = [(row["headers"]["Idempotency-Key"], row["body_sha256"]) for row in posts(standins)]
    assert len(sent) == 3
    assert len(set(sent)) == 1
    assert sent[0][0] == str(idempotency_key(push.id))


def test_i6_every_push_ends_with_a_reason(standins: Any, clock: Any) -> None:
    """I6. Mutation: in `recheck` let an expired push go on, or leave `ended_reason` out of CANCEL or FINISH."""
    sent, refused, failing = PushFactory(), PushFactory(), PushFactory(attempts=3)
    PushFactory(alert=AlertFactory(state="intervened"))
    Push.objects.exclude(id=sent.id).filter(id=refused.id).update(next_attempt_at=_in(10))
    late = PushFactory(attempts=8, planned_at=datetime.now(UTC) - timedelta(minutes=28))  # others get through meanwhile
    Push.objects.filter(id__in=[failing.id, late.id]).update(next_attempt_at=_in(20))
    sweep()
    clock.advance(seconds=11)
    standins.behave("status", status=422)
    sweep()
    clock.advance(seconds=10)
    standins.behave("status", status=500)
    for _ in range(60):
        sweep()
        clock.advance(seconds=40)
    assert fresh(sent).state == "sent"
    ends = {(push.state, push.ended_reason) for push in Push.objects.exclude(id=sent.id)}
    assert ends <= {
        ("dead", "refused"),
        ("dead", "gave_up"),
        ("cancelled", "expired"),
        ("cancelled", "no_longer_needed"),
    }
    assert {("dead", "refused"), ("dead", "gave_up")} <= ends
    assert not Push.objects.filter(ended_at=None).exists()


def test_i6_a_dead_push_can_be_replayed(standins: Any, clock: Any) -> None:
    """I6. Mutation: leave `planned_at` out of `replay`, or give it a new key."""
    push = PushFactory()
    standins.behave("status", status=400, for_requests=1)
    sweep()
    clock.advance(minutes=40)
    outbox.replay(push.id)
    sweep()
    row = fresh(push)
    assert (row.state, row.ended_reason, row.attempts) == ("sent", "", 1)
    assert len({request["headers"]["Idempotency-Key"] for request in posts(standins)}) == 1


def test_replay_takes_dead_pushes_only(standins: Any) -> None:
    push = PushFactory()
    sweep()
    with pytest.raises(outbox.NotDead):
        outbox.replay(push.id)
    assert fresh(push).state == "sent"


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
