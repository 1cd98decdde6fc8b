"""Months of runs in a minute, by bulk SQL: orgs, agents, runs evenly over the days, and their roll-ups as the writer
and the job that folds would have left them: the hour and the day that go on wait to be folded again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection

from alerts.tables import fetch
from runs.fold import AGENT_DAYS
from runs.recount import ENDED, RUN_BUCKET, RUN_SUMS
from runs.sums import NAMES


@dataclass(frozen=True)
class RunSize:
    """How much there is. 90 days of 15 orgs with 4 agents each, in two or three channels and four kinds of input."""

    runs: int = 1_000_000
    orgs: int = 15
    agents: int = 4  # of an org
    days: int = 90


def fill_runs(size: RunSize) -> None:
    """Make all of it. Needs a database without runs; orgs, agents and sources are made if there are none."""
    _orgs(size)
    with connection.cursor() as cursor:
        cursor.execute(SLOTS)
        cursor.execute("SELECT count(*) FROM run_slot")
        (slots,) = cursor.fetchone()
        with _few_indexes(cursor):
            cursor.execute(RUNS, {"runs": size.runs, "days": size.days, "slots": slots})
        cursor.execute("ANALYZE runs_agentrun")
        cursor.execute(HOURS)
        cursor.execute(DAYS)
        fetch(AGENT_DAYS, [[pk for (pk,) in fetch("SELECT id FROM runs_daykpi")]])
        cursor.execute(GOING_ON)
        cursor.execute("DROP TABLE run_slot")
        cursor.execute("VACUUM (ANALYZE)" if connection.get_autocommit() else "ANALYZE")


@contextmanager
def _few_indexes(cursor: Any) -> Iterator[None]:
    """Without the indexes of runs that no constraint needs: they are made afterwards, in one go each."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'runs_agentrun'"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = 'runs_agentrun'::regclass)"
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f"DROP INDEX {name}")
    yield
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table of which something is still to be checked takes no index
    for _, definition in found:
        cursor.execute(definition)


def _orgs(size: RunSize) -> None:
    from django_scopes import scopes_disabled

    from orgs.models import Agent, Org, Source

    with scopes_disabled():
        if Org.objects.exists():
            return
        orgs = Org.objects.bulk_create(Org(external_id=f"org-{n:03}", name=f"Org {n:03}") for n in range(size.orgs))
        Source.objects.bulk_create(Source(org=org, name="chatbot") for org in orgs)
        Agent.objects.bulk_create(Agent(org=org, name=f"agent-{n}") for n in range(size.agents) for org in orgs)


