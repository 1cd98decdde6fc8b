"""Keeps the sessions of rooms, and what they add up to a day: from room activity, failures and runs, in any order.

Each sweep finds the rooms of which something new is stored, reads what happened in each since the session that it
belongs to began (and the one before, which the customer's coming back ends), and writes what differs.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from alerts.figures.counting import local_day
from alerts.models import Alert
from orgs.models import Org
from orgs.signals.unexpected_handoff import UNEXPECTED_HANDOFF
from runs.models import RoomSession, SessionsMark
from runs.sessions import DURABLE, LASTS, RoomStay, RunOf, SessionMoment, stays

LOCK = 0x7365_7373  # "sess"; advisory: one sweep at a time
COMMITTED_AFTER = timedelta(minutes=5)  # a row that is older than this was committed, or never will be
ROWS_AT_ONCE, SESSIONS_AT_ONCE = 20_000, 5_000
LOOKS_AGAIN = timedelta(minutes=1)  # after a run that has not ended; later more and more seldom
MARKS = ("activity", "event", "transition", "run")

RoomKey = tuple[int, str]  # org pk, the room's id in the chat product

ACTS = {
    "customer_message": "customer",
    "bot_message": "bot",
    "human_message": "human",
    "assigned": "assigned",
    "resolved": "resolved",
}

# What is new, as (org, room, when it happened). Each table is read by an index, in the order of its mark.
NEW = f"""
SELECT room.org_id, room.room_id, min(activity.at)
  FROM (SELECT room_id, at FROM alerts_roomactivity WHERE id > %(activity)s ORDER BY id LIMIT {ROWS_AT_ONCE}) activity
  JOIN alerts_room room ON room.id = activity.room_id GROUP BY 1, 2
UNION ALL
SELECT room.org_id, room.room_id, min(event.occurred_at)
  FROM (SELECT room_id, occurred_at FROM alerts_failureevent WHERE id > %(event)s
         ORDER BY id LIMIT {ROWS_AT_ONCE}) event
  JOIN alerts_room room ON room.id = event.room_id GROUP BY 1, 2
UNION ALL
SELECT room.org_id, room.room_id, min(alert.first_failure_at)
  FROM (SELECT alert_id FROM alerts_transition WHERE id > %(transition)s ORDER BY id LIMIT {ROWS_AT_ONCE}) changed
  JOIN alerts_alert alert ON alert.id = changed.alert_id
  JOIN alerts_room room ON room.id = alert.room_id GROUP BY 1, 2
UNION ALL
SELECT org_id, room, min(started_at)
  FROM (SELECT org_id, room, started_at FROM runs_agentrun WHERE id > %(run)s ORDER BY id LIMIT {ROWS_AT_ONCE}) run
 WHERE room <> '' GROUP BY 1, 2
UNION ALL
SELECT org_id, room, min(began_at)
  FROM (SELECT org_id, room, began_at FROM runs_roomsession
         WHERE due_at <= %(now)s ORDER BY due_at LIMIT {SESSIONS_AT_ONCE}) due GROUP BY 1, 2
"""  # noqa: S608 - our own numbers


def _settled(table: str, at: str, mark: str) -> str:
    """The newest id of a table that this sweep reads and before which nothing can still be on its way."""
    return f"""coalesce((SELECT max(id) FROM (
        SELECT id, {at} AS at FROM {table} WHERE id > %({mark})s ORDER BY id LIMIT {ROWS_AT_ONCE}) new
         WHERE at <= %(until)s), %({mark})s)"""  # noqa: S608


NEXT = "SELECT " + ", ".join(
    [
        _settled("alerts_roomactivity", "received_at", "activity"),
        _settled("alerts_failureevent", "received_at", "event"),
        _settled("alerts_transition", "at", "transition"),
        _settled("runs_agentrun", "received_at", "run"),
    ]
)
# Per room the sessions that a moment may change: it lies in them, or is a return after them.
SINCE = """
SELECT given.org, given.room, least(given.at, min(session.began_at))
  FROM json_to_recordset(%s::json) AS given (org bigint, room varchar, at timestamptz)
  LEFT JOIN runs_roomsession session
    ON session.org_id = given.org AND session.room = given.room AND session.began_at <= given.at
   AND session.last_customer_at > given.at - interval '7 days'
 GROUP BY given.org, given.room, given.at"""
MOMENTS = """
WITH given AS MATERIALIZED (
    SELECT given.*, room.id AS pk
      FROM json_to_recordset(%(rooms)s::json) AS given (org bigint, room varchar, since timestamptz)
      LEFT JOIN alerts_room room ON room.org_id = given.org AND room.room_id = given.room
)
SELECT given.org, given.room, activity.kind, activity.at, '', NULL::bigint, '', '', '',
       NULL::timestamptz, NULL::boolean
  FROM given JOIN alerts_roomactivity activity ON activity.room_id = given.pk AND activity.at >= given.since
 WHERE NOT activity.undelivered AND activity.kind = ANY(%(acts)s)
