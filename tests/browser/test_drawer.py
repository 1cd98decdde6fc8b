"""An alert over the board on a wide screen, and the way back to the list from wherever one looked at it."""

from playwright.sync_api import Page, expect

from alerts import actions
from tests.browser.conftest import PHONE, Site, check_looks, live
from tests.browser.test_reachable import OUT_OF_REACH
from tests.browser.test_select import fail


def at(site: Site, room: str) -> str:
    return f"/alerts/{site.scene.alert(room).pk}"


def focused(page: Page) -> str:
    """The row that has the focus."""
    return str(page.evaluate("document.activeElement.closest('.lm-row')?.id ?? ''"))


def top_of(page: Page, site: Site, room: str) -> float:
    return float(
        page.evaluate(f"document.getElementById('row-{site.scene.alert(room).pk}').getBoundingClientRect().top")
    )


def test_an_alert_opens_over_the_list_goes_on_and_closes_where_one_was(site: Site) -> None:
    fail(site, *[f"r{n}" for n in range(9)])
    page = site.board()
    page.evaluate("window.sameDocument = true")
    drawer = page.locator("#drawer")
    for _ in range(7):
        page.keyboard.press("j")
    place = page.evaluate("scrollY")
    assert place > 0
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.web.url}{at(site, 'r6')}")
    page.keyboard.press("j")  # before it is there
    expect(drawer.locator("h1")).to_have_text("Agent error: Ibu r7")
    page.keyboard.press("t")
    expect(drawer).to_contain_text("You took it")
    assert site.scene.alert("r7").assigned_to == site.scene.people[0]
    actions.resolve(site.scene.alert("r7").pk, site.scene.people[1])
    expect(drawer).to_contain_text("Resolved by Bayu")
    page.keyboard.press("k")
    expect(drawer.locator("h1")).to_have_text("Agent error: Ibu r6")
    expect(site.row(page, "r6")).to_have_class("lm-row lm-row--crit lm-row--late is-shown")
    site.fails("r6", "message_cap")
    expect(drawer).to_contain_text("Message cap")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page).to_have_url(f"{site.web.url}/")
    assert focused(page) == f"row-{site.scene.alert('r6').pk}"
    assert page.evaluate("scrollY") == place
    site.row(page, "r5").locator(".lm-why").click(force=True)
    expect(drawer.locator("h1")).to_have_text("Agent error: Ibu r5")
    page.go_back()
    expect(drawer).to_be_hidden()
    page.go_forward()
    expect(drawer.locator("h1")).to_have_text("Agent error: Ibu r5")
    site.fails("new")
    expect(page.locator("[data-count=all]")).to_have_text("10")  # the board goes on under it
    assert page.evaluate("window.sameDocument")
    page.reload()
    expect(page.locator(".is-alert h1")).to_have_text("Agent error: Ibu r5")


def test_every_item_of_a_drawer_can_be_hit_and_works(site: Site) -> None:
    fail(site, "r1", "r2")
    page = site.board()
    for width in (1024, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        site.row(page, "r1").locator("[data-key=open]").click()
        expect(page.locator("#drawer h1")).to_be_visible()
        found = page.evaluate(OUT_OF_REACH.replace("querySelectorAll(openers)", "querySelectorAll('#drawer summary')"))
        assert found["faults"] == []
        assert found["seen"] > 6
    page.locator("#acts-assign > summary").click()
    page.get_by_role("button", name="Bayu Pratama").click()
    expect(page.locator("#drawer")).to_contain_text("Given to Bayu")
    page.locator(".lm-toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#drawer")).to_contain_text("Nobody yet")
    page.locator("#drawer .lm-tabs").get_by_text("Decisions").click()
    expect(page.locator("#drawer .lm-tabs [aria-current]")).to_have_text("Decisions")
    page.locator("#comment").fill("Called back")
    page.locator("#drawer").get_by_role("button", name="Comment").click()
    expect(page.locator("#comment")).to_have_value("")
    check_looks(page, "drawer")


def test_back_from_an_alerts_page_on_a_phone_finds_the_list_as_it_was(site: Site) -> None:
    fail(site, *[f"r{n:02}" for n in range(60)])
    page = site.board(size=PHONE, has_touch=True, is_mobile=True)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator(".lm-row")).to_have_count(60)
    row = site.row(page, "r55")
    row.scroll_into_view_if_needed()
    top = top_of(page, site, "r55")
    row.locator("[data-key=open]").tap()
    expect(page.locator(".is-alert h1")).to_have_text("Agent error: Ibu r55")
    page.go_back()
    live(page)
    expect(row.locator("[data-key=open]")).to_be_focused()
    assert abs(top_of(page, site, "r55") - top) < 40


def test_back_from_an_alert_that_left_its_group_finds_what_stands_in_its_place(site: Site) -> None:
    fail(site, *[f"r{n:02}" for n in range(12)])
    page = site.board(size=PHONE, has_touch=True, is_mobile=True)
    row = site.row(page, "r05")
    row.scroll_into_view_if_needed()
    top = top_of(page, site, "r05")
    row.locator("[data-key=open]").tap()
    expect(page.locator(".is-alert h1")).to_have_text("Agent error: Ibu r05")
    actions.resolve(site.scene.alert("r05").pk, site.scene.people[0])
    page.go_back()
    live(page)
    expect(site.row(page, "r06").locator("[data-key=open]")).to_be_focused()
    assert abs(top_of(page, site, "r06") - top) < 40


def test_the_keys_go_on_where_an_alert_stood_that_left_its_group_under_the_drawer(site: Site) -> None:
    """Mutation: the cursor follows it to the end of the page, and the next `j` leaves those who wait."""
    fail(site, "r1", "r2", "r3")
    page = site.board()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#drawer h1")).to_have_text("Agent error: Ibu r2")
    page.keyboard.press("r")
    expect(page.locator("#drawer")).to_contain_text("You resolved it")
    page.clock.install()
    page.clock.fast_forward(6_000)  # nobody reads the list: it is put in order
    expect(page.locator('.lm-part[data-group="resolved"] .lm-row')).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    assert focused(page) == f"row-{site.scene.alert('r3').pk}"


RING = """(link) => { const ring = getComputedStyle(link, "::after"), row = link.closest(".lm-row");
  return [ring.outlineStyle, parseFloat(ring.width) >= row.clientWidth - 2]; }"""


def test_the_row_at_which_the_keys_are_is_seen_whole_and_survives_a_dialog(site: Site) -> None:
    fail(site, "r1", "r2", "r3")
    page = site.board()
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert site.row(page, "r2").locator("[data-key=open]").evaluate(RING) == ["solid", True]
    for opened in ("?", "Control+k"):
        page.keyboard.press(opened)
        expect(page.locator("dialog[open]")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
        expect(page.locator(".lm-row.is-cursor")).to_have_attribute("id", f"row-{site.scene.alert('r2').pk}")
    page.keyboard.press("x")
    page.keyboard.press("/")
    page.keyboard.type("jj")
    page.keyboard.press("Escape")  # leaves the field as it was, and what is selected
    expect(page.locator("[data-key=search]")).to_have_value("")
    assert focused(page) == f"row-{site.scene.alert('r2').pk}"
    expect(page.locator(".is-selected")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".is-selected")).to_have_count(0)
    page.keyboard.press("j")
    page.keyboard.press("t")
    expect(site.row(page, "r3")).to_contain_text("You took it")
