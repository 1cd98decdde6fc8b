"""From an empty database to a supervisor in the room, in at most 12 actions, with every process real."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from alerts.models import Push
from orgs import clock
from orgs.models import Membership, Org, User
from tests.browser.conftest import DESKTOP, PHONE, Site, check_looks
from tests.factories import UserFactory
from tests.stack import PATIENCE, Stack, accepted
from tests.standins import Standins

MOST = 12
PASSWORD = "a long password of Dewi"


class Actions:
    """What a person does, each counted: a fill, a click, a choice, the one POST of the first event."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.done: list[str] = []

    def _count(self, what: str) -> None:
        self.done.append(what)
        assert len(self.done) <= MOST, self.done

    def fill(self, label: str, value: str) -> None:
        self._count(f"fill {label}")
        self.page.get_by_label(label, exact=True).first.fill(value)

    def click(self, role: Any, name: str) -> None:
        self._count(f"click {name}")
        self.page.locator("main").get_by_role(role, name=name, exact=True).click()

    def post(self, web: Stack, key: str, item: dict[str, Any]) -> None:
        self._count("post the first event")
        assert web.post("/api/failure-events", key, item)[0] == 201


@pytest.fixture
def worker(web: Stack) -> Iterator[None]:
    """The process that sends pushes."""
    process = web.start("worker")
    yield
    process.kill()


