"""Which runs were deleted while what they added to the roll-ups stays: one that is sent again is not counted again.

Their ids are kept by the day (of UTC) on which they began as sent, an array for each batch: 16 bytes a run.
"""

from collections.abc import Collection

from alerts.actions import fetch
from alerts.items import Accepted
from runs.items import RunItem
from runs.ledger import WANTED, as_keys
from runs.rows import RunId

# Before runs of these ids are deleted.
KEEP_IDS = """
INSERT INTO runs_purgedruns (org_id, day, run_ids)
SELECT org_id, (coalesce(started_as_sent, started_at) AT TIME ZONE 'UTC')::date, array_agg(run_id)
  FROM runs_agentrun WHERE id = ANY(%(ids)s) GROUP BY 1, 2
"""
DAYS = """
SELECT DISTINCT org_id, day FROM unnest(%b::bigint[], %b::date[]) AS asked (org_id, day)
  JOIN runs_purgedruns gone USING (org_id, day)
"""
AMONG = f"""
SELECT org_id, run_id
  FROM (SELECT gone.org_id, unnest(gone.run_ids) AS run_id FROM unnest(%b::bigint[], %b::date[]) AS asked (org_id, day)
          JOIN runs_purgedruns gone USING (org_id, day)) gone
  JOIN {WANTED} USING (org_id, run_id)
"""  # noqa: S608 - our own names


def purged_runs(sent: Collection[Accepted[RunItem]]) -> set[RunId]:
    """Those of these that were deleted. Ask when the known ones are locked: no purge is on its way to them then."""
    days = {(one.org_id, one.item.started_at.date()) for one in sent if one.item.started_at is not None}
    found = fetch(DAYS, _columns(days)) if days else []  # hardly ever any
    if not found:
        return set()
    return set(fetch(AMONG, [*_columns(found), *as_keys([(one.org_id, one.item.run_id) for one in sent])]))


def _columns(days: Collection[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*days, strict=True)]
