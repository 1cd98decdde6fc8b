"""What a post says stands where it belongs. Many runs go as COPY's binary, few as JSON: what is stored is the same."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from alerts.items import Accepted
from orgs.models import Org
from runs.items import RunItem
from runs.ledger import COLUMNS, RUNS
from runs.merge import new_run
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


def test_each_field_of_a_new_run_stands_under_its_name() -> None:
    now = START + timedelta(days=9000)
    item = RunItem(
        UUID(int=1), "Bot", "chat", now - timedelta(minutes=2), now - timedelta(minutes=1), "resolved", True, 1, 2, 0.5,
        3, {"shop": 1}, None, "r-1", "v7", "web", 0.25, 4, 5, False, None, "runbook",
    )  # fmt: skip
    row = new_run(Accepted(0, 17, item, b"", flags=["masked"], altered={"channel": "ab"}), 23, now)
    names = {"room_id": "room"}
    sent = {names.get(name, name): getattr(item, name) for name in RunItem.__struct_fields__ if name != "org_id"}
    own = {"org_id": 17, "source_id": 23, "received_at": now, "updated_at": now, "id": 0, "agent_id": 0}
    assert {name: getattr(row, name) for name in sent | own} == sent | own
    assert (row.flags, row.altered, row.touched, row.due_at) == (["masked"], {"channel": "ab"}, None, None)
    said = new_run(
        Accepted(0, 17, msgspec.structs.replace(item, human_touched=True, handoff_expected=None), b""), 23, now
    )
    assert (said.human_touched, said.touched, said.handoff_expected) == (True, True, None)


def _stored() -> list[tuple[Any, ...]]:
    names = ["run_id", *(name for name in COLUMNS if name != "run_id")]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(names)} FROM runs_agentrun ORDER BY run_id")
        return cursor.fetchall()
