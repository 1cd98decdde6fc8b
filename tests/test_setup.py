"""Setting up an org: one form makes all or nothing, and the checklist shows what rows prove."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError
from django.test import Client
from django.utils.html import strip_tags
from django_scopes import scope, scopes_disabled

from alerts import actions, onboarding
from alerts.models import Push
from orgs import auth, setup
from orgs import clock as database_clock
from orgs.models import Assignment, Membership, Org, Source, SourceHeard, SupervisorRole, User
from tests.api_client import signed_in, supervisor_of
from tests.factories import (
    AssignmentFactory,
    MembershipFactory,
    OrgFactory,
    PushFactory,
    SourceFactory,
    SupervisorRoleFactory,
    UserFactory,
)
from tests.scene import Scene

GIVEN = {
    "name": "Kopi Selasar",
    "external_id": "kopi-selasar",
    "room_url_template": "https://chat.example.com/inbox/{room_id}",
    "zone": "Asia/Makassar",
    "locale": "id",
    "sso_id": "rina",
    "person_name": "Rina Wulandari",
    "email": "Rina@example.com",
}


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", strip_tags(response.content.decode()))


@pytest.fixture
def specialist(db: None) -> Client:
    return signed_in(UserFactory(is_specialist=True, name="Dewi Anggraini"))


def nothing_made() -> bool:
    with scopes_disabled():
        made = (Org.objects, Source.objects, SupervisorRole.objects, Assignment.objects, Membership.objects)
        return not any(rows.exists() for rows in made)


# --- the form --------------------------------------------------------------------------------------------------------


def test_one_form_makes_all_an_org_needs(specialist: Client) -> None:
    page = specialist.post("/setup/new", GIVEN)
    assert (page.status_code, "no-store" in page["Cache-Control"]) == (200, True)
    org = Org.objects.get()
    assert (org.external_id, org.zone, org.locale) == ("kopi-selasar", "Asia/Makassar", "id")
    with scope(org=org.pk):
        held = Assignment.objects.select_related("role", "user").get()
        assert (held.role.tier, held.provenance, held.user.sso_id) == (1, "list", "rina")
        assert (held.user.email, held.user.name) == ("rina@example.com", "Rina Wulandari")
        assert Membership.objects.get().role == "lead"
    html = page.content.decode()
    key = auth.find_key(re.search(r'id="key">([^<]+)<', html)[1])  # type: ignore[index]
    assert (key.source.org_id, key.scopes) == (org.pk, ["ingest"])
    assert f"{settings.BASE_URL}/api/failure-events" in html
    invitation = re.search(rf"{settings.BASE_URL}(/invite/[^<\"]+)", html)[1]  # type: ignore[index]
    assert "Welcome, Rina Wulandari" in text(Client().get(invitation))
    assert "1 of 6 done" in text(page)


def test_the_key_is_shown_once(specialist: Client) -> None:
    html = specialist.post("/setup/new", GIVEN).content.decode()
    secret = re.search(r'id="key">([^<]+)<', html)[1]  # type: ignore[index]
    assert secret not in specialist.get("/setup/kopi-selasar").content.decode()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"name": ""}, "This field is required."),
        ({"external_id": "x" * 201}, "Ensure this value has at most 200 characters"),
        ({"external_id": "a\nb"}, "Control characters are not allowed here."),
        ({"sso_id": "a\x01b"}, "Control characters are not allowed here."),
        ({"zone": "Mars/Base"}, "Select a valid choice."),
        ({"locale": "xx"}, "Select a valid choice."),
        ({"room_url_template": "javascript:alert(1)"}, "A room link starts with https://."),
        ({"room_url_template": "http://chat.example.com/{room_id}"}, "A room link starts with https://."),
        ({"room_url_template": "https://{room_id}.example.com/"}, "The host of a room link is fixed."),
        ({"email": "rina"}, "Enter a valid email address."),
        ({"sso_id": ""}, "This field is required."),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_made(
    specialist: Client, wrong: dict[str, str], error: str
) -> None:
    page = specialist.post("/setup/new", GIVEN | wrong)
    assert page.status_code == 422
    (field,) = wrong
    assert error in strip_tags(re.search(rf'id="id_{field}-error">(.*?)</p>', page.content.decode(), re.S)[1])  # type: ignore[index]
    assert nothing_made()


def test_the_same_again_makes_nothing_and_leads_to_what_is_there(specialist: Client) -> None:
    specialist.post("/setup/new", GIVEN)
    again = specialist.post("/setup/new", GIVEN)
    assert again.status_code == 422
    assert "Kopi Selasar is there already; nothing was made." in text(again)
    assert 'href="/setup/kopi-selasar"' in again.content.decode()
    with scopes_disabled():
        assert (Org.objects.count(), Source.objects.count(), Assignment.objects.count()) == (1, 1, 1)


def test_of_two_at_once_the_second_makes_nothing(db: None) -> None:
    OrgFactory(external_id="taken")
    with scopes_disabled(), pytest.raises(setup.CannotSetUp) as refused:
        setup.set_up(Org(external_id="taken", name="x"), sso_id="rina", email="r@example.com")
    assert refused.value.field == "external_id"
    assert not User.objects.filter(sso_id="rina").exists()


def test_all_or_nothing(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise IntegrityError

    monkeypatch.setattr(setup.keys, "issue", broken)
    with scopes_disabled(), pytest.raises(IntegrityError):
        setup.set_up(Org(external_id="new", name="x"), sso_id="rina", email="r@example.com")
    assert nothing_made()
    assert not User.objects.filter(sso_id="rina").exists()


def test_somebody_known_is_taken_as_they_are(specialist: Client) -> None:
    rina = UserFactory(sso_id="rina", email="rina@example.com", name="Rina W.")
    rina.set_password("a long password")
    rina.save()
    page = specialist.post("/setup/new", GIVEN)
    assert "Rina W. can sign in already: no invitation is needed." in text(page)
    rina.refresh_from_db()
    assert rina.name == "Rina W."
    assert rina.check_password("a long password")


@pytest.mark.parametrize(
    ("known", "field", "error"),
    [
        ({"sso_id": "rina", "email": "other@example.com"}, "email", "&#x27;rina&#x27; is known as other@example.com."),
        ({"sso_id": "bayu", "email": "rina@example.com"}, "email", "belongs to &#x27;bayu&#x27; already."),
        ({"sso_id": "rina", "email": "rina@example.com", "is_active": False}, "sso_id", "rina is locked out."),
    ],
)
def test_the_person_must_be_who_is_meant(specialist: Client, known: dict[str, Any], field: str, error: str) -> None:
    UserFactory(**known)
    page = specialist.post("/setup/new", GIVEN)
    assert error in re.search(rf'id="id_{field}-error">(.*?)</p>', page.content.decode(), re.S)[1]  # type: ignore[index]
    assert nothing_made()


def test_only_specialists_set_up(org: Org) -> None:
    lead = supervisor_of(org)
    MembershipFactory(org=org, user=lead, role="lead")
    client = signed_in(lead)
    assert [client.get("/setup/new").status_code, client.post("/setup/new", GIVEN).status_code] == [403, 403]
    assert Client().get("/setup/new").status_code == 302
    assert Org.objects.count() == 1
    assert "Set up an org" not in text(client.get("/"))


def test_an_empty_board_leads_to_the_form(specialist: Client) -> None:
    assert 'class="btn btn-primary" href="/setup/new"' in specialist.get("/").content.decode()


# --- the checklist ---------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(db: None, system: None) -> Scene:
    """An org with a source and nobody yet."""
    return Scene(staff=0)


def done(org: Org) -> list[str]:
    (progress,) = onboarding.progress(Org.objects.filter(pk=org.pk))
    return [step for step in onboarding.STEPS if step in progress.done]


def test_each_step_is_proven_by_its_row_and_by_no_other(scene: Scene) -> None:
    org, now = scene.org, database_clock.now()
    assert done(org) == []
    SourceHeard.objects.create(org=org, source=scene.source, at=now)
    assert done(org) == ["source"]
    scene.fails()
    assert done(org) == ["source", "event"]
    locked = AssignmentFactory(org=org, role=scene.role, user__is_active=False)
    assert done(org) == ["source", "event"]
    rina = AssignmentFactory(org=org, role=scene.role).user
    assert done(org) == ["source", "event", "people"]
    push = PushFactory(alert=None, org=org, assignment=None, supervisor=rina, state="sent", sent_at=now)
    assert "phone" not in done(org)
    Push.objects.filter(pk=push.pk).update(delivered_at=now)
    assert done(org) == ["source", "event", "people", "phone"]
    actions.take(scene.alert().pk, rina)
    assert "room" not in done(org)
    actions.open_room(scene.alert().pk, rina)
    assert done(org) == ["source", "event", "people", "phone", "room"]
    scene.happens("human_message", who=rina)
    assert done(org) == list(onboarding.STEPS)
    assert done(OrgFactory()) == []
    assert not locked.user.is_active


def finish(scene: Scene, *, but: str = "") -> User:
    """Everything of the checklist, except one step."""
    now = database_clock.now()
    rina = AssignmentFactory(org=scene.org, role=scene.role, user__name="Rina Wulandari").user
    MembershipFactory(org=scene.org, user=rina, role="lead")
    SourceHeard.objects.create(org=scene.org, source=scene.source, at=now)
    scene.fails(room_label="Ibu Sari")
    if but != "phone":
        at = database_clock.now()  # after the failure's own push: the page shows the newest
        told = {"planned_at": at, "sent_at": at, "delivered_at": at}
        PushFactory(alert=None, org=scene.org, assignment=None, supervisor=rina, state="sent", **told)
    actions.open_room(scene.alert().pk, rina)
    if but != "follow_up":
        scene.happens("human_message", who=rina)
    return rina


def test_a_stand_ins_receipt_reaches_no_phone(scene: Scene, settings: Any) -> None:
    lead = finish(scene)
    settings.NOTIFICATION_SERVICE_IS_STANDIN = True
    assert "phone" not in done(scene.org)
    page = text(signed_in(lead).get(f"/setup/{scene.org.external_id}"))
    assert "5 of 6 done" in page and "it is done when a real phone has one" in page
    assert "A stand-in takes the pushes: no phone rings." in page
    assert "a stand-in took it; no phone rang." in page


def test_each_step_shows_its_fact_or_what_to_do(scene: Scene) -> None:
    org = scene.org
    lead = supervisor_of(org, name="Rina Wulandari", push_tokens=0)
    MembershipFactory(org=org, user=lead, role="lead")
    page = text(signed_in(lead).get(f"/setup/{org.external_id}"))
    assert "1 of 6 done" in page
    assert "There is no key yet. A specialist issues one" in page
    assert "Rina has no phone registered." in page
    assert "Send test to Rina" in page
    assert "Comes with the first alert." in page
    scene.fails(room_label="Ibu Sari")
    page = text(signed_in(lead).get(f"/setup/{org.external_id}"))
    assert "Agent error of Billing Bot" in page
    assert "Open “Ibu Sari” from here" in page
    assert "1 person, 1 tier" in page


def test_the_menu_counts_until_all_is_done(scene: Scene) -> None:
    rina = finish(scene, but="follow_up")
    client, address = signed_in(rina), f"/setup/{scene.org.external_id}"
    assert "Setup 5 of 6" in text(client.get("/"))
    assert client.get(f"{address}?partial=1").status_code == 200
    scene.happens("human_message", who=rina)
    assert "Setup" not in text(client.get("/")).replace("Set up", "")
    page = text(client.get(address))
    assert f"{scene.org.name} is set up" in page
    assert "All six steps are proven." in page
    last = client.get(f"{address}?partial=1")
    assert (last.status_code, b"hx-trigger" in last.content) == (286, False)  # htmx stops asking


def test_the_menu_names_the_newest_org_and_the_page_the_others(specialist: Client, scene: Scene) -> None:
    newer = OrgFactory(name="Newer", created_at=database_clock.now() + timedelta(minutes=1))
    menu = r'href="/setup/([^"]+)" title="Set up'
    assert set(re.findall(menu, specialist.get("/").content.decode())) == {newer.external_id, "new"}
    there = specialist.get(f"/setup/{scene.org.external_id}").content.decode()
    assert set(re.findall(menu, there)) == {scene.org.external_id, "new"}
    assert f"Also in setup: {scene.org.name} (0 of 6)" in text(specialist.get(f"/setup/{newer.external_id}"))


def test_the_partial_is_the_list_alone_and_no_sign_of_a_person(scene: Scene, monkeypatch: Any) -> None:
    monkeypatch.setattr("console.http.middleware.MOVED_BY", 0)  # as if a minute had passed
    client = signed_in(finish(scene, but="phone"))
    client.get("/")
    part = client.get(f"/setup/{scene.org.external_id}?partial=1")
    assert b"<html" not in part.content
    assert settings.SESSION_COOKIE_NAME not in part.cookies  # the session is not prolonged
    assert settings.SESSION_COOKIE_NAME in client.get(f"/setup/{scene.org.external_id}").cookies


def test_the_checklist_is_for_leads_and_specialists(org: Org, specialist: Client) -> None:
    supervisor, stranger = supervisor_of(org), supervisor_of(OrgFactory())
    MembershipFactory(org=org, user=stranger, role="lead")
    for client, status in ((signed_in(supervisor), 404), (signed_in(stranger), 404), (specialist, 200)):
        assert client.get(f"/setup/{org.external_id}").status_code == status
    assert specialist.get("/setup/nowhere").status_code == 404
    assert specialist.get("/setup/a%01b").status_code == 404
    assert specialist.post(f"/setup/{org.external_id}").status_code == 405
    assert "Setup" not in text(signed_in(supervisor).get("/"))


def test_odd_ids_have_a_page_too(specialist: Client) -> None:
    for external_id in ("a/b", "Toko “Sari” #1?", ".."):
        OrgFactory(external_id=external_id)
        assert specialist.get("/").status_code == 200
    assert specialist.get("/setup/a/b").status_code == 200


def test_the_page_asks_the_same_for_few_and_for_many(scene: Scene, django_assert_max_num_queries: Any) -> None:
    client, address = signed_in(finish(scene, but="phone")), f"/setup/{scene.org.external_id}?partial=1"
    client.get(address)
    with django_assert_max_num_queries(25) as few:
        client.get(address)
    for n in range(5):
        AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org))
        SourceFactory(org=scene.org)
        scene.fails(room=f"more-{n}")
    with django_assert_max_num_queries(len(few.captured_queries)):
        client.get(address)
