"""The success pages in a browser: accessible, no wider than the screen, usable with the keyboard."""

from datetime import timedelta

from playwright.sync_api import expect

from alerts.models import BlindInterval
from orgs import clock
from tests.browser.conftest import PHONE, Site, check_looks

PAGES = ("/success", "/success/time_to_intervene_median_seconds", "/success/coverage_pct", "/success?days=90")


def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(site: Site) -> None:
    site.fails("r1")
    site.happens("r1", "human_message")
    site.fails("r2", agent_name="Card Helper")
    for hours in (5, 3):
        at = clock.now() - timedelta(hours=hours)
        BlindInterval.objects.create(cause="down", starts=at, ends=at + timedelta(minutes=5))
    page = site.page(site.scene.people[0])
    for path in PAGES:
        page.goto(path)
        for summary in page.locator("main summary").all():
            summary.click()
        check_looks(page, path)


def test_from_a_figure_to_the_alert_behind_it(site: Site) -> None:
    site.fails("r1")
    site.happens("r1", "human_message")
    page = site.page(site.scene.people[0])
    page.goto("/success")
    page.get_by_role("link", name="Time to intervene, median, what is behind it").click()
    page.get_by_role("link", name="Customer r1").click()
    expect(page).to_have_url(f"{site.web.url}/alerts/{site.scene.alert('r1').pk}")


def test_the_filters_of_a_phone_open_as_a_sheet(site: Site) -> None:
    page = site.page(site.scene.people[0], size=PHONE)
    page.goto("/success")
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("from").fill("2026-01-05")
    page.get_by_label("before").fill("2026-01-12")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("main")).to_contain_text("5 Jan to 11 Jan 2026")
