"""Silences in a browser: made and ended on their page, a room's from its alert; what the board then says of it."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from playwright.sync_api import expect

from orgs.models import Membership
from tests.browser.conftest import PHONE, Site, check_looks
from tests.browser.test_outage import look_away


def test_a_silence_is_made_with_the_keyboard_seen_on_the_board_and_ended(site: Site) -> None:
    lead = site.scene.people[0]
    Membership.objects.create(user=lead, org=site.scene.org, role=Membership.Role.LEAD)
    site.fails("r1")
    page = site.page(lead)
    page.goto("/silences")
    expect(page.get_by_role("heading", name="Nothing is silenced now")).to_be_visible()
    check_looks(page, "silences, none yet")
    page.get_by_label("Agent", exact=True).focus()
    page.keyboard.type("Billing")
    expect(page.locator("#silence-matches")).to_have_text("This matches 1 open alert now.")
    ends = datetime.now(ZoneInfo(lead.zone or "Asia/Jakarta")) + timedelta(hours=3)
    page.get_by_label("End", exact=True).fill(ends.strftime("%Y-%m-%dT%H:%M"))
    page.get_by_label("Why", exact=True).fill("Deploy of the billing tools")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Deploy of the billing tools")).to_be_visible()
    check_looks(page, "silences, one active")
    board = site.board()
    group = board.locator('.lm-part[data-group="snoozed"]')
    group.locator("summary").click()
    expect(group).to_contain_text("Silenced until")
    expect(board.locator('.lm-part[data-group="waiting"] .lm-row')).to_have_count(0)
    check_looks(board, "a board with a silenced row")
    look_away(board)
    page.get_by_role("button", name="End now").click()
    expect(board.locator('.lm-part[data-group="waiting"] .lm-row')).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(board.locator('.lm-part[data-group="waiting"] .lm-row')).to_have_count(0)


def test_a_supervisor_silences_a_room_on_a_phone_and_undoes_it(site: Site) -> None:
    site.fails("r1")
    page = site.page(site.scene.people[1], size=PHONE)
    page.goto(f"/alerts/{site.scene.alert('r1').pk}")
    menu = page.locator(".lm-actionbar #acts-more")
    menu.locator("summary").click()
    check_looks(page, "the acts of an alert on a phone")
    menu.get_by_role("button", name="1 h", exact=True).last.click()
    expect(page.locator("#alert-head")).to_contain_text("Silenced until")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#alert-head")).not_to_contain_text("Silenced until")
    menu.locator("summary").click()
    menu.get_by_role("button", name="30 min", exact=True).click()
    expect(page.locator("#alert-head")).to_contain_text("Silenced until")
    check_looks(page, "a silenced alert on a phone")
