"""What the page of duty reads: one roster, from which everything on it comes, as routing does."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from console.pages.duty.words import agents_said, day_name, first_gap_said, gap_said, headline, hours_said
from console.text.wording import commas
from orgs.duty.roster import Roster, Shift, duty_gaps, duty_of, is_on_duty, next_duty_change, open_spans
from orgs.duty.spans import DutySpan, joined_spans, spans_within
from orgs.models import Agent, Assignment, Handover, Holiday, Org, User
from orgs.rosters import rosters_of

DAYS, AHEAD = 7, timedelta(days=7)
GAPS_SHOWN = 8
MINUTES = 1440.0  # of the bar of a day
LATE_IN_THE_YEAR = 10  # month from which on next year's holidays should be known


@dataclass(frozen=True)
class DayHead:
    """A day of the week that is shown."""

    name: str
    is_today: bool
    holiday: str


@dataclass(frozen=True)
class DutyCell:
    """A day of somebody: what is said, its bars and the org's business hours as (start, length) in minutes."""

    day: str
    texts: list[str]
    bars: list[tuple[float, float]]
    band: list[tuple[float, float]]


@dataclass(frozen=True)
class DutyRow:
    """Somebody in a role. `assignment_id` None: only in a temporary schedule."""

    shift: Shift
    assignment_id: int | None
    away_until: datetime | None
    handed_until: datetime | None
    cells: list[DutyCell]


@dataclass(frozen=True)
class GapLine:
    """Nobody is on duty for these agents."""

    when: str
    agents: str


@dataclass
class DutyWeek:
    """All of the page."""

    org: Org
    first: date
    days: list[DayHead] = field(default_factory=list)
    rows: list[DutyRow] = field(default_factory=list)
    holes: list[DutyCell] = field(default_factory=list)
    gaps: list[GapLine] = field(default_factory=list)
    more_gaps: int = 0
    has_business_hours: bool = False
    present: str = ""
    changes_at: datetime | None = None
    missing_year: int | None = None
    headline: str = ""
    title: str = ""


def duty_week(org: Org, first: date | None, now: datetime) -> DutyWeek:
    """The seven days from `first` on (None: today), by the org's wall clock; the gaps are those of the next 7 days."""
    today = now.astimezone(ZoneInfo(org.zone)).date()
    first = first or today
    days = [first + timedelta(days=n) for n in range(DAYS)]
    bounds = [_midnight(day, org.zone) for day in (*days, first + timedelta(days=DAYS))]
    roster = rosters_of([org.pk], min(now, bounds[0]))[org.pk]
    agents = list(Agent.objects.filter(org=org, production=True).order_by("name"))
    holidays = dict(Holiday.objects.filter(org=org).values_list("date", "name"))
    week = DutyWeek(org, first, [_head(day, today, holidays) for day in days])
    week.has_business_hours = bool(roster.business_hours)
    week.rows = _rows(org, roster, bounds, now)
    week.gaps, week.more_gaps = _gap_lines(roster, agents, org.zone, now)
    holes = joined_spans(span for one in agents for span in duty_gaps(roster, one.pk, bounds[0], bounds[-1]))
    week.holes = _cells(holes, bounds, roster) if holes and week.rows else []
    regular = [one for one in roster.shifts if not one.fallback]
    week.present = commas(dict.fromkeys(one.name or one.sso_id for one in regular if is_on_duty(roster, one, now)))
    week.changes_at = min(filter(None, (next_duty_change(roster, one, now) for one in regular)), default=None)
    week.missing_year = _missing_year(roster, holidays, today)
    week.headline = headline(len(week.gaps) + week.more_gaps, known=bool(agents and week.rows))
    week.title = f"{day_name(first)} \u2013 {day_name(first + timedelta(days=DAYS - 1))}"
    return week


