"""Whether any web process is there: each says so every 10 s, in one row for all of them.

A gap in what they say is a `down` interval, found by the first that speaks again, or before that by a sweep. Each is
one statement that works under the lock of that row, or leaves it to the process that holds it.
"""

from datetime import timedelta
from typing import Any

from django.db import connection

BEAT_EVERY = 10.0  # seconds
DOWN_AFTER = timedelta(seconds=60)  # without a beat; a restart is shorter

# The first beat of all tells of no gap. A sweep that was faster has opened the interval: it ends now. One that ends
# later than now was none: the clock was ahead, and what fell due then would wait for it.
BEAT = """
WITH heart AS (
    SELECT at, live_now() AS now FROM alerts_webheartbeat WHERE id = 1 FOR UPDATE SKIP LOCKED
), first AS (
    INSERT INTO alerts_webheartbeat (id, at)
    SELECT 1, live_now() WHERE NOT EXISTS (SELECT FROM alerts_webheartbeat) ON CONFLICT DO NOTHING
), beaten AS (
    UPDATE alerts_webheartbeat SET at = heart.now FROM heart WHERE id = 1
), ended AS (
    UPDATE alerts_blindinterval SET ends = greatest(starts, heart.now), counted = false
      FROM heart WHERE cause = 'down' AND ends IS NULL RETURNING starts
), turned_back AS (
    UPDATE alerts_blindinterval SET ends = greatest(starts, heart.now), counted = false
      FROM heart WHERE cause = 'down' AND ends > heart.now
)
INSERT INTO alerts_blindinterval (cause, starts, ends)
SELECT 'down', at, now FROM heart WHERE at <= now - %(down_after)s AND NOT EXISTS (SELECT FROM ended)
ON CONFLICT DO NOTHING"""
NOTICE = """
WITH heart AS (
    SELECT at, live_now() AS now FROM alerts_webheartbeat WHERE id = 1 FOR UPDATE SKIP LOCKED
)
INSERT INTO alerts_blindinterval (cause, starts) SELECT 'down', at FROM heart WHERE at <= now - %(down_after)s
ON CONFLICT DO NOTHING"""


def beat() -> None:
    """Say that this web process is there, by the database's clock. A gap of 60 s before it becomes one interval."""
    _do(BEAT)


def notice_down() -> bool:
    """Open the interval if nobody has said so for 60 s; whether it was not open before."""
    return _do(NOTICE) > 0


def _do(statement: str) -> int:
    values: dict[str, Any] = {"down_after": DOWN_AFTER}
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.rowcount
