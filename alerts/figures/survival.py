"""How long it takes until a human comes, over all episodes: the Kaplan-Meier estimator. Pure: numbers in, numbers out.

Who is still waited for, or left the watch without a human (it ended, or we went blind), counts for as long as it was
watched: to leave those out would say how fast the fast ones are. An interval is Greenwood's on the log(-log) scale;
where it is not defined, with none or all reached, it is the exact binomial one.

Between two that left, each arrival takes the same step: such a stretch is worked in one go, so that an estimate needs
as many steps as there are stretches, and not as there are episodes.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from alerts.figures.formulas import Estimate, Z

TAIL = 0.025  # on each side of a 95 % interval
CLOSE = 1e-9


class _Stretch(NamedTuple):
    """Arrivals `first` to `last` (exclusive), between which nobody left.

    Before it: so many are at risk, this share still waits, and Greenwood's sum is this.
    """

    first: int
    last: int
    at_risk: int
    waits: float
    greenwood: float

    def at(self, arrivals: int) -> tuple[float, float]:
        """After so many arrivals in all: the share that still waits, and Greenwood's sum."""
        left = self.at_risk - (arrivals - self.first)
        waits = self.waits * left / self.at_risk
        return waits, self.greenwood + 1 / left - 1 / self.at_risk if left else math.inf


class WaitingCurve:
    """The share of episodes that no human has reached, over time.

    `came`: seconds until a human came, of each that one came to. `left`: seconds after which each of the others was no
    longer watched; `over` of them had ended, so that nobody can come any more.
    """

    def __init__(self, came: Sequence[float], left: Sequence[float], over: int = 0) -> None:
        self._came, self._left, self._over = sorted(came), sorted(left), over
        self._stretches = _stretches(self._came, self._left)

    @property
    def n(self) -> int:
        return len(self._came) + len(self._left)

    def reached(self, seconds: float) -> Estimate:
        """The percentage to which a human came within this time; no data if nothing was watched as long."""
        arrivals = bisect_right(self._came, seconds)
        if arrivals:
            waits = self._waits(arrivals)
            low, high = self._bounds(arrivals)
            return Estimate(100 * (1 - waits), self.n, 100 * (1 - high), 100 * (1 - low))
        watched = self.n - bisect_left(self._left, seconds)
        if not watched and not self._over:
            return Estimate(n=self.n)
        return Estimate(0.0, self.n, 0.0, 100 * (1 - _none_of(watched))) if watched else Estimate(0.0, self.n)

    def time(self, share: float) -> Estimate:
        """The seconds within which this share was reached; `not_reached` if it never was.

        Where the curve lies flat at exactly this share, the middle of it, which makes it the median of plain numbers.
        """
        if not self.n:
            return Estimate()
        waits = 1 - share
        arrivals = self._first(waits)
        low = self._low(waits, arrivals or len(self._came))
        if arrivals is None:
            return Estimate(None, self.n, low, None, not_reached=True)
        value = self._came[arrivals - 1]
        if arrivals < len(self._came) and abs(self._waits(arrivals) - waits) < CLOSE:
            value = (value + self._came[arrivals]) / 2
        return Estimate(value, self.n, low, self._high(waits, arrivals))

    # --- after so many arrivals --------------------------------------------------------------------------------------

    def _stretch(self, arrivals: int) -> _Stretch:
        return self._stretches[bisect_left(self._stretches, arrivals, key=lambda one: one.last)]

    def _waits(self, arrivals: int) -> float:
        return self._stretch(arrivals).at(arrivals)[0]

    def _bounds(self, arrivals: int) -> tuple[float, float]:
        """The interval of the share that still waits, after at least one arrival."""
        waits, greenwood = self._stretch(arrivals).at(arrivals)
        if waits <= 0:
            return 0.0, 1 - _none_of(len(self._came))
        power = math.exp(Z * math.sqrt(greenwood) / -math.log(waits))
        return waits**power, waits ** (1 / power)

    def _first(self, waits: float) -> int | None:
        """The arrivals, with all at that moment, after which at most this share waits; None: it never is."""
        if not self._stretches or self._waits(len(self._came)) > waits + CLOSE:
            return None
        after = bisect_left(self._stretches, -waits - CLOSE, key=lambda one: -one.waits)  # which begins that low
        one = self._stretches[after - 1]
        steps = math.ceil(one.at_risk * (1 - (waits + CLOSE) / one.waits))
        return self._with_ties(one.first + max(steps, 1))

    def _with_ties(self, arrivals: int) -> int:
        return bisect_right(self._came, self._came[arrivals - 1])

    def _low(self, waits: float, arrivals: int) -> float | None:
        """The earliest time at which the share may have been down to `waits`; None if it may be from the start."""
        if not arrivals or _none_of(self._stretches[0].at_risk) <= waits:
            return None
        low = None
        while arrivals and self._bounds(arrivals)[0] <= waits:
            low = self._came[arrivals - 1]
            arrivals = bisect_left(self._came, low)
        return low

    def _high(self, waits: float, arrivals: int) -> float | None:
        """The earliest time at which the share surely was down to `waits`; None if it never surely is."""
        while self._bounds(arrivals)[1] > waits:
            if arrivals == len(self._came):
                return None
            arrivals = self._with_ties(arrivals + 1)
        return self._came[arrivals - 1]


def _stretches(came: Sequence[float], left: Sequence[float]) -> list[_Stretch]:
    """Both sorted. Who left at the moment of an arrival was still there."""
    made: list[_Stretch] = []
    first = gone = 0
    arrivals, others = len(came), len(left)
    waits, greenwood = 1.0, 0.0
    while first < arrivals:
        gone = bisect_left(left, came[first], gone)
        last = bisect_right(came, left[gone], first) if gone < others else arrivals
        at_risk = arrivals - first + others - gone
        made.append(_Stretch(first, last, at_risk, waits, greenwood))
        if stay := at_risk - (last - first):  # as `at` has it, which would be slower for so many
            waits, greenwood = waits * stay / at_risk, greenwood + 1 / stay - 1 / at_risk
        first = last
    return made


def _none_of(n: int) -> float:
    """The smallest share of waiting ones that is likely (97.5 %) to show `n` of n waiting: Clopper and Pearson's."""
    return TAIL ** (1 / n)
