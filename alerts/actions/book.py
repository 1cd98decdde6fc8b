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
from django.db import connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, Max, Model, Q, QuerySet

from alerts import feed
from alerts.decide import THROTTLE, acknowledge_lasts, next_timer, plan, repeats_passed
from alerts.delivery.message import idempotency_key, push_body
from alerts.failpoints import failpoint
from alerts.items import RoomNames
from alerts.models import Alert, FailureEvent, Push, Room, Transition, new_id
from orgs.models import Org, PersonalData, User
from orgs.routing import Recipient, recipients, specialists

ALERT_FIELDS = [f.attname for f in Alert._meta.concrete_fields if f.name not in ("id", "org", "scope", "room")]
ROOM_FIELDS = [f.attname for f in Room._meta.concrete_fields if f.name not in ("id", "org", "room_id")]
# Of an alert: what the book and the acts keep for themselves. Nobody sees it change.
BOOKKEEPING = {
    "version", "updated_at", "due_at", "last_reason", "last_told_at", "occurrence", "timer_failures", "undoable",
}  # fmt: skip
FOLLOWED = {"customer_waiting_since", "human_acted_at"}  # of an alert: follows its room, without a transition
TELLS = ("pending", "sending", "sent")  # states of a push that count as having told somebody


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


def _subject(room_id: int | None, source_id: int | None) -> str:
    """What pushes are throttled by: the room, for a source's alert the source, in whichever org it is silent."""
    return f"room {room_id}" if room_id else f"source {source_id}"


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


@dataclass
class Telling:
    """A decision to tell people; who gets a push is planned when the book is closed."""

    alert: Alert
    transition: Transition
    reason: str
    occurrence: int
    severity: str


