"""Assignments from and to CSV: the same code for the admin's preview and `assignments import`.

All lines or none; `plan` says what becomes of each.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from orgs.models import Assignment
from orgs.plan import ADDED, CHANGED, COLUMNS, MOST_ROWS, REFUSED, REQUIRED, UNCHANGED, Line, Plan, Row

MOST_BYTES = 1024 * 1024
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")


class Unreadable(Exception):
    """The file as a whole cannot be used; the message is one sentence for whoever chose it."""


@dataclass(frozen=True)
class Result:
    """Every line of a file in its order."""

    lines: list[Line]

    def count(self, outcome: str) -> int:
        return sum(line.outcome == outcome for line in self.lines)

    @property
    def refused(self) -> int:
        return self.count(REFUSED)

    @property
    def digest(self) -> str:
        """The same for the same outcomes: tells a confirmation that it confirms what was shown."""
        said = "\n".join(f"{line.number} {line.outcome} {line.said}" for line in self.lines)
        return hashlib.sha256(said.encode()).hexdigest()

    def summary(self) -> str:
        return _("%(added)d added, %(changed)d changed, %(unchanged)d unchanged, %(refused)d refused.") % {
            outcome: self.count(outcome) for outcome in (ADDED, CHANGED, UNCHANGED, REFUSED)
        }


def run(content: bytes, *, dry_run: bool) -> Result:
    """Judge every line and, unless it is a dry run or a line is refused, write all of them.

    One transaction; the locks are the rows of the orgs the file names, in order. Raises Unreadable.
    """
    rows = read(content)
    try:
        with transaction.atomic():
            plan = Plan(rows, Assignment.Provenance.CSV, place=_place)
            result = Result([plan.judge(row) for row in rows])
            if not dry_run and not result.refused:
                plan.write()
    except IntegrityError as error:
        raise Unreadable(_("Somebody changed the same people at this moment: import it again.")) from error
    return result


def _place(row: Row) -> str:
    return _("line %(number)d") % {"number": row.number}


def read(content: bytes) -> list[Row]:
    """The lines of a CSV file: UTF-8 with or without BOM; comma, semicolon or tab; any line ends.

    Raises Unreadable.
    """
    if len(content) > MOST_BYTES:
        raise Unreadable(_("The file is larger than 1 MiB: split it."))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable(_("The file is not UTF-8: save it as “CSV UTF-8”.")) from None
    if not text.strip():
        raise Unreadable(_("The file is empty."))
    try:
        rows = list(_rows(text))
    except csv.Error as error:
        raise Unreadable(_("The file is not CSV: %(why)s.") % {"why": error}) from None
    if not rows:
        raise Unreadable(_("The file has a header and no lines."))
    return rows


def _rows(text: str) -> Iterator[Row]:
    first = text.lstrip().splitlines()[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    lines = 0
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = _header(cells)
            continue
        lines += 1
        if lines > MOST_ROWS:
            raise Unreadable(_("The file has more than %(most)d lines: split it.") % {"most": MOST_ROWS})
        if len(cells) != len(header):
            raise Unreadable(
                _("Line %(line)d has %(cells)d cells, the header has %(header)d.")
                % {"line": reader.line_num, "cells": len(cells), "header": len(header)}
            )
        yield Row(reader.line_num, **{column: _cell(cell) for column, cell in zip(header, cells, strict=True)})


def _header(cells: list[str]) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    for column in header:
        if column not in COLUMNS:
            raise Unreadable(
                _("There is no column %(column)s: the columns are %(columns)s.")
                % {"column": repr(column), "columns": ", ".join(COLUMNS)}
            )
        if header.count(column) > 1:
            raise Unreadable(_("The column %(column)s is there twice.") % {"column": column})
    for column in REQUIRED:
        if column not in header:
            raise Unreadable(_("The column %(column)s is missing.") % {"column": column})
    return header


def _cell(cell: str) -> str:
    """A cell as it was before `safe` made it harmless for spreadsheets."""
    cell = cell.strip(" ")
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def safe(value: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if value.startswith(FORMULA) else value


def export(assignments: Iterable[Assignment]) -> Iterator[str]:
    """Lines of CSV that `run` reads again, header first. Wants org, role and user at hand."""
    yield ",".join(COLUMNS) + "\r\n"
    for one in assignments:
        cells = (one.org.external_id, one.role.name, str(one.role.tier), one.user.sso_id)
        line = io.StringIO()
        optional = (one.external_user_id, one.user.name, one.user.locale)
        csv.writer(line).writerow([safe(cell) for cell in (*cells, *optional)])
        yield line.getvalue()
