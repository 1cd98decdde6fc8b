"""People whom an org names though they are not its own: until somebody says yes they see, get and tell nothing."""

import json
from typing import Any

import pytest
from django.test import Client
from django_scopes import scopes_disabled

from alerts.reach import production_agents, reach_of
from console.live.sockets import Login, allowed_now
from orgs import imports
from orgs.models import Agent, Assignment, Org, User
from orgs.routing import recipients
from tests.api_client import post, put, signed_in, supervisor_of, with_key
from tests.factories import AssignmentFactory, MembershipFactory, OrgFactory, UserFactory
from tests.scene import Scene

PATH = "/api/assignments"


def item(sso_id: str, role: str = "Leads", **more: Any) -> dict[str, Any]:
    return {"sso_id": sso_id, "role": role, "tier": 1, **more}


@pytest.fixture
def yoga(db: None) -> User:
    """A supervisor of another org, with a phone."""
    return supervisor_of(OrgFactory(), sso_id="yoga", name="Yoga Pratama", push_tokens=2)


@pytest.fixture
def lead(org: Org) -> User:
    person = supervisor_of(org, sso_id="rina", name="Rina")
    MembershipFactory(org=org, user=person, role="lead")
    return person


def listed(client: Client, org: Org, *items: Any, query: str = "") -> dict[str, Any]:
    answer = put(client, f"{PATH}?org_id={org.external_id}&{query}", list(items))
    assert answer.status_code == 200, answer.json()
    return answer.json()  # type: ignore[no-any-return]


def pending_of(org: Org) -> set[str]:
    with scopes_disabled():
        return set(Assignment.every.filter(org=org, pending=True).values_list("user__sso_id", flat=True))


def untrusted(org: Org, lead: User) -> dict[str, Client]:
    return {"the org's key": with_key(org, "act", "read"), "a lead": signed_in(lead)}


@pytest.mark.parametrize("who", ["the org's key", "a lead"])
def test_somebody_of_another_org_waits_for_a_word(org: Org, lead: User, yoga: User, who: str) -> None:
    everybody = [item(lead.sso_id), item("yoga", name="Mine now"), item("brand-new")]
    caller = untrusted(org, lead)[who]
    said = listed(caller, org, *everybody, query="dry_run=1")
    assert pending_of(org) == set()
    done = listed(caller, org, *everybody)

    assert said == done | {"dry_run": True}
    assert {one["sso_id"]: one.get("pending") for one in done["added"]} == {
        "rina": None, "yoga": True, "brand-new": None,
    }  # fmt: skip
    assert [(one["sso_id"], one["pending"]) for one in done["waiting"]] == [("yoga", True)]
    assert pending_of(org) == {"yoga"}
    assert "Yoga" not in json.dumps([said, done])
    again = listed(caller, org, *everybody)
    assert (again["unchanged"], [one["sso_id"] for one in again["waiting"]]) == (3, ["yoga"])
    yoga.refresh_from_db()
    assert yoga.name == "Yoga Pratama"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: UserFactory(name="Secret"), id="somebody without a role"),
        pytest.param(lambda: UserFactory(name="Secret", is_specialist=True), id="a specialist"),
        pytest.param(lambda: UserFactory(name="Secret", is_active=False), id="somebody locked out"),
    ],
)
def test_whoever_is_known_and_not_this_orgs_waits(org: Org, make: Any) -> None:
    person = make()
    answer = listed(with_key(org, "act"), org, item(person.sso_id, name="Mine", locale="en"))
    assert pending_of(org) == {person.sso_id}
    assert "Secret" not in json.dumps(answer)
    assert User.objects.get(pk=person.pk).name == "Secret"


# --- until then ------------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(org: Org, lead: User, yoga: User) -> Scene:
    """Something failed in the org, whose key has named Yoga."""
    with scopes_disabled():
        made = Scene(org, staff=0)
        made.people = [lead, yoga]
        listed(with_key(org, "act"), org, item("rina"), item("yoga", external_user_id="chat-7"))
        made.fails()
    return made


def test_a_pending_person_is_told_nothing(scene: Scene, lead: User, yoga: User) -> None:
    with scopes_disabled():
        agent = Agent.objects.get(org=scene.org)
        assert [one.sso_id for one in recipients([(scene.org.pk, agent.pk)])[scene.org.pk, agent.pk]] == ["rina"]
        assert [one.user for one in reach_of(production_agents())[0].supervisors] == [lead]
        assert scene.alert().pushes.filter(supervisor=yoga).count() == 0
        assert scene.alert().pushes.filter(supervisor=lead).count() == 1
    tested = [post(with_key(scene.org), f"/api/supervisors/{who}/test-push") for who in ("yoga", "nobody")]
    assert [one.status_code for one in tested] == [404, 404]
    assert tested[0].content == tested[1].content
    assert signed_in(lead).post("/reach/yoga/test-push").status_code == 404


