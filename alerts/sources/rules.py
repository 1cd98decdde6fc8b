"""When a source is silent, and when too much of what it sends is refused. Pure: figures in, a verdict out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

SILENT_AFTER = timedelta(minutes=15)
EXPECTED = 5.0  # minutes with items that would be usual by now: none at all is then no chance (Poisson: 0.7 %)
WINDOW = timedelta(minutes=15)  # over which refused items are counted
REJECTS_OF_AT_LEAST = 20  # items
REJECTED, REJECTED_STILL = 0.2, 0.1  # shares at which the alarm begins, and below which it ends

LAGS_OVER_AT_LEAST = 20  # items
SLOW_AFTER = timedelta(minutes=5)  # from when it happened until it is stored


@dataclass(frozen=True, slots=True)
class WatchFigures:
    """What is known of one source of an org.

    `last_at`: when it was last heard, or we began to listen again after we were down.
    `expected`: minutes with items that are usual between `last_at` and now, from the same hours of the days before.
    `total`, `rejected`: items of the last 15 min; `created` of them were new, `slow` of these came over 5 min late.
    """

    last_at: datetime
    expected: float
    total: int = 0
    rejected: int = 0
    created: int = 0
    slow: int = 0


def is_silent(figures: WatchFigures, now: datetime) -> bool:
    """Nothing for 15 min where by now 5 minutes with items were usual: a quiet night is no silence."""
    return now - figures.last_at >= SILENT_AFTER and figures.expected >= EXPECTED


def is_rejected(figures: WatchFigures, already: bool) -> bool:
    """A fifth of at least 20 items was refused; once alarmed until it is less than a tenth, of any number."""
    if already:
        return figures.rejected > 0 and figures.rejected >= REJECTED_STILL * figures.total
    return figures.total >= REJECTS_OF_AT_LEAST and figures.rejected >= REJECTED * figures.total


def is_lagging(figures: WatchFigures, already: bool) -> bool:
    """The median of at least 20 items is over 5 min late; once alarmed, of any number."""
    enough = figures.created > 0 if already else figures.created >= LAGS_OVER_AT_LEAST
    return enough and 2 * figures.slow > figures.created
