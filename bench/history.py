"""Years of an installation in a minute: orgs, people, and as many alerts with all that hangs on them, by bulk SQL.

`settle` makes the orgs and what is open, `age` the past: resolved alerts, evenly over DAYS. Numbers follow the alerts:
each has its failure events (so many attach), its transitions, one push, and the room activity of the human who came.
Of what is open every 20th push is dead, so that the page of those is full without a past too.
Tables lose their indexes and foreign keys while they are filled, and have them checked and built afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

DAYS = 270  # 1 million resolved alerts are 3,700 a day: 15 orgs x 5,000 rooms a day x 5 % failing
TABLES = (
    "alerts_room",
    "alerts_alert",
    "alerts_failureevent",
    "alerts_transition",
    "alerts_push",
    "alerts_roomactivity",
)
FILLED_BARE = 50_000  # alerts from which on it pays to take the indexes away meanwhile


@dataclass(frozen=True)
class Size:
    """How much there is. `resolved` and `events_each` make the history, the rest is there from the start."""

    orgs: int = 15
    agents: int = 10  # of an org
    people: int = 500  # assignments, spread over the orgs
    open: int = 2_000
    resolved: int = 1_000_000
    events_each: int = 3

    @property
    def rooms(self) -> int:
        """A room fails twice in its life; a multiple of the agents, so that each room has one agent."""
        slots = self.orgs * self.agents
        return max(self.open, self.resolved // 2) // slots * slots + slots


def settle(size: Size) -> None:
    """Orgs, agents, sources and people, and what is open now. Needs an empty database."""
    from django_scopes import scopes_disabled

    from orgs.models import Agent, Assignment, Org, Source, SourceHeard, SupervisorRole, User

    with scopes_disabled(), connection.cursor() as cursor:
        orgs = Org.objects.bulk_create(Org(external_id=f"org-{n:03}", name=f"Org {n:03}") for n in range(size.orgs))
        sources = Source.objects.bulk_create(Source(org=org, name="chatbot") for org in orgs)
        Agent.objects.bulk_create(Agent(org=org, name=f"agent-{n}") for n in range(size.agents) for org in orgs)
        roles = [
            SupervisorRole.objects.bulk_create(SupervisorRole(org=org, name=f"tier {tier}", tier=tier) for org in orgs)
            for tier in (1, 2)
        ]
        users = User.objects.bulk_create(
            User(sso_id=f"person-{n:04}", name=f"Person {n:04}", push_tokens=1) for n in range(size.people)
        )
        Assignment.objects.bulk_create(
            Assignment(org=orgs[n % size.orgs], role=roles[n // size.orgs % 2][n % size.orgs], user=user)
            for n, user in enumerate(users)
        )
        cursor.execute("SELECT live_now()")
        now = cursor.fetchone()[0]
        SourceHeard.objects.bulk_create(SourceHeard(org=source.org, source=source, at=now) for source in sources)
        cursor.execute(MINUTES)
        _slots(cursor)
        _rooms(cursor, size.rooms)
        _alerts(cursor, size, size.resolved + 1, size.resolved + size.open, is_open=True)
    _analyze()


def age(size: Size) -> None:
    """The resolved alerts of the past, after `settle` with the same size."""
    with connection.cursor() as cursor:
        _slots(cursor)
        if size.resolved < FILLED_BARE:
            _alerts(cursor, size, 1, size.resolved, is_open=False)
        else:
            with _bare(cursor):
                _alerts(cursor, size, 1, size.resolved, is_open=False)
    _analyze()


def _analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)" if connection.get_autocommit() else "ANALYZE")


# --- the statements --------------------------------------------------------------------------------------------------

MINUTES = """
INSERT INTO alerts_sourceminute (org_id, source_id, minute, created, duplicate, conflict, invalid, not_understood,
                                 lag_ms, lag_most_ms, events, with_confidence)
SELECT org_id, id, minute, 3, 1, 0, 0, 0, 900, 700, 3, 1 FROM orgs_source
 CROSS JOIN generate_series(date_trunc('minute', live_now()) - interval '8 days', live_now(), '1 minute') minute
"""
# Alert n is of agent n % slots, in room n % rooms; its person is one of its org.
SLOTS = """
CREATE TEMP TABLE IF NOT EXISTS history_slot AS
SELECT row_number() OVER (ORDER BY agent.id) - 1 AS slot, agent.id AS agent_id, agent.org_id, source.id AS source_id,
       (SELECT array_agg(user_id ORDER BY id) FROM orgs_assignment held WHERE held.org_id = agent.org_id) AS people
  FROM orgs_agent agent JOIN orgs_source source ON source.org_id = agent.org_id
