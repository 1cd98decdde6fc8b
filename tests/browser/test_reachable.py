"""What a person can hit and see: every item of every menu at four widths, the first alert on a phone."""

import pytest
from playwright.sync_api import Locator, Page, expect

from alerts import actions
from orgs.models import Membership
from tests.browser.conftest import PHONE, Site
from tests.factories import AlertFactory, OrgFactory, PushFactory
from tests.scene import pushes_are_sent

WIDTHS = {360: 740, 768: 1024, 1023: 768, 1440: 900}
# What opens something: menus and disclosures, popovers, and what says which element it controls.
OPENERS = "summary, [popovertarget], [aria-controls][aria-expanded], [data-show-keys], #find"
OPENED = ".lm-find.is-open, .is-open, :popover-open, dialog[open]"

# The items of what is open that nobody can hit, or that lie outside the screen; a menu may scroll, the page may not.
MISSED = """(root) => {
  const missed = [];
  const shown = (one) => one.checkVisibility({ visibilityProperty: true });
  const scrolls = (one) => one.scrollHeight > one.clientHeight + 1 && getComputedStyle(one).overflowY !== "visible";
  for (const item of [...root.querySelectorAll("a, button, select, textarea, input:not([type=hidden])")].filter(shown)) {
    let around = item.parentElement;
    while (root.contains(around) && !scrolls(around)) around = around.parentElement;
    if (root.contains(around)) {
      const inside = item.getBoundingClientRect().top - around.getBoundingClientRect().top;
      around.scrollTop += inside - around.clientHeight / 2 + item.offsetHeight / 2;
    } else if (!root.matches(".lm-menu, dialog, .is-open, [popover]")) item.scrollIntoView({ block: "center" });
    const { left, right, top, bottom } = item.getBoundingClientRect();
    const found = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    const within = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
    if (within && item.contains(found)) continue;
    const where = [left, top, right, bottom].map(Math.round);
    missed.push(`${item.textContent.trim() || item.name} at ${where}: ${found?.outerHTML.slice(0, 90)}`);
  }
  return missed;
}"""


def opened_by(opener: Locator, page: Page) -> Locator:
    """What this opener opened."""
    if opener.evaluate("(one) => one.tagName") == "SUMMARY":
        return opener.locator("..")
    return page.locator(OPENED).first


def close(page: Page, opener: Locator) -> None:
    page.keyboard.press("Escape")
    opener.evaluate("(one) => { const menu = one.closest('details[open]'); if (menu) menu.open = false; }")


def out_of_reach(page: Page) -> list[str]:
    """Opens everything that opens on the page, and says which items cannot be hit."""
    faults = []
    for opener in page.locator(OPENERS).all():
        if not opener.is_visible():
            continue
        opener.click()
        found = opened_by(opener, page)
        expect(found).to_be_visible()
        name = opener.evaluate("(one) => one.ariaLabel || one.textContent.trim()")
        faults += [f"{name}: {missed}" for missed in found.evaluate(MISSED)]
        close(page, opener)
    return faults


def test_every_item_of_every_menu_can_be_hit(site: Site) -> None:
    other, scene = OrgFactory(name="Kopi Selasar dan Roti Bakar Nusantara Jaya Abadi"), site.scene
    for org in (scene.org, other):
        Membership.objects.create(org=org, user=scene.people[0], role="lead")
    for room in ("r1", "r2", "r3"):
        site.fails(room)
    pushes_are_sent()
    actions.take(scene.alert("r2").pk, scene.people[0])
    actions.resolve(scene.alert("r3").pk, scene.people[0])
    dead = {"state": "dead", "ended_reason": "refused", "next_attempt_at": None, "assignment": None}
    PushFactory(alert=AlertFactory(org=scene.org), supervisor=scene.people[1], **dead)
    alerts = [f"/alerts/{scene.alert(room).pk}" for room in ("r1", "r2", "r3")]
    setup = f"/setup/{scene.org.external_id}"
    paths = ["/", *alerts, "/reach", "/success", "/sources", setup, "/pushes", "/preferences"]
    page, faults = site.page(scene.people[0]), []
    for path in paths:
        answer = page.goto(path)
        assert answer is not None
        assert answer.ok, path
        page.wait_for_selector("html[data-alive]")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            faults += [f"{path} {width}: {fault}" for fault in out_of_reach(page)]
    page.keyboard.press("?")
    faults += page.get_by_role("dialog").evaluate(MISSED)
    assert faults == []


@pytest.mark.parametrize("locale", ["en", "id"])
def test_the_first_alert_and_its_room_are_above_the_fold_on_a_phone(site: Site, locale: str) -> None:
    site.scene.org.show_customer_text = True
    site.scene.org.save()
    for n in range(3):
        words = "Selamat siang kak, saya mau tanya kenapa pesanan saya dari minggu lalu belum sampai juga ya?"
        site.fails(
            f"r{n}", "low_confidence", agent_name=f"Refund Guide {n}", channel="WhatsApp", agent_version="v4.2.0"
        )
        site.fails(f"r{n}", "message_cap", agent_name=f"Refund Guide {n}", room_label="Ibu Siti Nurhaliza Kusuma")
        site.fails(f"r{n}", "unexpected_handoff", agent_name=f"Refund Guide {n}", last_customer_text=words)
    pushes_are_sent()
    site.person(0, locale=locale)
    page = site.board(size=PHONE, has_touch=True, is_mobile=True)
    row, tabs = page.locator(".lm-row").first.bounding_box(), page.locator(".lm-tabbar").bounding_box()
    assert row is not None
    assert tabs is not None
    assert row["y"] + row["height"] <= tabs["y"], f"{row} {tabs}"
    room = page.locator(".lm-row [data-key=room]").first
    assert room.evaluate(
        "(one) => { const box = one.getBoundingClientRect();"
        " return one.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)); }"
    )
