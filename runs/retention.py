"""How long runs and what hangs on them are kept; their roll-ups stay. Registered when the app is ready."""

from alerts.retention.registry import AboutRoom, Retained, keep, knows_room
from alerts.retention.texts import people_write
from runs.containment import LOCK

# Of a run that was told late the roll-ups are corrected within a minute: a day is enough.
COUNTED = "kept.updated_at < live_now() - interval '1 day'"
# Their sums stay: what is sent again of them is known by its id, an array for each batch and day (16 bytes a run), and
# not counted again. By the day of UTC on which it began as sent.
KEEP_IDS = """
INSERT INTO runs_purgedruns (org_id, day, run_ids)
SELECT org_id, (coalesce(started_as_sent, started_at) AT TIME ZONE 'UTC')::date, array_agg(run_id)
  FROM runs_agentrun WHERE id = ANY(%(ids)s) GROUP BY 1, 2
"""
RUNS = Retained(
    "runs_agentrun",
    "started_at",
    "runs_days",
    where=COUNTED,
    hanging=(("runs_agentqc", "run_id", "run_id"),),
    before=KEEP_IDS,
    held=("run_id", "kept.run_id"),
)
# Reviews whose run never came.
REVIEWS = Retained(
    "runs_agentqc",
    "at",
    "runs_days",
    where="NOT EXISTS (SELECT FROM runs_agentrun run WHERE run.org_id = kept.org_id AND run.run_id = kept.run_id)",
    held=("run_id", "kept.run_id"),
)
# A day of sessions is counted from all of them: they are kept as long as anybody can ask for the day.
SESSIONS = Retained("runs_roomsession", "began_at", "failure_events_days", where="kept.due_at IS NULL")


def register() -> None:
    """Again changes nothing."""
    for entry in (SESSIONS, REVIEWS, RUNS):
        keep(entry)
    of_room = AboutRoom(
        "runs_agentrun", "room", hanging=(("runs_agentqc", "run_id", "run_id"),), before=KEEP_IDS, held="run_id"
    )
    knows_room(of_room)
    knows_room(AboutRoom("runs_roomsession", "room", written_under=LOCK))
    people_write("runs_agentqc", "notes")