@pytest.fixture
def desk(
    web: Stack, browser: Browser, worker: None, system: None, transactional_db: None, settings: Any
) -> Iterator[BrowserContext]:
    """A browser at an empty installation: there is a specialist, and nothing else."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]  # one that the service knows
    dewi = UserFactory(sso_id="dewi", name="Dewi Anggraini", email="dewi@example.com", is_specialist=True, locale="en")
    dewi.set_password(PASSWORD)
    dewi.save()
    made = browser.new_context(base_url=web.url, viewport=DESKTOP, reduced_motion="reduce")  # type: ignore[arg-type]
    made.set_default_timeout(PATIENCE * 1000)
    yield made
    made.close()


def first_event() -> dict[str, Any]:
    return {
        "event_id": "first",
        "agent_name": "Barista Bot",
        "room_id": "room-1",
        "signal": "agent_error",
        "occurred_at": datetime.now(UTC).isoformat(),
        "error": {"type": "Timeout"},
    }


def test_from_nothing_to_the_room_in_at_most_12_actions(
    desk: BrowserContext, web: Stack, standins: Standins, wait_for: Any
) -> None:
    page = desk.new_page()
    page.goto("/")
    act = Actions(page)
    act.fill("Work e-mail", "dewi@example.com")
    act.fill("Password", PASSWORD)
    act.click("button", "Sign in")
    act.click("link", "Set up an org")
    act.fill("Name", "Kopi Selasar")
    act.fill("External id", "kopi-selasar")
    act.fill("Room link", f"{standins.url}/rooms/{{room_id}}")
    act.fill("SSO id", "rina")
    act.fill("E-mail", "rina@example.com")
    act.click("button", "Set up the org")
    key = page.locator("#key").inner_text()
    expect(page.locator("#step-people")).to_have_class("is-done")

    act.post(web, key, first_event())
    (push,) = wait_for(lambda: accepted(standins))
    assert push["body"]["recipient"] == {"sso_id": "rina"}
    assert push["body"]["data"]["org_id"] == "kopi-selasar"
    assert push["signature_ok"]
    expect(page.locator("#step-event")).to_have_class("is-done")  # by itself: the page was not loaded again
    expect(page.locator("#step-phone")).to_contain_text("Push to rina")

    with desk.expect_page() as opened:
        act.click("link", "Open room")
    assert opened.value.url == f"{standins.url}/rooms/room-1"
    expect(page.locator("#step-room")).to_have_class("is-done")
    expect(page.get_by_role("navigation", name="Set up", exact=True)).to_contain_text("Setup 4 of 6")
    assert len(act.done) <= MOST


def test_a_double_click_makes_one_org_and_shows_its_key(desk: BrowserContext) -> None:
    page = desk.new_page()
    page.goto("/accounts/login/?next=/setup/new")
    page.get_by_label("Work e-mail").fill("dewi@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    for label, value in (("Name", "A"), ("External id", "a"), ("SSO id", "rina"), ("E-mail", "rina@example.com")):
        page.get_by_label(label, exact=True).first.fill(value)
    page.get_by_role("button", name="Set up the org").dblclick()
    expect(page.locator("#key")).to_be_visible()
    assert Org.objects.count() == 1


# --- the checklist and the reach page --------------------------------------------------------------------------------


@pytest.fixture
def lead(site: Site) -> User:
    """Rina, who leads the org; Bayu has no phone."""
    Membership.objects.create(org=site.scene.org, user=site.scene.people[0], role="lead")
    site.person(1, push_tokens=0, push_tokens_at=clock.now())
    site.fails("r1")
    return site.person(0, push_tokens=1, push_tokens_at=clock.now())


def test_steps_turn_green_while_one_looks(site: Site, lead: User) -> None:
    page = site.page(lead)
    page.goto(f"/setup/{site.scene.org.external_id}")
    page.evaluate("window.sameDocument = true")
    phone = page.locator("#step-phone")
    expect(phone).to_have_class("is-now")
    expect(phone).to_contain_text("Bayu has no phone registered.")
    page.get_by_role("button", name="Send test to Rina").click()
    expect(phone).to_contain_text("Test to Rina Wulandari")
    page.get_by_role("button", name="Send test to Bayu").focus()
    now = clock.now()
    Push.objects.filter(kind="test").update(state="sent", push="queued", sent_at=now, next_attempt_at=None)
    expect(phone.locator(".lm-hops .is-wait b")).to_have_text("Delivered")
    expect(page.get_by_role("button", name="Send test to Bayu")).to_be_focused()
    Push.objects.filter(kind="test").update(delivered_at=now)
    expect(phone).to_have_class("is-done")
    site.happens("r1", "human_opened", lead)
    site.happens("r1", "human_message", lead)
    expect(page.get_by_role("heading", name="is set up")).to_be_visible()
    expect(page.get_by_role("navigation", name="Set up", exact=True)).not_to_contain_text("of 6")
    assert page.evaluate("window.sameDocument")


def test_one_press_tests_everyone_on_tier_1(site: Site, lead: User) -> None:
    page = site.page(lead)
    page.goto("/reach")
    expect(page.locator("h1")).to_have_text("0 of 1 agent can reach a supervisor now")
    page.get_by_role("button", name="Test everyone on tier 1").dblclick()
    expect(page.locator(".lm-toast")).to_contain_text("2 tests are on their way.")
    assert Push.objects.filter(kind="test").count() == 2
    now = clock.now()
    tests = Push.objects.filter(kind="test", supervisor=lead)
    tests.update(state="sent", push="queued", sent_at=now, delivered_at=now, next_attempt_at=None)
    expect(page.locator("[data-test]").filter(has_text="Test to Rina")).to_contain_text("the phone has it")
    page.reload()
    expect(page.locator("h1")).to_have_text("1 of 1 agent can reach a supervisor now")


def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(site: Site, lead: User) -> None:
    lead = site.person(0, is_specialist=True)
    page = site.page(lead)
    page.goto("/reach")
    page.get_by_role("button", name="Send test").first.click()
    expect(page.locator("[data-test]").first).to_be_visible()
    for path in ("", "/reach", f"/setup/{site.scene.org.external_id}", "/setup/new"):
        if path:
            page.goto(path)
        check_looks(page, path)


def test_targets_are_large_enough_for_a_thumb(site: Site, lead: User) -> None:
    lead = site.person(0, is_specialist=True)
    page = site.page(lead, size=PHONE, has_touch=True, is_mobile=True)
    for path in ("/reach", f"/setup/{site.scene.org.external_id}", "/setup/new"):
        page.goto(path)
        for button in page.locator("main .btn:visible").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44, (path, button.inner_text())
