"""CSV for people's spreadsheets."""

import csv
import io
from collections.abc import Iterable

from orgs.imports import safe

BOM = "\ufeff"  # without it Excel takes UTF-8 for something else
TYPE = "text/csv; charset=utf-8"


def line(cells: Iterable[object]) -> str:
    """One line of CSV; None is an empty cell, text that a spreadsheet would take for a formula is made harmless."""
    written = io.StringIO()
    csv.writer(written).writerow(["" if cell is None else safe(str(cell)) for cell in cells])
    return written.getvalue()


def attachment(name: str) -> dict[str, str]:
    """Headers of a file to be saved under this name."""
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