UNION ALL
SELECT given.org, given.room, 'failed', event.occurred_at, event.signal, event.agent_id, event.agent_version,
       event.channel, '', NULL, NULL
  FROM given JOIN alerts_alert alert ON alert.room_id = given.pk
  JOIN alerts_failureevent event ON event.alert_id = alert.id AND event.occurred_at >= given.since
UNION ALL
SELECT given.org, given.room, 'run', run.started_at, run.resolution, run.agent_id, run.agent_version, run.channel,
       run.input_kind, run.ended_at, run.human_touched
  FROM given JOIN runs_agentrun run
    ON run.org_id = given.org AND run.room = given.room AND run.room <> '' AND run.started_at >= given.since"""

# Days of orgs, counted anew from their sessions.
FORGET_DAYS = """
DELETE FROM runs_daysessions of_day USING json_to_recordset(%s::json) AS given (org bigint, day date)
 WHERE of_day.org_id = given.org AND of_day.day = given.day"""
COUNT_DAYS = """
INSERT INTO runs_daysessions (org_id, day, zone, agent_id, agent_version, channel, input_kind,
                              sessions, contained, settled, abandoned, old_enough, durable)
SELECT org.id, given.day, org.zone, session.agent_id, session.agent_version, session.channel, session.input_kind,
       count(*), count(*) FILTER (WHERE contained), count(*) FILTER (WHERE settled), count(*) FILTER (WHERE abandoned),
       count(*) FILTER (WHERE durable IS NOT NULL), count(*) FILTER (WHERE durable)
  FROM json_to_recordset(%s::json) AS given (org bigint, day date)
  JOIN orgs_org org ON org.id = given.org
  JOIN runs_roomsession session ON session.org_id = org.id AND session.touched
   AND session.began_at >= (given.day::timestamp AT TIME ZONE org.zone)
   AND session.began_at < ((given.day + 1)::timestamp AT TIME ZONE org.zone)
 GROUP BY org.id, given.day, org.zone, session.agent_id, session.agent_version, session.channel, session.input_kind"""
# The days of orgs whose zone has changed, as far as their sessions are still there: both as they were, and as they are.
OTHER_ZONE = """
WITH moved AS (
    SELECT org.id, org.zone, (SELECT min(began_at) FROM runs_roomsession session WHERE session.org_id = org.id) AS since
      FROM orgs_org org
     WHERE EXISTS (SELECT FROM runs_daysessions of_day WHERE of_day.org_id = org.id AND of_day.zone <> org.zone
                      AND of_day.day > (SELECT min(began_at) FROM runs_roomsession session
                                         WHERE session.org_id = org.id))
)
SELECT moved.id, of_day.day FROM moved JOIN runs_daysessions of_day
    ON of_day.org_id = moved.id AND of_day.zone <> moved.zone AND of_day.day > moved.since
 UNION
SELECT moved.id, (session.began_at AT TIME ZONE moved.zone)::date
  FROM moved JOIN runs_roomsession session ON session.org_id = moved.id"""


def sweep_sessions(now: datetime) -> int:
    """Bring the sessions up to date, of at most some ten thousand new rows; how many changed. Needs scopes disabled.

    One transaction; holds an advisory lock.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        mark, _ = SessionsMark.objects.get_or_create()
        marks = {name: getattr(mark, name) for name in MARKS}
        at: dict[str, Any] = marks | {"now": now}
        cursor.execute(NEW, at)
        touched: dict[RoomKey, datetime] = {}
        for org, room, moment in cursor.fetchall():
            touched[org, room] = min(moment, touched.get((org, room), moment))
        changed = _keep(cursor, touched, now) if touched else 0
        cursor.execute(NEXT, at | {"until": now - COMMITTED_AFTER})
        mark.activity, mark.event, mark.transition, mark.run = cursor.fetchone()
        mark.save()
        cursor.execute(OTHER_ZONE)
        _count_days(cursor, cursor.fetchall())
        return changed


