"""Assignments from and to CSV: the same code for the admin's preview and `assignments import`.

All lines or none; `plan` says what becomes of each.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from orgs import spreadsheet
from orgs.clock import rfc3339
from orgs.duty.written import written_hours
from orgs.models import Assignment
from orgs.plan import ADDED, CHANGED, COLUMNS, MOST_ROWS, REFUSED, REQUIRED, UNCHANGED, AssignmentPlan, Line, PlannedRow

MOST_BYTES = 1024 * 1024
EXCEL = re.compile(r"\s*\"?sep=([,;\t])\"?[ ,;\t]*(?:\r\n|\n|\r|\Z)", re.IGNORECASE)


class Unreadable(Exception):
    """The file as a whole cannot be used; the message is one sentence for the person who chose it."""


@dataclass(frozen=True)
class ImportResult:
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


def run(content: bytes, *, dry_run: bool) -> ImportResult:
    """Judge every line and, unless it is a dry run or a line is refused, write all of them.

    One transaction; the locks are the rows of the orgs the file names, in order. Raises Unreadable.
    """
    rows = read_csv(content)
    try:
        with transaction.atomic():
            plan = AssignmentPlan(
                rows, Assignment.Provenance.CSV, place=lambda row: _("line %(number)d") % {"number": row.number}
            )
            result = ImportResult([plan.judge(row) for row in rows])
            if not dry_run and not result.refused:
                plan.write()
    except IntegrityError as error:
        raise Unreadable(_("Somebody changed the same people at this moment: import it again.")) from error
    return result


def read_csv(content: bytes) -> list[PlannedRow]:
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
    rows = list(_rows(text))
    if not rows:
        raise Unreadable(_("The file has a header and no lines."))
    return rows


def _rows(text: str) -> Iterator[PlannedRow]:
    first = text.lstrip().splitlines()[0]
    delimiter, skipped = max(",;\t", key=first.count), 0
    if excel := EXCEL.match(text):  # its own first line says what parts the cells
        text, delimiter, skipped = text[excel.end() :], excel[1], excel[0].count("\n") or excel[0].count("\r")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    lines = 0
    for number, cells in _numbered(reader, skipped):
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = _header(cells)
            continue
        lines += 1
        if lines > MOST_ROWS:
            raise Unreadable(_("The file has more than %(most)d lines: split it.") % {"most": MOST_ROWS})
        cells = _as_long_as(header, cells, number)
        yield PlannedRow.of(
            number, {column: spreadsheet.as_typed(cell) for column, cell in zip(header, cells, strict=True)}
        )


def _numbered(reader: Any, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """The rows with the number of the line that each ends on."""
    try:
        for cells in reader:
            yield reader.line_num + skipped, cells
    except csv.Error as error:
        place = {"line": reader.line_num + skipped, "why": error}
        raise Unreadable(_("The file is not CSV in line %(line)d: %(why)s.") % place) from None


def _as_long_as(header: list[str], cells: list[str], number: int) -> list[str]:
    """The cells of a row, without empty ones beyond the header; optional ones that its end leaves out are empty."""
    while len(cells) > len(header) and not cells[-1].strip():
        cells = cells[:-1]
    missing = header[len(cells) :]
    if len(cells) > len(header) or any(column in REQUIRED for column in missing):
        raise Unreadable(
            _("Line %(line)d has %(cells)d cells, the header has %(header)d.")
            % {"line": number, "cells": len(cells), "header": len(header)}
        )
    return cells + [""] * len(missing)


def _header(cells: list[str]) -> list[str]:
    header = [re.sub(r"[\s_-]+", "_", cell.strip().lower()) for cell in cells]
    while header and not header[-1]:
        header.pop()
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


def export_assignments(assignments: Iterable[Assignment]) -> Iterator[str]:
    """Lines of CSV that `run` reads again, header first. Wants org, role and user at hand."""
    yield spreadsheet.line(COLUMNS)
    for one in assignments:
        cells = (one.org.external_id, one.role.name, one.role.tier, one.user.sso_id)
        away = one.away_until and rfc3339(one.away_until)
        person = (one.external_user_id, one.user.name, one.user.locale)
        yield spreadsheet.line((*cells, *person, written_hours(one.duty), away))
