"""The versions of an agent compared as if each had had the same work: direct standardisation. Pure.

A version that was given the easy rooms looks better than it is (Simpson). So each figure is taken within cells of like
runs (channel, input kind, time of day), and the cells are put together by how many runs all versions had there.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from runs.kpis import KpiFigures, kpi_figures
from runs.sums import NAMES, Amounts, total

HOURS_EACH = 6  # of a block of the day
LEAST_IN_CELL = 5  # runs that a figure is of; with fewer a cell tells nothing
LEAST_OF_VERSION = 20  # runs; a version with fewer is still learning
# What is compared, and the amount that says of how many runs it is.
COMPARED: Mapping[str, str] = {
    "avg_resolution_seconds": "ended",
    "self_correction_rate": "runs",
    "escalation_pct": "ended",
    "failure_pct": "ended",
    "sla_hit_rate": "sla_counted",
    "avg_cost_usd": "cost_known",
    "deflection_rate": "touched_known",
    "avg_quality": "reviewed",
}


class RunCell(NamedTuple):
    """Runs that can be compared with each other. `block`: of the org's day, from 0; HOURS_EACH hours."""

    channel: str
    input_kind: str
    block: int


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """One version as it was, and as it would be with the runs of all of them: None where that cannot be said."""

    version: str
    crude: KpiFigures
    adjusted: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class CellLeftOut:
    """A cell in which some version has too few runs for these figures. `runs`: how many each version has."""

    cell: RunCell
    figures: tuple[str, ...]
    runs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """`compared`: the versions that are adjusted to each other; those with too few runs are not among them."""

    versions: list[VersionFigures]
    compared: tuple[str, ...]
    left_out: list[CellLeftOut]


def compare_versions(amounts: Mapping[tuple[str, RunCell], Amounts]) -> VersionComparison:
    """Every version of what is given by version and cell."""
    cells: dict[RunCell, dict[str, Amounts]] = defaultdict(dict)
    of_version: dict[str, list[Amounts]] = defaultdict(list)
    for (version, cell), sums in amounts.items():
        cells[cell][version] = sums
        of_version[version].append(sums)
    crude = {version: kpi_figures(total(found), {}) for version, found in sorted(of_version.items())}
    enough = tuple(version for version, figures in crude.items() if figures.total_runs >= LEAST_OF_VERSION)
    compared = enough if len(enough) > 1 else ()
    return VersionComparison(
        [VersionFigures(version, figures, _adjusted(version, compared, cells)) for version, figures in crude.items()],
        compared,
        _left_out(cells, compared),
    )


def _adjusted(
    version: str, compared: tuple[str, ...], cells: Mapping[RunCell, Mapping[str, Amounts]]
) -> dict[str, float | None]:
    if version not in compared:
        return dict.fromkeys(COMPARED)
    return {name: _standardised(name, version, compared, cells) for name in COMPARED}


def _standardised(
    name: str, version: str, compared: tuple[str, ...], cells: Mapping[RunCell, Mapping[str, Amounts]]
) -> float | None:
    weights = weighted = 0.0
    for found in cells.values():
        if not _tells(name, compared, found):
            continue
        weight = sum(_n(name, found[one]) for one in compared)
        weights += weight
        weighted += weight * getattr(kpi_figures(found[version], {}), name)
    return weighted / weights if weights else None


def _tells(name: str, compared: tuple[str, ...], found: Mapping[str, Amounts]) -> bool:
    """Whether every version has enough runs there: only then is each of them measured by the same cells."""
    return all(version in found and _n(name, found[version]) >= LEAST_IN_CELL for version in compared)


def _n(name: str, sums: Amounts) -> int:
    return int(sums[NAMES.index(COMPARED[name])])


def _left_out(cells: Mapping[RunCell, Mapping[str, Amounts]], compared: tuple[str, ...]) -> list[CellLeftOut]:
    if not compared:
        return []
    missing = [
        (cell, tuple(name for name in COMPARED if not _tells(name, compared, found)), found)
        for cell, found in sorted(cells.items())
    ]
    return [
        CellLeftOut(cell, names, {version: int(found[version][0]) if version in found else 0 for version in compared})
        for cell, names, found in missing
        if names
    ]
