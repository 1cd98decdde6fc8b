"""Pushes about somebody's own duty, checked again when they are claimed: whether duty still is what they say."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid5

from alerts.decide import PUSH_EXPIRES, Plan
from orgs.duty.roster import AWAY, QUIET, Roster, is_quiet
from orgs.duty.spans import DutySpan, spans_within
from orgs.duty.starts import duty_ahead, duty_starts, is_away_from_all
from orgs.models import DutyReminder

STARTS, CHANGED = "duty_starts", "duty_changed"  # why such a push was planned
DUTY_STARTS = UUID("a2c1b7de-93f4-4d0b-8a9e-71d40c6f2b15")  # the namespace of their ids: one for each start, ever
EARLY = timedelta(minutes=15)  # before it begins
LATE = timedelta(minutes=15)  # after it began nobody needs to be told
AHEAD = timedelta(hours=24)  # a change of what comes later is not told
LONG_AGO = timedelta(days=1)
KnownPart = tuple[int, str, str]  # role, begin, end: as a DutyReminder keeps them


class DueDutyPush(Protocol):
    """A push about duty that is claimed."""

    @property
    def id(self) -> UUID: ...
    @property
    def org_id(self) -> int: ...
    @property
    def supervisor_id(self) -> int: ...
    @property
    def active(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def planned_at(self) -> datetime: ...


def start_id(org_id: int, user_id: int, begins: datetime) -> UUID:
    """The id of the push about this start: the same whoever plans it, so that nobody is told twice."""
    return uuid5(DUTY_STARTS, f"{org_id}:{user_id}:{begins.timestamp()}")


def known_parts(roster: Roster, user_id: int, begin: datetime, end: datetime) -> list[KnownPart]:
    """What a DutyReminder keeps of the person's duty between these."""
    found = duty_ahead(roster, user_id, begin, end)
    return [(one.role_id, one.begins.isoformat(), (one.ends or end).isoformat()) for one in found]


def duty_differs(roster: Roster, kept: DutyReminder, now: datetime) -> bool:
    """Whether the person's duty in the next 24 h is otherwise than what is kept of it, as far as that goes."""
    if kept.known is None or kept.known_until is None:
        return False
    until = min(kept.known_until, now + AHEAD)
    fresh = known_parts(roster, kept.user_id, now, until) if now < until else []
    return _by_role(kept.known, now, until) != _by_role(fresh, now, until)


def _by_role(parts: Sequence[KnownPart], begin: datetime, end: datetime) -> dict[int, list[DutySpan]]:
    spans: dict[int, list[DutySpan]] = {}
    for role, *edges in parts:
        spans.setdefault(role, []).append(DutySpan(*(datetime.fromisoformat(edge) for edge in edges)))
    within = {role: spans_within(some, begin, end) for role, some in spans.items()}
    return {role: some for role, some in within.items() if some}


def not_now(roster: Roster, user_id: int, now: datetime) -> str:
    """Why the person is not pushed about their duty now: away, quiet_hours, or nothing."""
    if is_away_from_all(roster, user_id, now):
        return AWAY
    return QUIET if is_quiet(roster, user_id, now) else ""


def duty_rechecks(rows: Sequence[DueDutyPush], rosters: Mapping[int, Roster], now: datetime) -> dict[UUID, Plan]:
    """Whether each of these still makes sense. One query, none for no rows."""
    if not rows:
        return {}
    asked = DutyReminder.objects.filter(org__in={one.org_id for one in rows})
    kept = {(one.org_id, one.user_id): one for one in asked.filter(user__in={one.supervisor_id for one in rows})}
    found = {}
    for row in rows:
        why = _why_not(row, kept.get((row.org_id, row.supervisor_id)), rosters[row.org_id], now)
        found[row.id] = Plan(not why, why)
    return found


def _why_not(row: DueDutyPush, kept: DutyReminder | None, roster: Roster, now: datetime) -> str:
    if not row.active:
        return "removed"
    if kept is None:
        return "not_wanted"
    if why := not_now(roster, row.supervisor_id, now):
        return why
    if row.reason == CHANGED:
        if kept.known is None or duty_differs(roster, kept, now):
            return "duty_changed"
        return "expired" if now - row.planned_at > PUSH_EXPIRES else ""
    if _has_start(row, roster, now - LATE, now):
        return ""
    return "expired" if _has_start(row, roster, now - LONG_AGO, now) else "duty_changed"


def _has_start(row: DueDutyPush, roster: Roster, after: datetime, now: datetime) -> bool:
    starts = duty_starts(roster, row.supervisor_id, after, now + EARLY, now)
    return any(start_id(row.org_id, row.supervisor_id, one.begins) == row.id for one in starts)
