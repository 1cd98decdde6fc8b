"""An alert's page, the way into the room, and the pages around them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from alerts import actions
from alerts.models import Push, RoomActivity
from orgs import clock
from orgs.models import Membership
from tests.browser.conftest import PHONE, Site, check_looks, live
from tests.browser.test_select import HITS
from tests.factories import AlertFactory, PushFactory
from tests.scene import pushes_are_sent
from tests.stack import until


def opened(site: Site, room: str = "r1", **options: object) -> Page:
    page = site.page(site.scene.people[0], **options)  # type: ignore[arg-type]
    page.goto(f"/alerts/{site.scene.alert(room).pk}")
    live(page)
    return page


def test_the_page_follows_the_alert(site: Site) -> None:
    site.fails("r1", "low_confidence")
    page = opened(site)
    page.evaluate("window.sameDocument = true")
    site.fails("r1", "message_cap")
    expect(page.locator(".lm-rungs")).to_contain_text("Message cap ×1")
    expect(page.locator(".lm-timeline")).to_contain_text("It got worse, from info to warning.")
    actions.take(site.scene.alert("r1").pk, site.scene.people[1])
    expect(page.locator("#alert-head")).to_contain_text("Bayu took it")
    assert page.evaluate("window.sameDocument")


def test_an_open_menu_and_a_half_written_note_survive_what_happens(site: Site) -> None:
    site.fails("r1")
    page = opened(site)
    page.get_by_label("Note").fill("the customer was")
    page.get_by_role("textbox", name="Comment").fill("I think")
    page.locator("#acts-snooze > summary").click()
    site.fails("r1", "message_cap")
    expect(page.locator(".lm-rungs")).to_contain_text("Message cap ×1")
    expect(page.get_by_role("button", name="15 min")).to_be_visible()
    expect(page.get_by_label("Note")).to_have_value("the customer was")
    expect(page.get_by_role("textbox", name="Comment")).to_have_value("I think")
    page.get_by_role("button", name="15 min").click()
    expect(page.locator(".lm-toast")).to_contain_text("is snoozed")
    expect(page.locator("#alert-head")).to_contain_text("Snoozed until")


def test_every_act_of_the_page(site: Site) -> None:
    site.fails("r1")
    page = opened(site)
    head, toasts = page.locator("#alert-head"), page.locator(".lm-toast")
    head.get_by_role("button", name="Acknowledge").click()
    expect(head).to_contain_text("You have seen it")
    head.get_by_role("button", name="Release").click()
    expect(head).to_contain_text("Nobody yet")
    head.get_by_role("button", name="Take it").click()
    expect(head).to_contain_text("You took it")
    page.locator("#acts-assign > summary").click()
    head.get_by_role("button", name="Bayu Pratama").click()
    expect(toasts.last).to_contain_text("is given to Bayu")
    head.get_by_role("button", name="Resolve").click()
    expect(head).to_contain_text("Resolved by you")
    toasts.filter(has_text="You resolved").get_by_role("button", name="Undo").click()
    expect(head.get_by_role("button", name="Resolve")).to_be_visible()
    page.get_by_label("Note").fill("a test order")
    page.get_by_role("button", name="False alarm").click()
    expect(page.get_by_role("button", name="False alarm")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".lm-timeline")).to_contain_text("a test order")
    alert = site.scene.alert("r1")
    assert (alert.verdict, alert.verdict_note, alert.state) == ("false_alarm", "a test order", "acknowledged")


def test_the_loser_sees_who_was_faster(site: Site) -> None:
    site.fails("r1")
    page = opened(site)
    site.before(page, "**/take", lambda: actions.take(site.scene.alert("r1").pk, site.scene.people[1]))
    page.locator("#alert-head").get_by_role("button", name="Take it").click()
    expect(page.locator(".lm-toast")).to_contain_text("Taken by Bayu Pratama, ")
    expect(page.locator("#alert-head")).to_contain_text("Bayu took it")


def test_the_way_into_the_room_stays_inside_the_toast_of_a_phone(site: Site) -> None:
    site.fails("r1")
    site.person(locale="id")
    page = opened(site, size=PHONE, has_touch=True, is_mobile=True)
    site.before(page, "**/take", lambda: actions.take(site.scene.alert("r1").pk, site.scene.people[1]))
    page.locator(".lm-actionbar").get_by_role("button", name="Saya tangani").tap()
    way = page.locator(".lm-toast").get_by_role("link", name="Buka percakapan")
    expect(way).to_be_visible()
    assert way.evaluate("(link) => link.scrollWidth <= link.clientWidth"), "its words run out of it"
    assert way.evaluate(HITS)


def test_nothing_moves_on_a_phone_when_somebody_else_opens_the_alert(site: Site) -> None:
    site.fails("r1")
    site.person(1, name="Bayu Pratama dari Kantor Cabang Makassar")
    page = opened(site, size=PHONE)
    before = page.locator("#alert").bounding_box()
    other = site.page(site.scene.people[1])
    other.goto(f"/alerts/{site.scene.alert('r1').pk}")
    expect(page.locator("#also-here")).to_contain_text("Bayu Pratama")
    assert page.locator("#alert").bounding_box() == before
    assert page.locator("#also-here > span").bounding_box()["x"] < 200  # type: ignore[index]
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_proof_of_reach_comes_by_itself(site: Site) -> None:
    site.fails("r1")
    pushes_are_sent()
    page = opened(site)
    told = page.locator(".lm-people > li").filter(has_text="You")
    expect(told).to_contain_text("No sign yet")
    push = Push.objects.filter(supervisor=site.scene.people[0])
    push.update(sent_at=push.get().planned_at, delivered_at=push.get().planned_at, opened_at=push.get().planned_at)
    expect(told.locator(".lm-pill")).to_have_text("Opened")


def test_from_a_pushed_link_to_the_room_are_two_taps_on_a_phone(site: Site) -> None:
    site.fails("r1")
    page = opened(site, size=PHONE, has_touch=True, is_mobile=True)  # the first tap: the push
    button = page.locator(".lm-actionbar").get_by_role("link", name="Open room")
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 48
    assert box["y"] + box["height"] <= PHONE["height"]
    with page.expect_popup() as room:
        button.tap()  # the second
    room.value.wait_for_url("**/rooms/r1")
    assert RoomActivity.objects.filter(kind="human_opened", actor=site.scene.people[0]).count() == 1
    assert site.scene.alert("r1").human_acted_at is not None
    expect(page.locator("#alert-head")).to_contain_text("You opened the room")


def hit(page: Page, button: Locator) -> None:
    """Tap what lies wholly on the screen, with nothing over it, where the page stands."""
    box = until(button.bounding_box)  # none while what the feed brought takes its place
    assert 0 <= box["y"] <= PHONE["height"] - box["height"]
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


@pytest.mark.parametrize("locale", ["en", "id"])
def test_from_push_to_verdict_are_five_taps_without_scrolling(site: Site, locale: str) -> None:
    words = "Selamat siang kak, saya mau tanya kenapa pesanan saya dari minggu lalu belum sampai juga ya?"
    site.fails("r1", "low_confidence", room_label="Ibu Siti Nurhaliza Kusumawardhani", last_customer_text=words)
    site.fails("r1", "unexpected_handoff")
    site.person(0, locale=locale)
    page = opened(site, size=PHONE, has_touch=True, is_mobile=True)  # the first tap: the push
    bar = page.locator(".lm-actionbar")
    with page.expect_popup() as room:
        hit(page, bar.locator("a.btn-primary"))
    room.value.wait_for_url("**/rooms/r1")
    room.value.close()  # the third: back
    expect(bar.locator("a.btn-primary")).to_be_visible()  # still the first thing to do
    hit(page, bar.locator("#act-bar-resolve button"))
    hit(page, bar.locator("[value=confirmed]"))
    expect(page.locator("#act-bar-reopen")).to_be_visible()
    alert = site.scene.alert("r1")
    assert (alert.state, alert.verdict) == ("resolved", "confirmed")
    assert page.evaluate("scrollY") == 0


def test_the_alert_page_by_keyboard_alone(site: Site) -> None:
    for n in (1, 2, 3):
        site.fails(f"r{n}")
    ids = {room: str(site.scene.alert(room).pk) for room in ("r1", "r2", "r3")}
    page = site.board(size={"width": 1000, "height": 800})  # on a wider one it opens over the board
    for key in ("j", "j", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(f"**/{ids['r2']}")
    for key, room in (("j", "r3"), ("k", "r2"), ("k", "r1"), ("j", "r2")):
        page.keyboard.press(key)
        page.wait_for_url(f"**/{ids[room]}")
        live(page)
    head = page.locator("#alert-head")
    page.keyboard.press("t")
    expect(head).to_contain_text("You took it")
    with page.expect_popup() as room_tab:
        page.keyboard.press("o")
    room_tab.value.wait_for_url("**/rooms/r2")
    page.keyboard.press("r")
    expect(head).to_contain_text("Resolved by you")
    page.keyboard.press("v")
    expect(page.locator(".lm-verdict").get_by_role("button", name="Confirmed")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".lm-timeline")).to_contain_text("You called it a real failure")
    page.keyboard.press("j")  # it is in the list no more: on from where it stood
    page.wait_for_url(f"**/{ids['r3']}")
    live(page)
    page.keyboard.press("j")
    expect(page.locator(".lm-toast")).to_have_text("No other alert is open in this list.")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("verdict")


def test_a_comment_shows_at_once_and_to_everybody(site: Site) -> None:
    site.fails("r1")
    page, bayus = opened(site), site.page(site.scene.people[1])
    bayus.goto(f"/alerts/{site.scene.alert('r1').pk}")
    live(bayus)
    box = page.get_by_role("textbox", name="Comment")
    box.fill("She wants her <b>money</b> back")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.locator(".lm-timeline")).to_contain_text("You commented")
    expect(box).to_have_value("")
    expect(bayus.locator(".lm-timeline")).to_contain_text("“She wants her <b>money</b> back”")


def test_a_hold_is_set_and_taken_back(site: Site) -> None:
    site.fails("r1")
    Membership.objects.create(org=site.scene.org, user=site.scene.people[0], role=Membership.Role.LEAD)
    page = opened(site)
    page.get_by_label("Why it must not be deleted").fill("Case 12/2026")
    page.get_by_role("button", name="Hold", exact=True).click()
    expect(page.locator(".lm-hold")).to_contain_text("Case 12/2026")
    page.locator(".lm-toast").last.get_by_role("button", name="Undo").click()
    expect(page.locator(".lm-hold")).to_have_count(0)
    page.get_by_label("Why it must not be deleted").fill("Case 13/2026")
    page.get_by_label("Why it must not be deleted").press("Enter")
    page.get_by_role("button", name="Lift the hold").click()
    expect(page.locator(".lm-hold")).to_have_count(0)
    page.locator(".lm-toast", has_text="is lifted").last.get_by_role("button", name="Undo").click()
    expect(page.locator(".lm-hold")).to_contain_text("Case 13/2026")


def test_it_works_without_scripts(site: Site) -> None:
    site.fails("r1")
    page = site.page(site.scene.people[0], java_script_enabled=False)
    page.goto("/")
    page.get_by_role("button", name="Take it").click()
    expect(page.locator(".lm-row")).to_contain_text("You took it")
    expect(page.locator(".lm-toast")).to_contain_text("You took")
    page.get_by_role("link", name="Agent error").click()
    page.locator("#alert-head").get_by_role("button", name="Resolve").click()
    expect(page.locator("#alert-head")).to_contain_text("Resolved by you")


def test_a_link_is_copied(site: Site) -> None:
    site.fails("r1")
    page = opened(site, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").first.click()
    expect(page.locator(".lm-toast")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()").endswith(f"/alerts/{site.scene.alert('r1').pk}")


def test_the_language_is_switched_for_pages_and_live_rows(site: Site) -> None:
    page = site.page(site.scene.people[0])
    page.goto("/preferences")
    page.get_by_label("Language").select_option("id")
    page.get_by_text("Dark", exact=True).click()
    page.locator("form").filter(has_text="Language").get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_have_text("Preferensi")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.goto("/")
    live(page)
    site.fails("r1")
    row = site.row(page, "r1")
    expect(row).to_contain_text("Agen error")
    expect(row.get_by_role("button", name="Saya tangani")).to_be_visible()
    expect(page.locator("h1")).to_have_text("1 peringatan perlu ditangani")
    expect(row).to_contain_text("dtk lalu")


def test_the_language_is_switched_before_the_log_in(site: Site) -> None:
    page = site.page()
    page.goto("/")
    page.get_by_role("button", name="Bahasa Indonesia").click()
    expect(page.locator("h1")).to_have_text("Masuk")
    assert "/accounts/login/" in page.url


def test_times_are_in_ones_own_zone(site: Site) -> None:
    site.fails("r1")
    site.person(0, zone="Asia/Jayapura")
    page = site.board()
    site.fails("r2")
    for room in ("r1", "r2"):
        shown = site.row(page, room).locator(".lm-since time").inner_text()
        hour = site.scene.alert(room).first_failure_at.hour
        assert int(shown[:2]) == (hour + 9) % 24


def test_a_test_push_shows_each_hop(site: Site) -> None:
    site.fails("r1")
    page = site.page(site.scene.people[0])
    page.goto("/reach")
    page.get_by_role("button", name="Send test : Rina Wulandari, Billing Bot").click()
    line = page.locator("[data-test]").filter(has_text="Test to Rina")
    expect(line).to_be_visible()
    push = Push.objects.filter(kind="test")
    at = push.get().planned_at
    push.update(state="sent", push="queued", sent_at=at, delivered_at=at, next_attempt_at=None)
    expect(line).to_contain_text("the phone has it. Open it there to finish the proof.")
    push.update(opened_at=at)
    expect(line).to_contain_text("The way is proven.")


def test_menus_close_by_escape_and_by_a_click_elsewhere(site: Site) -> None:
    site.fails("r1")
    page = opened(site)
    menu = page.locator("#acts-assign")
    menu.locator("summary").click()
    expect(menu).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    menu.locator("summary").click()
    page.locator("h1").click()
    expect(menu).not_to_have_attribute("open", "")


def test_filters_and_search_on_a_phone(site: Site) -> None:
    site.fails("r1")
    page = site.board(size=PHONE)
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Severity").select_option("info")
    expect(page.get_by_text("Nothing matches these filters")).to_be_visible()
    page.get_by_role("link", name="Clear filters").click()
    page.get_by_role("button", name="Search").click()
    page.keyboard.type("r1")
    page.keyboard.press("Enter")
    expect(site.row(page, "r1")).to_be_visible()


PAGES = ["/", "alert", "/pushes", "/preferences", "/settings", "/accounts/login/", "/nothing", "/?severity=info"]


def full(site: Site) -> None:
    """Something of everything on the pages."""
    Membership.objects.create(org=site.scene.org, user=site.scene.people[0], role="lead")
    for n, signal in enumerate(("agent_error", "message_cap", "low_confidence", "unexpected_handoff")):
        site.fails(f"r{n}", signal)
    pushes_are_sent()
    site.fails("r2", "unexpected_handoff")
    actions.take(site.scene.alert("r0").pk, site.scene.people[1])
    site.happens("r1", "human_message", site.scene.people[0])
    actions.resolve(site.scene.alert("r3").pk, site.scene.people[1])
    dead = AlertFactory(org=site.scene.org, severity="warning")
    PushFactory(
        alert=dead,
        state="dead",
        ended_reason="refused",
        next_attempt_at=None,
        supervisor=site.scene.people[1],
        assignment=None,
    )


def visited(site: Site, paths: list[str], **options: Any) -> Iterator[tuple[str, Page]]:
    """Each of these pages in turn, in one browser of somebody who is signed in and one of nobody."""
    pages = {True: site.page(None, **options), False: site.page(site.scene.people[0], **options)}
    for path in paths:
        page = pages["login" in path]
        page.goto(path if path != "alert" else f"/alerts/{site.scene.alert('r2').pk}")
        if path in ("/", "alert"):
            live(page)
        yield path, page


def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(site: Site) -> None:
    full(site)
    for path, page in visited(site, PAGES):
        check_looks(page, path)


def test_indonesian_fits_on_a_phone(site: Site) -> None:
    full(site)
    site.person(0, locale="id")
    for path, page in visited(site, [*PAGES, "/reach", "/success", "/sources"], size=PHONE, locale="id-ID"):
        assert page.locator("html").get_attribute("lang") == "id"
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


def test_targets_are_large_enough_for_a_thumb(site: Site) -> None:
    full(site)
    page = site.page(site.scene.people[0], size=PHONE, has_touch=True, is_mobile=True)
    for path in ("/", f"/alerts/{site.scene.alert('r2').pk}"):
        page.goto(path)
        live(page)
        for button in page.locator("main .btn:visible, .lm-actionbar .btn:visible, .lm-tabbar a:visible").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44, (path, button.inner_text())


@pytest.mark.parametrize("locale", ["en", "id"])
def test_the_acts_stand_in_one_row_that_can_be_hit(site: Site, locale: str) -> None:
    label = "Ibu Sari Handayani dari Pasar Baru"
    site.fails("r1", room_label=label)
    site.person(locale=locale)
    page = opened(site)
    for act in ("nothing", "snooze"):
        if act == "snooze":
            actions.snooze(site.scene.alert("r1").pk, site.scene.people[0], clock.now() + timedelta(hours=1))
            page.reload()
        for width in (1440, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            shown = page.locator(".lm-alert-acts .btn:visible")
            assert len({round(button.bounding_box()["y"]) for button in shown.all()}) == 1, (act, width)  # type: ignore[index]
            for button in shown.all():
                assert button.evaluate(HITS), (act, width, button.inner_text())
            title = page.locator(".lm-alert-title h1").bounding_box()
            assert title is not None
            assert title["height"] < 40, "the room's name has its line"


def test_an_act_by_keys_leaves_the_focus_on_the_alert(site: Site) -> None:
    """Mutation: the button that did it is gone, and Tab begins anew at the top of the page."""
    site.fails("r1")
    page = opened(site)
    within = "document.getElementById('alert-head').contains(document.activeElement)"
    page.locator("#acts-assign > summary").focus()
    page.keyboard.press("Enter")
    page.locator("#acts-assign").get_by_role("button", name="Bayu").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#alert-head")).to_contain_text("Given to Bayu, not acknowledged yet")
    assert page.evaluate(within)
    page.locator("#alert-head").get_by_role("button", name="Take it").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#alert-head")).to_contain_text("You took it")
    assert page.evaluate(within)
