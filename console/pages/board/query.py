"""What the live board shows: filters from the URL, counts, groups, pages. Reads only."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet
from django.http import QueryDict

from alerts.models import Alert, needing_human, put_aside
from console.live.counts import FADES_AFTER
from console.live.filters import folded, passing
from console.live.rows import OPEN_RANK, ROWS
from console.live.stored import StoredState
from console.text.sentences import severity_name
from orgs.identifiers import spelled
from orgs.incoming import bounded_number
from orgs.models import Org, Severity, User
from orgs.paging import ListPage, Order, cut_page
from orgs.signals import SIGNALS, signal_name

GROUP_LIMIT = 50  # rows of a group on a page; the script fetches the next ones as one scrolls
GROUP_LIMIT_MOST = 50
SCROLLED_MOST = 400  # rows of a group that the script may hold, and ask for anew
PAGE = 50  # resolved alerts on a page
OPEN_GROUPS = ("waiting", "on-it", "snoozed")
TABS = ("all", *OPEN_GROUPS, "resolved")
WORST_FIRST = Order((("rank", int), ("pk", UUID)))  # the severest, of those the longest wait
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
    digest: str = ""  # id of a digest's push: what it stands for
    under: str = ""  # id of an outage's alert: the rooms under it
    folds: bool = False  # the rooms of an outage stand under its row; not in the URL
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
        values = {"severity": self.severity, "agent": self.agent, "signal": self.signal, "org": self.org}
        values |= {"digest": self.digest, "under": self.under, "q": self.q}
        return {k: v for k, v in values.items() if v} | ({"mine": "1"} if self.mine else {})


def board_filters(query: QueryDict) -> BoardFilters:
    """The filters of a request."""
    most = SCROLLED_MOST if query.get("partial") else GROUP_LIMIT_MOST
    tab, severity, signal = query.get("tab", ""), query.get("severity", ""), query.get("signal", "")
    return BoardFilters(
        tab=tab if tab in TABS else "all",
        severity=severity if severity in Severity.values else "",
        agent=spelled(_text(query, "agent")),
        signal=signal if signal in SIGNALS else "",
        org=spelled(_text(query, "org")),
        mine=query.get("mine") == "1",
        under=_uuid(_text(query, "under")),
        digest=_uuid(_text(query, "digest")),
        q=_text(query, "q"),
        limit=bounded_number(query.get("limit", ""), GROUP_LIMIT, most),
        cursor=_text(query, "cursor"),
    )


def _text(query: QueryDict, name: str) -> str:
    return query.get(name, "").strip()[:200]


def folding(filters: BoardFilters) -> BoardFilters:
    """The same filters; where an outage is open, and none of them looks for single rooms, its rooms are folded."""
    if filters.chosen().keys() - {"org"} or filters.tab == "resolved":
        return filters
    outages = Alert.objects.filter(scope__in=(Alert.Scope.AGENT, Alert.Scope.SOURCE), covers_from__isnull=False)
    return replace(filters, folds=outages.exclude(state=Alert.State.RESOLVED).exists())


def matching_alerts(filters: BoardFilters, user: User) -> QuerySet[Alert]:
    """The alerts of the scope that pass the filters (the tab is no filter)."""
    return passing(Alert.objects.all(), asked(filters, user))


def asked(filters: BoardFilters, user: User) -> dict[str, str]:
    """The value that a row needs to pass each filter; the page gives the same to its script."""
    values = filters.chosen()
    if filters.mine:
        values["mine"] = user.sso_id
    if filters.folds:
        values["under"] = ""
    if filters.q:
        values["q"] = folded(_id(filters.q))
    return values


def _id(text: str) -> str:
    """An alert's id in any spelling becomes the stored one; other text stays as it is."""
    try:
        return str(UUID(text))
    except ValueError:
        return text


def _uuid(text: str) -> str:
    """An id in its one spelling; empty for what is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""


@dataclass(frozen=True)
class BoardCounts:
    """How many alerts there are, and when the customer who waits longest began to wait."""

    waiting: int = 0
    on_it: int = 0
    snoozed: int = 0
    resolved: int = 0  # in the last 15 min
    customers: int = 0
    longest_since: datetime | None = None

    @property
    def all(self) -> int:
        return self.waiting + self.on_it + self.snoozed + self.resolved

    def of(self, group: str) -> int:
        return int(getattr(self, group.replace("-", "_")))

    def folded(self, listed: "BoardCounts") -> dict[str, int]:
        """How many of each open group have no row of their own in a list with these counts: their outage's has them."""
        return {name: max(0, self.of(name) - listed.of(name)) for name in OPEN_GROUPS}


