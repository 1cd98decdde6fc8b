"""The console in Debian's chromium: a real web process on the test database, with a real Valkey and stand-in."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from django_scopes import scopes_disabled
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright
from pytest_django.plugin import DjangoDbBlocker

from launch import ports
from orgs.keys import issue
from orgs.models import User
from tests.factories import without_limits
from tests.once import once, shared
from tests.scene import Scene
from tests.stack import PATIENCE, Stack, database_url, stack
from tests.standins import ROOT, Standins

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
TABLET = {"width": 768, "height": 1024}
EXPECTED = (
    "net::ERR_",
    "WebSocket connection",
    "404 (Not Found)",
    "409 (Conflict)",
    "401 (Unauthorized)",
    "412 (",
    "422 (",
    "Service Worker",
)
AXE, COLOURS = Axe(), "color-contrast"
# Colours take axe most of its time. Of all that look alike (the same tags, classes and colours, up to the body) it is
# given two, and those that it had before on this page none; every other rule looks at everything.
AXE_RUN = """async (options) => {
  const known = (window.kinds ??= new Map());
  const looks = new Map([[document.documentElement, ""]]);
  const look = (one) => {
    if (!looks.has(one)) {
      const { backgroundColor, backgroundImage, opacity } = getComputedStyle(one);
      const own = [one.tagName, one.getAttribute("class"), backgroundColor, backgroundImage, opacity];
      looks.set(one, [look(one.parentElement), ...own].join());
    }
    return looks.get(one);
  };
  const hasWords = (part) => part.nodeType === Node.TEXT_NODE && part.data.trim();
  const says = (one) => one.matches("input, select, textarea") || [...one.childNodes].some(hasWords);
  const chosen = [...document.querySelectorAll("body, body *")].filter((one) => {
    if (!says(one) || !one.checkVisibility({ visibilityProperty: true })) return false;
    const { color, fontSize, fontWeight, textShadow } = getComputedStyle(one);
    const exempt = one.closest(":disabled, [aria-disabled]") !== null;
    const kind = [look(one), color, fontSize, fontWeight, textShadow, exempt].join();
    known.set(kind, (known.get(kind) ?? 0) + 1);
    return known.get(kind) <= 2;
  });
  for (const one of chosen) one.setAttribute("data-of-its-kind", "");
  axe.configure({ rules: [{ id: "color-contrast", selector: "[data-of-its-kind]" }] });
  const found = await axe.run(document, { resultTypes: ["violations"], ...options });
  for (const one of chosen) one.removeAttribute("data-of-its-kind");
  return found.violations;
}"""
numbers = itertools.count(1)

# Playwright's loop runs in this thread; the ORM is called between its calls, never inside.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
expect.set_options(timeout=PATIENCE * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A chromium for the browser tests that follow each other.

    It ends with the last of them, and with it Playwright's running event loop, in which no async test can start.
    """
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield made
        made.close()


