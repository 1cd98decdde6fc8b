"""Queries of models by key that Django writes once and the server plans once.

Django puts a query's SQL together anew each time it is asked, and the server plans it anew. For what the board says of
an alert, nine tables and four subqueries, that is 4 of 5 ms of this process and 3 of 4 ms of PostgreSQL.
"""

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar, cast

import psycopg
from django.db import connection
from django.db.models import BooleanField, DateTimeField, F, Func, Lookup, Model, QuerySet
from django.db.models.query import get_related_populators
from django_scopes import scopes_disabled

from alerts.tables import fetch
from orgs.auth import scoped_orgs

KEYS = "{the keys of these rows}"  # stands for them among the parameters
# The time at which it is asked, not that of its writing. No index is found by it: it may be another for each row.
NOW: Any = Func(function="live_now", output_field=DateTimeField())
M = TypeVar("M", bound=Model)


class AnyOfKeys(Lookup):
    """`field` is one of the keys: one parameter, however many keys there are.

    The server guesses the length of an array that a subquery makes. One that it sees, it would plan for anew each time.
    """

    prepare_rhs = False
    output_field = BooleanField()

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        field, parameters = self.process_lhs(compiler, connection)
        kind = self.lhs.output_field.db_type(connection)  # which a list of none does not tell
        return f"{field} = ANY(ARRAY(SELECT unnest(%s::{kind}[])))", (*parameters, KEYS)


class Written(NamedTuple):
    """A query as Django wrote it, and how it makes models of what the server answers."""

    sql: str  # whose one parameter are the keys
    made: Callable[[Any], Any]  # a model of one row
    converted: Callable[[list[Any]], Any]


def _whole(compiler: Any) -> str:
    """The statement with its constants: of a parameter a plan that is kept cannot know which partial index has its
    rows. What is left open are the keys.
    """
    asked, parameters = compiler.as_sql()
    connection.ensure_connection()
    whole = psycopg.ClientCursor(cast("psycopg.Connection[Any]", connection.connection)).mogrify(asked, parameters)
    return whole.replace("%", "%%").replace(f"'{KEYS}'", "%s")


def _by_key(rows: QuerySet[Any, Any], key: str) -> str:
    return _whole(rows.filter(AnyOfKeys(F(key), ())).query.get_compiler(connection=connection))


class PreparedQuery(Generic[M]):
    """Rows of a model that carries its org, or of orgs, with what is joined and annotated, by a key.

    `query` is asked once, outside any scope; `rows` keeps to the scope of its caller, as the model's manager does.
    """

    def __init__(self, query: Callable[[], QuerySet[M]], key: str = "pk") -> None:
        self._query, self._key = query, key

    def rows(self, keys: Collection[Any]) -> list[M]:
        """The rows with these keys, in the query's order. One query; none without keys. Raises ScopeError."""
        orgs = scoped_orgs()
        if not keys:
            return []
        sql, made, converted = self._written
        return [one for one in map(made, converted(fetch(sql, [list(keys)]))) if getattr(one, "org_id", one.pk) in orgs]

    @cached_property
    def _written(self) -> Written:
        query = self._query().filter(AnyOfKeys(F(self._key), ())).query
        compiler = query.get_compiler(connection=connection)
        sql = _whole(compiler)  # which tells the compiler what it selects
        select, joined, annotated = compiler.select, compiler.klass_info, compiler.annotation_col_map
        first, last = joined["select_fields"][0], joined["select_fields"][-1] + 1
        names = [column.target.attname for column, *_ in select[first:last]]
        related = get_related_populators(joined, select, connection.alias)  # type: ignore[call-arg]  # of Django 6
        converters = compiler.get_converters([column for column, *_ in select])

        def made(row: Any) -> Any:
            one = joined["model"].from_db(connection.alias, names, row[first:last])
            for populator in related:
                populator.populate(row, one)
            for name, place in annotated.items():
                setattr(one, name, row[place])
            return one

        return Written(sql, made, lambda rows: compiler.apply_converters(rows, converters))


class PreparedValues:
    """What a query of values answers for rows of these orgs; in groups it may count them.

    `query` is asked once, for all orgs; `of_orgs` keeps to the scope of its caller.
    """

    def __init__(self, query: Callable[[], QuerySet[Any, Any]]) -> None:
        self._query = query

    def of_orgs(self, pks: Collection[int]) -> list[tuple[Any, ...]]:
        """One query. Raises ScopeError."""
        orgs = scoped_orgs()
        return fetch(self._written, [[pk for pk in pks if pk in orgs]])

    @cached_property
    def _written(self) -> str:
        with scopes_disabled():
            return _by_key(self._query(), "org_id")


class PreparedCounts:
    """How many rows several queries have, each by a key of its own, in one statement: `name=(query, key)`.

    Each query is asked once, for all orgs; `of` keeps to the scope of its caller.
    """

    def __init__(self, **queries: tuple[Callable[[], QuerySet[Any, Any]], str]) -> None:
        self._queries = queries

    def of(self, **keys: Collection[Any]) -> dict[str, int]:
        """The counts by name. `keys` has those of every query. One query. Raises ScopeError."""
        orgs = scoped_orgs()
        asked = [
            [one for one in keys[name] if key != "org_id" or one in orgs] for name, (_, key) in self._queries.items()
        ]
        return dict(zip(self._queries, fetch(self._written, asked)[0], strict=True))

    @cached_property
    def _written(self) -> str:
        with scopes_disabled():
            counted = [_by_key(rows(), key) for rows, key in self._queries.values()]
        return f"SELECT {', '.join(f'(SELECT count(*) FROM ({sql}) counted)' for sql in counted)}"  # noqa: S608
