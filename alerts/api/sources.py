"""Sources: who sends, when it was last heard, and how it goes."""

from typing import Annotated, Any, get_args

from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.sources import health
from alerts.sources.health import SourceHealth, SourceState
from orgs import clock
from orgs.api import ScopedAPIView
from orgs.auth import OrgIds
from orgs.incoming import Query
from orgs.models import WebhookEndpoint
from orgs.paging import PARAMETERS, Order, page
from orgs.shapes import Amount, Shape, UtcTime, Whole, about, one_of, shape_of

BY_NAME = Order((("name", str), ("pk", int)))


class SourceCountsPart(Shape):
    """Items of the last 24 h."""

    created: Whole
    duplicate: Whole
    conflict: Whole
    invalid: Whole
    not_understood: Whole


class SourceShape(Shape):
    """A sending system; its figures are of the orgs you may see."""

    org_id: Annotated[str | None, about("Null: a platform source.")]
    source: str
    kind: Annotated[str, one_of(["api", *WebhookEndpoint.Kind.values])]
    last_heard_at: UtcTime | None
    state: Annotated[
        str,
        one_of(get_args(SourceState)),
        about("`silent`: an alarm is open; `quiet`: nothing for 15 min, no alarm; `no_data`: never heard."),
    ]
    rejecting: Annotated[bool, about("An alarm is open: too much of it is refused.")]
    rate_per_minute: Annotated[Amount, about("Items, mean of the last 5 min.")]
    lag_ms: Annotated[Whole | None, about("Occurred to stored, mean of the last hour.")]
    counts: SourceCountsPart
    with_confidence_pct: Annotated[
        Annotated[float, Meta(ge=0, le=100)] | None,
        about("Of the failure events of the last 24 h, those with a confidence."),
    ]


class Sources(ScopedAPIView):
    """GET /api/sources: the sources of the orgs this caller may see, or of one; the figures are of those orgs alone."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", *PARAMETERS))
        org_id = query.text("org_id")
        orgs = OrgIds.of([self.org_asked(org_id).pk]) if org_id else self.org_ids

        def render(sources: list[Any]) -> list[SourceShape]:
            return [_source(one) for one in health.of_sources(sources, orgs, clock.now())]

        return page(request, query, health.visible(orgs), BY_NAME, render)


def _source(one: SourceHealth) -> SourceShape:
    day, lag = one.figures.day, one.figures.hour.lag_average_ms
    return shape_of(
        SourceShape,
        one,
        org_id=one.source.org.external_id if one.source.org else None,
        source=one.source.name,
        last_heard_at=one.heard_at,
        rate_per_minute=round(one.figures.per_minute, 2),
        lag_ms=None if lag is None else round(lag),
        counts=shape_of(SourceCountsPart, day),
        with_confidence_pct=None if day.with_confidence_pct is None else round(day.with_confidence_pct, 1),
    )
