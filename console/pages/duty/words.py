"""How duty is said: days, hours by the org's wall clock, gaps."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.utils.dates import WEEKDAYS, WEEKDAYS_ABBR
from django.utils.formats import get_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from console.text.wording import day_of
from orgs.clock import time_mark

NAMED = 3  # agents named in a line; the rest are counted


def day_name(day: date) -> str:
    """`Mon 30 Nov`."""
    return f"{WEEKDAYS_ABBR[day.weekday()]} {day_of(day)}"


def wall_clock(at: datetime, zone: str) -> str:
    """A time of day by the org's clock, whoever reads it."""
    here = at.astimezone(ZoneInfo(zone))
    return f"{here:%H}{time_mark()}{here:%M}"


def hours_said(begin: datetime, end: datetime, day_begins: datetime, day_ends: datetime, zone: str) -> str:
    """What of a span lies within a day: 08:00–17:00, or all day; it may end at 24:00."""
    if begin <= day_begins and end >= day_ends:
        return _("all day")
    last = f"24{time_mark()}00" if end >= day_ends else wall_clock(end, zone)
    return f"{wall_clock(max(begin, day_begins), zone)}\u2013{last}"


def gap_said(begin: datetime, end: datetime | None, zone: str) -> str:
    """`Sat 5 Dec 06:00 – Mon 7 Dec 08:00`; None: no end within reach."""
    first = f"{day_name(begin.astimezone(ZoneInfo(zone)).date())} {wall_clock(begin, zone)}"
    if end is None:
        return _("from {when} on").format(when=first)
    day, last = end.astimezone(ZoneInfo(zone)).date(), wall_clock(end, zone)
    same = begin.astimezone(ZoneInfo(zone)).date() == day
    return f"{first}\u2013{last}" if same else f"{first} \u2013 {day_name(day)} {last}"


def agents_said(names: Sequence[str], total: int) -> str:
    """Whom a gap is about."""
    if len(names) == total and total > 1:
        return _("all agents")
    shown, rest = ", ".join(names[:NAMED]), len(names) - NAMED
    return shown if rest <= 0 else _("{names} and {n} more").format(names=shown, n=rest)


def first_gap_said(first: str, more: int) -> str:
    """Of one agent: its first gap, and how many there are beside it."""
    if not more:
        return _("Nobody is on duty {when}").format(when=first)
    said = ngettext("Nobody is on duty {when}, and {n} time more", "Nobody is on duty {when}, and {n} times more", more)
    return said.format(when=first, n=more)


def headline(gaps: int, *, known: bool) -> str:
    """What the page says first; `known`: there are people and agents to say it of."""
    if gaps:
        said = ngettext(
            "{n} gap in the next 7 days: nobody is on duty", "{n} gaps in the next 7 days: nobody is on duty", gaps
        )
        return said.format(n=gaps)
    return _("Somebody is on duty in the next 7 days, day and night") if known else _("Duty")


def week_words() -> dict[str, object]:
    """The texts of static/js/duty.js."""
    return {
        "days": [str(WEEKDAYS[day]) for day in range(7)],
        "short": [str(WEEKDAYS_ABBR[day]) for day in range(7)],
        "day": _("Day"),
        "mark": time_mark(),
        "comma": get_format("DECIMAL_SEPARATOR"),
        "on": pgettext("painted hours", "chosen"),
        "off": pgettext("painted hours", "cleared"),
        "total": _("{n} h a week"),
    }


def days_named() -> Iterable[str]:
    """Monday first."""
    return (str(WEEKDAYS[day]) for day in range(7))