def test_a_pending_person_is_shown_nothing(scene: Scene, yoga: User) -> None:
    with scopes_disabled():
        alert = scene.alert().pk
    theirs = signed_in(yoga)
    session = theirs.session
    for address in (f"/alerts/{alert}", f"/api/alerts/{alert}", f"/setup/{scene.org.external_id}"):
        assert theirs.get(address).status_code == 404
    for address in ("/", "/reach", "/api/orgs", "/api/alerts", "/preferences"):
        assert scene.org.name not in theirs.get(address).content.decode()
    login = Login(yoga.pk, str(session.session_key), yoga.get_session_auth_hash())
    with scopes_disabled():
        assert scene.org.pk not in allowed_now([login])[login]


def test_nobody_in_the_org_learns_who_it_is(scene: Scene, lead: User) -> None:
    machine = with_key(scene.org)
    with scopes_disabled():
        alert = scene.alert().pk
        scene.happens("human_message", actor_sso_id="yoga")
        scene.happens("assigned", actor_external_id="chat-7")
        assert scene.alert().intervened_by is None
    for address in ("/api/supervisors", "/api/reach", "/api/pushes", f"/api/alerts/{alert}"):
        assert "Yoga" not in machine.get(address).content.decode()
    for address in ("/", "/reach", f"/alerts/{alert}", "/sources", f"/setup/{scene.org.external_id}"):
        assert "Yoga" not in signed_in(lead).get(address).content.decode()
    listed(machine, scene.org, item("rina"))
    for address in ("/reach", "/sources"):
        assert "Yoga" not in signed_in(lead).get(address).content.decode()


# --- named in an act -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["assign", "take", "acknowledge"])
def test_foreign_pending_and_unknown_people_are_named_alike(scene: Scene, verb: str) -> None:
    boss = UserFactory(is_specialist=True, sso_id="boss")
    other = supervisor_of(OrgFactory(), sso_id="other")
    with scopes_disabled():
        alert = scene.alert().pk
    people = ("yoga", other.sso_id, boss.sso_id, "nobody")
    answers = [post(with_key(scene.org), f"/api/alerts/{alert}/{verb}", {"sso_id": who}) for who in people]
    assert [one.status_code for one in answers] == [422] * 4
    assert len({one.content for one in answers}) == 1
    with scopes_disabled():
        assert scene.alert().assigned_to is None


def test_the_form_that_assigns_answers_foreign_and_unknown_people_alike(scene: Scene, lead: User) -> None:
    boss = UserFactory(is_specialist=True, sso_id="boss")
    other = supervisor_of(OrgFactory(), sso_id="other")
    desk = signed_in(lead)
    with scopes_disabled():
        address = f"/alerts/{scene.alert().pk}/assign"
    people = ("yoga", other.sso_id, boss.sso_id, "nobody", "no\x01body", "")
    answers = [desk.post(address, {"sso_id": who}, headers={"HX-Request": "true"}) for who in people]
    assert [one.status_code for one in answers] == [422] * 6
    assert len({one.headers["HX-Trigger"] for one in answers}) == 1
    assert desk.post(address, {"sso_id": "rina"}, headers={"HX-Request": "true"}).status_code == 200


# --- the word --------------------------------------------------------------------------------------------------------


def test_a_specialist_confirms(scene: Scene, yoga: User) -> None:
    desk = signed_in(UserFactory(is_specialist=True))
    address = f"/api/people/yoga/confirm?org_id={scene.org.external_id}"
    answer = post(desk, address)
    assert (answer.status_code, answer.json()) == (
        200,
        {"sso_id": "yoga", "org_id": scene.org.external_id, "confirmed": 1},
    )
    assert pending_of(scene.org) == set()
    assert "Yoga" in with_key(scene.org).get("/api/supervisors").content.decode()
    assert post(desk, address).json()["confirmed"] == 0
    for wrong, status in (("/api/people/nobody/confirm", 404), ("/api/people/yoga/confirm", 404)):
        assert post(desk, f"{wrong}?org_id=nowhere").status_code == status
    assert post(desk, "/api/people/yoga/confirm").status_code == 422
    assert post(desk, f"/api/people/nobody/confirm?org_id={scene.org.external_id}").status_code == 404


