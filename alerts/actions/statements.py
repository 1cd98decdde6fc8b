"""What `stored.py` asks PostgreSQL: its statements, each with what makes it quick."""

from alerts.models import Alert, Room

ALL_OF_ALERT, ALL_OF_ROOM = ([f.attname for f in model._meta.concrete_fields] for model in (Alert, Room))
ROOM_COLUMNS = ", ".join(f"room.{name}" for name in ALL_OF_ROOM)
WANTED = "json_to_recordset(%b::json) AS wanted (org_id bigint, room_id varchar)"
LOCK = (
    f"SELECT {ROOM_COLUMNS} FROM alerts_room room JOIN {WANTED} USING (org_id, room_id)"  # noqa: S608 - our own columns
    " ORDER BY room.org_id, room.room_id FOR UPDATE OF room"
)
# A room that is new is locked by whoever makes it.
MAKE = (
    "INSERT INTO alerts_room AS room (org_id, room_id, label, channel, url, last_customer_text, state)"  # noqa: S608
    f" SELECT org_id, room_id, '', '', '', '', '{Room.State.BOT.value}' FROM {WANTED}"
    f" ON CONFLICT DO NOTHING RETURNING {ROOM_COLUMNS}"
)
# The open alert of each room, else its newest.
NEWEST = (
    f"SELECT DISTINCT ON (room_id) {', '.join(ALL_OF_ALERT)} FROM alerts_alert"  # noqa: S608
    f" WHERE room_id = ANY(%b::bigint[]) ORDER BY room_id, state = '{Alert.State.RESOLVED.value}', opened_at DESC"
)
PEOPLE = "json_to_recordset(%b::json) AS wanted (org_id bigint, supervisor_id bigint)"
LOCK_PEOPLE = (
    "SELECT pg_advisory_xact_lock(hashtextextended('push-budget ' || org_id || ' ' || supervisor_id, 0))"  # noqa: S608
    f" FROM (SELECT org_id, supervisor_id FROM {PEOPLE} ORDER BY org_id, supervisor_id) AS sorted"
)
# When each person was last told of these rooms, and of the alerts of these sources, after a time.
TOLD = """
SELECT room_id, NULL::bigint, supervisor_id, severity, max(planned_at) FROM alerts_push
WHERE room_id = ANY(%b::bigint[]) AND kind = 'alert' AND state IN ('pending', 'sending', 'sent') AND planned_at > %b
GROUP BY room_id, supervisor_id, severity
"""
TOLD_OF_SOURCES = """
SELECT NULL::bigint, alert.source_id, push.supervisor_id, push.severity, max(push.planned_at)
FROM alerts_alert alert JOIN alerts_push push ON push.alert_id = alert.id
WHERE alert.source_id = ANY(%b::bigint[]) AND push.kind = 'alert'
  AND push.state IN ('pending', 'sending', 'sent') AND push.planned_at > %b
GROUP BY alert.source_id, push.supervisor_id, push.severity
"""
# Six rows a person or a few more, whatever they were told before.
SPENT = (
    "SELECT push.org_id, push.supervisor_id, push.alert_id, push.state = 'pending', push.planned_at"  # noqa: S608
    f" FROM {PEOPLE} JOIN alerts_push push USING (org_id, supervisor_id)"
    " WHERE push.kind = 'alert' AND push.state IN ('pending', 'sending', 'sent') AND push.planned_at > %b::timestamptz"
)
SUPERSEDE = """
UPDATE alerts_push p SET state = 'cancelled', ended_reason = 'superseded', ended_at = %b, next_attempt_at = NULL
  FROM unnest(%b::uuid[], %b::bigint[], %b::int[]) AS n(alert_id, supervisor_id, occurrence)
 WHERE p.alert_id = n.alert_id AND p.supervisor_id = n.supervisor_id
   AND p.occurrence < n.occurrence AND p.state = 'pending'
"""
LOCK_AGENTS = (
    "SELECT pg_advisory_xact_lock(hashtextextended('agent-outage ' || agent, 0))"
    " FROM (SELECT agent FROM unnest(%b::bigint[]) AS agent ORDER BY agent) AS sorted"
)
LOCK_SOURCES = (
    "SELECT pg_advisory_xact_lock(hashtextextended('source-outage ' || org || ' ' || source, 0))"
    " FROM (SELECT org, source FROM json_to_recordset(%b::json) AS given (org bigint, source bigint)"
    " ORDER BY org, source) AS sorted"
)
# The outages of these agents, of an org each, and those of the sources of these orgs.
OF_AGENTS = (
    "org_id = ANY(%b::bigint[]) AND agent_id = ANY(%b::bigint[]) AND scope = 'agent' AND covers_from IS NOT NULL"
)
OF_SOURCES = "org_id = ANY(%b::bigint[]) AND scope = 'source' AND covers_from IS NOT NULL"
OPEN_OUTAGES = (
    f"SELECT {', '.join(ALL_OF_ALERT)} FROM alerts_alert"  # noqa: S608 - our own columns
    f" WHERE state <> 'resolved' AND (({OF_AGENTS}) OR ({OF_SOURCES}))"
)
LOCK_OUTAGES = f"{OPEN_OUTAGES} ORDER BY id FOR NO KEY UPDATE"
OUTAGES_ENDED = (
    f"SELECT DISTINCT ON (org_id, agent_id) agent_id, resolved_at FROM alerts_alert"  # noqa: S608 - our own text
    f" WHERE {OF_AGENTS} AND state = 'resolved' ORDER BY org_id, agent_id, opened_at DESC"
)
SOURCE_OUTAGES_ENDED = (
    f"SELECT org_id, source_id, max(resolved_at) FROM alerts_alert"  # noqa: S608 - our own text
    f" WHERE {OF_SOURCES} AND state = 'resolved' GROUP BY org_id, source_id"
)
# Which failures count: those that were critical, and in time.
COUNT_NOT = ("late", "above_threshold", "same_run", "to_agent", "silenced")  # reasons of those that do not
COUNTS = f"event.severity = 'critical' AND event.reason NOT IN {COUNT_NOT}"
FIRST_FAILED = f"""
SELECT min(event.occurred_at) FROM alerts_failureevent event
 WHERE event.room_id = ANY(%b::bigint[]) AND event.received_at > %b::timestamptz AND {COUNTS}
"""  # noqa: S608 - our own text
# Rooms of these agents with a critical failure of late; what an outage that ended had counted does not count again.
FAILING = f"""
SELECT DISTINCT event.agent_id, event.room_id
  FROM unnest(%b::bigint[], %b::timestamptz[]) AS wanted (agent_id, since)
  JOIN alerts_failureevent event ON event.agent_id = wanted.agent_id AND event.received_at > wanted.since
 WHERE {COUNTS}
"""  # noqa: S608 - our own text
# The same of sources, but for what an outage of its agent explains, or explained.
FAILING_OF_SOURCES = f"""
SELECT DISTINCT wanted.org, wanted.source, event.agent_id, event.room_id
  FROM json_to_recordset(%b::json) AS wanted (org bigint, source bigint, since timestamptz)
  JOIN orgs_agent agent ON agent.org_id = wanted.org
  JOIN alerts_failureevent event ON event.agent_id = agent.id AND event.received_at > wanted.since
   AND event.source_id = wanted.source
 WHERE {COUNTS} AND NOT EXISTS (
       SELECT FROM alerts_alert outage
        WHERE outage.org_id = agent.org_id AND outage.agent_id = agent.id AND outage.scope = 'agent'
          AND outage.covers_from IS NOT NULL
          AND (outage.state <> 'resolved' OR outage.resolved_at >= event.received_at)
   )
"""  # noqa: S608 - our own text
# Of these rooms, those that an outage has counted.
COUNTED = f"""
SELECT DISTINCT outage.id, event.room_id
  FROM unnest(%b::uuid[]) AS wanted (id) JOIN alerts_alert outage ON outage.id = wanted.id
  JOIN alerts_failureevent event ON event.room_id = ANY(%b::bigint[]) AND event.received_at > outage.covers_from
   AND (event.agent_id = outage.agent_id OR (outage.agent_id IS NULL AND event.source_id = outage.source_id))
 WHERE {COUNTS}
"""  # noqa: S608 - our own text
# Those of these that are open, which they stay until the transaction ends.
KEEP_OPEN = "SELECT id FROM alerts_alert WHERE id = ANY(%b::uuid[]) AND state <> 'resolved' ORDER BY id FOR SHARE"
# Of each person the newest push about these alerts that is on their phone, or on its way; none while
# notification-service is known not to take any back.
ON_PHONES = """
SELECT DISTINCT ON (push.alert_id, push.supervisor_id)
       push.id, push.alert_id, push.supervisor_id, push.tier, push.state = 'sending', person.sso_id, person.locale,
       push.planned_at
  FROM alerts_push push JOIN orgs_user person ON person.id = push.supervisor_id AND person.is_active
 WHERE push.alert_id = ANY(%b::uuid[]) AND push.kind = 'alert'
   AND (push.state = 'sending' OR (push.state = 'sent' AND push.push = 'queued'))
   AND NOT EXISTS (SELECT FROM alerts_gate WHERE revokes_off_until > %b::timestamptz)
 ORDER BY push.alert_id, push.supervisor_id, push.occurrence DESC
"""
JOIN_AGAIN = """
UPDATE alerts_digestalert part SET joined_at = %b::timestamptz
  FROM unnest(%b::uuid[], %b::uuid[]) AS again (push_id, alert_id)
 WHERE part.push_id = again.push_id AND part.alert_id = again.alert_id
"""
FIRST = """
SELECT DISTINCT ON (event.org_id, event.room_id, event.run_id, event.signal)
       event.org_id, event.room_id, event.run_id, event.signal, event.event_id, event.occurred_at, event.received_at,
       event.customer_waiting_since, event.reason, event.alert_id,
       (SELECT max(change.episode) FROM alerts_transition change WHERE change.event_id = event.id)
  FROM json_to_recordset(%b::json) AS wanted (org_id bigint, run_id varchar, signal varchar)
  JOIN alerts_failureevent event
    ON event.org_id = wanted.org_id AND event.run_id = wanted.run_id AND event.signal = wanted.signal
 WHERE event.run_id <> '' AND event.reason NOT IN ('above_threshold', 'same_run')
 ORDER BY event.org_id, event.room_id, event.run_id, event.signal, event.reason = 'late', event.id
"""
# Whether a sweep of timers could find anything at all: most find nothing, and each of its parts would ask for itself.
ANYTHING_DUE = """
SELECT EXISTS (SELECT FROM alerts_alert WHERE state <> 'resolved' AND due_at <= %b::timestamptz)
    OR EXISTS (SELECT FROM alerts_alert WHERE state = 'resolved' AND covers_from IS NOT NULL AND released_at IS NULL)
    OR EXISTS (SELECT FROM alerts_room WHERE due_at <= %b::timestamptz)
    OR EXISTS (SELECT FROM alerts_silence WHERE due_at <= %b::timestamptz)
    OR EXISTS (SELECT FROM alerts_silence WHERE unsettled)
    OR EXISTS (SELECT FROM alerts_push WHERE state = 'dead' AND ended_at > %b::timestamptz)
    OR EXISTS (
        SELECT FROM alerts_push
         WHERE state = 'cancelled' AND ended_reason IN ('away', 'off_duty') AND ended_at > %b::timestamptz
    )
    OR EXISTS (
        SELECT FROM alerts_push WHERE state = 'cancelled' AND ended_reason = 'expired' AND ended_at > %b::timestamptz
    )
"""
# Open alerts of rooms, and outages, of whose present tier every push died, or was for somebody who went off duty
# before; what is put aside or held waits for its time.
UNREACHED = """
SELECT DISTINCT alert.room_id, alert.id
  FROM alerts_push push JOIN alerts_alert alert ON alert.id = push.alert_id
 WHERE (push.state = 'dead' OR (push.state = 'cancelled' AND push.ended_reason IN ('away', 'off_duty')))
   AND push.ended_at > %b::timestamptz AND push.tier = alert.tier
   AND push.planned_at >= alert.tier_from
   AND alert.state = 'open' AND alert.escalate_at > %b::timestamptz
   AND (alert.room_id IS NOT NULL OR alert.covers_from IS NOT NULL)
   AND alert.silenced_until IS NULL AND alert.hours_until IS NULL
   AND coalesce(greatest(alert.snoozed_until, alert.held_until) <= %b::timestamptz, true)
   AND NOT EXISTS (
       SELECT FROM alerts_push other
        WHERE other.alert_id = alert.id AND other.tier = alert.tier AND other.planned_at >= alert.tier_from
          AND other.state <> 'dead' AND NOT (
              other.state IN ('cancelled', 'skipped')
              AND other.ended_reason IN ('removed', 'away', 'off_duty', 'quiet_hours')
          )
   )
"""
# Alerts that are open, of pushes that expired, or that a digest named that did; unless a digest names them since.
EXPIRED = """
SELECT DISTINCT ON (push.org_id, push.supervisor_id, alert.id)
       push.org_id, push.supervisor_id, push.tier, alert.id, alert.severity
  FROM alerts_push push
  LEFT JOIN alerts_digestalert part ON part.push_id = push.id AND part.named
  JOIN alerts_alert alert ON alert.id = coalesce(push.alert_id, part.alert_id) AND alert.state = 'open'
 WHERE push.state = 'cancelled' AND push.ended_reason = 'expired' AND push.ended_at > %b::timestamptz
   AND NOT EXISTS (
       SELECT FROM alerts_digestalert later JOIN alerts_push digest ON digest.id = later.push_id
        WHERE later.alert_id = alert.id AND digest.supervisor_id = push.supervisor_id
          AND (digest.state = 'pending' OR digest.planned_at >= push.ended_at)
   )
   AND NOT EXISTS (
       SELECT FROM alerts_push newer
        WHERE newer.alert_id = alert.id AND newer.supervisor_id = push.supervisor_id
          AND newer.planned_at >= push.ended_at AND newer.state IN ('pending', 'sending', 'sent')
   )
 ORDER BY push.org_id, push.supervisor_id, alert.id
"""
# Of very many rooms with a run that ended well few have somebody who waits: only those are locked.
WAITING = """
SELECT room.org_id, room.room_id
  FROM json_to_recordset(%b::json) AS wanted (org_id bigint, room_id varchar)
  JOIN alerts_room room USING (org_id, room_id)
 WHERE room.customer_waiting_since IS NOT NULL
"""
# Orgs in which time changes who is on duty, and those in which somebody is waited for.
WITH_DUTY = """
SELECT org_id FROM orgs_assignment WHERE duty <> '[]' OR away_until > %b::timestamptz
UNION SELECT org_id FROM orgs_quiethours
UNION SELECT org_id FROM orgs_handover WHERE ends_at > %b::timestamptz
UNION SELECT org_id FROM orgs_temporaryschedule WHERE ends_at > %b::timestamptz
UNION SELECT org_id FROM alerts_alert WHERE state = 'open' AND duty_waits
"""
# Orgs in which somebody may be on duty, or back up an agent, who did not before: since then the histories say so, whose
# rows are in order, so that each is read from its end.
_SINCE = (
    "event.pgh_id > coalesce((SELECT pgh_id FROM {table} WHERE pgh_created_at <= %(since)s"
    " ORDER BY pgh_id DESC LIMIT 1), 0)"
)
_OF_ORG = ("assignment", "supervisorrole", "quiethours", "handover", "temporaryschedule", "temporaryduty", "holiday")
_CHANGED = [
    *((f"orgs_{one}event", f"SELECT event.org_id FROM orgs_{one}event event") for one in _OF_ORG),  # noqa: S608
    ("orgs_orgevent", "SELECT event.pgh_obj_id FROM orgs_orgevent event"),
    (
        "orgs_roleagentevent",
        "SELECT role.org_id FROM orgs_roleagentevent event JOIN orgs_supervisorrole role"
        " ON role.id = event.supervisorrole_id",
    ),
    (
        "orgs_userevent",
        "SELECT held.org_id FROM orgs_userevent event JOIN orgs_assignment held ON held.user_id = event.pgh_obj_id",
    ),
]
CHANGED_DUTY = " UNION ".join(f"{text} WHERE {_SINCE.format(table=table)}" for table, text in _CHANGED)
# What was put aside, or in somebody's hands, and is so no more.
OPEN_ANEW = """
SELECT alert.id, alert.org_id FROM alerts_alert alert
 WHERE alert.state <> 'resolved' AND alert.state = 'open' AND alert.tier > 0
   AND ((alert.snoozed_until > %(since)s AND alert.snoozed_until <= %(now)s)
    OR (alert.updated_at > %(since)s AND EXISTS (
           SELECT FROM alerts_transition change WHERE change.alert_id = alert.id AND change.at > %(since)s
              AND change.change IN ('released', 'expired', 'reopened', 'snoozed', 'released_hold')
       )))
"""
# What silences met; written again only where that says something new.
MET = """
INSERT INTO alerts_silencedalert AS met (org_id, silence_id, alert_id, first_at, last_at, held)
SELECT org_id, silence_id, alert_id, %b::timestamptz, %b::timestamptz, held
  FROM json_to_recordset(%b::json) AS found (org_id bigint, silence_id uuid, alert_id uuid, held boolean)
 ORDER BY silence_id, alert_id
    ON CONFLICT (silence_id, alert_id) DO UPDATE
   SET last_at = greatest(met.last_at, excluded.last_at), held = met.held OR excluded.held
 WHERE met.last_at < excluded.last_at - interval '30 s' OR excluded.held > met.held
"""
# What waits to be sent; of what no silence holds specialists are told under their own tier.
HOLD_PUSHES = """
UPDATE alerts_push
   SET state = 'cancelled', ended_reason = 'silenced', ended_at = %b::timestamptz, next_attempt_at = NULL
 WHERE alert_id = ANY(%b::uuid[]) AND state = 'pending' AND kind = 'alert' AND tier > 0
"""
