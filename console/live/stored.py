"""The figures of a board as they are stored, for its page: those of `OrgAlerts.counts`, counted by the database."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Min, Q, QuerySet, Sum

from alerts.models import Alert, needing_human, put_aside
from alerts.prepared import NOW, PreparedValues
from console.live.counts import FADES_AFTER, NOTHING_OPEN
from console.live.filters import HOLDER
from console.live.rows import MARK
from orgs.models import Severity

IS_OPEN = ~Q(state=Alert.State.RESOLVED)


class StoredState(NamedTuple):
    """What is open in an org, and what ended in the last 15 min. Instances are made of the columns of `STATES`."""

    org: str  # external id
    open: int
    marks: int | None
    waiting: int
    snoozed: int
    resolved: int
    customers: int
    longest_since: datetime | None
    holders: list[str] | None  # the sso_id of whoever has an alert, for each
    severities: tuple[int, ...]

    @property
    def checksum(self) -> str:
        return f"{self.open}:{self.marks}" if self.open else NOTHING_OPEN

    @property
    def figures(self) -> dict[str, Any]:
        """As `OrgAlerts.counts` has them."""
        return {
            "open": self.open,
            "waiting": self.waiting,
            "snoozed": self.snoozed,
            "resolved": self.resolved,
            "severity": dict(zip(Severity.values, self.severities, strict=True)),
            "holders": Counter(self.holders or ()),
            "customers": self.customers,
            "longest": self.longest_since.isoformat() if self.longest_since else None,
        }


def _states() -> QuerySet[Any, Any]:
    ended = Q(state=Alert.State.RESOLVED, resolved_at__gt=NOW - FADES_AFTER)
    aside = Q(state=Alert.State.OPEN) & put_aside(NOW)
    waits = IS_OPEN & Q(customer_waiting_since__isnull=False) & ~Q(state=Alert.State.INTERVENED) & ~aside
    rows = Alert.objects.filter(IS_OPEN | ended).order_by().annotate(holder=HOLDER).values_list("org__external_id")
    return rows.annotate(
        open=Count("pk", filter=IS_OPEN),
        marks=Sum(MARK, filter=IS_OPEN),
        waiting=Count("pk", filter=needing_human(NOW)),
        snoozed=Count("pk", filter=aside),
        resolved=Count("pk", filter=ended),
        customers=Count("pk", filter=waits),
        longest_since=Min("customer_waiting_since", filter=waits),
        holders=ArrayAgg("holder", filter=IS_OPEN & Q(holder__isnull=False)),
        **{f"is_{name}": Count("pk", filter=IS_OPEN & Q(severity=name)) for name in Severity.values},
    )


STATES = PreparedValues(_states)


def stored_states(org_pks: Collection[int]) -> list[StoredState]:
    """Of those of these orgs in which something is open or has just ended. One query, inside a scope."""
    alone = len(StoredState._fields) - 1  # all but the severities
    return [StoredState(*row[:alone], tuple(row[alone:])) for row in STATES.of_orgs(org_pks)]
