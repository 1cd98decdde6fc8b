"""Which stretches of time we could not see, as they are stored. Reads only.

Raw SQL knows no scope: whose they are is for the caller to say, from what a scope let them find.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from alerts.blind.spans import BlindSpan, cut_spans, merged_spans
from orgs.auth import OrgIds
from orgs.replica import replica

# What is of no org is of all of them.
BLIND = """
SELECT org_id, starts, coalesce(ends, %(now)s)
  FROM alerts_blindinterval
 WHERE (org_id IS NULL OR org_id = ANY (%(orgs)s::bigint[]))
   AND starts < %(ends)s AND coalesce(ends, 'infinity') > %(starts)s"""


def blind_spans(org_ids: Iterable[int], starts: datetime, ends: datetime, now: datetime) -> dict[int, list[BlindSpan]]:
    """When we could not see anything, or not all, of each of these orgs (pks) within [starts, ends): merged, sorted.

    That is: while we were down, and while a source that an org uses was silent about that org; what still goes on lasts
    until now. Each org has its entry. One query.
    """
    orgs = sorted(set(org_ids))
    if not orgs:
        return {}
    rows = replica.rows(BLIND, {"orgs": orgs, "starts": starts, "ends": ends, "now": now})
    found: dict[int, list[BlindSpan]] = {org: [] for org in orgs}
    for org_id, since, until in rows:
        for org in orgs if org_id is None else [org_id]:
            found[org].append(BlindSpan(since, until))
    return {org: cut_spans(merged_spans(spans), starts, ends) for org, spans in found.items()}


LISTED = """
SELECT gap.starts, gap.ends, gap.cause, source.name, org.name
  FROM alerts_blindinterval gap
  LEFT JOIN orgs_source source ON source.id = gap.source_id
  LEFT JOIN orgs_org org ON org.id = gap.org_id
 WHERE (gap.org_id IS NULL OR %(every)s OR gap.org_id = ANY (%(orgs)s::bigint[]))
   AND gap.starts < %(ends)s AND coalesce(gap.ends, 'infinity') > greatest(gap.starts, %(starts)s)
 ORDER BY gap.starts, gap.id"""


@dataclass(frozen=True, slots=True)
class BlindStretch:
    """One stretch and why: `down`, of all orgs, or `source_silent`, of one source about one org. `ends` None: still."""

    starts: datetime
    ends: datetime | None
    cause: str
    source_name: str | None
    org_name: str | None


def blind_stretches(orgs: OrgIds, starts: datetime, ends: datetime) -> list[BlindStretch]:
    """Those of these orgs that reach into [starts, ends), whole, the oldest first. One query, none for no org."""
    if not orgs:
        return []
    values = {"every": orgs.every, "orgs": sorted(orgs.pks), "starts": starts, "ends": ends}
    return [BlindStretch(*row) for row in replica.rows(LISTED, values)]
