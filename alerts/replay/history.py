"""What happened in an org in a span of time, as it is stored: a few queries, whatever the number of events.

A span is played from a day before it, so that at its start rooms and alerts are as they were; rooms whose alert is
older are heard from when that was opened.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from alerts.actions.resolved_runs import ResolvedRun
from alerts.models import Push, Room
from alerts.replay.plain import plain_room
from alerts.rows import ActivityRow, EventRow
from alerts.tables import fetch
from orgs.models import Agent, Org, User

_rows = partial(fetch, binary=True)
WARM_UP = timedelta(hours=24)
LOOKS_BACK = timedelta(days=31)  # for what was open already, at most
# Changes that time alone made, of rows that do not say so: of releases before they did.
OF_TIME = ("repeated", "expired", "escalated", "abandoned", "released_hold")
EVENT_COLUMNS = (
    "source_id", "event_id", "room_id", "agent_id", "signal", "occurred_at", "received_at", "agent_version", "run_id",
    "channel", "confidence", "threshold", "handoff_completed", "customer_waiting_since", "id", "alert_id", "reason",
    "handoff_source", "handoff_target",
)  # fmt: skip
EVENTS_OF = f"""
SELECT {", ".join(EVENT_COLUMNS)} FROM alerts_failureevent
 WHERE org_id = %b AND agent_id = ANY(%b::bigint[]) AND received_at > %b::timestamptz AND received_at <= %b::timestamptz
   AND signal NOT IN ('talk_over', 'human_stalled')  -- the room's activity is heard again, and tells of these
 ORDER BY received_at, id
"""  # noqa: S608 - our own columns
EVENTS_BEFORE = f"""
SELECT {", ".join(EVENT_COLUMNS)} FROM alerts_failureevent
 WHERE room_id = ANY(%b::bigint[]) AND received_at > %b::timestamptz AND received_at <= %b::timestamptz
   AND signal NOT IN ('talk_over', 'human_stalled')
 ORDER BY received_at, id
"""  # noqa: S608
DETECTED = """
SELECT room_id, received_at, alert_id FROM alerts_failureevent
 WHERE room_id = ANY(%b::bigint[]) AND received_at > %b::timestamptz AND received_at <= %b::timestamptz
   AND signal IN ('talk_over', 'human_stalled') AND alert_id IS NOT NULL
"""
ACTIVITIES_OF = """
SELECT source_id, activity_id, room_id, kind, actor_id, actor_external_id, at, received_at, undelivered, asks
  FROM alerts_roomactivity
 WHERE org_id = %b AND room_id = ANY(%b::bigint[])
   AND received_at > %b::timestamptz AND received_at <= %b::timestamptz
 ORDER BY received_at, id
"""
ALERTS_OF = """
SELECT alert.id, alert.room_id, alert.agent_id, alert.source_id, alert.scope, alert.covers_from IS NOT NULL,
       coalesce(first.at, alert.opened_at)
  FROM alerts_alert alert,
       LATERAL (SELECT min(change.at) AS at FROM alerts_transition change WHERE change.alert_id = alert.id) first
 WHERE alert.org_id = %b AND (alert.state <> 'resolved' OR alert.resolved_at > %b::timestamptz)
   AND coalesce(first.at, alert.opened_at) <= %b::timestamptz
"""
CHANGES_OF = """
SELECT alert_id, at, change, reason, episode, actor_id, detail::text, occurrence, event_id, swept_at
  FROM alerts_transition
 WHERE alert_id = ANY(%b::uuid[]) AND at > %b::timestamptz AND at <= %b::timestamptz
   AND (occurrence > 0 OR actor_id IS NOT NULL OR swept_at IS NOT NULL OR event_id IS NULL)
 ORDER BY at, id
"""
ROOMS_OF = "SELECT id, org_id, room_id, channel FROM alerts_room WHERE id = ANY(%b::bigint[]) ORDER BY id"
PUSHES_OF = """
SELECT alert_id, supervisor_id, occurrence, kind, reason, planned_at, state, ended_reason, ended_at, sent_at, push,
       body <> '', attempts, (trace ->> 'claimed')::float8, severity
  FROM alerts_push
 WHERE org_id = %b AND planned_at > %b::timestamptz AND planned_at <= %b::timestamptz
   AND kind IN ('alert', 'digest') AND state <> 'skipped'
 ORDER BY planned_at, id