class Book:
    """Lock rooms, change their alerts, `close()`. Use inside `transaction.atomic()`; `now` is the decision's time."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.rooms: dict[tuple[int, str], Room] = {}
        self.alerts: dict[int, Alert] = {}  # by room pk: the open one, else the newest
        self.transitions: list[Transition] = []
        self.tellings: list[Telling] = []
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
        self._lock_existing(wanted)
        missing = [key for key in wanted if key not in self.rooms]
        if missing:
            Room.objects.bulk_create(
                [Room(org_id=org, room_id=room_id) for org, room_id in missing], ignore_conflicts=True
            )
            self._lock_existing(missing)
        self._load_alerts()

    def lock_rooms(self, pks: Iterable[int], *, skip_locked: bool = False) -> None:
        """Lock existing rooms by primary key; with `skip_locked` leave out those somebody else works on."""
        self._lock_in_order(Room.objects.filter(pk__in=set(pks)), skip_locked=skip_locked)
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

    def _lock_existing(self, keys: list[tuple[int, str]]) -> None:
        rows = Room.objects.filter(org_id__in={org for org, _ in keys}, room_id__in={room for _, room in keys})
        self._lock_in_order(rows, set(keys))

    def _lock_in_order(
        self, rows: QuerySet[Room], wanted: set[tuple[int, str]] | None = None, skip_locked: bool = False
    ) -> None:
        """Lock the rows; keep those that are wanted, of None all."""
        for room in rows.order_by("org_id", "room_id").select_for_update(of=("self",), skip_locked=skip_locked):
            key = (room.org_id, room.room_id)
            if wanted is None or key in wanted:
                self.rooms[key] = room
                self._loaded[room.pk] = _values(room, ROOM_FIELDS)

    def _keep_alert(self, alert: Alert) -> None:
        self._alerts[alert.pk] = alert
        self._loaded[alert.pk] = _values(alert, ALERT_FIELDS)

    def _load_alerts(self) -> None:
        rooms = {room.pk: room for room in self.rooms.values()}
        rows = (
            Alert.objects.filter(room__in=rooms)
            .select_related("org", "agent")
            .annotate(is_closed=ExpressionWrapper(Q(state="resolved"), output_field=BooleanField()))
            .order_by("room_id", "is_closed", "-opened_at")
            .distinct("room_id")
        )
        for alert in rows:
            alert.room = rooms[alert.room_id]  # type: ignore[index]
            self.alerts[alert.room_id] = alert  # type: ignore[index]
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
        event: FailureEvent | None = None,
        detail: dict[str, Any] | None = None,
        notify: bool = False,
    ) -> None:
        """One change of an alert with its reason; with `notify` people are told."""
        self.touch(alert)
        transition = Transition(
            org_id=alert.org_id,
            alert=alert,
            at=at or self.now,
            change=change,
            reason=reason,
            episode=alert.episode,
            actor=actor,
            event=event,
            detail=detail or {},
        )
        self.transitions.append(transition)
        self._recorded.add(alert.pk)
        if reason:
            alert.last_reason = reason
        if notify:
            alert.occurrence += 1
            transition.occurrence = alert.occurrence
            self.tellings.append(Telling(alert, transition, reason, alert.occurrence, alert.severity))

    def expire(self, alert: Alert, notify: bool, *, actor: User | None = None, detail: dict[str, Any]) -> None:
        """The alert is open again; with `notify` people are told, the repeats that lie in the past at once."""
        if notify:
            alert.repeats_done = repeats_passed(alert.facts, self.now)
        self.record(alert, "expired", "repeat_due" if notify else "", actor=actor, detail=detail, notify=notify)

    # --- writing -----------------------------------------------------------------------------------------------------

    def close(self, events: list[FailureEvent] | None = None) -> None:
        """Plan the pushes and write everything; after commit publish the alerts and kick the sweep."""
        pushes = self._plan()
        self._write_changed()
        if events:
            FailureEvent.objects.bulk_create(events)
        for transition in self.transitions:
            transition.event = transition.event  # takes the pk that bulk_create just gave
        Transition.objects.bulk_create(self.transitions)
        self._supersede(pushes)
        failpoint("fan_out")
        Push.objects.bulk_create(pushes)
        failpoint("before_commit")
        transaction.on_commit(lambda: failpoint("before_kick"))
        published, due = frozenset(self._touched), any(p.state == Push.State.PENDING for p in pushes)
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
        if rooms:
            Room.objects.bulk_create(
                rooms.values(), update_conflicts=True, unique_fields=["id"], update_fields=ROOM_FIELDS
            )
        if alerts:
            Alert.objects.bulk_create(alerts, update_conflicts=True, unique_fields=["id"], update_fields=ALERT_FIELDS)

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

    def _plan(self) -> list[Push]:
        if not self.tellings:
            return []
        people = self._people()
        told = self._told()
        pushes: list[Push] = []
        for telling in self.tellings:
            alert = telling.alert
            found = people[alert.pk]
            if not found:
                telling.transition.reason = alert.last_reason = "unroutable"
                telling.transition.detail["wanted"] = telling.reason
                if telling.transition.event is not None:
                    telling.transition.event.reason = "unroutable"
                continue
            planned = [self._push(telling, person, told) for person in found]
            if any(push.state == Push.State.PENDING for push in planned):
                alert.last_told_at = self.now
            pushes += planned
        return pushes

    def _people(self) -> dict[UUID, list[Recipient]]:
        """Whom to tell of each alert: those who back up the agent, of a source's alert the specialists."""
        of_agent = recipients({(t.alert.org_id, t.alert.agent_id) for t in self.tellings if t.alert.agent_id})
        of_source = specialists() if any(t.alert.source_id for t in self.tellings) else []
        return {
            t.alert.pk: of_agent[(t.alert.org_id, t.alert.agent_id)] if t.alert.agent_id else of_source
            for t in self.tellings
        }

    def _told(self) -> dict[tuple[str, int], datetime]:
        """When each supervisor was last told of each subject within the throttle, by (subject, user pk)."""
        rows = (
            Push.objects.filter(
                Q(room__in={t.alert.room_id for t in self.tellings if t.alert.room_id})
                | Q(alert__source__in={t.alert.source_id for t in self.tellings if t.alert.source_id}),
                state__in=TELLS,
                kind=Push.Kind.ALERT,
                planned_at__gt=self.now - THROTTLE,
            )
            .values_list("room_id", "alert__source_id", "supervisor_id")
            .annotate(last=Max("planned_at"))
        )
        return {(_subject(room, source), supervisor): last for room, source, supervisor, last in rows}

    def _push(self, telling: Telling, person: Recipient, told: dict[tuple[str, int], datetime]) -> Push:
        alert, room = telling.alert, telling.alert.room
        about = (_subject(alert.room_id, alert.source_id), person.user_id)
        verdict = plan(telling.reason, told.get(about), self.now)
        push_id = new_id()
        push = Push(
            id=push_id,
            org_id=alert.org_id,
            alert=alert,
            room=room,
            supervisor_id=person.user_id,
            occurrence=telling.occurrence,
            tier=person.tier,
            reason=telling.reason,
            severity=telling.severity,
            idempotency_key=idempotency_key(push_id),
            planned_at=self.now,
        )
        if not verdict.send:
            push.state, push.ended_reason, push.ended_at = Push.State.SKIPPED, verdict.reason, self.now
            return push
        told[about] = self.now
        push.next_attempt_at = self.now
        push.body = push_body(
            push=push, alert=alert, org=alert.org, room=room, subject=str(alert.agent or alert.source), recipient=person
        )
        return push

    def _supersede(self, pushes: list[Push]) -> None:
        """A newer occurrence for the same supervisor and alert cancels what still waits to be sent."""
        newest = {(p.alert_id, p.supervisor_id): p for p in pushes if p.state == Push.State.PENDING}
        for push in pushes:
            newer = newest.get((push.alert_id, push.supervisor_id))
            if newer is not None and newer is not push and push.state == Push.State.PENDING:
                push.state, push.ended_reason, push.ended_at = Push.State.CANCELLED, "superseded", self.now
        again = [p for p in newest.values() if p.occurrence > 1]
        if not again:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE alerts_push p SET state = 'cancelled', ended_reason = 'superseded', ended_at = %s,"
                " next_attempt_at = NULL"
                " FROM unnest(%s::uuid[], %s::bigint[], %s::int[]) AS n(alert_id, supervisor_id, occurrence)"
                " WHERE p.alert_id = n.alert_id AND p.supervisor_id = n.supervisor_id"
                " AND p.occurrence < n.occurrence AND p.state = 'pending'",
                [
                    self.now,
                    [p.alert_id for p in again],
                    [p.supervisor_id for p in again],
                    [p.occurrence for p in again],
                ],
            )
