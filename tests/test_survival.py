"""Kaplan-Meier: against worked examples, a plain recount moment by moment, and the median of plain numbers."""

import math
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.figures.formulas import Estimate
from alerts.figures.survival import WaitingCurve
from tests.examples import at_most

Z = 1.959964
INFINITE = math.inf


# --- worked examples -------------------------------------------------------------------------------------------------

# Freireich 1963, remission under 6-MP in weeks: the example of every textbook (Kalbfleisch and Prentice, Collett).
CAME = [6, 6, 6, 7, 10, 13, 16, 22, 23]
LEFT = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]


@pytest.mark.parametrize(
    ("weeks", "waits", "error"),
    [
        (5, 1.0, None),
        (6, 0.857, 0.0764),
        (7, 0.807, 0.0869),
        (10, 0.753, 0.0963),
        (13, 0.690, 0.1068),
        (16, 0.627, 0.1141),
        (22, 0.538, 0.1282),
        (23, 0.448, 0.1346),
        (35, 0.448, 0.1346),
    ],
)
def test_the_textbooks_example(weeks: float, waits: float, error: float | None) -> None:
    """Share and Greenwood's standard error as printed; the interval is theirs on the log(-log) scale."""
    found = WaitingCurve(CAME, LEFT).reached(weeks)
    assert found.value is not None and found.low is not None and found.high is not None
    assert (found.n, round(1 - found.value / 100, 3)) == (21, waits)
    if error is not None:
        half = Z * error / (waits * abs(math.log(waits)))
        low, high = (100 * (1 - waits ** math.exp(sign * half)) for sign in (-1, 1))
        assert (found.low, found.high) == (pytest.approx(low, abs=0.15), pytest.approx(high, abs=0.15))


def test_the_textbooks_median() -> None:
    """23 weeks; R's survfit with conf.type = "log-log" says 13 to NA."""
    assert WaitingCurve(CAME, LEFT).time(0.5) == Estimate(23, 21, 13, None)


def test_what_more_than_half_never_got_is_not_reached() -> None:
    found = WaitingCurve([60.0, 120.0], [1800.0, 1800.0, 86400.0], over=3)
    assert (found.time(0.5).value, found.time(0.5).not_reached, found.time(0.5).n) == (None, True, 5)
    assert found.reached(900).value == pytest.approx(40)


def test_to_leave_out_who_was_never_reached_would_flatter() -> None:
    came, left = [60.0] * 4, [1800.0] * 6
    assert WaitingCurve(came, []).time(0.5).value == 60
    assert WaitingCurve(came, left, over=6).time(0.5).not_reached


def test_who_left_at_the_moment_of_an_arrival_was_still_there() -> None:
    assert WaitingCurve([10.0], [10.0]).reached(10).value == pytest.approx(50)
    assert WaitingCurve([10.0], [9.9]).reached(10).value == pytest.approx(100)


def test_no_data_is_no_zero() -> None:
    nothing = WaitingCurve([], [])
    assert nothing.time(0.5) == nothing.reached(60) == Estimate()


def test_what_was_not_watched_so_long_says_nothing_and_what_is_over_does() -> None:
    assert WaitingCurve([], [30.0]).reached(60) == Estimate(None, 1)
    assert WaitingCurve([], [30.0], over=1).reached(60) == Estimate(0.0, 1)
    assert WaitingCurve([], [90.0]).reached(60) == Estimate(0.0, 1, 0.0, pytest.approx(97.5))


def test_all_or_none_have_the_exact_interval() -> None:
    """Clopper and Pearson: of 10, none or all."""
    everybody, nobody = WaitingCurve([5.0] * 10, []).reached(60), WaitingCurve([], [90.0] * 10).reached(60)
    assert (everybody.value, everybody.high, everybody.low) == (100, 100, pytest.approx(69.15, abs=0.01))
    assert (nobody.value, nobody.low, nobody.high) == (0, 0, pytest.approx(30.85, abs=0.01))


