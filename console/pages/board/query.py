"""What the live board shows: filters from the URL, counts, groups, pages. Reads only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Case, Count, F, IntegerField, Min, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.http import QueryDict

from alerts.models import Alert
from console.live.filters import folded, passing
from console.live.rows import for_rows
from console.text.sentences import severity_name
from orgs.identifiers import spelled
from orgs.incoming import bounded_number
from orgs.models import Org, Severity, User
from orgs.paging import Order, cut_page
from orgs.signals import SIGNALS, signal_name

GROUP_LIMIT = 50  # rows of a group on a page; "show more" doubles it
GROUP_LIMIT_MOST = 400
PAGE = 50  # resolved alerts on a page
FADES_AFTER = timedelta(minutes=15)  # resolved rows stay on the board that long
TABS = ("all", "waiting", "on-it", "resolved")
NEWEST_END = Order((("resolved_at", datetime), ("pk", UUID)), descending=True)
ON_IT = (Alert.State.ACKNOWLEDGED, Alert.State.INTERVENED)


@dataclass(frozen=True)
class BoardFilters:
    """The filters of the URL; an unknown value counts as none."""

    tab: str = "all"
    severity: str = ""
    agent: str = ""
    signal: str = ""
    org: str = ""
    mine: bool = False
    q: str = ""
    limit: int = GROUP_LIMIT
    cursor: str = ""

    def url(self, **changes: Any) -> str:
        """The board's address with these filters, some of them changed; what is at its default is left out."""
        values = {**self.chosen(), "tab": self.tab, **changes}
        kept = {k: v for k, v in values.items() if v and (k, v) not in (("tab", "all"), ("limit", GROUP_LIMIT))}
        return "?" + urlencode(kept) if kept else "?"

    def chosen(self) -> dict[str, str]:
        """The filters that hide something, by name."""
        values = {"severity": self.severity, "agent": self.agent, "signal": self.signal, "org": self.org, "q": self.q}
        return {k: v for k, v in values.items() if v} | ({"mine": "1"} if self.mine else {})


def board_filters(query: QueryDict) -> BoardFilters:
    """The filters of a request."""
    tab, severity, signal = query.get("tab", ""), query.get("severity", ""), query.get("signal", "")
    return BoardFilters(
        tab=tab if tab in TABS else "all",
        severity=severity if severity in Severity.values else "",
        agent=spelled(_text(query, "agent")),
        signal=signal if signal in SIGNALS else "",
        org=spelled(_text(query, "org")),
        mine=query.get("mine") == "1",
        q=_text(query, "q"),
        limit=bounded_number(query.get("limit", ""), GROUP_LIMIT, GROUP_LIMIT_MOST),
        cursor=_text(query, "cursor"),
    )


def _text(query: QueryDict, name: str) -> str:
    return query.get(name, "").strip()[:200]


def matching_alerts(filters: BoardFilters, user: User) -> QuerySet[Alert]:
    """The alerts of the scope that pass the filters (the tab is no filter)."""
    return passing(Alert.objects.all(), asked(filters, user))


def asked(filters: BoardFilters, user: User) -> dict[str, str]:
    """The value that a row needs to pass each filter; the page gives the same to its script."""
    values = filters.chosen()
    if filters.mine:
        values["mine"] = user.sso_id
    if filters.q:
        values["q"] = folded(_id(filters.q))
    return values


def _id(text: str) -> str:
    """An alert's id in any spelling becomes the stored one; other text stays as it is."""
    try:
        return str(UUID(text))
    except ValueError:
        return text


@dataclass(frozen=True)
class BoardCounts:
    """How many alerts there are, and when the customer who waits longest began to wait."""

    waiting: int = 0
    on_it: int = 0
    resolved: int = 0  # in the last 15 min
    customers: int = 0
    longest_since: datetime | None = None

    @property
    def all(self) -> int:
        return self.waiting + self.on_it + self.resolved


def count_board(alerts: QuerySet[Alert], now: datetime) -> BoardCounts:
    """One query over what is open or has just been resolved."""
    is_open = ~Q(state=Alert.State.RESOLVED)
    untaken = Q(state=Alert.State.OPEN)
    waits = is_open & Q(customer_waiting_since__isnull=False) & ~Q(state=Alert.State.INTERVENED)
    faded_soon = _just_resolved(now)
    row = alerts.filter(is_open | faded_soon).aggregate(
        waiting=Count("pk", filter=untaken),
        on_it=Count("pk", filter=Q(state__in=ON_IT)),
        resolved=Count("pk", filter=faded_soon),
        customers=Count("pk", filter=waits),
        longest_since=Min("customer_waiting_since", filter=waits),
    )
    return BoardCounts(**row)


@dataclass(frozen=True)
class BoardGroup:
    """The rows of one group, in order; `more` are left out."""

    name: str
    alerts: list[Alert] = field(default_factory=list)
    total: int = 0

    @property
    def more(self) -> int:
        return max(0, self.total - len(self.alerts))


def open_group(name: str, alerts: QuerySet[Alert], total: int, limit: int) -> BoardGroup:
    """Waiting or on-it: the severest first, of those the longest wait."""
    states = [Alert.State.OPEN] if name == "waiting" else ON_IT
    severity = Case(
        When(severity="critical", then=Value(0)),
        When(severity="warning", then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    since = Coalesce(F("customer_waiting_since"), F("first_failure_at"))
    order = (severity, since, "pk")
    if not total:
        return BoardGroup(name)
    # Narrow rows are sorted, then the few that are shown are read whole: 2,000 open alerts stay fast.
    ids = list(alerts.filter(state__in=states).order_by(*order).values_list("pk", flat=True)[:limit])
    return BoardGroup(name, list(for_rows(Alert.objects.filter(pk__in=ids)).order_by(*order)), total)


def just_resolved(alerts: QuerySet[Alert], total: int, limit: int, now: datetime) -> BoardGroup:
    """What was resolved in the last 15 min, newest first."""
    rows = for_rows(alerts.filter(_just_resolved(now))).order_by(*NEWEST_END.names())
    return BoardGroup("resolved", list(rows[:limit]) if total else [], total)


def _just_resolved(now: datetime) -> Q:
    return Q(state=Alert.State.RESOLVED, resolved_at__gt=now - FADES_AFTER)


def resolved_page(alerts: QuerySet[Alert], cursor: str) -> tuple[BoardGroup, str]:
    """A page of everything resolved, newest first, and the cursor of the next page ("" at the end)."""
    rows = for_rows(alerts.filter(state=Alert.State.RESOLVED))
    found = cut_page(NEWEST_END, NEWEST_END.place(cursor), PAGE, partial(NEWEST_END.fetch, rows))
    return BoardGroup("resolved", found.rows, len(found.rows)), found.next


def hidden(filters: BoardFilters, orgs: Sequence[Org]) -> list[str]:
    """The chosen filters in words, for the sentence that says what hides everything."""
    names = {org.external_id: org.name for org in orgs}
    say: dict[str, Callable[[str], str]] = {
        "severity": severity_name,
        "signal": signal_name,
        "org": lambda value: names.get(value, value),
        "q": lambda value: f"“{value}”",
    }
    return [say.get(name, str)(value) for name, value in filters.chosen().items() if name != "mine"]
