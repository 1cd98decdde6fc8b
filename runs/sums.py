"""What one run adds to the roll-ups. Pure: what a run is in, numbers out.

Every figure is a sum of whole numbers or exact decimals, so that what was added can be taken off again, in any order.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

NAMES = (
    "runs",
    "ended",
    "resolved",
    "escalated",
    "failed",
    "escalated_expected",
    "escalated_cap",
    "self_corrected",
    "duration_us",
    "sla_counted",
    "sla_hit",
    "cost_known",
    "cost_usd",
    "touched_known",
    "untouched_resolved",
    "tokens_input",
    "tokens_output",
    "reviewed",
    "quality",
)
QUALITY_PLACES = Decimal("0.000001")
MICROSECOND, SECOND = timedelta(microseconds=1), 1_000_000

Amounts = tuple[int | Decimal, ...]  # one for each of NAMES
NOTHING: Amounts = (0,) * len(NAMES)
NO_MONEY = Decimal(0)


class CountedRun(Protocol):
    """What is read of a run: that of RunFacts, whatever holds it. `self_corrected`: None counts as no."""

    @property
    def started_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def resolution(self) -> str: ...
    @property
    def self_corrected(self) -> bool | None: ...
    @property
    def tokens_input(self) -> int | None: ...
    @property
    def tokens_output(self) -> int | None: ...
    @property
    def cost_usd(self) -> Decimal | None: ...
    @property
    def sla_target_seconds(self) -> int | None: ...
    @property
    def overdue(self) -> bool: ...
    @property
    def touched(self) -> bool | None: ...
    @property
    def handoff_expected(self) -> bool | None: ...
    @property
    def message_count(self) -> int | None: ...
    @property
    def message_cap(self) -> int | None: ...
    @property
    def review_count(self) -> int: ...
    @property
    def review_sum(self) -> int: ...


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the figures need of a run. `touched`: whether a human acted in its room; None: unknown.

    `review_sum`: of the scores of its `review_count` reviews. `message_count`, `message_cap`: None if not said.
    """

    started_at: datetime
    ended_at: datetime | None
    resolution: str
    self_corrected: bool
    tokens_input: int | None
    tokens_output: int | None
    cost_usd: Decimal | None
    sla_target_seconds: int | None
    overdue: bool
    touched: bool | None
    handoff_expected: bool | None
    message_count: int | None
    message_cap: int | None
    review_count: int
    review_sum: int


def amounts(run: CountedRun) -> Amounts:
    """What a run adds to its hour and its day, one amount for each of NAMES; kpis.md says which run counts where.

    Yes is 1 and no is 0, as Python adds them up.
    """
    ended = run.ended_at is not None
    took = (run.ended_at - run.started_at) // MICROSECOND if run.ended_at is not None else 0
    target, cost, resolution, touched = run.sla_target_seconds, run.cost_usd, run.resolution, run.touched
    escalated = ended and resolution == "escalated"
    expected = escalated and run.handoff_expected is True
    capped = (
        escalated
        and not expected
        and run.message_cap is not None
        and run.message_count is not None
        and run.message_count >= run.message_cap
    )
    resolved = ended and resolution == "resolved"
    return (
        1,
        ended,
        resolved,
        escalated,
        ended and resolution == "failed",
        expected,
        capped,
        run.self_corrected is True,
        took,
        target is not None and (ended or run.overdue),
        target is not None and ended and took <= target * SECOND,
        cost is not None,
        cost or NO_MONEY,
        ended and touched is not None,
        resolved and touched is False,
        run.tokens_input or 0,
        run.tokens_output or 0,
        run.review_count > 0,
        (Decimal(run.review_sum) / run.review_count).quantize(QUALITY_PLACES) if run.review_count else NO_MONEY,
    )


def negative(of: Amounts) -> Amounts:
    """What takes it off again."""
    return tuple(-one for one in of)


def total(of: Collection[Amounts]) -> Amounts:
    """All of them together."""
    return tuple(map(sum, zip(*of, strict=True))) if of else NOTHING
