"""The success figures."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from alerts import figures
from orgs import clock
from orgs.api import ScopedAPIView, rfc3339
from orgs.auth import of_orgs
from orgs.errors import Refused
from orgs.incoming import Query
from orgs.models import Org


class SuccessView(ScopedAPIView):
    """GET /api/success: the figures of all orgs this caller may see together, and of each; or of one of them."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", "from", "to"))
        now = clock.now()
        try:
            period = figures.period(query.moment("from"), query.moment("to"), now)
        except figures.BadPeriod as bad:
            raise Refused(422, "invalid_parameter", str(bad), bad.field) from None
        asked = query.text("org_id")
        orgs = (
            [self.org_asked(asked)] if asked else list(of_orgs(Org.objects.order_by("external_id"), self.org_ids, "pk"))
        )
        found = figures.measure(orgs, period, "UTC", now)
        results = [] if asked else [_figure(None, figure) for figure in found.overall]
        results += [_figure(org.external_id, figure) for org in orgs for figure in found.of_org[org.pk]]
        return Response({"as_of": rfc3339(now), "results": results})


def _figure(org_id: str | None, figure: figures.Figure) -> dict[str, Any]:
    now = figure.now
    return {
        "org_id": org_id,
        "metric": figure.metric.name,
        "value": _number(now.value),
        "n": now.n,
        "low": _number(now.low),
        "high": _number(now.high),
        "target": figure.metric.target,
        "baseline": _number(figure.baseline.value),
    }


def _number(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
