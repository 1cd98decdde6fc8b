"""Calendars as other programs subscribe to them (RFC 5545): plain data in, text out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

PRODUCT = "-//AI Agent Live Monitoring//Duty//EN"
FOLDED = 75  # octets of a line, its end not counted
REFRESH = "PT30M"


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """From when to when, and what; `key` is the same for the same entry whenever it is read."""

    key: str
    starts: datetime
    ends: datetime
    title: str
    note: str = ""


def calendar_text(name: str, entries: Iterable[CalendarEntry], now: datetime) -> str:
    """A whole calendar. Times in UTC: whoever reads it shows them in their own zone, on both sides of a change."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODUCT}", "CALSCALE:GREGORIAN", "METHOD:PUBLISH"]
    lines += [f"NAME:{_text(name)}", f"X-WR-CALNAME:{_text(name)}"]
    lines += [f"REFRESH-INTERVAL;VALUE=DURATION:{REFRESH}", f"X-PUBLISHED-TTL:{REFRESH}"]
    for one in entries:
        lines += ["BEGIN:VEVENT", f"UID:{uuid5(NAMESPACE_URL, one.key)}", f"DTSTAMP:{_time(now)}"]
        lines += [f"DTSTART:{_time(one.starts)}", f"DTEND:{_time(one.ends)}", f"SUMMARY:{_text(one.title)}"]
        lines += [f"DESCRIPTION:{_text(one.note)}"] if one.note else []
        lines += ["TRANSP:TRANSPARENT", "END:VEVENT"]
    return "".join(f"{_fold(line)}\r\n" for line in [*lines, "END:VCALENDAR"])


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    """A text value: what would end it is escaped, and no control character is in it."""
    escaped = re.sub(r"([\\;,])", r"\\\1", text).replace("\r\n", "\n").replace("\n", "\\n")
    return re.sub(r"[\x00-\x1f\x7f]", "", escaped)


def _fold(line: str) -> str:
    """Long lines go on in the next one behind a blank; no character is cut in two."""
    parts, octets = [""], 0
    for letter in line:
        size = len(letter.encode())
        if octets + size > FOLDED:
            parts.append(" ")
            octets = 1
        parts[-1] += letter
        octets += size
    return "\r\n".join(parts)
