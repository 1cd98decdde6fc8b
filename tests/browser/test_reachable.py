"""What a person can hit and see: every item of every menu at four widths, the first alert on a phone."""

from datetime import timedelta

import pytest

from alerts import actions
from orgs import clock, webhooks
from orgs.duty_changes import StandIn, add_schedule
from orgs.models import Membership
from tests.browser.conftest import PHONE, Site
from tests.factories import AlertFactory, AssignmentFactory, OrgFactory, PushFactory
from tests.scene import pushes_are_sent

WIDTHS = {360: 740, 768: 1024, 1023: 768, 1440: 900}
# Opens, as a person would, what the page has: menus and disclosures, popovers, dialogs, what says which element it
# controls. Answers which items nobody can hit, or lie outside the screen; a menu may scroll for them, the page may not.
OUT_OF_REACH = """() => {
  const popovers = "[popovertarget]:not([popovertargetaction=hide])";
  const openers = `summary, ${popovers}, [aria-controls][aria-expanded], [data-show-keys], #find`;
  const opened = ".is-open, :popover-open, dialog[open]";
  const kinds = "a, button, select, textarea, input:not([type=hidden])";
  const overlays = ".lm-menu, dialog, .is-open, [popover]";
  const shown = (one) => one.checkVisibility({ visibilityProperty: true });
  const scrolls = (one) => one.scrollHeight > one.clientHeight + 1 && getComputedStyle(one).overflowY !== "visible";
  const name = (one) => one.ariaLabel || one.textContent.trim().replace(/\\s+/g, " ") || one.name;
  function missed(item) {
    const { left, right, top, bottom } = item.getBoundingClientRect();
    const found = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    const within = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
    if (within && item.contains(found)) return [];
    return [`${name(item)} at ${[left, top, right, bottom].map(Math.round)}: ${found?.outerHTML.slice(0, 90)}`];
  }
  function bringIntoView(item, root) {
    let around = item.parentElement;
    while (root.contains(around) && !scrolls(around)) around = around.parentElement;
    if (root.contains(around)) {
      const inside = item.getBoundingClientRect().top - around.getBoundingClientRect().top;
      around.scrollTop += inside - around.clientHeight / 2 + item.offsetHeight / 2;
    } else if (!root.matches(overlays)) item.scrollIntoView({ block: "center" });
  }
  const faults = [], seen = [];
  for (const opener of [...document.querySelectorAll(openers)].filter(shown)) {
    opener.scrollIntoView({ block: opener.closest(overlays) ? "nearest" : "center" });
    faults.push(...missed(opener));
    opener.click();
    const root = opener.matches("summary") ? opener.parentElement : document.querySelector(opened);
    if (!root) {
      faults.push(`nothing opened by ${opener.outerHTML.slice(0, 120)}`);
      continue;
    }
    const items = [...root.querySelectorAll(kinds)].filter(shown);
    for (const item of items) {
      bringIntoView(item, root);
      faults.push(...missed(item).map((fault) => `${name(opener)}: ${fault}`));
    }
    seen.push(...items);
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    if (root.matches("details")) root.open = false;
    if (root.matches("dialog")) root.close();
    if (root.matches(":popover-open")) root.hidePopover();
  }
  scrollTo(0, 0);
  return { faults, seen: seen.length };
}"""


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
    endpoint, _ = webhooks.create(scene.org, "qontak")
    webhooks.rotate_address(endpoint)
    soon = clock.now() + timedelta(days=1)
    add_schedule(scene.org, soon, soon + timedelta(days=1), [StandIn(scene.role, scene.people[1])])
    duty = ["/duty", f"/duty/calendar?org={scene.org.external_id}", f"/sources/webhooks/{endpoint.public_id}"]
    paths = ["/", *alerts, "/reach", "/success", "/sources", setup, "/pushes", "/preferences", *duty]
    page, faults = site.page(scene.people[0]), []
    for path in paths:
        answer = page.goto(path)
        assert answer is not None
        assert answer.ok, path
        page.wait_for_selector("html[data-alive]")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            found = page.evaluate(OUT_OF_REACH)
            faults += [f"{path} {width}: {fault}" for fault in found["faults"]]
            assert found["seen"] > 3, f"{path} {width}"
    assert faults == [], "\n".join(faults)


@pytest.mark.parametrize("locale", ["en", "id"])
def test_the_first_alert_and_its_room_are_above_the_fold_on_a_phone(site: Site, locale: str) -> None:
    site.scene.org.show_customer_text = True
    site.scene.org.save()
    words = "Selamat siang kak, saya mau tanya kenapa pesanan saya dari minggu lalu belum sampai juga ya?"
    for n in range(6):
        said = {"agent_name": f"Refund Guide {n}", "agent_version": "v4.2.0", "channel": "WhatsApp"}
        said |= {"room_label": "Ibu Siti Nurhaliza Kusuma", "last_customer_text": words}
        for signal in ("low_confidence", "message_cap", "unexpected_handoff"):
            site.fails(f"r{n}", signal, **said)
    actions.take(site.scene.alert("r5").pk, site.scene.people[0])
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


OVERLAP = """() => { const box = (one) => document.querySelector(one).getBoundingClientRect();
  return box(".lm-org summary").right > box(".lm-find").left; }"""


def test_many_agents_and_orgs_leave_the_page_as_wide_as_the_screen(site: Site) -> None:
    AssignmentFactory(org=OrgFactory(name="Toko Melati"), user=site.scene.people[0])
    for n in range(8):
        site.fails(f"r{n}", agent_name=f"Order Tracker of branch {n}")
    page = site.board(size=PHONE)
    assert page.locator(".lm-tile").count() >= 8
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    for width in (768, 900, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        assert not page.evaluate(OVERLAP), f"the orgs lie over the search at {width}"
