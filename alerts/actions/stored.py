"""What the actions read and write of alerts: one seam between the rules and where the rows are.

Whoever decides asks `stored()`. That is PostgreSQL, unless a replay (alerts/replay) put its own in this place, where
the same actions run on rows in memory. So a new read or write of an action goes here: as a method of `Stored`, and of
`alerts.replay.memory.Memory` if what it reads changes while alerts are decided. What it reads of the set-up (who is on
duty, what is silenced) is asked of `known` instead, which a replay has as it was.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, Min, OuterRef, Q, QuerySet

from alerts import feed
from alerts.actions.outage_rows import AgentKey, SourceKey, rooms_of_outage, rooms_under
from alerts.actions.statements import (
    ALL_OF_ALERT,
    ALL_OF_ROOM,
    ANYTHING_DUE,
    COUNTED,
    FAILING,
    FAILING_OF_SOURCES,
    FIRST,
    FIRST_FAILED,
    KEEP_OPEN,
    LOCK,
    LOCK_AGENTS,
    LOCK_OUTAGES,
    LOCK_SOURCES,
    MAKE,
    NEWEST,
    OPEN_OUTAGES,
    OUTAGES_ENDED,
    SOURCE_OUTAGES_ENDED,
    UNREACHED,
    WAITING,
)
from alerts.actions.stored_duty import StoredDuty
from alerts.actions.stored_tellings import StoredTellings
from alerts.blind import GRACE, Downtimes, notice_down
from alerts.decide import TO_HOLDER
from alerts.failpoints import failpoint
from alerts.known import Known
from alerts.models import (
    Alert,
    BlindInterval,
    FailureEvent,
    Room,
    RoomActivity,
    Transition,
    new_id,
)
from alerts.rows import ActivityRow, EventRow, TransitionRow
from alerts.tables import Table, as_json, fetch
from orgs import clock

RoomKey = tuple[int, str]  # org pk, room id

ALERTS, ROOMS = Table(Alert, ALL_OF_ALERT), Table(Room, ALL_OF_ROOM)
EVENTS = Table(FailureEvent, [name for name in EventRow.__struct_fields__ if name != "id"])
TRANSITIONS = Table(Transition, TransitionRow.__struct_fields__)
ACTIVITY = Table(RoomActivity, ActivityRow.__struct_fields__)

NO_MOMENTS = ("late", "above_threshold", "to_agent")  # reasons of failure events that change no room
READ_AT_MOST = 300  # moments of a room, the newest


class Stored(StoredDuty, StoredTellings):
    """In PostgreSQL. What is said to lock holds until the transaction ends."""

    compares = True  # a book writes what differs from what it was given; else all that it holds

    def now(self) -> datetime:
        """The time now, of the acts of people; other callers name their own."""
        return clock.now()

    def known(self) -> Known:
        """What is known of orgs, agents, policies and people, read when it is needed."""
        return Known()

    def atomic(self) -> AbstractContextManager[Any]:
        """One transaction."""
        return transaction.atomic()

    # --- rooms and alerts ---------------------------------------------------------------------------------------------

    def lock_rooms(self, wanted: Sequence[RoomKey]) -> tuple[list[Room], set[int]]:
        """These rooms (sorted), locked, and the pks of those that are new and were made."""
        found = _rooms(LOCK, wanted)
        missing = _without(wanted, found)
        made = _rooms(MAKE, missing) if missing else []
        if taken := _without(missing, made):  # made by somebody else just now
            found += _rooms(LOCK, taken)
        return found + made, {room.pk for room in made}

    def lock_rooms_by_pk(self, pks: Iterable[int], *, skip_locked: bool = False) -> Iterable[Room]:
        """Existing rooms, locked; with `skip_locked` without those somebody else works on."""
        rows = Room.objects.filter(pk__in=set(pks)).order_by("org_id", "room_id")
        return rows.select_for_update(of=("self",), skip_locked=skip_locked)

    def waiting_rooms(self, wanted: Sequence[Mapping[str, Any]]) -> set[RoomKey]:
        """Those of these rooms (`org_id`, `room_id`) whose customer waits."""
        return set(fetch(WAITING, [as_json(wanted)]))

    def new_alert(self, **fields: Any) -> Alert:
        """An alert that is not written yet."""
        return Alert(**fields)

    def newest_alerts(self, rooms: Sequence[int]) -> list[Alert]:
        """The open alert of each of these rooms, else its newest; without their orgs, rooms and agents."""
        return ALERTS.load(NEWEST, [list(rooms)])

    def alert(self, pk: UUID) -> Alert:
        """An alert as it is. Raises Alert.DoesNotExist outside the scope."""
        return Alert.objects.get(pk=pk)

    def lock_alert(self, pk: UUID) -> Alert:
        """An alert, locked, with its org, agent and source. Raises Alert.DoesNotExist outside the scope."""
        rows = Alert.objects.select_related("org", "agent", "source")
        return rows.select_for_update(of=("self",)).get(pk=pk)

    def name_alert(self, event: EventRow) -> UUID:
        """The id of the alert that this event opens."""
        return new_id()

    def name_outage(self, agent: AgentKey, now: datetime) -> UUID:
        """The id of the outage of this agent that begins now."""
        return new_id()

    def name_source_outage(self, source: SourceKey, now: datetime) -> UUID:
        """The id of the outage of this source, in this org, that begins now."""
        return new_id()

    def rooms_of(self, alerts: Iterable[UUID]) -> set[int]:
        """The rooms of these alerts, by pk."""
        return set(Alert.objects.filter(pk__in=alerts).values_list("room_id", flat=True))

    def rooms_under(self, outage: Alert) -> list[tuple[UUID, int]]:
        """The alerts of rooms that are under this outage, or were when it ended and still wait: (alert, room pk)."""
        return list(rooms_under(outage).values_list("pk", "room_id"))

    def first_told_under(self, outage: Alert) -> datetime | None:
        """When people were told of the first of the rooms under this outage that nobody has; None: of none."""
        told = rooms_under(outage).filter(tier__gt=0)
        return told.order_by().aggregate(first=Min("tier_from"))["first"]

    def first_failed(self, rooms: Collection[int], since: datetime) -> datetime | None:
        """When the first of these rooms failed, of what was heard since then."""
        return fetch(FIRST_FAILED, [list(rooms), since])[0][0]

    def write_rooms(self, rooms: Collection[Room]) -> None:
        """Rooms as they are now."""
        ROOMS.put([_row(room, ALL_OF_ROOM) for room in rooms])

    def write_alerts(self, alerts: Collection[Alert]) -> None:
        """Alerts as they are now; those that are new are made."""
        ALERTS.put([_row(alert, ALL_OF_ALERT) for alert in alerts])

    def write_events(self, events: Sequence[EventRow]) -> None:
        """New failure events, each with its id from now on."""
        for event, (pk,) in zip(events, EVENTS.insert(events, returning="id"), strict=True):
            event.id = pk

    def write_activities(self, activities: Sequence[ActivityRow]) -> None:
        """New room activity."""
        ACTIVITY.insert(activities)

    def write_transitions(self, transitions: Sequence[TransitionRow]) -> None:
        """What changed of alerts, and why."""
        TRANSITIONS.insert(transitions)

    def after_commit(self, changed: Collection[UUID], *, due: bool) -> None:
        """Once it is committed, publish these alerts, and if a push is due kick the sweep."""
        transaction.on_commit(lambda: failpoint("before_kick"))
        transaction.on_commit(partial(feed.publish, changed), robust=True)
        if due:
            transaction.on_commit(feed.kick, robust=True)

    # --- timers -------------------------------------------------------------------------------------------------------

    def notice_down(self) -> None:
        """Look whether a web process is there."""
        notice_down()

    def downtimes(self, since: datetime) -> Downtimes:
        """When we were down since then, or shortly before."""
        return Downtimes.read(since)

    def anything_due(self, now: datetime, died_since: datetime, expired_since: datetime) -> bool:
        """Whether a sweep would find anything; what waits for a duty to begin aside."""
        ((found,),) = fetch(ANYTHING_DUE, [now, now, now, died_since, died_since, expired_since])
        return bool(found)

    def due_rooms(self, now: datetime, limit: int, held: datetime | None = None) -> list[int]:
        """The rooms whose alert's time has come, oldest first, by pk; what fell due from `held` on waits."""
        due = Alert.objects.filter(due_at__lte=now, room__isnull=False).exclude(state=Alert.State.RESOLVED)
        due = due.filter(due_at__lt=held) if held else due
        return [room for room in due.order_by("due_at").values_list("room_id", flat=True)[:limit] if room is not None]

    def due_stalls(self, now: datetime, limit: int, held: datetime | None = None) -> list[int]:
        """The rooms whose human has stalled by now, oldest first, by pk; not those whose source is silent."""
        due = Room.objects.filter(due_at__lte=now).exclude(Exists(_silences(OuterRef(OuterRef("pk")), now - GRACE)))
        due = due.filter(due_at__lt=held) if held else due
        return list(due.order_by("due_at").values_list("pk", flat=True)[:limit])

    def put_off_stall(self, room: int, until: datetime) -> None:
        """Look at this room again then."""
        Room.objects.filter(pk=room).update(due_at=until)

    def was_silent(self, room: Room, since: datetime) -> bool:
        """Whether a source that tells of this room was silent at some time since then."""
        return _silences(room.pk, since).exists()

    def source_of_customer(self, room: Room) -> int | None:
        """The source that told of the customer's newest message in this room."""
        told = RoomActivity.objects.filter(room=room, kind=RoomActivity.Kind.CUSTOMER_MESSAGE, source__isnull=False)
        return told.order_by("-at").values_list("source_id", flat=True).first()

    def due_outages(self, now: datetime, held: datetime | None = None) -> list[UUID]:
        """The open outages whose time has come; what fell due from `held` on waits."""
        due = Alert.objects.filter(due_at__lte=now, covers_from__isnull=False).exclude(state=Alert.State.RESOLVED)
        due = due.filter(due_at__lt=held) if held else due
        return list(due.values_list("pk", flat=True))

    def outages_over(self) -> list[UUID]:
        """The outages that ended and whose rooms are not told yet, oldest first."""
        over = Alert.objects.filter(state=Alert.State.RESOLVED, covers_from__isnull=False, released_at=None)
        return list(over.order_by("resolved_at").values_list("pk", flat=True))

    def unreached(self, since: datetime, now: datetime) -> dict[UUID, int | None]:
        """Open alerts of whose present tier every push died, one of them since then: their rooms, None of an outage."""
        return {alert: room for room, alert in fetch(UNREACHED, [since, now, now])}

    # --- outages ------------------------------------------------------------------------------------------------------

    def lock_agents(self, pks: Sequence[int]) -> None:
        """Nobody else counts the failing rooms of these agents."""
        fetch(LOCK_AGENTS, [pks])

    def lock_sources(self, keys: Sequence[SourceKey]) -> None:
        """Nobody else counts the failing rooms of these sources (sorted)."""
        fetch(LOCK_SOURCES, [as_json([{"org": org, "source": source} for org, source in keys])])

    def open_outages(self, agents: Iterable[AgentKey], *, lock: bool = False, lasting: bool = False) -> list[Alert]:
        """The open outages of these agents, and of the sources of their orgs; without their orgs and agents.

        With `lock` nobody else changes them, with `lasting` nobody ends them, until the transaction ends.
        """
        orgs, pks = _apart(agents)
        found = ALERTS.load(LOCK_OUTAGES if lock else OPEN_OUTAGES, [orgs, pks, orgs])
        if not (lasting and found):
            return found
        stay = {pk for (pk,) in fetch(KEEP_OPEN, [[one.pk for one in found]])}
        return [one for one in found if one.pk in stay]

    def outages_ended(self, agents: Iterable[AgentKey]) -> dict[int, datetime | None]:
        """When the last outage of each that had one ended, by agent pk."""
        return dict(fetch(OUTAGES_ENDED, _apart(agents)))

    def failing_rooms(self, agents: Sequence[int], since: Sequence[datetime]) -> Iterable[tuple[int, int]]:
        """Rooms of each of these agents with a critical failure since then: (agent pk, room pk)."""
        return [(agent, room) for agent, room in fetch(FAILING, [agents, since])]

    def source_outages_ended(self, orgs: Collection[int]) -> dict[SourceKey, datetime]:
        """When the last outage of each source ended that had one in these orgs."""
        return {(org, source): at for org, source, at in fetch(SOURCE_OUTAGES_ENDED, [sorted(orgs)])}

    def failing_rooms_of_sources(self, since: Mapping[SourceKey, datetime]) -> Iterable[tuple[int, int, int, int]]:
        """Rooms with a critical failure that each of these sources told of since then: (org, source, agent, room)."""
        rows = [{"org": org, "source": source, "since": at} for (org, source), at in since.items()]
        return [(org, source, agent, room) for org, source, agent, room in fetch(FAILING_OF_SOURCES, [as_json(rows)])]

    def rooms_counted(self, outages: Sequence[UUID], rooms: Sequence[int]) -> Iterable[tuple[UUID, int]]:
        """Those of these rooms whose failures each of these outages has counted: (outage, room)."""
        return [(outage, room) for outage, room in fetch(COUNTED, [outages, rooms])]

    def agents_under(self, outage: Alert) -> set[int]:
        """The agents with rooms that fell under this outage, by pk."""
        rows = rooms_of_outage(outage).order_by().values_list("agent_id", flat=True).distinct()
        return {pk for pk in rows if pk is not None}

    # --- what was heard of rooms --------------------------------------------------------------------------------------

    def first_failures(self, wanted: Sequence[Mapping[str, Any]]) -> Iterable[tuple[Any, ...]]:
        """The first failure of each run and signal (`org_id`, `run_id`, `signal`), in each room: a row of FIRST."""
        return fetch(FIRST, [as_json(wanted)])

    def activities_since(self, room: Room, kinds: Sequence[str], since: datetime) -> Iterable[Any]:
        """What was said in the room after `since`, delivered, oldest first; of very much the newest."""
        rows = RoomActivity.objects.filter(room=room, kind__in=kinds, undelivered=False, at__gt=since)
        return reversed(rows.order_by("-at", "-id")[:READ_AT_MOST])

    def failures_since(self, room: Room, since: datetime) -> Iterable[Any]:
        """The failures in the room after `since` that meant something, oldest first; of very many the newest."""
        opened = Transition.objects.filter(event=OuterRef("pk"), change__in=("opened", "rearmed"))
        rows = FailureEvent.objects.filter(room=room, occurred_at__gt=since).exclude(signal__in=TO_HOLDER)
        rows = rows.exclude(~Exists(opened), reason__in=NO_MOMENTS)
        return reversed(rows.order_by("-occurred_at", "-id")[:READ_AT_MOST])

    def has_event(self, room: Room, source: int, event_id: str) -> bool:
        """Whether this failure event of the room was written before."""
        return FailureEvent.objects.filter(org=room.org_id, source=source, event_id=event_id).exists()

    def activities_heard(self, room: int, since: datetime, kinds: Sequence[str]) -> list[Any]:
        """What was heard of the room at `since` or later of these kinds, in the order in which it was heard."""
        rows = RoomActivity.objects.filter(room=room, kind__in=kinds, received_at__gte=since)
        return list(rows.order_by("id"))


