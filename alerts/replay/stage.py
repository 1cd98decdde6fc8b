"""The past played again: what was heard, what people did and what time did, through the actions of production.

Two plays of one history: as it was (`asked` False: sweeps come when they came, pushes end as they ended), and under
a policy that is asked about: from its time on timers work when they are due, and every push is sent at once.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from typing import Any
from uuid import UUID

from alerts.actions import people, timers
from alerts.actions.activity import end, react
from alerts.actions.book import Book
from alerts.actions.events import decide_again
from alerts.actions.on_duty import MARKS_EVERY, sweep_on_duty
from alerts.actions.recovery import EXPIRED_WITHIN, digest_expired
from alerts.actions.resolved_runs import ResolvedRun, record_in_again
from alerts.actions.stalls import sweep_stalls
from alerts.actions.stored import storing
from alerts.actions.telling import Telling
from alerts.blind import NO_DOWNTIMES
from alerts.delivery.digest import is_waiting
from alerts.known import Known
from alerts.models import Alert, Push
from alerts.replay.history import History, PastChange, PastPush, blank_rooms, outages
from alerts.replay.memory import Memory
from alerts.replay.past import Past
from alerts.rows import ActivityRow, EventRow, PushRow, TransitionRow
from orgs.duty.spans import INSTANT
from orgs.models import User

# In this order, where they happened at the same time.
RETIMED, ENDED, JUDGED, HEARD, RAN, ACTIVITY, ACTED, TOLD, CLAIMED, SWEPT, ARRIVED = range(11)
Item = tuple[datetime, int, int, Any]  # when, which of these, its place, what


@dataclass
class Played:
    """What came of a play."""

    memory: Memory
    events: list[tuple[EventRow, UUID | None]]  # as they were decided, and the alert they belonged to in truth


class Stage:
    """One play of a history."""

    def __init__(self, history: History, past: Past, *, asked: bool, tick: Callable[[float], None]) -> None:
        """`tick` is told now and then how far it is, 0..1; what it raises ends the play."""
        self._history, self._past, self._asked, self._tick = history, past, asked, tick
        self.memory = Memory(blank_rooms(history), lambda: past.at(self.memory.at))
        self.memory.numbers = {(history.org.pk, one): (n, None) for one, n in history.numbers.items()}
        self.memory.detected = history.detected
        for one in outages(history):
            ids = self.memory.ids if one.scope == Alert.Scope.AGENT else self.memory.ids_of_source
            key = history.org.pk, (one.agent_id if one.scope == Alert.Scope.AGENT else one.source_id) or 0
            ids.setdefault(key, []).append((one.first_at, one.id))
        self._turns = past.duty_turns(history.org.pk, history.begin, history.until)
        self._events: list[tuple[EventRow, UUID | None]] = []
        self._digests: list[tuple[datetime, int, PushRow]] = []  # a heap: those that are asked for, not as it was
        self._count = 0

    def play(self) -> Played:
        """All of it."""
        items = self._items()
        with storing(self.memory):
            for place, (at, kind, _, what) in enumerate(items):
                self._let_pass(at)
                self.memory.at = at
                PLAYS[kind](self, what, at)
                if self._asked and at > self._history.since:
                    self._send()
                    self._follow_up(at)
                if place % 500 == 0:
                    self._tick(place / len(items))
            self._let_pass(self._history.until)
        return Played(self.memory, self._events)

    def _items(self) -> list[Item]:
        history, split = self._history, self._history.since if self._asked else self._history.until
        items: list[tuple[datetime, int, Any]] = []
        items += [(at, HEARD, some) for at, some in _grouped((one.received_at, one) for one in self._fresh_events())]
        items += [(at, RAN, some) for at, some in _grouped(history.runs)]
        heard = ((one.received_at, copy(one)) for one in history.activities)
        items += [(at, ACTIVITY, some) for at, some in _grouped(heard)]
        for change in history.changes:
            about = history.alerts.get(change.alert_id)
            if about is not None and _is_act(change):
                items.append((change.at, ACTED, change))
            if about is not None and about.scope != Alert.Scope.ROOM and not about.is_outage:
                items.append((change.at, TOLD, change))
        for push in history.pushes:
            if push.planned_at <= split and (at := push.claimed_at) is not None:
                items.append((at, CLAIMED if push.kind == Push.Kind.DIGEST else ENDED, push))
        items += [(at, SWEPT, None) for at in history.sweeps if at <= split]
        silenced = {one.at for one in history.changes if _is_of_silence(one) and one.at <= split}
        turns = self._past.silences_turn(history.org.pk, split, history.until) if self._asked else []
        items += [(at, JUDGED, None) for at in (*silenced, *turns)]
        arrived = {at for at in history.arrivals if at <= split}
        arrived |= {at for at in self._turns if at > split} if self._asked else set()
        items += [(at, ARRIVED, None) for at in arrived]
        items += [(at, RETIMED, None) for at in self._past.policies_changed()]
        wanted = [(at, kind, place, what) for place, (at, kind, what) in enumerate(items) if at <= history.until]
        return sorted(wanted, key=lambda one: one[:3])

    def _fresh_events(self) -> Iterator[EventRow]:
        for stored in self._history.events:
            event = copy(stored)
            event.reason = event.severity = ""
            self._events.append((event, event.alert_id))
            yield event

    # --- time -------------------------------------------------------------------------------------------------------

    def _let_pass(self, until: datetime) -> None:
        """What time does before `until`, under the policy that is asked about: each timer and digest when it is due."""
        if not self._asked:
            return
        memory, since = self.memory, self._history.since
        while True:
            timer = memory.next_due() or until
            digest = self._digests[0][0] if self._digests else until
            at = max(min(timer, digest), since)
            if min(timer, digest) >= until or at >= until:
                return
            memory.at = at
            if digest <= timer:
                _, _, push = heappop(self._digests)
                if memory.digest_of.get((push.org_id, push.supervisor_id)) is push and push.planned_at <= at:
                    self._claim(push, at)
            else:
                self._sweep(at)
            self._send()

    def _sweep(self, now: datetime) -> None:
        """A sweep comes by: all that is due is worked, as `alerts.actions.sweep_timers` does."""
        due, memory = [], self.memory
        while memory.due and memory.due[0][0] <= now:
            at, _, alert = heappop(memory.due)
            memory.forget_due(alert, at)
            if alert.due_at == at:
                due.append(alert)
        for pk in memory.due_outages(now):
            timers.work_outage(pk, now)
        for pk in memory.outages_over():
            timers.release_rooms(pk, now)
        known = self._past.at(now)
        rooms = {one.room_id for one in due if one.room_id is not None and not self._stays_held(one, now, known)}
        if rooms:
            timers.work_rooms(list(rooms), now, NO_DOWNTIMES)
        if memory.stalls and memory.stalls[0][0] <= now:
            sweep_stalls(now, None, NO_DOWNTIMES, len(memory.stalls))
        if memory.ended and (memory.ended[-1].ended_at or now) > now - EXPIRED_WITHIN:
            timers.pass_unreached(now)
            digest_expired(now)

    def _stays_held(self, alert: Alert, now: datetime, known: Known) -> bool:
        """Whether the outage over it goes on, and it is held on."""
        memory, key = self.memory, (alert.org_id, alert.agent_id or 0)
        policy = known.policies([key])[key]
        if not policy.outage.rooms or alert.silenced_until or known.silences([key[0]])[key[0]]:
            return False
        outage = memory.covering(alert)
        if outage is None or alert.due_at is None or alert.due_at > now:
            return False
        otherwise = timers.stays_held(alert, outage, policy, now, memory.otherwise.get(id(alert)))
        if otherwise is None:
            return False
        memory.otherwise[id(alert)] = otherwise
        memory.line_up(alert)
        return True

    def _follow_up(self, at: datetime) -> None:
        for pk in self.memory.outages_over():
            timers.release_rooms(pk, at)

    def _judged(self, _: None, at: datetime) -> None:
        """Silences began or ended: what they cover is marked, and what they held is let go."""
        alerts = [one for one in self.memory.alerts.values() if one.state == Alert.State.OPEN or one.silenced_until]
        book = Book(at)
        book.lock_rooms(one.room_id for one in alerts if one.room_id is not None)
        for alert in list(book.alerts.values()):
            book.silenced.judge(alert)
        for outage in [one for one in alerts if one.room_id is None and one.is_outage]:
            book.silenced.judge(book.lock_alert(outage.id))
        book.close()

    def _retimed(self, _: None, at: datetime) -> None:
        """Another policy holds: what is open is due by it, as `alerts.actions.retime` has it."""
        open_ones = [one for one in self.memory.alerts.values() if one.state != Alert.State.RESOLVED]
        book = Book(at)
        book.lock_rooms(one.room_id for one in open_ones if one.room_id is not None)
        for outage in (one for one in open_ones if one.is_outage):
            book.lock_alert(outage.id)
        book.close()

    def _arrived(self, _: None, at: datetime) -> None:
        """Somebody came on duty, or may be told of what is open again: of what is open and untaken they are told."""
        place = bisect_right(self._turns, at)
        self.memory.seen = min(self._turns[place - 1] if place else at, at - MARKS_EVERY) - INSTANT
        sweep_on_duty(at)

    def _swept(self, _: None, at: datetime) -> None:
        self._sweep(at)

    # --- pushes -----------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        """Every push is sent at once; every digest is claimed when it is due."""
        memory = self.memory
        for push in memory.fresh:
            if push.state == Push.State.PENDING:
                push.state = Push.State.SENT
        memory.fresh.clear()
        for push in memory.hurried:
            self._count += 1
            heappush(self._digests, (push.planned_at, self._count, push))
        memory.hurried.clear()

    def _ended(self, past: PastPush, at: datetime) -> None:
        push = self.memory.told(past.alert_id, past.supervisor_id, past.occurrence)
        if push is None or push.occurrence != past.occurrence:
            return
        push.push = past.push
        if past.ended_reason != "superseded":
            self.memory.end_push(push, past.state, past.ended_reason, at)

    def _claimed(self, past: PastPush, at: datetime) -> None:
        push = self.memory.digest_of.get((self._history.org.pk, past.supervisor_id))
        if push is None or push.occurrence != past.occurrence:
            return
        self._claim(push, at)
        push.push = past.push
        if push.state == Push.State.SENT and past.state in (Push.State.CANCELLED, Push.State.DEAD):
            self.memory.end_push(push, past.state, past.ended_reason, at)

    def _claim(self, push: PushRow, at: datetime) -> None:
        """The digest names what still waits, and is sent; it is cancelled if nothing does."""
        memory, known, person = self.memory, self._past.at(at), (push.org_id, push.supervisor_id)
        known_ones = (memory.alerts[pk] for pk in memory.names[push.id] if pk in memory.alerts)
        alerts = [one for one in known_ones if one.state == Alert.State.OPEN]
        backed = known.people({(a.org_id, pk) for a in alerts if a.agent_id or a.room_id for pk in a.agents_now})
        theirs = {key for key, some in backed.items() for one in some if one.user_id == push.supervisor_id}
        if any(one.source_id and one.is_outage for one in alerts) and known.backs_up_any(push.supervisor_id):
            theirs.add((push.org_id, 0))  # the outage of a source concerns everybody of the org
        specialist = any(one.user_id == push.supervisor_id for one in known.specialists())
        news = (one for one in alerts if not memory.pushed_since(push, one))
        waiting = (one for one in news if is_waiting(one, at, covered=memory.is_covered(one)))
        named = [one.pk for one in waiting if specialist or any((one.org_id, pk) in theirs for pk in one.agents_now)]
        memory.leave_out(push, named, at)
        del memory.digest_of[person]
        if not named:
            push.end(Push.State.CANCELLED, "no_longer_needed", at)
            return
        push.planned_at, push.body, push.state, push.attempts = at, "written", Push.State.SENT, 1
        memory.names[push.id] = dict.fromkeys(named, at)
        memory.numbers[person] = push.occurrence, at

    # --- what was heard and done --------------------------------------------------------------------------------------

    def _heard(self, events: list[EventRow], at: datetime) -> None:
        book = Book(at)
        book.lock_rooms(event.room_id for event in events)
        decide_again(book, events)
        book.close()

    def _ran(self, runs: list[ResolvedRun], at: datetime) -> None:
        record_in_again(runs, at, self.memory.known())

    def _activity(self, activities: list[ActivityRow], at: datetime) -> None:
        book = Book(at)
        book.lock_rooms(one.room_id for one in activities)
        rooms = {room.id: room for room in book.rooms.values()}
        for one in activities:
            if not one.undelivered:
                react(book, one, rooms[one.room_id])
            book.tell()
        book.stored.write_activities(activities)
        book.close()

    def _acted(self, change: PastChange, at: datetime) -> None:
        """What a person did is done again, to the alert of then, else to what stands in its place; as far as it can."""
        alert = self._stand_in(change.alert_id)
        if alert is not None and (alert.is_outage or alert.scope in (Alert.Scope.ROOM, Alert.Scope.AGENT)):
            with suppress(people.ActConflict, people.ActInvalid):
                _do(change, alert, self._history.people)

    def _stand_in(self, pk: UUID) -> Alert | None:
        if pk in self.memory.alerts:
            return self.memory.alerts[pk]
        known = self._history.alerts[pk]
        if known.room_id is not None:
            return self.memory.newest_of_room(known.room_id)
        source = self._history.org.pk, known.source_id or 0
        return self.memory.newest_outage(known.agent_id, source) if known.is_outage else None

    def _told(self, change: PastChange, at: datetime) -> None:
        """Of what is not found in failure events (a source or an agent fell silent), what was told is told again."""
        alert = self.memory.alerts.get(change.alert_id) or self._wide_alert(change)
        if change.change in ("resolved", "abandoned"):
            end(alert, Alert.By.RECOVERED, at)
        elif change.change in ("acknowledged", "intervened"):
            alert.state = Alert.State.ACKNOWLEDGED
        elif change.change in ("opened", "rearmed", "reopened", "released", "expired"):
            alert.state, alert.resolved_at = Alert.State.OPEN, None
        if change.occurrence:
            alert.occurrence = change.occurrence
            alert.severity = change.detail.get("to") or alert.severity
            book = Book(at)
            row = TransitionRow(
                alert.org_id, alert.id, at, change.change, change.reason, change.episode, None, {}, change.occurrence
            )
            reason = change.reason
            book.outbox.plan([Telling(alert, row, None, reason, change.occurrence, alert.severity)], set)
            book.close()

    def _wide_alert(self, change: PastChange) -> Alert:
        alert = Alert.objects.select_related("org", "agent", "source").get(pk=change.alert_id)
        alert.state, alert.resolved_at, alert.due_at = Alert.State.OPEN, None, None
        self.memory.keep(alert)
        return alert


PLAYS: dict[int, Callable[[Stage, Any, datetime], None]] = {
    RETIMED: Stage._retimed,
    ENDED: Stage._ended,
    JUDGED: Stage._judged,
    HEARD: Stage._heard,
    RAN: Stage._ran,
    ACTIVITY: Stage._activity,
    ACTED: Stage._acted,
    TOLD: Stage._told,
    CLAIMED: Stage._claimed,
    SWEPT: Stage._swept,
    ARRIVED: Stage._arrived,
}


def _is_of_silence(change: PastChange) -> bool:
    """Whether a silence began or ended on this alert, and nothing else made it so."""
    begins = (change.change, change.reason) == ("attached", "silenced") and change.event_id is None
    return begins or (change.change, change.reason) == ("released_hold", "silence_ended")


def _is_act(change: PastChange) -> bool:
    """Whether a person did this to an alert, and not by what they did in its room."""
    if change.change == "assigned":
        return True
    done = change.actor_id is not None and "cause" not in change.detail and "outage" not in change.detail
    by_room = change.change == "resolved" and change.reason != ""
    return done and not by_room and change.change in ("acknowledged", "released", "snoozed", "resolved", "reopened")


def _do(change: PastChange, alert: Alert, known: dict[int, User]) -> None:
    """Do again what this transition tells of."""
    pk, detail = alert.id, change.detail
    by = known.get(change.actor_id or 0)
    if change.change == "assigned":
        to = next((one for one in known.values() if one.sso_id == detail.get("sso_id")), None)
        if to is not None:
            people.assign(pk, by, to)
    elif by is None:
        return
    elif "mark" in detail:
        people.undo(pk, by, detail["mark"])
    elif change.change == "acknowledged":
        (people.take if detail.get("assigned") else people.acknowledge)(pk, by)
    elif change.change == "released":
        people.release(pk, by)
    elif change.change == "snoozed":
        _snooze(pk, by, detail)
    elif change.change == "resolved":
        people.resolve(pk, by)
    elif change.change == "reopened":
        people.reopen(pk, by)


def _snooze(pk: UUID, by: User, detail: dict[str, Any]) -> None:
    if detail.get("until"):
        people.snooze(pk, by, datetime.fromisoformat(detail["until"]))
    elif detail.get("undo"):
        people.undo(pk, by)
    else:
        people.wake(pk, by)


def _grouped(found: Iterable[tuple[datetime, Any]]) -> list[tuple[datetime, list[Any]]]:
    """What was heard in one transaction, by when that was."""
    by_time: dict[datetime, list[Any]] = defaultdict(list)
    for at, one in found:
        by_time[at].append(one)
    return list(by_time.items())
