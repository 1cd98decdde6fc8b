"""What is counted, one row a thing: the SQL behind every figure and behind the list that a figure opens.

Each metric is a table of its own name `{unit}` on what it stands on, so that metrics that stand on the same, such as
episodes, share it in one statement. Its columns: (zone, starts, org_id, at, alert_id, room_id, agent_id, n, outcome,
seconds, ends): `outcome` says whether, and as what, the thing counts; (at, alert_id, n) is its place in a list; `ends`
is when it was over, null while it goes on: a blind interval from then on says nothing about it. A figure is a count
over it, its drill-down the rows themselves, so that they cannot disagree.

Parameters: `span`'s arrays, one element for each org; `now`. All but the verdicts begin at failure events by agent and
time of receipt, which have an index; so the cost follows the span, not the org's history. `earliest` and `latest` say
nothing new: they tell the planner, which cannot look into arrays, how long the span is. Raw SQL knows no scope: the
orgs come from a scoped query (counting.py).
"""

from datetime import timedelta

FOLLOW_UP_WITHIN = timedelta(minutes=15)
AROUND, AROUND_EPISODES = timedelta(hours=25), timedelta(hours=1)

# `blind`: when we could not see. What happened then is not known, and what did not happen is not either.
SPAN = """
WITH span AS (
    SELECT * FROM unnest(%(orgs)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[],
                         %(zones)s::text[]) AS span (org_id, starts, ends, zone)
), blind AS MATERIALIZED (
    SELECT orgs.org_id, gap.starts, coalesce(gap.ends, 'infinity') AS ends
      FROM (SELECT DISTINCT org_id FROM span) orgs
      JOIN alerts_blindinterval gap ON gap.org_id = orgs.org_id OR gap.org_id IS NULL
     WHERE gap.ends IS NULL OR gap.ends > %(earliest)s
)"""

# Alerts with a failure in the span, or within a day of it: a conversation is a whole day of a room, and what an
# event did was decided within 10 min of it, or it is late and begins nothing. So for episodes alone an hour is enough.
EPISODES = """,
touched AS (
    SELECT DISTINCT event.alert_id
      FROM span
      JOIN orgs_agent agent ON agent.org_id = span.org_id
      JOIN alerts_failureevent event ON event.agent_id = agent.id
       AND event.received_at >= span.starts - %(around)s
       AND event.received_at < span.ends + %(around)s
     WHERE event.alert_id IS NOT NULL AND event.reason <> 'late'
       AND event.received_at >= %(earliest)s - %(around)s
       AND event.received_at < %(latest)s + %(around)s
), history AS (
    SELECT alert.org_id, alert.room_id, alert.agent_id, change.alert_id, change.episode, change.id, change.change,
           change.reason, change.at, event.occurred_at
      FROM touched
      JOIN alerts_alert alert ON alert.id = touched.alert_id AND alert.scope = 'room'
      JOIN alerts_transition change ON change.alert_id = alert.id
      LEFT JOIN alerts_failureevent event ON event.id = change.event_id AND event.reason <> 'late'
), begun AS (
    SELECT org_id, room_id, agent_id, alert_id, episode,
           min(occurred_at) AS starts,
           bool_or(change IN ('opened', 'rearmed') AND reason IN ('human_present', 'talk_over')) AS human_present,
           bool_or(change = 'snoozed') AS snoozed,
           bool_or(reason = 'silenced') AS silenced,
           bool_or(change = 'window_over') AS lost,
           min(at) FILTER (WHERE change IN ('opened_room', 'intervened')) AS acted_at,
           (array_agg(CASE WHEN change <> 'reopened' THEN at END ORDER BY id DESC)
               FILTER (WHERE change IN ('resolved', 'abandoned', 'reopened')))[1] AS closed_at,
           (array_agg(reason ORDER BY id DESC)
               FILTER (WHERE change IN ('resolved', 'abandoned', 'reopened')))[1] AS closed_by
      FROM history
     GROUP BY org_id, room_id, agent_id, alert_id, episode
), episode AS (
    SELECT begun.*, least(closed_at, lead(starts) OVER (PARTITION BY alert_id ORDER BY episode)) AS ends FROM begun
)"""

