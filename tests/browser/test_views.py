"""Saved views: saved under a name, opened, counted live, renamed, deleted and taken back; links and files of a list."""

from playwright.sync_api import expect

from tests.browser.conftest import PHONE, Site, check_looks
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
