"""Seals the days whose raw rows are about to be deleted: what was counted of them stays."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import OuterRef, Q, Subquery

from alerts.figures.closing import AT_ONCE, LOCK, _baseline, _counted, _days_over, close_days
from alerts.figures.counting import BASELINE, first_failures, local_day
from alerts.figures.kept import after_seal, sealed_until
from alerts.figures.periods import instant
from alerts.models import FailureEvent, KeptFigures
from orgs.models import Agent, Org

LATEST = timedelta(days=31)


def midnight(org: Org, at: datetime) -> datetime:
    """When the org's day began in which this moment lies: only whole days are sealed."""
    return instant(local_day(at, org.zone), org.zone)


def close_all(now: datetime) -> None:
    """Count all days that are over and not kept, in transactions of their own. Needs scopes disabled."""
    while close_days(now) == AT_ONCE:
        pass


def seal(until: Mapping[Org, datetime], now: datetime) -> None:
    """Keep every day of these orgs that lies before the given midnight of its zone for good, and the baselines.

    The midnights are at least 40 days ago: nothing that comes in can change what happened before. One transaction,
    under the lock of `close_days`, so that what is sealed is counted as of now; without news nothing is locked.
    """
    sealed, begun = sealed_until(org.pk for org in until), _first_heard(until)
    due = [org for org, at in begun.items() if at < until[org] and sealed.get(org.pk, at) < until[org]]
    if not due:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        close_days(now)
        firsts = first_failures(due)
        for org in due:
            _seal(org, begun[org], firsts.get(org.pk), until[org], now)


def _first_heard(orgs: Iterable[Org]) -> dict[Org, datetime]:
    """A time before all that is counted of each org that has failed: what occurs is received within 30 days."""
    first = FailureEvent.objects.filter(agent=OuterRef("pk")).order_by("received_at").values("received_at")[:1]
    found, by_pk = dict[Org, datetime](), {org.pk: org for org in orgs}
    agents = Agent.objects.filter(org__in=by_pk).order_by().values_list("org_id", Subquery(first))
    for org_id, at in agents:
        if at is not None:
            org = by_pk[org_id]
            found[org] = min(at - LATEST, found.get(org, at))
    return found


def _seal(org: Org, begun: datetime, first: datetime | None, until: datetime, now: datetime) -> None:
    KeptFigures.objects.bulk_create(_missing(org, begun, first, until, now))
    of_org = KeptFigures.objects.filter(org=org)
    of_org.filter(Q(ends__lte=until) | Q(starts=first, starts__lt=until, ends__gt=until)).update(sealed=True)


def _missing(org: Org, begun: datetime, first: datetime | None, until: datetime, now: datetime) -> list[KeptFigures]:
    """What was never kept: days before the first failure that was not late, and all where nobody closed days."""
    kept = set(KeptFigures.objects.filter(org=org).values_list("starts", "ends"))
    days = [row for row in _days_over(org, begun, now) if row[2] <= until]
    days = [row for row in after_seal(days, sealed_until([org.pk])) if row[1:3] not in kept]
    found = _counted(days, now) if days else []
    if first is not None and first < until and (first, first + BASELINE) not in kept:
        found.append(_baseline((org.pk, first, first + BASELINE, org.zone), now))
    return found
