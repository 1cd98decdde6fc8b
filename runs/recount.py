"""What runs add up to, in SQL: the same amounts as `runs.sums.amounts`, for rows `run` of runs_agentrun."""

from collections.abc import Mapping

from runs.durations import BUCKET_SQL
from runs.sums import NAMES

TOOK = "run.ended_at - run.started_at"
ENDED = "run.ended_at IS NOT NULL"
_ESCALATED = f"{ENDED} AND run.resolution = 'escalated'"
_CAPPED = "run.handoff_expected IS NOT TRUE AND run.message_count >= run.message_cap"
_HAS_TARGET = "run.sla_target_seconds IS NOT NULL"

# Conditions under which a run adds 1; of the others what it adds, NULL for nothing.
_COUNTS: Mapping[str, str] = {
    "runs": "true",
    "ended": ENDED,
    "resolved": f"{ENDED} AND run.resolution = 'resolved'",
    "escalated": _ESCALATED,
    "failed": f"{ENDED} AND run.resolution = 'failed'",
    "escalated_expected": f"{_ESCALATED} AND run.handoff_expected",
    "escalated_cap": f"{_ESCALATED} AND {_CAPPED}",
    "self_corrected": "run.self_corrected",
    "sla_counted": f"{_HAS_TARGET} AND ({ENDED} OR run.overdue_at IS NOT NULL)",
    "sla_hit": f"{ENDED} AND {TOOK} <= run.sla_target_seconds * interval '1 second'",
    "cost_known": "run.cost_usd IS NOT NULL",
    "touched_known": f"{ENDED} AND run.touched IS NOT NULL",
    "untouched_resolved": f"{ENDED} AND run.resolution = 'resolved' AND run.touched IS FALSE",
    "reviewed": "run.review_count > 0",
}
_MICROSECONDS = f"(extract(epoch FROM {TOOK}) * 1000000)::bigint"
_ADDS: Mapping[str, str] = {
    "duration_us": _MICROSECONDS,
    "cost_usd": "run.cost_usd",
    "tokens_input": "run.tokens_input",
    "tokens_output": "run.tokens_output",
    "quality": "round(run.review_sum::numeric / nullif(run.review_count, 0), 6)",
}


def _amount(name: str) -> str:
    if name in _COUNTS:
        return f"count(*) FILTER (WHERE {_COUNTS[name]})"
    return f"coalesce(sum({_ADDS[name]}), 0)"


RUN_SUMS = ", ".join(map(_amount, NAMES))
RUN_BUCKET = BUCKET_SQL.replace("duration_us", _MICROSECONDS)