SLOTS = """
CREATE TEMP TABLE run_slot AS
SELECT row_number() OVER (ORDER BY agent.id) - 1 AS slot, agent.id AS agent_id, agent.org_id, source.id AS source_id
  FROM orgs_agent agent CROSS JOIN LATERAL (
       SELECT id FROM orgs_source WHERE org_id = agent.org_id ORDER BY id LIMIT 1) AS source
"""
# Run n is of agent n % slots. Its traits are parts of a hash of n, so that they depend on each other in no way.
RUNS = """
WITH made AS (
  SELECT n, slot.*, hashint8(n) AS h, hashint8(n + 77) AS g,
         date_trunc('second', live_now()) - (1 - n::float8 / %(runs)s) * interval '1 day' * %(days)s AS at
    FROM generate_series(1, %(runs)s) n
    JOIN run_slot slot ON slot.slot = n %% %(slots)s
), traits AS (
  SELECT *, 2 * exp(abs(h %% 1000) / 350.0) * (1 + slot %% 3) AS took,
         abs(g %% 100) AS part, abs(h / 1000 %% 100) AS other FROM made
)
INSERT INTO runs_agentrun (
  org_id, source_id, run_id, agent_id, agent_version, input_kind, channel, surface, room, started_at, ended_at,
  resolution, self_corrected, tokens_input, tokens_output, cost_usd, sla_target_seconds, touched, metadata, flags,
  altered, detected, review_count, review_sum, received_at, updated_at)
SELECT org_id, source_id, ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, agent_id,
       '2.' || floor(extract(epoch FROM at) / 2600000)::int %% 10,
       (ARRAY['ticket', 'order', 'faq', 'chat'])[1 + other %% 4],
       (ARRAY['whatsapp', 'whatsapp', 'web'])[1 + part %% 3], 'chatbot', 'room-' || n / 3, at,
       CASE WHEN other < 98 THEN at + took * interval '1 second' END,
       CASE WHEN other >= 98 THEN '' WHEN part < 80 + slot %% 10 THEN 'resolved' WHEN part < 94 THEN 'escalated'
            ELSE 'failed' END,
       part %% (7 + slot %% 4) = 0, 1000 + part * 20, 200 + other * 10,
       round((0.004 * (1 + slot %% 4) + part / 9000.0)::numeric, 5),
       CASE WHEN part < 75 THEN 20 END, CASE WHEN other < 60 THEN part >= 80 END,
       '{"shop_id": "hotrodan", "ticket_id": "T-9123"}', '{}', '{}', '{}', (other < 3)::int,
       CASE WHEN other < 3 THEN 3 + (part + slot) %% 3 ELSE 0 END, at + took * interval '1 second', at
  FROM traits
"""
_KEY = "org_id, agent_id, agent_version, channel, input_kind"
_AMOUNTS = ", ".join(NAMES)
_HOUR = "date_trunc('hour', started_at, 'UTC')"
# Each step is a table with its statistics, so that none is joined row by row to another.
HOURS = f"""
CREATE TEMP TABLE hour_bins AS
SELECT {_KEY}, hour, jsonb_object_agg(place, n) AS durations FROM (
  SELECT {_KEY}, {_HOUR} AS hour, {RUN_BUCKET} AS place, count(*) AS n
    FROM runs_agentrun run WHERE {ENDED} GROUP BY 1, 2, 3, 4, 5, 6, 7) AS bins
 GROUP BY 1, 2, 3, 4, 5, 6;
ANALYZE hour_bins;
CREATE TEMP TABLE hour_sums AS
SELECT * FROM (SELECT {_KEY}, {_HOUR}, {RUN_SUMS} FROM runs_agentrun run GROUP BY 1, 2, 3, 4, 5, 6)
    AS sums({_KEY}, hour, {_AMOUNTS});
ANALYZE hour_sums;
INSERT INTO runs_hourkpi ({_KEY}, hour, {_AMOUNTS}, durations, changes, folded, stale)
SELECT {_KEY}, hour, {_AMOUNTS}, coalesce(durations, '{{}}'), 1, 1, false
  FROM hour_sums LEFT JOIN hour_bins USING ({_KEY}, hour) ORDER BY hour;
DROP TABLE hour_bins, hour_sums;
ANALYZE runs_hourkpi;
"""
_OF_DAY = "(hour AT TIME ZONE zone)::date"
DAYS = f"""
CREATE TEMP TABLE day_bins AS
SELECT {_KEY}, zone, day, jsonb_object_agg(place, n) AS durations FROM (
  SELECT {_KEY}, zone, {_OF_DAY} AS day, bin.key AS place, sum(bin.value::bigint) AS n
    FROM runs_hourkpi JOIN orgs_org org ON org.id = org_id CROSS JOIN LATERAL jsonb_each(durations) AS bin
   GROUP BY 1, 2, 3, 4, 5, 6, 7, 8) AS bins
 GROUP BY 1, 2, 3, 4, 5, 6, 7;
ANALYZE day_bins;
CREATE TEMP TABLE day_sums AS
SELECT {_KEY}, zone, {_OF_DAY} AS day, {", ".join(f"sum({name}) AS {name}" for name in NAMES)}
  FROM runs_hourkpi JOIN orgs_org org ON org.id = org_id GROUP BY 1, 2, 3, 4, 5, 6, 7;
ANALYZE day_sums;
INSERT INTO runs_daykpi ({_KEY}, zone, day, {_AMOUNTS}, durations, changes, folded, stale, unsummed)
SELECT {_KEY}, zone, day, {_AMOUNTS}, coalesce(durations, '{{}}'), 1, 1, false, false
  FROM day_sums LEFT JOIN day_bins USING ({_KEY}, zone, day) ORDER BY day;
DROP TABLE day_bins, day_sums;
"""
GOING_ON = """
UPDATE runs_hourkpi SET changes = 2, stale = true WHERE hour = date_trunc('hour', live_now(), 'UTC');
UPDATE runs_daykpi SET changes = 2, stale = true, unsummed = true WHERE day = (live_now() AT TIME ZONE zone)::date;
"""
