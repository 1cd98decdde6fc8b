"""An act between the press and its answer: it is seen, repeated, named, and not lost; and notices move nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from playwright.sync_api import Locator, Page, expect

from alerts import actions
from orgs.models import User
from tests.browser.conftest import DESKTOP, PHONE, Site, live
from tests.browser.proxy import Proxy
from tests.browser.test_session import log_in_elsewhere

TABLET = {"width": 800, "height": 900}


@contextmanager
def behind_a_proxy(site: Site, path: str, **options: Any) -> Iterator[tuple[Proxy, Page]]:
    """A page whose way to the service can be cut. The browser complains of that way, and of nothing else."""
    with Proxy(site.web.url, site.web.proxy_port) as proxy:
        site.url = proxy.url
        page = site.page(site.scene.people[0], **options)
        page.clock.install()
        page.goto(path)
        live(page)
        yield proxy, page
        page.close()
    site.complaints[:] = [said for said in site.complaints if not said.startswith("htmx:")]


def on_the_board(site: Site, page: Page) -> Locator:
    return site.row(page, "r1").get_by_role("button", name="Take it")


def on_the_alert(site: Site, page: Page) -> Locator:
    return page.locator("#alert-head").get_by_role("button", name="Take it")


@pytest.mark.parametrize(("phone", "button"), [(False, on_the_alert), (True, on_the_board)])
def test_an_act_without_an_answer_is_seen_at_once_and_done_when_the_way_is_back(
    site: Site, phone: bool, button: Callable[[Site, Page], Locator]
) -> None:
    """Stalled, then cut: a press does nothing more, the toast comes after 5 s, and it is done once."""
    site.fails("r1")
    path = "/" if phone else f"/alerts/{site.scene.alert('r1').pk}"
    with behind_a_proxy(site, path, size=PHONE if phone else DESKTOP) as (proxy, page):
        take = button(site, page)
        before = take.bounding_box()
        proxy.stall()
        posts: list[str] = []
        page.on("request", lambda request: request.method == "POST" and posts.append(request.url))
        take.click()
        expect(take).to_have_attribute("aria-busy", "true")
        ring = take.evaluate("(button) => getComputedStyle(button, '::after').borderTopColor")
        assert ring != "rgba(0, 0, 0, 0)"
        assert take.bounding_box() == before
        take.click()
        assert len(posts) == 1
        expect(page.locator(".lm-toast")).to_have_count(0)
        page.clock.fast_forward(5_100)
        expect(page.locator(".lm-toast")).to_have_text("Still trying: Take it, “Customer r1” …")
        proxy.cut()
        expect(take).to_have_attribute("aria-busy", "true")
        assert site.scene.alert("r1").state == "open"
        proxy.mend()
        page.clock.fast_forward(2_100)
        expect(page.locator(".lm-toast", has_text="You took “Customer r1”.")).to_be_visible()
        expect(page.get_by_text("Still trying")).to_have_count(0)
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert site.scene.alert("r1").assigned_to == site.scene.people[0]


def test_an_act_that_is_not_done_is_named_and_offered_again_also_on_the_next_page(site: Site) -> None:
    site.fails("r1")
    site.fails("r2")
    with behind_a_proxy(site, "/") as (proxy, page):
        proxy.cut()
        site.row(page, "r1").get_by_role("button", name="Take it").click()
        for _ in range(3):
            page.clock.fast_forward(60_000)
        toast = page.locator(".lm-toast", has_text="Not done")
        expect(toast).to_contain_text("Not done: Take it, “Customer r1”.")
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        proxy.mend()
        toast.get_by_role("button", name="Try again").click()
        expect(page.locator(".lm-toast")).to_contain_text("You took “Customer r1”.")
        proxy.cut()
        second = site.row(page, "r2").get_by_role("button", name="Take it")
        with page.expect_event("requestfailed"):
            second.click()
        expect(second).to_have_attribute("aria-busy", "true")
        proxy.mend()
        page.goto("/success")
        toast = page.locator(".lm-toast", has_text="Not done: Take it, “Customer r2”.")
        assert site.scene.alert("r2").state == "open"  # whoever leaves does not act any more
        toast.get_by_role("button", name="Try again").click()
        expect(page.locator(".lm-toast")).to_contain_text("You took “Customer r2”.")


def test_an_act_after_the_session_is_offered_to_the_same_person_and_to_nobody_else(site: Site) -> None:
    site.fails("r1")
    rina, bayu = site.scene.people
    for person, offers in ((bayu, 0), (rina, 1)):
        page = site.board(rina)
        Session.objects.all().delete()
        page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
        site.row(page, "r1").get_by_role("button", name="Take it").click()
        page.wait_for_url("**/login/**")
        log_in_elsewhere(page.context, person)
        page.goto("/")
        live(page)
        offer = page.locator(".lm-toast", has_text="You were signed out before this was done: Take it, “Customer r1”.")
        expect(offer).to_have_count(offers)
        assert site.scene.alert("r1").state == "open"
    offer.get_by_role("button", name="Do it now").click()
    expect(site.row(page, "r1")).to_contain_text("You took it")
    assert site.scene.alert("r1").assigned_to == rina
    site.complaints.clear()  # htmx noted two 401


def test_who_was_too_late_reads_by_how_much_and_may_follow(site: Site) -> None:
    site.fails("r1")
    page = site.board()
    site.before(page, "**/take", lambda: actions.take(site.scene.alert("r1").pk, site.scene.people[1]))
    site.row(page, "r1").get_by_role("button", name="Take it").click()
    toast = page.locator(".lm-toast")
    expect(toast).to_contain_text("Taken by Bayu Pratama, ")
    with page.expect_popup() as opened:
        toast.get_by_role("link", name="Open room").click()
    opened.value.wait_for_url("**/rooms/r1")


def boxes(page: Page, *selectors: str) -> list[Any]:
    return [page.locator(selector).first.bounding_box() for selector in selectors]


@pytest.mark.parametrize("size", [PHONE, TABLET, DESKTOP])
def test_notices_that_come_and_go_move_nothing_and_can_be_hit(site: Site, size: dict[str, int]) -> None:
    site.fails("r1")
    with behind_a_proxy(site, "/", size=size) as (proxy, page):
        still = ("h1", ".lm-tabs", ".lm-row", ".lm-row .lm-act button")
        before = boxes(page, *still)
        page.get_by_role("button", name="Pause live").click()
        expect(page.locator("#paused")).to_be_visible()
        assert boxes(page, *still) == before
        page.locator("#paused").get_by_role("button", name="Resume").click()
        expect(page.locator("#paused")).to_be_hidden()
        proxy.cut()
        page.clock.fast_forward(5_000)
        expect(page.locator("#stale")).to_contain_text("Stale since")
        assert boxes(page, *still) == before
        said = page.locator("#link-said")
        expect(said).to_have_text("Stale")  # without an age that changes
        assert page.locator("[role=status] [data-link-age]").count() == 0
        proxy.mend()
        page.locator("#stale").get_by_role("button", name="Try now").click()
        live(page)
        expect(said).to_have_text("Live")
        if size != PHONE:
            page.locator("body").press("/")
            expect(page.get_by_role("searchbox")).to_be_focused()
            expect(page.get_by_role("searchbox")).to_be_in_viewport()


def test_in_indonesian_acts_stand_in_one_line_and_the_room_is_whole(site: Site) -> None:
    """At 1440 px: on the board in one line, on the alert in at most two; nothing of the room is cut."""
    site.fails("4711-room-of-a-customer")
    rina: User = site.person(locale="id")
    page = site.board(rina)
    acts = site.row(page, "4711-room-of-a-customer").locator(".lm-act .btn")
    assert len({box["y"] for box in map(Locator.bounding_box, acts.all()) if box}) == 1
    page.goto(f"/alerts/{site.scene.alert('4711-room-of-a-customer').pk}")
    live(page)
    shown = [act for act in page.locator("#alert-head .lm-alert-acts .btn").all() if act.is_visible()]
    assert len({box["y"] for box in map(Locator.bounding_box, shown) if box}) <= 2
    for text in page.locator("#alert-head .lm-meta > *, #alert-head h1").all():
        assert text.evaluate(
            "(one) => one.scrollWidth <= one.clientWidth + 1 || getComputedStyle(one).display === 'inline'"
        )
        box, head = text.bounding_box(), page.locator("#alert-head").bounding_box()
        assert box and head and box["x"] + box["width"] <= head["x"] + head["width"]
