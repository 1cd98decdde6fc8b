"""The rooms of one transaction, locked, and every change to their alerts, written together at the end.

The book keeps each row as it was loaded. On closing it writes what differs: nobody says that a room changed, and
nobody can forget it. An alert that changed needs a `record()`, so that its timeline says why; without one, closing
raises UnrecordedChange and the transaction stores nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Model

from alerts.actions.outages import Outages, is_under
from alerts.actions.reply_window import follow_window
from alerts.actions.revoking import note_taken
from alerts.actions.silenced import SilencedAlerts
from alerts.actions.stored import stored
from alerts.actions.telling import Outbox, Telling
from alerts.actions.tiers import clock_stands_at, judge_tier_clock, resume_tier_clock, start_tier_clock
from alerts.blind import NO_DOWNTIMES, Downtimes
from alerts.decide import RoomFacts
from alerts.due import acknowledge_lasts, next_timer, repeats_passed
from alerts.failpoints import failpoint
from alerts.holding import stall_due
from alerts.items import RoomNames
from alerts.known import Known
from alerts.models import Alert, Push, Room
from alerts.policy import PolicyFacts
from alerts.rows import EventRow, TransitionRow
from orgs.models import Org, PersonalData, User

ALERT_FIELDS = [f.attname for f in Alert._meta.concrete_fields if f.name not in ("id", "org", "scope", "room")]
ROOM_FIELDS = [f.attname for f in Room._meta.concrete_fields if f.name not in ("id", "org", "room_id")]
# Of an alert: what the book and the acts keep for themselves. Nobody sees it change.
BOOKKEEPING = {
    "version", "updated_at", "due_at", "last_reason", "last_told_at", "occurrence", "timer_failures", "undoable",
    "held_until", "released_at", "silence_id", "silenced_from", "silenced_until",
    "ends_not_before", "window_closing_at", "window_told", "duty_waits", "hours_until",
}  # fmt: skip
# Of an alert: follows its room, without a transition.
FOLLOWED = {"customer_waiting_since", "human_acted_at", "window_ends_at", "window_over_at"}


PENDING, RESOLVED = Push.State.PENDING, Alert.State.RESOLVED


class UnrecordedChange(Exception):
    """An alert changed, and no transition says why: a fault of the code that changed it."""


def _values(row: Model, fields: Iterable[str]) -> dict[str, Any]:
    """The fields of a row, to compare: lists as JSON, for they change in place."""
    held = row.__dict__
    return {name: msgspec.json.encode(held[name]) if type(held[name]) is list else held[name] for name in fields}


class Moment(msgspec.Struct, frozen=True):
    """Something that happened in a room: a kind of activity, or a failure. `key`: its id; `who`: pk of a user.

    Of a failure: since when the customer waits because of it (None: nobody does), whether it handed the room over, and
    the run and signal it is one with (empty: it names no run); `again`: that one was told before. Of a run that ended
    well: when it had begun.
    """

    at: datetime
    kind: str
    key: str
    received_at: datetime
    who: int | None = None
    waits_since: datetime | None = None
    handoff: bool = False
    failure: str = ""
    again: bool = False
    began: datetime | None = None
    asks: bool = False  # of a customer's message
    unheard: bool = False  # of the bot's: who holds the room may have spoken, and we would not know


class Book:
    """Lock rooms, change their alerts, `close()`. Use inside `transaction.atomic()`; `now` is the decision's time."""

    def __init__(self, now: datetime, known: Known | None = None) -> None:
        """`known`: what is known of orgs, agents and people; None: it is read when it is needed."""
        self.now = now
        self.swept_at: datetime | None = None  # time alone is at work, and decides as of when each thing was due
        self._begun_at = now
        self.blind = False  # what is due now fell due while we were down: a digest names it
        self.downs: Downtimes = NO_DOWNTIMES  # of when the events to decide occurred, if that is long ago
        self.entered: Mapping[int, datetime] = {}  # by room pk: when a human entered it last, of what is told too late
        self.late_seconds = 0  # by which a timer runs late, if it is decided as of now and not of when it was due
        self.stored = stored()
        self.known = known or self.stored.known()
        self.rooms: dict[tuple[int, str], Room] = {}
        self.alerts: dict[int, Alert] = {}  # by room pk: the open one, else the newest
        self.events: list[EventRow] = []
        self.transitions: list[TransitionRow] = []
        self._caused: list[tuple[TransitionRow, EventRow]] = []
        self._tellings: list[Telling] = []  # not planned yet
        self.outages = Outages(self)
        self.silenced = SilencedAlerts(self)
        self.outbox = Outbox(now, self.known, self.outages, self.silenced)
        self._new: set[int] = set()  # pks of the rooms made here
        # By room pk: what this transaction was told, after what it read of those `recalled` from the database.
        self.moments: dict[int, list[Moment]] = {}
        self.recalled: set[int] = set()
        self._loaded: dict[int | UUID, dict[str, Any]] = {}  # the locked rows as they were, by pk
        self._alerts: dict[UUID, Alert] = {}  # all that were loaded or touched
        self._touched: set[UUID] = set()
        self._moved: set[UUID] = set()  # alerts that did not change and stand elsewhere on the board now
        self._recorded: set[UUID] = set()

    def as_of(self, at: datetime) -> None:
        """What is decided from here on is decided at that time."""
        if self._tellings:
            self.tell()
        self.now = at
        self.outbox.as_of(at)

    # --- locking -----------------------------------------------------------------------------------------------------

    def lock(self, keys: Iterable[tuple[int, str]]) -> None:
        """Lock the rooms (org pk, room id), making those that are new, and load their alerts."""
        rooms, self._new = self.stored.lock_rooms(sorted(set(keys)))
        for room in rooms:
            self._keep_room(room)
        self._load_alerts()

    def _keep_room(self, room: Room) -> None:
        self.rooms[room.org_id, room.room_id] = room
        if self.stored.compares:
            self._loaded[room.id] = _values(room, ROOM_FIELDS)

    def lock_rooms(self, pks: Iterable[int], *, skip_locked: bool = False) -> None:
        """Lock existing rooms by primary key; with `skip_locked` leave out those somebody else works on."""
        for room in self.stored.lock_rooms_by_pk(pks, skip_locked=skip_locked):
            self._keep_room(room)
        self._load_alerts()

    def lock_alert(self, alert_id: UUID) -> Alert:
        """Lock an alert itself, after its room if it has one. Raises Alert.DoesNotExist outside the scope."""
        alert = self.stored.lock_alert(alert_id)
        if alert.room_id is not None:
            current = self.alerts.get(alert.room_id)
            if current == alert:
                return current
            alert.room = next(room for room in self.rooms.values() if room.id == alert.room_id)
        self.keep_alert(alert)
        return alert

    def keep_alert(self, alert: Alert) -> Alert:
        """This alert was loaded under its lock: what changes of it is written."""
        self._alerts[alert.id] = alert
        if self.stored.compares:
            self._loaded[alert.id] = _values(alert, ALERT_FIELDS)
        return alert

    def _load_alerts(self) -> None:
        rooms = {room.id: room for room in self.rooms.values() if room.id not in self._new}
        if not rooms:
            return
        alerts = self.stored.newest_alerts(list(rooms))
        if self.stored.compares:
            self._furnish([alert for alert in alerts if "room" not in alert._state.fields_cache], rooms)
        for alert in alerts:
            assert alert.room_id is not None
            self.alerts[alert.room_id] = self.keep_alert(alert)

    def _furnish(self, alerts: Sequence[Alert], rooms: Mapping[int, Room]) -> None:
        """Alerts just read have their rooms, orgs and agents with them from now on."""
        orgs = self.known.orgs({alert.org_id for alert in alerts}) if alerts else {}
        agents = self.known.agents_by_pk({alert.agent_id for alert in alerts if alert.agent_id}) if alerts else {}
        for alert in alerts:
            alert.org, alert.room = orgs[alert.org_id], rooms[alert.room_id or 0]
            alert.agent = agents[alert.agent_id] if alert.agent_id else None

    # --- changing ----------------------------------------------------------------------------------------------------

    def open_alert(self, room: Room) -> Alert | None:
        """The alert of this room that is not resolved."""
        alert = self.alerts.get(room.id)
        return alert if alert is not None and alert.state != RESOLVED else None

    def policy_of(self, alert: Alert) -> PolicyFacts:
        """What applies to this alert: its agent's policy."""
        key = (alert.org_id, alert.agent_id or 0)
        return self.known.policies([key])[key]

    def policy_in(self, room: Room) -> PolicyFacts:
        """What applies in this room: the policy of the agent whose alert it has or had last, else of its org."""
        alert = self.alerts.get(room.id)
        key = (room.org_id, (alert.agent_id if alert else None) or 0)
        return self.known.policies([key])[key]

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
        alert.updated_at = self._begun_at
        self._alerts[alert.id] = alert
        self._touched.add(alert.id)

    def record(
        self,
        alert: Alert,
        change: str,
        reason: str = "",
        *,
        at: datetime | None = None,
        actor: User | int | None = None,
        event: EventRow | None = None,
        detail: dict[str, Any] | None = None,
        notify: bool = False,
        digest: bool = False,
        holder: int | None = None,
    ) -> None:
        """One change of an alert with its reason; with `notify` people are told, with `digest` by their next digest.

        `actor`: a person, or their pk. `holder`: the pk of whom to tell alone, if they back up the agent.
        """
        self.touch(alert)
        if self.blind and notify:
            detail = (detail or {}) | {"wanted": reason}
            reason, notify, digest = "blind", False, True
        if self.late_seconds:
            detail = (detail or {}) | {"late_seconds": self.late_seconds}
        alert.occurrence += notify
        transition = TransitionRow(
            org_id=alert.org_id,
            alert_id=alert.id,
            at=at or self.now,
            change=change,
            reason=reason,
            episode=alert.episode,
            actor_id=actor.pk if isinstance(actor, User) else actor,
            detail=detail or {},
            occurrence=alert.occurrence if notify else 0,
            swept_at=self.swept_at,
        )
        self.transitions.append(transition)
        self._recorded.add(alert.id)
        note_taken(self.outbox.taken, alert, transition)
        if event is not None:
            self._caused.append((transition, event))
        if reason:
            alert.last_reason = reason
        if notify or digest:
            self._tellings.append(
                Telling(alert, transition, event, reason, transition.occurrence, alert.severity, alert.tier, holder)
            )

    def worsen(self, alert: Alert, severity: str) -> None:
        """A higher severity: repeats start anew, no snooze holds them, an acknowledge lasts no longer than for it, and
        the next tier is due as if it had been so severe from the start. The caller records why.
        """
        alert.severity = severity
        stood_at, alert.snoozed_until = clock_stands_at(alert, self.now), None
        resume_tier_clock(alert, stood_at, self.now)
        alert.ladder_from, alert.repeats_done = self.now, 0
        if alert.acknowledge_expires_at is not None:
            lasts = acknowledge_lasts(severity, self.policy_of(alert))
            alert.acknowledge_expires_at = min(alert.acknowledge_expires_at, self.now + lasts)
        judge_tier_clock(alert, clock_stands_at(alert, self.now), self.known)

    def expire(self, alert: Alert, notify: bool, *, actor: int | None = None, detail: dict[str, Any]) -> None:
        """The alert is open again; with `notify` people are told, the repeats that lie in the past at once.

        The tier's clock starts anew; when acknowledges expire again and again the next tier is due at once.
        """
        alert.held_until = None
        start_tier_clock(alert, self.now, self.known, over=alert.expiries > 1)
        if notify:
            alert.repeats_done = repeats_passed(alert.facts, self.policy_of(alert), self.now)
        self.record(alert, "expired", "repeat_due" if notify else "", actor=actor, detail=detail, notify=notify)

    def fold(self, outage: Alert) -> None:
        """An outage begins: nobody is told any more of the rooms under it, and the board shows them under it."""
        loaded = {one.id: one for one in (*self._alerts.values(), *self.alerts.values())}
        self.outbox.hold({pk for pk, alert in loaded.items() if is_under(alert, outage)})
        self._moved.update(pk for pk, _ in self.stored.rooms_under(outage))

    # --- writing -----------------------------------------------------------------------------------------------------

    def expect_tellings(self) -> None:
        """Any of the alerts that were loaded may be told of, one after the other: the people of all of them are locked
        with the first, in their order.
        """
        self.outbox.expected |= {key for one in self.alerts.values() for key in self.outages.agent_keys(one)}

    def tell(self) -> None:
        """Plan the pushes of what was decided so far, as it stands now: what comes later does not reword them."""
        if self._tellings:
            self.outbox.plan(self._tellings, self._known_rooms)
            self.transitions += self.outbox.whom.passed
            self._tellings, self.outbox.whom.passed = [], []

    def _known_rooms(self) -> set[int]:
        return {room.id for room in self.rooms.values()} - self._new

    def close(self) -> None:
        """Plan what is not planned yet and write everything; after commit publish the alerts and kick the sweep.

        Raises IntegrityError.
        """
        self.tell()
        touched = [alert for alert in self._alerts.values() if alert.id in self._touched]
        self.silenced.judge_changed(touched)
        self._move_outages([alert for alert in touched if alert.room_id])
        self._write_changed()
        self.stored.write_events(self.events)
        for transition, event in self._caused:
            transition.event_id = event.id
        self.stored.write_transitions(self.transitions)
        self.outbox.write()
        self.silenced.write()
        failpoint("before_commit")
        due = any(push.state == PENDING for push in self.outbox.pushes)
        self.stored.after_commit(self._touched | self._moved, due=due)
        self.outages.let_go()
        self.silenced.let_go()

    def _move_outages(self, changed: Sequence[Alert]) -> None:
        """The row of an outage says how many rooms wait under it: it is shown anew when one of them changed."""
        if changed and self.stored.compares:  # nobody looks at a replay
            self.outages.load({(alert.org_id, alert.agent_id or 0) for alert in changed}, lasting=False)
            self._moved.update(outage.id for outage in self.outages.of(changed))

    def _write_changed(self) -> None:
        """Write the rooms and alerts that differ from what was loaded, each alert with its next timer."""
        for held in self.rooms.values():
            held.due_at = self._stall_due(held)
        if not self.stored.compares:
            self._write_all()
            return
        rooms = {room.id: room for room in self.rooms.values() if self._changed(room, ROOM_FIELDS)}
        alerts = []
        for alert in list((self._alerts | {one.id: one for one in self.alerts.values()}).values()):
            policy = self.policy_of(alert)
            follow_window(alert, policy, self.now)
            changed = self._notice(alert)
            if changed or alert.room_id in rooms:
                before, alert.due_at = alert.due_at, self._next_at(alert, policy)
                alerts += [alert] if changed or alert.due_at != before else []
        self.stored.write_rooms(rooms.values())
        self.stored.write_alerts(alerts)

    def _write_all(self) -> None:
        """Each alert with its next timer, into a place that keeps what it is given."""
        alerts = self._alerts.values()
        for alert in alerts:
            policy = self.policy_of(alert)
            follow_window(alert, policy, self.now)
            alert.due_at = self._next_at(alert, policy)
        self.stored.write_rooms(self.rooms.values())
        self.stored.write_alerts(alerts)

    def _next_at(self, alert: Alert, policy: PolicyFacts) -> datetime | None:
        """When time does something to this alert next."""
        room = alert.room
        if alert.state == RESOLVED or (room is None and not alert.is_outage):
            return None
        timer = next_timer(alert.facts, room.facts if room else RoomFacts(), policy)
        return timer[0] if timer else None

    def _stall_due(self, room: Room) -> datetime | None:
        """When the human who holds this room will have stalled."""
        if room.human_since is None or room.insists_at is None:
            return None
        return stall_due(room.hold_facts, self.policy_in(room).stalled_after)

    def _changed(self, row: Room | Alert, fields: list[str]) -> set[str]:
        """The fields that differ from what was loaded; of a new row all."""
        before = self._loaded.get(row.pk, {})
        return {name for name, value in _values(row, fields).items() if name not in before or before[name] != value}

    def _notice(self, alert: Alert) -> set[str]:
        """What changed of the alert, which looks different then. Raises UnrecordedChange if nothing says why."""
        changed = self._changed(alert, ALERT_FIELDS)
        seen = changed - BOOKKEEPING
        if seen - FOLLOWED and alert.id not in self._recorded:
            raise UnrecordedChange(f"alert {alert.id}: {', '.join(sorted(seen - FOLLOWED))}")
        if seen and alert.id not in self._touched:
            self.touch(alert)
        return changed
