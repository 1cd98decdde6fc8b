"""A page whose session, scripts or zone are not what they were: it goes on, or says what is the matter."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils.crypto import get_random_string
from playwright.sync_api import BrowserContext, Page, expect

from orgs.models import User
from tests.browser.conftest import Site, live


def log_in_elsewhere(context: BrowserContext, user: User) -> None:
    """What another tab's log-in leaves in this browser: another session, another CSRF secret."""
    client = Client()
    client.force_login(user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    names = {settings.SESSION_COOKIE_NAME: session, settings.CSRF_COOKIE_NAME: get_random_string(32)}
    context.add_cookies(
        [{"name": name, "value": value, "domain": "127.0.0.1", "path": "/"} for name, value in names.items()]
    )


def was_refused_once(site: Site) -> None:
    """The browser noted one 403, htmx too, and nothing else."""
    assert [re.findall(r"403", said)[:1] for said in site.complaints] == [["403"], ["403"]], site.complaints
    site.complaints.clear()


def take_on_the_board(site: Site, page: Page) -> None:
    site.row(page, "r1").get_by_role("button", name="Take it").click()
    expect(site.row(page, "r1")).to_contain_text("You took it")


def verdict_on_the_alert(site: Site, page: Page) -> None:
    page.goto(f"/alerts/{site.scene.alert('r1').pk}")
    live(page)
    log_in_elsewhere(page.context, site.scene.people[0])
    page.get_by_label("Note").fill("a test order")
    page.get_by_role("button", name="False alarm").click()
    expect(page.locator(".lm-timeline")).to_contain_text("a test order")


@pytest.mark.parametrize("act", [take_on_the_board, verdict_on_the_alert])
def test_after_a_log_in_in_another_tab_an_act_is_done_all_the_same(
    site: Site, act: Callable[[Site, Page], None]
) -> None:
    site.fails("r1")
    page = site.board()
    log_in_elsewhere(page.context, site.scene.people[0])
    act(site, page)
    expect(page.locator(".lm-toast").filter(has_text="not allowed")).to_have_count(0)
    was_refused_once(site)


def test_who_acts_after_somebody_else_logged_in_does_nothing_in_their_name(site: Site) -> None:
    site.fails("r1")
    page = site.board()
    log_in_elsewhere(page.context, site.scene.people[1])
    site.row(page, "r1").get_by_role("button", name="Take it").click()
    expect(page.locator(".lm-toast")).to_have_text(
        "This was not done: Bayu Pratama is signed in now, from another tab."
    )
    expect(page.locator("body")).to_have_attribute("data-me", site.scene.people[1].sso_id)
    assert site.scene.alert("r1").state == "open"
    was_refused_once(site)


def test_a_board_whose_session_was_followed_by_another_goes_on(site: Site) -> None:
    """The socket of the old session is closed; the person is signed in, and is not told otherwise."""
    page = site.board()
    old = next(cookie for cookie in page.context.cookies() if cookie["name"] == settings.SESSION_COOKIE_NAME)
    log_in_elsewhere(page.context, site.scene.people[0])
    with page.expect_response("**/preferences"):
        Session.objects.filter(session_key=old.get("value")).delete()
    site.fails("r1")
    expect(site.row(page, "r1")).to_be_visible()
    expect(page.get_by_text("You are signed out.")).to_have_count(0)


def test_a_board_that_was_signed_out_goes_on_with_the_act_of_who_signed_in_again_elsewhere(site: Site) -> None:
    site.fails("r1")
    page = site.board()
    page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    Session.objects.all().delete()
    expect(page.locator("#stale")).to_contain_text("You are signed out.", timeout=40_000)
    log_in_elsewhere(page.context, site.scene.people[0])
    take_on_the_board(site, page)
    expect(page.locator("#stale")).to_be_hidden()
    live(page)
    was_refused_once(site)


def test_a_board_whose_scripts_did_not_start_says_so(site: Site) -> None:
    site.fails("r1")
    page = site.page(site.scene.people[0])
    page.route("**/js/board*.js", lambda route: route.abort())
    page.goto("/")
    expect(page.locator("#stale")).to_contain_text("its scripts did not start")
    expect(page.locator("#link")).not_to_contain_text("Live", use_inner_text=True)
    page.unroute_all()
    page.get_by_role("link", name="Load it again").click()
    live(page)
    expect(page.locator("#stale")).to_be_hidden()


UNKNOWN_ZONE = """
const Known = Intl.DateTimeFormat;
Intl.DateTimeFormat = function (locale, options) {
  if (options?.timeZone === "Asia/Makassar") throw new RangeError("Invalid time zone specified: Asia/Makassar");
  return new Known(locale, options);
};
"""


def test_a_zone_the_browser_does_not_know_is_its_offset(site: Site) -> None:
    rina: Any = site.person(zone="Asia/Makassar")
    site.fails("r1")
    known = site.board(rina)
    shown = site.row(known, "r1").locator("time[data-clock]").first
    expect(shown).to_have_attribute("title", re.compile("GMT"))
    at, title = shown.inner_text(), shown.get_attribute("title") or ""
    page = site.page(rina)
    page.add_init_script(UNKNOWN_ZONE)
    page.goto("/")
    live(page)
    again = site.row(page, "r1").locator("time[data-clock]").first
    expect(again).to_have_text(at)
    expect(again).to_have_attribute("title", title.replace("GMT+8", "UTC+08:00"))
