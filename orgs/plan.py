"""Rows that say who stands behind which supervisor role: what each would change, and the writing of it.

CSV files (`imports`) and permission systems (`sync`) make the rows. Roles and people that do not exist yet are made;
an empty optional cell leaves what is there (`always` and `none` empty duty and absence). The provenance of an
assignment is who named it last.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from orgs.clock import rfc3339
from orgs.duty.hours import HoursInvalid
from orgs.duty.written import read_hours, written_hours
from orgs.errors import Refused
from orgs.identifiers import BadIdentifier, Twins, identifier, spelled
from orgs.incoming import parse_time
from orgs.models import LOCALES, NAME, Agent, Assignment, Org, SupervisorRole, User, locale_of
from orgs.others import Others
from orgs.texts import TEXT_LENGTH

MOST_ROWS = 5_000
LARGEST_TIER = 99
BATCH = 500  # rows of one UPDATE
ADDED, CHANGED, UNCHANGED, REFUSED = "added", "changed", "unchanged", "refused"
REQUIRED = ("org", "role", "tier", "sso_id")
IDENTIFYING = ("org", "role", "sso_id", "external_user_id")
NOT_AWAY = "none"  # of `away_until`: somebody is back
CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Changes = dict[str, tuple[Any, Any]]  # column -> before, after


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One row as text; `number`: its line in a file, the header being line 1, or its place in a list, from 0."""

    number: int
    org: str = ""
    role: str = ""
    tier: str = ""
    sso_id: str = ""
    external_user_id: str = ""
    name: str = ""
    locale: str = ""
    duty: str = ""  # orgs/duty/written.py
    away_until: str = ""  # RFC 3339, or NOT_AWAY
    # What only a permission system says, about the role; None: nothing.
    fallback: bool | None = None
    agents: tuple[str, ...] | None = None  # empty: all of them

    @classmethod
    def of(cls, number: int, cells: Mapping[str, str]) -> "PlannedRow":
        """A row as its identifiers are spelled; one that cannot be an identifier stays, to be refused by name."""
        texts: dict[str, Any] = {}
        for column, cell in cells.items():
            texts[column] = spelled(cell) if column in IDENTIFYING else cell.strip(" ")
        if "locale" in texts:
            texts["locale"] = locale_of(texts["locale"])
        return cls(number, **texts)


COLUMNS = tuple(column.name for column in fields(PlannedRow) if column.name not in ("number", "fallback", "agents"))


