"""Runs for tests, stored with their roll-ups."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django_scopes import scopes_disabled

from alerts.tables import fetch
from orgs.models import Agent, Org, Source
from runs.durations import bucket, merged
from runs.fold import AGENT_DAYS
from runs.models import AgentQc, AgentRun, DayKpi, HourKpi
from runs.sums import NAMES, RunFacts, amounts, total
from tests.factories import SourceFactory

numbers = itertools.count(1)
KEY = ("agent_id", "agent_version", "channel", "input_kind")


def run_of(
    org: Org, agent: Agent, source: Source, started_at: datetime, took: float | None = 42.0, **fields: Any
) -> AgentRun:
    """A run, not stored. `took`: seconds, None: it has not ended."""
    ended_at = None if took is None else started_at + timedelta(seconds=took)
    return AgentRun(
        **{
            "org": org,
            "agent": agent,
            "source": source,
            "run_id": UUID(int=next(numbers) + (1 << 64)),
            "input_kind": "ticket",
            "started_at": started_at,
            "ended_at": ended_at,
            "resolution": "resolved" if took is not None else "",
            "self_corrected": False,
            "received_at": started_at,
            "updated_at": started_at,
            **fields,
        }
    )


def facts(run: AgentRun) -> RunFacts:
    """What the figures need of a run."""
    return RunFacts(
        started_at=run.started_at,
        ended_at=run.ended_at,
        resolution=run.resolution,
        self_corrected=bool(run.self_corrected),
        tokens_input=run.tokens_input,
        tokens_output=run.tokens_output,
        cost_usd=run.cost_usd,
        sla_target_seconds=run.sla_target_seconds,
        overdue=run.overdue_at is not None,
        touched=run.touched,
        handoff_expected=run.handoff_expected,
        message_count=run.message_count,
        message_cap=run.message_cap,
        review_count=run.review_count,
        review_sum=run.review_sum,
    )


def stored(runs: Iterable[AgentRun], folded: bool = True) -> list[AgentRun]:
    """Store runs of agents that have none yet, and their roll-ups; `folded`: as the fold leaves them."""
    made = list(runs)
    with scopes_disabled():
        AgentRun.objects.bulk_create(made)
        hours: dict[Any, list[AgentRun]] = {}
        days: dict[Any, list[AgentRun]] = {}
        for run in made:
            key = (run.org_id, *(getattr(run, name) for name in KEY))
            hour = run.started_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            hours.setdefault((key, hour), []).append(run)
            days.setdefault((key, run.started_at.astimezone(ZoneInfo(run.org.zone)).date()), []).append(run)
        HourKpi.objects.bulk_create(HourKpi(hour=at, **_sums(key, group, folded)) for (key, at), group in hours.items())
        kept = DayKpi.objects.bulk_create(
            DayKpi(day=at, zone=group[0].org.zone, unsummed=not folded, **_sums(key, group, folded))
            for (key, at), group in days.items()
        )
        if folded:
            fetch(AGENT_DAYS, [[row.pk for row in kept]])
    return made


def _sums(key: tuple[Any, ...], runs: list[AgentRun], folded: bool) -> dict[str, Any]:
    ended = sum(run.ended_at is not None for run in runs)
    return {
        "org_id": key[0],
        **dict(zip(KEY, key[1:], strict=True)),
        **dict(zip(NAMES, total([amounts(facts(run)) for run in runs]), strict=True)),
        "durations": {str(place): n for place, n in histogram(runs).items()} if folded else {},
        "changes": ended,
        "folded": ended if folded else 0,
        "stale": bool(ended) and not folded,
    }


def histogram(runs: Iterable[AgentRun]) -> dict[int, int]:
    """How long these took."""
    return merged({bucket((run.ended_at - run.started_at).total_seconds()): 1} for run in runs if run.ended_at)


def made_run(org: Org, agent: Agent, started_at: datetime, **fields: Any) -> AgentRun:
    """One run, stored; of an agent without a run in that day."""
    return stored([run_of(org, agent, SourceFactory(org=org), started_at, **fields)])[0]


def reviewed(run: AgentRun, score: int, reviewer: str = "Dewi", **fields: Any) -> AgentQc:
    """A review as a row; the roll-ups are the caller's."""
    with scopes_disabled():
        return AgentQc.objects.create(
            org=run.org,
            source=run.source,
            run_id=run.run_id,
            quality_score=score,
            reviewer=reviewer,
            payload_hash=b"h",
            **{"review_id": f"review-{next(numbers)}", "at": run.started_at, **fields},
        )


COST = Decimal("0.00001")
