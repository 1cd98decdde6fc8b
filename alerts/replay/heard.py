"""What a replay remembers of what was heard of rooms: their failures and what happened in them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from alerts.actions.stored import NO_MOMENTS, READ_AT_MOST
from alerts.decide import TO_HOLDER
from alerts.models import Room, RoomActivity
from alerts.replay.pushes import PushMemory
from alerts.rows import ActivityRow, EventRow


class HeardMemory(PushMemory):
    """Failure events and room activity, in the order in which they were heard."""

    def __init__(self) -> None:
        super().__init__()
        self._failures: dict[int, list[EventRow]] = defaultdict(list)  # by room pk
        self._of_run: dict[tuple[int, str, str], list[EventRow]] = defaultdict(list)
        self._episodes: dict[int, int] = {}  # by event id
        self._opening: set[int] = set()  # ids of events that opened an alert, or an episode of it
        self._activities: dict[int, list[ActivityRow]] = defaultdict(list)  # by room pk

    def write_activities(self, activities: Sequence[ActivityRow]) -> None:
        for one in activities:
            self._activities[one.room_id].append(one)

    def source_of_customer(self, room: Room) -> int | None:
        said = [one for one in self._activities.get(room.id, ()) if one.kind == "customer_message" and one.source_id]
        return max(said, key=lambda one: one.at).source_id if said else None

    def first_failures(self, wanted: Sequence[Mapping[str, Any]]) -> Iterable[tuple[Any, ...]]:
        for key in wanted:
            in_room: dict[int, EventRow] = {}
            for event in self._of_run.get((key["org_id"], key["run_id"], key["signal"]), ()):
                first = in_room.get(event.room_id)
                if first is None or (first.reason == "late" and event.reason != "late"):
                    in_room[event.room_id] = event
            for one in in_room.values():
                yield (
                    one.org_id, one.room_id, one.run_id, one.signal, one.event_id, one.occurred_at, one.received_at,
                    one.customer_waiting_since, one.reason, one.alert_id, self._episodes.get(one.id or 0),
                )  # fmt: skip

    def last_entered(self, rooms: Sequence[int], since: datetime) -> Mapping[int, datetime]:
        heard = (one for room in rooms for one in self._activities.get(room, ()))
        came = ((one.room_id, one.at) for one in heard if one.kind == RoomActivity.Kind.HUMAN_OPENED)
        return dict(sorted((room, at) for room, at in came if at >= since))

    def activities_since(self, room: Room, kinds: Sequence[str], since: datetime) -> Iterable[Any]:
        heard = self._activities.get(room.id, ())
        found = [one for one in heard if one.kind in kinds and not one.undelivered and one.at > since]
        return sorted(found, key=lambda one: one.at)[-READ_AT_MOST:]

    def failures_since(self, room: Room, since: datetime) -> Iterable[Any]:
        found = [
            one
            for one in self._failures.get(room.id, ())
            if one.occurred_at > since
            and one.signal not in TO_HOLDER
            and (one.reason not in NO_MOMENTS or one.id in self._opening)
        ]
        return sorted(found, key=lambda one: one.occurred_at)[-READ_AT_MOST:]

    def has_event(self, room: Room, source: int, event_id: str) -> bool:
        return any(one.event_id == event_id for one in self._failures.get(room.id, ()))

    def activities_heard(self, room: int, since: datetime, kinds: Sequence[str]) -> list[Any]:
        return [one for one in self._activities.get(room, ()) if one.received_at >= since and one.kind in kinds]
