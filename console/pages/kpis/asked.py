"""What the address of a page about runs asks for: whose, which, and of what stretch of time."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest
from django.utils import timezone

from alerts.figures import Period
from console.pages.access import orgs_seen
from console.pages.success.words import span_words, today
from console.text.org_names import twin_orgs
from orgs import clock
from orgs.clock import rfc3339
from orgs.identifiers import spelled
from orgs.models import Org
from orgs.replica import replica
from orgs.texts import BAD_TEXT
from orgs.years import FIRST_YEAR, LAST_YEAR
from runs.rollups import KpiFilters, KpiScope
from runs.windows import BUCKET_NAMES, BucketLabel, BucketName, OrgWindow, hour_of, kpi_period

RANGES = (1, 7, 14, 30, 90)  # days; the first is the last 24 hours
USUAL = 14
DAY_BUCKETS = 62  # days; longer stretches are shown by the week
WEEK_BUCKETS = 300  # days; longer ones by the month
FILTER_NAMES = ("agent", "version", "channel", "input_kind")


@dataclass(frozen=True)
class KpiAsked:
    """What is asked for. A text that is no day, range or bucket counts as not asked; a foreign org is a 404.

    `at`: only one bucket of the period, that of a mark somebody clicked.
    """

    orgs: list[Org]  # all this person sees
    org: Org | None
    period: Period
    days: int | None  # a range that moves with time; None: from and to were chosen
    bucket: BucketName
    filters: KpiFilters
    now: datetime
    at: BucketLabel = None

    @property
    def shown(self) -> list[Org]:
        """The figures are of these."""
        return [self.org] if self.org else self.orgs

    @property
    def several(self) -> bool:
        """Whether names need their org."""
        return len(self.shown) > 1

    @cached_property
    def twins(self) -> dict[str, str]:
        """What the orgs are called whose name another one has too."""
        return twin_orgs(self.orgs)

    @property
    def scope(self) -> KpiScope:
        """The runs that are asked for."""
        windows = {org.pk: OrgWindow.of(self.period, org.zone, self.now) for org in self.shown}
        if self.at is not None:
            windows = {pk: window.only(self.bucket, self.at) for pk, window in windows.items()}
        return KpiScope(windows, self.filters)

    @property
    def before(self) -> KpiScope:
        """The same runs of the stretch before, as long."""
        starts, ends = self.period.starts, self.period.ends
        if isinstance(starts, datetime) != isinstance(ends, datetime):
            raise ValueError("a day against an instant")
        earlier = Period(starts - (ends - starts), starts)  # type: ignore[operator]
        return replace(self, period=earlier, at=None).scope

    @property
    def is_filtered(self) -> bool:
        """Whether less than everything of the orgs is asked for."""
        return self.filters != KpiFilters()

    @property
    def span(self) -> str:
        """The stretch of time in words."""
        if isinstance(self.period.starts, datetime) or isinstance(self.period.ends, datetime):
            return ""
        return span_words(self.period.starts, self.period.ends)

    def query(self, **changes: Any) -> str:
        """The query of a page that shows the same tomorrow, with these changes."""
        return self._address({"from": _text(self.period.starts), "to": _text(self.period.ends)} | changes)

    def moving(self, **changes: Any) -> str:
        """The query of a page that moves with time, if this one does."""
        return self._address({"days": self.days} | changes) if self.days else self.query(**changes)

    def of_days(self, days: int) -> str:
        """The query of the same page over another range, which moves with time."""
        return self._address({"days": days, "bucket": "", "at": ""})

    def _address(self, values: Mapping[str, Any]) -> str:
        known = {
            "org": self.org.external_id if self.org else "",
            **{name: getattr(self.filters, name) for name in FILTER_NAMES},
            "bucket": self.bucket,
            "at": _text(self.at),
            **values,
        }
        return "?" + urlencode({name: value for name, value in known.items() if value})


def _text(moment: BucketLabel) -> str:
    if isinstance(moment, datetime):
        return rfc3339(moment)
    return moment.isoformat() if moment else ""


def kpi_asked(request: HttpRequest) -> KpiAsked:
    """What the request asks for. Raises Http404 for an org that this person does not see."""
    now = clock.now() - replica.reading().behind
    orgs = orgs_seen(request)
    wanted = spelled(request.GET.get("org", ""))
    org = next((org for org in orgs if org.external_id == wanted), None)
    if wanted and org is None:
        raise Http404
    period, days = _period(request, [org] if org else orgs, now)
    bucket = _bucket(request, period)
    filters = KpiFilters(**{name: plain(request, name) for name in FILTER_NAMES})
    return KpiAsked(orgs, org, period, days, bucket, filters, now, _at(request, bucket))


def plain(request: HttpRequest, name: str) -> str:
    """A text of the address; empty for what cannot be one."""
    text = request.GET.get(name, "")
    return "" if BAD_TEXT.search(text) else text


def _period(request: HttpRequest, shown: list[Org], now: datetime) -> tuple[Period, int | None]:
    with suppress(ValueError):
        starts, ends = (_moment(request.GET.get(name, "")) for name in ("from", "to"))
        if isinstance(starts, datetime) == isinstance(ends, datetime):
            return kpi_period(starts, ends, now), None
    days = next((days for days in RANGES if str(days) == request.GET.get("days")), USUAL)
    if days == 1:
        ends_at = hour_of(now) + timedelta(hours=1)
        return Period(ends_at - timedelta(hours=24), ends_at), days
    tomorrow = today(now, timezone.get_current_timezone_name(), *{one.zone for one in shown}) + timedelta(days=1)
    return Period(tomorrow - timedelta(days=days), tomorrow), days


def _moment(text: str) -> date | datetime:
    """A day, or an instant with its offset. Raises ValueError."""
    if len(text) == len("2026-05-04"):
        return date.fromisoformat(text)
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("naive")
    return at


def _bucket(request: HttpRequest, period: Period) -> BucketName:
    asked = next((name for name in BUCKET_NAMES if name == request.GET.get("bucket")), None)
    starts, ends = period.window("UTC")
    days = (ends - starts) / timedelta(days=1)
    if asked and not (asked == "hour" and days > DAY_BUCKETS):
        return asked
    if days <= 2:
        return "hour"
    return "day" if days <= DAY_BUCKETS else "week" if days <= WEEK_BUCKETS else "month"


def _at(request: HttpRequest, bucket: BucketName) -> BucketLabel:
    with suppress(ValueError):
        at = _moment(request.GET.get("at", ""))
        if isinstance(at, datetime) == (bucket == "hour") and FIRST_YEAR <= at.year <= LAST_YEAR:
            return hour_of(at.astimezone(UTC)) if isinstance(at, datetime) else at
    return None
