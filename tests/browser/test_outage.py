"""An agent breaks while somebody looks at the board: its rooms fold under one row, and one tap takes them all."""

from playwright.sync_api import Page, expect

from alerts.models import Alert
from orgs.models import Policy
from tests.browser.conftest import Site, check_looks


def outage(site: Site) -> Alert:
    return Alert.objects.get(org=site.scene.org, scope="agent")


def look_away(page: Page) -> None:
    """Nobody reads: the list is put right at once."""
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(1, 1)


def test_the_rooms_of_an_outage_fold_under_its_row_and_one_tap_takes_all(site: Site) -> None:
    Policy.objects.filter(org=site.scene.org).update(limits={})
    page = site.board()
    for n in range(4):
        site.fails(f"r{n}")
    expect(page.locator(".lm-row")).to_have_count(4)
    page.evaluate("window.sameDocument = true")
    for n in range(4, 7):
        site.fails(f"r{n}")
    row = page.locator(f"#row-{outage(site).pk}")
    expect(row).to_contain_text("7 rooms under it need a human")
    expect(page.locator(".lm-row")).to_have_count(1)
    expect(page.locator("[data-headline]")).to_have_text("8 alerts need a human")
    expect(page.locator('[data-count="waiting"]')).to_have_text("8")
    expect(page.locator('[data-figure="folded"]')).to_have_text("7 of them are rooms under an outage")
    expect(page.locator('[data-counted="waiting"]')).to_have_text("1 alert, 7 more rooms under an outage")
    row.get_by_role("button", name="Take all").click()
    expect(row).to_contain_text("You took it")
    look_away(page)
    expect(page.locator('.lm-part[data-group="on-it"] .lm-row')).to_have_count(8)
    assert page.evaluate("window.sameDocument")
    expect(page.locator('[data-figure="folded"]')).to_be_hidden()
    assert {site.scene.alert(f"r{n}").assigned_to for n in range(7)} == {site.scene.people[0]}
    page.get_by_role("button", name="Undo").click()
    look_away(page)
    expect(row).to_contain_text("7 rooms under it need a human")
    expect(page.locator(".lm-row")).to_have_count(1)
    check_looks(page, "a board with an outage")
    row.get_by_role("link", name="7 rooms under it need a human").click()
    expect(page.locator(".lm-row")).to_have_count(7)
    page.goto(f"{site.web.url}/alerts/{outage(site).pk}")
    expect(page.locator("#outage-rooms")).to_be_visible()
    check_looks(page, "the page of an outage")
