"""CSV for people's spreadsheets: the one writer of every file that leaves us."""

import csv
import io
from collections.abc import Iterable

BOM = "\ufeff"  # without it Excel takes UTF-8 for something else
TYPE = "text/csv; charset=utf-8"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")  # a spreadsheet calculates a cell that begins so


def line(cells: Iterable[object]) -> str:
    """One line of CSV; None is an empty cell, a text that a spreadsheet would take for a formula gets an apostrophe."""
    texts = ("" if cell is None else str(cell) for cell in cells)
    written = io.StringIO()
    csv.writer(written).writerow(f"'{text}" if text.startswith(FORMULA) else text for text in texts)
    return written.getvalue()


def as_typed(cell: str) -> str:
    """A cell of a file as it was before `line` made it harmless, without blanks around it."""
    cell = cell.strip(" ")
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def attachment(name: str) -> dict[str, str]:
    """Headers of a file to be saved under this name."""
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
