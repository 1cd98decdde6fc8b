"""What runs tell of the rooms they ran in, reported in the transaction that stores them: failures, and that it goes on.

The rules are in runs/detect.py; what comes of them is decided by alerts/actions.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from alerts.actions import Batch, ResolvedRun, record_run_outcomes, rooms_of, waiting_rooms
from alerts.decide import PolicyFacts
from alerts.items import Accepted, ErrorInfo, EventItem, Handoff
from alerts.known import Known
from alerts.tables import as_json, fetch
from alerts.times import PAST_LIMIT
from orgs.models import Source
from orgs.signals.stalled_run import STALLED_RUN
from runs.detect import RunSignal, detect_signals, due_time, takes_back
from runs.rows import RunRow

Change = tuple[RunRow | None, RunRow]  # a run before (None: it is new) and now
WAITS_AT_MOST = timedelta(hours=24)  # then nobody waits any more: a run that ended before ends no wait
MICROSECOND = timedelta(microseconds=1)
SHARED_FLAGS = ("masked", "truncated")  # of a run, those that a failure event has too
# Rooms in which another run is still owed: one that ends takes no alarm of the other back.
STILL_STALLED = """
SELECT DISTINCT run.org_id, run.room
  FROM json_to_recordset(%b::json) AS wanted (org_id bigint, room varchar)
  JOIN runs_agentrun run ON run.org_id = wanted.org_id AND run.room = wanted.room AND run.room <> ''
 WHERE run.started_at > %b AND run.overdue_at IS NOT NULL AND run.ended_at IS NULL AND NOT run.run_id = ANY(%b::uuid[])
"""


def report_runs(changes: Collection[Change], now: datetime, known: Known) -> None:
    """Note on each run the signals that are new in it (`detected`), and report them of those that ran in a room.

    The caller has locked the runs, holds no roll-up and has made no agent yet, and writes them afterwards in the same
    transaction. A run that changes again reports only what is new; of one that is over 30 days old nothing is reported,
    only noted.
    """
    policies = _policies({(row.org_id, row.agent_name) for _, row in changes}, known)
    reported_after, waits_after = now - PAST_LIMIT, now - WAITS_AT_MOST
    failures: dict[int, list[Accepted[EventItem]]] = defaultdict(list)
    ended: list[RunRow] = []
    for before, row in changes:
        policy = policies[row.org_id, row.agent_name]
        if not policy.detect_from_runs:
            continue
        found = detect_signals(row, policy.confidence_threshold)
        new = [one for one in found if one.signal not in row.detected] if found else found
        if new:
            row.detected = [*row.detected, *(one.signal for one in new)]
        if row.room:
            told = new if before is None or before.room else found  # of a run that names its room only now, all
            if told:
                failures[row.source_id] += [_event(row, one) for one in told if one.at > reported_after]
            if _just_resolved(before, row, waits_after):
                ended.append(row)
    batches = [(Source(pk=source), some) for source, some in sorted(failures.items()) if some]
    resolved = list(_resolved(_where_it_counts(ended, batches), now))
    if batches or resolved:
        record_run_outcomes(batches, resolved, now, known)


def _policies(agents: set[tuple[int, str]], known: Known) -> dict[tuple[int, str], PolicyFacts]:
    """What applies to each (org pk, name of an agent); an agent that is new has no policy of its own."""
    found = known.found_agents(agents)
    ids = {key: found[key].pk if key in found else 0 for key in agents}
    policies = known.policies((org, pk) for (org, _), pk in ids.items())
    return {(org, name): policies[org, pk] for (org, name), pk in ids.items()}


def _where_it_counts(ended: Sequence[RunRow], failures: Sequence[Batch[EventItem]]) -> list[RunRow]:
    """Those of runs that ended well in whose room somebody waits, or something fails just now."""
    if not ended:
        return []
    rooms = waiting_rooms({(row.org_id, row.room) for row in ended}) | rooms_of(failures)
    return [row for row in ended if (row.org_id, row.room) in rooms] if rooms else []


def _event(row: RunRow, found: RunSignal) -> Accepted[EventItem]:
    """The failure event of a signal: always the same id and content for the same run, however often it is read."""
    event_id = f"run:{row.run_id}:{found.signal}"
    item = EventItem(
        event_id=event_id,
        agent_name=row.agent_name,
        room_id=row.room,
        signal=found.signal,
        occurred_at=found.at,
        agent_version=row.agent_version or None,
        run_id=row.run_id,
        channel=row.channel or None,
        confidence=row.confidence,
        message_count=row.message_count,
        message_cap=row.message_cap,
        error=ErrorInfo(type=found.error_type) if found.error_type else None,
        handoff=None if found.handoff_completed is None else Handoff(completed=found.handoff_completed),
    )
    flags = [flag for flag in row.flags if flag in SHARED_FLAGS]
    return Accepted(0, row.org_id, item, sha256(event_id.encode()).digest(), "clock" in row.flags, flags=flags)


def _just_resolved(before: RunRow | None, row: RunRow, after: datetime) -> bool:
    was_open = before is None or before.ended_at is None or not before.room
    return was_open and row.resolution == "resolved" and row.ended_at is not None and row.ended_at > after


def _resolved(ended: Collection[RunRow], now: datetime) -> Iterator[ResolvedRun]:
    """These runs as `record_run_outcomes` takes them; one that was stalled counts from when that was."""
    stalled = {row.key for row in ended if STALLED_RUN.name in row.detected and takes_back(row)}
    owed = _still_stalled([row for row in ended if row.key in stalled], now)
    for row in ended:
        assert row.ended_at is not None
        run_id = str(row.run_id)
        if row.key not in stalled:
            yield ResolvedRun(row.org_id, row.room, run_id, row.started_at, row.ended_at)
        elif (row.org_id, row.room) not in owed:
            since = due_time(row.started_at, row.sla_target_seconds)
            yield ResolvedRun(row.org_id, row.room, run_id, since, max(row.ended_at, since + MICROSECOND), stalled=True)


def _still_stalled(rows: Collection[RunRow], now: datetime) -> set[tuple[int, str]]:
    if not rows:
        return set()
    rooms = [{"org_id": org, "room": room} for org, room in sorted({(row.org_id, row.room) for row in rows})]
    return set(fetch(STILL_STALLED, [as_json(rooms), now - WAITS_AT_MOST, [row.run_id for row in rows]]))