def _keep(cursor: Any, touched: dict[RoomKey, datetime], now: datetime) -> int:
    """Read these rooms from where something is new, and write the sessions that differ."""
    given = [{"org": org, "room": room, "at": at.isoformat()} for (org, room), at in sorted(touched.items())]
    cursor.execute(SINCE, [json.dumps(given)])
    since: dict[RoomKey, datetime] = {(org, room): at for org, room, at in cursor.fetchall()}
    moments = _moments(cursor, since)
    failing = _with_open_alert(since)
    stored: dict[RoomKey, dict[datetime, RoomSession]] = defaultdict(dict)
    for row in RoomSession.objects.filter(
        org__in={org for org, _ in since}, room__in={room for _, room in since}, began_at__gte=min(since.values())
    ):
        if row.began_at >= since.get((row.org_id, row.room), now + DURABLE):
            stored[row.org_id, row.room][row.began_at] = row
    new, gone, days = [], [], set()
    for key in since:
        found = stays(moments[key], now)
        for stay in found:
            row = _row(key, stay, key in failing and stay is found[-1], now)
            if stay.running and stay.ended_at is None and row.due_at is not None:
                row.due_at = min(row.due_at, now + max(LOOKS_AGAIN, (now - stay.began_at) / 5))
            before = stored[key].pop(stay.began_at, None)
            if before is None or _facts(before) != _facts(row):
                new.append(row)
            if before is None or _facts(before)[:-1] != _facts(row)[:-1]:  # all but when it is looked at again
                days.add((row.org_id, row.began_at))
        for before in stored[key].values():  # an earlier moment became known: it is part of another session now
            gone.append(before.pk)
            days.add((before.org_id, before.began_at))
    RoomSession.objects.filter(pk__in=gone).delete()
    RoomSession.objects.bulk_create(
        new,
        batch_size=1000,
        update_conflicts=True,
        unique_fields=["org", "room", "began_at"],
        update_fields=[name for name in FACTS if name not in ("org_id", "room", "began_at")],
    )
    zones = dict(Org.objects.filter(pk__in={org for org, _ in days}).values_list("pk", "zone"))
    _count_days(cursor, {(org, local_day(at, zones[org])) for org, at in days})
    return len(new) + len(gone)


def _moments(cursor: Any, since: dict[RoomKey, datetime]) -> dict[RoomKey, list[SessionMoment]]:
    rooms = [{"org": org, "room": room, "since": at.isoformat()} for (org, room), at in since.items()]
    cursor.execute(MOMENTS, {"rooms": json.dumps(rooms), "acts": list(ACTS)})
    found: dict[RoomKey, list[SessionMoment]] = defaultdict(list)
    for org, room, *row in cursor.fetchall():
        found[org, room] += _of(row)
    return found


def _of(row: Sequence[Any]) -> list[SessionMoment]:
    """The moments that one row tells of: a run is one where it begins, and one where it answers or hands over."""
    kind, at, word, agent, version, channel, input_kind, ended_at, human = row
    if kind in ACTS:
        return [SessionMoment(at, ACTS[kind])]  # type: ignore[arg-type]
    whose = RunOf(agent, version, channel, input_kind)
    if kind == "failed":
        return [SessionMoment(at, "handoff" if word == UNEXPECTED_HANDOFF.name else "run", whose)]
    told = [SessionMoment(at, "run", whose, running=ended_at is None)]
    if ended_at is not None and word == "resolved":
        told.append(SessionMoment(ended_at, "bot"))
    if ended_at is not None and word == "escalated":
        told.append(SessionMoment(ended_at, "handoff"))
    if human:
        told.append(SessionMoment(ended_at or at, "human"))
    return told


def _with_open_alert(rooms: Iterable[RoomKey]) -> set[RoomKey]:
    keys = set(rooms)
    alerts = Alert.objects.exclude(state="resolved").filter(
        room__room_id__in={room for _, room in keys}, org__in={org for org, _ in keys}
    )
    return {key for key in alerts.values_list("org_id", "room__room_id") if key in keys}


def _count_days(cursor: Any, days: Iterable[tuple[int, date]]) -> None:
    given = json.dumps([{"org": org, "day": day.isoformat()} for org, day in sorted(days)])
    cursor.execute(FORGET_DAYS, [given])
    cursor.execute(COUNT_DAYS, [given])


FACTS = (
    *("org_id", "room", "began_at", "last_customer_at", "ended_at", "agent_id", "agent_version", "channel"),
    *("input_kind", "touched", "contained", "abandoned", "settled", "durable", "due_at"),
)


def _facts(row: RoomSession) -> list[Any]:
    return [getattr(row, name) for name in FACTS]


def _row(key: RoomKey, stay: RoomStay, failing: bool, now: datetime) -> RoomSession:
    over = stay.ended_at is not None
    settled = over and stay.contained and not stay.abandoned and not failing
    old_enough = now >= stay.last_customer_at + DURABLE
    due: datetime | None = None
    if not over:
        due = stay.last_customer_at + LASTS
    elif not old_enough:
        due = stay.last_customer_at + DURABLE
    return RoomSession(
        org_id=key[0],
        room=key[1],
        began_at=stay.began_at,
        last_customer_at=stay.last_customer_at,
        ended_at=stay.ended_at,
        agent_id=stay.of.agent,
        agent_version=stay.of.agent_version,
        channel=stay.of.channel,
        input_kind=stay.of.input_kind,
        touched=stay.touched,
        contained=stay.contained,
        abandoned=stay.abandoned,
        settled=settled,
        durable=stay.came_back is None if settled and old_enough else None,
        due_at=due,
    )
