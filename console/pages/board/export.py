"""The rows of the board as a file: exactly those that the filters and the tab leave, however many, in their order."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection
from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_safe

from alerts.models import Alert
from console.live.counts import group_of
from console.live.filters import holder_of
from console.live.rows import OPEN_RANK, ROWS
from console.pages.access import signed_in, signed_in_user
from console.pages.board import query
from console.pages.board.query import BoardFilters
from orgs import clock, spreadsheet
from orgs.auth import OrgIds, within
from orgs.clock import rfc3339
from orgs.models import User

AT_ONCE = 500  # rows of one query
COLUMNS = (
    "alert_id", "group", "severity", "org", "agent", "room_id", "room_label", "signals", "failures", "first_failure_at",
    "customer_waiting_since", "snoozed_until", "resolved_at", "holder",
)  # fmt: skip


@require_safe
@signed_in
def board_csv(request: HttpRequest) -> StreamingHttpResponse:
    """`/board.csv?<filters>`, sent in parts so that a long list needs little memory."""
    now, filters, me = clock.now(), query.board_filters(request.GET), signed_in_user(request)
    lines_later = _lines(listed_ids(filters, me, now), request.org_ids, now)  # type: ignore[attr-defined]
    headers = spreadsheet.attachment(f"alerts-{now:%Y-%m-%d-%H%M}.csv")
    return StreamingHttpResponse(lines_later, content_type=spreadsheet.TYPE, headers=headers)


def listed_ids(filters: BoardFilters, me: User, now: datetime) -> list[UUID]:
    """All that the board lists under these filters, group by group as it does; of a tab all of it."""
    alerts = query.matching_alerts(filters, me).values_list("pk", flat=True)
    found: list[UUID] = []
    for name in query.OPEN_GROUPS if filters.tab == "all" else {filters.tab} & {*query.OPEN_GROUPS}:
        found += alerts.filter(query.in_groups(now)[name]).order_by(OPEN_RANK, "pk")
    ended = alerts.filter(state=Alert.State.RESOLVED).order_by(*query.NEWEST_END.names())
    if filters.tab == "all":
        found += ended.filter(query.in_groups(now)["resolved"])
    return found + list(ended) if filters.tab == "resolved" else found


async def _lines(ids: list[UUID], org_ids: OrgIds, now: datetime) -> AsyncIterator[str]:
    yield spreadsheet.BOM + spreadsheet.line(COLUMNS)
    for start in range(0, len(ids), AT_ONCE):
        yield await sync_to_async(_lines_of)(ids[start : start + AT_ONCE], org_ids, now)


def _lines_of(ids: list[UUID], org_ids: OrgIds, now: datetime) -> str:
    """The request has left its own scope by now: this enters it, and gives its connection back."""
    try:
        with within(org_ids):
            found = {alert.pk: alert for alert in ROWS.rows(ids)}
            return "".join(spreadsheet.line(_cells(found[pk], now)) for pk in ids if pk in found)
    finally:
        if not connection.in_atomic_block:
            close_old_connections()


def _cells(alert: Alert, now: datetime) -> Iterator[object]:
    room, holder = alert.room, holder_of(alert)
    yield from (alert.pk, group_of(alert.state, alert.quiet_until, now), alert.severity, alert.org.external_id)
    yield from (alert.agent or alert.source, room and room.room_id, room and room.label)
    yield from (" ".join(entry["signal"] for entry in alert.signals_now), alert.event_count)
    for at in (alert.first_failure_at, alert.customer_waiting_since, alert.snoozed_until, alert.resolved_at):
        yield rfc3339(at) if at else None
    yield holder and holder.sso_id
