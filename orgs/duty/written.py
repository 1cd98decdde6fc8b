"""Weekly hours as people write them: `1-5 08:00-17:00; 6,7 22:00-06:00` in a cell, or a field for each day. Pure.

`holidays off` behind an interval: not on holidays. `always`: no interval, which is on duty at every hour.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from orgs.duty.hours import HoursInvalid, hours_text, normal_hours

ALWAYS = "always"
CLOCK = r"\d{1,2}(?:[:.]\d\d)?"
WRITTEN = re.compile(
    rf"(?P<days>[1-7](?:\s*[-,]\s*[1-7])*)\s+(?P<from>{CLOCK})\s*[-\u2013]\s*(?P<to>{CLOCK})(?P<off>\s+holidays\s+off)?",
    re.IGNORECASE,
)


def written_hours(stored: Iterable[Mapping[str, Any]]) -> str:
    """Stored hours in a cell."""
    return hours_text(stored) or ALWAYS


def read_hours(text: str) -> list[dict[str, Any]]:
    """The hours of a cell, as they are stored. Raises HoursInvalid; its field is `[1]` for the second interval."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if [part.lower() for part in parts] == [ALWAYS]:
        return []
    return normal_hours([_item(part, f"[{place}]") for place, part in enumerate(parts)], holidays=True)


def _item(part: str, place: str) -> dict[str, Any]:
    found = WRITTEN.fullmatch(part)
    if found is None:
        raise HoursInvalid(place, _("“%(part)s” is not written like 1-5 08:00-17:00.") % {"part": part[:60]})
    days: list[int] = []
    for piece in re.sub(r"\s", "", found["days"]).split(","):
        first, last = int(piece[0]), int(piece[-1])
        if len(piece) > 3 or last < first:
            raise HoursInvalid(place, _("“%(piece)s” is no row of days.") % {"piece": piece})
        days += range(first, last + 1)
    clocks = {name: _clock(found[name]) for name in ("from", "to")}
    return {"days": days, **clocks, "holidays": "off" if found["off"] else "work"}


def _clock(written: str) -> str:
    """`8`, `8.00` and `8:00` as 08:00."""
    hour, _mark, minute = written.replace(".", ":").partition(":")
    return f"{hour:0>2}:{minute or '00'}"


# --- a field for each day --------------------------------------------------------------------------------------------


def day_texts(stored: Iterable[Mapping[str, Any]], mark: str = ":") -> list[str]:
    """What the fields of the seven days hold, Monday's first: `08:00-12:00, 13:00-17:00`. `mark`: within a time."""
    days: list[set[str]] = [set() for _ in range(7)]
    for item in stored:
        for day in item["days"]:
            days[day - 1].add(f"{item['from']}-{item['to']}")
    return [", ".join(sorted(day)).replace(":", mark) for day in days]


def read_day_texts(texts: Iterable[str], *, holidays_off: bool = False) -> list[dict[str, Any]]:
    """The hours of the fields of seven days, as they are stored. Raises HoursInvalid; `[2]` is Wednesday's field."""
    days: dict[tuple[str, str], list[int]] = {}
    for place, text in enumerate(texts):
        for part in filter(str.strip, re.split("[,;]", text)):
            try:
                (item,) = normal_hours([_item(f"1 {part.strip()}", "")], holidays=True)
            except HoursInvalid as wrong:
                said = _("Write it like 08:00-17:00.") if not wrong.field else str(wrong)
                raise HoursInvalid(f"[{place}]", said) from None
            days.setdefault((item["from"], item["to"]), []).append(place + 1)
    off = "off" if holidays_off else "work"
    listed = [{"days": on, "from": begin, "to": end, "holidays": off} for (begin, end), on in days.items()]
    return normal_hours(sorted(listed, key=lambda item: (item["days"], item["from"])), holidays=True)
