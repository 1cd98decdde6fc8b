"""Pages of a list by cursor: a cursor says after (or before) which row, so that new rows shift nothing."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from orgs.errors import Refused
from orgs.incoming import Query
from orgs.texts import BAD_TEXT

M = TypeVar("M", bound=Model)

PARAMETERS = ("cursor", "limit")
LIMIT, MOST = 50, 100


def _time(text: str) -> datetime:
    """A time as `_url` wrote it. In UTC, since PostgreSQL cannot read every offset that Python can."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("naive")
    return at.astimezone(UTC)


PARSE: dict[type, Callable[[str], Any]] = {str: str, int: int, UUID: UUID, datetime: _time}


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is sorted by: ORM names and their types, together unique; all of them down, or all up."""

    fields: tuple[tuple[str, type], ...]
    descending: bool = False

    def names(self, backward: bool) -> list[str]:
        """For `order_by`."""
        sign = "-" if self.descending != backward else ""
        return [sign + name for name, _ in self.fields]

    def beyond(self, position: list[Any], backward: bool) -> Q:
        """The rows that come after `position`, or before it."""
        step = "lt" if self.descending != backward else "gt"
        first = self.fields[0][0]
        found = Q()
        for index, (name, _) in enumerate(self.fields):
            same = {before: position[i] for i, (before, _) in enumerate(self.fields[:index])}
            found |= Q(**same, **{f"{name}__{step}": position[index]})
        # implied by the rest, and what lets PostgreSQL start in the middle of the index
        return found & Q(**{f"{first}__{step}e": position[0]})

    def position(self, row: Model) -> list[Any]:
        """Where a row stands."""
        return [attrgetter(name.replace("__", "."))(row) for name, _ in self.fields]


def page(
    request: Request, query: Query, rows: QuerySet[M], order: Order, render: Callable[[list[M]], list[dict[str, Any]]]
) -> dict[str, Any]:
    """{"next": URL or null, "previous": URL or null, "results": what `render` makes of the rows}.

    `limit` 1 to 100, 50 if not given. Raises Refused (422) for a cursor that is none of ours.
    """
    limit = query.number("limit", LIMIT, MOST)
    backward, position = _decode(query.text("cursor"), order)
    if position is not None:
        rows = rows.filter(order.beyond(position, backward))
    found = list(rows.order_by(*order.names(backward))[: limit + 1])
    more, found = len(found) > limit, found[:limit]
    if backward:
        found.reverse()
    after = found and (more or backward)
    before = found and (more if backward else position is not None)
    return {
        "next": _url(request, False, order.position(found[-1])) if after else None,
        "previous": _url(request, True, order.position(found[0])) if before else None,
        "results": render(found),
    }


def _url(request: Request, backward: bool, position: list[Any]) -> str:
    values = [value.isoformat() if isinstance(value, datetime) else str(value) for value in position]
    text = json.dumps(["before" if backward else "after", *values], ensure_ascii=False)
    params = request.query_params.copy()
    params["cursor"] = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return request.build_absolute_uri(f"{request.path}?{params.urlencode()}")


def _decode(cursor: str | None, order: Order) -> tuple[bool, list[Any] | None]:
    if cursor is None:
        return False, None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        way, *values = json.loads(text)
        position = [PARSE[kind](value) for (_, kind), value in zip(order.fields, values, strict=True)]
        if way not in ("before", "after") or BAD_TEXT.search("".join(values)):
            raise ValueError(way)
        return way == "before", position
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise Refused(422, "invalid_parameter", "cursor is not one of ours.", "cursor") from None
