"""Saved views: saved under a name, opened, counted live, renamed, deleted and taken back; links and files of a list."""

from playwright.sync_api import expect

from orgs.models import SavedView
from tests.browser.conftest import PHONE, Site, check_looks, live
from tests.browser.test_select import HITS, fail


def test_a_view_is_saved_counted_live_opened_renamed_and_deleted_with_undo(site: Site) -> None:
    fail(site, "r1", "r2")
    page = site.board(path="/?severity=critical&tab=waiting")
    dialog = page.locator("#views")
    page.get_by_role("button", name="Views").click()
    dialog.get_by_label("Save what is shown now as").fill("Night shift")
    dialog.get_by_role("button", name="Save", exact=True).click()
    saved = dialog.locator(".lm-saved a")
    expect(saved).to_have_text("Night shift2")
    site.fails("r3")
    expect(saved).to_have_text("Night shift3")
    for link in (dialog.get_by_role("link", name="CSV of this list"), dialog.get_by_role("button", name="Close")):
        assert link.evaluate(HITS)
    with page.expect_download() as file:
        dialog.get_by_role("link", name="CSV of this list").click()
    assert file.value.path().read_text(encoding="utf-8-sig").count("critical") == 3
    check_looks(page, "views")
    dialog.locator(".lm-saved summary").click()
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    for button in dialog.locator(".lm-saved-more button").all():
        button.scroll_into_view_if_needed()
        assert button.evaluate(HITS), button.inner_text()
    dialog.get_by_label("Name", exact=True).fill("Days")
    dialog.get_by_role("button", name="Rename").click()
    expect(saved).to_have_text("Days3")
    dialog.locator(".lm-saved summary").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(saved).to_have_count(0)
    undo = page.locator(".lm-toast").last.get_by_role("button", name="Undo")
    assert undo.evaluate(HITS), "the toast is not under the dialog"
    undo.click()
    expect(page.locator(".lm-toast")).to_contain_text(["“Days” is back."])
    page.goto("/")
    page.locator("#filter-open").click()
    page.get_by_role("button", name="Views").click()
    saved.click()
    expect(page).to_have_url(f"{site.web.url}/?severity=critical&tab=waiting")


def saved_view(site: Site, name: str, query: str = "", shared: bool = False) -> SavedView:
    org = site.scene.org if shared else None
    return SavedView.objects.create(owner=site.scene.people[0], org=org, name=name, query=query)


def test_the_menu_of_every_page_shows_the_views_with_live_counts_asked_in_one_go(site: Site) -> None:
    fail(site, "r1", "r2")
    page = site.page(site.scene.people[0])
    page.goto("/reach")
    assert page.locator(".lm-nav-views").count() == 0, "nothing is saved"
    critical = saved_view(site, "Night shift in Jakarta, Makassar and Jayapura", "severity=critical")
    saved_view(site, "Warnings", "severity=warning", shared=True)
    page.reload()
    page.wait_for_selector("#link[data-state=live]", state="attached")
    menu = page.locator(".lm-side .lm-nav-views")
    expect(menu.locator(".lm-num")).to_have_text(["2", "0"])
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/views" in request.url else None)
    site.fails("r3")
    expect(menu.locator(".lm-num")).to_have_text(["3", "0"])
    assert 1 <= len(asked) <= 2, asked
    link, number = menu.locator("a").first, menu.locator(".lm-num").first
    assert link.get_attribute("title") == critical.name
    assert link.locator("span").first.evaluate(HITS), "the name can be hit"
    assert number.evaluate(HITS), "a long name leaves room for the number"
    assert link.bounding_box()["height"] < 40, "on one line"  # type: ignore[index]
    page.locator(".lm-side .lm-nav > a").nth(1).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.web.url}/?severity=critical")
    live(page)
    expect(menu.locator("[aria-current]")).to_have_text([f"{critical.name}3"])
    check_looks(page, "menu with views")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert not menu.is_visible()
    page.locator(".lm-top .lm-menu--end > summary").click()
    sheet = page.locator(".lm-top .lm-nav-views a")
    expect(sheet).to_have_count(2)
    for link in sheet.all():
        assert link.evaluate(HITS)
    check_looks(page, "menu with views, open")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    sheet.last.click()
    expect(page).to_have_url(f"{site.web.url}/?severity=warning")


def test_of_many_views_the_menu_shows_the_first_and_leads_to_all(site: Site) -> None:
    for n in range(9):
        saved_view(site, f"View {n}", f"q={n}")
    page = site.page(site.scene.people[0])
    page.goto("/reach")
    menu = page.locator(".lm-side .lm-nav-views a")
    expect(menu).to_have_count(9)
    menu.filter(has_text="All views").click()
    dialog = page.locator("#views")
    expect(dialog.locator(".lm-saved a")).to_have_count(9)
    expect(page).to_have_url(f"{site.web.url}/")
    live(page)
    dialog.locator(".lm-saved summary").last.click()
    dialog.get_by_role("button", name="Delete").last.click()
    expect(menu).to_have_count(8)
    page.locator(".lm-toast").last.get_by_role("button", name="Undo").click()
    expect(menu).to_have_count(9)
    menu.filter(has_text="All views").click()
    expect(dialog.get_by_role("heading", name="Saved views")).to_be_visible()
