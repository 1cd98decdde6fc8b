"""The rooms of one transaction, locked, and every change to their alerts, written together at the end.

The book keeps each row as it was loaded. On closing it writes what differs: nobody says that a room changed, and
nobody can forget it. An alert that changed needs a `record()`, so that its timeline says why; without one, closing
raises UnrecordedChange and the transaction stores nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Model

from alerts import feed
from alerts.actions.known import Known
from alerts.actions.tables import Table, as_json
from alerts.actions.telling import PUSHES, Outbox, Telling
from alerts.decide import acknowledge_lasts, next_timer, repeats_passed
from alerts.failpoints import failpoint
from alerts.items import RoomNames
from alerts.models import Alert, FailureEvent, Push, Room, Transition
from alerts.rows import EventRow, TransitionRow
from orgs.models import Org, PersonalData, User

ALERT_FIELDS = [f.attname for f in Alert._meta.concrete_fields if f.name not in ("id", "org", "scope", "room")]
ROOM_FIELDS = [f.attname for f in Room._meta.concrete_fields if f.name not in ("id", "org", "room_id")]
# Of an alert: what the book and the acts keep for themselves. Nobody sees it change.
BOOKKEEPING = {
    "version", "updated_at", "due_at", "last_reason", "last_told_at", "occurrence", "timer_failures", "undoable",
}  # fmt: skip
ALL_OF_ALERT, ALL_OF_ROOM = ([f.attname for f in model._meta.concrete_fields] for model in (Alert, Room))
ALERTS, ROOMS = Table(Alert, ALL_OF_ALERT), Table(Room, ALL_OF_ROOM)
EVENTS = Table(FailureEvent, [name for name in EventRow.__struct_fields__ if name != "id"])
TRANSITIONS = Table(Transition, TransitionRow.__struct_fields__)
ROOM_COLUMNS = ", ".join(f"room.{name}" for name in ALL_OF_ROOM)
WANTED = "json_to_recordset(%b::json) AS wanted (org_id bigint, room_id varchar)"
LOCK = (
    f"SELECT {ROOM_COLUMNS} FROM alerts_room room JOIN {WANTED} USING (org_id, room_id)"  # noqa: S608 - our own columns
    " ORDER BY room.org_id, room.room_id FOR UPDATE OF room"
)
# A room that is new is locked by whoever makes it.
MAKE = (
    "INSERT INTO alerts_room AS room (org_id, room_id, label, channel, url, last_customer_text, state)"  # noqa: S608
    f" SELECT org_id, room_id, '', '', '', '', '{Room.State.BOT.value}' FROM {WANTED}"
    f" ON CONFLICT DO NOTHING RETURNING {ROOM_COLUMNS}"
)
# The open alert of each room, else its newest.
NEWEST = (
    f"SELECT DISTINCT ON (room_id) {', '.join(ALL_OF_ALERT)} FROM alerts_alert"  # noqa: S608
    f" WHERE room_id = ANY(%b::bigint[]) ORDER BY room_id, state = '{Alert.State.RESOLVED.value}', opened_at DESC"
)
FOLLOWED = {"customer_waiting_since", "human_acted_at"}  # of an alert: follows its room, without a transition


def worsen(alert: Alert, severity: str, now: datetime) -> None:
    """A higher severity: repeats start anew, no snooze holds them, and an acknowledge lasts no longer than for it."""
    alert.severity = severity
    alert.ladder_from, alert.repeats_done, alert.snoozed_until = now, 0, None
    if alert.acknowledge_expires_at is not None:
        alert.acknowledge_expires_at = min(alert.acknowledge_expires_at, now + acknowledge_lasts(severity))


class UnrecordedChange(Exception):
    """An alert changed, and no transition says why: a fault of the code that changed it."""


def _values(row: Model, fields: Iterable[str]) -> dict[str, Any]:
    """The fields of a row, to compare: lists as JSON, for they change in place."""
    held = row.__dict__
    return {name: msgspec.json.encode(held[name]) if type(held[name]) is list else held[name] for name in fields}


def _row(row: Model, columns: Iterable[str]) -> dict[str, Any]:
    """A row of a model as it is written."""
    held = row.__dict__
    return {name: held[name] for name in columns}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened in a room: a kind of activity, or a failure. `key`: its id; `who`: pk of a user.

    Of a failure: since when the customer waits because of it (None: nobody does), and whether it handed the room over.
    """

    at: datetime
    kind: str
    key: str
    received_at: datetime
    who: int | None = None
    waits_since: datetime | None = None
    handoff: bool = False