"""

ARRIVALS_OF = """
SELECT DISTINCT (SELECT min(joined_at) FROM alerts_digestalert WHERE push_id = push.id) AS at
  FROM alerts_push push
 WHERE org_id = %b AND planned_at > %b::timestamptz AND planned_at <= %b::timestamptz
   AND kind = 'digest' AND reason = 'on_duty'
 ORDER BY at
"""


class KnownAlert(NamedTuple):
    """An alert of the past, and when it was first opened."""

    id: UUID
    room_id: int | None
    agent_id: int | None
    source_id: int | None
    scope: str
    is_outage: bool
    first_at: datetime


class PastChange(NamedTuple):
    """A transition."""

    alert_id: UUID
    at: datetime
    change: str
    reason: str
    episode: int
    actor_id: int | None
    detail: dict[str, Any]
    occurrence: int
    event_id: int | None
    swept_at: datetime | None


class PastPush(NamedTuple):
    """A push or digest that was planned, and what became of it."""

    alert_id: UUID | None
    supervisor_id: int
    occurrence: int
    kind: str
    reason: str
    planned_at: datetime
    state: str
    ended_reason: str
    ended_at: datetime | None
    sent_at: datetime | None
    push: str
    written: bool
    attempts: int
    claimed: float | None
    severity: str

    @property
    def claimed_at(self) -> datetime | None:
        """When it was taken to be sent, or ended; None: it still waits."""
        if self.kind == Push.Kind.DIGEST and self.written:
            return self.planned_at
        if self.state == Push.State.SENT and self.claimed is not None and self.attempts <= 1:
            return self.planned_at + timedelta(milliseconds=max(self.claimed, 0.0))
        return self.sent_at or self.ended_at


@dataclass
class History:
    """All of it, in the order in which it was heard."""

    org: Org
    begin: datetime
    since: datetime
    until: datetime
    events: list[EventRow] = field(default_factory=list)
    activities: list[ActivityRow] = field(default_factory=list)
    runs: list[tuple[datetime, ResolvedRun]] = field(default_factory=list)
    changes: list[PastChange] = field(default_factory=list)
    pushes: list[PastPush] = field(default_factory=list)
    alerts: dict[UUID, KnownAlert] = field(default_factory=dict)
    rooms: list[tuple[int, int, str, str]] = field(default_factory=list)  # pk, org pk, room id, channel
    arrivals: list[datetime] = field(default_factory=list)  # when who came on duty was told
    people: dict[int, User] = field(default_factory=dict)
    detected: dict[tuple[int, datetime], UUID] = field(default_factory=dict)  # alerts, by room and time
    numbers: dict[int, int] = field(default_factory=dict)  # of the last digest before, by person

    @property
    def sweeps(self) -> list[datetime]:
        """When sweeps of the timers came that changed something."""
        return sorted({at for one in self.changes if (at := swept_at(one)) is not None})


def swept_at(change: PastChange) -> datetime | None:
    """When the sweep came that made this change; None: none did."""
    if change.swept_at is not None or change.actor_id is not None or change.event_id is not None:
        return change.swept_at
    of_time = change.change in OF_TIME or change.reason in ("quiet", "recovered")
    of_time |= change.detail.get("cause") == "handed_off"
    return change.at if of_time and change.detail.get("cause") != "undelivered" else None


RunReader = Callable[[Org, datetime, datetime], Iterable[tuple[datetime, ResolvedRun]]]
_runs: list[RunReader] = []


def also_runs(reader: RunReader) -> None:
    """An upper app tells which runs of rooms ended well in a span, and when that was heard."""
    _runs.append(reader)


def read_history(org: Org, since: datetime, until: datetime) -> History:
    """What happened from a day before `since` to `until`, but nothing from before the org was made: nobody was there
    to be told of that, and no sweep came by. Run it where the tenant scope is disabled.
    """
    begin = max(since - WARM_UP, min(org.created_at, until))
    found = History(org, begin, since, until)
    found.alerts = {one.id: one for one in (KnownAlert(*row) for row in _rows(ALERTS_OF, [org.pk, begin, until]))}
    older = {
        one.room_id: one.first_at for one in found.alerts.values() if one.room_id is not None and one.first_at < begin
    }
    first = max(min(older.values(), default=begin), begin - LOOKS_BACK) - timedelta(seconds=1)
    first = max(first, min(org.created_at, begin))
    agents = list(Agent.objects.filter(org=org).values_list("pk", flat=True))
    found.events = _events(org, _rows(EVENTS_OF, [org.pk, agents, begin, until]))
    if older:
        found.begin = first
        before = _events(org, _rows(EVENTS_BEFORE, [list(older), first, begin]))
        found.events[:0] = [event for event in before if event.received_at >= older[event.room_id]]
    rooms = {event.room_id for event in found.events} | older.keys()
    rooms |= {one.room_id for one in found.alerts.values() if one.room_id is not None}
    found.rooms = _rows(ROOMS_OF, [sorted(rooms)])
    found.activities = [
        _activity(org, row) for row in _rows(ACTIVITIES_OF, [org.pk, sorted(rooms), found.begin, until])
    ]
    found.runs = sorted(
        ((at, run) for reader in _runs for at, run in reader(org, begin, until)),
        key=lambda one: (one[0], one[1].ended, one[1].run_id),
    )
    found.detected = {(room, at): pk for room, at, pk in _rows(DETECTED, [sorted(rooms), found.begin, until])}
    ids = list(found.alerts)
    found.changes = [_change(row) for row in _rows(CHANGES_OF, [ids, found.begin, until])]
    found.pushes = [PastPush(*row) for row in _rows(PUSHES_OF, [org.pk, found.begin, until])]
    arrived = {at for (at,) in _rows(ARRIVALS_OF, [org.pk, found.begin, until]) if at is not None}
    found.arrivals = sorted(arrived | {one.at for one in found.changes if one.reason == "on_duty"})
    _read_people(found)
    return found


def _read_people(found: History) -> None:
    people = {one.actor_id for one in found.changes} | {one.actor_id for one in found.activities}
    found.people = User.objects.in_bulk(people - {None})
    named = {one.detail["sso_id"] for one in found.changes if one.change == "assigned" and "sso_id" in one.detail}
    found.people |= {person.pk: person for person in User.objects.filter(sso_id__in=named)}
    first: dict[int, int] = {}
    for push in found.pushes:
        if push.kind == Push.Kind.DIGEST:
            first.setdefault(push.supervisor_id, push.occurrence)
    found.numbers = {person: number - 1 for person, number in first.items()}


def _events(org: Org, rows: Sequence[tuple[Any, ...]]) -> list[EventRow]:
    return [_event(org.pk, *row) for row in rows]


def _event(
    org: int, source: int, key: str, room: int, agent: int, signal: str, occurred: datetime, received: datetime,
    version: str, run: str, channel: str, confidence: float | None, threshold: float | None, completed: bool | None,
    waiting: datetime | None, pk: int, alert: UUID | None, reason: str, handed_by: str, handed_to: str,
) -> EventRow:  # fmt: skip
    return EventRow(
        org, source, key, "", room, agent, signal, occurred, None, received, False, [], version, run, channel,
        confidence, threshold, None, None, "", "", "", completed, waiting, {}, pk, alert, "", reason,
        handed_by, handed_to,
    )  # fmt: skip


def _activity(org: Org, row: tuple[Any, ...]) -> ActivityRow:
    source, key, room, kind, actor, external, at, received, undelivered, asks = row
    about = (org.pk, source, key, "", room, kind, actor, external, at, None, received, False, undelivered, asks)
    return ActivityRow(*about)


def _change(row: tuple[Any, ...]) -> PastChange:
    detail = row[6]
    return PastChange._make((*row[:6], msgspec.json.decode(detail), *row[7:]))


def blank_rooms(history: History) -> list[Room]:
    """Its rooms as if nobody had heard of them, made anew."""
    return [plain_room(*one) for one in history.rooms]


def outages(history: History) -> list[KnownAlert]:
    """The outages among the alerts, of agents and of sources, oldest first."""
    found = [one for one in history.alerts.values() if one.is_outage]
    return sorted(found, key=lambda one: one.first_at)
