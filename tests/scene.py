"""A staffed org to play failures, room activity and human acts in, told in the words of the design."""

import hashlib
import itertools
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from alerts import actions
from alerts.items import Accepted, ActivityItem, EventItem, Handoff, Result
from alerts.models import Alert, FailureEvent, Push, Room, Transition
from orgs import clock
from orgs.models import Org, Source, User
from orgs.signals import ROOM_SIGNALS
from tests.factories import AssignmentFactory, OrgFactory, SourceFactory, SupervisorRoleFactory

KINDS = {field.name: field.type for field in msgspec.structs.fields(EventItem)}
NEEDS: dict[str, dict[str, Any]] = {
    signal.name: {name: msgspec.convert(value, KINDS[name]) for name, value in signal.needs.items()}
    for signal in ROOM_SIGNALS.values()
}
TAKEN_OVER_BY_NOBODY = {"handoff": Handoff(completed=False)}
numbers = itertools.count(1)


class Scene:
    """One org with a source and two supervisors of all its agents. `ago` is in seconds; the default room is `r1`."""

    def __init__(self, org: Org | None = None, staff: int = 2) -> None:
        self.org = org or OrgFactory()
        self.source: Source = SourceFactory(org=self.org)
        self.role = SupervisorRoleFactory(org=self.org)
        self.people: list[User] = [AssignmentFactory(org=self.org, role=self.role).user for _ in range(staff)]

    # --- what comes in -----------------------------------------------------------------------------------------------

    def event(
        self, signal: str = "agent_error", *, room: str = "r1", ago: float = 0, key: str = "", **facts: Any
    ) -> Accepted:
        """A failure event that passed the lane's checks."""
        item = EventItem(
            **{
                "event_id": key or f"event-{next(numbers)}",
                "agent_name": "Billing Bot",
                "room_id": room,
                "signal": signal,
                "occurred_at": clock.now() - timedelta(seconds=ago),
                **NEEDS[signal],
                **facts,
            }
        )
        return Accepted(0, self.org.pk, item, _hash(item.event_id, signal, room, facts))

    def activity(
        self, kind: str, *, room: str = "r1", ago: float = 0, who: User | None = None, key: str = "", **facts: Any
    ) -> Accepted:
        """A room activity that passed the lane's checks."""
        item = ActivityItem(
            **{
                "activity_id": key or f"activity-{next(numbers)}",
                "room_id": room,
                "kind": kind,
                "at": clock.now() - timedelta(seconds=ago),
                "actor_sso_id": who.sso_id if who else None,
                **facts,
            }
        )
        return Accepted(0, self.org.pk, item, _hash(item.activity_id, kind, room, facts))

    def fails(self, *args: Any, **facts: Any) -> Result:
        """One failure event arrives alone."""
        return actions.record_events(self.source, [self.event(*args, **facts)])[0]

    def happens(self, kind: str, **facts: Any) -> Result:
        """One room activity arrives alone."""
        return actions.record_activity(self.source, [self.activity(kind, **facts)])[0]

    # --- what is in the tables ---------------------------------------------------------------------------------------

    def alert(self, room: str = "r1") -> Alert:
        """The one alert of this room, fresh."""
        return Alert.objects.select_related("agent", "room").get(org=self.org, room__room_id=room)

    def room(self, room: str = "r1") -> Room:
        """The room, fresh."""
        return Room.objects.get(org=self.org, room_id=room)

    def stored(self, event_id: str) -> FailureEvent:
        """The failure event, fresh."""
        return FailureEvent.objects.get(org=self.org, event_id=event_id)

    def told(self) -> list[tuple[str, str, str]]:
        """(reason, state, ended reason) of the first supervisor's pushes, in the order they were planned."""
        mine = Push.objects.filter(org=self.org, supervisor=self.people[0], kind="alert")
        pushes = mine.order_by("planned_at", "occurrence")
        return list(pushes.values_list("reason", "state", "ended_reason"))

    def last_told(self) -> tuple[str, str, str]:
        """The newest of them."""
        return self.told()[-1]

    def changes(self, room: str = "r1") -> list[tuple[str, str]]:
        """(change, reason) of the room's transitions, in the order they were written."""
        rows = Transition.objects.filter(org=self.org, alert__room__room_id=room).order_by("id")
        return list(rows.values_list("change", "reason"))

    def last_change(self, room: str = "r1") -> Transition:
        """The newest transition."""
        return Transition.objects.filter(org=self.org, alert__room__room_id=room).latest("id")


def pushes_are_sent() -> None:
    """As the outbox would: what is pending reaches people."""
    Push.objects.filter(state="pending").update(state="sent", next_attempt_at=None)


def due_in(alert: Alert) -> timedelta:
    """How long until time alone does something to this alert."""
    assert alert.due_at is not None
    return alert.due_at - clock.now()


def about(found: timedelta | datetime, wanted: timedelta | datetime) -> bool:
    """Equal but for the seconds a test takes."""
    return abs(found - wanted) < timedelta(seconds=20)  # type: ignore[operator]


def fresh(alert_id: UUID) -> Alert:
    """This alert as it is in the database."""
    return Alert.objects.get(pk=alert_id)


def _hash(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()
