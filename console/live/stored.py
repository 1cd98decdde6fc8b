"""The figures of a board as they are stored, for its page: those of `OrgAlerts.counts`, counted by the database."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.fields import ArrayField
from django.db.models import Count, Func, IntegerField, Min, Q, QuerySet, Sum

from alerts.models import Alert, needing_human, put_aside
from alerts.prepared import NOW, PreparedValues
from console.live.counts import FADES_AFTER, NOTHING_OPEN
from console.live.filters import HOLDER
from console.live.rows import MARK
from orgs.models import Severity


@dataclass(frozen=True, slots=True)
class StoredState:
    """What is open in an org, and how many ended in the last 15 min."""

    org: str  # external id
    open: int = 0
    marks: int | None = None
    waiting: int = 0
    snoozed: int = 0
    customers: int = 0
    longest_since: datetime | None = None
    holders: list[str] | None = None  # the sso_id of whoever has an alert, for each
    severities: Sequence[int] = (0,) * len(Severity.values)
    resolved: int = 0

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
    aside = Q(state=Alert.State.OPEN) & put_aside(NOW)
    waits = Q(customer_waiting_since__isnull=False) & ~Q(state=Alert.State.INTERVENED) & ~aside
    is_open = Alert.objects.exclude(state=Alert.State.RESOLVED)
    rows = is_open.order_by().annotate(holder=HOLDER).values_list("org__external_id")
    return rows.annotate(
        open=Count("pk"),
        marks=Sum(MARK),
        waiting=Count("pk", filter=needing_human(NOW)),
        snoozed=Count("pk", filter=aside),
        customers=Count("pk", filter=waits),
        longest_since=Min("customer_waiting_since", filter=waits),
        holders=ArrayAgg("holder", filter=Q(holder__isnull=False)),
        severities=Func(
            *(Count("pk", filter=Q(severity=name)) for name in Severity.values),
            template="ARRAY[%(expressions)s]",
            output_field=ArrayField(IntegerField()),
        ),
    )


STATES = PreparedValues(_states)


def stored_states(org_pks: Collection[int], now: datetime) -> list[StoredState]:
    """Of those of these orgs in which something is open or has just ended. Two queries, inside a scope."""
    found = [StoredState(*row) for row in STATES.of_orgs(org_pks)]
    # With the time as a constant: by it alone the server knows that the index of what ended has few rows of then.
    ended = Alert.objects.filter(org__in=org_pks, state=Alert.State.RESOLVED, resolved_at__gt=now - FADES_AFTER)
    counted = dict(ended.order_by().values_list("org__external_id").annotate(n=Count("pk")))
    alone = [StoredState(org) for org in counted.keys() - {one.org for one in found}]
    return [replace(one, resolved=counted.get(one.org, 0)) for one in (*found, *alone)]