# Whom nobody came to was waited for until it ended, or we went blind, or until now.
TIME_TO_INTERVENE = """,
{unit} AS (
    SELECT span.zone, span.starts, episode.org_id, episode.starts AS at, episode.alert_id, episode.room_id,
           episode.agent_id, episode.episode::bigint AS n, watched.outcome,
           extract(epoch FROM CASE watched.outcome WHEN 'came' THEN greatest(human.at, episode.starts)
                                                   WHEN 'blind' THEN dark.at
                                                   WHEN 'recovered' THEN episode.ends
                                                   WHEN 'nobody' THEN episode.ends
                              END - episode.starts)::float8 AS seconds,
           episode.ends
      FROM span
      JOIN episode ON episode.org_id = span.org_id AND episode.starts >= span.starts AND episode.starts < span.ends
     CROSS JOIN LATERAL (
           SELECT least(episode.acted_at, min(activity.at)) AS at
             FROM alerts_roomactivity activity
            WHERE activity.room_id = episode.room_id
              AND activity.kind IN ('human_opened', 'human_message', 'assigned')
              AND activity.at >= episode.starts AND activity.at <= coalesce(episode.ends, 'infinity')
           ) human
     CROSS JOIN LATERAL (
           SELECT min(greatest(blind.starts, episode.starts)) AS at
             FROM blind WHERE blind.org_id = episode.org_id AND blind.ends > episode.starts
           ) dark
     CROSS JOIN LATERAL (
           SELECT CASE WHEN episode.human_present THEN 'human_present'
                       WHEN dark.at = episode.starts THEN 'began_blind'
                       WHEN human.at <= coalesce(dark.at, 'infinity') THEN 'came'
                       WHEN dark.at < coalesce(episode.ends, %(now)s) THEN 'blind'
                       WHEN episode.ends IS NULL THEN 'open'
                       WHEN episode.ends = episode.closed_at AND episode.closed_by IN ('quiet', 'recovered')
                       THEN 'recovered'
                       ELSE 'nobody' END AS outcome
           ) watched
)"""

MUTED = """,
{unit} AS (
    SELECT span.zone, span.starts, episode.org_id, episode.starts AS at, episode.alert_id, episode.room_id,
           episode.agent_id, episode.episode::bigint AS n,
           CASE WHEN episode.snoozed OR episode.silenced THEN 'muted' ELSE 'not_muted' END AS outcome,
           NULL::float8 AS seconds, episode.starts AS ends
      FROM span
      JOIN episode ON episode.org_id = span.org_id AND episode.starts >= span.starts AND episode.starts < span.ends
)"""

# Its customer still waited when the channel's reply window closed.
LOST_TO_WINDOW = """,
{unit} AS (
    SELECT span.zone, span.starts, episode.org_id, episode.starts AS at, episode.alert_id, episode.room_id,
           episode.agent_id, episode.episode::bigint AS n,
           CASE WHEN episode.lost THEN 'lost' ELSE 'not_lost' END AS outcome, NULL::float8 AS seconds,
           episode.starts AS ends
      FROM span
      JOIN episode ON episode.org_id = span.org_id AND episode.starts >= span.starts AND episode.starts < span.ends
)"""