_stored: ContextVar[Stored] = ContextVar("stored")
_postgresql = Stored()


def stored() -> Stored:
    """Where the actions of this thread read and write."""
    return _stored.get(_postgresql)


@contextmanager
def storing(place: Stored) -> Iterator[None]:
    """Within this block the actions read and write there."""
    token = _stored.set(place)
    try:
        yield
    finally:
        _stored.reset(token)


def _row(row: Alert | Room, columns: Iterable[str]) -> dict[str, Any]:
    """A row of a model as it is written."""
    held = row.__dict__
    return {name: held[name] for name in columns}


def _rooms(statement: str, keys: Sequence[RoomKey]) -> list[Room]:
    return ROOMS.load(statement, [as_json([{"org_id": org, "room_id": room} for org, room in keys])])


def _apart(agents: Iterable[AgentKey]) -> list[list[int]]:
    """The orgs of these agents, and their own pks."""
    pairs = list(agents)
    return [sorted({org for org, _ in pairs}), sorted({pk for _, pk in pairs})]


def _without(wanted: Sequence[RoomKey], found: Iterable[Room]) -> list[RoomKey]:
    known = {(room.org_id, room.room_id) for room in found}
    return [key for key in wanted if key not in known]


def _silences(room: Any, since: datetime) -> QuerySet[BlindInterval]:
    """The silences since then of the sources that tell of this room (its pk)."""
    silent = BlindInterval.objects.filter(Q(ends=None) | Q(ends__gt=since), cause="source_silent")
    return silent.filter(Exists(RoomActivity.objects.filter(room=room, source=OuterRef("source"))))
