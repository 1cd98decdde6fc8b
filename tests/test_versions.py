"""Versions are compared as if they had had the same work."""

from typing import Any

import pytest

from runs.sums import NAMES, Amounts
from runs.versions import COMPARED, RunCell, compare_versions

EASY, HARD, NIGHT = RunCell("web", "faq", 1), RunCell("wa", "ticket", 1), RunCell("wa", "ticket", 0)


def sums(runs: int, **of: int) -> Amounts:
    """So many runs, all ended, resolved; `failed` of them failed."""
    failed = of.pop("failed", 0)
    known: dict[str, int] = {"runs": runs, "ended": runs, "resolved": runs - failed, "failed": failed, **of}
    return tuple(known.get(name, 0) for name in NAMES)


def adjusted(given: dict[Any, Amounts], figure: str) -> dict[str, float | None]:
    return {one.version: one.adjusted[figure] for one in compare_versions(given).versions}


def test_a_version_that_is_better_everywhere_is_better_however_the_work_was_shared() -> None:
    """Simpson: version 2 fails less in every cell, and more often in all, for it was given the hard rooms."""
    given = {
        ("1", EASY): sums(90, failed=9),
        ("1", HARD): sums(10, failed=5),
        ("2", EASY): sums(10, failed=0),
        ("2", HARD): sums(90, failed=36),
    }
    crude = {one.version: one.crude.failure_pct for one in compare_versions(given).versions}
    assert crude == {"1": 14, "2": 36}
    assert adjusted(given, "failure_pct") == {"1": pytest.approx(30), "2": pytest.approx(20)}


def test_the_same_mix_changes_nothing() -> None:
    given = {(version, cell): sums(20, failed=n) for n, version in ((2, "1"), (8, "2")) for cell in (EASY, HARD, NIGHT)}
    assert adjusted(given, "failure_pct") == {"1": pytest.approx(10), "2": pytest.approx(40)}


@pytest.mark.parametrize(("runs", "left_out"), [(4, True), (5, False)])
def test_a_cell_in_which_a_version_has_fewer_than_five_is_left_out_and_named(runs: int, left_out: bool) -> None:
    given = {
        ("1", EASY): sums(30, failed=3),
        ("1", HARD): sums(30, failed=30),
        ("2", EASY): sums(30, failed=6),
        ("2", HARD): sums(runs, failed=0),
    }
    found = compare_versions(given)
    named = {one.cell: one.runs for one in found.left_out if "failure_pct" in one.figures}
    assert named == ({HARD: {"1": 30, "2": runs}} if left_out else {})
    assert (found.versions[0].adjusted["failure_pct"] == pytest.approx(10)) is left_out


def test_five_of_the_figure_are_needed_not_five_runs() -> None:
    given = {(version, EASY): sums(30, reviewed=4, quality=16) for version in ("1", "2")}
    assert adjusted(given, "avg_quality") == {"1": None, "2": None}
    assert adjusted(given, "failure_pct") == {"1": 0, "2": 0}


@pytest.mark.parametrize("others", [{}, {("2", EASY): sums(19)}])
def test_one_version_alone_or_one_that_is_still_learning_is_not_adjusted(others: dict[Any, Amounts]) -> None:
    found = compare_versions({("1", EASY): sums(100), **others})
    assert found.compared == ()
    assert found.left_out == []
    assert all(one.adjusted == dict.fromkeys(COMPARED) for one in found.versions)


def test_a_version_that_is_still_learning_takes_no_cell_from_the_others() -> None:
    given = {("1", EASY): sums(30), ("2", EASY): sums(30), ("3", HARD): sums(3)}
    assert compare_versions(given).compared == ("1", "2")
    assert adjusted(given, "failure_pct") == {"1": 0, "2": 0, "3": None}


def test_nothing_is_nothing() -> None:
    assert compare_versions({}).versions == []
