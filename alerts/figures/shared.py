"""Figures counted once for all who see the same orgs, until something happens."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from django.db import connection

KEPT_FOR = timedelta(seconds=60)  # ids commit out of order: what this missed shows with the next row, or then
KEPT_SPANS = 200

# What is counted follows from these rows alone, and from the time; each is one look at the end of an index.
NEWEST = """
SELECT (SELECT max(id) FROM alerts_failureevent), (SELECT max(id) FROM alerts_transition),
       (SELECT max(id) FROM alerts_roomactivity), (SELECT max(id) FROM alerts_blindinterval),
       (SELECT count(*) FROM alerts_blindinterval WHERE ends IS NULL)"""

T = TypeVar("T")


class SharedFigures(Generic[T]):
    """What was counted last for each key: at most a minute old, and never older than the newest of those rows.

    `newest`: another statement for others, whose one row differs once any of them is new.
    """

    def __init__(self, newest: Callable[[], str] = lambda: NEWEST) -> None:
        self._newest = newest
        self._kept: OrderedDict[Hashable, tuple[tuple[object, ...], datetime, T]] = OrderedDict()

    def get(self, key: Hashable, now: datetime, count: Callable[[], T]) -> T:
        """What `count` gives, now or a while ago. `key`: the orgs with their zones, and all else that it depends on."""
        with connection.cursor() as cursor:
            cursor.execute(self._newest())
            newest = tuple(cursor.fetchone())
        kept = self._kept.get(key)
        if kept is not None and kept[0] == newest and timedelta() <= now - kept[1] < KEPT_FOR:
            return kept[2]
        found = count()
        self._kept.pop(key, None)
        self._kept[key] = newest, now, found
        while len(self._kept) > KEPT_SPANS:
            self._kept.popitem(last=False)
        return found

    def clear(self) -> None:
        """Count anew whatever is asked for next."""
        self._kept.clear()
