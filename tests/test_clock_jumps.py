"""Fault 16: a clock jumps by two hours, PostgreSQL's or this machine's: nobody is told early or twice, and it shows."""

from typing import Any

import pytest
import structlog
from django.test import Client

from alerts import actions
from alerts.blind import beat
from alerts.models import Alert, BlindInterval, Push
from console.http import heartbeat
from orgs import clock as database_clock
from orgs.models import Org
from tests.api_client import signed_in, supervisor_of
from tests.factories import AssignmentFactory, SupervisorRoleFactory, UserFactory
from tests.scene import Scene, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock: Any) -> Scene:
    scene = Scene()
    AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=2))
    beat()
    return scene


def swept() -> list[tuple[str, str]]:
    """What is planned, once everything that is due has been worked."""
    beat()
    while actions.sweep_timers():
        pass
    planned = list(Push.objects.filter(state="pending").order_by("planned_at").values_list("kind", "reason"))
    pushes_are_sent()
    return planned


@pytest.mark.parametrize("first", [2, -2])
def test_16_a_jump_and_its_mending_tell_nobody_early_or_twice(scene: Scene, clock: Any, first: int) -> None:
    scene.fails("agent_error")
    assert swept() == [("alert", "first")] * 2
    clock.advance(hours=first)
    assert swept() == []
    scene.fails("agent_error")
    assert swept() == []
    clock.advance(hours=-first)
    assert swept() == []
    scene.fails("agent_error")
    assert swept() == []
    assert Alert.objects.get().event_count == 3


def test_16_after_a_jump_ahead_is_mended_the_alarm_goes_on_as_before(scene: Scene, clock: Any) -> None:
    """What seemed a time when we were down is none: it lies ahead."""
    scene.fails("agent_error")
    pushes_are_sent()
    clock.advance(hours=2)
    swept()
    clock.advance(hours=-2)
    swept()
    assert not BlindInterval.objects.filter(ends__gt=database_clock.now()).exists()
    for _ in range(4):
        clock.advance(seconds=50)
        beat()
    assert ("alert", "escalated") in swept()


@pytest.mark.parametrize(("hours", "said"), [(2, "2 h"), (-2, "2 h"), (0, "")])
def test_16_clocks_that_are_apart_are_an_alarm(org: Org, clock: Any, hours: int, said: str) -> None:
    clock.advance(hours=hours)
    with structlog.testing.capture_logs() as logged:
        heartbeat.compare_clocks()
    assert [one["event"] for one in logged if one["log_level"] == "error"] == (["clocks_apart"] if said else [])
    apart = Client().get("/metrics").content.decode().split("\nlive_clock_apart_seconds ")[1].split("\n")[0]
    assert float(apart) == pytest.approx(hours * 3600, abs=30)
    banner = "The clocks of this server and of its database are"
    page = signed_in(UserFactory(is_specialist=True)).get("/").content.decode()
    assert (f"{banner} {said} apart" in page.replace("\xa0", " ")) is bool(said)
    assert banner not in signed_in(supervisor_of(org)).get("/").content.decode()
