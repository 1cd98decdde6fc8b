"""When somebody's duty begins, and what it is in the next hours: what they asked to be pushed about it. Pure.

Fallback roles have no hours, so nothing of them begins. What is said of a person is theirs alone: two roles that begin
at one instant are one start.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from orgs.duty.roster import AWAY, Roster, Shift, absence, duty_of
from orgs.duty.spans import INSTANT

LASTS = timedelta(days=2)  # what goes on for longer than this has no end that anybody needs to read


class DutyPart(NamedTuple):
    """Somebody is on duty in a role; `ends` None: longer than anybody looks."""

    role_id: int
    role: str
    begins: datetime
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class DutyStart:
    """A person's duty begins, in these roles."""

    begins: datetime
    parts: tuple[DutyPart, ...]


def duty_starts(roster: Roster, user_id: int, after: datetime, until: datetime, now: datetime) -> list[DutyStart]:
    """The starts of this person's duty in [after, until], in order.

    One who comes back in the middle of their hours starts nothing. A role that they are away from now, or will not
    be on duty in at its start, is left out.
    """
    shifts = _shifts_of(roster, user_id)
    plan = replace(roster, shifts=[replace(one, away_until=None) for one in shifts], handed_over={})
    found = defaultdict(list)
    for part in _parts(plan, user_id, after - INSTANT, until + LASTS):
        if after <= part.begins <= until and _counts(roster, shifts, part, now):
            found[part.begins].append(part)
    return [DutyStart(begins, tuple(parts)) for begins, parts in sorted(found.items())]


def duty_ahead(roster: Roster, user_id: int, begin: datetime, end: datetime) -> list[DutyPart]:
    """When the person is on duty between these, by begin and role; absence left out, which is no change of duty."""
    shifts = [replace(one, away_until=None) for one in _shifts_of(roster, user_id)]
    return _parts(replace(roster, shifts=shifts), user_id, begin, end)


def is_away_from_all(roster: Roster, user_id: int, at: datetime) -> bool:
    """Whether the person said that they are away, in every role of theirs."""
    shifts = _shifts_of(roster, user_id)
    return bool(shifts) and all(one.away_until is not None and at < one.away_until for one in shifts)


def _shifts_of(roster: Roster, user_id: int) -> list[Shift]:
    return [one for one in roster.shifts if one.user_id == user_id and not one.fallback]


def _parts(roster: Roster, user_id: int, begin: datetime, end: datetime) -> list[DutyPart]:
    roles = {one.role_id: one.role for one in roster.shifts if one.user_id == user_id}
    found = [
        DutyPart(role, name, span.begin, span.end if span.end < end else None)
        for role, name in roles.items()
        for span in duty_of(roster, user_id, role, begin, end)
    ]
    return sorted(found, key=lambda part: (part.begins, part.role))


def _counts(roster: Roster, shifts: Iterable[Shift], part: DutyPart, now: datetime) -> bool:
    theirs = [one for one in shifts if one.role_id == part.role_id]
    return any(absence(roster, one, now) != AWAY and not absence(roster, one, part.begins) for one in theirs)
