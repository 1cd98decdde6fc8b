"""The one clock: PostgreSQL's, through one SQL function, so that every process agrees and tests can move it."""

from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils import translation

FAR_APART = timedelta(minutes=1)  # from then on it is said that a machine's clock is not PostgreSQL's


def now() -> datetime:
    """The time now, aware, UTC, from `live_now()` in the database (created by orgs/migrations/0001)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT live_now()")
        return cursor.fetchone()[0]


def rfc3339(at: datetime, timespec: str = "microseconds") -> str:
    """A time as it leaves us: in UTC, with Z. Answers of the API have microseconds, pushes and ids milliseconds."""
    return at.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def time_mark() -> str:
    """The mark within a time of day: a colon, in Indonesian a full stop. A wait on a clock has a colon in both."""
    return "." if translation.get_language() == "id" else ":"
