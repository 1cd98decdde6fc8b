"""The last months of what the demo's agents did, in one go: runs, reviews, sessions by bulk SQL, alerts of three orgs.

It ends a minute before now, so that what comes live goes on from it.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from django.db import connection, transaction

from alerts.models import Alert, FailureEvent, Room, RoomActivity, Transition, new_id
from demo.flows import CHANNELS, FLOWS, Flow
from demo.simulator.words import ERRORS, room_label
from orgs.models import Agent, Source, User
from runs.recount import RUN_BUCKET, RUN_SUMS
from runs.sums import NAMES

SEED = 42
WATCHED = {"toko-melati": "rina.wulandari", "bank-cendana": "sinta.maharani", "kopi-selasar": "yoga.saputra"}

RUNS = """
CREATE TEMP TABLE past_run ON COMMIT DROP AS
WITH flow AS (
    SELECT * FROM json_to_recordset(%(flows)s::json) AS given (
        org_id bigint, agent_id bigint, zone text, version text, per_day int, seconds float8, cost float8,
        escalated float8, failed float8, corrected float8, quality float8, input_kind text,
        from_days float8, to_days float8)
), drawn AS MATERIALIZED (
    SELECT flow.*, day, k, (%(now)s::timestamptz AT TIME ZONE zone)::date - day AS date,
           random() AS at, random() AS at2, random() AS at3, random() AS how, random() AS touch, random() AS expected,
           random() AS where_from, 2 * (random() + random() + random() - 1.5) AS normal
      FROM flow CROSS JOIN generate_series(0, %(days)s) day CROSS JOIN LATERAL generate_series(1, (
           per_day * (0.85 + 0.3 * abs(sin(day * 1.7 + agent_id)))
           * CASE WHEN extract(isodow FROM (%(now)s::timestamptz AT TIME ZONE zone)::date - day) < 6 THEN 1 ELSE 0.8
             END)::int) k
), timed AS (
    SELECT drawn.*, (date + CASE WHEN at < 0.1 THEN at2 * interval '23:59:59'
                                 ELSE interval '7 hours' + (at2 + at3) * interval '7 hours 30 minutes' END)
                    AT TIME ZONE zone AS started_at,
           CASE WHEN how < failed THEN 'failed' WHEN how < failed + escalated THEN 'escalated'
                ELSE 'resolved' END AS resolution
      FROM drawn
)
SELECT gen_random_uuid() AS run_id, timed.*,
       started_at + make_interval(secs => seconds * exp(0.5 * normal)) AS ended_at,
       (%(channels)s::text[])[1 + floor(where_from * cardinality(%(channels)s::text[]))::int] AS channel,
       'past-' || agent_id || '-' || day || '-' || k * 4 / 5 AS room,
       CASE WHEN touch > 0.95 THEN NULL WHEN resolution = 'resolved' THEN touch < 0.06 ELSE touch < 0.88 END AS touched,
       random() < 0.03 AS reviewed
  FROM timed
 WHERE started_at > %(now)s - from_days * interval '1 day'
   AND started_at <= %(now)s - to_days * interval '1 day' - interval '5 minutes'"""
STORED = """
INSERT INTO runs_agentrun (
    org_id, source_id, run_id, agent_id, agent_version, input_kind, channel, surface, room, started_at, ended_at,
    resolution, self_corrected, tokens_input, tokens_output, cost_usd, sla_target_seconds, confidence, message_count,
    message_cap, handoff_expected, human_touched, touched, metadata, flags, altered, detected, review_count, review_sum,
    received_at, updated_at)
