"""The plain recount of runs, which the roll-ups must equal: SQL over the raw rows, formulas as kpis.md says them."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from django.db import connection

from runs.durations import bucket, merged
from runs.models import AgentDay, DayKpi, HourKpi
from runs.sums import NAMES

COUNT = """
SELECT {period}, run.org_id, run.agent_id, run.agent_version, run.channel, run.input_kind,
       count(*),
       count(ended_at),
       count(ended_at) FILTER (WHERE resolution = 'resolved'),
       count(ended_at) FILTER (WHERE resolution = 'escalated'),
       count(ended_at) FILTER (WHERE resolution = 'failed'),
       count(ended_at) FILTER (WHERE resolution = 'escalated' AND handoff_expected),
       count(ended_at) FILTER (WHERE resolution = 'escalated' AND handoff_expected IS NOT TRUE
                               AND message_count >= message_cap),
       count(*) FILTER (WHERE self_corrected),
       coalesce(sum(extract(epoch FROM ended_at - started_at) * 1000000), 0),
       count(*) FILTER (WHERE sla_target_seconds IS NOT NULL AND (ended_at IS NOT NULL OR overdue_at IS NOT NULL)),
       count(*) FILTER (WHERE ended_at <= started_at + make_interval(secs => sla_target_seconds)),
       count(cost_usd),
       coalesce(sum(cost_usd), 0),
       count(ended_at) FILTER (WHERE touched IS NOT NULL),
       count(ended_at) FILTER (WHERE touched IS FALSE AND resolution = 'resolved'),
       coalesce(sum(tokens_input), 0),
       coalesce(sum(tokens_output), 0),
       count(score),
       coalesce(sum(score), 0)
FROM runs_agentrun run JOIN orgs_org org ON org.id = run.org_id
LEFT JOIN (SELECT org_id, run_id, round(avg(quality_score), 6) AS score
           FROM runs_agentqc WHERE replaced_at IS NULL GROUP BY 1, 2) qc USING (org_id, run_id)
GROUP BY 1, 2, 3, 4, 5, 6
"""
TOOK = """
SELECT {period}, run.org_id, run.agent_id, run.agent_version, run.channel, run.input_kind,
       extract(epoch FROM ended_at - started_at)::float8
FROM runs_agentrun run JOIN orgs_org org ON org.id = run.org_id WHERE ended_at IS NOT NULL
"""
PERIODS = {
    HourKpi: ("hour", "date_trunc('hour', started_at, 'UTC')"),
    DayKpi: ("day", "(started_at AT TIME ZONE org.zone)::date"),
}
Sums = dict[tuple[Any, ...], dict[str, Any]]


def recounted(model: Any) -> Sums:
    """What the raw rows add up to, by key; the amounts by name."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT.format(period=PERIODS[model][1]))
        return {row[:6]: dict(zip(NAMES, row[6:], strict=True)) for row in cursor.fetchall()}


def kept(model: Any) -> Sums:
    """What the roll-up holds, by key; a key that no run has any more holds nothing and is left out."""
    found = {}
    for row in model.objects.all():
        amounts = {name: getattr(row, name) for name in NAMES}
        if row.runs == 0:
            assert not any(amounts.values())
            continue
        assert model is HourKpi or row.zone == row.org.zone
        found[key_of(model, row)] = amounts
    return found


def key_of(model: Any, row: Any) -> tuple[Any, ...]:
    period = getattr(row, PERIODS[model][0])
    return period, row.org_id, row.agent_id, row.agent_version, row.channel, row.input_kind


def recounted_durations(model: Any) -> Mapping[tuple[Any, ...], dict[int, int]]:
    """How many runs took about so long, by key."""
    found: dict[tuple[Any, ...], Counter[int]] = defaultdict(Counter)
    with connection.cursor() as cursor:
        cursor.execute(TOOK.format(period=PERIODS[model][1]))
        for *key, seconds in cursor.fetchall():
            found[tuple(key)][bucket(seconds)] += 1
    return {key: dict(counts) for key, counts in found.items()}


def kept_durations(model: Any) -> Mapping[tuple[Any, ...], dict[int, int]]:
    """What the roll-up says of that."""
    rows = [row for row in model.objects.all() if row.durations]
    return {key_of(model, row): {int(place): n for place, n in row.durations.items()} for row in rows}


def roll_ups_are_true() -> None:
    """Assert that hours and days are what a recount finds, and agents' days what their days add up to."""
    for model in (HourKpi, DayKpi):
        assert kept(model) == recounted(model)
    agent_days_are_true()


def agent_days_are_true() -> None:
    """Assert that an agent's day is the sum of its days, unless one of them says that it is not."""
    days: dict[tuple[Any, ...], list[DayKpi]] = defaultdict(list)
    for row in DayKpi.objects.all():
        days[row.org_id, row.day, row.agent_id, row.zone].append(row)
    found = {(row.org_id, row.day, row.agent_id, row.zone): row for row in AgentDay.objects.all()}
    assert found.keys() <= days.keys()
    for key, rows in days.items():
        if any(row.stale or row.unsummed for row in rows):
            continue
        assert {name: getattr(found[key], name) for name in NAMES} == {
            name: sum(getattr(row, name) for row in rows) for name in NAMES
        }
        assert found[key].durations == merged(row.durations for row in rows)
