"""The alert policy in a browser: what changed is marked and counted before it is saved; by keyboard; how it looks."""

import pytest
from django_scopes import scopes_disabled
from playwright.sync_api import expect

from alerts.models import PolicyPreview
from alerts.replay import requests
from orgs.models import Membership
from orgs.policies import save_policy, saved_policy
from orgs.policy_fields import POLICY_DEFAULTS, merged_policy
from tests.browser.conftest import PHONE, Site, check_looks
from tests.factories import AgentFactory

PATH = "/settings/policy"


@pytest.fixture
def lead(site: Site) -> Site:
    Membership.objects.create(org=site.scene.org, user=site.scene.people[0], role="lead")
    return site


def said(site: Site) -> dict[str, object]:
    return saved_policy(site.scene.org, None).document


def test_the_figures_of_a_preview_stay_in_their_card(lead: Site) -> None:
    page = lead.page(lead.person(locale="id"))
    page.goto(PATH)
    page.get_by_role("button", name="Putar ulang dengan nilai ini").click()
    page.wait_for_selector("#preview-progress")
    with scopes_disabled():
        requests.work_previews()
    table = page.locator(".lm-compared").first
    expect(table).to_be_visible()
    box, card = table.bounding_box(), page.locator(".lm-card", has=table).bounding_box()
    assert box and card
    assert box["x"] + box["width"] < card["x"] + card["width"]


def test_the_first_change_in_the_form_has_the_week_played_as_it_was(lead: Site) -> None:
    page = lead.page(lead.scene.people[0])
    page.goto(PATH)
    with page.expect_response("**/preview/ahead?*"):
        page.get_by_label("One push per room every").fill("8")
    with scopes_disabled():
        (ahead,) = PolicyPreview.objects.all()
        assert (ahead.org, ahead.is_ahead, requests.work_previews()) == (lead.scene.org, True, 1)


def test_a_lead_changes_it_by_keyboard_sees_what_changed_and_undoes_it(lead: Site) -> None:
    page = lead.page(lead.scene.people[0])
    page.goto("/")
    page.get_by_role("navigation", name="Set up").get_by_role("link", name="Alert policy").press("Enter")
    expect(page.get_by_text("Nothing changed yet.")).to_be_visible()
    throttle = page.get_by_label("One push per room every")
    throttle.press("Control+a")
    throttle.press_sequentially("8")
    expect(page.get_by_text("was 5 min")).to_be_visible()
    page.locator("select").and_(page.get_by_label("Low confidence", exact=True)).select_option("warning")
    summary = page.locator("summary", has_text="2 changes")
    summary.press("Enter")
    expect(page.locator("[data-diff] li")).to_have_text(
        ["Severity of each signal: Low confidence: Info → Warning", "Throttle: 5 min → 8"]
    )
    page.get_by_role("button", name="Discard").press("Enter")
    expect(page.get_by_text("Nothing changed yet.")).to_be_visible()
    throttle.fill("x")
    throttle.press("Enter")
    expect(page.locator(".lm-err")).to_have_text("A whole number from 0 to 1440.")
    expect(throttle).to_have_accessible_description("A whole number from 0 to 1440. min")
    check_looks(page, "wrong")
    throttle.fill("8")
    page.get_by_role("button", name="Save policy").press("Enter")
    expect(page.get_by_text("This is version 2.")).to_be_visible()
    assert said(lead)["throttle_minutes"] == 8
    page.get_by_role("button", name="Undo").press("Enter")
    expect(page.get_by_text("This is version 3.")).to_be_visible()
    assert said(lead)["throttle_minutes"] == 5
    check_looks(page, "policy")


def test_of_two_who_save_the_later_sees_both_and_saves_on_top(lead: Site) -> None:
    page = lead.page(lead.scene.people[0])
    page.goto(PATH)
    page.get_by_label("Handed off, nobody came").fill("7")
    org = lead.scene.org
    save_policy(org, None, merged_policy(POLICY_DEFAULTS, {"handoff_minutes": 4, "throttle_minutes": 9}), None)
    page.get_by_role("button", name="Save policy").click()
    expect(page.get_by_role("alert")).to_contain_text("changed it meanwhile (version 2)")
    expect(page.get_by_label("One push per room every")).to_have_value("9")
    expect(page.get_by_text("1 change", exact=True)).to_be_visible()
    expect(page.get_by_text("was 4 min")).to_be_visible()
    check_looks(page, "clash")
    page.get_by_role("button", name="Save policy").click()
    expect(page.get_by_text("This is version 3.")).to_be_visible()
    assert (said(lead)["handoff_minutes"], said(lead)["throttle_minutes"]) == (7, 9)


def test_an_agents_own_value_is_given_back_to_the_org(lead: Site) -> None:
    agent = AgentFactory(org=lead.scene.org, name="Billing Bot")
    page = lead.page(lead.scene.people[0], PHONE)
    page.goto(PATH)
    page.get_by_label("For", exact=True).select_option("Billing Bot")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Billing Bot")
    throttle = page.get_by_label("One push per room every")
    expect(page.locator("[data-field]", has=throttle)).to_contain_text("as the org: 5 min")
    throttle.fill("2")
    page.get_by_role("button", name="Save policy").click()
    expect(page.get_by_text("This is version 1.")).to_be_visible()
    assert saved_policy(lead.scene.org, agent).own == {"throttle_minutes": 2}
    page.locator("[data-field]", has=throttle).get_by_role("button", name="As the org").click()
    expect(page.locator("[data-field]", has=throttle)).to_contain_text("as the org: 5 min")
    page.get_by_role("button", name="Save policy").click()
    expect(page.get_by_text("This is version 2.")).to_be_visible()
    assert saved_policy(lead.scene.org, agent).own == {}
    check_looks(page, "agent")
