"""Supervisors who do as they are told, in the moved clock: they read, go to the worst room named to them, work."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from alerts import actions
from alerts.models import Alert
from orgs.models import User
from tests.scene import Scene

READS = timedelta(seconds=20)  # a push or a digest, before anything is done about it
WORKS = timedelta(minutes=2)  # in a room, from the first message to the last
WORST_FIRST = ["critical", "warning", "info"]


class Supervisor:
    """One of the people of a scene. Knows of no room but those that a push, a digest or an outage named."""

    def __init__(self, scene: Scene, person: User) -> None:
        self.scene, self.person = scene, person
        self.named: set[UUID] = set()
        self.busy_until: datetime | None = None  # reads, or works in `room`
        self.room = ""

    def hears(self, body: dict[str, Any], now: datetime) -> None:
        """A push or a digest as notification-service got it; read at once by who does nothing else."""
        self.named |= {UUID(one) for one in body["data"].get("alert_ids") or [body["data"]["alert_id"]]}
        self.busy_until = self.busy_until or now + READS

    def acts(self, now: datetime) -> None:
        """Once a step: goes on to the next room when this one is done."""
        if self.busy_until is None or now < self.busy_until:
            return
        if self.room:
            self.scene.happens("resolved", room=self.room, who=self.person)
        worst = min(self._waiting(), key=lambda one: (WORST_FIRST.index(one.severity), one.opened_at), default=None)
        self.room, self.busy_until = "", None
        if worst is not None:
            actions.take(worst.pk, self.person)
            self.room, self.busy_until = worst.room.room_id, now + WORKS  # type: ignore[union-attr]
            self.scene.happens("human_message", room=self.room, who=self.person)

    def _waiting(self) -> list[Alert]:
        """The rooms named to them that nobody has; an outage names those under it."""
        named = set(self.named)
        for outage in Alert.objects.filter(covers_from__isnull=False, pk__in=self.named):
            named |= set(actions.rooms_of_outage(outage).values_list("pk", flat=True))
        return list(Alert.objects.filter(pk__in=named, scope="room", state="open").select_related("room"))
