"""The one clock: PostgreSQL's, through one SQL function, so that every process agrees and tests can move it."""

from datetime import datetime

from django.db import connection


def now() -> datetime:
    """The time now, aware, UTC, from `live_now()` in the database (created by orgs/migrations/0001)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT live_now()")
        return cursor.fetchone()[0]