def test_nobody_else_confirms(scene: Scene, lead: User, yoga: User) -> None:
    callers = (with_key(scene.org, "act"), with_key(None, "act"), signed_in(lead), signed_in(yoga))
    for caller in callers:
        answers = [
            post(caller, f"/api/people/{who}/confirm?org_id={scene.org.external_id}") for who in ("yoga", "nobody")
        ]
        assert [one.status_code for one in answers] == [403, 403]
        assert answers[0].content == answers[1].content
    assert pending_of(scene.org) == {"yoga"}


def test_the_person_says_yes_behind_the_link(scene: Scene, lead: User, yoga: User) -> None:
    link = f"/join/{scene.org.external_id}"
    assert signed_in(UserFactory()).get(link).status_code == 404
    assert Client().get(link).headers["Location"].startswith("/accounts/login/")
    theirs = signed_in(yoga)
    page = theirs.get(link)
    assert (page.status_code, scene.org.name in page.content.decode()) == (200, True)
    assert pending_of(scene.org) == {"yoga"}  # asking is no answer
    assert theirs.post(link).headers["Location"] == "/"
    assert pending_of(scene.org) == set()
    with scopes_disabled():
        assert theirs.get(f"/alerts/{scene.alert().pk}").status_code == 200
    assert signed_in(lead).post(link).headers["Location"] == "/"


def test_the_admin_shows_who_waits_and_confirms(scene: Scene) -> None:
    desk = signed_in(UserFactory(is_specialist=True))
    address = "/admin/orgs/assignment/"
    page = desk.get(address, {"pending__exact": "1"}).content.decode()
    rows = page[page.index('id="result_list"') :]
    assert ("Yoga Pratama" in rows, ">Rina<" in rows) == (True, False)
    with scopes_disabled():
        held = Assignment.every.get(org=scene.org, user__sso_id="yoga")
    again = {"role": held.role_id, "user": held.user_id, "external_user_id": ""}
    assert "already exists" in desk.post(f"{address}add/", again).content.decode()
    chosen = {"action": "confirm_selected", "_selected_action": [held.pk]}
    assert "1 assignment confirmed." in desk.post(address, chosen, follow=True).content.decode()
    assert pending_of(scene.org) == set()


@pytest.mark.parametrize("who", ["a platform key", "a specialist", "a file of the shell"])
def test_whose_word_counts_names_people_without_asking(scene: Scene, who: str) -> None:
    if who == "a file of the shell":
        with scopes_disabled():
            imports.run(f"org,role,tier,sso_id\n{scene.org.external_id},Leads,1,yoga\n".encode(), dry_run=False)
    else:
        caller = with_key(None, "act") if who == "a platform key" else signed_in(UserFactory(is_specialist=True))
        answer = listed(caller, scene.org, item("rina"), item("yoga"))
        assert answer["changed"] == [
            {"sso_id": "yoga", "role": "Leads", "changes": {"pending": {"from": True, "to": False}}}
        ]
        assert answer["waiting"] == []
    assert pending_of(scene.org) == set()


# --- whom an org need not ask again ----------------------------------------------------------------------------------


def test_whoever_has_a_role_here_gets_another_without_asking(org: Org) -> None:
    both = supervisor_of(org, OrgFactory(), sso_id="both")
    answer = listed(with_key(org, "act"), org, item(both.sso_id, "Night"))
    assert (pending_of(org), answer["waiting"]) == (set(), [])


def test_whoever_was_left_out_by_mistake_comes_back(org: Org) -> None:
    machine = with_key(org, "act")
    listed(machine, org, item("dewi"), item("bayu"))
    listed(machine, org, item("bayu"))
    listed(machine, org, item("dewi"), item("bayu"))
    assert pending_of(org) == set()


def test_whoever_has_moved_to_another_org_is_asked(org: Org) -> None:
    machine = with_key(org, "act")
    listed(machine, org, item("dewi"), item("bayu"))
    listed(machine, org, item("bayu"))
    AssignmentFactory(user=User.objects.get(sso_id="dewi"))
    listed(machine, org, item("dewi"), item("bayu"))
    assert pending_of(org) == {"dewi"}


def test_being_named_and_left_out_again_is_no_history(org: Org, yoga: User) -> None:
    machine = with_key(org, "act")
    listed(machine, org, item("yoga"), item("bayu"))
    listed(machine, org, item("bayu"))
    with scopes_disabled():
        Assignment.objects.filter(user=yoga).delete()
    listed(machine, org, item("yoga"), item("bayu"))
    assert pending_of(org) == {"yoga"}


def test_two_names_for_a_role_still_wait(org: Org, yoga: User) -> None:
    machine = with_key(org, "act")
    listed(machine, org, item("yoga"))
    listed(machine, org, item("yoga"), item("yoga", "Night"))
    with scopes_disabled():
        assert not Assignment.objects.filter(org=org, user=yoga).exists()