# A conversation: what failed in a room on one day of the org. It is over when all that failed in it is.
CONVERSATIONS = """,
conversation AS (
    SELECT zones.zone, history.org_id, history.room_id,
           min(history.occurred_at) AS starts,
           max(episode.ends) AS ends,
           bool_and(episode.ends IS NOT NULL) AS is_over,
           bool_or(history.reason IN ('human_present', 'talk_over')) AS human_present,
           array_agg(DISTINCT history.alert_id) AS alerts,
           (array_agg(history.alert_id ORDER BY history.occurred_at, history.id))[1] AS alert_id,
           (array_agg(history.agent_id ORDER BY history.occurred_at, history.id))[1] AS agent_id
      FROM history
      JOIN (SELECT DISTINCT org_id, zone FROM span) zones ON zones.org_id = history.org_id
      JOIN episode ON episode.alert_id = history.alert_id AND episode.episode = history.episode
     WHERE history.occurred_at IS NOT NULL
     GROUP BY zones.zone, history.org_id, history.room_id, (history.occurred_at AT TIME ZONE zones.zone)::date
), {unit} AS (
    SELECT span.zone, span.starts, talk.org_id, talk.starts AS at, talk.alert_id, talk.room_id,
           talk.agent_id, 0::bigint AS n,
           CASE WHEN NOT talk.is_over THEN 'open'
                WHEN EXISTS (SELECT FROM blind
                              WHERE blind.org_id = talk.org_id
                                AND blind.starts < talk.ends AND blind.ends > talk.starts) THEN 'blind'
                WHEN talk.human_present THEN 'came'
                WHEN EXISTS (SELECT FROM alerts_roomactivity activity
                              WHERE activity.room_id = talk.room_id
                                AND activity.kind IN ('human_opened', 'human_message', 'assigned')
                                AND activity.at >= talk.starts AND activity.at <= talk.ends) THEN 'came'
                WHEN EXISTS (SELECT FROM alerts_transition change
                              WHERE change.alert_id = ANY (talk.alerts)
                                AND change.change IN ('opened_room', 'intervened')
                                AND change.at >= talk.starts AND change.at <= talk.ends) THEN 'came'
                ELSE 'nobody' END AS outcome,
           NULL::float8 AS seconds, CASE WHEN talk.is_over THEN talk.ends END AS ends
      FROM span
      JOIN conversation talk ON talk.org_id = span.org_id AND talk.starts >= span.starts AND talk.starts < span.ends
)"""

# An event is received at most 30 days after it occurred, and never before. One that tells again counts no second time.
EVENTS = """,
event AS (
    SELECT span.zone, span.starts, event.id, event.org_id, event.agent_id, event.room_id, event.alert_id, event.reason,
           event.occurred_at, event.confidence
      FROM span
      JOIN orgs_agent agent ON agent.org_id = span.org_id
      JOIN alerts_failureevent event ON event.agent_id = agent.id
       AND event.received_at >= span.starts
       AND event.received_at < span.ends + interval '31 days'
       AND event.occurred_at >= span.starts AND event.occurred_at < span.ends
       AND event.reason <> 'same_run'
     WHERE event.received_at >= %(earliest)s
       AND event.received_at < %(latest)s + interval '31 days'
)"""

# Failures of one alert share its acts, which are looked up once, as the times at which a failure is followed up. A full
# join is never a nested loop, and finds nothing more here: the planner takes a day's events for a handful. OFFSET 0
# keeps it one, whatever else is joined.
FOLLOW_UP = """,
acted AS (
    SELECT alert.id AS alert_id,
           (SELECT range_agg(tstzrange(act.at - %(follow_up_within)s, act.at, '[]'))
              FROM (SELECT activity.at FROM alerts_roomactivity activity
                     WHERE activity.room_id = alert.room_id
                       AND activity.kind IN ('human_opened', 'human_message', 'assigned')
                       AND activity.at >= %(earliest)s AND activity.at <= %(latest)s + %(follow_up_within)s
                     UNION ALL
                    SELECT change.at FROM alerts_transition change
                     WHERE change.alert_id = alert.id
                       AND change.actor_id IS NOT NULL
                       AND change.change IN ('acknowledged', 'opened_room', 'intervened', 'assigned', 'resolved')
                   ) act) AS times
      FROM (SELECT DISTINCT alert_id FROM event) touched
      JOIN alerts_alert alert ON alert.id = touched.alert_id AND alert.scope = 'room'
), {unit} AS (
    SELECT event.zone, event.starts, event.org_id, event.occurred_at AS at, event.alert_id, event.room_id,
           event.agent_id, event.id AS n,
           CASE WHEN event.reason IN ('late', 'above_threshold') THEN event.reason
                WHEN EXISTS (SELECT FROM blind
                              WHERE blind.org_id = event.org_id AND blind.ends > event.occurred_at
                                AND blind.starts < event.occurred_at + %(follow_up_within)s) THEN 'blind'
                WHEN event.occurred_at + %(follow_up_within)s > %(now)s THEN 'too_early'
                WHEN event.reason IN ('human_present', 'talk_over') THEN 'followed_up'
                WHEN acted.times @> event.occurred_at THEN 'followed_up'
                ELSE 'missed' END AS outcome,
           NULL::float8 AS seconds, event.occurred_at + %(follow_up_within)s AS ends
      FROM event
      FULL JOIN acted ON acted.alert_id = event.alert_id
     WHERE acted.alert_id IS NOT NULL OR event.reason IN ('late', 'above_threshold')
    OFFSET 0
)"""

