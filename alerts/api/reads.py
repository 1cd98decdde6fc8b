"""Reading alerts."""

from datetime import datetime
from functools import reduce
from operator import or_
from uuid import UUID

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api import shapes
from alerts.models import Alert, signalling
from orgs.api import ScopedAPIView, one_or_404
from orgs.identifiers import spelled
from orgs.incoming import Query
from orgs.models import Severity
from orgs.paging import PARAMETERS, Order, page
from orgs.signals import SIGNALS

NEWEST_ACTIVITY = Order((("last_event_at", datetime), ("id", UUID)), descending=True)
FILTERS = ("state", "severity", "signal", "agent", "org_id", "room_id", "opened_after")


def as_id(text: str) -> UUID:
    """An id as it stands in a URL. Raises NotFound for what cannot be one, as for one that is unknown."""
    try:
        found = UUID(text)
    except ValueError:
        raise NotFound from None
    if str(found) != text.lower():
        raise NotFound
    return found


class Alerts(ScopedAPIView):
    """GET /api/alerts: newest activity first."""

    def get(self, request: Request) -> Response:
        query = Query(request, (*FILTERS, *PARAMETERS))
        rows = self.of_org_asked(query, shapes.for_answer(Alert.objects))
        if states := query.choices("state", Alert.State.values):
            rows = rows.filter(state__in=states)
        if severities := query.choices("severity", Severity.values):
            rows = rows.filter(severity__in=severities)
        if agent := query.text("agent"):
            rows = rows.filter(agent__name=agent)
        if room_id := query.text("room_id"):
            rows = rows.filter(room__room_id=spelled(room_id))
        if opened_after := query.time("opened_after"):
            rows = rows.filter(opened_at__gt=opened_after)
        if signals := query.choices("signal", list(SIGNALS)):  # of the current episode, as the answer shows them
            rows = rows.filter(reduce(or_, map(signalling, signals)))
        return page(request, query, rows, NEWEST_ACTIVITY, shapes.alert_list)


class AlertDetail(ScopedAPIView):
    """GET /api/alerts/{id}: one alert and everything that happened to it."""

    def get(self, request: Request, alert_id: str) -> Response:
        Query(request, ())
        alert = one_or_404(shapes.for_answer(Alert.objects.filter(pk=as_id(alert_id))))
        return Response(shapes.alert_detail(alert))
