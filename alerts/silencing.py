"""Silences: when one holds, and what it covers. Pure: plain data in, a verdict out.

A silence is a first window of time, which may recur each day or week by the wall clock of its org until some instant.
It covers an alert of a room, or the outage of an agent, that all it names fits; one that names a signal covers that
signal alone, so an alert is silenced only if each signal of its episode is covered.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

LONGEST = timedelta(days=31)
FURTHEST = timedelta(days=366)  # ahead: `until`, and the begin of one that is planned
STEPS = {"daily": timedelta(days=1), "weekly": timedelta(days=7)}
WHATSAPP = "whatsapp"


@dataclass(frozen=True, slots=True)
class SilenceFacts:
    """One silence that has not ended for good. What it does not name, it does not ask for.

    `closed_at`: the begin of a window that ended early, because nothing matched for so long.
    """

    id: UUID
    zone: str
    starts_at: datetime
    ends_at: datetime
    recurrence: str = ""  # daily | weekly
    until: datetime | None = None  # no window begins then or later, and one that lasts ends
    agent_id: int | None = None
    signal: str = ""
    room_id: str = ""
    channel: str = ""  # as `channel_name` spells it
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlertSubject:
    """What an alert is about: `room_id` None for the outage of an agent; the signals of its episode."""

    agent_id: int | None
    room_id: str | None
    channel: str
    signals: Sequence[str]


class SilenceWindow(NamedTuple):
    """From `starts` on, until just before `ends`."""

    starts: datetime
    ends: datetime


class Covering(NamedTuple):
    """What silences an alert, until when: the one that ends first of those that are needed."""

    silence: SilenceFacts
    until: datetime


def channel_name(text: str) -> str:
    """A channel as it is compared: in lower case; whatever begins with wa is WhatsApp."""
    name = text.strip().lower()
    return WHATSAPP if name.startswith("wa") else name


# --- when ----------------------------------------------------------------------------------------------------------


def windows(silence: SilenceFacts, at: datetime) -> Iterator[SilenceWindow]:
    """Its windows that are not over at `at`, in order; those of one that recurs end with `until`."""
    step = STEPS.get(silence.recurrence)
    if step is None or silence.until is None:
        if silence.ends_at > at and silence.starts_at != silence.closed_at:
            yield SilenceWindow(silence.starts_at, silence.ends_at)
        return
    zone = ZoneInfo(silence.zone)
    n = max(0, (_wall(at, zone) - _wall(silence.starts_at, zone)) // step - 1)
    while (starts := _begin(silence, step, n, zone)) < silence.until:
        window = SilenceWindow(starts, min(_end(silence, step, n, zone), _begin(silence, step, n + 1, zone)))
        window = window._replace(ends=min(window.ends, silence.until))
        if window.ends > at and starts != silence.closed_at:
            yield window
        n += 1


def window_at(silence: SilenceFacts, now: datetime) -> SilenceWindow | None:
    """The window that lasts now."""
    first = next(windows(silence, now), None)
    return first if first is not None and first.starts <= now else None


def silence_state(silence: SilenceFacts, now: datetime) -> str:
    """scheduled | active | ended."""
    first = next(windows(silence, now), None)
    return "ended" if first is None else "active" if first.starts <= now else "scheduled"


def overlaps_itself(starts_at: datetime, ends_at: datetime, recurrence: str, zone: str) -> bool:
    """Whether by the wall clock a window does not end before the next one begins."""
    wall = ZoneInfo(zone)
    return _wall(ends_at, wall) - _wall(starts_at, wall) >= STEPS[recurrence]


def _begin(silence: SilenceFacts, step: timedelta, n: int, zone: ZoneInfo) -> datetime:
    return silence.starts_at if n == 0 else _instant(_wall(silence.starts_at, zone) + n * step, zone, last=False)


def _end(silence: SilenceFacts, step: timedelta, n: int, zone: ZoneInfo) -> datetime:
    return silence.ends_at if n == 0 else _instant(_wall(silence.ends_at, zone) + n * step, zone, last=True)


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


@lru_cache(maxsize=4096)
def _instant(wall: datetime, zone: ZoneInfo, *, last: bool) -> datetime:
    """When the wall clock shows this, the first or the `last` time; what it skips is the instant of the jump."""
    early, late = sorted(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if _wall(early, zone) == wall or _wall(late, zone) == wall:
        return late if last else early
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == early.astimezone(zone).utcoffset():
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


# --- what ----------------------------------------------------------------------------------------------------------


def fits(silence: SilenceFacts, subject: AlertSubject) -> bool:
    """Whether all it names but its signal fits."""
    if silence.agent_id is not None and silence.agent_id != subject.agent_id:
        return False
    if silence.room_id and silence.room_id != subject.room_id:
        return False
    return not silence.channel or (subject.room_id is not None and silence.channel == channel_name(subject.channel))


def covering(silences: Iterable[SilenceFacts], subject: AlertSubject, now: datetime) -> Covering | None:
    """What silences this alert now; None: at least one of its signals is not covered."""
    active = [
        Covering(one, window.ends)
        for one in silences
        if fits(one, subject) and (window := window_at(one, now)) is not None
    ]
    needed = []
    for signal in subject.signals if active else ():
        theirs = [one for one in active if one.silence.signal in ("", signal)]
        if not theirs:
            return None
        needed.append(max(theirs, key=lambda one: one.until))
    return min(needed, key=lambda one: one.until, default=None)
