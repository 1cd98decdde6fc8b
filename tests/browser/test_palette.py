"""The command palette: pages, agents, rooms and acts, by keys and by fingers."""

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import PHONE, Site, check_looks
from tests.browser.test_select import HITS, fail


def held_answers(page: Page) -> list[Route]:
    """What the palette asks of the server from now on waits here until a test lets it go on."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/palette?*", hold)
    return held


def test_the_palette_acts_finds_and_leads_on(site: Site) -> None:
    fail(site, "r1", "r2")
    page = site.board()
    dialog, box = page.locator("#palette"), page.locator("#palette").get_by_role("combobox")
    page.keyboard.press("j")
    page.keyboard.press("Control+k")
    expect(box).to_be_focused()
    chosen = dialog.get_by_role("option", selected=True)
    expect(chosen).to_have_text("Open room")
    page.keyboard.type("take")
    expect(chosen).to_have_text("Take it")
    assert box.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    page.keyboard.press("Enter")
    expect(site.row(page, "r1")).to_contain_text("You took it")
    page.keyboard.press("Control+k")
    page.keyboard.type("ibu r2")
    expect(chosen).to_contain_text("Ibu r2")
    assert chosen.evaluate(HITS)
    check_looks(page, "palette")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Agent error: Ibu r2")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.locator(".lm-top > .lm-menu--end > summary").click()
    page.get_by_role("button", name="Find page, agent or room").click()
    box.fill("rea")
    expect(chosen).to_have_text("Reach")
    box.press("ArrowDown")
    box.press("ArrowUp")
    assert chosen.evaluate(HITS)
    chosen.click()
    expect(page).to_have_url(f"{site.web.url}/reach")
    page.keyboard.press("Control+k")
    page.keyboard.type("zzz")
    expect(dialog).to_contain_text("Nothing of this name is found.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_what_the_server_finds_late_leaves_the_mark_where_it_was_moved(site: Site) -> None:
    fail(site, "r1")
    page = site.board()
    held = held_answers(page)
    chosen = page.locator("#palette").get_by_role("option", selected=True)
    page.keyboard.press("Control+k")
    with page.expect_request("**/palette?*"):
        page.keyboard.type("r")
    expect(chosen).to_have_text("Runs")
    page.keyboard.press("ArrowDown")
    expect(chosen).not_to_have_text("Runs")
    moved = chosen.inner_text()
    held[0].continue_()
    expect(page.locator("#palette")).to_contain_text("Ibu r1")
    expect(chosen).to_have_text(moved)


def test_the_palette_knows_every_page_of_the_menu(site: Site) -> None:
    for fields in ({}, {"is_specialist": True, "locale": "id"}):
        page = site.board(site.person(**fields))
        menu = page.locator(".lm-side a[title]")
        names = menu.evaluate_all("(all) => all.map((one) => [one.title, new URL(one.href).pathname])")
        page.keyboard.press("Control+k")
        found = page.locator("#palette [data-href]")
        assert (
            found.evaluate_all("(all) => all.map((one) => [one.textContent, new URL(one.dataset.href).pathname])")
            == names
        )
        assert len(names) >= (12 if fields else 7), names
        page.keyboard.type("jadwal" if fields else "duty")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{site.web.url}/duty")


def test_enter_before_the_servers_answer_chooses_the_first_thing_that_comes_with_it(site: Site) -> None:
    fail(site, "r1")
    page = site.board()
    held = held_answers(page)
    page.keyboard.press("Control+k")
    page.keyboard.type("Billing")
    with page.expect_request("**/palette?*"):
        page.keyboard.press("Enter")
    expect(page.locator("#palette [data-none]")).to_be_hidden()
    held[0].continue_()
    expect(page).to_have_url(f"{site.web.url}/?agent=Billing+Bot")


def test_who_closes_the_palette_after_enter_goes_nowhere(site: Site) -> None:
    fail(site, "r1")
    page = site.board()
    held = held_answers(page)
    page.keyboard.press("Control+k")
    page.keyboard.type("Billing")
    with page.expect_request("**/palette?*"):
        page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    held[0].continue_()
    expect(page.locator("#palette")).to_be_hidden()
    expect(page.locator("#palette [data-href*=Billing]")).to_have_count(1)  # it came, and would have led there by now
    expect(page).to_have_url(f"{site.web.url}/")
