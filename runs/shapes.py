"""What the API says of runs and their figures."""

from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, UnsetType

from orgs.shapes import Amount, Shape, UtcTime, Whole, about, one_of
from runs.models import AgentRun

Share = Annotated[Amount | None, about("A percentage from 0 to 100. Null: no data.")]


class RunReviewPart(Shape):
    """A review of a run."""

    review_id: str
    reviewer: str | None
    quality_score: Whole
    rubric: dict[str, int]
    notes: str | None
    at: UtcTime


class RunShape(Shape):
    """One run of an agent, as stored: masked, and no time after its receipt."""

    run_id: UUID
    org_id: str
    agent_name: str
    agent_version: str | None
    input_kind: str
    channel: str | None
    surface: Annotated[str, one_of(AgentRun.Surface.values)] | None
    room_id: str | None
    started_at: UtcTime
    ended_at: UtcTime | None
    resolution: Annotated[str, one_of(AgentRun.Resolution.values)] | None
    self_corrected: Annotated[bool | None, about("Null was not said, and counts as false.")]
    tokens_input: Whole | None
    tokens_output: Whole | None
    cost_usd: Annotated[str | None, about("A decimal with 5 places.")]
    sla_target_seconds: Whole | None
    confidence: Amount | None
    message_count: Whole | None
    message_cap: Whole | None
    handoff_expected: bool | None
    human_touched: Annotated[bool | None, about("The run's own word.")]
    metadata: dict[str, Any]
    received_at: UtcTime
    updated_at: UtcTime
    duration_seconds: Annotated[Amount | None, about("Null while it is open.")]
    overdue_at: Annotated[UtcTime | None, about("When it should have ended, and had not.")]
    sla_met: Annotated[bool | None, about("Null: it has no target, or it is not decided yet.")]
    detected: Annotated[list[str], about("The signals that this run was found to be.")]
    alert_id: UUID | None
    reviews: Annotated[list[RunReviewPart], about("Those that count, newest first.")]
    flags: list[Annotated[str, one_of(("clock", "truncated", "masked"))]]


class KpiShape(Shape, kw_only=True):
    """The figures of a group in a bucket. Of the four names of a group there is the one that was asked for."""

    org_id: str
    agent_name: str | UnsetType = UNSET
    agent_version: Annotated[str | UnsetType | None, about("Null: the runs did not say it.")] = UNSET
    channel: Annotated[str | UnsetType | None, about("Null: the runs did not say it.")] = UNSET
    input_kind: str | UnsetType = UNSET
    period_start: Annotated[UtcTime, about("When the bucket begins; of `total` it is `from`.")]
    total_runs: Whole
    ended_runs: Whole
    avg_resolution_seconds: Amount | None
    p50_resolution_seconds: Annotated[Amount | None, about("At most 5 % off.")]
    p95_resolution_seconds: Annotated[Amount | None, about("At most 5 % off.")]
    self_correction_rate: Share
    escalation_pct: Share
    failure_pct: Share
    sla_hit_rate: Share
    avg_cost_usd: Amount | None
    cost_per_resolved_usd: Amount | None
    deflection_rate: Share
    human_touched_unknown_pct: Share
    avg_quality: Annotated[Amount | None, about("1 to 5, of reviewed runs.")]
    reviewed_runs: Whole
    containment_rate: Share
    resolution_rate: Share
    abandoned_pct: Share
    durable_resolution_7d: Share
    quality_estimate: Annotated[Amount | None, about("1 to 5, of all runs by a sample; null without a review plan.")]
    quality_low: Amount | None
    quality_high: Amount | None
    blind_minutes: Annotated[
        Amount, about("Minutes of the period in which not all could be seen; figures are of the rest.")
    ]
    maturing: Annotated[bool, about("Its end is less than 25 h ago: a human may still act.")]


class KpisShape(Shape):
    """Figures by group, then by time; groups without a run in a bucket are left out."""

    as_of: UtcTime
    results: list[KpiShape]


class ComparedPart(Shape):
    """The figures that versions are compared by."""

    avg_resolution_seconds: Amount | None
    self_correction_rate: Share
    escalation_pct: Share
    failure_pct: Share
    sla_hit_rate: Share
    avg_cost_usd: Amount | None
    deflection_rate: Share
    avg_quality: Amount | None


class VersionPart(Shape):
    """One version: as it was, and as if it had had the runs of all versions that are compared."""

    agent_version: str | None
    total_runs: Whole
    ended_runs: Whole
    reviewed_runs: Whole
    crude: ComparedPart
    adjusted: Annotated[ComparedPart, about("Null: too few runs, or no cell in which every version has 5.")]


class VersionRunsPart(Shape):
    """How many runs a version has in a cell."""

    agent_version: str | None
    runs: Whole


class CellLeftOutPart(Shape):
    """A cell in which some version has fewer than 5 runs: not in the adjusted `figures`."""

    channel: str | None
    input_kind: str
    from_hour: Annotated[Whole, about("Of the org's day, inclusive.")]
    to_hour: Annotated[Whole, about("Exclusive.")]
    figures: list[str]
    runs: list[VersionRunsPart]


class AgentVersionsShape(Shape):
    """The versions of an agent compared, standardised on the mix of channel, input kind and time of day."""

    as_of: UtcTime
    org_id: str
    agent_name: str
    results: list[VersionPart]
    left_out: list[CellLeftOutPart]


def rounded(value: float | None) -> float | None:
    """A figure as it is answered."""
    return None if value is None else round(value, 6)


def or_null(text: str) -> str | None:
    """What was not said is null."""
    return text or None