CONFIDENCE = """,
{unit} AS (
    SELECT event.zone, event.starts, event.org_id, event.occurred_at AS at, event.alert_id, event.room_id,
           event.agent_id, event.id AS n,
           CASE WHEN event.confidence IS NULL THEN 'without' ELSE 'with' END AS outcome, NULL::float8 AS seconds,
           event.occurred_at AS ends
      FROM event
)"""

# The last verdict of an alert counts, on the day it was given. One without a verdict is listed when it first failed:
# how many there are says of how many of all the share is.
VERDICTS = """,
{unit} AS (
    SELECT span.zone, span.starts, alert.org_id, given.at, alert.id AS alert_id, alert.room_id,
           alert.agent_id, 0::bigint AS n, alert.verdict AS outcome, NULL::float8 AS seconds, given.at AS ends
      FROM span
      JOIN LATERAL (
           SELECT change.alert_id, max(change.at) AS at FROM alerts_transition change
            WHERE change.org_id = span.org_id AND change.change = 'verdict'
              AND change.at >= span.starts AND change.at < span.ends
            GROUP BY change.alert_id
           ) given ON true
      JOIN alerts_alert alert ON alert.id = given.alert_id AND alert.scope = 'room' AND alert.verdict <> ''
     WHERE NOT EXISTS (SELECT FROM alerts_transition later
                        WHERE later.alert_id = given.alert_id AND later.change = 'verdict' AND later.at >= span.ends)
     UNION ALL
    SELECT span.zone, span.starts, episode.org_id, episode.starts AS at, episode.alert_id, episode.room_id,
           episode.agent_id, 0::bigint AS n, 'unjudged' AS outcome, NULL::float8 AS seconds, episode.starts AS ends
      FROM span
      JOIN episode ON episode.org_id = span.org_id AND episode.starts >= span.starts AND episode.starts < span.ends
       AND episode.episode = 1
      JOIN alerts_alert alert ON alert.id = episode.alert_id AND alert.verdict = ''
)"""

# OFFSET 0: each outcome is found once, not once more for each aggregate that asks for it.
COUNT = """
SELECT {n} AS metric, org_id, (at AT TIME ZONE zone)::date AS day, outcome, count(*),
       array_agg(seconds) FILTER (WHERE seconds IS NOT NULL), array_agg(at) FILTER (WHERE outcome = 'open'),
       CASE WHEN bool_and(ends IS NOT NULL) THEN max(ends) END
  FROM (SELECT * FROM {unit} OFFSET 0) unit GROUP BY org_id, day, outcome"""

# `{beyond}` is empty or BEYOND; the other words turn the list around. Only what the page shows gets its names.
LIST = """
SELECT unit.at, unit.outcome, CASE WHEN unit.outcome = 'came' THEN unit.seconds END, unit.alert_id,
       org.external_id, org.name, agent.name, room.room_id, room.label, unit.n
  FROM (SELECT unit.* FROM unit
         WHERE unit.room_id IS NOT NULL AND (%(outcome)s = '' OR unit.outcome = %(outcome)s){beyond}
         ORDER BY unit.at {down}, unit.alert_id {up}, unit.n {up} LIMIT %(limit)s) unit
  JOIN orgs_org org ON org.id = unit.org_id
  JOIN orgs_agent agent ON agent.id = unit.agent_id
  JOIN alerts_room room ON room.id = unit.room_id
 ORDER BY unit.at {down}, unit.alert_id {up}, unit.n {up}"""

BEYOND = """ AND (unit.at {less} %(at)s OR unit.at = %(at)s
        AND (coalesce(unit.alert_id, %(no_alert)s), unit.n) {more} (%(alert)s, %(n)s))"""
