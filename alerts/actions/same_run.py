"""One run and signal is one failure in its room, whether a source sent it, it was read from the run, or both.

Whichever comes second is stored with reason `same_run`: it counts and tells nothing, but fills in what was not known,
and makes the alert worse if it is more severe. The room's lock keeps the two apart. Two rooms named for one run are two
failures, each with its own lock: nothing holds up a room for what happens in another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from alerts.actions.book import Book, Moment
from alerts.actions.conversation import FAILED, SAME_RUN, hear_again, of_event
from alerts.actions.stored import stored
from alerts.decide import RANK, EventFacts, human_present, is_late, waiting_since
from alerts.models import Alert, Room
from alerts.rows import EventRow
from orgs.signals.unexpected_handoff import UNEXPECTED_HANDOFF

Key = tuple[int, int, str, str]  # org pk, room pk, run id, signal


@dataclass(frozen=True, slots=True)
class FirstFailure:
    """The failure that was told first, and which episode of which alert it belongs to; None: of none."""

    moment: Moment
    late: bool
    alert_id: UUID | None
    episode: int | None

    def is_of(self, alert: Alert | None) -> bool:
        """Whether it is part of what this alert is about now."""
        return alert is not None and (self.alert_id, self.episode) == (alert.pk, alert.episode)


class SameRuns:
    """The first failure of each run, signal and room of a transaction. One query, none if no event names its run."""

    def __init__(self, wanted: Sequence[tuple[int, str, str]]) -> None:
        """`wanted`: org pk, run id and signal of what may be told for the second time."""
        keys = [dict(zip(("org_id", "run_id", "signal"), one, strict=True)) for one in sorted(set(wanted)) if one[1]]
        self._first: dict[Key, FirstFailure] = {}
        for org, room, run, signal, key, at, received_at, waits, reason, alert_id, episode in (
            stored().first_failures(keys) if keys else []
        ):
            since = waiting_since(EventFacts(signal, at, customer_waiting_since=waits))
            handoff = signal == UNEXPECTED_HANDOFF.name
            moment = Moment(at, FAILED, key, received_at, None, since, handoff, f"{run} {signal}")
            self._first[org, room, run, signal] = FirstFailure(moment, reason == "late", alert_id, episode)

    def first_of(self, event: EventRow) -> FirstFailure | None:
        """The failure that this event tells of again; None: it is the first to."""
        return self._first.get(_key(event)) if event.run_id else None

    def keep(self, event: EventRow, alert: Alert | None) -> None:
        """This event was decided, on this alert: it is the first of its run and signal, unless another on time is."""
        known = self.first_of(event)
        if event.run_id and (known is None or known.late):
            found = (alert.pk, alert.episode) if alert is not None else (None, None)
            self._first[_key(event)] = FirstFailure(of_event(event), event.reason == "late", *found)


def _key(event: EventRow) -> Key:
    return event.org_id, event.room_id, event.run_id, event.signal


def join_failure(book: Book, event: EventRow, facts: EventFacts, first: FirstFailure, room: Room) -> None:
    """Let an event that tells of `first` again say what it knows more, on the room and on the alert it belongs to.

    Too late to act on it says nothing; after the alert ended, or failed anew, neither.
    """
    event.reason, event.alert_id = SAME_RUN, first.alert_id
    alert = book.alerts.get(room.pk)
    if alert is None or not first.is_of(alert) or alert.state == Alert.State.RESOLVED:
        return
    if is_late(facts, room.facts, book.now):
        return
    hear_again(book, room, first.moment, of_event(event))
    before = (alert.first_failure_at, alert.last_event_at, alert.agent_version)
    alert.first_failure_at = min(alert.first_failure_at, event.occurred_at)
    alert.last_event_at = max(alert.last_event_at, event.occurred_at)
    alert.agent_version = alert.agent_version or event.agent_version
    alert.customer_waiting_since = room.customer_waiting_since
    entry_changed = _widen(alert, event)
    if RANK[event.severity] > RANK[alert.severity]:
        _worsen(book, event, alert, room)
    elif entry_changed or before != (alert.first_failure_at, alert.last_event_at, alert.agent_version):
        shown = alert.last_reason  # what it was told for stays what its row says
        book.record(alert, "attached", SAME_RUN, event=event)
        alert.last_reason = shown


def _widen(alert: Alert, event: EventRow) -> bool:
    """The signal's entry spans both tellings, with the severity of the severer; whether that changed it."""
    at = event.occurred_at.isoformat()
    for place, entry in enumerate(alert.signals):
        if entry["signal"] == event.signal and entry["episode"] == alert.episode:
            severity = max(entry["severity"], event.severity, key=lambda one: RANK[one])
            times = {"first_at": min(entry["first_at"], at), "last_at": max(entry["last_at"], at)}
            wider = {**entry, **times, "severity": severity}
            alert.signals = [*alert.signals[:place], wider, *alert.signals[place + 1 :]]
            return bool(wider != entry)
    return False


def _worsen(book: Book, event: EventRow, alert: Alert, room: Room) -> None:
    """The second telling knows that it is more severe: people are told, unless a human is there or was."""
    present = alert.state == Alert.State.INTERVENED or human_present(room.facts, book.policy_of(alert), book.now)
    detail = {"from": alert.severity, "to": event.severity}
    book.worsen(alert, event.severity)
    reason = "human_present" if present else "worsened"
    book.record(alert, "worsened", reason, event=event, detail=detail, notify=not present)
    book.tell()
    event.reason = SAME_RUN  # also where nobody can be told
