"""What every bench tells in the end: each figure beside its limit of the same run, their ratio, and the target.

A ratio is made so that more is better. `bin/bench all` gathers the rows of all benches through the file that
BENCH_TABLE names.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One row; `figure`, `value` and `limit` in words with their units. `floor`: half of what was measured, for CI."""

    figure: str
    value: str
    limit: str
    ratio: float | None = None
    target: float | None = None
    floor: float | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The row in words."""
        ratio, target = ("-" if number is None else f"{number:.3g}" for number in (self.ratio, self.target))
        return self.figure, self.value, self.limit, ratio, target

    @property
    def holds(self) -> bool:
        """Whether its ratio is at least its floor."""
        return self.ratio is None or self.floor is None or self.ratio >= self.floor


HEAD = ("figure", "value", "limit", "ratio", "target")


def tell(rows: list[Measured]) -> bool:
    """Print the rows, and those that miss their floor; whether none does."""
    table = [HEAD, *(row.cells for row in rows)]
    widths = [max(len(line[n]) for line in table) for n in range(len(HEAD))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    missed = [row for row in rows if not row.holds]
    for row in missed:
        print(f"below its floor: {row.figure}: {row.ratio:.3g} < {row.floor:.3g}")
    if path := os.environ.get("BENCH_TABLE"):
        with Path(path).open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(asdict(row)) + "\n" for row in rows)
    return not missed


def gathered(path: Path) -> list[Measured]:
    """The rows that `tell` left in a file."""
    return [Measured(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def in_markdown(rows: list[Measured]) -> str:
    """The rows as a table of Markdown."""
    lines = [HEAD, ("---",) * len(HEAD), *(row.cells for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
