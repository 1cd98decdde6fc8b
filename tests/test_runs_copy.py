"""Many runs go as COPY's binary, few as a JSON document: what is stored is the same."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from orgs.models import Org
from runs.ledger import COLUMNS, RUNS
from runs.models import AgentRun
from runs.rows import RunRow
from tests.factories import AgentFactory, SourceFactory

START = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)  # before COPY's own beginning of time
SAID: list[dict[str, Any]] = [
    {},
    {"ended_at": START + timedelta(days=9000, microseconds=1), "resolution": "resolved", "self_corrected": False},
    {"cost_usd": Decimal("0.00001"), "tokens_input": 2**63 - 1, "tokens_output": 0, "confidence": 0.1},
    {"cost_usd": Decimal("9999999.99999"), "message_count": 2**31 - 1, "message_cap": 0, "confidence": 1.0},
    {"cost_usd": Decimal(0), "sla_target_seconds": 1, "human_touched": True, "touched": False, "due_at": START},
    {"metadata": {"toko": "Ibu Sari ☕", "a": [1, None, {"b": 0.5}]}, "room": "kamar-😀", "channel": "línea"},
    {"flags": ["clock", "masked"], "altered": {"metadata.x": "ab"}, "detected": ["agent_error"], "review_count": 2},
    {"flags": [], "metadata": {}, "overdue_at": START, "review_sum": 9, "handoff_expected": True, "surface": "runbook"},
]


def test_a_copy_stores_what_an_insert_stores(system: None, org: Org) -> None:
    agent, source = AgentFactory(org=org), SourceFactory(org=org)
    ids = {"org_id": org.pk, "source_id": source.pk, "agent_id": agent.pk}
    times = {"started_at": START, "received_at": START, "updated_at": START}
    rows = [
        RunRow(**ids, **times, run_id=UUID(int=n), input_kind=f"kind {n % 3}", **said)
        for n, said in enumerate(SAID * 8)
    ]
    RUNS.copy(rows)
    copied = _stored()
    AgentRun.objects.all().delete()
    RUNS.insert(rows)
    assert copied == _stored()
    assert len(copied) == len(rows)
    assert [UUID(str(run_id)) for run_id, *_ in copied] == [row.run_id for row in rows]


def _stored() -> list[tuple[Any, ...]]:
    names = ["run_id", *(name for name in COLUMNS if name != "run_id")]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(names)} FROM runs_agentrun ORDER BY run_id")
        return cursor.fetchall()
