"""The success figures."""

from datetime import datetime
from typing import Annotated

from rest_framework.request import Request
from rest_framework.response import Response

from alerts import figures
from orgs import clock
from orgs.api import ScopedAPIView
from orgs.auth import of_orgs
from orgs.errors import Refused
from orgs.incoming import Query
from orgs.models import Org
from orgs.replica import replica
from orgs.shapes import Amount, Shape, UtcTime, Whole, about, one_of


class SuccessFigureShape(Shape):
    """One figure. Null: no data, or too little for an interval."""

    org_id: Annotated[str | None, about("Null: all orgs you may see, together.")]
    metric: Annotated[str, one_of(figures.BY_NAME)]
    value: Annotated[Amount | None, about("Seconds, or a percentage from 0 to 100.")]
    n: Annotated[Whole, about("What the figure is of: episodes, failure events, conversations, agents, alerts.")]
    low: Annotated[Amount | None, about("Of the 95 % interval.")]
    high: Amount | None
    target: Amount | None
    baseline: Annotated[Amount | None, about("The same figure of the org's first 30 days, so far.")]
    not_reached: Annotated[bool, about("Of a time: no human came to so large a share, so there is no value.")]


class SuccessShape(Shape):
    """The success figures; docs/success.md defines them."""

    as_of: UtcTime
    results: list[SuccessFigureShape]


class SuccessView(ScopedAPIView):
    """GET /api/success: the figures of all orgs this caller may see together, and of each; or of one of them."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", "from", "to"))
        now = clock.now() - replica.reading().behind
        period = asked_period(query, now)
        asked = query.text("org_id")
        orgs = (
            [self.org_asked(asked)] if asked else list(of_orgs(Org.objects.order_by("external_id"), self.org_ids, "pk"))
        )
        found = figures.measure(orgs, period, "UTC", now)
        results = [] if asked else [_figure(None, figure) for figure in found.overall]
        results += [_figure(org.external_id, figure) for org in orgs for figure in found.of_org[org.pk]]
        return Response(SuccessShape(now, results))


def asked_period(query: Query, now: datetime) -> figures.Period:
    """`from` and `to` of the query. Raises Refused (422)."""
    try:
        return figures.period(query.moment("from"), query.moment("to"), now)
    except figures.BadPeriod as bad:
        raise Refused(422, "invalid_parameter", str(bad), bad.field) from None


def _figure(org_id: str | None, figure: figures.Figure) -> SuccessFigureShape:
    now, metric = figure.now, figure.metric
    value, low, high, before = (
        None if number is None else round(number, 3) for number in (now.value, now.low, now.high, figure.baseline.value)
    )
    return SuccessFigureShape(org_id, metric.name, value, now.n, low, high, metric.target, before, now.not_reached)
