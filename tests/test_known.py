"""What the lane knows of orgs is read once, and never again true for longer than it is."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from alerts import actions, known
from alerts.models import FailureEvent, Push
from orgs.models import Agent, Policy, User
from tests.factories import AssignmentFactory, SupervisorRoleFactory, UserFactory
from tests.scene import Scene

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]
READ = ("orgs_org", "orgs_policy", "orgs_assignment", 'FROM "orgs_agent"')


@pytest.fixture
def scene() -> Scene:
    return Scene()


def asked(scene: Scene, room: str) -> list[str]:
    """The tables of orgs that a failure event in a new room asks."""
    with CaptureQueriesContext(connection) as queries:
        scene.fails(room=room)
    return [table for table in READ if any(table in q["sql"] for q in queries if "max(pgh_id)" not in q["sql"])]


def told(room: str) -> set[str]:
    return set(Push.objects.filter(room__room_id=room).values_list("supervisor__name", flat=True))


def test_what_did_not_change_is_not_read_again(scene: Scene) -> None:
    scene.fails(room="r1")
    assert asked(scene, "r2") == list(READ)  # the first event made the agent
    assert asked(scene, "r3") == []


def test_a_policy_counts_at_once(scene: Scene) -> None:
    scene.fails("agent_error", room="r1")
    policy = Policy.objects.create(org=scene.org, severities={"agent_error": "warning"})
    scene.fails("agent_error", room="r2")
    Policy.objects.filter(pk=policy.pk).update(severities={"agent_error": "info"})
    scene.fails("agent_error", room="r3")
    policy.delete()
    scene.fails("agent_error", room="r4")
    found = FailureEvent.objects.order_by("id").values_list("severity", flat=True)
    assert list(found) == ["critical", "warning", "info", "critical"]


def test_who_comes_and_who_goes_counts_at_once(scene: Scene) -> None:
    scene.fails(room="r1")
    before = told("r1")
    new = AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org), user=UserFactory(name="Newcomer"))
    scene.fails(room="r2")
    assert told("r2") == before | {"Newcomer"}
    User.objects.filter(pk=new.user.pk).update(is_active=False)
    scene.fails(room="r3")
    assert told("r3") == before


def test_what_no_history_tells_counts_after_five_seconds(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: without the end of what is known a person is written to in their old language for ever."""
    assert known.KEPT <= 5
    monkeypatch.setattr(known, "KEPT", 0)
    User.objects.update(locale="en")
    scene.fails(room="r1")
    User.objects.update(locale="id")
    scene.fails(room="r2")
    first, second = (Push.objects.filter(room__room_id=room).values_list("body", flat=True)[0] for room in ("r1", "r2"))
    assert '"locale":"en"' in first and '"locale":"id"' in second


def test_an_agent_that_was_never_committed_is_not_remembered(scene: Scene) -> None:
    """Mutation: kept with what is known, it fails whatever this agent reports next."""
    with transaction.atomic():
        actions.record_events(scene.source, [scene.event(agent_name="Newborn")])
        transaction.set_rollback(True)
    actions.record_events(scene.source, [scene.event(agent_name="Newborn")])
    assert FailureEvent.objects.get().agent == Agent.objects.get(name="Newborn")
