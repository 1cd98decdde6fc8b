"""Timers while we were down: what fell due then, or in the 2 min after, waits until others could tell what happened.

Humans may have acted meanwhile; whoever reports it does so within those minutes, and what is due all the same is told
as "check these rooms".
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.tables import fetch

GRACE = timedelta(minutes=2)  # after we see again
DOWNS = """
SELECT starts, ends FROM alerts_blindinterval WHERE cause = 'down' AND (ends IS NULL OR ends > %s::timestamptz)
 ORDER BY starts
"""


@dataclass(frozen=True, slots=True)
class Downtime:
    """From `starts` to `ends` no web process was there; None: there is none yet."""

    starts: datetime
    ends: datetime | None

    def covers(self, at: datetime) -> bool:
        """Whether what fell due at `at` did so in it, or in the grace after it."""
        return at >= self.starts and (self.ends is None or at < self.ends + GRACE)

    def holds(self, now: datetime) -> bool:
        """Whether what it covers still waits."""
        return self.ends is None or now < self.ends + GRACE


@dataclass(frozen=True, slots=True)
class Downtimes:
    """The downtimes that timers due now may have to do with."""

    found: tuple[Downtime, ...] = ()

    @classmethod
    def read(cls, since: datetime) -> "Downtimes":
        """Those that end, grace included, after `since`. One query, on a table of few rows; asked at every sweep."""
        return cls(tuple(Downtime(*row) for row in fetch(DOWNS, [since - GRACE])))

    def holds_from(self, now: datetime) -> datetime | None:
        """What falls due from then on waits now; None: nothing does."""
        return min((one.starts for one in self.found if one.holds(now)), default=None)

    def covers(self, at: datetime) -> bool:
        """Whether what fell due then did so while we were down."""
        return any(one.covers(at) for one in self.found)


NO_DOWNTIMES = Downtimes()