class Wrong(NamedTuple):
    """Why a row is refused: a code, the column it is about, a sentence."""

    code: str
    column: str
    said: str


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of a row. `assignment`: as it will be; `before`: its provenance until now, empty for a new one.

    `near_twin`: the sso_id of somebody else that a new person's is nearly the same as.
    """

    row: PlannedRow
    outcome: str
    said: str = ""
    changes: Changes = field(default_factory=dict)
    wrong: Wrong | None = None
    assignment: Assignment | None = None
    before: str = ""
    near_twin: str = ""

    @property
    def number(self) -> int:
        return self.row.number


class AssignmentPlan:
    """What rows would do to the database, judged one by one; `write` does it. The locks are the rows of the orgs.

    `place`: how a sentence names a row. `whole`: the org whose whole list this is: what the list does not name is left
    over, and a second claim on an external_user_id is no reason to refuse it. `others`: whose names these rows cannot
    change, and who must agree first; None: the rows come from somebody who may. `acquainted`: the people of whom a
    near twin may be named, default all.
    """

    def __init__(
        self,
        rows: list[PlannedRow],
        provenance: str,
        *,
        place: Callable[[PlannedRow], str],
        whole: Org | None = None,
        others: Others | None = None,
        acquainted: QuerySet[User] | None = None,
    ) -> None:
        self.provenance, self.place, self.whole = provenance, place, whole
        self.trusted, self.others = others is None, others or Others()
        named = Q(pk=whole.pk) if whole else Q(external_id__in=_values(rows, "org"))
        orgs = Org.objects.filter(named).select_for_update().order_by("id")
        self.orgs = {org.external_id: org for org in orgs}
        roles = SupervisorRole.objects.filter(org__in=orgs).select_related("org")
        self.roles = {(role.org.external_id, role.name): role for role in roles}
        self.people = {user.sso_id: user for user in User.objects.filter(sso_id__in=_values(rows, "sso_id"))}
        self._acquainted = acquainted
        self.agents = _agents_of(orgs) if any(row.agents for row in rows) else {}
        known = Assignment.every.filter(org__in=orgs).select_related("org", "role", "user")
        self.assignments = {(one.org.external_id, one.role.name, one.user.sso_id): one for one in known}
        self.said: dict[tuple[str, ...], tuple[str, PlannedRow]] = {}  # what the rows said about a thing, and where
        self.new: list[SupervisorRole | User | Assignment] = []
        self.old: dict[int, SupervisorRole | User | Assignment] = {}  # by identity
        self.limited: list[tuple[SupervisorRole, tuple[str, ...]]] = []  # roles, and the agents they are limited to
        self.named: set[tuple[str, str, str]] = set()  # known assignments that a row names
        self.twin_of: dict[str, str] = {}  # sso_id of a new person -> one that it is nearly the same as
        self.taken_over: list[int] = []  # pks of assignments of which only the provenance changes

    def judge(self, row: PlannedRow) -> Line:
        """Decide about one row, and remember what it would change for those that follow."""
        wrong = _wrong_cell(row) or self._contradiction(row)
        if wrong:
            return Line(row, REFUSED, wrong.said, wrong=wrong)
        made: list[str] = []
        changes: Changes = {}
        role, person = self._role(row, made, changes), self._person(row, made, changes)
        known = self.assignments.get((row.org, row.role, row.sso_id))
        if known is None:
            facts = {"external_user_id": row.external_user_id, "provenance": self.provenance, **_when(row)}
            waits = row.sso_id in self.others.waiting
            new = Assignment(org=role.org, role=role, user=person, pending=waits, **facts)
            self.new.append(new)
            said = ", ".join([f"{row.sso_id} → {row.role}", *made, *_sentences(changes)])
            return Line(row, ADDED, said, changes, assignment=new, near_twin=self.twin_of.get(row.sso_id, ""))
        self.named.add((row.org, row.role, row.sso_id))
        self._change(known, "external_user_id", row.external_user_id, changes)
        for column, value in _when(row).items():
            if getattr(known, column) != value:
                self._set(known, column, value, changes)
        if self.trusted and known.pending:
            self._set(known, "pending", False, changes)
        before, known.provenance = known.provenance, self.provenance
        if before != self.provenance and id(known) not in self.old:
            self.taken_over.append(known.pk)
        said = ", ".join(_sentences(changes))
        return Line(row, CHANGED if changes else UNCHANGED, said, changes, assignment=known, before=before)

    def left_over(self) -> list[Assignment]:
        """The known assignments of these orgs that no row names."""
        return [one for key, one in self.assignments.items() if key not in self.named]

    def write(self) -> None:
        """Write what was judged: roles and people first, then assignments with their provenance."""
        columns: dict[Any, list[str]] = {
            SupervisorRole: ["tier", "fallback"],
            User: ["name", "locale"],
            Assignment: ["external_user_id", "provenance", "pending", "duty", "away_until"],
        }
        for model, changing in columns.items():
            model._default_manager.bulk_create([row for row in self.new if isinstance(row, model)])
            old = [row for row in self.old.values() if isinstance(row, model)]
            model._default_manager.bulk_update(old, changing, batch_size=BATCH)
        Assignment.every.filter(pk__in=self.taken_over).update(provenance=self.provenance)
        for role, names in self.limited:
            role.agents.set([self.agents[role.org.external_id, name] for name in names])

    def _contradiction(self, row: PlannedRow) -> Wrong | None:
        """The org is known, and a row may not repeat an earlier one, nor say something else about the same thing."""
        if row.org not in self.orgs:
            return Wrong("unknown_org", "org", _("There is no org %(org)s.") % {"org": row.org})
        for at, name in enumerate(row.agents or ()):
            if (row.org, name) not in self.agents:
                said = _("There is no agent %(name)s in this org.") % {"name": name}
                return Wrong("unknown_agent", f"agents[{at}]", said)
        facts: list[tuple[str, tuple[str, ...], str]] = [
            ("sso_id", ("assignment", row.org, row.role, row.sso_id), f"{row.number}"),
            ("tier", ("tier", row.org, row.role), str(int(row.tier))),
            ("name", ("name", row.sso_id), row.name),
            ("locale", ("locale", row.sso_id), row.locale),
            ("fallback", ("fallback", row.org, row.role), "" if row.fallback is None else str(row.fallback).lower()),
            ("agents", ("agents", row.org, row.role), "" if row.agents is None else _listed(row.agents)),
        ]
        if not self.whole:
            claim = row.external_user_id and row.sso_id
            facts.append(("external_user_id", ("sso_id", row.org, row.external_user_id), claim))
        for column, thing, value in facts:
            before, earlier = self.said.setdefault(thing, (value, row)) if value else (value, row)
            if before == value:
                continue
            place = self.place(earlier)
            if thing[0] == "assignment":
                return Wrong("repeated", column, _("It is the same as %(place)s.") % {"place": place})
            parts = {"what": thing[0], "thing": thing[-1], "before": before, "place": place}
            return Wrong("contradiction", column, _("%(what)s of %(thing)s is %(before)s in %(place)s.") % parts)
        return None

    def _role(self, row: PlannedRow, made: list[str], changes: Changes) -> SupervisorRole:
        role = self.roles.get((row.org, row.role))
        if role is None:
            twin = Twins(name for org, name in self.roles if org == row.org).of(row.role)
            fallback = bool(row.fallback)
            role = SupervisorRole(org=self.orgs[row.org], name=row.role, tier=int(row.tier), fallback=fallback)
            self.roles[row.org, row.role] = role
            self.new.append(role)
            made.append(_("new role of tier %(tier)d") % {"tier": role.tier})
            made += _nearly(twin)
        self._change(role, "tier", int(row.tier), changes)
        if row.fallback is not None and role.fallback != row.fallback:
            self._set(role, "fallback", row.fallback, changes)
        if row.agents is not None:
            self._limit(role, row.agents, changes)
        return role

    def _limit(self, role: SupervisorRole, names: tuple[str, ...], changes: Changes) -> None:
        """The role backs up these agents alone; none: all of them."""
        if any(role is known for known, _ in self.limited):
            return
        before = [] if role._state.adding else sorted(role.agents.values_list("name", flat=True))
        if before != sorted(names):
            changes["agents"] = (before, sorted(names))
            self.limited.append((role, names))

    def _person(self, row: PlannedRow, made: list[str], changes: Changes) -> User:
        person = self.people.get(row.sso_id)
        if person is None:
            person = User(sso_id=row.sso_id, name=row.name, locale=row.locale)
            person.set_unusable_password()
            self.people[row.sso_id] = person
            self.new.append(person)
            made.append(_("new person"))
            self.twin_of[row.sso_id] = twin = self._twins.of(row.sso_id)
            self._twins.add(row.sso_id)
            made += _nearly(twin)
        if row.sso_id not in self.others.named:
            self._change(person, "name", row.name, changes)
            self._change(person, "locale", row.locale, changes)
        return person

    @cached_property
    def _twins(self) -> Twins:
        people = User.objects.all() if self._acquainted is None else self._acquainted
        return Twins(people.values_list("sso_id", flat=True))

    def _change(
        self, thing: SupervisorRole | User | Assignment, column: str, value: str | int, changes: Changes
    ) -> None:
        if value and getattr(thing, column) != value:
            self._set(thing, column, value, changes)

    def _set(self, thing: SupervisorRole | User | Assignment, column: str, value: Any, changes: Changes) -> None:
        changes[column] = (getattr(thing, column), value)
        setattr(thing, column, value)
        if not thing._state.adding:
            self.old[id(thing)] = thing


def _nearly(twin: str) -> list[str]:
    return [_("nearly the same as %(twin)s") % {"twin": repr(twin)}] if twin else []


def _sentences(changes: Changes) -> list[str]:
    return [
        f"{column} {_shown(column, before)} → {_shown(column, after)}" for column, (before, after) in changes.items()
    ]


def _shown(column: str, value: Any) -> str:
    if column == "duty":
        return written_hours(value)
    if column == "agents":
        return _listed(value)
    return rfc3339(value, "seconds") if isinstance(value, datetime) else str(value or "–")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or _("all agents")


def _when(row: PlannedRow) -> dict[str, Any]:
    """What a row says of when its person is on duty, of a row that is not wrong."""
    said: dict[str, Any] = {"duty": read_hours(row.duty)} if row.duty else {}
    if row.away_until:
        said["away_until"] = None if row.away_until == NOT_AWAY else parse_time(row.away_until, "away_until", "")
    return said


def _agents_of(orgs: Iterable[Org]) -> dict[tuple[str, str], Agent]:
    rows = Agent.objects.filter(org__in=orgs).select_related("org")
    return {(one.org.external_id, one.name): one for one in rows}


def _values(rows: list[PlannedRow], column: str) -> set[str]:
    """The values of a column that the database can be asked for."""
    return {value for row in rows if not CONTROL.search(value := getattr(row, column))}


def _wrong_cell(row: PlannedRow) -> Wrong | None:
    """Why a row cannot be used, without asking the database."""
    for column in COLUMNS:
        value = getattr(row, column)
        if not value and column in REQUIRED:
            return Wrong("missing_field", column, _("%(column)s is empty.") % {"column": column})
        if CONTROL.search(value):
            said = _("%(column)s contains a control character such as NUL or a line break.")
            return Wrong("bad_text", column, said % {"column": column})
        try:
            if column in IDENTIFYING:
                identifier(value)
        except BadIdentifier as bad:
            said = _("%(column)s contains a character that cannot be seen (%(character)s).")
            return Wrong("bad_text", column, said % {"column": column, "character": str(bad)})
        most = TEXT_LENGTH if column == "duty" else NAME
        if len(value) > most:
            said = _("%(column)s is longer than %(most)d characters.")
            return Wrong("too_long", column, said % {"column": column, "most": most})
    if not (re.fullmatch("[0-9]{1,2}", row.tier) and 1 <= int(row.tier) <= LARGEST_TIER):
        said = _("tier %(tier)s is not a number from 1 to %(most)d.")
        return Wrong("invalid_field", "tier", said % {"tier": repr(row.tier), "most": LARGEST_TIER})
    known = dict(LOCALES)
    if row.locale and row.locale not in known:
        said = _("locale %(locale)s is not one of %(known)s.")
        return Wrong("invalid_field", "locale", said % {"locale": repr(row.locale), "known": ", ".join(known)})
    try:
        _when(row)
    except HoursInvalid as wrong:
        return Wrong("invalid_field", f"duty{wrong.field}", str(wrong))
    except Refused:
        said = _("away_until must be a time with its offset, such as 2026-05-04T10:00:00+07:00, or none.")
        return Wrong("invalid_field", "away_until", said)
    return None
