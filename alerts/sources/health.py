"""What every source sent lately, as figures. Green never means "no data". Queries do not grow with the sources."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from django.db.models import Count, F, Max, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from alerts.models import Alert, RejectedItem, WebhookDelivery
from alerts.sources.traffic import NAMES, TrafficCounts
from alerts.tables import fetch
from orgs.auth import OrgIds, of_orgs, scoped_orgs
from orgs.keys import live_keys
from orgs.models import ApiKey, Source, SourceHeard, WebhookEndpoint
from orgs.signals.rejected_items import REJECTED_ITEMS
from orgs.signals.silent_source import SILENT_SOURCE

HEARD_WITHIN = timedelta(minutes=15)
RECENT = timedelta(minutes=5)  # complete minutes of which the present rate is the mean
HOUR, DAY = timedelta(hours=1), timedelta(hours=24)

SourceState = Literal["silent", "no_data", "quiet", "heard"]


def source_state(heard_at: datetime | None, silent: bool, now: datetime) -> SourceState:
    """What is known of a source; pure. Quiet: nothing for 15 min, and no alarm, so perhaps only a calm night."""
    if silent:
        return "silent"
    if heard_at is None:
        return "no_data"
    return "heard" if now - heard_at <= HEARD_WITHIN else "quiet"


class Traffic(TrafficCounts):
    """The figures of some minutes together."""

    @property
    def received(self) -> int:
        return self.created + self.duplicate + self.refused

    @property
    def refused(self) -> int:
        return self.conflict + self.invalid + self.not_understood

    @property
    def lag_average_ms(self) -> float | None:
        """The mean from occurred to stored, of created items; None: no item was created."""
        return self.lag_ms / self.created if self.created else None

    @property
    def with_confidence_pct(self) -> float | None:
        """The share of created failure events that carry a confidence; None: no event was created."""
        return 100 * self.with_confidence / self.events if self.events else None


class HourPart(NamedTuple):
    """What came in a part of the hour that began at `start`."""

    start: datetime
    in_last_hour: bool  # of the minutes up to now
    in_recent: bool
    counts: Traffic


@dataclass(slots=True)
class SourceFigures:
    """Of a source or one of its endpoints: `day` and `hour` end now; `hours`: start of each hour -> its traffic."""

    day: Traffic = field(default_factory=Traffic)
    hour: Traffic = field(default_factory=Traffic)
    hours: dict[datetime, Traffic] = field(default_factory=lambda: defaultdict(Traffic))
    recent: int = 0

    @property
    def per_minute(self) -> float:
        return self.recent / (RECENT / timedelta(minutes=1))

    def add(self, part: HourPart) -> None:
        self.day.add(part.counts)
        self.hours[part.start].add(part.counts)
        if part.in_last_hour:
            self.hour.add(part.counts)
        if part.in_recent:
            self.recent += part.counts.received


@dataclass(frozen=True, slots=True)
class RejectedReason:
    """Why `n` items were refused within the last day, of those that were kept; and the newest of them."""

    status: str
    code: str
    n: int
    at: datetime
    field: str
    message: str
    sample: Any


@dataclass(slots=True)
class EndpointHealth:
    endpoint: WebhookEndpoint
    heard_at: datetime | None
    state: SourceState
    figures: SourceFigures = field(default_factory=SourceFigures)
    reasons: list[RejectedReason] = field(default_factory=list)


@dataclass(slots=True)
class SourceHealth:
    """A source, as far as it is about some orgs. `alarms`: its open alerts, each of one org."""

    source: Source
    heard_at: datetime | None
    state: SourceState
    alarms: list[Alert]
    figures: SourceFigures = field(default_factory=SourceFigures)
    endpoints: list[EndpointHealth] = field(default_factory=list)
    reasons: list[RejectedReason] = field(default_factory=list)
    keys: list[ApiKey] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """`qontak`, or `api` for one that sends with keys."""
        return self.endpoints[0].endpoint.kind if self.endpoints else "api"

    @property
    def rejecting(self) -> bool:
        return any(has_signal(alert, REJECTED_ITEMS.name) for alert in self.alarms)


def visible(orgs: OrgIds) -> QuerySet[Source]:
    """The sources of these orgs, and the platform's that were heard for one of them."""
    found = Source.objects.select_related("org")
    if orgs.every:
        return found
    heard = of_orgs(SourceHeard.objects.all(), orgs).values("source")
    return found.filter(Q(org__in=orgs.pks) | Q(org=None, pk__in=heard))


def has_signal(alert: Alert, signal: str) -> bool:
    """Whether this is what an alert is about now."""
    return any(entry["signal"] == signal for entry in alert.signals_now)


