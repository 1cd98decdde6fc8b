"""Humans who hold a room and fell silent: found when their time is up, which is a due time in the room's row."""

from datetime import datetime, timedelta

from alerts.actions.book import Book
from alerts.actions.spoken import find_stall
from alerts.actions.stored import stored
from alerts.blind import Downtimes
from alerts.faults import PASSING, report

PUT_OFF = timedelta(minutes=15)  # a room whose stall cannot be told


def sweep_stalls(now: datetime, held: datetime | None, downs: Downtimes, limit: int) -> int:
    """Tell of the humans who have stalled by now, oldest first; how many. `held`: what fell due from then on waits.

    Each alone, so that one that fails holds up nobody; it is put off.
    """
    done = 0
    for pk in stored().due_stalls(now, limit, held):
        try:
            done += _tell(pk, now, downs)
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001 - it is put off and logged
            report("stall_not_told", error, room=pk)
            stored().put_off_stall(pk, now + PUT_OFF)
    return done


def _tell(pk: int, now: datetime, downs: Downtimes) -> int:
    with stored().atomic():
        book = Book(now)
        book.swept_at = now
        book.lock_rooms([pk], skip_locked=True)
        room = next((one for one in book.rooms.values() if one.due_at is not None and one.due_at <= now), None)
        if room is None or room.due_at is None:
            return 0
        book.blind = downs.covers(room.due_at)
        find_stall(book, room)
        book.close()
        return 1
