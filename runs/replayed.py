"""Runs that ended well, for a replay: of each when that was heard, as well as its row still says."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from alerts.actions import ResolvedRun
from orgs.models import Org
from orgs.signals.stalled_run import STALLED_RUN
from runs.detect import due_time
from runs.models import AgentRun

LASTS_AT_MOST = timedelta(hours=24)  # one that began before ends no wait
MICROSECOND = timedelta(microseconds=1)


def resolved_in(org: Org, begin: datetime, end: datetime) -> Iterator[tuple[datetime, ResolvedRun]]:
    """Runs of rooms of this org that ended `resolved` between these times, each with when that was heard.

    One that was posted after its end was heard of when it came first, else when its row changed last.
    """
    rows = AgentRun.objects.filter(org=org, started_at__gt=begin - LASTS_AT_MOST, started_at__lte=end)
    rows = rows.filter(resolution=AgentRun.Resolution.RESOLVED, ended_at__isnull=False).exclude(room="")
    fields = ("room", "run_id", "started_at", "ended_at", "received_at", "updated_at", "detected", "sla_target_seconds")
    for room, run_id, started, ended, received, updated, detected, target in rows.values_list(*fields).iterator():
        heard = received if received >= ended else updated
        if not begin < heard <= end:
            continue
        if STALLED_RUN.name in detected:
            since = due_time(started, target)
            last = max(ended, since + MICROSECOND)
            yield heard, ResolvedRun(org.pk, room, str(run_id), since, last, stalled=True)
        else:
            yield heard, ResolvedRun(org.pk, room, str(run_id), started, ended)
