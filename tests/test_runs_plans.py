"""What stores and folds runs asks the database where there are many: no big table is read from end to end."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from alerts.tables import fetch
from orgs.models import Source
from runs import fold, late, ledger, rooms, store, zones
from runs.items import ReviewItem, RunItem
from runs.store import store_review_batches, store_run_batches
from tests.factories import AgentFactory, OrgFactory, SourceFactory
from tests.test_runs_sums import accepted

BIG = {"runs_agentrun", "runs_agentqc", "runs_hourkpi", "runs_daykpi", "runs_agentday", "runs_purgedruns"}
BIG |= {"alerts_room", "alerts_roomactivity"}
MANY = 20_000
FILL = [
    """INSERT INTO runs_agentrun (org_id, source_id, run_id, agent_id, agent_version, input_kind, channel, surface,
         room, started_at, ended_at, resolution, metadata, flags, altered, detected, review_count, review_sum,
         received_at, updated_at)
       SELECT %(org)s, %(source)s, gen_random_uuid(), %(agent)s, '', 'chat', '', '', 'room-' || n,
         now() - n * interval '1 minute', now() - n * interval '1 minute', 'resolved', '{}', '{}', '{}', '{}', 0, 0,
         now() - n * interval '1 minute', now() FROM generate_series(1, %(many)s) n""",
    """INSERT INTO runs_agentqc (org_id, source_id, run_id, review_id, reviewer, reviewer_key, quality_score, rubric,
         notes, flags, payload_hash, at)
       SELECT %(org)s, %(source)s, gen_random_uuid(), 'r', '', '', 3, '{}', '', '{}', '', now() - interval '1 day'
       FROM generate_series(1, 4 * %(many)s) n""",
    """INSERT INTO alerts_room (org_id, room_id, label, channel, url, last_customer_text, state)
       SELECT %(org)s, 'room-' || n, '', '', '', '', 'bot' FROM generate_series(1, %(many)s) n""",
    """INSERT INTO alerts_roomactivity (org_id, source_id, activity_id, payload_hash, room_id, kind, actor_external_id,
         at, received_at, clock_flagged, undelivered)
       SELECT org_id, %(source)s, room_id, '', id, 'bot_message', '', now() - interval '1 day',
         now() - interval '1 day', false, false FROM alerts_room WHERE org_id = %(org)s""",
    """INSERT INTO runs_foldmark SELECT 1, (SELECT max(id) FROM runs_agentrun),
         (SELECT max(id) FROM alerts_roomactivity), (SELECT max(id) FROM runs_agentqc)""",
    """INSERT INTO runs_hourkpi (org_id, hour, agent_id, agent_version, channel, input_kind, durations, changes, folded,
         stale, {sums})
       SELECT %(org)s, date_trunc('hour', now()) - n * interval '1 hour', %(agent)s, '', '', 'chat', '{{}}', 1, 1,
         false, {zeros} FROM generate_series(1, %(many)s) n""",
    """INSERT INTO runs_daykpi (org_id, day, zone, agent_id, agent_version, channel, input_kind, durations, changes,
         folded, stale, unsummed, {sums})
       SELECT %(org)s, current_date - n, 'Asia/Jakarta', %(agent)s, '', '', 'chat', '{{}}', 1, 1, false, false, {zeros}
       FROM generate_series(1, %(many)s) n""",
    """INSERT INTO runs_agentday (org_id, day, zone, agent_id, durations, {sums})
       SELECT org_id, day, zone, agent_id, durations, {sums} FROM runs_daykpi""",
    """INSERT INTO runs_purgedruns (org_id, day, run_ids)
       SELECT %(org)s, current_date - n, ARRAY[gen_random_uuid()] FROM generate_series(0, %(many)s) n""",
    "ANALYZE",
]


@pytest.fixture
def source(db: None, system: None) -> Source:
    """A source of an org with a long past."""
    made: Source = SourceFactory(org=OrgFactory(zone="Asia/Jakarta"))
    agent = AgentFactory(org=made.org, name="Bot")
    values = {"org": made.org_id, "source": made.pk, "agent": agent.pk, "many": MANY}
    names = {"sums": ", ".join(ledger.NAMES), "zeros": ", ".join("0" for _ in ledger.NAMES)}
    with connection.cursor() as cursor:
        for statement in FILL:
            cursor.execute(statement.format(**names) if "{sums}" in statement else statement, values)
    return made


def read_whole(statement: str, parameters: Sequence[Any]) -> set[str]:
    """The big tables that the plan of a statement reads from end to end."""
    if statement.split()[0] not in ("SELECT", "WITH", "UPDATE", "DELETE", "INSERT"):
        return set()
    ((plan,),) = fetch("EXPLAIN (FORMAT JSON) " + statement, parameters)
    top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return {node["Relation Name"] for node in nodes(top) if node["Node Type"] == "Seq Scan"} & BIG


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


def test_nothing_that_stores_or_folds_runs_reads_a_big_table_from_end_to_end(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Sequence[Any]]] = []

    def recorded(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        asked.append((statement, parameters))
        return fetch(statement, parameters)

    for module in (fold, late, ledger, rooms, store, zones):
        if hasattr(module, "fetch"):
            monkeypatch.setattr(module, "fetch", recorded)
    now = datetime.now(UTC)
    start = [
        RunItem(
            run_id=uuid4(), agent_name="Bot", input_kind="chat", started_at=now - timedelta(hours=n), room_id="room-7"
        )
        for n in range(60)
    ]
    ends = [RunItem(run_id=one.run_id, ended_at=now, resolution="failed") for one in start[:5]]
    reviews = [ReviewItem(run_id=one.run_id, quality_score=4, reviewer="rina") for one in start]
    store_run_batches([(source, [accepted(one, source.org) for one in start])])
    store_run_batches([(source, [accepted(one, source.org) for one in ends])])
    store_review_batches([(source, [accepted(one, source.org) for one in reviews])])
    assert fold.fold_all() > 0
    assert len({statement for statement, _ in asked}) > 15
    found = [(table, said) for said, given in asked for table in read_whole(said, given)]
    assert not found, "\n\n".join(f"reads all of {table}: {said[:400]}" for table, said in found)
