"""The page of silences, a room's silence from its alert, and what the board says of what is silenced."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django_scopes import scopes_disabled

from alerts import actions
from alerts.models import Alert, Silence
from orgs import clock as database_clock
from orgs.models import Membership
from tests.api_client import signed_in
from tests.factories import AssignmentFactory, OrgFactory
from tests.scene import Scene, pushes_are_sent
from tests.test_pages import text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock: Any) -> Scene:
    made = Scene()
    Membership.objects.create(user=made.people[0], org=made.org, role=Membership.Role.LEAD)
    return made


@pytest.fixture
def lead(scene: Scene) -> Client:
    return signed_in(scene.people[0])


def local(**parts: float) -> str:
    """In the zone of who fills in the form."""
    at = (database_clock.now() + timedelta(**parts)).astimezone(ZoneInfo("Asia/Jakarta"))
    return at.strftime("%Y-%m-%dT%H:%M")


def form(scene: Scene, **fields: Any) -> dict[str, Any]:
    return {"org": scene.org.external_id, "agent": "Billing Bot", "ends_at": local(hours=5)} | fields


def test_made_from_the_form_listed_ended_and_taken_back(scene: Scene, lead: Client) -> None:
    scene.fails("agent_error")
    assert "Nothing is silenced now" in lead.get("/silences").content.decode()
    assert lead.post("/silences", form(scene, note="Deploy")).status_code == 302
    made = Silence.objects.get()
    shown = lead.get("/silences").content.decode()
    assert "Deploy" in shown and "held back 1 alert" in shown and "1 still open" in shown
    assert lead.post(f"/silences/{made.pk}/end").status_code == 302
    assert "Undo" in lead.get("/silences").content.decode()
    lead.post(f"/silences/{made.pk}/restore")
    made.refresh_from_db()
    assert made.ended_at is None


@pytest.mark.parametrize("first", ["Aa", "Zz"])
def test_a_lead_of_several_orgs_silences_any_of_them(scene: Scene, lead: Client, first: str) -> None:
    """Mutation: the form finds the first org of the list alone, and every other one is a fault of the service."""
    other = OrgFactory(name=f"{first} org")
    AssignmentFactory(org=other, user=scene.people[0])
    Membership.objects.create(user=scene.people[0], org=other, role=Membership.Role.LEAD)
    for org in (other, scene.org):
        fields = {"org": org.external_id, "whole_org": "on", "agent": "", "ends_at": local(hours=5)}
        assert lead.post("/silences", fields).status_code == 302
    assert set(Silence.objects.values_list("org", flat=True)) == {other.pk, scene.org.pk}


def test_what_cannot_be_is_said_beside_its_field(scene: Scene, lead: Client) -> None:
    scene.fails("agent_error")
    answer = lead.post("/silences", form(scene, ends_at=local(days=40)))
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["ends_at"])
    answer = lead.post("/silences", form(scene, agent=""))
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["__all__"])
    assert not Silence.objects.exists()


def test_the_form_says_what_it_would_match(scene: Scene, lead: Client) -> None:
    scene.fails("agent_error", room="r1", channel="WABA")
    scene.fails("message_cap", room="r2")

    def said(**fields: str) -> str:
        return lead.get("/silences/matches", {"org": scene.org.external_id, **fields}).content.decode()

    assert said(agent="Billing Bot") == "This matches 2 open alerts now."
    assert said(channel="whatsapp") == said(signal="agent_error") == "This matches 1 open alert now."
    assert said(room_id="r9") == "This org has no room of this id."
    assert said().startswith("Name an agent")


def test_a_supervisor_silences_a_room_from_its_alert_and_takes_it_back(scene: Scene) -> None:
    scene.fails("agent_error")
    alert, client = scene.alert(), signed_in(scene.people[1])
    page = f"/alerts/{alert.pk}"
    assert client.get("/silences").status_code == 403
    answer = client.post(f"{page}/silence", {"minutes": "60"}, headers={"HX-Request": "true", "HX-Target": "alert"})
    assert (answer.status_code, "unsilence" in answer.headers["HX-Trigger"]) == (200, True)
    assert scene.alert().is_silenced(database_clock.now())
    assert "Silenced until" in client.get(page).content.decode()
    assert client.post(f"{page}/unsilence").status_code == 302
    assert not scene.alert().is_silenced(database_clock.now())
    again = client.post(f"{page}/unsilence", headers={"HX-Request": "true"})
    assert again.status_code == 409
    assert client.post(f"{page}/silence", {"minutes": "999"}, headers={"HX-Request": "true"}).status_code == 422


def test_the_timeline_says_who_silenced_what_and_why_and_what_came_of_it(scene: Scene, clock: Any) -> None:
    """Of a short silence of a whole org. Mutation: "Silenced until 10:05", "The silence is over", and nothing else."""
    scene.fails("agent_error")
    pushes_are_sent()
    now = database_clock.now()
    asked = actions.AskedSilence(scene.org, now + timedelta(seconds=20), whole_org=True, note="Deploy")
    actions.make_silence(asked, scene.people[1])
    clock.advance(seconds=21)
    actions.sweep_timers()
    page = text(signed_in(scene.people[0]).get(f"/alerts/{scene.alert().pk}"))
    story = page.partition("Timeline")[2]
    assert f"by {scene.people[1].name.split()[0]}" in story
    assert "The whole org" in story and "“Deploy”" in story
    assert "The silence is over" in story and "it held back nothing that is still to be told" in story


def test_what_is_silenced_does_not_shout_on_the_board(scene: Scene, lead: Client) -> None:
    for room in ("r1", "r2"):
        scene.fails("agent_error", room=room)
    asked = actions.AskedSilence(scene.org, database_clock.now() + timedelta(hours=2), room_id="r1")
    actions.make_silence(asked, scene.people[1])
    with scopes_disabled():
        board = lead.get("/?tab=snoozed").content.decode()
    assert "Silenced until" in board and f'data-person="{scene.people[1].sso_id}"' in board
    assert f'data-id="{scene.alert("r1").pk}"' in board and f'data-id="{scene.alert("r2").pk}"' not in board
    assert lead.get("/").context["counts"].waiting == 1


def test_its_author_is_told_before_it_ends_if_something_is_open(scene: Scene, lead: Client, clock: Any) -> None:
    scene.fails("agent_error")
    asked = actions.AskedSilence(scene.org, database_clock.now() + timedelta(hours=2), whole_org=True)
    actions.make_silence(asked, scene.people[0])
    assert "Your silence ends" not in lead.get("/").content.decode()
    clock.advance(minutes=111)
    assert "1 alert is still open" in lead.get("/").content.decode()
    assert "Your silence ends" not in signed_in(scene.people[1]).get("/").content.decode()
    actions.resolve(Alert.objects.get().pk, scene.people[0])
    assert "Your silence ends" not in lead.get("/").content.decode()
