"""Who of an org is on duty, at an instant or between two: the one place that knows, for routing, board, API, calendar
feed and gaps. Pure: plain data in; instants are aware, spans are UTC and half open.

An assignment without hours is always on duty. Where a temporary schedule names a role, its people alone are that role.
Who is away, or handed their rooms over, is not on duty. A role that is fallback belongs to no tier and knows no hours.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import chain

from orgs.duty.hours import WeeklyHours
from orgs.duty.spans import DutySpan, is_within, joined_spans, spans_within, spans_without, wall_spans

AWAY, OFF_DUTY, QUIET = "away", "off_duty", "quiet_hours"  # why somebody is not told, in the order of what goes first
LOOKS_AHEAD = timedelta(days=8)  # a week's hours come round within it, whatever the clocks do


@dataclass(frozen=True, slots=True)
class Shift:
    """One assignment as far as duty goes. `agents` None: all of them. `only`: of a temporary schedule, its range."""

    user_id: int
    sso_id: str
    name: str
    locale: str
    role_id: int
    role: str
    tier: int
    fallback: bool = False
    hours: tuple[WeeklyHours, ...] = ()
    away_until: datetime | None = None
    agents: frozenset[int] | None = None
    only: DutySpan | None = None

    def backs_up(self, agent: int) -> bool:
        return self.agents is None or agent in self.agents


@dataclass(frozen=True)
class Roster:
    """What is known of duty in one org. `shifts`: by tier, name and person. `replaced`: by role, `quiet` and
    `handed_over`: by person.
    """

    zone: str = "UTC"
    shifts: Sequence[Shift] = ()
    holidays: frozenset[date] = frozenset()
    replaced: Mapping[int, Sequence[DutySpan]] = field(default_factory=dict)
    quiet: Mapping[int, tuple[WeeklyHours, ...]] = field(default_factory=dict)
    handed_over: Mapping[int, Sequence[DutySpan]] = field(default_factory=dict)
    business_hours: tuple[WeeklyHours, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether time changes nothing: everybody is on duty always, and there is no fallback."""
        return not (self.replaced or self.quiet or self.handed_over) and not any(
            one.hours or one.away_until or one.fallback or one.only for one in self.shifts
        )

    def backing(self, agent: int) -> list[Shift]:
        """The assignments that back up this agent, fallback ones too."""
        return [one for one in self.shifts if one.backs_up(agent)]


# --- at an instant -------------------------------------------------------------------------------------------------


def absence(roster: Roster, shift: Shift, at: datetime) -> str:
    """Why this assignment does not tell its person now: "" for on duty, else away or off_duty."""
    if _is_away(roster, shift, at):
        return AWAY
    if shift.fallback:
        return "" if _is_listed(shift, at) else OFF_DUTY
    replaced = shift.only is None and _covers(roster.replaced.get(shift.role_id, ()), at)
    if replaced or not _is_listed(shift, at):
        return OFF_DUTY
    return "" if not shift.hours or is_within(shift.hours, roster.zone, at, roster.holidays) else OFF_DUTY


def is_on_duty(roster: Roster, shift: Shift, at: datetime) -> bool:
    return not absence(roster, shift, at)


def is_quiet(roster: Roster, user_id: int, at: datetime) -> bool:
    """Whether the person wants to be left in peace now."""
    hours = roster.quiet.get(user_id)
    return bool(hours) and is_within(hours or (), roster.zone, at)


def quiet_ends(roster: Roster, user_id: int, at: datetime) -> datetime | None:
    """When the quiet hours in which the person is now end; None: not in any, or never."""
    return _ends(roster.quiet.get(user_id, ()), roster.zone, at)


@lru_cache(maxsize=1024)
def _ends(hours: tuple[WeeklyHours, ...], zone: str, at: datetime) -> datetime | None:
    """Every agent that somebody backs up asks for the same."""
    horizon = at + LOOKS_AHEAD
    spans = wall_spans(hours, zone, at, horizon)
    return spans[0].end if spans and spans[0].begin == at and spans[0].end < horizon else None


def _is_away(roster: Roster, shift: Shift, at: datetime) -> bool:
    away = shift.away_until is not None and at < shift.away_until
    return away or _covers(roster.handed_over.get(shift.user_id, ()), at)


