"""Sources: who sends, when it was last heard, and how it goes."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from alerts.sources import health
from alerts.sources.health import SourceHealth
from orgs import clock
from orgs.api import ScopedAPIView, rfc3339
from orgs.auth import OrgIds
from orgs.incoming import Query
from orgs.paging import PARAMETERS, Order, page

BY_NAME = Order((("name", str), ("pk", int)))


class Sources(ScopedAPIView):
    """GET /api/sources: the sources of the orgs this caller may see, or of one; the figures are of those orgs alone."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", *PARAMETERS))
        org_id = query.text("org_id")
        orgs = OrgIds.of([self.org_asked(org_id).pk]) if org_id else self.org_ids

        def render(sources: list[Any]) -> list[dict[str, Any]]:
            return [_source(one) for one in health.of_sources(sources, orgs, clock.now())]

        return Response(page(request, query, health.visible(orgs), BY_NAME, render))


def _source(one: SourceHealth) -> dict[str, Any]:
    """`rate_per_minute`: of the last 5 min; `lag_ms`: of the last hour; `counts` and the rest: of the last 24 h."""
    lag, confident = one.figures.hour.lag_average_ms, one.figures.day.with_confidence_pct
    return {
        "org_id": one.source.org.external_id if one.source.org else None,
        "source": one.source.name,
        "kind": one.kind,
        "last_heard_at": rfc3339(one.heard_at),
        "state": one.state,
        "rejecting": one.rejecting,
        "rate_per_minute": round(one.figures.per_minute, 2),
        "lag_ms": None if lag is None else round(lag),
        "counts": {name: getattr(one.figures.day, name) for name in health.STATUSES},
        "with_confidence_pct": None if confident is None else round(confident, 1),
    }
