"""The admin: a specialist sets up an org; nobody else gets in; keys are shown once; every change is in the history."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import translation
from django.utils.functional import Promise

from alerts.models import Alert, Push
from orgs import auth, keys
from orgs.admin.base import TrackedAdmin
from orgs.models import (
    ApiKey,
    Assignment,
    Membership,
    Org,
    Retention,
    Source,
    SourceHeard,
    SupervisorRole,
    User,
)
from tests.factories import (
    AgentFactory,
    AlertFactory,
    AssignmentFactory,
    OrgFactory,
    PushFactory,
    SourceFactory,
    SupervisorRoleFactory,
    UserFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]

PASSWORD = "a-long-enough-Passw0rd"


@pytest.fixture
def specialist(db: None) -> User:
    return UserFactory(is_specialist=True, name="Dewi", sso_id="dewi")


@pytest.fixture
def desk(specialist: User, client: Client) -> Client:
    client.force_login(specialist)
    return client


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:{name}", args=args)


def body(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


RETENTION = {
    field.name: str(field.default) for field in Retention._meta.fields if field.name.endswith("_days")
}  # as the form shows it


def formset(prefix: str, *rows: dict[str, Any], initial: int = 0) -> dict[str, Any]:
    """The fields of an inline."""
    data: dict[str, Any] = {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": initial}
    for number, row in enumerate(rows):
        data |= {f"{prefix}-{number}-{name}": value for name, value in row.items()}
    return data


ORG = {
    "personal_data": "mask",
    "external_id": "melati",
    "name": "Toko Melati",
    "zone": "Asia/Jakarta",
    "locale": "id",
    "room_url_template": "https://chat.example/{room_id}",
    "allowed_hosts": "chat.example",
    "plan": "",
    "ga_date": "",
}


def all_pages() -> list[str]:
    """Every page of the admin that takes no row."""
    names = [f"{model._meta.app_label}_{model._meta.model_name}_changelist" for model in admin.site._registry]
    return ["index", "orgs_history", "orgs_assignment_import", "orgs_assignment_export", *names]


# --- who gets in ---


@pytest.mark.parametrize("name", all_pages())
def test_a_supervisor_is_refused(name: str, client: Client) -> None:
    client.force_login(AssignmentFactory().user)
    assert client.get(url(name)).status_code in (302, 403)
    assert client.get(url(name), follow=True).status_code == 403


@pytest.mark.parametrize("name", all_pages())
def test_nobody_is_sent_to_the_log_in(name: str, client: Client, db: None) -> None:
    first = client.get(url(name), follow=True)
    assert first.redirect_chain[-1][0].startswith("/accounts/login/?next=")


def test_a_specialist_without_being_active_is_out(desk: Client, specialist: User) -> None:
    User.objects.filter(pk=specialist.pk).update(is_active=False)
    assert desk.get(url("index")).status_code == 302


@pytest.mark.parametrize("name", all_pages())
def test_a_specialist_opens_every_page(name: str, desk: Client) -> None:
    PushFactory()
    AssignmentFactory()
    assert desk.get(url(name)).status_code == 200


def test_only_our_models_are_there() -> None:
    labels = sorted(model._meta.label for model in admin.site._registry)
    assert labels == [
        "alerts.Alert",
        "alerts.LegalHold",
        "alerts.Push",
        "orgs.Agent",
        "orgs.Assignment",
        "orgs.Org",
        "orgs.Source",
        "orgs.SupervisorRole",
        "orgs.User",
    ]


# --- an org in two minutes ---


def test_there_is_one_way_to_make_an_org_and_one_back_to_its_checklist(desk: Client) -> None:
    for answer in (desk.get(url("orgs_org_add")), desk.post(url("orgs_org_add"), ORG)):
        assert answer.headers["Location"] == reverse("setup_new")
    assert not Org.objects.exists()
    assert f'href="{reverse("setup_new")}"' in body(desk.get(url("index")))
    org = OrgFactory(external_id="melati")
    assert 'href="/setup/melati"' in body(desk.get(url("orgs_org_change", org.pk)))


def test_each_part_of_an_org_has_a_link_without_scripts(desk: Client) -> None:
    org = AgentFactory().org
    page = body(desk.get(url("orgs_org_change", org.pk)))
    for part in ("org-part", "agents-group", "supervisor_roles-group", "assignments-group"):
        assert f'href="#{part}"' in page and f'id="{part}"' in page
    assert re.search(r'href="#agents-group">Agents <span>1</span>', page)


@pytest.mark.parametrize(
    ("field", "days"),
    [("room_activity_days", "39"), ("rejected_items_days", "8"), ("runs_days", "99999"), ("pushes_days", "x")],
)
def test_days_out_of_bounds_are_refused(desk: Client, field: str, days: str) -> None:
    org = OrgFactory(external_id="melati")
    forms = [formset(name) for name in ("agents", "supervisor_roles", "assignments", "memberships", "sources")]
    data = ORG | formset("retention", {**RETENTION, field: days})
    for form in forms:
        data |= form
    answer = desk.post(url("orgs_org_change", org.pk), data)
    assert answer.status_code == 200 and not Retention.objects.exists()
    assert (
        desk.post(url("orgs_org_change", org.pk), data | {f"retention-0-{field}": RETENTION[field]}).status_code == 302
    )
    assert not Retention.objects.exists(), "nothing was changed: the defaults hold"


def test_a_specialist_completes_an_org(desk: Client) -> None:
    rina = UserFactory(name="Rina")
    org = OrgFactory(external_id="melati")
    agent, role = AgentFactory(org=org, name="Billing Bot"), SupervisorRoleFactory(org=org, name="Leads", tier=1)

    response = desk.post(
        url("orgs_org_change", org.pk),
        ORG
        | formset("agents", {"id": agent.pk, "org": org.pk, "name": "Billing Bot", "production": "on"}, initial=1)
        | formset("supervisor_roles", {"id": role.pk, "org": org.pk, "name": "Leads", "tier": "2"}, initial=1)
        | formset("assignments", {"role": role.pk, "user": rina.pk, "external_user_id": "77"})
        | formset("memberships", {"user": rina.pk, "role": "lead"})
        | formset("retention", {**RETENTION, "failure_events_days": "90"})
        | formset("sources", {"name": "chatbot back end"}),
    )

    assert response.status_code == 302
    assert Assignment.objects.get(org=org, role=role, user=rina).external_user_id == "77"
    assert SupervisorRole.objects.get().tier == 2
    assert Membership.objects.get(org=org).role == "lead"
    assert (Retention.objects.get(org=org).failure_events_days, Retention.objects.get().runs_days) == (90, 90)
    assert f"/settings/policy?org={org.external_id}" in body(desk.get(url("orgs_org_change", org.pk)))
    assert Source.objects.get(org=org).name == "chatbot back end"
    assert auth.visible_orgs(rina) == auth.OrgIds.of([org.pk])


def test_the_page_of_an_org_offers_only_its_own_rows(desk: Client) -> None:
    org, foreign = OrgFactory(), SupervisorRoleFactory(name="Foreign role")
    AgentFactory(org=foreign.org, name="Foreign bot")
    AssignmentFactory(org=org, role__name="Own role")
    page = body(desk.get(url("orgs_org_change", org.pk)))
    assert "Own role" in page
    assert "Foreign" not in page


def test_a_role_of_another_org_is_refused(desk: Client) -> None:
    org, foreign = OrgFactory(external_id="melati"), SupervisorRoleFactory()
    empty = {}
    for prefix in ("agents", "supervisor_roles", "memberships", "sources"):
        empty |= formset(prefix)
    row = {"role": foreign.pk, "user": UserFactory().pk, "external_user_id": ""}
    page = body(desk.post(url("orgs_org_change", org.pk), ORG | empty | formset("assignments", row)))
    assert "Select a valid choice" in page
    assert not Assignment.objects.exists()


def test_a_role_takes_people_and_only_agents_of_its_org(desk: Client) -> None:
    role, rina = SupervisorRoleFactory(name="Leads"), UserFactory()
    own, foreign = AgentFactory(org=role.org), AgentFactory()
    data = {"name": "Leads", "tier": "1"} | formset("assignments", {"user": rina.pk, "external_user_id": ""})
    page = body(desk.post(url("orgs_supervisorrole_change", role.pk), data | {"agents": [foreign.pk]}))
    assert "Select a valid choice" in page

    assert desk.post(url("orgs_supervisorrole_change", role.pk), data | {"agents": [own.pk]}).status_code == 302
    assert list(role.agents.all()) == [own]
    assert Assignment.objects.get().org == role.org


def test_the_same_person_twice_in_a_role_is_said(desk: Client) -> None:
    one = AssignmentFactory()
    row = {"user": one.user.pk, "external_user_id": ""}
    first = {"id": one.pk, "role": one.role.pk, "user": one.user.pk, "external_user_id": ""}
    data = {"name": "Leads", "tier": "1"} | formset("assignments", first, row, initial=1)
    assert "correct the" in body(desk.post(url("orgs_supervisorrole_change", one.role.pk), data))
    again = {"role": one.role.pk, "user": one.user.pk, "external_user_id": ""}
    assert "already exists" in body(desk.post(url("orgs_assignment_add"), again))
    assert Assignment.objects.count() == 1


def test_a_name_that_is_there_already_is_said_where_the_org_cannot_be_changed(desk: Client) -> None:
    """Mutation: the form leaves the org out of what it checks, the database does not, and the page is an error."""
    role, source = SupervisorRoleFactory(name="Leads"), SourceFactory(name="chatbot")
    other, second = SupervisorRoleFactory(org=role.org, name="Nights"), SourceFactory(org=source.org, name="crm")
    renamed = {"name": "Leads", "tier": "1"} | formset("assignments")
    assert "already exists" in body(desk.post(url("orgs_supervisorrole_change", other.pk), renamed))
    assert "already exists" in body(desk.post(url("orgs_source_change", second.pk), {"name": "chatbot"}))
    platform = [SourceFactory(org=None, name=name) for name in ("chatbot", "crm")]
    for answer in (
        desk.post(url("orgs_source_change", platform[1].pk), {"name": "chatbot"}),
        desk.post(url("orgs_source_add"), {"name": "chatbot", "org": ""}),
    ):
        assert "already exists" in body(answer)
    for model, row in (("supervisorrole", other), ("source", second), ("source", platform[1])):
        before = row.name
        row.refresh_from_db()
        assert row.name == before, model


@pytest.mark.parametrize("key", ["x", "99999999999999999999", "-"])
def test_a_legal_hold_of_no_org_is_said(desk: Client, key: str) -> None:
    """Mutation: the form that is shown again asks the database for it, and the page is an error."""
    page = body(desk.post(url("alerts_legalhold_add"), {"org": key, "run_id": "x", "reason": "audit"}))
    assert "Select a valid choice" in page and "Enter a valid UUID" in page
    assert desk.get(url("alerts_legalhold_add"), {"org": key}).status_code == 200
    picked = {"action": "lift_selected", "_selected_action": [key]}
    assert desk.post(url("alerts_legalhold_changelist"), picked).status_code in (302, 400)


def test_a_wrong_room_link_or_zone_is_said(desk: Client) -> None:
    wrong = ORG | {"zone": "Mars", "room_url_template": "javascript:{room_id}"}
    parts = ("agents", "supervisor_roles", "assignments", "memberships", "sources")
    for part in parts:
        wrong |= formset(part)
    page = body(desk.post(url("orgs_org_change", OrgFactory().pk), wrong))
    assert "Mars is not a time zone" in page
    assert "A room link starts with https://." in page


def test_search_finds_people_for_the_autocomplete(desk: Client) -> None:
    UserFactory(name="Rina Wulandari", sso_id="rina")
    UserFactory(name="Bayu")
    assert found_in(desk, "assignment", "user", "wulan") == ["Rina Wulandari (rina)"]


def found_in(desk: Client, model: str, field: str, term: str) -> list[str]:
    """What a field that is searched offers."""
    query = {"term": term, "app_label": "orgs", "model_name": model, "field_name": field}
    return sorted(one["text"] for one in desk.get(url("autocomplete"), query).json()["results"])


TWINS = ["Toko Melati (melati)", "Toko Melati (melati-2)"]


@pytest.fixture
def twins(db: None) -> list[SupervisorRole]:
    """The role of one name in each of two orgs of one name."""
    orgs = [OrgFactory(name="Toko Melati", external_id=known) for known in ("melati", "melati-2")]
    return [SupervisorRoleFactory(org=org, name="Leads", tier=1) for org in orgs]


@pytest.mark.parametrize(
    ("model", "field"), [("agent", "org"), ("supervisorrole", "org"), ("source", "org"), ("membership", "org")]
)
def test_a_form_tells_orgs_of_one_name_apart(desk: Client, twins: list[SupervisorRole], model: str, field: str) -> None:
    """Mutation: both are called Toko Melati, and a key opens the door of the other customer."""
    assert found_in(desk, model, field, "melati") == TWINS
    if model != "membership":
        page = body(desk.get(url(f"orgs_{model}_add"), {"org": twins[1].org.pk}))
        assert re.search(r"<option[^>]*selected[^>]*>Toko Melati \(melati-2\)<", page)


def test_a_role_is_chosen_with_its_org_and_a_person_with_their_id(desk: Client, twins: list[SupervisorRole]) -> None:
    """Mutation: "Leads (tier 1)" stands there for every org, and a stranger gets the alerts of a customer."""
    assert found_in(desk, "assignment", "role", "leads") == [f"Leads (tier 1) · {org}" for org in TWINS]
    for known in ("rina", "rina-2"):
        UserFactory(name="Rina", sso_id=known)
    assert found_in(desk, "assignment", "user", "rina") == ["Rina (rina)", "Rina (rina-2)"]
    one = AssignmentFactory(org=twins[1].org, role=twins[1], user=User.objects.get(sso_id="rina-2"))
    page = body(desk.get(url("orgs_assignment_change", one.pk)))
    assert "Leads (tier 1) · Toko Melati (melati-2)" in page and "Rina (rina-2)" in page


def test_every_list_page_and_filter_tells_them_apart(desk: Client, twins: list[SupervisorRole]) -> None:
    for role in twins:
        AgentFactory(org=role.org, name="Billing Bot")
        AssignmentFactory(org=role.org, role=role)
        keys.issue(SourceFactory(org=role.org, name="chatbot"), ["ingest"])
        PushFactory(alert=AlertFactory(org=role.org), assignment=None, supervisor=UserFactory())
    for name in ("agent", "supervisorrole", "assignment", "source"):
        page = body(desk.get(url(f"orgs_{name}_changelist")))
        for org in TWINS:
            assert page.count(org) > 1, (name, org)  # in its row, and beside the list
    assert 'class="field-waits">–' in body(desk.get(url("orgs_assignment_changelist"))), "the rule bears no red mark"
    for name in ("alerts_alert", "alerts_push"):
        page = body(desk.get(url(f"{name}_changelist")))
        assert all(page.count(org) > 1 for org in TWINS), name
    for model, row in (("agent", twins[1].org.agents.first()), ("supervisorrole", twins[1])):
        assert "Toko Melati (melati-2)" in body(desk.get(url(f"orgs_{model}_change", row.pk)))
    source = Source.objects.get(org=twins[1].org)
    for page in (url("orgs_source_change", source.pk), url("orgs_source_issue_key", source.pk)):
        assert "Toko Melati (melati-2)" in body(desk.get(page))


def test_the_history_of_all_orgs_says_of_which(desk: Client, twins: list[SupervisorRole]) -> None:
    desk.post(url("orgs_supervisorrole_change", twins[1].pk), {"name": "Leads", "tier": "2"} | formset("assignments"))
    changed = re.findall(r"<tr>.*?</tr>", body(desk.get(url("orgs_history"))), re.DOTALL)
    row = next(one for one in changed if "changed" in one)
    assert "Toko Melati (melati-2)" in row and "from" in row
    assert "melati-2)" not in body(desk.get(url("orgs_supervisorrole_history", twins[1].pk))).split("<tbody>")[1]


@pytest.mark.parametrize("text", ["bank", "=", "%", "' OR 1=1", "\ufffd", "123e4567-e89b-12d3-a456-426614174000"])
def test_every_list_can_be_searched(desk: Client, text: str) -> None:
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}_changelist"
        assert desk.get(url(name), {"q": text}).status_code == 200


def test_what_has_a_history_is_not_deleted(desk: Client) -> None:
    source = SourceFactory()
    assert desk.get(url("orgs_org_delete", source.org.pk)).status_code == 200
    SourceHeard.objects.create(org=source.org, source=source, at=source.org.created_at)
    assert desk.get(url("orgs_org_delete", source.org.pk)).status_code == 403
    assert desk.get(url("orgs_source_delete", source.pk)).status_code == 403
    assert desk.get(url("orgs_user_delete", UserFactory().pk)).status_code == 403
    assert desk.get(url("orgs_agent_delete", AgentFactory().pk)).status_code == 403


def test_alerts_and_pushes_can_only_be_looked_at(desk: Client) -> None:
    alert, push = AlertFactory(), PushFactory()
    for name, row in (("alerts_alert", alert), ("alerts_push", push)):
        assert desk.get(url(f"{name}_change", row.pk)).status_code == 200
        assert desk.post(url(f"{name}_change", row.pk), {"state": "resolved"}).status_code == 403
        assert desk.get(url(f"{name}_delete", row.pk)).status_code == 403
        assert desk.get(url(f"{name}_add")).status_code == 403


def test_names_are_escaped(desk: Client) -> None:
    evil = "<script>alert(1)</script>"
    one = AssignmentFactory(org__name=evil, role__name=evil, user__name=evil, external_user_id=evil)
    keys.issue(SourceFactory(org=one.org, name=evil), ["read"], name=evil)
    source = Source.objects.get()
    pages = [
        url("index"),
        url("orgs_org_change", one.org.pk),
        url("orgs_org_history", one.org.pk),
        url("orgs_history"),
        url("orgs_source_change", source.pk),
        url("orgs_source_issue_key", source.pk),
        url("orgs_user_invite", one.user.pk),
        url("orgs_assignment_changelist"),
    ]
    for page in pages:
        assert evil not in body(desk.get(page))


@pytest.mark.parametrize("language", ["en", "id"])
def test_a_row_of_a_list_is_djangos_own(rf: RequestFactory, specialist: User, language: str) -> None:
    """Checkbox and address are written without its template and its resolver."""
    one = AssignmentFactory(user__name="<b>\"Rina\" & 'Budi'</b>", org__name="<i>", role__name="&lt;")
    source = SourceFactory(org=one.org, name='%s {} " <')
    request = rf.get("/")
    request.user = specialist
    with auth.within(auth.EVERY_ORG), translation.override(language):
        for row in (one, one.user, one.org, one.role, source):
            shown = admin.site._registry[type(row)]
            assert isinstance(shown, TrackedAdmin)
            assert shown.action_checkbox(row) == admin.ModelAdmin.action_checkbox(shown, row)
            listed = shown.get_changelist_instance(request)
            assert type(listed).url_for_result is not ChangeList.url_for_result
            assert listed.url_for_result(row) == ChangeList.url_for_result(listed, row)


# --- people ---


def test_an_invitation_is_shown_once(desk: Client) -> None:
    person = UserFactory(name="Rina")
    person.set_unusable_password()
    person.save()
    assert "works once" in body(desk.get(url("orgs_user_invite", person.pk)))
    page = body(desk.post(url("orgs_user_invite", person.pk), follow=True))
    found = re.search(r"http://[^/]+(/invite/[^<]+)", page)
    assert found
    assert Client().get(found[1]).status_code == 200
    assert "/invite/" not in re.sub(r'href="[^"]*"', "", body(desk.get(url("orgs_user_change", person.pk))))


def test_inviting_several_spares_those_who_have_a_password(desk: Client) -> None:
    new, old = UserFactory(name="New"), UserFactory(name="Old")
    new.set_unusable_password()
    new.save()
    old.set_password(PASSWORD)
    old.save()
    data = {"action": "invite_selected", "_selected_action": [new.pk, old.pk]}
    page = body(desk.post(url("orgs_user_changelist"), data, follow=True))
    assert "Invitation for New" in page
    assert "Old has a password already." in page
    old.refresh_from_db()
    assert old.check_password(PASSWORD)


def test_somebody_without_an_address_is_not_invited(desk: Client) -> None:
    person = UserFactory(email=None, name="Rina")
    assert "has no e-mail address" in body(desk.post(url("orgs_user_invite", person.pk), follow=True))


def test_no_password_is_typed_or_shown(desk: Client) -> None:
    person = UserFactory()
    person.set_password(PASSWORD)
    person.save()
    page = body(desk.get(url("orgs_user_change", person.pk)))
    assert person.password not in page
    assert 'type="password"' not in page


def test_a_person_is_made_with_a_lower_case_address(desk: Client) -> None:
    data = {"sso_id": "rina", "name": "Rina", "email": "Rina@Example.com", "is_active": "on", "theme": "auto"}
    inlines = formset("assignments") | formset("memberships")
    assert desk.post(url("orgs_user_add"), data | inlines).status_code == 302
    assert User.objects.get(sso_id="rina").email == "rina@example.com"
    again = data | {"sso_id": "rina2", "email": "RINA@example.com"}
    assert "Somebody else has this e-mail address." in body(desk.post(url("orgs_user_add"), again | inlines))


def test_nobody_takes_the_admin_from_themselves(desk: Client, specialist: User) -> None:
    data = (
        {"sso_id": "dewi", "name": "Dewi", "email": specialist.email} | formset("assignments") | formset("memberships")
    )
    assert desk.post(url("orgs_user_change", specialist.pk), data).status_code == 302
    specialist.refresh_from_db()
    assert specialist.is_specialist and specialist.is_active


# --- keys ---


def issue(desk: Client, source: Source, **values: Any) -> Any:
    data = {"name": "", "scopes": ["ingest", "read"], "expires": "30", "rate": ""} | values
    return desk.post(url("orgs_source_issue_key", source.pk), data)


def test_a_key_is_shown_once(desk: Client) -> None:
    source = SourceFactory()
    response = issue(desk, source)
    page = body(response)
    assert "no-store" in response.headers["Cache-Control"]
    found = re.search(r'class="lm-secret">([^<]+)<', page)
    assert found
    key = auth.find_key(found[1])
    assert (key.source, key.scopes) == (source, ["ingest", "read"])

    listed = body(desk.get(url("orgs_source_change", source.pk)))
    assert key.prefix in listed
    assert found[1].partition(".")[2] not in listed
    assert key.hashed_key not in listed


def test_a_third_key_is_refused_with_a_sentence(desk: Client) -> None:
    source = SourceFactory()
    issue(desk, source)
    issue(desk, source)
    assert "has two live keys. Revoke one of them first." in body(issue(desk, source))
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize(
    "values", [{"scopes": []}, {"scopes": ["root"]}, {"expires": "0"}, {"rate": "-1"}, {"rate": "9" * 30}]
)
def test_a_key_with_wrong_values_is_not_made(desk: Client, values: dict[str, Any]) -> None:
    assert "errorlist" in body(issue(desk, SourceFactory(), **values))
    assert not ApiKey.objects.exists()


def test_looking_makes_no_key_and_revokes_none(desk: Client) -> None:
    key, _ = keys.issue(SourceFactory(), ["read"])
    body(desk.get(url("orgs_source_issue_key", key.source_id)))
    body(desk.get(url("orgs_source_revoke_key", key.source_id, key.prefix)))
    assert ApiKey.objects.filter(revoked=False).count() == 1


def test_a_key_is_revoked(desk: Client) -> None:
    key, secret = keys.issue(SourceFactory(), ["read"])
    desk.post(url("orgs_source_revoke_key", key.source_id, key.prefix))
    with pytest.raises(auth.InvalidKey):
        auth.find_key(secret)


@pytest.mark.parametrize(
    ("given", "kept", "said"),
    [
        ("https://shop.example,http://localhost:3000", ["https://shop.example", "http://localhost:3000"], ""),
        ("https://shop.example:443", [], "not written as browsers write it: https://shop.example."),
        ("*", [], "is no origin such as"),
    ],
)
def test_the_origins_of_a_source_are_validated(desk: Client, given: str, kept: list[str], said: str) -> None:
    source = SourceFactory()
    answer = desk.post(url("orgs_source_change", source.pk), {"name": source.name, "allowed_origins": given})
    source.refresh_from_db()
    assert (answer.status_code, source.allowed_origins) == (200 if said else 302, kept)
    assert said in str(answer.context and answer.context["adminform"].form.errors)


def test_a_key_is_revoked_on_its_own_source_only(desk: Client) -> None:
    key, _ = keys.issue(SourceFactory(), ["read"])
    assert desk.post(url("orgs_source_revoke_key", SourceFactory().pk, key.prefix)).status_code == 404


# --- import, export ---

CSV = "org,role,tier,sso_id,external_user_id,name,locale\nmelati,Leads,1,rina,7,Rina <b>,id\n"


def preview(desk: Client, content: bytes) -> str:
    file = SimpleUploadedFile("people.csv", content, "text/csv")
    return body(desk.post(url("orgs_assignment_import"), {"file": file}))


def confirm(desk: Client, page: str, content: str) -> Any:
    digest = re.search('name="digest" value="([0-9a-f]+)"', page)
    assert digest
    return desk.post(url("orgs_assignment_import"), {"content": content, "digest": digest[1]}, follow=True)


def test_an_import_is_previewed_then_confirmed(desk: Client) -> None:
    OrgFactory(external_id="melati")
    page = preview(desk, CSV.encode())
    assert "1 added, 0 changed, 0 unchanged, 0 refused." in page
    assert "Rina &lt;b&gt;" in page
    assert not Assignment.objects.exists()

    done = body(confirm(desk, page, CSV.replace("\n", "\r\n")))

    assert "Imported: 1 added" in done
    assert Assignment.objects.get().user.name == "Rina <b>"


def test_a_refused_line_offers_no_confirmation(desk: Client) -> None:
    page = preview(desk, CSV.encode())
    assert "There is no org melati." in page
    assert 'name="digest"' not in page


def test_what_changed_since_the_preview_is_shown_again(desk: Client) -> None:
    org = OrgFactory(external_id="melati")
    page = preview(desk, CSV.encode())
    SupervisorRoleFactory(org=org, name="Leads", tier=3)
    again = body(confirm(desk, page, CSV))
    assert "Something changed since the preview" in again
    assert not Assignment.objects.exists()
    body(confirm(desk, again, CSV))
    assert Assignment.objects.get().role.tier == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "The file is empty."), (b"\xff\xfe", "The file is not UTF-8"), (b"x" * 1_048_577, "larger than 1 MiB")],
)
def test_a_file_that_cannot_be_read_is_said(desk: Client, content: bytes, said: str) -> None:
    assert said in preview(desk, content)


def test_an_export_holds_the_filtered_rows_only(desk: Client) -> None:
    ours, theirs = AssignmentFactory(user__sso_id="=1+1"), AssignmentFactory()
    response = desk.get(url("orgs_assignment_export"), {"org__id__exact": ours.org.pk})
    text = response.content.decode("utf-8-sig")
    assert "'=1+1" in text
    assert theirs.user.sso_id not in text
    assert "attachment" in response.headers["Content-Disposition"]


# --- history ---


def test_the_history_says_who_what_and_when_deletions_too(desk: Client) -> None:
    one = AssignmentFactory(org__name="Melati", role__name="Leads", user__name="Rina")
    other = OrgFactory(name="Bank Cendana")
    data = {"role": one.role.pk, "user": one.user.pk, "external_user_id": "77"}
    desk.post(url("orgs_assignment_change", one.pk), data)
    desk.post(url("orgs_assignment_delete", one.pk), {"post": "yes"})

    page = body(desk.get(url("orgs_org_history", one.org.pk)))

    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", page))
    assert "Dewi deleted assignment “Rina → Leads (tier 1)”." in text
    assert "Dewi set id in the chat product of assignment “Rina → Leads (tier 1)” to 77." in text
    assert "The service added assignment “Rina → Leads (tier 1)”." in text
    assert "Bank Cendana" not in page
    assert str(other) in body(desk.get(url("orgs_history")))


def test_the_history_outlives_the_org(desk: Client) -> None:
    org = OrgFactory(name="Toko Melati")
    desk.post(url("orgs_org_delete", org.pk), {"post": "yes"})
    assert not Org.objects.exists()
    assert "Dewi deleted org “Toko Melati”." in re.sub(r"<[^>]+>", "", body(desk.get(url("orgs_history"))))


def test_a_change_is_told_from_what_to_what(desk: Client) -> None:
    role = SupervisorRoleFactory(name="Leads", tier=1)
    data = {"name": "Leads", "tier": "2", "agents": []} | formset("assignments")
    desk.post(url("orgs_supervisorrole_change", role.pk), data)
    page = re.sub(r"<[^>]+>", "", body(desk.get(url("orgs_supervisorrole_history", role.pk))))
    assert "Dewi changed tier of supervisor role “Leads” from 1 to 2." in page


def test_the_history_names_the_key_and_never_its_hash(desk: Client) -> None:
    key, _ = keys.issue(SourceFactory(), ["read"], name="first")
    desk.post(url("orgs_source_revoke_key", key.source_id, key.prefix))
    page = body(desk.get(url("orgs_source_history", key.source_id)))
    assert f"first ({key.prefix})" in page
    assert "revoked" in page
    assert key.hashed_key not in page


def test_the_history_of_something_unknown_is_404(desk: Client) -> None:
    assert desk.get(url("orgs_org_history", 999)).status_code == 404
    assert desk.get(url("orgs_org_history", "x")).status_code == 404


def test_the_history_of_a_role_names_its_agents_and_people(desk: Client) -> None:
    role = SupervisorRoleFactory(name="Leads")
    agent = AgentFactory(org=role.org, name="Billing Bot")
    rina = UserFactory(name="Rina")
    data = {"name": "Leads", "tier": "1"} | formset("assignments", {"user": rina.pk, "external_user_id": ""})
    desk.post(url("orgs_supervisorrole_change", role.pk), data | {"agents": [agent.pk]})
    one = Assignment.objects.get()
    row = {"id": one.pk, "role": role.pk, "user": rina.pk, "external_user_id": ""}
    desk.post(
        url("orgs_supervisorrole_change", role.pk),
        {"name": "Leads", "tier": "1", "agents": []} | formset("assignments", row, initial=1),
    )
    for name, row_id in (("orgs_supervisorrole_history", role.pk), ("orgs_org_history", role.org.pk)):
        page = re.sub(r"<[^>]+>", "", body(desk.get(url(name, row_id))))
        assert "added agent of role “Leads (tier 1) → Billing Bot”." in page
        assert "deleted agent of role “Leads (tier 1) → Billing Bot”." in page
        assert "added assignment “Rina → Leads (tier 1)”." in page


def test_the_history_of_a_person_shows_what_they_may(desk: Client) -> None:
    person = UserFactory(name="Rina")
    person.is_specialist = True
    person.save()
    User.objects.filter(pk=person.pk).update(push_tokens=2)
    page = re.sub(r"<[^>]+>", "", body(desk.get(url("orgs_user_history", person.pk))))
    assert "The service changed specialist of person “Rina” from no to yes." in page
    assert page.count(" changed ") == 1


def test_every_name_in_the_menu_and_in_the_columns_of_alerts_and_pushes_can_be_said_in_another_language() -> None:
    for model, shown in admin.site._registry.items():
        columns = shown.list_display if model in (Alert, Push) else ()
        own = [str(name) for name in columns if name not in ("id", "its_org")]
        fields = [model._meta.get_field(name).verbose_name for name in own]
        for name in (model._meta.app_config.verbose_name, model._meta.verbose_name_plural, *fields):
            assert isinstance(name, Promise), f"{model}: {name}"
