"""When we could not see."""

from typing import Annotated

from msgspec import field
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api.success import asked_period
from alerts.blind import BlindStretch, blind_stretches
from alerts.models import BlindInterval
from orgs import clock
from orgs.api import ScopedAPIView
from orgs.auth import OrgIds
from orgs.incoming import Query
from orgs.shapes import Shape, UtcTime, about, one_of


class BlindIntervalShape(Shape):
    """A stretch of time in which we could not see, for all orgs (`down`) or for one."""

    since: UtcTime = field(name="from")
    to: Annotated[UtcTime | None, about("Null: still blind.")]
    cause: Annotated[
        str, one_of(BlindInterval.Cause.values), about("`down`: we were not there. `source_silent`: nothing was heard.")
    ]
    source_name: Annotated[str | None, about("Null for `down`.")]


class BlindIntervalsShape(Shape):
    """What success figures and KPIs leave out; docs/success.md."""

    results: list[BlindIntervalShape]


class BlindIntervals(ScopedAPIView):
    """GET /api/blind-intervals: of the orgs this caller may see, or of one; all that reach into the period."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", "from", "to"))
        period = asked_period(query, clock.now())
        asked = query.text("org_id")
        org = self.org_asked(asked) if asked else None
        orgs = OrgIds.of([org.pk]) if org else self.org_ids
        found = blind_stretches(orgs, *period.window(org.zone if org else "UTC"))
        return Response(BlindIntervalsShape([_shape(one) for one in found]))


def _shape(one: BlindStretch) -> BlindIntervalShape:
    return BlindIntervalShape(one.starts, one.ends, one.cause, one.source_name)
