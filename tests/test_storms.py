"""A storm of 66 rooms in ten minutes, with the clock moved: how often each supervisor is interrupted, and of what.

40 rooms are of one agent that breaks, 26 of seven others, three or four each. One supervisor takes some of them.
"""

from collections import defaultdict
from datetime import datetime, timedelta

import pytest

from alerts import actions
from alerts.models import Alert, Push
from orgs.models import Agent, Policy
from tests.factories import AssignmentFactory, SupervisorRoleFactory, without_limits
from tests.outbox import posts, sweep
from tests.scene import Scene
from tests.storm import STEP, fail_in_step

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]
STEPS = 60


@pytest.fixture
def scene(clock):
    """Two supervisors in the first tier, one in the second."""
    scene = Scene()
    scene.second = AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=2)).user
    return scene


def storm_of_ten_minutes(scene, clock):
    """Every ten seconds something fails until all 66 rooms have, and again; what is due goes out."""
    for step in range(STEPS):
        fail_in_step(scene, step)
        if step % 12 == 5:
            mine = Alert.objects.filter(scope="room", state="open").exclude(agent__name="Order Bot")
            actions.take(mine.latest("opened_at").pk, scene.people[0])
        tick(clock, STEP)


def tick(clock, seconds):
    sweep()
    clock.advance(seconds=seconds)
    while actions.sweep_timers():
        pass
    sweep()


def interruptions(scene) -> dict[tuple[str, str], list[datetime]]:
    """When each person got a push, by (sso_id, kind)."""
    found = defaultdict(list)
    for push in Push.objects.filter(org=scene.org, state="sent").select_related("supervisor").order_by("planned_at"):
        found[push.supervisor.sso_id, push.kind].append(push.planned_at)
    return found


def most_within(times: list[datetime], window: timedelta) -> int:
    return max((sum(start <= at < start + window for at in times) for start in times), default=0)


def test_at_most_six_pushes_and_a_digest_each_in_ten_minutes_and_every_waiting_room_is_named(scene, standins, clock):
    storm_of_ten_minutes(scene, clock)
    for _ in range(60):  # until what joined last was sent
        tick(clock, STEP)
    times = interruptions(scene)
    assert {sso_id for sso_id, _ in times} >= {person.sso_id for person in (*scene.people, scene.second)}
    for (_, kind), at in times.items():
        if kind == "alert":
            assert most_within(at, timedelta(minutes=10)) <= 6
        else:  # they carry new critical ones
            assert most_within(at, timedelta(minutes=5)) == 1
    for person in scene.people:
        assert waiting(scene) <= named_to(person, posts(standins))


def waiting(scene) -> set[str]:
    rooms = Alert.objects.filter(org=scene.org, scope="room", state="open")
    return {str(pk) for pk in rooms.values_list("pk", flat=True)}


def named_to(person, requests) -> set[str]:
    """The alerts of rooms that reached this person: pushed, in a digest, or under an outage that was pushed."""
    bodies = [one["body"] for one in requests if one["body"]["recipient"] == {"sso_id": person.sso_id}]
    found = {alert for body in bodies for alert in body["data"].get("alert_ids") or [body["data"]["alert_id"]]}
    for outage in Alert.objects.filter(covers_from__isnull=False, pk__in=found):
        found |= {str(pk) for pk in actions.rooms_of_outage(outage).values_list("pk", flat=True)}
    return found


def test_without_limits_each_room_is_pushed_to_each_of_them(scene, standins, clock):
    """What it was before: the measure of the other test."""
    without_limits(scene.org)
    storm_of_ten_minutes(scene, clock)
    times = interruptions(scene)
    assert all(len(times[person.sso_id, "alert"]) >= 66 for person in scene.people)


def test_500_agents_that_fail_at_once_are_one_push_each(scene, standins):
    """What is behind them broke. Only whom nobody told before is told when their agent joins."""
    only_one = SupervisorRoleFactory(org=scene.org)
    only_one.agents.add(Agent.objects.create(org=scene.org, name="Bot 499"))
    theirs = AssignmentFactory(org=scene.org, role=only_one).user
    for start in range(0, 500, 100):
        some = [scene.event(room=f"r{n}", agent_name=f"Bot {n}") for n in range(start, start + 100)]
        actions.record_events(scene.source, some)
    sweep()
    (outage,) = Alert.objects.filter(covers_from__isnull=False)
    assert (outage.scope, outage.event_count, actions.rooms_under(outage).count()) == ("source", 500, 500)
    told = [row["body"]["recipient"]["sso_id"] for row in posts(standins)]
    assert sorted(told) == sorted(one.sso_id for one in (*scene.people, theirs))
    assert {row["body"]["data"]["alert_id"] for row in posts(standins)} == {str(outage.pk)}


def test_a_digest_whose_reader_lost_a_role_meanwhile_names_only_what_is_still_theirs(scene, standins, clock):
    Policy.objects.create(org=scene.org, limits={"budget": {"pushes": 1}, "outage": {"rooms": 0}})
    held = []
    person = AssignmentFactory(org=scene.org, role=scene.role).user
    scene.role.assignments.filter(user=person).delete()
    for name in ("Bot 0", "Bot 1"):
        role = SupervisorRoleFactory(org=scene.org)
        role.agents.add(Agent.objects.create(org=scene.org, name=name))
        held.append(AssignmentFactory(org=scene.org, role=role, user=person))
    for n in range(6):
        scene.fails(room=f"r{n}", agent_name=f"Bot {n % 2}")
    sweep()
    held[0].delete()
    clock.advance(seconds=31)
    sweep()
    mine = [row["body"] for row in posts(standins) if row["body"]["recipient"] == {"sso_id": person.sso_id}]
    assert mine[-1]["data"]["alert_ids"] == [str(scene.alert(room).pk) for room in ("r1", "r3", "r5")]
    scene.fails(room="r7", agent_name="Bot 1")
    held[1].delete()
    clock.advance(minutes=10)
    sweep()
    last = Push.objects.filter(supervisor=person, kind="digest").latest("occurrence")
    assert (last.state, last.ended_reason) == ("cancelled", "no_longer_needed")