def _midnight(day: date, zone: str) -> datetime:
    """In UTC: days are reckoned with, and some are of 23 hours."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _head(day: date, today: date, holidays: dict[date, str]) -> DayHead:
    return DayHead(day_name(day), day == today, (holidays[day] or "\u2022") if day in holidays else "")


def _rows(org: Org, roster: Roster, bounds: Sequence[datetime], now: datetime) -> list[DutyRow]:
    held = {(user, role): (pk, away) for user, role, pk, away in _assignments(org)}
    shifts = {(one.user_id, one.role_id): one for one in reversed(roster.shifts)}
    ordered = sorted(shifts.values(), key=lambda one: (one.fallback, one.tier, one.role, one.name, one.user_id))
    made = []
    for one in ordered:
        pk, away = held.get((one.user_id, one.role_id), (None, None))
        handed = [span.end for span in roster.handed_over.get(one.user_id, ()) if span.begin <= now < span.end]
        spans = duty_of(roster, one.user_id, one.role_id, bounds[0], bounds[-1])
        away = away if away is not None and away > now else None
        if pk is not None or spans:
            made.append(DutyRow(one, pk, away, max(handed, default=None), _cells(spans, bounds, roster)))
    return made


def _assignments(org: Org) -> list[tuple[int, int, int, datetime | None]]:
    return list(Assignment.objects.filter(org=org).values_list("user_id", "role_id", "pk", "away_until"))


@dataclass(frozen=True)
class ToldOfNothing:
    """An org whose alerts a person is told nothing of until then."""

    org: Org
    until: datetime
    handed_over: bool  # else they are away


def told_of_nothing(me: User, now: datetime) -> list[ToldOfNothing]:
    """Where this person is away or has handed their rooms over; whichever lasts longer. Two queries."""
    away = Assignment.objects.select_related("org").filter(user=me, away_until__gt=now)
    handed = Handover.objects.select_related("org").filter(user=me, starts_at__lte=now, ends_at__gt=now)
    found = [ToldOfNothing(one.org, one.away_until, False) for one in away if one.away_until is not None]
    found += [ToldOfNothing(one.org, one.ends_at, True) for one in handed]
    last = {one.org.pk: one for one in sorted(found, key=lambda one: one.until)}
    return sorted(last.values(), key=lambda one: one.org.name)


def _cells(spans: Sequence[DutySpan], bounds: Sequence[datetime], roster: Roster) -> list[DutyCell]:
    usual = open_spans(roster, bounds[0], bounds[-1])
    return [_cell(spans, usual, begins, ends, roster.zone) for begins, ends in pairwise(bounds)]


def _cell(
    spans: Sequence[DutySpan], usual: Sequence[DutySpan], begins: datetime, ends: datetime, zone: str
) -> DutyCell:
    inside = spans_within(spans, begins, ends)
    texts = [hours_said(*span, begins, ends, zone) for span in inside]
    day = day_name(begins.astimezone(ZoneInfo(zone)).date())
    return DutyCell(day, texts, _bars(inside, begins, ends), _bars(spans_within(usual, begins, ends), begins, ends))


def _bars(spans: Iterable[DutySpan], begins: datetime, ends: datetime) -> list[tuple[float, float]]:
    minute = (ends - begins) / MINUTES  # of a day of 23 or 25 hours too
    return [((a - begins) / minute, (b - a) / minute) for a, b in spans]


def _gap_lines(roster: Roster, agents: Sequence[Agent], zone: str, now: datetime) -> tuple[list[GapLine], int]:
    """The first ones, those of several agents at once in one line; how many more there are."""
    found: dict[DutySpan, list[str]] = defaultdict(list)
    for one in agents:
        for span in duty_gaps(roster, one.pk, now, now + AHEAD):
            found[span].append(one.name)
    lines = []
    for (begin, end), names in sorted(found.items()):
        when = gap_said(begin, end if end < now + AHEAD else None, zone)
        lines.append(GapLine(when, agents_said(names, len(agents))))
    return lines[:GAPS_SHOWN], max(0, len(lines) - GAPS_SHOWN)


def gaps_of_agents(agents: Iterable[Agent], rosters: Mapping[int, Roster], now: datetime) -> dict[int, str]:
    """By agent: when nobody of any tier is on duty for it in the next 7 days, in a few words. `rosters`: by org."""
    found = {}
    for one in agents:
        roster = rosters[one.org_id]
        gaps = duty_gaps(roster, one.pk, now, now + AHEAD) if roster.shifts else []  # nobody at all is said already
        if gaps:
            begin, end = gaps[0]
            first = gap_said(begin, end if end < now + AHEAD else None, roster.zone)
            found[one.pk] = first_gap_said(first, len(gaps) - 1)
    return found


def _missing_year(roster: Roster, holidays: dict[date, str], today: date) -> int | None:
    """A year of which no holiday is known, though somebody's hours go by them."""
    uses = bool(holidays) or any(item.holidays_off for one in roster.shifts for item in one.hours)
    years = {day.year for day in holidays}
    wanted = [today.year, *([today.year + 1] if today.month >= LATE_IN_THE_YEAR else [])]
    return next((year for year in wanted if uses and year not in years), None)
