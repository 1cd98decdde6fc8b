"""The page of the API renders under the strict policy: nothing inline, nothing from elsewhere; its example works."""

from playwright.sync_api import expect

from console.openapi.document import document
from tests.browser.conftest import Site


def test_the_page_shows_every_operation_and_sends_an_example(site: Site) -> None:
    """A policy that is broken is a complaint on the console, which fails the test."""
    page = site.page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/api/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    assert page.locator(".opblock").count() == sum(len(methods) for methods in document()["paths"].values())
    assert all(url.startswith((site.url or site.web.url, "data:")) for url in asked)
    page.locator(".authorize").first.click()
    page.locator("#auth-bearer-value").fill(site.key)
    page.locator(".auth-container .authorize").first.click()
    page.locator(".btn-done").first.click()
    page.locator("#operations-Writing-write_failure_events .opblock-summary-control").click()
    page.locator(".try-out__btn").first.click()
    text = page.locator(".body-param__text").first.input_value()
    page.locator(".body-param__text").first.fill(text.replace("toko-maju", site.scene.org.external_id))
    page.locator(".execute").first.click()
    expect(page.locator(".live-responses-table .response-col_status").nth(1)).to_contain_text("201")
