"""`/settings`: everybody finds what they may set, and who sets the rest."""

import pytest
from django.test import Client
from django.urls import reverse
from django_scopes import scopes_disabled

from orgs.models import Membership, Org, User
from tests.api_client import signed_in, supervisor_of
from tests.factories import AssignmentFactory, OrgFactory, UserFactory
from tests.test_pages import text

OF_LEADS = ("policy", "silences", "sources", "walls")


def lead_of(org: Org, **values: str) -> User:
    user = supervisor_of(org)
    User.objects.filter(pk=user.pk).update(**values)
    with scopes_disabled():
        Membership.objects.update_or_create(org=org, user=user, defaults={"role": "lead"})
    return user


def settings(client: Client) -> str:
    return client.get("/settings").content.decode().partition("<main")[2].partition("</main")[0]


def leads_on(page: str, *names: str) -> bool:
    return any(f'href="{reverse(name)}"' in page for name in names)


def test_a_supervisor_sees_their_own_and_whom_to_ask(org: Org) -> None:
    """Mutation: /settings is 404, and nobody says who sets the policy."""
    lead_of(org, name="Putu Lead")
    page = settings(signed_in(supervisor_of(org)))
    assert leads_on(page, "preferences") and leads_on(page, "duty_mine")
    assert not leads_on(page, *OF_LEADS, "setup_new", "admin:index")
    assert "Putu Lead" in page and "ask a lead" in page


def test_an_org_without_a_lead_says_so(org: Org) -> None:
    page = settings(signed_in(supervisor_of(org)))
    assert "No lead yet" in page


def test_somebody_who_leads_it_but_sees_it_no_more_is_not_named(org: Org) -> None:
    gone = UserFactory(name="Gone Lead")
    Membership.objects.create(org=org, user=gone, role="lead")
    assert "Gone Lead" not in settings(signed_in(supervisor_of(org)))


def test_a_lead_sees_what_they_set_and_of_which_org(org: Org) -> None:
    other = OrgFactory(name="Elsewhere")
    lead = lead_of(org)
    AssignmentFactory(org=other, user=lead)
    page = settings(signed_in(lead))
    assert all(leads_on(page, name) for name in OF_LEADS)
    assert not leads_on(page, "setup_new", "admin:index")
    yours, _, others = page.partition("What others set")
    assert org.name in yours and "Elsewhere" in others and org.name not in others


def test_a_specialist_sees_the_admin_too_and_nobody_to_ask(org: Org) -> None:
    page = settings(signed_in(UserFactory(is_specialist=True)))
    assert all(leads_on(page, name) for name in (*OF_LEADS, "setup_new", "admin:index", "admin:orgs_assignment_import"))
    assert "What others set" not in page and not leads_on(page, "duty_mine")


@pytest.mark.parametrize("path", OF_LEADS)
def test_each_page_it_leads_to_opens_for_who_is_led_there(org: Org, path: str) -> None:
    assert signed_in(lead_of(org)).get(reverse(path)).status_code == 200


def test_whoever_is_not_signed_in_is_asked_to(client: Client, db: None) -> None:
    assert client.get("/settings").headers["Location"].startswith("/accounts/login/")


def test_menus_lead_to_it(org: Org) -> None:
    assert 'href="/settings"' in signed_in(supervisor_of(org)).get("/").content.decode()
    assert "Settings" in text(signed_in(lead_of(org)).get("/"))