SELECT org_id, %(source)s, run_id, agent_id, version, input_kind, channel, 'chatbot', room, started_at, ended_at,
       resolution, at3 < corrected, 900 + (4200 * at)::int, 150 + (900 * at2)::int,
       round((cost * exp(0.4 * normal))::numeric, 5), 120,
       round((CASE resolution WHEN 'resolved' THEN 0.72 + 0.27 * at2 ELSE 0.5 + 0.3 * at2 END)::numeric, 2)::float8,
       2 + (10 * at3)::int, 20,
       CASE WHEN resolution = 'escalated' THEN expected < CASE WHEN escalated > 0.2 THEN 0.15 ELSE 0.75 END END,
       touched, touched, jsonb_build_object('ticket_id', 'T-' || 1000 + (8999 * at3)::int), '{}', '{}', '{}',
       0, 0, ended_at + interval '1 second', ended_at + interval '1 second'
  FROM past_run ORDER BY started_at"""
REVIEWS = """
INSERT INTO runs_agentqc (org_id, source_id, run_id, review_id, reviewer, reviewer_key, quality_score, rubric, notes,
                          flags, payload_hash, at)
SELECT org_id, %(source)s, run_id, gen_random_uuid()::text, reviewer, reviewer,
       greatest(1, least(5, round(quality + 2.2 * (at2 - 0.5)))), '{}', '', '{}', '', ended_at + interval '9 hours'
  FROM past_run CROSS JOIN LATERAL (
       SELECT (ARRAY['Dewi Anggraini', 'Putri Lestari'])[1 + floor(at * 2)::int] AS reviewer) who
 WHERE reviewed AND ended_at < %(now)s - interval '10 hours'"""
SCORES = """
UPDATE runs_agentrun run SET review_count = 1, review_sum = quality_score
  FROM runs_agentqc review WHERE review.org_id = run.org_id AND review.run_id = run.run_id"""
OF_KEY = "org_id, agent_id, agent_version, channel, input_kind, period"
SUMS = f"""
WITH run AS MATERIALIZED (
    SELECT run.*, {{period}} AS period
      FROM runs_agentrun run JOIN orgs_org org ON org.id = run.org_id WHERE source_id = %(source)s
), how_long AS (
    SELECT {OF_KEY}, jsonb_object_agg(bucket, n) AS durations
      FROM (SELECT {OF_KEY}, {RUN_BUCKET} AS bucket, count(*) AS n FROM run GROUP BY {OF_KEY}, bucket) counted
     GROUP BY {OF_KEY}
), summed AS (
    SELECT {OF_KEY}, {RUN_SUMS} FROM run GROUP BY {OF_KEY}
)
INSERT INTO {{table}} (org_id, agent_id, agent_version, channel, input_kind, {{column}}, {", ".join(NAMES)},
                       durations, changes, folded, stale{{zone}})
SELECT summed.*, durations, 1, 1, false{{its_zone}} FROM summed
  JOIN how_long USING ({OF_KEY}) JOIN orgs_org org ON org.id = org_id"""  # noqa: S608 - our own names
HOURS = SUMS.format(
    period="date_trunc('hour', started_at, 'UTC')", table="runs_hourkpi", column="hour", zone="", its_zone=""
)
DAYS_OF_RUNS = SUMS.format(
    period="(started_at AT TIME ZONE org.zone)::date",
    table="runs_daykpi",
    column="day",
    zone=", zone",
    its_zone=", org.zone",
)
SESSIONS = """
INSERT INTO runs_roomsession (org_id, room, began_at, last_customer_at, ended_at, agent_id, agent_version, channel,
                              input_kind, touched, contained, abandoned, settled, durable, due_at)
SELECT org_id, room, began_at, last_at, ended_at, agent_id, agent_version, channel, input_kind, true, alone, left_alone,
       settled, CASE WHEN settled AND last_at < %(now)s - interval '7 days' THEN luck < 0.9 END,
       CASE WHEN ended_at IS NULL THEN last_at + interval '1 day'
            WHEN last_at > %(now)s - interval '7 days' THEN last_at + interval '7 days' END
  FROM (SELECT *, alone AND NOT left_alone AND ended_at IS NOT NULL AS settled FROM (
        SELECT *, random() AS luck, alone AND random() < 0.03 AS left_alone,
               CASE WHEN last_at < %(now)s - interval '1 day' THEN last_at + interval '1 day' END AS ended_at FROM (
        SELECT org_id, room, min(started_at) AS began_at, max(started_at) AS last_at, agent_id,
               min(agent_version) AS agent_version, min(channel) AS channel, min(input_kind) AS input_kind,
               NOT bool_or(resolution = 'escalated' OR touched IS TRUE) AS alone
          FROM runs_agentrun WHERE source_id = %(source)s GROUP BY org_id, room, agent_id) rooms) drawn) ended"""
DAYS_OF_SESSIONS = """
INSERT INTO runs_daysessions (org_id, day, zone, agent_id, agent_version, channel, input_kind,
                              sessions, contained, settled, abandoned, old_enough, durable)