"""
ROOMS = """
SELECT slot.org_id, 'room-' || n AS room_id, 'Customer ' || n AS label, 'whatsapp' AS channel, 'bot' AS state
  FROM generate_series(0, %(rooms)s - 1) n JOIN history_slot slot ON slot.slot = n %% %(slots)s ORDER BY n
"""
ALERTS = """
CREATE TEMP TABLE history_alert AS
SELECT n, ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id, slot.org_id, slot.agent_id,
       slot.source_id, room.id AS room_id, slot.people[1 + n %% cardinality(slot.people)] AS user_id,
       CASE WHEN %(is_open)s THEN live_now() - (n %% 5400) * interval '1 second'
            ELSE live_now() - interval '2 hours' - (1 - n::float8 / %(resolved)s) * interval '%(days)s days' END AS at,
       (ARRAY['critical', 'warning', 'critical', 'info'])[1 + n %% 4] AS severity,
       (ARRAY['agent_error', 'handoff', 'stalled_run', 'low_confidence'])[1 + n %% 4] AS signal,
       n %% 5 < 3 AS came, n %% CASE WHEN %(is_open)s THEN 20 ELSE 1000 END = 0 AS dead
  FROM generate_series(%(first)s, %(last)s) n
  JOIN history_slot slot ON slot.slot = n %% %(slots)s
  JOIN alerts_room room ON room.org_id = slot.org_id AND room.room_id = 'room-' || n %% %(rooms)s
"""
# Table -> its rows. What is NOT NULL and not named here is empty.
ROWS = {
    "alerts_alert": """
SELECT id, org_id, 'room' AS scope, room_id, agent_id, severity, %(events)s AS event_count, 1 AS version, 1 AS episode,
       CASE WHEN NOT %(is_open)s THEN 'resolved' WHEN n %% 5 = 4 THEN 'acknowledged' ELSE 'open' END AS state,
       jsonb_build_array(jsonb_build_object('signal', signal, 'count', %(events)s, 'first_at', at, 'last_at', at,
           'severity', severity, 'note', '', 'episode', 1)) AS signals,
       at AS opened_at, at AS first_failure_at, at + interval '1 minute' AS last_event_at, at AS ladder_from,
       1 AS occurrence, 'first' AS last_reason, at AS updated_at,
       CASE WHEN came AND NOT %(is_open)s THEN at + interval '4 minutes' END AS human_acted_at,
       CASE WHEN came AND NOT %(is_open)s THEN at + interval '4 minutes' END AS intervened_at,
       CASE WHEN came AND NOT %(is_open)s THEN user_id END AS intervened_by_id,
       CASE WHEN %(is_open)s AND n %% 5 = 4 THEN user_id END AS acknowledged_by_id,
       CASE WHEN %(is_open)s AND n %% 2 = 0 THEN at END AS customer_waiting_since,
       CASE WHEN NOT %(is_open)s THEN at + interval '20 minutes' END AS resolved_at,
       CASE WHEN %(is_open)s THEN '' WHEN came THEN 'human' ELSE 'quiet' END AS resolved_kind,
       CASE WHEN n %% 20 = 0 THEN 'confirmed' WHEN n %% 20 = 1 THEN 'false_alarm' ELSE '' END AS verdict,
       CASE WHEN %(is_open)s THEN live_now() + interval '1 day' END AS due_at
  FROM history_alert ORDER BY n""",
    "alerts_failureevent": """
SELECT n * %(events)s + k AS id, org_id, source_id, 'event-' || n || '-' || k AS event_id, room_id, agent_id,
       alert.id AS alert_id, signal, severity, CASE k WHEN 0 THEN 'first' ELSE 'attached' END AS reason,
       at + k * interval '20 seconds' AS occurred_at, at + k * interval '20 seconds' AS received_at,
       CASE WHEN n %% 3 = 0 THEN 0.4 END AS confidence, decode(md5(n::text), 'hex') AS payload_hash
  FROM history_alert alert CROSS JOIN generate_series(0, %(events)s - 1) k ORDER BY n, k""",
    "alerts_transition": """
SELECT org_id, id AS alert_id, 1 AS episode, '{}'::jsonb AS detail, change.*
  FROM history_alert alert CROSS JOIN LATERAL (
    SELECT at + k * interval '20 seconds' AS at, CASE k WHEN 0 THEN 'opened' ELSE 'attached' END AS change,
           CASE k WHEN 0 THEN 'first' ELSE 'attached' END AS reason, n * %(events)s + k AS event_id,
           NULL::bigint AS actor_id
      FROM generate_series(0, %(events)s - 1) k
    UNION ALL SELECT at + interval '4 minutes', 'intervened', '', NULL, user_id WHERE came AND NOT %(is_open)s
    UNION ALL SELECT at + interval '20 minutes', 'resolved', '', NULL, CASE WHEN came THEN user_id END
               WHERE NOT %(is_open)s
    UNION ALL SELECT at + interval '30 minutes', 'verdict', '', NULL, user_id WHERE n %% 20 < 2 AND NOT %(is_open)s
) change ORDER BY n, change.at""",
    "alerts_push": """
