"""The claim at scale: what it reads of all that is due, in which order it takes it, and what holds up nobody."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.decide import PUSH_EXPIRES
from alerts.delivery import claim as claiming
from alerts.delivery.claim import claim
from alerts.delivery.gate import BATCH
from alerts.models import Push
from tests.factories import AlertFactory, AssignmentFactory, PushFactory
from tests.outbox import fresh, set_gate

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate", "standins")]
LIMIT = 200
# Copies of the pushes that are of alerts, each a second older than the one before.
COPIES = """
INSERT INTO alerts_push (id, org_id, supervisor_id, kind, occurrence, tier, reason, severity, state, ended_reason, body,
                         idempotency_key, planned_at, next_attempt_at, attempts, last_answer, notification_id, push,
                         failed_reason)
SELECT gen_random_uuid(), org_id, supervisor_id, 'test', 0, 1, 'test', severity, state, '', body, gen_random_uuid(),
       planned_at - n * interval '10 milliseconds', next_attempt_at, 0, '', '', '', ''
FROM alerts_push, generate_series(1, %s) AS n WHERE alert_id IS NOT NULL
"""


def copy(times: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(COPIES, [times])


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE alerts_push")


def facts(now: datetime) -> dict[str, Any]:
    return {"now": now, "due_by": now, "alive": now - PUSH_EXPIRES, "limit": LIMIT}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def plan_of_the_claim() -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + claiming.DUE, facts(datetime.now(UTC)))
        return list(nodes(cursor.fetchone()[0][0]["Plan"]))


@pytest.mark.slow
def test_of_100000_due_pushes_it_reads_what_it_takes() -> None:
    for severity in ("critical", "warning"):
        for _ in range(5):
            PushFactory(alert=AlertFactory(severity=severity))
    Push.objects.update(state="sent")
    copy(500)
    analyze()
    Push.objects.filter(alert__isnull=False).update(state="pending")
    copy(10_000)
    plans = plan_of_the_claim()  # as the planner has it whose figures are of before the storm
    analyze()
    for node in plans + plan_of_the_claim():
        if "push" in node.get("Relation Name", "") + node.get("Index Name", ""):
            read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            assert read <= 3 * LIMIT, {name: said for name, said in node.items() if name != "Plans"}
            assert node["Node Type"] != "Seq Scan"


def test_an_expired_push_holds_up_no_other_and_is_ended(clock: Any) -> None:
    old = PushFactory(alert=AlertFactory(severity="critical"))
    copy(2 * BATCH)
    clock.advance(minutes=40)
    late = [PushFactory(alert=AlertFactory(org=old.org), planned_at=datetime.now(UTC) + timedelta(minutes=40))]
    late += [PushFactory(alert=AlertFactory(severity="info"), planned_at=datetime.now(UTC) + timedelta(minutes=39))]
    set_gate(refilled_at=datetime.now(UTC) + timedelta(minutes=40))
    first = claim()
    assert [push.id for push in first.pushes] == [push.id for push in late]
    assert first.more
    assert Push.objects.filter(state="cancelled", ended_reason="expired").count() == BATCH
    while claim().more:
        pass
    assert fresh(old).ended_reason == "expired"
    assert not Push.objects.filter(state="pending").exists()


def test_a_new_push_of_another_org_waits_for_one_turn_of_those_before_it() -> None:
    storm = PushFactory(alert=AlertFactory(severity="warning"), planned_at=datetime.now(UTC) - timedelta(minutes=5))
    copy(3 * BATCH)
    critical = PushFactory(alert=AlertFactory(org=storm.org, severity="critical"))
    calm = PushFactory(alert=AlertFactory(severity="warning"))
    taken = [push.id for push in claim().pushes]
    assert len(taken) == BATCH
    assert taken[0] == critical.id
    assert taken.index(calm.id) == 2


def test_a_retry_that_is_not_due_yet_holds_up_no_younger_one() -> None:
    waits = PushFactory(
        planned_at=datetime.now(UTC) - timedelta(minutes=5), next_attempt_at=datetime.now(UTC) + timedelta(minutes=1)
    )
    assignment = AssignmentFactory(org=waits.org)
    younger = [
        PushFactory(alert=AlertFactory(org=waits.org), assignment=None, supervisor=assignment.user) for _ in range(2)
    ]
    assert [push.id for push in claim().pushes] == [push.id for push in younger]


def test_a_lease_that_ran_out_takes_its_turn_among_the_others(clock: Any) -> None:
    lost = PushFactory(alert=AlertFactory(severity="critical"))
    assert len(claim().pushes) == 1
    clock.advance(seconds=61)
    now = datetime.now(UTC) + timedelta(seconds=61)
    younger = PushFactory(alert=AlertFactory(severity="critical"), planned_at=now)
    info = PushFactory(alert=AlertFactory(severity="info"), planned_at=now - timedelta(minutes=5))
    assert [push.id for push in claim().pushes] == [lost.id, younger.id, info.id]


def test_a_claim_that_finds_nothing_asks_three_things_and_writes_nothing() -> None:
    PushFactory(state="sent", next_attempt_at=None)
    with CaptureQueriesContext(connection) as asked:
        assert not claim().pushes
    said = [one["sql"].split()[0] for one in asked if "SAVEPOINT" not in one["sql"]]
    assert [word for word in said if word not in ("BEGIN", "COMMIT")] == ["SELECT", "SELECT", "WITH"]
