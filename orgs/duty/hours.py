"""Weekly hours as people write them: [{"days": [1, 2], "from": "22:00", "to": "06:00"}], 1 = Monday. Pure.

An interval over midnight belongs to the day on which it begins; "00:00" as its end is midnight.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from orgs.texts import answerable

DAY = 24 * 60  # minutes
MOST_HOURS = 50  # items of one list
TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


class HoursInvalid(ValueError):
    """`field`: where in the list, as "[0].from", or "" for the list itself; the message is for people."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """On these days (1 = Monday) from minute `begin` to minute `end` of the day, which may lie in the next one.

    `holidays_off`: not on days that are holidays of the org.
    """

    days: tuple[int, ...]
    begin: int
    end: int
    holidays_off: bool = False


def normal_hours(value: Any, *, holidays: bool = False) -> list[dict[str, Any]]:
    """The list as it is stored: each day once, in order. `holidays`: whether items may say `holidays`: work or off.

    Raises HoursInvalid.
    """
    if not isinstance(value, list):
        raise HoursInvalid("", _("This is not a list of hours."))
    if len(value) > MOST_HOURS:
        raise HoursInvalid("", _("At most %(most)d intervals.") % {"most": MOST_HOURS})
    return [_normal(item, f"[{number}]", holidays) for number, item in enumerate(value)]


def _normal(item: Any, at: str, holidays: bool) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise HoursInvalid(at, _("An interval has days, from and to."))
    known = {"days", "from", "to", "holidays"} if holidays else {"days", "from", "to"}
    if unknown := sorted(str(key) for key in item.keys() - known):
        raise HoursInvalid(f"{at}.{answerable(unknown[0], 40)}", _("An interval has no such field."))
    begin, end = (_time(item.get(name), f"{at}.{name}") for name in ("from", "to"))
    if begin == end:
        raise HoursInvalid(f"{at}.to", _("It ends when it begins. A day is 00:00 to 12:00 and 12:00 to 00:00."))
    normal = {"days": _days(item.get("days"), f"{at}.days"), "from": begin, "to": end}
    off = item.get("holidays", "work")
    if off not in ("work", "off"):
        raise HoursInvalid(f"{at}.holidays", _("This is work or off."))
    return normal | {"holidays": "off"} if off == "off" else normal


def _days(value: Any, field: str) -> list[int]:
    listed = value if isinstance(value, list) else []
    if not listed or not all(type(day) is int and 1 <= day <= 7 for day in listed):
        raise HoursInvalid(field, _("Days are numbers from 1 (Monday) to 7, at least one."))
    return sorted(set(listed))


def _time(value: Any, field: str) -> str:
    if not (isinstance(value, str) and TIME.fullmatch(value)):
        raise HoursInvalid(field, _("This is not a time from 00:00 to 23:59."))
    return value


def weekly_hours(stored: Iterable[Mapping[str, Any]]) -> tuple[WeeklyHours, ...]:
    """Hours as they are stored, to reckon with."""
    return tuple(_weekly(item) for item in stored)


def _weekly(item: Mapping[str, Any]) -> WeeklyHours:
    begin, end = minute_of_day(item["from"]), minute_of_day(item["to"])
    return WeeklyHours(tuple(item["days"]), begin, end if end > begin else end + DAY, item.get("holidays") == "off")


def minute_of_day(time: str) -> int:
    """Of "08:30": 510."""
    return int(time[:2]) * 60 + int(time[3:])


def hours_text(stored: Iterable[Mapping[str, Any]]) -> str:
    """Stored hours in one line, as a CSV file has them: "1-5 08:00-17:00; 6,7 22:00-06:00 holidays off"."""
    return "; ".join(
        f"{days_text(item['days'])} {item['from']}-{item['to']}"
        + (" holidays off" if item.get("holidays") == "off" else "")
        for item in stored
    )


def days_text(days: Iterable[int]) -> str:
    """Days of a week in short: 1-3,6 for [1, 2, 3, 6]; two in a row are listed."""
    rows: list[list[int]] = []
    for day in sorted(set(days)):
        if rows and day == rows[-1][-1] + 1:
            rows[-1].append(day)
        else:
            rows.append([day])
    return ",".join(f"{row[0]}-{row[-1]}" if len(row) > 2 else ",".join(map(str, row)) for row in rows)
