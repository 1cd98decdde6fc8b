"""What the forms of duty hold and say: seven fields of hours, times by the org's wall clock, days of the calendar."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from console.pages.duty.words import days_named
from orgs.clock import time_mark
from orgs.duty.hours import HoursInvalid
from orgs.duty.written import day_texts, read_day_texts
from orgs.models import NAME

LOCAL = "%Y-%m-%dT%H:%M"
MOST_DAYS = 400


@dataclass
class DayField:
    """The field of one day."""

    number: int
    name: str
    text: str
    error: str = ""


@dataclass
class WeekForm:
    """The hours of a week as they were typed or are stored; `hours` is what they mean, of a form without errors."""

    days: list[DayField]
    hours: list[dict[str, Any]] = field(default_factory=list)
    always: bool = False
    holidays: str = "work"  # work | off | "": mixed, as it is
    away_until: str = ""
    away_at: datetime | None = None
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def is_valid(self) -> bool:
        return not self.errors and not any(day.error for day in self.days)


def week_of(hours: list[dict[str, Any]]) -> WeekForm:
    """Stored hours, to be edited."""
    texts = day_texts(hours, time_mark())
    off = {item.get("holidays", "work") for item in hours} or {"work"}
    form = _form(texts)
    form.hours, form.always = hours, not hours
    form.holidays = off.pop() if len(off) == 1 else ""
    return form


def _form(texts: list[str]) -> WeekForm:
    named = zip(days_named(), texts, strict=True)
    return WeekForm([DayField(n, name, text) for n, (name, text) in enumerate(named, 1)])


def read_week(sent: Mapping[str, str]) -> WeekForm:
    """The seven fields as they were sent, each with its own error."""
    texts = [sent.get(f"day-{n}", "") for n in range(1, 8)]
    form = _form(texts)
    form.always, form.holidays = sent.get("always") == "1", sent.get("holidays", "work")
    for day in form.days:
        try:
            read_day_texts([day.text])
        except HoursInvalid as wrong:
            day.error = str(wrong)
    if form.is_valid:
        form.hours = read_day_texts(texts, holidays_off=form.holidays == "off")
    return form


def local_time(at: datetime | None, zone: str) -> str:
    """For a field of a time by the org's wall clock."""
    return at.astimezone(ZoneInfo(zone)).strftime(LOCAL) if at else ""


def read_local(text: str, zone: str) -> datetime | None:
    """A time by the org's wall clock; None for none. Raises ValueError."""
    if not text.strip():
        return None
    at = datetime.fromisoformat(text.strip())
    if at.tzinfo is not None or not 2000 <= at.year <= 2999:
        raise ValueError("not a time of the wall clock")
    return at.replace(tzinfo=ZoneInfo(zone))


def read_days(text: str) -> dict[date, str]:
    """The lines of the calendar, `2027-03-10 Idulfitri`. Raises ValueError, whose message names the line."""
    days: dict[date, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        first, _blank, name = line.strip().partition(" ")
        try:
            day = date.fromisoformat(first)
        except ValueError:
            said = _("Line {n}: write a day like 2027-03-10 and its name behind it.")
            raise ValueError(said.format(n=number)) from None
        if day in days:
            raise ValueError(_("Line {n}: this day is there already.").format(n=number))
        days[day] = name.strip()[:NAME]
    if len(days) > MOST_DAYS:
        raise ValueError(_("At most {n} days.").format(n=MOST_DAYS))
    return days