SELECT org_id, (began_at AT TIME ZONE org.zone)::date, org.zone, agent_id, agent_version, channel, input_kind,
       count(*), count(*) FILTER (WHERE contained), count(*) FILTER (WHERE settled), count(*) FILTER (WHERE abandoned),
       count(*) FILTER (WHERE durable IS NOT NULL), count(*) FILTER (WHERE durable)
  FROM runs_roomsession session JOIN orgs_org org ON org.id = org_id GROUP BY 1, 2, 3, 4, 5, 6, 7"""
READ = """
INSERT INTO runs_sessionsmark (id, activity, event, transition, run)
SELECT 1, 0, 0, 0, max(id) FROM runs_agentrun ON CONFLICT (id) DO UPDATE SET run = EXCLUDED.run;
INSERT INTO runs_foldmark (id, run, activity, review)
SELECT 1, max(id), 0, 0 FROM runs_agentrun ON CONFLICT (id) DO UPDATE SET run = EXCLUDED.run"""


def make_past(source: Source, now: datetime, days: int) -> None:
    """Make so many days, in one transaction; needs scopes disabled, the orgs and agents, and no runs of this source."""
    agents = {(agent.org.external_id, agent.name): agent for agent in Agent.objects.select_related("org")}
    stretches = [
        stretch | {"org_id": agent.org_id, "agent_id": agent.pk, "zone": agent.org.zone}
        for flow in FLOWS
        for agent in [agents[flow.org, flow.agent]]
        for stretch in _stretches(flow, days)
    ]
    values: dict[str, Any] = {"flows": json.dumps(stretches), "source": source.pk, "now": now}
    values |= {"days": days, "channels": list(CHANNELS)}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT setseed(%s)", [SEED / 100])
        for statement in (RUNS, STORED, "ANALYZE runs_agentrun", REVIEWS, SCORES, HOURS, DAYS_OF_RUNS):
            cursor.execute(statement, values)  # without it the planner takes 100,000 rows for one
        for statement in (SESSIONS, "ANALYZE runs_roomsession", DAYS_OF_SESSIONS, READ):
            cursor.execute(statement, values)
        _make_alerts(source, agents, now, days)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _stretches(flow: Flow, days: int) -> list[dict[str, object]]:
    """A flow as what it was and what it is, each with how many days ago that began and ended."""
    now = {"from_days": flow.since if flow.before else days, "to_days": flow.silent_hours / 24}
    found = [asdict(flow) | now]
    if flow.before is not None:
        found.append(asdict(flow.before) | {"from_days": days, "to_days": flow.since})
    return found


# --- the alerts of the orgs that were watched ------------------------------------------------------------------------


@dataclass(frozen=True)
class Episode:
    """One room that failed: when, how, and after how many seconds a human came; None: nobody did."""

    agent: Agent
    person: User
    at: datetime
    signal: str
    severity: str
    came: float | None
    verdict: str


def _make_alerts(source: Source, agents: dict[tuple[str, str], Agent], now: datetime, days: int) -> None:
    rng = Random(SEED)  # noqa: S311 - a play that can be repeated, no secret
    people = {org: User.objects.get(sso_id=sso_id) for org, sso_id in WATCHED.items()}
    rows: list[list[Any]] = [[], [], [], [], []]
    for place, episode in enumerate(_episodes(rng, agents, people, now, days)):
        for row in _rows(episode, place, source, rng):
            rows[[Room, Alert, FailureEvent, Transition, RoomActivity].index(type(row))].append(row)
    for made in rows:
        type(made[0])._base_manager.bulk_create(made, batch_size=2000)


def _episodes(
    rng: Random, agents: dict[tuple[str, str], Agent], people: dict[str, User], now: datetime, days: int
) -> Iterator[Episode]:
    """Supervisors come faster from week to week: from a median of nine minutes to one of three."""
    kinds = (("agent_error", "critical"), ("unexpected_handoff", "warning"), ("message_cap", "warning"),
             ("low_confidence", "info"))  # fmt: skip
    for ago in range(days, 0, -1):
        for org, person in people.items():
            for _ in range(rng.randint(2, 5)):
                own = [agent for (name, _), agent in agents.items() if name == org]
                median = 180 + 360 * ago / days
                came = median * rng.lognormvariate(0, 0.8) if rng.random() < 0.72 + 0.2 * (1 - ago / days) else None
                at = now - timedelta(days=ago) + timedelta(seconds=rng.uniform(0, 80_000))
                verdict = rng.choices(("", "confirmed", "false_alarm"), (70, 25, 5))[0]
                yield Episode(rng.choice(own), person, at, *rng.choices(kinds, (4, 3, 2, 4))[0], came, verdict)


def _rows(one: Episode, place: int, source: Source, rng: Random) -> Iterator[Any]:
    """The room, its alert and failure event, and what followed, in an order in which they can be stored."""
    org, came = one.agent.org, one.at + timedelta(seconds=one.came) if one.came is not None else None
    over = (came or one.at) + timedelta(minutes=rng.uniform(6, 35))
    room = Room(id=None, org=org, room_id=f"past-{place}", label=room_label(rng), channel=rng.choice(CHANNELS))
    alert, event = _alert(one, room, came, over), _event(one, room, place, source, rng)
    event.alert = alert
    yield from (room, alert, event)
    yield Transition(org=org, alert=alert, at=one.at, change="opened", reason="first", event=event, occurrence=1)
    if came:
        yield Transition(org=org, alert=alert, at=came, change="intervened", actor=one.person)
        yield RoomActivity(
            org=org,
            source=source,
            activity_id=f"past-{place}",
            payload_hash=uuid.uuid4().bytes,
            room=room,
            kind="human_message",
            actor=one.person,
            at=came,
            received_at=came,
        )
    yield Transition(org=org, alert=alert, at=over, change="resolved", actor=one.person if came else None)
    if one.verdict:
        judged = {"to": one.verdict, "note": ""}  # as alerts.actions writes it
        yield Transition(org=org, alert=alert, at=over, change="verdict", actor=one.person, detail=judged)


def _alert(one: Episode, room: Room, came: datetime | None, over: datetime) -> Alert:
    counted = {"signal": one.signal, "count": 1, "first_at": one.at.isoformat(), "last_at": one.at.isoformat()}
    return Alert(
        id=new_id(),
        org=one.agent.org,
        room=room,
        agent=one.agent,
        agent_version=one.agent.version,
        severity=one.severity,
        state="resolved",
        signals=[counted | {"severity": one.severity, "note": "", "episode": 1}],
        event_count=1,
        opened_at=one.at,
        first_failure_at=one.at,
        last_event_at=one.at,
        ladder_from=one.at,
        occurrence=1,
        last_reason="first",
        human_acted_at=came,
        intervened_at=came,
        intervened_by=one.person if came else None,
        resolved_at=over,
        resolved_by=one.person if came else None,
        resolved_kind="human" if came else "quiet",
        verdict=one.verdict,
        verdict_by=one.person if one.verdict else None,
        updated_at=over,
    )


def _event(one: Episode, room: Room, place: int, source: Source, rng: Random) -> FailureEvent:
    kind, message = rng.choice(ERRORS) if one.signal == "agent_error" else ("", "")
    return FailureEvent(
        org=one.agent.org,
        source=source,
        event_id=f"past-{place}",
        payload_hash=uuid.uuid4().bytes,
        room=room,
        agent=one.agent,
        signal=one.signal,
        severity=one.severity,
        reason="first",
        occurred_at=one.at,
        received_at=one.at,
        agent_version=one.agent.version,
        channel=room.channel,
        confidence=round(rng.uniform(0.2, 0.48), 2),
        error_type=kind,
        error_message=message,
    )
