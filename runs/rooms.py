"""What the room of a run says: whether a human acted after it began; and what a run says of its room later."""

from collections.abc import Collection, Sequence
from datetime import datetime

from alerts.tables import as_json, fetch
from runs.rows import RunId, RunRow

# Among what happened a day before and after its start: a human act after it, then true; anything else, then false;
# nothing, then unknown. A message that never reached the customer is nothing. Of a row `run`.
SAID = """
SELECT bool_or(activity.kind IN ('human_opened', 'human_message', 'assigned') AND activity.at > run.started_at)
  FROM alerts_room room JOIN alerts_roomactivity activity ON activity.room_id = room.id
 WHERE room.org_id = run.org_id AND room.room_id = run.room AND NOT activity.undelivered
   AND activity.at BETWEEN run.started_at - interval '1 day' AND run.started_at + interval '1 day'
"""
SAID_OF = f"""
SELECT run.org_id, run.run_id, ({SAID})
  FROM json_to_recordset(%b::json) AS run (org_id bigint, run_id uuid, room varchar, started_at timestamptz)
"""  # noqa: S608

# A session that holds nothing yet where a run began, for the sweep to find its room; one that is there is due at once.
READ_AGAIN = """
INSERT INTO runs_roomsession (org_id, room, began_at, last_customer_at, agent_version, channel, input_kind,
                              touched, contained, abandoned, settled, due_at)
SELECT org_id, room, started_at, started_at, '', '', '', false, false, false, false, %b::timestamptz
  FROM json_to_recordset(%b::json) AS run (org_id bigint, room varchar, started_at timestamptz)
 GROUP BY org_id, room, started_at ORDER BY org_id, room, started_at
ON CONFLICT (org_id, room, began_at) DO UPDATE SET due_at = EXCLUDED.due_at"""


def hear_rooms(runs: Collection[RunRow]) -> None:
    """Let runs that are locked know what their rooms say; those that say it themselves are left as they are."""
    asked = [run for run in runs if run.room and run.human_touched is None]
    said: dict[RunId, bool | None] = {
        (org, run_id): human for org, run_id, human in (fetch(SAID_OF, [as_json(asked)]) if asked else [])
    }
    for run in asked:
        run.touched = said[run.key]


def read_again(runs: Sequence[RunRow], now: datetime) -> None:
    """The next sweep reads the rooms of these runs again: they were known, and now say of a room or a human."""
    if runs:
        fetch(READ_AGAIN, [now, as_json(runs)])
