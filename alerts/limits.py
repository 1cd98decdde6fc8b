"""The limits of a policy that have several numbers: how often people are told, what an outage is. Pure: plain data."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache


@lru_cache(maxsize=1024)
def minutes_long(minutes: int) -> timedelta:
    """So many minutes. Every decision asks for the same few."""
    return timedelta(minutes=minutes)


@dataclass(frozen=True, slots=True)
class PushBudget:
    """At most so many pushes about alerts to one person of an org in so many minutes; 0 pushes: no limit."""

    pushes: int = 6
    minutes: int = 10

    @property
    def window(self) -> timedelta:
        return minutes_long(self.minutes)


@dataclass(frozen=True, slots=True)
class OutageRule:
    """So many rooms of one agent that fail critically in so many minutes are one outage; 0 rooms: never one.

    It ends by itself after `clean_minutes` without a new one.
    """

    rooms: int = 5
    minutes: int = 5
    clean_minutes: int = 10


NO_BUDGET = PushBudget(pushes=0)
