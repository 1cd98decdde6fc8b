"""Estimates with their 95 % intervals. Pure: numbers in, numbers out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

Z = 1.959964  # two-sided 95 %


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, from n things, and its 95 % interval. None: there is no data, or too little for an interval."""

    value: float | None = None
    n: int = 0
    low: float | None = None
    high: float | None = None


def share(yes: int, n: int) -> Estimate:
    """`yes` of `n` as a percentage, with its Wilson interval.

    >>> share(7, 10)
    Estimate(value=70.0, n=10, low=39.67..., high=89.22...)
    """
    if n == 0:
        return Estimate()
    p, z2 = yes / n, Z * Z / n
    middle, half = p + z2 / 2, Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n))
    low, high = (middle - half) / (1 + z2), (middle + half) / (1 + z2)
    return Estimate(100 * p, n, 100 * max(0.0, low), 100 * min(1.0, high))


def census(yes: int, n: int) -> Estimate:
    """`yes` of `n` as a percentage where all there are were counted: no uncertainty is left."""
    value = 100 * yes / n if n else None
    return Estimate(value, n, value, value)


def middle(values: Sequence[float]) -> Estimate:
    """The median, with an interval between two of the values; it assumes nothing of their distribution.

    >>> middle([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])
    Estimate(value=3.5, n=6, low=1.0, high=9.0)
    """
    if not values:
        return Estimate()
    ordered = sorted(values)
    rank = _rank(len(ordered))
    if rank == 0:
        return Estimate(median(ordered), len(ordered))
    return Estimate(median(ordered), len(ordered), ordered[rank - 1], ordered[-rank])


@lru_cache(maxsize=4096)
def _rank(n: int) -> int:
    """The r for which [r-th smallest, r-th largest] of n values holds their median in 95 % of cases; 0: none does.

    The number of values below the median is binomial(n, 1/2); its tail up to r - 1 may be 2.5 % at most. What lies
    more than eight standard deviations down adds nothing.
    """
    below = max(0, int(n / 2 - 4 * math.sqrt(n)))
    tail = 0.0
    while True:
        tail += math.exp(math.lgamma(n + 1) - math.lgamma(below + 1) - math.lgamma(n - below + 1) - n * math.log(2))
        if tail > 0.025:
            return below
        below += 1
