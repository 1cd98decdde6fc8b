"""An org's set-up as it was at any time of a span, as the histories say: its rows of then, in tables of the same names
that this transaction alone sees.

So nothing is told twice of what the rows mean: whoever reads the models reads those of then.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Model

from orgs.history import tracked
from orgs.models import Org, RoleAgent, User

Tracked = dict[type[Model], type[Model]]


class OrgThen:
    """`times`: when something changed within the span; `go_to` one after the other, forward in time."""

    def __init__(self, cursor: Any, org: Org, models: Tracked, begin: datetime, end: datetime) -> None:
        self._cursor, self._org, self._models = cursor, org, models
        self._at: datetime | None = None
        self._changed = {model: self._changes(model, begin, end) for model in models}

    @property
    def times(self) -> set[datetime]:
        return set().union(*self._changed.values())

    def go_to(self, at: datetime) -> None:
        """From now on the models' rows are those of then; what a history does not keep of a row is as it is now."""
        for model, changed in self._changed.items():
            if self._at is None or any(self._at < one <= at for one in changed):
                self._fill(model, at)
        self._at = at

    def _changes(self, model: type[Model], begin: datetime, end: datetime) -> set[datetime]:
        events = self._models[model]
        self._cursor.execute(
            f"SELECT DISTINCT pgh_created_at FROM {events._meta.db_table} event"  # noqa: S608 - our own names
            f" WHERE {_whose(model, set(_columns(events)))}"
            " AND pgh_created_at > %(begin)s AND pgh_created_at <= %(end)s",
            {"org": self._org.pk, "begin": begin, "end": end},
        )
        return {at for (at,) in self._cursor.fetchall()}

    def _fill(self, model: type[Model], at: datetime) -> None:
        events = self._models[model]
        table, kept = model._meta.db_table, set(_columns(events))
        key = "supervisorrole_id, event.agent_id" if model is RoleAgent else "pgh_obj_id"
        joined = "now.id = event.id" if model is RoleAgent else "now.id = event.pgh_obj_id"
        columns = _columns(model)
        values = [f'event."{name}"' if name in kept else f'now."{name}"' for name in columns]
        self._cursor.execute(f'DELETE FROM pg_temp."{table}"')  # noqa: S608
        self._cursor.execute(
            f'INSERT INTO pg_temp."{table}" ({", ".join(columns)})'  # noqa: S608
            f" SELECT {', '.join(values)} FROM ("
            f"   SELECT DISTINCT ON (event.{key}) event.* FROM {events._meta.db_table} event"
            f"   WHERE {_whose(model, kept)} AND event.pgh_created_at <= %(at)s"
            f"   ORDER BY event.{key}, event.pgh_id DESC) event"
            f' {"LEFT JOIN" if set(columns) <= kept else "JOIN"} public."{table}" now ON {joined}'
            " WHERE event.pgh_label <> 'delete'",
            {"org": self._org.pk, "at": at},
        )


@contextmanager
def as_it_was(org: Org, models: Collection[type[Model]], begin: datetime, end: datetime) -> Iterator[OrgThen]:
    """Within this block the rows of these models, which are tracked, are the org's of then: see `OrgThen`.

    Changes nothing: what it makes is rolled back. Run it on the primary, where the tenant scope lets all of the org be
    seen.
    """
    events = tracked()
    with transaction.atomic(), connection.cursor() as cursor:
        for model in models:
            table = model._meta.db_table
            cursor.execute(
                f'CREATE TEMP TABLE "{table}" (LIKE public."{table}" INCLUDING DEFAULTS INCLUDING INDEXES)'
                " ON COMMIT DROP"
            )
        yield OrgThen(cursor, org, {model: events[model] for model in models}, begin, end)
        transaction.set_rollback(True)


def _whose(model: type[Model], names: set[str]) -> str:
    """Which rows of a history are about the org, %(org)s."""
    if model is Org:
        return "event.pgh_obj_id = %(org)s"
    if model is RoleAgent:
        return "event.supervisorrole_id IN (SELECT pgh_obj_id FROM orgs_supervisorroleevent WHERE org_id = %(org)s)"
    if model is User:
        return (
            "(event.pgh_obj_id IN (SELECT user_id FROM orgs_assignmentevent WHERE org_id = %(org)s)"
            " OR event.pgh_obj_id IN (SELECT pgh_obj_id FROM orgs_userevent WHERE is_specialist))"
        )
    return "event.org_id = %(org)s" if "org_id" in names else "true"


def _columns(model: type[Model]) -> list[str]:
    return [str(field.column) for field in model._meta.concrete_fields]
