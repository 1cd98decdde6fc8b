"""The intervals in which a source was silent about an org: kept by the watch of the sources."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

# What was heard is known to the minute. A source that is not silent any more, though nothing was heard of it, says
# nothing at this time of the week either: from now on we miss nothing.
END = """
UPDATE alerts_blindinterval gap
   SET counted = false,
       ends = greatest(gap.starts, least(%(now)s, (
           SELECT least(min(heard.minute) + interval '1 minute', (
                  SELECT at FROM orgs_sourceheard last
                   WHERE last.org_id = gap.org_id AND last.source_id = gap.source_id AND last.at > gap.starts))
             FROM alerts_sourceminute heard
            WHERE heard.org_id = gap.org_id AND heard.source_id = gap.source_id AND heard.created > 0
              AND heard.minute > gap.starts)))
 WHERE gap.cause = 'source_silent' AND gap.ends IS NULL
   AND NOT EXISTS (SELECT FROM unnest(%(orgs)s::bigint[], %(sources)s::bigint[], %(since)s::timestamptz[])
                              AS silent (org_id, source_id, since)
                    WHERE silent.org_id = gap.org_id AND silent.source_id = gap.source_id AND silent.since = gap.starts)
"""
# One that ended, and that nobody heard of since, goes on.
BEGIN = """
INSERT INTO alerts_blindinterval (org_id, source_id, cause, starts)
SELECT org_id, source_id, 'source_silent', since
  FROM unnest(%(orgs)s::bigint[], %(sources)s::bigint[], %(since)s::timestamptz[]) AS silent (org_id, source_id, since)
    ON CONFLICT (org_id, source_id, cause, starts) DO UPDATE SET ends = NULL, counted = false
 WHERE alerts_blindinterval.ends IS NOT NULL"""


def keep_silences(silent: Mapping[tuple[int, int], datetime], now: datetime) -> None:
    """Let exactly these silences be open: (org pk, source pk) -> since when. Two statements.

    The caller holds the lock of the watch, and is in a transaction.
    """
    keys = sorted(silent)
    values: dict[str, Any] = {
        "now": now,
        "orgs": [org for org, _ in keys],
        "sources": [source for _, source in keys],
        "since": [silent[key] for key in keys],
    }
    with connection.cursor() as cursor:
        cursor.execute(END, values)
        if keys:
            cursor.execute(BEGIN, values)