@pytest.fixture(scope="session")
def web(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    _standins_process: Standins,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """One web process for all browser tests, serving collected static files as in production."""
    data = shared(tmp_path_factory) / "browser"
    with django_db_blocker.unblock():
        url = database_url()
    with stack(_standins_process, url) as made:
        made.env |= {"DATA_DIR": str(data), "STATIC_COMPRESS": "0", "DEBUG": "0", "DEMO": "1"}
        own = tmp_path_factory.mktemp("browser")
        made.port, made.proxy_port = ports.kept_free(own / "port"), ports.kept_free(own / "proxy-port")
        ours, proxys = (f"http://127.0.0.1:{port}" for port in (made.port, made.proxy_port))
        made.env |= {"BASE_URL": ours, "CSRF_TRUSTED_ORIGINS": f"{ours},{proxys}"}
        collect = [sys.executable, "manage.py", "collectstatic", "--noinput"]
        run = partial(subprocess.run, collect, cwd=ROOT, env=made.env, check=True, capture_output=True)
        once(tmp_path_factory, "static", run)
        made.start("web")
        yield made


@dataclass
class Site:
    """The service as a test sees it: an org with people, a key to send with, browsers to look with."""

    web: Stack
    scene: Scene
    key: str
    browser: Browser
    url: str = ""  # where browsers go; a proxy's address in some tests
    contexts: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def fails(self, room: str, signal: str = "agent_error", **fields: Any) -> None:
        """Send a failure event over HTTP, like a stranger."""
        needs: dict[str, Any] = {
            "agent_error": {"error": {"type": "Timeout"}},
            "unexpected_handoff": {"handoff": {"completed": False}},
            "message_cap": {"message_count": 20, "message_cap": 20},
            "low_confidence": {"confidence": 0.2},
            "help_requested": {},
        }[signal]
        item = {
            "event_id": f"b-{next(numbers)}",
            "agent_name": "Billing Bot",
            "room_id": room,
            "signal": signal,
            "occurred_at": datetime.now(UTC).isoformat(),
            "room_label": f"Customer {room}",
            **needs,
            **fields,
        }
        status, body = self.web.post("/api/failure-events", self.key, item)
        assert status == 201, body

    def happens(self, room: str, kind: str, who: User | None = None) -> None:
        """Send room activity over HTTP."""
        item = {"activity_id": f"a-{next(numbers)}", "room_id": room, "kind": kind, "at": datetime.now(UTC).isoformat()}
        status, body = self.web.post(
            "/api/room-activity", self.key, item | ({"actor_sso_id": who.sso_id} if who else {})
        )
        assert status == 201, body

    def person(self, at: int = 0, **fields: Any) -> User:
        """One of the org's two supervisors, with these fields set."""
        user = self.scene.people[at]
        User.objects.filter(pk=user.pk).update(**fields)
        user.refresh_from_db()
        return user

    def context(self, user: User | None = None, size: dict[str, int] | None = None, **options: Any) -> BrowserContext:
        """A browser of this person, signed in."""
        made = self.browser.new_context(
            base_url=self.url or self.web.url,
            viewport=size or DESKTOP,
            reduced_motion="reduce",
            **{"service_workers": "block", **options},  # type: ignore[arg-type] # what one answers, no route sees
        )
        made.set_default_timeout(PATIENCE * 1000)
        if user is not None:
            client = Client()
            client.force_login(user)
            cookie = client.cookies[settings.SESSION_COOKIE_NAME]
            made.add_cookies([{"name": cookie.key, "value": cookie.value, "domain": "127.0.0.1", "path": "/"}])
        self.contexts.append(made)
        return made

    def page(self, user: User | None = None, size: dict[str, int] | None = None, **options: Any) -> Page:
        """A page of this person; what its console complains of fails the test."""
        page = self.context(user, size, **options).new_page()
        page.on("console", lambda said: self._hear(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(expected in text for expected in EXPECTED):
            self.complaints.append(text)

    def board(self, user: User | None = None, path: str = "/", **options: Any) -> Page:
        """The live board, connected."""
        page = self.page(user or self.scene.people[0], **options)
        page.goto(path)
        live(page)
        return page

    def before(self, page: Page, pattern: str, act: Callable[[], object]) -> None:
        """Do something between a person's click and the moment the service hears of it."""

        def held(route: Route) -> None:
            with scopes_disabled():
                act()
            route.continue_()

        page.route(pattern, held)

    def row(self, page: Page, room: str) -> Any:
        """The row of a room on the board."""
        return page.locator(f"#row-{self.scene.alert(room).pk}")


def live(page: Page) -> None:
    """Wait until the page hears the feed."""
    page.wait_for_selector("#link[data-state=live]")


def check_axe(page: Page, what: str = "", **options: Any) -> None:
    """axe finds nothing. It is put into a page once, and says only what is wrong."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.axe_script)
    found = AxeResults({"violations": page.evaluate(AXE_RUN, options)})
    assert found.violations_count == 0, f"{what}\n{found.generate_report()}"


def check_looks(page: Page, what: str, colours: bool = True) -> None:
    """Light on a desktop, dark on a tablet and a phone: axe finds nothing, and nothing is wider than the screen.

    Of a page in its second language axe looks at no colours.
    """
    for theme, size in (("light", DESKTOP), ("dark", TABLET), ("dark", PHONE)):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.set_viewport_size(size)  # type: ignore[arg-type]
        expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
        said = f"{what} {theme} {size['width']}"
        check_axe(page, said, rules={COLOURS: {"enabled": colours}})
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], said


@pytest.fixture
def site(web: Stack, browser: Browser, system: None, standins: Standins, transactional_db: None) -> Iterator[Site]:
    """A fresh org on the running service."""
    scene = Scene()
    without_limits(scene.org)
    scene.org.room_url_template = f"{standins.url}/rooms/{{room_id}}"
    scene.org.save()
    for user, name in zip(scene.people, ("Rina Wulandari", "Bayu Pratama"), strict=True):
        user.name, user.locale = name, "en"
        user.save()
    _, key = issue(scene.source, ["ingest"])
    made = Site(web, scene, key, browser)
    yield made
    for context in made.contexts:
        context.close()
    assert made.complaints == []


@pytest.fixture
def shifts() -> Callable[[Page], float]:
    """Cumulative layout shift of a page since it was opened; call `watch_shifts` on it before `goto`."""
    return lambda page: page.evaluate("window.shifts.reduce((sum, shift) => sum + shift.value, 0)")


WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    const what = entry.sources.map((source) => source.node?.outerHTML?.slice(0, 80) ?? source.node?.textContent);
    window.shifts.push({ value: entry.value, what });
  }
}).observe({ type: 'layout-shift', buffered: true });
"""
