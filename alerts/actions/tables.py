"""Many rows of one table written in one statement, past the ORM.

They go as one JSON document, which PostgreSQL takes apart: one parameter whatever the table, encoded by msgspec. An
array for each column, in binary, costs the server the same, this process three times as much, and more code.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import msgspec
import psycopg
from django.db import connection
from django.db.models import JSONField, Model

M = TypeVar("M", bound=Model)
Row = msgspec.Struct | Mapping[str, Any]


def fetch(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows a statement answers with. The server prepares it once: Django's own cursor binds here, each time."""
    connection.ensure_connection()
    if connection.queries_logged:
        connection.queries_log.append({"sql": statement, "time": "0"})
    raw = cast("psycopg.Connection[Any]", connection.connection)
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(statement.encode(), parameters, prepare=True)
        return cursor.fetchall() if cursor.description else []


def as_json(rows: Sequence[Row] | Sequence[Sequence[Any]]) -> str:
    """Rows as the one parameter of a statement."""
    return msgspec.json.encode(rows).decode()


class Table(Generic[M]):
    """The table of a model: `insert` and `put` rows that have these columns, `load` them."""

    def __init__(self, model: type[M], columns: Sequence[str]) -> None:
        self._model, self._columns = model, columns

    def load(self, statement: str, parameters: Sequence[Any]) -> list[M]:
        """What a statement answers with that gives all columns of the table."""
        rows = [list(row) for row in fetch(statement, parameters)]
        for place, field in enumerate(self._model._meta.concrete_fields):
            if isinstance(field, JSONField):
                for row in rows:
                    row[place] = msgspec.json.decode(row[place])
        return [self._model.from_db("default", self._columns, row) for row in rows]

    def insert(self, rows: Sequence[Row], returning: str = "") -> list[tuple[Any, ...]]:
        """New rows; of each the column `returning`, in their order. Raises IntegrityError."""
        statement = self._insert + (f" RETURNING {returning}" if returning else "")
        return fetch(statement, [as_json(rows)]) if rows else []

    def put(self, rows: Sequence[Row]) -> None:
        """Rows as they are now, by `id`: those that are new are made."""
        if rows:
            fetch(self._put, [as_json(rows)])

    @cached_property
    def _insert(self) -> str:
        fields = {field.column: field for field in self._model._meta.concrete_fields}
        types = [f"{name} {_type(str(fields[name].db_type(connection)))}" for name in self._columns]
        names = ", ".join(self._columns)
        return (  # the model's own names
            f"INSERT INTO {self._model._meta.db_table} ({names})"  # noqa: S608
            f" SELECT {names} FROM json_to_recordset(%b::json) AS given ({', '.join(types)})"
        )

    @cached_property
    def _put(self) -> str:
        changed = ", ".join(f"{name} = EXCLUDED.{name}" for name in self._columns if name != "id")
        return f"{self._insert} ON CONFLICT (id) DO UPDATE SET {changed}"


def _type(declared: str) -> str:
    """A column's type without its length: what is too long is refused by the table, not cut on the way."""
    base, _, rest = declared.partition("(")
    return base + rest.partition(")")[2]