def count_board(alerts: QuerySet[Alert], now: datetime) -> BoardCounts:
    """One query over what is open or has just been resolved."""
    is_open = ~Q(state=Alert.State.RESOLVED)
    groups = in_groups(now)
    waits = is_open & Q(customer_waiting_since__isnull=False) & ~Q(state=Alert.State.INTERVENED) & ~groups["snoozed"]
    row = alerts.filter(is_open | groups["resolved"]).aggregate(
        **{name.replace("-", "_"): Count("pk", filter=where) for name, where in groups.items()},
        customers=Count("pk", filter=waits),
        longest_since=Min("customer_waiting_since", filter=waits),
    )
    return BoardCounts(**row)


def count_stored(states: Iterable[StoredState]) -> BoardCounts:
    """What `count_board` gives for all alerts of these orgs."""
    found = list(states)
    waiting, snoozed, resolved, customers, is_open = (
        sum(getattr(one, name) for one in found) for name in ("waiting", "snoozed", "resolved", "customers", "open")
    )
    longest = min((one.longest_since for one in found if one.longest_since), default=None)
    return BoardCounts(waiting, is_open - waiting - snoozed, snoozed, resolved, customers, longest)


def in_groups(now: datetime) -> dict[str, Q]:
    """Which alerts stand in which group of the board."""
    return {
        "waiting": needing_human(now),
        "on-it": Q(state__in=ON_IT),
        "snoozed": Q(state=Alert.State.OPEN) & put_aside(now),
        "resolved": Q(state=Alert.State.RESOLVED, resolved_at__gt=now - FADES_AFTER),
    }


@dataclass(frozen=True)
class BoardGroup:
    """The alerts of one group, in order; `more` are left out, and stand at the cursor `following`.

    Only ids: narrow rows are sorted fast, and most of what is shown was rendered before.
    """

    name: str
    ids: list[UUID] = field(default_factory=list)
    total: int = 0
    following: str = ""

    @property
    def more(self) -> int:
        return max(0, self.total - len(self.ids))


def open_group(name: str, alerts: QuerySet[Alert], total: int, filters: BoardFilters, now: datetime) -> BoardGroup:
    """Waiting, on-it or snoozed: a page of it, the severest first, of those the longest wait."""
    if not total:
        return BoardGroup(name)
    rows = alerts.filter(in_groups(now)[name]).annotate(rank=OPEN_RANK)
    place, fetch = WORST_FIRST.place(filters.cursor), partial(WORST_FIRST.fetch, rows.only("pk"))
    found = cut_page(WORST_FIRST, place, filters.limit, fetch)
    return BoardGroup(name, [alert.pk for alert in found.rows], total, found.next)


def whole_alerts(ids: Sequence[UUID]) -> list[Alert]:
    """These alerts with everything that a row says, in this order."""
    return sorted(ROWS.rows(ids), key=lambda alert: ids.index(alert.pk))


def just_resolved(alerts: QuerySet[Alert], total: int, limit: int, now: datetime) -> BoardGroup:
    """What was resolved in the last 15 min, newest first."""
    rows = alerts.filter(in_groups(now)["resolved"]).order_by(*NEWEST_END.names())
    return BoardGroup("resolved", list(rows.values_list("pk", flat=True)[:limit]) if total else [], total)


def resolved_page(alerts: QuerySet[Alert], cursor: str) -> BoardGroup:
    """A page of everything resolved, newest first."""
    rows = alerts.filter(state=Alert.State.RESOLVED).only("pk", "resolved_at")
    found: ListPage[Alert] = cut_page(NEWEST_END, NEWEST_END.place(cursor), PAGE, partial(NEWEST_END.fetch, rows))
    return BoardGroup("resolved", [alert.pk for alert in found.rows], len(found.rows), found.next)


def board_groups(
    filters: BoardFilters, alerts: QuerySet[Alert], counts: BoardCounts, now: datetime
) -> list[BoardGroup]:
    """The groups that the tab shows."""
    if filters.tab == "resolved":
        return [resolved_page(alerts, filters.cursor)]
    wanted = OPEN_GROUPS if filters.tab == "all" else [filters.tab]
    groups = [open_group(name, alerts, counts.of(name), filters, now) for name in wanted]
    if filters.tab == "all":
        groups.append(just_resolved(alerts, counts.resolved, filters.limit, now))
    return groups


def shown_orgs(filters: BoardFilters, orgs: list[Org]) -> list[Org]:
    """Whose board it is: that of the chosen org, else of all that the reader sees."""
    return [org for org in orgs if org.external_id == filters.org] or orgs


def hidden(filters: BoardFilters, orgs: Sequence[Org]) -> list[str]:
    """The chosen filters in words, for the sentence that says what hides everything; an org that is known hides
    nothing, the board is of it.
    """
    known = {org.external_id for org in orgs}
    say: dict[str, Callable[[str], str]] = {
        "severity": severity_name,
        "signal": signal_name,
        "q": lambda value: f"“{value}”",
    }
    chosen = [(name, value) for name, value in filters.chosen().items() if name != "mine"]
    return [say.get(name, str)(value) for name, value in chosen if name != "org" or value not in known]
