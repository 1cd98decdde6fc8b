"""The console as an app on a phone: a browser would install it, and without a connection it shows one card."""

import json
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Site, check_axe
from tests.browser.proxy import Proxy
from tests.browser.test_session import log_in_elsewhere
from tests.browser.test_wall import wall_of

CONTROLLED = "() => navigator.serviceWorker.controller"
KEPT = """async () => {
  const caches_ = await caches.keys();
  const found = await Promise.all(caches_.map(async (name) => (await (await caches.open(name)).keys())));
  return found.flat().map((request) => new URL(request.url).pathname);
}"""


def app_of(page: Page) -> tuple[dict[str, Any], list[Any]]:
    """The manifest as the browser reads it, and what keeps the page from being installed."""
    session = page.context.new_cdp_session(page)
    found = session.send("Page.getAppManifest")
    assert not found["errors"]
    return json.loads(found["data"]), session.send("Page.getInstallabilityErrors")["installabilityErrors"]


def test_a_phone_installs_it_shows_a_card_without_a_connection_and_keeps_nothing_else(site: Site) -> None:
    site.fails("r1")
    with Proxy(site.web.url, site.web.proxy_port) as proxy:
        site.url = proxy.url
        page = site.page(size=PHONE, service_workers="allow")
        page.goto("/accounts/login/")
        page.wait_for_function(CONTROLLED)
        manifest, errors = app_of(page)
        assert (manifest["name"], manifest["lang"], manifest["display"]) == ("Live Monitoring", "en", "standalone")
        assert {(icon["sizes"], icon["purpose"]) for icon in manifest["icons"]} == {
            ("192x192", "any"),
            ("512x512", "any"),
            ("512x512", "maskable"),
        }
        assert [error for error in errors if error["errorId"] != "in-incognito"] == []

        log_in_elsewhere(page.context, site.person(0))
        page.goto("/")
        page.wait_for_selector(".lm-row")
        card = page.evaluate(KEPT)
        assert card[0] == "/offline" and all(path.startswith("/static/") for path in card[1:])

        proxy.cut()
        page.reload()
        expect(page.get_by_role("heading", name="No connection").first).to_be_visible()
        check_axe(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.get_by_role("button").first.click()  # still away
        expect(page.get_by_role("heading", name="No connection").first).to_be_visible()
        proxy.mend()
        page.wait_for_selector(".lm-row")  # by itself, at the address that was asked for
        assert page.url.endswith("/")

        wall = site.page(size=PHONE, service_workers="allow")
        wall.goto(wall_of(site))
        wall.wait_for_function(CONTROLLED)
        proxy.cut()
        wall.reload()
        expect(wall.get_by_role("heading", name="No connection").first).to_be_visible()
        proxy.mend()
        wall.wait_for_selector(".wall-row")
        assert [path for path in wall.evaluate(KEPT) if not path.startswith("/static/")] == ["/offline"]

        page.goto("/accounts/logout/")
        with page.expect_response(lambda answer: answer.request.method == "POST") as left:
            page.get_by_role("button", name="Sign out").click()
        assert left.value.all_headers()["clear-site-data"] == '"cache"'
        page.wait_for_selector("input[name=login]")
        assert set(page.evaluate(KEPT)) == set(card)
        page.go_back()
        page.go_back()
        expect(page.locator(".lm-row")).to_have_count(0)
