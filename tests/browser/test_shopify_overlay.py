"""examples/shopify-overlay in a real browser: a click in the tile writes a run."""

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from orgs.models import Source
from tests.browser.conftest import DESKTOP, PHONE, Site, check_axe
from tests.ingest_server import runs
from tests.standins import ROOT
from tests.typescript import built_package

pytestmark = pytest.mark.node


@pytest.fixture
def host(site: Site, wait_for: Any) -> Iterator[str]:
    """The tile's host, with the key; its address, which the source lists as an origin."""
    built_package()
    env = os.environ | {"LIVE_MONITORING_URL": site.web.url, "LIVE_MONITORING_KEY": site.key, "PORT": "0"}
    command = ["node", str(ROOT / "examples" / "shopify-overlay" / "host.mjs")]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    Source.objects.filter(pk=site.scene.source.pk).update(allowed_origins=[url])
    wait_for(lambda: may_send(site, url))
    yield url
    process.kill()
    process.communicate()


def may_send(site: Site, origin: str) -> bool:
    """Whether the service has heard that this origin is listed."""
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    request = urllib.request.Request(f"{site.web.url}/api/agent-runs", method="OPTIONS", headers=asked)
    try:
        return bool(urllib.request.urlopen(request, timeout=10).status == 204)
    except urllib.error.HTTPError:
        return False


def tile(site: Site, host: str) -> Page:
    page = site.page()
    page.goto(host)
    expect(page.locator("html")).to_have_attribute("data-ready", "yes")
    return page


@pytest.mark.parametrize(
    ("button", "resolution", "expected"), [("Approve", "resolved", None), ("Reject", "escalated", True)]
)
def test_a_decision_writes_a_run(site: Site, host: str, button: str, resolution: str, expected: bool | None) -> None:
    page = tile(site, host)
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("status")).to_contain_text("Logged.")
    (run,) = runs()
    assert (run.org_id, run.agent.name, run.surface) == (site.scene.org.pk, "refund-agent", "shopify_admin")
    assert (run.resolution, run.handoff_expected, run.human_touched) == (resolution, expected, True)
    assert run.metadata == {"decision": button.lower(), "order_id": "1042", "changed": False}
    assert run.ended_at is not None and run.started_at <= run.ended_at


def test_an_edited_suggestion_is_a_run_too(site: Site, host: str) -> None:
    page = tile(site, host)
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Amount").fill("199.00")
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_role("status")).to_contain_text("Logged.")
    assert [(run.resolution, run.metadata["changed"]) for run in runs()] == [("resolved", True)]


def test_the_page_holds_a_token_and_no_key(site: Site, host: str) -> None:
    page = site.page()
    sent: list[Any] = []
    page.on("request", lambda request: sent.append(request))
    page.goto(host)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text("Logged.")
    posts = [request for request in sent if request.url.endswith("/api/agent-runs") and request.method == "POST"]
    assert posts[0].headers["authorization"].startswith("Bearer token.")
    assert not any(site.key in str(request.headers) + (request.post_data or "") for request in sent)


def test_a_page_whose_origin_is_not_listed_writes_nothing_and_works(site: Site, host: str) -> None:
    Source.objects.update(allowed_origins=["https://another.example"])
    page = tile(site, host.replace("127.0.0.1", "localhost"))
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_have_text("Approved. It is logged once the service is back.")
    assert runs() == []
    site.complaints.clear()  # the browser says which policy held it back


def test_the_tile_is_readable_on_every_screen(site: Site, host: str) -> None:
    page = tile(site, host)
    for theme, size in (("light", DESKTOP), ("dark", PHONE)):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.set_viewport_size(size)  # type: ignore[arg-type]
        check_axe(page, theme)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
