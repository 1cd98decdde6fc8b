"""Every KPI formula, once: for the view, the API, the rules and the charts. Pure: sums in, figures out.

Percentages are 0..100, times seconds, money USD; None: there is no data.
"""

from dataclasses import dataclass
from decimal import Decimal

from runs.durations import Histogram, percentile
from runs.sums import NAMES, Amounts


@dataclass(frozen=True, slots=True)
class KpiFigures:
    """The figures of some runs, named as in the API and the view."""

    total_runs: int
    ended_runs: int
    avg_resolution_seconds: float | None
    p50_resolution_seconds: float | None
    p95_resolution_seconds: float | None
    self_correction_rate: float | None
    escalation_pct: float | None
    failure_pct: float | None
    sla_hit_rate: float | None
    avg_cost_usd: float | None
    cost_per_resolved_usd: float | None
    deflection_rate: float | None
    human_touched_unknown_pct: float | None
    avg_quality: float | None
    reviewed_runs: int


def kpi_figures(sums: Amounts, durations: Histogram) -> KpiFigures:
    """The figures of runs that add up to `sums` (`runs.sums.NAMES`), with how long they took."""
    of = dict(zip(NAMES, sums, strict=True))
    return KpiFigures(
        total_runs=int(of["runs"]),
        ended_runs=int(of["ended"]),
        avg_resolution_seconds=_of(of["duration_us"], of["ended"], 1e-6),
        p50_resolution_seconds=percentile(durations, 0.50),
        p95_resolution_seconds=percentile(durations, 0.95),
        self_correction_rate=_of(of["self_corrected"], of["runs"], 100),
        escalation_pct=_of(of["escalated"], of["ended"], 100),
        failure_pct=_of(of["failed"], of["ended"], 100),
        sla_hit_rate=_of(of["sla_hit"], of["sla_counted"], 100),
        avg_cost_usd=_of(of["cost_usd"], of["cost_known"]),
        cost_per_resolved_usd=_of(of["cost_usd"], of["resolved"]) if of["cost_known"] else None,
        deflection_rate=_of(of["untouched_resolved"], of["touched_known"], 100),
        human_touched_unknown_pct=_of(of["ended"] - of["touched_known"], of["ended"], 100),
        avg_quality=_of(of["quality"], of["reviewed"]),
        reviewed_runs=int(of["reviewed"]),
    )


def _of(amount: int | Decimal, n: int | Decimal, factor: float = 1) -> float | None:
    return float(amount) * factor / float(n) if n else None
