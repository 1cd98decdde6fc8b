"""What sources send, counted by the minute; and what was refused, as samples. Statistics: they never fail a request."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from alerts.sources.rules import SLOW_AFTER

SLOW_MS = SLOW_AFTER // timedelta(milliseconds=1)
MINUTES_KEPT = timedelta(days=8)  # a week of the same hours, and today
SAMPLES_KEPT = timedelta(days=7)
PROCESSES_KEPT = timedelta(days=30)  # one that says more after that counts from nothing
SAMPLES_OF_A_SOURCE = 500
DELIVERIES_SHOWN = 50  # of an endpoint
NOT_UNDERSTOOD_KEPT = 500  # of an endpoint


class Slot(NamedTuple):
    """Whose minute it is; `org_id` None: the items named no org of ours, `endpoint_id` None: sent with a key."""

    org_id: int | None
    source_id: int
    endpoint_id: int | None
    minute: datetime


def slot(org_id: int | None, source_id: int, endpoint_id: int | None, at: datetime) -> Slot:
    return Slot(org_id, source_id, endpoint_id, at.replace(second=0, microsecond=0))


@dataclass(slots=True)
class TrafficCounts:
    """The figures of SourceMinute."""

    created: int = 0
    duplicate: int = 0
    conflict: int = 0
    invalid: int = 0
    not_understood: int = 0
    lag_ms: int = 0
    lag_most_ms: int = 0
    events: int = 0
    with_confidence: int = 0
    with_secret: int = 0
    slow: int = 0

    def add(self, other: "TrafficCounts") -> None:
        """Sums, but the most of the most."""
        most = max(self.lag_most_ms, other.lag_most_ms)
        for name in NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lag_most_ms = most

    def stored(self, occurred_at: datetime, stored_at: datetime) -> None:
        """One item created; a sender's clock that is ahead has no lag."""
        lag = int((stored_at - occurred_at).total_seconds() * 1000)
        self.created += 1
        if lag > 0:
            self.slow += lag > SLOW_MS
            self.lag_ms += lag
            if lag > self.lag_most_ms:
                self.lag_most_ms = lag


NAMES = [one.name for one in fields(TrafficCounts)]
# Sorted by the caller, so that two processes that add to the same minutes never wait for each other in a circle.
ADD = f"""
INSERT INTO alerts_sourceminute AS kept (org_id, source_id, endpoint_id, minute, {", ".join(NAMES)})
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[]{", %s::bigint[]" * len(NAMES)})
ON CONFLICT (org_id, source_id, endpoint_id, minute) DO UPDATE SET
{", ".join(f"{name} = kept.{name} + excluded.{name}" for name in NAMES if name != "lag_most_ms")},
lag_most_ms = greatest(kept.lag_most_ms, excluded.lag_most_ms)
"""  # noqa: S608 - names of our own columns


def add(counts: Mapping[Slot, TrafficCounts]) -> None:
    """Add these figures to the minutes. One statement of its own; raises the errors of the database."""
    if not counts:
        return
    rows = sorted(counts.items(), key=lambda pair: (pair[0].org_id or 0, pair[0].source_id, pair[0].minute))
    columns = zip(*((*place, *astuple(figures)) for place, figures in rows), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(ADD, [list(column) for column in columns])


# However much comes, the newest of each endpoint or source stay: a sender that posts nonsense all day fills no disk.
TIDY = """
DELETE FROM alerts_sourceminute WHERE minute < %(minutes)s;
DELETE FROM alerts_senderhour WHERE hour < %(minutes)s;
DELETE FROM alerts_senderprocess WHERE at < %(processes)s;
DELETE FROM alerts_rejecteditem WHERE at < %(samples)s OR id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY source_id ORDER BY id DESC) AS n FROM alerts_rejecteditem
    ) AS numbered WHERE n > %(of_a_source)s
);
DELETE FROM alerts_webhookdelivery WHERE outcome <> '' AND id IN (
    SELECT id FROM (
        SELECT id, received_at, outcome IN ('understood', 'repeated') AS usual,
               row_number() OVER (PARTITION BY endpoint_id ORDER BY id DESC) AS newest,
               row_number() OVER (PARTITION BY endpoint_id, outcome IN ('understood', 'repeated') ORDER BY id DESC) AS n
        FROM alerts_webhookdelivery
    ) AS numbered WHERE newest > %(shown)s AND (usual OR received_at < %(samples)s OR n > %(odd)s)
);
"""


def tidy(now: datetime) -> None:
    """Delete what no page shows any more."""
    values: dict[str, Any] = {
        "minutes": now - MINUTES_KEPT,
        "processes": now - PROCESSES_KEPT,
        "samples": now - SAMPLES_KEPT,
        "of_a_source": SAMPLES_OF_A_SOURCE,
        "shown": DELIVERIES_SHOWN,
        "odd": NOT_UNDERSTOOD_KEPT,
    }
    with connection.cursor() as cursor:
        for statement in TIDY.split(";\n")[:-1]:
            cursor.execute(statement, values)