def _is_listed(shift: Shift, at: datetime) -> bool:
    return shift.only is None or _covers((shift.only,), at)


def _covers(spans: Iterable[DutySpan], at: datetime) -> bool:
    return any(span.begin <= at < span.end for span in spans)


# --- between two instants ------------------------------------------------------------------------------------------


def duty_spans(roster: Roster, shift: Shift, begin: datetime, end: datetime) -> list[DutySpan]:
    """When this assignment is on duty from `begin` to `end`."""
    if begin >= end:
        return []
    always = shift.fallback or not shift.hours
    spans = [DutySpan(begin, end)] if always else wall_spans(shift.hours, roster.zone, begin, end, roster.holidays)
    if shift.only is not None:
        spans = spans_within(spans, *shift.only)
    off = list(roster.handed_over.get(shift.user_id, ()))
    if shift.only is None and not shift.fallback:
        off += roster.replaced.get(shift.role_id, ())
    if shift.away_until is not None and begin < shift.away_until:
        off.append(DutySpan(begin, shift.away_until))
    return spans_without(spans, off)


def duty_of(roster: Roster, user_id: int, role_id: int, begin: datetime, end: datetime) -> list[DutySpan]:
    """When the person is on duty in this role, its temporary schedules too; merged."""
    theirs = [one for one in roster.shifts if (one.user_id, one.role_id) == (user_id, role_id)]
    return joined_spans(span for one in theirs for span in duty_spans(roster, one, begin, end))


def told_spans(roster: Roster, shift: Shift, begin: datetime, end: datetime) -> list[DutySpan]:
    """When this assignment is on duty and its person not in quiet hours."""
    quiet = wall_spans(roster.quiet.get(shift.user_id, ()), roster.zone, begin, end)
    return spans_without(duty_spans(roster, shift, begin, end), quiet)


def next_duty_change(roster: Roster, shift: Shift, at: datetime) -> datetime | None:
    """When this assignment goes on or off duty next, within 8 days; None: not in them."""
    horizon = at + LOOKS_AHEAD
    edges = {edge for span in duty_spans(roster, shift, at, horizon) for edge in span}
    return min((edge for edge in edges if at < edge < horizon), default=None)


def turns(roster: Roster, begin: datetime, end: datetime) -> list[datetime]:
    """When anything may change that the roster says of an instant, from `begin` to `end`, these too, in order."""
    hours = {(one.hours, roster.holidays) for one in roster.shifts}
    hours |= {(quiet, frozenset()) for quiet in roster.quiet.values()}
    spans = [span for some, off in hours for span in wall_spans(some, roster.zone, begin, end, off)]
    spans += chain(*roster.replaced.values(), *roster.handed_over.values())
    spans += [one.only for one in roster.shifts if one.only is not None]
    away = {one.away_until for one in roster.shifts if one.away_until is not None}
    return sorted({begin, end, *(at for at in (*away, *chain(*spans)) if begin < at < end)})


def tier_spans(roster: Roster, agent: int, begin: datetime, end: datetime) -> list[DutySpan]:
    """When anybody of any tier is on duty for this agent; fallback roles do not count."""
    backing = [one for one in roster.backing(agent) if not one.fallback]
    return joined_spans(span for one in backing for span in duty_spans(roster, one, begin, end))


def duty_gaps(roster: Roster, agent: int, begin: datetime, end: datetime) -> list[DutySpan]:
    """When nobody of any tier is on duty for this agent."""
    return spans_without([DutySpan(begin, end)], tier_spans(roster, agent, begin, end))


def next_duty(roster: Roster, agent: int, at: datetime) -> datetime | None:
    """When somebody of any tier is on duty next for this agent: `at` for now; None: not within 8 days."""
    spans = tier_spans(roster, agent, at, at + LOOKS_AHEAD)
    return spans[0].begin if spans else None


def open_spans(roster: Roster, begin: datetime, end: datetime) -> list[DutySpan]:
    """The org's business hours, holidays left out. They decide nothing: they show what is usual."""
    hours = [WeeklyHours(one.days, one.begin, one.end, True) for one in roster.business_hours]
    return wall_spans(hours, roster.zone, begin, end, roster.holidays)
