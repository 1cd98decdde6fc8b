"""Pages of a list by cursor: a cursor names the row after or before which a page stands, so new rows shift nothing."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from orgs.errors import Refused
from orgs.incoming import Query
from orgs.shapes import PageShape
from orgs.texts import BAD_TEXT

M = TypeVar("M", bound=Model)
T = TypeVar("T")

PARAMETERS = ("cursor", "limit")
LIMIT, MOST = 50, 100


def _time(text: str) -> datetime:
    """A time as a cursor holds it. In UTC, since PostgreSQL cannot read every offset that Python can."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("naive")
    return at.astimezone(UTC)


PARSE: dict[type, Callable[[str], Any]] = {str: str, int: int, UUID: UUID, datetime: _time}


class Place(NamedTuple):
    """Where a page begins: after the row with these values of the order's fields, or (`backward`) it ends before it."""

    values: list[Any]
    backward: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is sorted by: names and their types, together unique; all of them down, or all up."""

    fields: tuple[tuple[str, type], ...]
    descending: bool = False

    def names(self, backward: bool = False) -> list[str]:
        """For `order_by`."""
        sign = "-" if self.descending != backward else ""
        return [sign + name for name, _ in self.fields]

    def fetch(self, rows: QuerySet[M], place: Place | None, limit: int) -> list[M]:
        """The rows next to `place`, the nearest first."""
        return list(self.nearest(rows, place)[:limit])

    def nearest(self, rows: QuerySet[M], place: Place | None) -> QuerySet[M]:
        """The rows from `place` on, the nearest first. The first field alone lets PostgreSQL start within the index."""
        values, backward = place or ([], False)
        step = "lt" if self.descending != backward else "gt"
        names = [name for name, _ in self.fields]
        beyond = Q()
        for index, value in enumerate(values):
            beyond |= Q(**dict(zip(names[:index], values, strict=False)), **{f"{names[index]}__{step}": value})
        if values:
            rows = rows.filter(beyond & Q(**{f"{names[0]}__{step}e": values[0]}))
        return rows.order_by(*self.names(backward))

    def cursor(self, row: object, backward: bool = False) -> str:
        """The place of a row, for the address of another page."""
        found = [attrgetter(name.replace("__", "."))(row) for name, _ in self.fields]
        values = [value.isoformat() if isinstance(value, datetime) else str(value) for value in found]
        text = json.dumps(["before" if backward else "after", *values], ensure_ascii=False)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def place(self, cursor: str) -> Place | None:
        """The place that `cursor` made; None for a text that it did not make."""
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
            way, *values = json.loads(text)
            position = [PARSE[kind](value) for (_, kind), value in zip(self.fields, values, strict=True)]
            ours = way in ("before", "after") and not BAD_TEXT.search("".join(values))
            return Place(position, way == "before") if ours else None
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return None


class ListPage(NamedTuple, Generic[T]):
    """A page, and the cursors of the pages around it; "" where there is none."""

    rows: list[T]
    next: str
    previous: str


def cut_page(
    order: Order, place: Place | None, limit: int, fetch: Callable[[Place | None, int], list[T]]
) -> ListPage[T]:
    """The page at a place (None: the first one). `fetch` reads so many rows from the place on, the nearest first."""
    found = fetch(place, limit + 1)
    more, found = len(found) > limit, found[:limit]
    if place and place.backward:
        found.reverse()
        following, before = True, more
    else:
        following, before = more, place is not None
    return ListPage(
        found,
        order.cursor(found[-1]) if found and following else "",
        order.cursor(found[0], backward=True) if found and before else "",
    )


def page(
    request: Request, query: Query, rows: QuerySet[M], order: Order, render: Callable[[list[M]], list[Any]]
) -> Response:
    """The page that `cursor` and `limit` (1 to 100, 50 if not given) ask for; `render` makes the shapes of its rows.

    Raises Refused (422) for a cursor that is none of ours.
    """
    limit, cursor = query.number("limit", LIMIT, MOST), query.text("cursor")
    place = order.place(cursor) if cursor is not None else None
    if cursor is not None and place is None:
        raise Refused(422, "invalid_parameter", "cursor is not one of ours.", "cursor")
    found = cut_page(order, place, limit, partial(order.fetch, rows))
    return Response(PageShape(_url(request, found.next), _url(request, found.previous), render(found.rows)))


def _url(request: Request, cursor: str) -> str | None:
    params = request.query_params.copy()
    params["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{params.urlencode()}") if cursor else None
