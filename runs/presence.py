"""Which flows report runs: an agent, the kind of its input, and where it ran. Kept in a small table, off the way in.

A flow that reported and stopped is how an integration breaks: nothing fails, it is just not there any more.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q

from alerts.tables import fetch
from orgs.auth import OrgIds, of_orgs
from runs.models import AgentFlow

REPORTS_WITHIN, SHOWN_FOR = timedelta(days=1), timedelta(days=7)
READ = 50_000  # ids of runs looked at in one statement
LASTS = 10.0  # seconds that one reading goes on: the rest is for the next
COMMITTED_AFTER = timedelta(minutes=5)  # a run that is older than this was committed, and has said where it ran

BEGIN = """
SELECT coalesce((SELECT id FROM runs_agentrun
                  WHERE id <= (SELECT coalesce(max(last_run), 0) FROM runs_agentflow) AND received_at <= %b
                  ORDER BY id DESC LIMIT 1), (SELECT min(id) - 1 FROM runs_agentrun), 0),
       (SELECT coalesce(max(id), 0) FROM runs_agentrun)
"""
# In the order of the key, so that two that read at once never wait for each other in a circle.
NOTE = """
INSERT INTO runs_agentflow AS flow (org_id, agent_id, input_kind, surface, reported_at, last_run)
SELECT org_id, agent_id, input_kind, surface, max(received_at), max(id) FROM runs_agentrun
 WHERE id > %b AND id <= %b GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
ON CONFLICT (org_id, agent_id, input_kind, surface) DO UPDATE
   SET reported_at = greatest(flow.reported_at, EXCLUDED.reported_at),
       last_run = greatest(flow.last_run, EXCLUDED.last_run)
"""


def note_flows(now: datetime, lasts: float = LASTS) -> int:
    """Read the runs that are new since the last time; how many ids that were. Run it with the tenant scope disabled."""
    until = time.monotonic() + lasts
    ((read, last),) = fetch(BEGIN, [now - COMMITTED_AFTER])
    begun = read
    while read < last and time.monotonic() < until:
        upto = min(read + READ, last)
        fetch(NOTE, [read, upto])
        read = upto
    return int(read - begun)


@dataclass(frozen=True, slots=True)
class Flows:
    """Flows that reported in the last 7 days, those first that stopped; of all: how many report, how many stopped."""

    shown: Sequence[AgentFlow]
    reporting: int
    stopped: int

    @property
    def hidden(self) -> int:
        return self.reporting + self.stopped - len(self.shown)


def flows_of(orgs: OrgIds, now: datetime, limit: int) -> Flows:
    """The flows of these orgs; at most `limit` are shown. Three queries at most; run it inside a scope."""
    flows = of_orgs(AgentFlow.objects.filter(reported_at__gt=now - SHOWN_FOR), orgs)
    reports = Q(reported_at__gt=now - REPORTS_WITHIN)
    counts = flows.aggregate(reporting=Count("pk", filter=reports), stopped=Count("pk", filter=~reports))
    rows = flows.select_related("org", "agent").order_by("reported_at", "pk")
    stopped = list(rows.exclude(reports)[:limit]) if counts["stopped"] else []
    by_name = rows.filter(reports).order_by("org__name", "agent__name", "input_kind", "surface")
    shown = [*stopped, *(by_name[: limit - len(stopped)] if counts["reporting"] else ())]
    return Flows(shown, counts["reporting"], counts["stopped"])
