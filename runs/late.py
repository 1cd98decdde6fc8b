"""What changes runs after they were stored: their time is up, a human acts in their room, a review came beside them.

Each sweep finds what differs and changes it under the runs' locks; two at once, or one that is killed, do no harm.
"""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from alerts.faults import contained
from alerts.tables import fetch
from runs.models import FoldMark
from runs.rooms import SAID, hear_rooms
from runs.rows import RunId, RunRow
from runs.store import change_locked, change_runs, count_reviews

AT_ONCE = 500  # runs changed in one transaction
READ = 20_000  # ids of new rows looked at in one statement
COMMITTED_AFTER = timedelta(minutes=5)  # a row that is older than this was committed, or never will be

OVERDUE = f"""
SELECT org_id, run_id FROM runs_agentrun WHERE due_at <= %b AND overdue_at IS NULL ORDER BY due_at LIMIT {AT_ONCE}
"""  # noqa: S608

OF_NEW_RUNS = f"""
SELECT org_id, run_id FROM runs_agentrun run
 WHERE id > %b AND id <= %b AND room <> '' AND human_touched IS NULL AND touched IS DISTINCT FROM ({SAID})
"""  # noqa: S608
OF_NEW_ACTIVITY = f"""
SELECT run.org_id, run.run_id
  FROM (SELECT room_id, min(at) AS earliest, max(at) AS latest
          FROM alerts_roomactivity WHERE id > %b AND id <= %b GROUP BY room_id) news
  JOIN alerts_room ON alerts_room.id = news.room_id
  JOIN runs_agentrun run ON run.org_id = alerts_room.org_id AND run.room = alerts_room.room_id AND run.room <> ''
   AND run.started_at BETWEEN news.earliest - interval '1 day' AND news.latest + interval '1 day'
 WHERE run.human_touched IS NULL AND run.touched IS DISTINCT FROM ({SAID})
"""  # noqa: S608
OF_NEW_REVIEWS = "SELECT DISTINCT org_id, run_id FROM runs_agentqc WHERE id > %b AND id <= %b"
Kind = Literal["run", "activity", "review"]
TABLES: dict[Kind, tuple[str, str, str]] = {  # their table, when a row came, the runs that its new rows concern
    "run": ("runs_agentrun", "received_at", OF_NEW_RUNS),
    "activity": ("alerts_roomactivity", "received_at", OF_NEW_ACTIVITY),
    "review": ("runs_agentqc", "at", OF_NEW_REVIEWS),
}


def stamp_overdue(now: datetime) -> int:
    """Stamp the runs that have not ended when they should have: how many."""
    stamped = 0
    while keys := _keys(fetch(OVERDUE, [now])):
        done = _stamp_each(keys)
        stamped += done
        if len(keys) < AT_ONCE or not done:
            break
    return stamped


def _stamp_each(keys: list[RunId]) -> int:
    """All together; if that fails each alone, so that one that cannot be reported as stalled holds up nobody."""
    with contained("overdue_one_by_one", runs=len(keys)):  # which run it was shows when each is stamped alone
        return change_runs(keys, _stamp)
    done = 0
    for key in keys:
        with contained("run_not_judged", org=key[0], run=str(key[1])):
            done += change_runs([key], _stamp)
    return done


def _stamp(run: RunRow, now: datetime) -> None:
    if run.due_at is not None and run.due_at <= now:
        run.overdue_at = run.due_at


def follow_rooms(now: datetime, until: float) -> int:
    """Let runs know what happened in their rooms: how many learned something. `until`: on the monotonic clock."""
    return sum(
        change_locked(keys, lambda runs, _: hear_rooms(runs))
        for kind in ("run", "activity")
        for keys in _news(kind, now, until)
    )


def follow_reviews(now: datetime, until: float) -> int:
    """Count the reviews that came in the same moment as their run, where neither saw the other."""
    return sum(change_locked(keys, lambda rows, _: count_reviews(rows)) for keys in _news("review", now, until))


def _news(kind: Kind, now: datetime, until: float) -> Iterator[list[RunId]]:
    """The runs that rows concern which are new since the last time, or may have been on their way then."""
    table, came, concerned = TABLES[kind]
    mark, _ = FoldMark.objects.get_or_create()
    read = getattr(mark, kind)
    ((last,),) = fetch(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608
    while read < last and time.monotonic() < until:
        ((following,),) = fetch(f"SELECT min(id) FROM {table} WHERE id > %b", [read])  # noqa: S608
        if following is None:
            break
        read = following - 1  # ids have gaps, wide ones after a restore or a purge
        upto = min(read + READ, last)
        keys = _keys(fetch(concerned, [read, upto]))
        for first in range(0, len(keys), AT_ONCE):
            yield keys[first : first + AT_ONCE]
        _move(kind, table, came, read, upto, now)
        read = upto


def _move(kind: Kind, table: str, came: str, read: int, upto: int, now: datetime) -> None:
    """Nothing new can come up to the last of these rows that is old enough."""
    fetch(
        f"UPDATE runs_foldmark SET {kind} = greatest({kind}, coalesce((SELECT id FROM {table}"  # noqa: S608
        f" WHERE id > %b AND id <= %b AND {came} <= %b ORDER BY id DESC LIMIT 1), 0))",
        [read, upto, now - COMMITTED_AFTER],
    )


def _keys(rows: list[tuple[int, object]]) -> list[RunId]:
    return sorted((org, run_id) for org, run_id in rows)  # type: ignore[misc]
