"""Assignments from and to CSV: the same code for the admin's preview and `assignments import`.

All lines or none. Roles and people that do not exist yet are made; an empty optional cell leaves what is there.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from orgs.models import LOCALES, NAME, Assignment, Org, SupervisorRole, User

MOST_BYTES = 1024 * 1024
MOST_LINES = 5_000
LARGEST_TIER = 99
ADDED, CHANGED, UNCHANGED, REFUSED = "added", "changed", "unchanged", "refused"
REQUIRED = ("org", "role", "tier", "sso_id")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")


class Unreadable(Exception):
    """The file as a whole cannot be used; the message is one sentence for whoever chose it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file as text; `number` is its line in the file, the header being line 1."""

    number: int
    org: str = ""
    role: str = ""
    tier: str = ""
    sso_id: str = ""
    external_user_id: str = ""
    name: str = ""
    locale: str = ""


COLUMNS = tuple(column.name for column in fields(Row) if column.name != "number")


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of a row: its outcome, and what was done or why it was refused."""

    row: Row
    outcome: str
    said: str

    @property
    def number(self) -> int:
        return self.row.number


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
            plan = Plan(rows)
            result = Result([plan.judge(row) for row in rows])
            if not dry_run and not result.refused:
                plan.write()
    except IntegrityError as error:
        raise Unreadable(_("Somebody changed the same people at this moment: import it again.")) from error
    return result


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
        if lines > MOST_LINES:
            raise Unreadable(_("The file has more than %(most)d lines: split it.") % {"most": MOST_LINES})
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


class Plan:
    """What a file would do to the database, judged line by line; `write` does it."""

    def __init__(self, rows: list[Row]) -> None:
        orgs = Org.objects.filter(external_id__in=_values(rows, "org")).select_for_update().order_by("id")
        self.orgs = {org.external_id: org for org in orgs}
        roles = SupervisorRole.objects.filter(org__in=orgs).select_related("org")
        self.roles = {(role.org.external_id, role.name): role for role in roles}
        self.people = {user.sso_id: user for user in User.objects.filter(sso_id__in=_values(rows, "sso_id"))}
        known = Assignment.objects.filter(org__in=orgs).select_related("org", "role", "user")
        self.assignments = {(one.org.external_id, one.role.name, one.user.sso_id): one for one in known}
        self.said: dict[tuple[str, ...], tuple[str, int]] = {}  # what the file said about a thing, and where
        self.new: list[SupervisorRole | User | Assignment] = []
        self.old: dict[int, SupervisorRole | User | Assignment] = {}  # by identity

    def judge(self, row: Row) -> Line:
        """Decide about one row, and remember what it would change for those that follow."""
        why = _wrong_cell(row) or self._unknown_org(row) or self._contradiction(row)
        if why:
            return Line(row, REFUSED, why)
        changes: list[str] = []
        role, person = self._role(row, changes), self._person(row, changes)
        known = self.assignments.get((row.org, row.role, row.sso_id))
        if known is None:
            self.new.append(Assignment(org=role.org, role=role, user=person, external_user_id=row.external_user_id))
            return Line(row, ADDED, ", ".join([f"{row.sso_id} → {row.role}", *changes]))
        self._change(known, "external_user_id", row.external_user_id, changes)
        return Line(row, CHANGED if changes else UNCHANGED, ", ".join(changes))

    def write(self) -> None:
        """Write what was judged: roles and people first, then assignments."""
        SupervisorRole.objects.bulk_create([row for row in self.new if isinstance(row, SupervisorRole)])
        SupervisorRole.objects.bulk_update(
            [row for row in self.old.values() if isinstance(row, SupervisorRole)], ["tier"]
        )
        User.objects.bulk_create([row for row in self.new if isinstance(row, User)])
        User.objects.bulk_update([row for row in self.old.values() if isinstance(row, User)], ["name", "locale"])
        Assignment.objects.bulk_create([row for row in self.new if isinstance(row, Assignment)])
        Assignment.objects.bulk_update(
            [row for row in self.old.values() if isinstance(row, Assignment)], ["external_user_id"]
        )

    def _unknown_org(self, row: Row) -> str:
        if row.org in self.orgs:
            return ""
        return _("There is no org %(org)s.") % {"org": row.org}

    def _contradiction(self, row: Row) -> str:
        """A line may not repeat an earlier one, nor say something else about the same thing."""
        facts = [
            (("assignment", row.org, row.role, row.sso_id), f"{row.number}"),
            (("tier", row.org, row.role), str(int(row.tier))),
            (("name", row.sso_id), row.name),
            (("locale", row.sso_id), row.locale),
            (("external_user_id", row.org, row.external_user_id), row.external_user_id and row.sso_id),
        ]
        for thing, value in facts:
            before, number = self.said.setdefault(thing, (value, row.number)) if value else (value, 0)
            if before != value:
                if thing[0] == "assignment":
                    return _("This line repeats line %(number)d.") % {"number": number}
                return _("Line %(number)d says another %(what)s of %(thing)s: %(before)s.") % {
                    "number": number,
                    "what": thing[0] if thing[0] != "external_user_id" else "sso_id",
                    "thing": thing[-1],
                    "before": before,
                }
        return ""

    def _role(self, row: Row, changes: list[str]) -> SupervisorRole:
        role = self.roles.get((row.org, row.role))
        if role is None:
            role = SupervisorRole(org=self.orgs[row.org], name=row.role, tier=int(row.tier))
            self.roles[row.org, row.role] = role
            self.new.append(role)
            changes.append(_("new role of tier %(tier)d") % {"tier": role.tier})
        self._change(role, "tier", int(row.tier), changes)
        return role

    def _person(self, row: Row, changes: list[str]) -> User:
        person = self.people.get(row.sso_id)
        if person is None:
            person = User(sso_id=row.sso_id, name=row.name, locale=row.locale)
            person.set_unusable_password()
            self.people[row.sso_id] = person
            self.new.append(person)
            changes.append(_("new person"))
        self._change(person, "name", row.name, changes)
        self._change(person, "locale", row.locale, changes)
        return person

    def _change(
        self, thing: SupervisorRole | User | Assignment, column: str, value: str | int, changes: list[str]
    ) -> None:
        before = getattr(thing, column)
        if not value or before == value:
            return
        setattr(thing, column, value)
        changes.append(f"{column} {before or '–'} → {value}")
        if not thing._state.adding:
            self.old[id(thing)] = thing


def _values(rows: list[Row], column: str) -> set[str]:
    """The values of a column that the database can be asked for."""
    return {value for row in rows if not CONTROL.search(value := getattr(row, column))}


def _wrong_cell(row: Row) -> str:
    """Why a row cannot be used, whatever the database says; empty if it can."""
    for column in COLUMNS:
        value = getattr(row, column)
        if not value and column in REQUIRED:
            return _("%(column)s is empty.") % {"column": column}
        if CONTROL.search(value):
            return _("%(column)s contains a control character such as NUL or a line break.") % {"column": column}
        if len(value) > NAME:
            return _("%(column)s is longer than %(most)d characters.") % {"column": column, "most": NAME}
    if not (re.fullmatch("[0-9]{1,2}", row.tier) and 1 <= int(row.tier) <= LARGEST_TIER):
        return _("tier %(tier)s is not a number from 1 to %(most)d.") % {
            "tier": repr(row.tier),
            "most": LARGEST_TIER,
        }
    if row.locale and row.locale not in dict(LOCALES):
        return _("locale %(locale)s is not one of %(known)s.") % {
            "locale": repr(row.locale),
            "known": ", ".join(dict(LOCALES)),
        }
    return ""
