"""The database as a process finds it when it starts: its address, whether it answers, whose version its tables are."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
import psycopg
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.backends.postgresql.psycopg_any import BaseTzLoader, get_adapters_template

# Whoever owns the database says it for all who come; another role, for itself. It needs no superuser.
WITHOUT_JIT = """
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET jit TO off', current_database());
EXCEPTION WHEN insufficient_privilege THEN
    EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET jit TO off', current_database());
END $$
"""
SCHEMES = ("postgresql", "postgres")
FORM = "must be postgresql://user:password@host/name, with special characters of the password as %XX"
PREAMBLE = re.compile(r"^(?:connection (?:failed|is bad): )?(?:.* FATAL: +)?")


class Unusable(Exception):
    """A process cannot work with the database as it is; the message is one sentence, without any secret."""


@dataclass(frozen=True)
class Schema:
    """Migrations by `app.name`: `ahead` are applied and unknown here, `pending` the newest of each app that waits."""

    ahead: list[str]
    pending: list[str]


def read_url(url: str, name: str = "DATABASE_URL") -> dict[str, Any]:
    """The URL of this name as Django has it. Raises ImproperlyConfigured, never quoting it: it holds the password."""
    form = f"{name} {FORM}"
    scheme, separator, _ = url.partition("://")
    if separator and scheme not in SCHEMES and scheme.isalnum():
        raise ImproperlyConfigured(f"{form}; it begins with {scheme}://, and only PostgreSQL is supported.")
    if scheme.strip() not in SCHEMES:  # what reads it below would warn, and quote the password
        raise ImproperlyConfigured(f"{form}.")
    try:
        parts = urlsplit(url)
        misread = "@" in parts.path or bool(parts.fragment)  # a / or # of the password cut it short
        found: dict[str, Any] = environ.Env.db_url_config(url)
    except (ValueError, ImproperlyConfigured):
        misread = True
    if misread:
        raise ImproperlyConfigured(f"{form}.")
    if not found["NAME"]:
        raise ImproperlyConfigured(f"{form}; it names no database.")
    return found


def look() -> Schema:
    """What the tables say about their version. Raises Unusable, which says why nobody answers.

    Goes past the pool, which hides the reason and must not be open when a worker forks.
    """
    try:
        with psycopg.connect(**connection.get_connection_params()) as direct:
            return _schema_of(direct)
    except psycopg.OperationalError as error:
        reason = PREAMBLE.sub("", str(error).partition("\n")[0])
        raise Unusable(f"The database does not answer: {reason.rstrip('.')}.") from None


def _schema_of(direct: "psycopg.Connection[Any]") -> Schema:
    kept = {app.label: Path(app.path) / "migrations" / "max_migration.txt" for app in apps.get_app_configs()}
    newest = {label: file.read_text("utf-8").strip() for label, file in kept.items() if file.exists()}  # of ours
    try:
        rows = direct.execute("SELECT app, name FROM django_migrations WHERE app = ANY(%s)", [list(newest)]).fetchall()
    except psycopg.errors.UndefinedTable:
        rows = []
    applied = {(str(app), str(name)) for app, name in rows}
    return Schema(
        ahead=sorted(f"{app}.{name}" for app, name in applied if name > newest[app]),
        pending=sorted(f"{app}.{name}" for app, name in newest.items() if (app, name) not in applied),
    )


class QuickTimes(BaseTzLoader):
    """Reads a `timestamptz` in a tenth of the time of psycopg's own: a page reads some 2,000 of them."""

    timezone = UTC

    def load(self, data: Any) -> datetime:
        """The time. Raises DataError for one that Python does not know, as infinity."""
        try:
            return datetime.fromisoformat(str(data, "ascii"))
        except ValueError:
            return super().load(data)  # which says why


def read_times_quickly() -> None:
    """Let every connection of this process read times so."""
    get_adapters_template(settings.USE_TZ, UTC).register_loader("timestamptz", QuickTimes)


def switch_off_jit(**about: Any) -> None:
    """Let PostgreSQL compile no query, here and in all later connections: at each `migrate`, for a dump forgets it.

    Our statements are many and short, and some are long to read; a claim of pushes took 290 ms to compile and 1 to run.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('jit')")
        if cursor.fetchone() == ("on",):
            cursor.execute(WITHOUT_JIT)
            cursor.execute("SET jit TO off")
