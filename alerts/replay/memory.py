"""The place in which a replay's actions read and write: rows in memory, those that are asked for often by key.

It answers as `alerts.actions.stored.Stored` does in PostgreSQL. Nothing is locked, for a replay is alone with its rows,
and what it is given is kept and not copied. Whatever is not answered here is set-up, and read from the database.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any
from uuid import UUID

from alerts.actions.outages import is_under
from alerts.actions.stored import AgentKey, RoomKey, SourceKey
from alerts.actions.whom import is_of_rooms
from alerts.blind import NO_DOWNTIMES, Downtimes
from alerts.decide import CRITICAL, LATE_AFTER
from alerts.known import Known
from alerts.models import Alert, Room, new_id
from alerts.replay.heard import HeardMemory
from alerts.replay.plain import plain_alert
from alerts.rows import EventRow, TransitionRow

Due = tuple[datetime, int, Alert]
OPEN, RESOLVED = Alert.State.OPEN, Alert.State.RESOLVED


class Memory(HeardMemory):
    """Rooms, alerts, pushes and what was heard, as far as it was played."""

    compares = False

    def __init__(self, rooms: Iterable[Room], known: Callable[[], Known]) -> None:
        """`rooms`: all that will be heard of, as if nobody had been yet. `known`: what was known at the time played."""
        super().__init__()
        self.at = datetime.min
        self._known = known
        self._nothing = nullcontext()
        self._rooms = {(room.org_id, room.room_id): room for room in rooms}
        self._rooms_by_pk = {room.id: room for room in self._rooms.values()}
        self._order = {self._rooms[key].id: place for place, key in enumerate(sorted(self._rooms))}  # of locks
        self._of_room: dict[int, list[Alert]] = defaultdict(list)
        self._newest: dict[int, Alert] = {}  # by room pk: the open one, else the newest
        self._waiting_rooms: dict[int, Alert] = {}  # of these the ones in state `open`, as they were written last
        self._outages: dict[int, list[Alert]] = defaultdict(list)  # by agent pk, oldest first
        self.due: list[Due] = []  # a heap; one whose alert is due at another time by now is void
        self._count = 0
        # By alert that is held on, the object: when time does anything else to it; while no book wrote it.
        self.otherwise: dict[int, datetime] = {}
        self.stalls: list[tuple[datetime, int]] = []  # a heap of rooms, likewise
        self._lined_up: dict[int, datetime | None] = {}  # by alert, the object: when it stands in `due`, last put there
        self._stalls_lined_up: dict[int, datetime] = {}  # by room pk, likewise

        self._critical: dict[int, list[tuple[datetime, int]]] = defaultdict(list)  # by agent pk: heard, room pk
        self._critical_of: dict[int | None, list[tuple[datetime, int, int]]] = defaultdict(list)  # by source pk
        # By room pk: heard, agent pk, source pk.
        self._critical_in: dict[int, list[tuple[datetime, int | None, int]]] = defaultdict(list)
        self._source_outages: dict[SourceKey, list[Alert]] = defaultdict(list)
        # By source and agent: alerts of rooms that began or worsened, and when, in this order.
        self._began: dict[tuple[int | None, int], list[tuple[datetime, Alert]]] = defaultdict(list)
        self._lasting: dict[UUID, Alert] = {}  # outages that are open, or whose rooms are not told yet that they ended

        self.seen = datetime.min  # who came on duty since then is told
        self.transitions: list[TransitionRow] = []
        self.ids: dict[AgentKey, list[tuple[datetime, UUID]]] = {}  # of real outages of agents, oldest first
        self.ids_of_source: dict[SourceKey, list[tuple[datetime, UUID]]] = {}  # likewise
        self.detected: dict[tuple[int, datetime], UUID] = {}  # alerts of what was found here, by room and time
        self._taken: set[UUID] = set()

    def now(self) -> datetime:
        return self.at

    def known(self) -> Known:
        return self._known()

    def atomic(self) -> AbstractContextManager[Any]:
        return self._nothing

    # --- rooms and alerts ---------------------------------------------------------------------------------------------

    def lock_rooms(self, wanted: Sequence[RoomKey]) -> tuple[list[Room], set[int]]:
        return [self._rooms[key] for key in wanted], set()

    def lock_rooms_by_pk(self, pks: Iterable[int], *, skip_locked: bool = False) -> Iterable[Room]:
        wanted = set(pks)
        ordered = sorted(wanted, key=self._order.__getitem__) if len(wanted) > 1 else wanted
        return map(self._rooms_by_pk.__getitem__, ordered)

    def waiting_rooms(self, wanted: Sequence[Mapping[str, Any]]) -> set[RoomKey]:
        keys = ((one["org_id"], one["room_id"]) for one in wanted)
        return {key for key in keys if key in self._rooms and self._rooms[key].customer_waiting_since is not None}

    def new_alert(self, **fields: Any) -> Alert:
        return plain_alert(**fields)

    def newest_alerts(self, rooms: Sequence[int]) -> list[Alert]:
        return [self._newest[pk] for pk in sorted(rooms) if pk in self._newest]

    def alert(self, pk: UUID) -> Alert:
        if pk not in self.alerts:
            raise Alert.DoesNotExist
        return self.alerts[pk]

    def lock_alert(self, pk: UUID) -> Alert:
        return self.alert(pk)

    def name_alert(self, event: EventRow) -> UUID:
        """As it was called in truth, if this event belonged to one that is not there yet."""
        pk, event.alert_id = event.alert_id or self.detected.get((event.room_id, event.received_at)), None
        return self._take(pk)

    def name_outage(self, agent: AgentKey, now: datetime) -> UUID:
        return self._name_near(self.ids.get(agent, ()), now)

    def _name_near(self, named: Iterable[tuple[datetime, UUID]], now: datetime) -> UUID:
        """As the real one was called that began at about this time, and has not begun here yet."""
        near = (pk for at, pk in named if abs(at - now) < timedelta(minutes=30) and pk not in self._taken)
        return self._take(next(near, None))

    def _take(self, pk: UUID | None) -> UUID:
        if pk is None or pk in self._taken:
            pk = new_id()
        self._taken.add(pk)
        return pk

    def rooms_of(self, alerts: Iterable[UUID]) -> set[int]:
        return {room for pk in alerts if pk in self.alerts and (room := self.alerts[pk].room_id)}

    def rooms_under(self, outage: Alert) -> list[tuple[UUID, int]]:
        return [(one.id, room) for room, one in self._waiting_rooms.items() if self._fell_under(one, outage)]

    def _fell_under(self, alert: Alert, outage: Alert) -> bool:
        """As `alerts.actions.outage_rows.rooms_of_outage`: an agent's outage has its rooms itself."""
        covered = outage.covers_from
        assert covered is not None
        if outage.scope == Alert.Scope.AGENT:
            whose = alert.agent_id == outage.agent_id
        else:
            own = self.newest_outage(alert.agent_id, (0, 0)) if alert.agent_id else None
            theirs = own is not None and own.state != RESOLVED and _is_since(alert, own)
            whose = alert.from_source_id == outage.source_id and not theirs
        in_time = outage.resolved_at is None or alert.opened_at <= outage.resolved_at
        return whose and in_time and _is_since(alert, outage) and alert.last_event_at >= covered - LATE_AFTER

    def first_told_under(self, outage: Alert) -> datetime | None:
        under = [self._newest[room] for _, room in self.rooms_under(outage)]
        return min((one.tier_from for one in under if one.tier and one.tier_from), default=None)

    def first_failed(self, rooms: Collection[int], since: datetime) -> datetime | None:
        return None  # nobody looks at its ladder

    def write_rooms(self, rooms: Collection[Room]) -> None:
        for room in rooms:
            if room.due_at is not None and self._stalls_lined_up.get(room.id) != room.due_at:
                self._stalls_lined_up[room.id] = room.due_at
                heappush(self.stalls, (room.due_at, room.id))

    def write_alerts(self, alerts: Collection[Alert]) -> None:
        for alert in alerts:
            self.otherwise.pop(id(alert), None)
            if id(alert) not in self._lined_up:
                self.keep(alert)
            elif alert.room_id is not None and len(self._of_room[alert.room_id]) > 1:
                self._newest[alert.room_id] = max(self._of_room[alert.room_id], key=_stands)
            self._follow(alert)
            self.line_up(alert)

    def line_up(self, alert: Alert) -> None:
        """It stands in line for its next timer."""
        if alert.due_at is not None and self._lined_up[id(alert)] != alert.due_at:
            self._lined_up[id(alert)] = alert.due_at
            self._count += 1
            heappush(self.due, (alert.due_at, self._count, alert))

    def _follow(self, alert: Alert) -> None:
        """Know without a search what is looked for all the time: rooms that wait for somebody, outages that last."""
        if alert.room_id is not None:
            if self._newest[alert.room_id].state == OPEN:
                self._waiting_rooms[alert.room_id] = self._newest[alert.room_id]
            else:
                self._waiting_rooms.pop(alert.room_id, None)
        elif alert.is_outage:
            if alert.state != RESOLVED or alert.released_at is None:
                self._lasting[alert.id] = alert
            else:
                self._lasting.pop(alert.id, None)

    def next_due(self) -> datetime | None:
        """When the next timer or stall is due; what is not due any more at its time in line leaves it."""
        while self.due and self.due[0][2].due_at != self.due[0][0]:
            at, _, alert = heappop(self.due)
            self.forget_due(alert, at)
        while self.stalls and self._rooms_by_pk[self.stalls[0][1]].due_at != self.stalls[0][0]:
            at, pk = heappop(self.stalls)
            if self._stalls_lined_up.get(pk) == at:
                del self._stalls_lined_up[pk]
        if self.due and self.stalls:
            return min(self.due[0][0], self.stalls[0][0])
        return self.due[0][0] if self.due else self.stalls[0][0] if self.stalls else None

    def forget_due(self, alert: Alert, at: datetime) -> None:
        """It stands in line no more; it may come again for the same time."""
        if self._lined_up[id(alert)] == at:
            self._lined_up[id(alert)] = None

    def keep(self, alert: Alert) -> None:
        """A new alert."""
        self.alerts[alert.id] = alert
        self._lined_up[id(alert)] = None
        if alert.room_id is not None:
            self._of_room[alert.room_id].append(alert)
            self._newest[alert.room_id] = max(self._of_room[alert.room_id], key=_stands)
        elif alert.is_outage and alert.scope == Alert.Scope.SOURCE:
            self._source_outages[alert.org_id, alert.source_id or 0].append(alert)
        elif alert.is_outage:
            self._outages[alert.agent_id or 0].append(alert)

    def newest_of_room(self, room: int) -> Alert | None:
        return self._newest.get(room)

    def newest_outage(self, agent: int | None, source: SourceKey) -> Alert | None:
        """The last one that began here of this agent, else of this source."""
        found = self._outages.get(agent) if agent else self._source_outages.get(source)
        return found[-1] if found else None

    def write_events(self, events: Sequence[EventRow]) -> None:
        for event in events:
            self._failures[event.room_id].append(event)
            if event.severity == CRITICAL and event.reason not in ("late", "above_threshold", "same_run"):
                self._critical[event.agent_id or 0].append((event.received_at, event.room_id))
                self._critical_of[event.source_id].append((event.received_at, event.agent_id or 0, event.room_id))
                self._critical_in[event.room_id].append((event.received_at, event.agent_id, event.source_id))
            if event.run_id and event.reason not in ("above_threshold", "same_run"):
                self._of_run[event.org_id, event.run_id, event.signal].append(event)

    def write_transitions(self, transitions: Sequence[TransitionRow]) -> None:
        self.transitions += transitions
        for one in transitions:
            if one.event_id is not None:
                if one.change in ("opened", "rearmed"):
                    self._opening.add(one.event_id)
                if one.change != "attached" and (alert := self.alerts[one.alert_id]).agent_id:
                    self._began[alert.from_source_id, alert.agent_id].append((one.at, alert))
                self._episodes[one.event_id] = max(one.episode, self._episodes.get(one.event_id, 0))

    def after_commit(self, changed: Collection[UUID], *, due: bool) -> None:
        pass

    # --- timers -------------------------------------------------------------------------------------------------------

    def due_rooms(self, now: datetime, limit: int, held: datetime | None = None) -> list[int]:
        raise NotImplementedError  # a replay says itself whose time has come

    def due_outages(self, now: datetime, held: datetime | None = None) -> list[UUID]:
        open_ones = (one for one in self._lasting.values() if one.state != RESOLVED)
        return [one.id for one in open_ones if one.due_at is not None and one.due_at <= now]

    def outages_over(self) -> list[UUID]:
        over = [one for one in self._lasting.values() if one.resolved_at and not one.released_at]
        return [one.id for one in sorted(over, key=lambda one: one.resolved_at or self.at)] if over else []

    # --- outages ------------------------------------------------------------------------------------------------------

    def lock_agents(self, pks: Sequence[int]) -> None:
        pass

    def open_outages(self, agents: Iterable[AgentKey], *, lock: bool = False, lasting: bool = False) -> list[Alert]:
        newest = [self._outages[pk][-1] for _, pk in agents if self._outages.get(pk)]
        newest += [some[-1] for some in self._source_outages.values()]
        return [one for one in newest if one.state != RESOLVED]

    def lock_sources(self, keys: Sequence[SourceKey]) -> None:
        pass

    def name_source_outage(self, source: SourceKey, now: datetime) -> UUID:
        return self._name_near(self.ids_of_source.get(source, ()), now)

    def source_outages_ended(self, orgs: Collection[int]) -> dict[SourceKey, datetime]:
        ended = (
            (key, [one.resolved_at for one in some if one.resolved_at]) for key, some in self._source_outages.items()
        )
        return {key: max(times) for key, times in ended if times}

    def failing_rooms_of_sources(self, since: Mapping[SourceKey, datetime]) -> Iterable[tuple[int, int, int, int]]:
        found = set()
        for (org, source), begin in since.items():
            for at, agent, room in reversed(self._critical_of.get(source, ())):
                if at <= begin:
                    break
                found.add((org, source, agent, room))
        return found

    def rooms_counted(self, outages: Sequence[UUID], rooms: Sequence[int]) -> Iterable[tuple[UUID, int]]:
        for pk in outages:
            outage = self.alerts[pk]
            since, whose, place = outage.covers_from, outage.source_id or outage.agent_id, 2 if outage.source_id else 1
            for room in rooms:
                if any(since and one[0] >= since and one[place] == whose for one in self._critical_in.get(room, ())):
                    yield pk, room

    def agents_under(self, outage: Alert) -> set[int]:
        return {agent for (source, agent) in self._began if source == outage.source_id and self._fell(agent, outage)}

    def _fell(self, agent: int, outage: Alert) -> bool:
        """Whether a room of this agent fell under the outage of a source."""
        assert outage.covers_from is not None
        for at, alert in reversed(self._began[outage.source_id, agent]):
            if at < outage.covers_from:
                break
            if self._fell_under(alert, outage):
                return True
        return False

    # --- what time does to rooms; nobody was down as far as a replay knows ------------------------------------------

    def notice_down(self) -> None:
        pass

    def downtimes(self, since: datetime) -> Downtimes:
        return NO_DOWNTIMES

    def was_silent(self, room: Room, since: datetime) -> bool:
        return False

    def due_stalls(self, now: datetime, limit: int, held: datetime | None = None) -> list[int]:
        due = []
        while self.stalls and self.stalls[0][0] <= now:
            at, pk = heappop(self.stalls)
            if self._stalls_lined_up.get(pk) == at:
                del self._stalls_lined_up[pk]
                if self._rooms_by_pk[pk].due_at == at:
                    due.append(pk)
        return due

    def put_off_stall(self, room: int, until: datetime) -> None:
        self._rooms_by_pk[room].due_at = until

    # --- who comes on duty --------------------------------------------------------------------------------------------

    def open_alerts(
        self, orgs: Iterable[int], now: datetime, *, waiting: bool | None, only: Collection[UUID] | None = None
    ) -> list[Alert]:
        found = [one for one in self.alerts.values() if one.state == OPEN and one.duty_waits == bool(waiting)]
        if waiting:
            found = [one for one in found if one.hours_until is None or one.hours_until > now]
        elif waiting is None:
            found = [one for one in found if (one.tier, one.tier_from, one.last_told_at) == (0, None, None)]
        else:
            found = [one for one in found if one.tier > 0]
        return [one for one in found if is_of_rooms(one) and not self._is_held(one, now)]

    def _is_held(self, alert: Alert, now: datetime) -> bool:
        held = alert.held_until is not None and alert.held_until > now
        return held or alert.is_snoozed(now) or alert.is_silenced(now) or self.is_covered(alert)

    def is_covered(self, alert: Alert) -> bool:
        """Whether it is under an outage."""
        return self.covering(alert) is not None

    def covering(self, alert: Alert) -> Alert | None:
        """The open outage that it is under: that of its agent goes before that of its source."""
        source = self._source_outages.get((alert.org_id, alert.from_source_id or 0))
        for some in (self._outages.get(alert.agent_id or 0), source):
            if some and some[-1].state != RESOLVED and is_under(alert, some[-1]):
                return some[-1]
        return None

    def duty_orgs(self, since: datetime) -> set[int]:
        return {org for org, _ in self._rooms}

    def duty_seen(self, now: datetime) -> datetime | None:
        return self.seen

    def see_duty(self, now: datetime) -> None:
        pass  # a replay says itself since when it looks

    def outages_ended(self, agents: Iterable[AgentKey]) -> dict[int, datetime | None]:
        return {pk: self._outages[pk][-1].resolved_at for _, pk in agents if self._outages.get(pk)}

    def failing_rooms(self, agents: Sequence[int], since: Sequence[datetime]) -> Iterable[tuple[int, int]]:
        found = set()
        for agent, begin in zip(agents, since, strict=True):
            for at, room in reversed(self._critical.get(agent, ())):
                if at <= begin:
                    break
                found.add((agent, room))
        return found


def _is_since(alert: Alert, outage: Alert) -> bool:
    """Whether this alert began since what the outage covers."""
    return outage.covers_from is not None and alert.opened_at >= outage.covers_from


def _stands(alert: Alert) -> tuple[bool, datetime]:
    return alert.state != RESOLVED, alert.opened_at
