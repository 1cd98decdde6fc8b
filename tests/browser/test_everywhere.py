"""What every page of a signed-in person tells: how many wait, what is new; and on an alert, who else has it open."""

from playwright.sync_api import expect

from tests.browser.conftest import Site, check_looks, live

HEARD = "document.documentElement.dataset.sounded"
NOTIFIED = """
window.notified = [];
window.Notification = class extends EventTarget {
  static permission = "default";
  static asked = 0;
  static async requestPermission() { Notification.asked += 1; return (Notification.permission = "granted"); }
  constructor(title, options) { super(); window.notified.push({ title, ...options, made: this }); }
};
"""


def test_every_page_counts_and_announces_without_being_loaded_again(site: Site) -> None:
    page = site.page(site.scene.people[0])
    page.goto("/success")
    expect(page).to_have_title("Success · Live")
    with page.expect_websocket(lambda socket: "rows=0" in socket.url) as opened:
        page.reload()
    frames: list[str] = []
    opened.value.on("framereceived", lambda frame: frames.append(str(frame)))
    page.wait_for_function("() => document.documentElement.dataset.alive")
    site.fails("r0", "low_confidence")
    expect(page).to_have_title("(1) Success · Live")
    site.fails("r1")
    expect(page).to_have_title("(2) Success · Live")
    expect(page.locator(".lm-nav [data-waiting-count]")).to_have_text("2")
    assert "data:image/svg+xml" in (page.locator("[data-favicon]").get_attribute("href") or "")
    log = page.get_by_role("log")
    expect(log).to_have_text("New, critical: Agent error, Customer r1")
    assert log.get_attribute("aria-live") == "polite"
    site.fails("r0", "unexpected_handoff")  # it has become worse
    expect(log).to_contain_text("New, critical: Unexpected handoff, Customer r0")
    assert not any("lm-row" in frame for frame in frames)
    expect(page.locator("#stale")).to_be_hidden()


def test_a_sound_and_a_note_of_the_desktop_come_only_to_who_asked(site: Site) -> None:
    page = site.page(site.scene.people[0])
    page.add_init_script(NOTIFIED)
    page.goto("/preferences")
    check_switches = page.get_by_role("group", name="Sound")
    critical = check_switches.get_by_label("Critical", exact=True)
    expect(critical).not_to_be_checked()
    site.fails("r1")
    expect(page).to_have_title("(1) Preferences · Live")
    assert page.evaluate(HEARD) is None
    critical.check()
    assert page.evaluate(HEARD) == "critical"  # as it will sound
    assert page.evaluate("Notification.asked") == 0
    page.get_by_label("Show it").check()
    assert page.evaluate("Notification.asked") == 1
    page.reload()
    expect(critical).to_be_checked()
    expect(page.get_by_label("Show it")).to_be_checked()
    page.evaluate("Notification.permission = 'granted'")
    page.get_by_role("heading", name="Sound").click()  # a browser sounds only on a page that was touched
    site.fails("warn", "message_cap")
    expect(page).to_have_title("(2) Preferences · Live")
    assert page.evaluate(HEARD) is None
    site.fails("r2")
    page.wait_for_function(f"() => {HEARD} === 'critical'")
    assert page.evaluate("window.notified.length") == 0  # it is looked at
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    site.fails("r3")
    page.wait_for_function("() => window.notified.length === 1")
    assert page.evaluate("window.notified[0].body") == "Agent error, Customer r3"
    page.evaluate("window.notified[0].made.dispatchEvent(new Event('click'))")
    page.wait_for_url(f"**/alerts/{site.scene.alert('r3').pk}")


def test_the_switches_can_be_read_and_used_by_everybody(site: Site) -> None:
    page = site.page(site.person(theme="auto"))
    page.goto("/preferences")
    expect(page.get_by_role("heading", name="New alerts, in this browser")).to_be_visible()
    check_looks(page, "preferences")


def test_who_else_has_an_alert_open_is_seen_and_moves_nothing(site: Site) -> None:
    site.fails("r1")
    path = f"/alerts/{site.scene.alert('r1').pk}"
    rina, bayu = site.scene.people
    ours = site.board(rina, path)
    line = ours.locator("#also-here")
    expect(line).not_to_be_visible()
    before = ours.locator("#alert-head").bounding_box()
    theirs = site.board(bayu, path)
    again = theirs.context.new_page()
    again.goto(path)
    live(again)
    expect(line).to_have_text("Bayu Pratama has this alert open too")
    expect(theirs.locator("#also-here")).to_have_text("Rina Wulandari has this alert open too")
    assert ours.locator("#alert-head").bounding_box() == before
    again.close()
    theirs.goto("/")
    live(theirs)
    expect(line).not_to_be_visible()
