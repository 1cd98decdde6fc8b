"""Two agents fail in one room: one alert, of which the supervisors of both hear."""

import json
from datetime import timedelta
from typing import Any

import pytest

from alerts import actions
from alerts.delivery.claim import claim
from alerts.delivery.digest import still_waiting
from alerts.known import Known
from alerts.models import Alert, Push
from orgs import clock as database_clock
from orgs.models import Agent, Policy, User
from tests.factories import AgentFactory, AssignmentFactory, OrgFactory, SupervisorRoleFactory, UserFactory
from tests.scene import Scene, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]


class TwoBots(Scene):
    """Rina backs up the Billing Bot, Bayu the Shipping Bot, Sinta both; Putu the latter in tier 2."""

    def __init__(self) -> None:
        super().__init__(OrgFactory(), staff=0)
        self.billing, self.shipping = (AgentFactory(org=self.org, name=f"{one} Bot") for one in ("Billing", "Shipping"))
        self.rina, self.bayu, self.sinta, self.putu = (
            UserFactory(name=name) for name in ("Rina", "Bayu", "Sinta", "Putu")
        )
        self.people = [self.rina]
        self.backs_up(self.rina, self.billing)
        self.backs_up(self.bayu, self.shipping)
        self.backs_up(self.sinta, self.billing, self.shipping)
        self.backs_up(self.putu, self.shipping, tier=2)
        actions.sweep_timers()

    def backs_up(self, person: User, *agents: Agent, tier: int = 1) -> None:
        role = SupervisorRoleFactory(org=self.org, name=f"role of {person.name}", tier=tier)
        role.agents.add(*agents)
        AssignmentFactory(org=self.org, role=role, user=person)

    def ships(self, signal: str = "agent_error", **facts: Any) -> None:
        """The Shipping Bot fails in the room."""
        self.fails(signal, agent_name="Shipping Bot", **facts)

    def rows(self, person: User) -> list[tuple[str, str, str]]:
        found = Push.objects.filter(supervisor=person, kind="alert").order_by("planned_at", "occurrence")
        return list(found.values_list("reason", "state", "ended_reason"))


@pytest.fixture
def scene(clock: Any) -> TwoBots:
    return TwoBots()


@pytest.fixture
def later(clock: Any) -> Any:
    def move(**parts: int) -> None:
        pushes_are_sent()
        clock.advance(**parts)
        while actions.sweep_timers():
            pass

    return move


def test_whom_only_the_second_agent_concerns_is_told_at_once(scene: TwoBots, later: Any) -> None:
    scene.fails("agent_error")
    later(seconds=20)
    before = scene.rows(scene.rina), scene.rows(scene.sinta)
    scene.ships()
    assert scene.rows(scene.bayu) == [("agent_joined", "pending", "")]
    assert (scene.rows(scene.rina), scene.rows(scene.sinta)) == before
    assert scene.rows(scene.putu) == []
    assert Alert.objects.get().agent == scene.billing
    assert "Billing Bot, Shipping Bot" in json.loads(Push.objects.get(supervisor=scene.bayu).body)["title"]
    scene.ships("message_cap")
    assert len(scene.rows(scene.bayu)) == 1


def test_what_the_second_agent_makes_worse_is_told_to_both(scene: TwoBots, later: Any) -> None:
    scene.fails("message_cap")
    later(seconds=20)
    scene.ships()
    assert scene.rows(scene.bayu) == [("worsened", "pending", "")]
    assert scene.rows(scene.rina)[-1] == ("worsened", "pending", "")


def test_the_claim_finds_them_among_those_who_back_it_up(scene: TwoBots, settings: Any, clock: Any) -> None:
    settings.NOTIFICATION_SERVICE_URL = "http://127.0.0.1:9"
    scene.fails("agent_error")
    scene.ships()
    clock.advance(seconds=1)
    claim()
    assert scene.rows(scene.bayu) == [("agent_joined", "sending", "")]


def test_repeats_and_escalation_go_to_both(scene: TwoBots, later: Any) -> None:
    scene.fails("agent_error")
    scene.ships()
    later(minutes=3, seconds=1)
    assert scene.rows(scene.putu) == [("escalated", "pending", "")]
    later(minutes=2, seconds=1)
    assert scene.rows(scene.bayu)[-1][0] == scene.rows(scene.rina)[-1][0] == "repeat_due"


def test_a_digest_names_it_to_both(scene: TwoBots, later: Any) -> None:
    Policy.objects.create(org=scene.org, limits={"budget": {"pushes": 1}})
    scene.ships("message_cap", room="r0")
    scene.fails("agent_error")
    scene.ships()
    digest = Push.objects.get(kind="digest", supervisor=scene.bayu)
    named = still_waiting([digest], Known(), database_clock.now())
    assert [one.room and one.room.room_id for one in named[digest.pk]] == ["r1"]


@pytest.mark.parametrize("held", ["taken", "snoozed", "a human is there"])
def test_nobody_is_told_of_what_somebody_has_or_put_aside(scene: TwoBots, later: Any, held: str) -> None:
    scene.fails("agent_error")
    later(seconds=20)
    if held == "taken":
        actions.take(scene.alert().pk, scene.rina)
    elif held == "snoozed":
        actions.snooze(scene.alert().pk, scene.rina, database_clock.now() + timedelta(minutes=30))
    else:
        scene.happens("human_message", who=scene.rina)
    scene.ships()
    assert scene.rows(scene.bayu) == []


def test_the_next_episode_is_of_the_agent_that_fails_then(scene: TwoBots, later: Any) -> None:
    scene.fails("agent_error")
    scene.ships()
    actions.resolve(scene.alert().pk, scene.rina)
    later(minutes=20)
    scene.fails("agent_error")
    assert scene.rows(scene.rina)[-1][0] == "rearmed"
    assert [row[0] for row in scene.rows(scene.bayu)] == ["agent_joined"]


def test_a_room_that_no_agent_had_failed_in_is_told_to_those_of_the_one_that_does(scene: TwoBots, later: Any) -> None:
    """A human stalled in it first: that alert has no agent, and only roles for all agents heard of it."""
    for kind, ago in (("bot_message", 20), ("human_message", 10), ("customer_message", 5), ("customer_message", 0)):
        scene.happens(kind, ago=ago, who=scene.rina if kind == "human_message" else None)
    later(minutes=10, seconds=5)
    assert scene.alert().agent is None
    later(minutes=20)
    scene.ships()
    assert scene.rows(scene.bayu)[-1][:2] == ("worsened", "pending")
