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

from alerts.copying import binary_rows

SHORT_NAMES = {
    "bigint": "int8",
    "integer": "int4",
    "boolean": "bool",
    "double precision": "float8",
    "timestamp with time zone": "timestamptz",
}
M = TypeVar("M", bound=Model)
Row = msgspec.Struct | Mapping[str, Any]


def fetch(
    statement: str, parameters: Sequence[Any] | Mapping[str, Any] = (), *, binary: bool = False
) -> list[tuple[Any, ...]]:
    """The rows a statement answers with. The server prepares it once: Django's own cursor binds here, each time.

    `binary`: times come as numbers, read in a fifth of the time; JSON is to be cast to text.
    """
    connection.ensure_connection()
    raw = cast("psycopg.Connection[Any]", connection.connection)
    if connection.queries_logged:  # as it can be asked again, for its plan
        sent = psycopg.ClientCursor(raw).mogrify(statement.replace("%b", "%s"), parameters)
        connection.queries_log.append({"sql": sent, "time": "0"})
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(statement.encode(), parameters, prepare=True, binary=binary)
        answered = cursor.pgresult  # its `description` would look up the type of every column, each time
        return cursor.fetchall() if answered is not None and answered.nfields else []


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

    def copy(self, rows: Sequence[msgspec.Struct]) -> None:
        """Many new rows, of structs: half the server's work, more of this process's. Raises IntegrityError.

        They go in one piece: with each this thread lets go of the interpreter, and waits until another gives it back.
        """
        connection.ensure_connection()
        raw = cast("psycopg.Connection[Any]", connection.connection)
        columns, content = binary_rows(rows, self._types)
        copy = f"COPY {self._model._meta.db_table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
        with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor, cursor.copy(copy.encode()) as into:
            into.write(content)

    @cached_property
    def _types(self) -> dict[str, str]:
        """PostgreSQL's short names of the columns' types, as its clients have them."""
        fields = {field.column: field for field in self._model._meta.concrete_fields}
        types = {name: _type(str(fields[name].db_type(connection))) for name in self._columns}
        return {name: SHORT_NAMES.get(kind, kind) for name, kind in types.items()}

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
