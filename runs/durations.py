"""How long runs take, as a sparse log histogram: how many took about so long. Pure.

A bucket is 10.5 % wide, so a percentile read from it is at most 5 % off (DDSketch, VLDB 2019).
"""

import math
from collections.abc import Iterable, Mapping

GAMMA = 1.105
LEAST = 0.001  # seconds: what is shorter counts as this
CLOSE = 1e-6  # of a run: 0.95 of 60 is 57, also in floating point
RELATIVE_ERROR = (GAMMA - 1) / (GAMMA + 1)

Histogram = Mapping[int, int]  # how many runs by bucket


def bucket(seconds: float) -> int:
    """The bucket of a duration: i where GAMMA ** (i - 1) < seconds <= GAMMA ** i.

    `BUCKET_SQL` is the same in SQL.
    """
    return math.ceil(math.log(max(seconds, LEAST)) / math.log(GAMMA))


BUCKET_SQL = (  # of a column duration_us; microseconds
    f"ceil(ln(greatest(duration_us / 1000000.0::float8, {LEAST}::float8)) / ln({GAMMA}::float8))::int"
)


def merged(histograms: Iterable[Histogram]) -> dict[int, int]:
    """All of them together."""
    whole: dict[int, int] = {}
    for one in histograms:
        for place, n in one.items():
            whole[place] = whole.get(place, 0) + n
    return whole


def percentile(histogram: Histogram, share: float) -> float | None:
    """Seconds within which `share` (0..1) of the runs ended, at most RELATIVE_ERROR off; None: there are none.

    The shortest time that at least so many took no longer than, as PostgreSQL's percentile_disc: of two runs the p95 is
    the longer one.
    """
    n = sum(histogram.values())
    if n == 0:
        return None
    enough = share * n - CLOSE
    passed = 0
    for place in sorted(histogram):
        passed += histogram[place]
        if passed >= enough:
            return 2 * GAMMA**place / (GAMMA + 1)
    raise AssertionError("unreachable")
