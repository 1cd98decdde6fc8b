"""Finds what names a subject in every text, JSON and list column of every table, and replaces it.

The tables are asked of the database itself, so that one that is new is searched too.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from django.db import connection
from django.db.backends.utils import CursorWrapper

ERASED_TEXT = "[erased]"  # stands within a sentence
SHORTEST = 4  # characters: a shorter id or name is replaced where it is the whole value, not within a sentence
CHUNK = 500  # rows read at a time
# What people write, and what we write about people: here a name is replaced within a sentence too.
_by_people = {
    *(("alerts_comment", "text"), ("alerts_alert", "verdict_note"), ("alerts_legalhold", "reason")),
    *(("alerts_silence", "note"), ("alerts_silenceevent", "note")),
}
_about_people = {
    *(("alerts_alert", "undoable"), ("alerts_push", "body"), ("alerts_transition", "detail")),
    *(("django_admin_log", "object_repr"), ("django_admin_log", "change_message")),
}
NOTED = ("alerts_transition", "detail")  # under "note" it repeats what a person wrote
# What somebody else is called, or said: the same name is another's there.
_others_names = {
    *(("alerts_room", "label"), ("alerts_room", "last_customer_text")),
    *(("orgs_user", "name"), ("orgs_userevent", "name")),
}
_ids_of_people = {"sso_id", "email", "external_user_id", "actor_external_id"}  # no room is called by these
# What has its own meaning there, whatever else is called so: ids of other things, names of orgs, agents and systems.
_other = {
    *(("alerts_failureevent", "event_id"), ("alerts_roomactivity", "activity_id"), ("alerts_room", "room_id")),
    *(("orgs_org", "external_id"), ("orgs_org", "name"), ("orgs_agent", "name"), ("orgs_source", "name")),
    *(("orgs_orgevent", "external_id"), ("orgs_orgevent", "name"), ("orgs_agentevent", "name")),
    *(("orgs_sourceevent", "name"), ("orgs_supervisorrole", "name"), ("orgs_supervisorroleevent", "name")),
}
# Words of a list, numbers and names of systems: nobody is called so, whatever an id happens to look like.
_nobodys = {
    *("agent_version", "input_kind", "channel", "surface", "resolution", "detected", "flags", "altered", "durations"),
    *("state", "severity", "scope", "kind", "change", "signal", "outcome", "ended_reason", "resolved_kind", "cause"),
}
_others_tables = {
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "auth_group",
    "django_session",
    "cache",
}

COLUMNS = """
SELECT class.relname, field.attname, format_type(field.atttypid, NULL), primary_key.attname, field.atttypmod - 4,
       EXISTS (SELECT FROM pg_attribute org WHERE org.attrelid = class.oid AND org.attname = 'org_id')
  FROM pg_class class
  JOIN pg_attribute field ON field.attrelid = class.oid AND field.attnum > 0 AND NOT field.attisdropped
  JOIN pg_index key ON key.indrelid = class.oid AND key.indisprimary AND key.indnatts = 1
  JOIN pg_attribute primary_key ON primary_key.attrelid = class.oid AND primary_key.attnum = key.indkey[0]
 WHERE class.relnamespace = current_schema()::regnamespace AND class.relkind IN ('r', 'p')
   AND format_type(field.atttypid, NULL) IN ('text', 'character varying', 'character varying[]', 'text[]', 'character',
                                             'jsonb', 'json')
 ORDER BY class.relname, field.attnum"""


def people_write(table: str, column: str) -> None:
    """Register a column of an upper app in which people write about others."""
    _by_people.add((table, column))


class TextColumn(NamedTuple):
    table: str
    name: str
    kind: str
    key: str
    longest: int  # characters; below 1: any number
    of_org: bool


def text_columns() -> list[TextColumn]:
    """Every column that can hold text, but those that only have words of our own."""
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        found = [TextColumn(*row) for row in cursor.fetchall()]
    return [
        one for one in found if one.table not in _others_tables and one.name not in _nobodys and one[:2] not in _other
    ]


@dataclass(frozen=True)
class Needles:
    """What names a subject: `ids` wherever they stand as a word, `names` where people write and as whole values.

    `of_room`: the subject is a room, and its names are what its customer is called, or said: only people repeat that.
    """

    ids: frozenset[str]
    names: frozenset[str]
    replacement: str = ERASED_TEXT  # of a whole value
    of_room: bool = False

    def within(self, column: TextColumn) -> "Needles":
        """Those that can mean the subject in this column."""
        if self.of_room and column.name in _ids_of_people:
            return replace(self, ids=frozenset(), names=frozenset())
        if column[:2] in _others_names or (self.of_room and column[:2] not in _by_people):
            return replace(self, names=frozenset()) if self.names else self
        return self

    @property
    def every(self) -> frozenset[str]:
        return self.ids | self.names

    @cached_property
    def _in_any_text(self) -> re.Pattern[str] | None:
        return _as_words(self.ids)

    @cached_property
    def _in_prose(self) -> re.Pattern[str] | None:
        return _as_words(self.every)

    def scrubbed(self, value: Any, prose: bool) -> Any:
        """A copy of a value, JSON or a list too, without them."""
        if isinstance(value, str):
            if value in self.every:
                return self.replacement
            pattern = self._in_prose if prose else self._in_any_text
            return pattern.sub(ERASED_TEXT, value) if pattern else value
        if isinstance(value, dict):
            return {self.scrubbed(key, prose): self.scrubbed(inner, prose) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.scrubbed(inner, prose) for inner in value]
        return value


def _as_words(needles: Iterable[str]) -> re.Pattern[str] | None:
    """Matches them where no letter, digit, `_` or `-` goes before or comes after."""
    long = sorted((re.escape(one) for one in needles if len(one) >= SHORTEST), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(long)})(?![\w-])") if long else None


def scrub(needles: Needles, orgs: Collection[int] | None, *, everywhere: bool = True) -> Counter[str]:
    """Replace what names the subject; rows changed by table.

    `orgs`: of tables that have an org only their rows and those of no org; None: all. Without `everywhere` tables that
    have no org are left alone.
    """
    changed: Counter[str] = Counter()
    with connection.cursor() as cursor:
        for column, key, value in _found(cursor, needles, orgs, everywhere):
            changed[column.table] += 1
            cursor.execute(
                f"UPDATE {column.table} SET {column.name} = %s{_cast(column)} WHERE {column.key} = %s",
                [_written(column, value), key],
            )
    return changed


def remaining(needles: Needles, orgs: Collection[int] | None, *, everywhere: bool = True) -> int:
    """How many values still name the subject."""
    with connection.cursor() as cursor:
        return sum(1 for _ in _found(cursor, needles, orgs, everywhere))


def _found(
    cursor: CursorWrapper, needles: Needles, orgs: Collection[int] | None, everywhere: bool
) -> Iterator[tuple[TextColumn, Any, Any]]:
    """(column, key of the row, value without them) of each value that names the subject."""
    for column in text_columns():
        here = needles if column[:2] == NOTED else needles.within(column)
        written = {form for one in here.every for form in (one, json.dumps(one, ensure_ascii=False)[1:-1])}
        if not written or not (everywhere or column.of_org):
            continue
        of_org = " AND (org_id = ANY(%s) OR org_id IS NULL)" if orgs is not None and column.of_org else ""
        contains = " OR ".join(f"strpos({column.name}::text, %s) > 0" for _ in written)
        sql = f"SELECT {column.key}, {column.name} FROM {column.table} WHERE ({contains}){of_org}"
        cursor.execute(sql, [*written, *([list(orgs or ())] if of_org else [])])
        for key, value in cursor.fetchall():
            before = json.loads(value) if column.kind in ("json", "jsonb") else value
            after = needles.within(column).scrubbed(before, column[:2] in _by_people | _about_people)
            if column[:2] == NOTED and "note" in before:
                after["note"] = needles.scrubbed(before["note"], True)
            if after != before:
                yield column, key, after


def _written(column: TextColumn, value: Any) -> Any:
    if column.kind in ("json", "jsonb"):
        return json.dumps(value, ensure_ascii=False)
    return value[: column.longest] if column.longest > 0 and isinstance(value, str) else value


def _cast(column: TextColumn) -> str:
    return f"::{column.kind}" if column.kind in ("json", "jsonb") or column.kind.endswith("[]") else ""
