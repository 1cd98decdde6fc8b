"""Several acts of two people, each undone, in any order: all is as if none of them had been."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alerts import actions
from alerts.actions.undo import mark_of
from alerts.models import Alert, Room
from orgs import clock as database_clock
from orgs.models import Policy
from tests.examples import at_most
from tests.scene import Scene, pushes_are_sent
from tests.test_on_duty import MONDAY, Frozen

WRITTEN_BY_ANY = {"id", "version", "updated_at", "undoable", "last_reason", "room_id", "agent_id", "from_source_id"}
ACT = st.tuples(st.sampled_from(["acknowledge", "take", "snooze", "wake", "assign", "resolve"]), st.integers(0, 1))


def state_after(acts: list[tuple[str, int]], order: list[int], seconds: int) -> dict[str, Any]:
    """The alert and its room after these acts and the undo of each that changed anything; a moment before each step."""
    with transaction.atomic(), scopes_disabled():
        clock, scene = Frozen(), Scene()
        Policy.objects.create(
            org=scene.org, limits={"repeat_minutes": [500], "escalate_minutes": {"warning": 400, "critical": 400}}
        )
        scene.happens("customer_message")
        scene.fails("message_cap")
        pushes_are_sent()
        done: list[tuple[str, int, str]] = []
        for act, who in acts:
            clock.advance(seconds=seconds)
            alert, by = scene.alert(), scene.people[who]
            before, extra = mark_of(alert, by), []
            if act == "snooze":
                extra = [database_clock.now() + timedelta(hours=1 + who)]
            if act == "assign":
                extra = [scene.people[1 - who]]
            try:
                getattr(actions, act)(alert.pk, by, *extra)
            except actions.ActConflict:
                continue
            if (mark := mark_of(scene.alert(), by)) != before:
                done.append((act, who, mark))
        for place in order:
            clock.advance(seconds=seconds)
            if done:
                over = next((one for one, (act, *_) in enumerate(done) if act == "resolve"), None)
                _, who, mark = done.pop(place % len(done) if over is None else over)  # that one goes first
                actions.undo(scene.alert().pk, scene.people[who], mark)
        clock.freeze(MONDAY + timedelta(minutes=9))  # within ten minutes of all of it
        while actions.sweep_timers():
            pass
        alert = Alert.objects.values().get()
        found = {name: value for name, value in alert.items() if name not in WRITTEN_BY_ANY}
        found |= {f"room {name}": value for name, value in Room.objects.values().get().items() if name != "id"}
        names = {person.pk: index for index, person in enumerate(scene.people)}
        transaction.set_rollback(True)
        people = {name: names.get(value, value) for name, value in found.items() if name.endswith(("_by_id", "_to_id"))}
        return found | people | {"org_id": 0, "room org_id": 0, "left": len(done)}


@given(
    acts=st.lists(ACT, min_size=1, max_size=4),
    order=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    seconds=st.sampled_from([1, 7, 40]),
)
@settings(
    max_examples=at_most(60, usually=20),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_they_did_is_as_if_it_had_not_been(
    db: Any, acts: list[tuple[str, int]], order: list[int], seconds: int
) -> None:
    assert state_after(acts, order, seconds) == state_after([], [], seconds)