class Book:
    """Lock rooms, change their alerts, `close()`. Use inside `transaction.atomic()`; `now` is the decision's time."""

    def __init__(self, now: datetime, known: Known | None = None) -> None:
        """`known`: what is known of orgs, agents and people; None: it is read when it is needed."""
        self.now = now
        self.known = known or Known()
        self.rooms: dict[tuple[int, str], Room] = {}
        self.alerts: dict[int, Alert] = {}  # by room pk: the open one, else the newest
        self.events: list[EventRow] = []
        self.transitions: list[TransitionRow] = []
        self._caused: list[tuple[TransitionRow, EventRow]] = []
        self._tellings: list[Telling] = []  # not planned yet
        self.outbox = Outbox(now, self.known.people)
        self._new: set[int] = set()  # pks of the rooms made here
        # By room pk: what this transaction was told, after what it read of those `recalled` from the database.
        self.moments: dict[int, list[Moment]] = {}
        self.recalled: set[int] = set()
        self._loaded: dict[int | UUID, dict[str, Any]] = {}  # the locked rows as they were, by pk
        self._alerts: dict[UUID, Alert] = {}  # all that were loaded or touched
        self._touched: set[UUID] = set()
        self._recorded: set[UUID] = set()

    # --- locking -----------------------------------------------------------------------------------------------------

    def lock(self, keys: Iterable[tuple[int, str]]) -> None:
        """Lock the rooms (org pk, room id), making those that are new, and load their alerts."""
        wanted = sorted(set(keys))
        self._keep_rooms(LOCK, wanted)
        if missing := [key for key in wanted if key not in self.rooms]:
            self._new = {room.pk for room in self._keep_rooms(MAKE, missing)}
            if taken := [key for key in missing if key not in self.rooms]:  # made by somebody else just now
                self._keep_rooms(LOCK, taken)
        self._load_alerts()

    def _keep_rooms(self, statement: str, keys: list[tuple[int, str]]) -> list[Room]:
        rooms = ROOMS.load(statement, [as_json([{"org_id": org, "room_id": room} for org, room in keys])])
        return [self._keep_room(room) for room in rooms]

    def _keep_room(self, room: Room) -> Room:
        self.rooms[room.org_id, room.room_id] = room
        self._loaded[room.pk] = _values(room, ROOM_FIELDS)
        return room

    def lock_rooms(self, pks: Iterable[int], *, skip_locked: bool = False) -> None:
        """Lock existing rooms by primary key; with `skip_locked` leave out those somebody else works on."""
        rows = Room.objects.filter(pk__in=set(pks)).order_by("org_id", "room_id")
        for room in rows.select_for_update(of=("self",), skip_locked=skip_locked):
            self._keep_room(room)
        self._load_alerts()

    def lock_alert(self, alert_id: UUID) -> Alert:
        """Lock an alert itself, after its room if it has one. Raises Alert.DoesNotExist outside the scope."""
        rows = Alert.objects.select_related("org", "agent", "source")
        alert = rows.select_for_update(of=("self",)).get(pk=alert_id)
        if alert.room_id is not None:
            current = self.alerts.get(alert.room_id)
            if current == alert:
                return current
            alert.room = next(room for room in self.rooms.values() if room.pk == alert.room_id)
        self._keep_alert(alert)
        return alert

    def _keep_alert(self, alert: Alert) -> None:
        self._alerts[alert.pk] = alert
        self._loaded[alert.pk] = _values(alert, ALERT_FIELDS)

    def _load_alerts(self) -> None:
        rooms = {room.pk: room for room in self.rooms.values() if room.pk not in self._new}
        if not rooms:
            return
        alerts = ALERTS.load(NEWEST, [list(rooms)])
        orgs = self.known.orgs({alert.org_id for alert in alerts})
        agents = self.known.agents_by_pk({alert.agent_id for alert in alerts if alert.agent_id})
        for alert in alerts:
            assert alert.room_id is not None
            alert.org, alert.room = orgs[alert.org_id], rooms[alert.room_id]
            alert.agent = agents[alert.agent_id] if alert.agent_id else None
            self.alerts[alert.room_id] = alert
            self._keep_alert(alert)

    # --- changing ----------------------------------------------------------------------------------------------------

    def open_alert(self, room: Room) -> Alert | None:
        """The alert of this room that is not resolved."""
        alert = self.alerts.get(room.pk)
        return alert if alert is not None and alert.state != Alert.State.RESOLVED else None

    def remember(self, room: Room, org: Org, names: RoomNames) -> None:
        """Keep what is said of the room, of a customer's name and words only where the org keeps them."""
        for field in names.__struct_fields__:
            value = getattr(names, field)
            personal = field in ("label", "last_customer_text")
            if value and not (personal and org.personal_data == PersonalData.DROP):
                setattr(room, field, value)

    def touch(self, alert: Alert) -> None:
        """The alert looks different now, without a transition (somebody waits, or no longer): a new version."""
        alert.version += 1
        alert.updated_at = self.now
        self._alerts[alert.pk] = alert
        self._touched.add(alert.pk)

    def record(
        self,
        alert: Alert,
        change: str,
        reason: str = "",
        *,
        at: datetime | None = None,
        actor: User | None = None,
        event: EventRow | None = None,
        detail: dict[str, Any] | None = None,
        notify: bool = False,
    ) -> None:
        """One change of an alert with its reason; with `notify` people are told."""
        self.touch(alert)
        alert.occurrence += notify
        transition = TransitionRow(
            org_id=alert.org_id,
            alert_id=alert.pk,
            at=at or self.now,
            change=change,
            reason=reason,
            episode=alert.episode,
            actor_id=actor.pk if actor else None,
            detail=detail or {},
            occurrence=alert.occurrence if notify else 0,
        )
        self.transitions.append(transition)
        self._recorded.add(alert.pk)
        if event is not None:
            self._caused.append((transition, event))
        if reason:
            alert.last_reason = reason
        if notify:
            self._tellings.append(Telling(alert, transition, event, reason, alert.occurrence, alert.severity))

    def expire(self, alert: Alert, notify: bool, *, actor: User | None = None, detail: dict[str, Any]) -> None:
        """The alert is open again; with `notify` people are told, the repeats that lie in the past at once."""
        if notify:
            alert.repeats_done = repeats_passed(alert.facts, self.now)
        self.record(alert, "expired", "repeat_due" if notify else "", actor=actor, detail=detail, notify=notify)

    # --- writing -----------------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Plan the pushes of what was decided so far, as it stands now: what comes later does not reword them."""
        if self._tellings:
            self.outbox.plan(self._tellings, [room.pk for room in self.rooms.values() if room.pk not in self._new])
            self._tellings = []

    def close(self) -> None:
        """Plan what is not planned yet and write everything; after commit publish the alerts and kick the sweep.

        Raises IntegrityError.
        """
        self.tell()
        self._write_changed()
        for event, (pk,) in zip(self.events, EVENTS.insert(self.events, returning="id"), strict=True):
            event.id = pk
        for transition, event in self._caused:
            transition.event_id = event.id
        TRANSITIONS.insert(self.transitions)
        self.outbox.supersede()
        failpoint("fan_out")
        PUSHES.insert(self.outbox.pushes)
        failpoint("before_commit")
        transaction.on_commit(lambda: failpoint("before_kick"))
        published, due = frozenset(self._touched), any(p.state == Push.State.PENDING for p in self.outbox.pushes)
        transaction.on_commit(lambda: feed.publish(published), robust=True)
        if due:
            transaction.on_commit(feed.kick, robust=True)

    def _write_changed(self) -> None:
        """Write the rooms and alerts that differ from what was loaded, each alert with its next timer."""
        rooms = {room.pk: room for room in self.rooms.values() if self._changed(room, ROOM_FIELDS)}
        alerts = []
        for alert in list((self._alerts | {one.pk: one for one in self.alerts.values()}).values()):
            changed = self._notice(alert)
            if changed or alert.room_id in rooms:
                timer = next_timer(alert.facts, alert.room.facts) if alert.room else None
                before, alert.due_at = alert.due_at, timer[0] if timer else None
                alerts += [alert] if changed or alert.due_at != before else []
        ROOMS.put([_row(room, ALL_OF_ROOM) for room in rooms.values()])
        ALERTS.put([_row(alert, ALL_OF_ALERT) for alert in alerts])

    def _changed(self, row: Room | Alert, fields: list[str]) -> set[str]:
        """The fields that differ from what was loaded; of a new row all."""
        before = self._loaded.get(row.pk, {})
        return {name for name, value in _values(row, fields).items() if name not in before or before[name] != value}

    def _notice(self, alert: Alert) -> set[str]:
        """What changed of the alert, which looks different then. Raises UnrecordedChange if nothing says why."""
        changed = self._changed(alert, ALERT_FIELDS)
        seen = changed - BOOKKEEPING
        if seen - FOLLOWED and alert.pk not in self._recorded:
            raise UnrecordedChange(f"alert {alert.pk}: {', '.join(sorted(seen - FOLLOWED))}")
        if seen and alert.pk not in self._touched:
            self.touch(alert)
        return changed
