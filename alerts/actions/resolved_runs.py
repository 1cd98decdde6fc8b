"""What runs told, in the transaction that stores them: the failures read from them, and those that ended well."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.actions.activity import end
from alerts.actions.book import Book, Moment
from alerts.actions.conversation import RAN, hear_run, show_wait
from alerts.actions.events import Batch, decide_batches, retried, rooms_of
from alerts.actions.stored import stored
from alerts.items import EventItem, Result
from alerts.known import Known
from alerts.models import Alert, Room
from orgs.signals.stalled_run import STALLED_RUN


@dataclass(frozen=True, slots=True)
class ResolvedRun:
    """A run of a room that ended `resolved`: from when to when.

    `stalled`: it was called stalled before, then `began` is when that was; it takes that alarm back.
    """

    org_id: int
    room_id: str
    run_id: str
    began: datetime
    ended: datetime
    stalled: bool = False

    @property
    def room_key(self) -> tuple[int, str]:
        return self.org_id, self.room_id


def waiting_rooms(rooms: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those of these rooms (org pk, room id) in which a customer waits. Locks nothing."""
    rows = [{"org_id": org, "room_id": room} for org, room in sorted(rooms)]
    return stored().waiting_rooms(rows) if rows else set()


def record_run_outcomes(
    failures: Sequence[Batch[EventItem]], resolved: Sequence[ResolvedRun], now: datetime, known: Known
) -> list[list[Result]]:
    """Store and decide what runs told, in the caller's transaction; the answers to `failures`.

    A run that began after its room's failure and ended `resolved` ends the wait, like a conversation that flows again;
    one that was stalled ends the alert of that too, if nobody acted and nothing else failed. The rooms are locked all
    at once, in order; whoever calls it has locked the runs before, and nothing that a room's holder waits for.
    """
    return retried(lambda: _record(failures, resolved, now, known))


def record_in_again(resolved: Sequence[ResolvedRun], now: datetime, known: Known) -> None:
    """Hear of these runs as at `now`, without a transaction: a replay. Their failures are heard as events."""
    _record([], resolved, now, known)


def _record(
    failures: Sequence[Batch[EventItem]], resolved: Sequence[ResolvedRun], now: datetime, known: Known
) -> list[list[Result]]:
    failed = rooms_of(failures)
    asked = {run.room_key for run in resolved}
    waiting = waiting_rooms(asked - failed)
    if not failed | waiting:
        return []
    book = Book(now, known)
    book.lock(failed | waiting)
    answers = decide_batches(book, failures) if failures else []
    for run in sorted(resolved, key=lambda one: (one.ended, one.run_id)):
        if room := book.rooms.get(run.room_key):
            _hear(book, room, run)
    book.close()
    return answers


def _hear(book: Book, room: Room, run: ResolvedRun) -> None:
    alert = book.open_alert(room)
    takes_back = run.stalled and alert is not None and _only_stalled(alert)
    if run.stalled and not takes_back:
        return
    hear_run(book, room, Moment(run.ended, RAN, run.run_id, book.now, began=run.began))
    show_wait(book, room, alert)
    if alert is not None and takes_back:
        end(alert, Alert.By.RECOVERED, book.now)
        book.record(alert, "resolved", "recovered")


def _only_stalled(alert: Alert) -> bool:
    """Nobody acted on it, and nothing but stalled runs happened in this episode."""
    acted = alert.human_acted_at is not None or alert.assigned_to_id is not None
    only = all(entry["signal"] == STALLED_RUN.name for entry in alert.signals_now)
    return alert.state == Alert.State.OPEN and not acted and only
