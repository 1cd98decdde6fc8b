"""Several alerts at once: selected with keys, boxes and fingers, acted on together, taken back together."""

from playwright.sync_api import Page, expect

from alerts import actions
from alerts.models import Room
from tests.browser.conftest import DESKTOP, PHONE, Site, check_looks, live

SLOW = 60_000  # ms; for an act on many alerts, on a machine that does much else
HITS = """(one) => { const box = one.getBoundingClientRect();
  return one.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)); }"""


def fail(site: Site, *rooms: str) -> None:
    """All of them at once; the first has waited longest."""
    scene = site.scene
    events = [scene.event(room=room, room_label=f"Ibu {room}", ago=400 - n) for n, room in enumerate(rooms)]
    actions.record_events(scene.source, events)


def selected(page: Page) -> int:
    return page.locator(".lm-row.is-selected").count()


def test_many_are_taken_by_keys_alone_with_one_undo_while_rows_come_and_go(site: Site) -> None:
    rooms = [f"r{n:02}" for n in range(60)]
    fail(site, *rooms)
    page = site.board()
    bar = page.locator("#select")
    expect(bar).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(bar).to_contain_text("1 selected")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("X")
    expect(bar).to_contain_text("3 selected")
    actions.resolve(site.scene.alert("r01").pk, site.scene.people[1])
    expect(bar).to_contain_text("2 selected")
    site.fails("r00", "message_cap")
    expect(site.row(page, "r00")).to_contain_text("Message cap")
    assert site.row(page, "r00").evaluate("(row) => row.classList.contains('is-selected')"), "its row has changed"
    everything = bar.get_by_role("button", name="Select all 59 of this list")
    assert everything.evaluate(HITS)
    page.keyboard.press("*")
    expect(bar).to_contain_text("59 selected")
    actions.take(site.scene.alert("r59").pk, site.scene.people[1])
    actions.take(site.scene.alert("r02").pk, site.scene.people[1])
    Room.objects.filter(room_id="r59").update(label="Ibu Ratna D.")
    said: list[str] = []
    page.expose_function("heard", lambda text: said.append(text))
    page.evaluate(
        "new MutationObserver(() => heard(document.querySelector('#select [data-said]').textContent))"
        ".observe(document.querySelector('#select'), { childList: true, subtree: true })"
    )
    page.keyboard.press("t")
    expect(bar).to_contain_text("57 taken; 2 were already taken by Bayu Pratama: Ibu r02, Ibu Ratna D.", timeout=SLOW)
    assert "D.." not in bar.inner_text(), "the end of the name is that of the sentence"
    assert {"0 of 59", "50 of 59"} <= set(said), "the bar says how far it is"
    assert site.scene.alert("r30").assigned_to == site.scene.people[0]
    expect(page.locator("[data-tab=on-it] .lm-num")).to_have_text("59")
    page.keyboard.press("z")
    expect(bar).to_contain_text("57 are as they were before.", timeout=SLOW)
    assert site.scene.alert("r30").state == "open"
    assert site.scene.alert("r59").assigned_to == site.scene.people[1]
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()


def test_boxes_ranges_and_menus_with_a_mouse_and_a_failure_on_the_way(site: Site) -> None:
    fail(site, "r1", "r2", "r3", "r4")
    page = site.board()
    bar, boxes = page.locator("#select"), page.locator(".lm-row .lm-pick")
    site.row(page, "r1").hover()
    assert boxes.nth(0).evaluate(HITS)
    boxes.nth(0).click()
    boxes.nth(2).click(modifiers=["Shift"])
    expect(bar).to_contain_text("3 selected")
    boxes.nth(1).click()
    expect(bar).to_contain_text("2 selected")
    assert selected(page) == 2
    assert page.url.endswith("/"), "no alert was opened"
    bar.get_by_text("Assign").click()
    given = bar.get_by_role("button", name="Bayu Pratama")
    expect(given).to_be_visible()
    assert given.evaluate(HITS)
    given.click()
    expect(bar).to_contain_text("2 given to Bayu Pratama.")
    assert site.scene.alert("r3").assigned_to == site.scene.people[1]
    bar.get_by_role("button", name="Undo").click()
    expect(bar).to_contain_text("2 are as they were before.")
    assert site.scene.alert("r3").assigned_to is None
    boxes.nth(3).click()
    page.route("**/bulk", lambda route: route.abort())
    bar.get_by_text("Snooze").click()
    bar.get_by_role("button", name="1 h").click()
    expect(bar).to_contain_text("1 is not done, and still selected.")
    page.unroute("**/bulk")
    check_looks(page, "selected")
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    bar.get_by_text("Snooze").click()
    bar.get_by_role("button", name="1 h").click()
    expect(bar).to_contain_text("1 snoozed.")


def test_a_finger_selects_by_a_long_press_and_by_the_menu(site: Site) -> None:
    fail(site, "r1", "r2", "r3")
    page = site.board(size=PHONE, has_touch=True, is_mobile=True)
    bar, rows = page.locator("#select"), page.locator(".lm-row")
    touch = page.context.new_cdp_session(page)
    box = rows.nth(0).locator(".lm-why").bounding_box()
    assert box is not None
    touch.send(
        "Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": box["x"] + 9, "y": box["y"] + 9}]}
    )
    expect(bar).to_contain_text("1 selected")
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    rows.nth(1).locator(".lm-what-title").tap()
    expect(bar).to_contain_text("2 selected")
    assert page.url.endswith("/"), "a tap selects, and opens nothing"
    for button in bar.locator("button:visible, summary:visible").all():
        assert button.evaluate(HITS), button.inner_text()
    bar.get_by_role("button", name="Close").tap()
    expect(bar).to_be_hidden()
    page.locator("#filter-open").tap()
    page.get_by_role("button", name="Select several alerts").tap()
    expect(bar).to_contain_text("0 selected")
    rows.nth(2).locator(".lm-pick").tap()
    bar.get_by_role("button", name="Resolve").tap()
    expect(bar).to_contain_text("1 resolved.")
    expect(page.locator(".lm-row[data-state=resolved]")).to_have_count(1)
    live(page)


def test_the_keys_of_a_menu_and_of_an_undo_keep_the_focus(site: Site) -> None:
    """Mutation: the people are asked for twice, and the second answer takes the focus; an undo leaves it nowhere."""
    fail(site, "r1", "r2")
    page = site.board()
    focused = page.locator(":focus")
    page.keyboard.press("j")
    page.keyboard.press("x")
    with page.expect_response("**/bulk/people"):
        page.keyboard.press("i")
    expect(focused).to_have_attribute("data-verb", "assign")
    expect(page.locator("#select .lm-menu-note")).to_contain_text("goes on ringing")
    page.evaluate(
        "window.asked = performance.getEntriesByType('resource').filter((one) => /people/.test(one.name)).length"
    )
    assert page.evaluate("window.asked") == 1
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator("#select")).to_be_hidden()
    page.keyboard.press("a")  # of the row that has the focus again
    undo = page.locator("#toasts").get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    undo.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("as it was before")
    assert page.evaluate("document.activeElement !== document.body"), "one goes on from here, not from the top"