SELECT id, org_id, id AS alert_id, room_id, user_id AS supervisor_id, 'alert' AS kind, 1 AS occurrence, 1 AS tier,
       'first' AS reason, severity, CASE WHEN dead THEN 'dead' ELSE 'sent' END AS state,
       CASE WHEN dead AND %(is_open)s THEN 'gave_up' WHEN dead THEN 'refused' ELSE '' END AS ended_reason,
       id AS idempotency_key, at AS planned_at, at + interval '1 second' AS ended_at, 'queued' AS push,
       repeat('x', 400) AS body,
       CASE WHEN NOT dead THEN at + interval '1 second' END AS sent_at,
       CASE WHEN NOT dead AND n %% 10 < 9 THEN at + interval '3 seconds' END AS delivered_at,
       CASE WHEN NOT dead AND n %% 10 < 6 THEN at + interval '1 minute' END AS opened_at,
       CASE WHEN NOT dead AND n %% 500 = 9 THEN at + interval '3 seconds' END AS failed_at
  FROM history_alert ORDER BY n""",
    "alerts_roomactivity": """
SELECT org_id, source_id, 'activity-' || n AS activity_id, room_id, 'human_message' AS kind, user_id AS actor_id,
       at + interval '4 minutes' AS at, at + interval '4 minutes' AS received_at,
       decode(md5(n::text), 'hex') AS payload_hash
  FROM history_alert WHERE came AND NOT %(is_open)s ORDER BY n""",
}
EMPTY = {"ARRAY": "'{}'", "jsonb": "'[]'", "boolean": "false", "bytea": "''", "uuid": "gen_random_uuid()"}


def _slots(cursor: CursorWrapper) -> None:
    cursor.execute(SLOTS)


def _rooms(cursor: CursorWrapper, rooms: int) -> None:
    _insert(cursor, "alerts_room", ROOMS, {"rooms": rooms, "slots": _count(cursor, "history_slot")})


def _alerts(cursor: CursorWrapper, size: Size, first: int, last: int, *, is_open: bool) -> None:
    values = {"first": first, "last": last, "is_open": is_open, "resolved": max(size.resolved, 1), "days": DAYS}
    values |= {"rooms": size.rooms, "slots": _count(cursor, "history_slot"), "events": size.events_each}
    cursor.execute(ALERTS, values)
    for table, rows in ROWS.items():
        _insert(cursor, table, rows, values)
    cursor.execute("DROP TABLE history_alert")
    cursor.execute(
        "SELECT setval(pg_get_serial_sequence('alerts_failureevent', 'id'), max(id)) FROM alerts_failureevent"
    )


def _count(cursor: CursorWrapper, table: str) -> int:
    cursor.execute(f"SELECT count(*) FROM {table}")
    return int(cursor.fetchone()[0])


def _insert(cursor: CursorWrapper, table: str, rows: str, values: dict[str, Any]) -> None:
    """INSERT these rows, with the empty value for each column that needs one and is not among theirs."""
    cursor.execute(f"SELECT * FROM ({rows}) AS rows LIMIT 0", values)
    named = [column.name for column in cursor.description or ()]
    cursor.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s"
        " AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'",
        [table],
    )
    empty = {name: _empty(kind) for name, kind in cursor.fetchall() if name not in named}
    columns, given = ", ".join([*named, *empty]), ", ".join(["rows.*", *empty.values()])
    cursor.execute(f"INSERT INTO {table} ({columns}) SELECT {given} FROM ({rows}) AS rows", values)


def _empty(kind: str) -> str:
    return EMPTY.get(
        kind, "live_now()" if kind.startswith("timestamp") else "''" if "char" in kind or kind == "text" else "0"
    )


@contextmanager
def _bare(cursor: CursorWrapper) -> Iterator[None]:
    """The tables without foreign keys and indexes meanwhile; primary keys and checks stay."""
    cursor.execute(
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = ANY (%s::regclass[]) AND contype IN ('f', 'u')",
        [list(TABLES)],
    )
    constraints = cursor.fetchall()
    for table, name, _ in constraints:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    cursor.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = ANY (%s::regclass[]) AND NOT indisprimary",
        [list(TABLES)],
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    cursor.execute("SET maintenance_work_mem = '512MB'")
    for _, definition in indexes:
        cursor.execute(definition)
    for table, name, definition in constraints:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    cursor.execute("RESET maintenance_work_mem")
