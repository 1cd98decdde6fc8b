"""A handoff to another agent awaits no human; a loop of handoffs is one line of one alert."""

import pytest

from alerts.items import Handoff
from alerts.models import Alert
from tests.factories import AgentFactory
from tests.scene import Scene

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock):
    return Scene()


@pytest.mark.parametrize("target", ["agent", "Agent", "Returns Bot"])
def test_one_to_an_agent_is_stored_and_decides_nothing(scene, target):
    AgentFactory(org=scene.org, name="Returns Bot")
    scene.fails("unexpected_handoff", key="h1", handoff=Handoff(completed=True, source="Billing Bot", target=target))
    event = scene.stored("h1")
    assert (event.reason, event.handoff_source, event.handoff_target) == ("to_agent", "Billing Bot", target)
    assert not Alert.objects.exists()
    assert scene.room().handed_off_at is None


@pytest.mark.parametrize(
    "handoff",
    [
        Handoff(completed=True, target="human"),
        Handoff(completed=True, target="Nobody We Know"),
        Handoff(completed=True, source="agent"),
        Handoff(completed=False, target="agent"),  # no agent took it either
    ],
)
def test_any_other_awaits_a_human(scene, handoff):
    scene.fails("unexpected_handoff", handoff=handoff)
    assert scene.alert().customer_waiting_since is not None


def test_the_run_that_handed_over_to_an_agent_tells_nobody_of_it_again(scene):
    run = "6a90b3d1-2c6b-4a3a-8bb9-23a93ebffb8e"
    scene.fails("unexpected_handoff", run_id=run, handoff=Handoff(completed=True, target="agent"))
    scene.fails("unexpected_handoff", key="h2", run_id=run, handoff=Handoff(completed=True))
    assert scene.stored("h2").reason == "same_run"
    scene.fails("unexpected_handoff", key="h3", run_id=run, handoff=Handoff(completed=False))
    assert (scene.stored("h3").reason, Alert.objects.count()) == ("first", 1)


def test_a_loop_of_handoffs_is_shown_as_one(scene):
    for _ in range(5):
        scene.fails("unexpected_handoff")
    (entry,) = scene.alert().signals
    assert (entry["signal"], entry["count"]) == ("unexpected_handoff", 5)
    assert len(scene.told()) == 1
