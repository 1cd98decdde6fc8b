"""Estimates with their 95 % intervals. Pure: numbers in, numbers out."""

import math
from dataclasses import dataclass

Z = 1.959964  # two-sided 95 %


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, from n things, and its 95 % interval. None: there is no data, or too little for an interval.

    `not_reached`: of a time, that the share it is of was never reached; `low` alone may be known then.
    """

    value: float | None = None
    n: int = 0
    low: float | None = None
    high: float | None = None
    not_reached: bool = False


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