def of_sources(sources: Iterable[Source], orgs: OrgIds, now: datetime) -> list[SourceHealth]:
    """Figures, state and endpoints of each, in the order given. Five queries; run it inside a scope."""
    listed = list(sources)
    heard = of_orgs(SourceHeard.objects.filter(source__in=listed), orgs).order_by().values_list("source")
    heard_at = dict(heard.annotate(at=Max("at")))
    alarms = defaultdict(list)
    for alert in of_orgs(open_alarms(), orgs).filter(source__in=listed).select_related("org").order_by("opened_at"):
        alarms[alert.source_id].append(alert)
    found = {}
    for source in listed:
        silent = any(has_signal(alert, SILENT_SOURCE.name) for alert in alarms[source.pk])
        at = heard_at.get(source.pk)
        found[source.pk] = SourceHealth(source, at, source_state(at, silent, now), alarms[source.pk])
    _add_endpoints(found, orgs, now)
    endpoints = {one.endpoint.pk: one for source in found.values() for one in source.endpoints}
    for source_id, endpoint_id, part in _hours(found, orgs, now):
        found[source_id].figures.add(part)
        if endpoint_id in endpoints:
            endpoints[endpoint_id].figures.add(part)
    return list(found.values())


def open_alarms() -> QuerySet[Alert]:
    return Alert.objects.filter(scope=Alert.Scope.SOURCE).exclude(state=Alert.State.RESOLVED)


def _add_endpoints(found: dict[int, SourceHealth], orgs: OrgIds, now: datetime) -> None:
    rows = of_orgs(WebhookEndpoint.objects.filter(source__in=found), orgs).select_related("org")
    welcome = ~Q(deliveries__outcome=WebhookDelivery.Outcome.REFUSED)
    heard = rows.annotate(heard_at=Max("deliveries__received_at", filter=welcome))
    for endpoint in heard.order_by("-active", "pk"):
        at = endpoint.heard_at
        found[endpoint.source_id].endpoints.append(EndpointHealth(endpoint, at, source_state(at, False, now)))


# Each figure is added up once: what is of the last hour, and of the last minutes, apart from the rest of its hour.
HOURS = f"""
SELECT source_id, endpoint_id, date_bin('1 hour', minute, '2000-01-01Z'), minute > %(hour)s,
       minute >= %(recent)s AND minute < %(minute)s,
       {", ".join(f"{'max' if name == 'lag_most_ms' else 'sum'}({name})::bigint" for name in NAMES)}
  FROM alerts_sourceminute
 WHERE source_id = ANY (%(sources)s::bigint[]) AND minute > %(day)s{{of_orgs}}
 GROUP BY 1, 2, 3, 4, 5"""  # noqa: S608 - names of our own columns
OF_ORGS = " AND org_id = ANY (%(orgs)s::bigint[])"


def _hours(sources: Iterable[int], orgs: OrgIds, now: datetime) -> Iterator[tuple[int, int | None, HourPart]]:
    """The last day by source and endpoint (None: by key), in parts of hours. One query."""
    minute, scoped = now.replace(second=0, microsecond=0), scoped_orgs()
    seen = scoped if orgs.every else OrgIds.of(pk for pk in orgs.pks if pk in scoped)
    values = {"sources": list(sources), "orgs": list(seen.pks), "day": now - DAY, "hour": now - HOUR}
    values |= {"recent": minute - RECENT, "minute": minute}
    rows = fetch(HOURS.format(of_orgs="" if seen.every else OF_ORGS), values)
    for source_id, endpoint_id, start, in_last_hour, in_recent, *sums in rows:
        yield source_id, endpoint_id, HourPart(start, in_last_hour, in_recent, Traffic(*sums))


# --- why items were refused, and what may send ------------------------------------------------------------------------


def add_reasons(found: Iterable[SourceHealth], orgs: OrgIds, now: datetime) -> None:
    """Fill in why items were refused: of each source by code, of each endpoint by code. Two queries."""
    sources = {one.source.pk: one for one in found}
    endpoints = {one.endpoint.pk: one for source in sources.values() for one in source.endpoints}
    items = of_orgs(RejectedItem.objects.filter(source__in=sources, at__gt=now - DAY), orgs)
    for row in _newest(items, ("source_id", "status", "code"), "-at"):
        reason = RejectedReason(row.status, row.code, row.n, row.at, row.field, row.message, row.sample)
        sources[row.source_id].reasons.append(reason)
    odd = (WebhookDelivery.Outcome.NOT_UNDERSTOOD, WebhookDelivery.Outcome.REFUSED)
    deliveries = WebhookDelivery.objects.filter(endpoint__in=endpoints, outcome__in=odd, received_at__gt=now - DAY)
    for row in _newest(deliveries, ("endpoint_id", "outcome", "reason"), "-id"):
        reason = RejectedReason(row.outcome, row.reason, row.n, row.received_at, row.field, "", row.sample)
        endpoints[row.endpoint_id].reasons.append(reason)


def _newest(rows: QuerySet[Any], group: tuple[str, ...], order: str) -> Iterable[Any]:
    """The newest of each group, with `n`: how many there are; the largest groups first."""
    places = [F(name) for name in group]
    counted = rows.annotate(
        n=Window(Count("pk"), partition_by=places),
        place=Window(RowNumber(), partition_by=places, order_by=order),
    )
    return counted.filter(place=1).order_by("-n")


def add_keys(found: Iterable[SourceHealth], now: datetime) -> None:
    """Fill in the live keys of each source, oldest first. One query."""
    sources = {one.source.pk: one for one in found}
    for key in live_keys(sources, now):
        sources[key.source_id].keys.append(key)