@pytest.mark.parametrize(("n", "known"), [(1, False), (5, False), (6, True), (40, True)])
def test_a_median_needs_six_for_an_interval(n: int, known: bool) -> None:
    """As the order statistics of plain numbers have it: half of the tosses of a coin."""
    found = WaitingCurve([float(value) for value in range(1, n + 1)], []).time(0.5)
    assert (found.low is not None, found.high is not None) == (known, known)


# --- a plain recount -------------------------------------------------------------------------------------------------


def recount(came: list[float], left: list[float], upto: float = INFINITE) -> tuple[float, float]:
    """The share that still waits at `upto`, and Greenwood's sum, moment by moment."""
    waits, greenwood = 1.0, 0.0
    for moment in sorted({at for at in came if at <= upto}):
        at_risk = sum(at >= moment for at in [*came, *left])
        arrived = came.count(moment)
        waits *= 1 - arrived / at_risk
        greenwood += arrived / (at_risk * (at_risk - arrived)) if at_risk > arrived else INFINITE
    return waits, greenwood


def bounds(came: list[float], left: list[float], at: float) -> tuple[float, float]:
    waits, greenwood = recount(came, left, at)
    if waits < 1e-12:
        return 0.0, 1 - 0.025 ** (1 / len(came))
    half = Z * math.sqrt(greenwood) / abs(math.log(waits))
    return waits ** math.exp(half), waits ** math.exp(-half)


def quantile(came: list[float], left: list[float], share: float) -> float | None:
    moments = sorted(set(came))
    shares = [recount(came, left, moment)[0] for moment in moments]
    for n, moment in enumerate(moments):
        if shares[n] <= 1 - share + 1e-9:
            flat = abs(shares[n] - (1 - share)) < 1e-9 and n + 1 < len(moments)
            return (moment + moments[n + 1]) / 2 if flat else moment
    return None


SECONDS = st.lists(st.integers(0, 30).map(float), max_size=25)


@given(came=SECONDS, left=SECONDS, at=st.integers(0, 31), share=st.sampled_from([0.5, 0.75]))
@settings(max_examples=at_most(300), deadline=None)
def test_every_estimate_is_a_plain_recount(came: list[float], left: list[float], at: int, share: float) -> None:
    curve = WaitingCurve(came, left, over=len(left))
    found, time = curve.reached(at), curve.time(share)
    assert found.n == time.n == len(came) + len(left)
    if not found.n:
        return
    assert found.value == pytest.approx(100 * (1 - recount(came, left, at)[0]), abs=1e-6)
    if any(one <= at for one in came):
        low, high = bounds(came, left, at)
        assert (found.low, found.high) == (pytest.approx(100 - 100 * high), pytest.approx(100 - 100 * low))
    assert time.value == quantile(came, left, share)
    assert time.not_reached is (time.value is None)
    later = [one for one in sorted(set(came)) if time.value is not None and one >= math.floor(time.value)]
    surely = [one for one in later if recount(came, left, one)[0] <= 1 - share + 1e-9]
    assert time.high == next((one for one in surely if bounds(came, left, one)[1] <= 1 - share), None)
    if time.low is not None:
        assert bounds(came, left, time.low)[0] <= 1 - share
        assert all(bounds(came, left, one)[0] > 1 - share for one in came if one < time.low)
        assert time.value is None or time.low <= time.value


@given(came=st.lists(st.integers(0, 500).map(float), min_size=1, max_size=60))
@settings(max_examples=at_most(100), deadline=None)
def test_where_a_human_came_to_each_it_is_the_plain_median(came: list[float]) -> None:
    found = WaitingCurve(came, [])
    middle = found.time(0.5).value
    lower, upper = sorted(came)[(len(came) - 1) // 2], sorted(came)[len(came) // 2]
    assert middle == (median(came) if lower != upper else lower)
