"""The sources pages in a browser: what axe says, what fits, what a keyboard and the copy button do."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from alerts.sources.senders import SaidSent, add_sent
from orgs.models import Agent, Membership, SourceHeard, WebhookEndpoint
from runs.models import AgentFlow
from tests.browser.conftest import Site, check_axe, check_looks
from tests.factories import (
    AlertFactory,
    RejectedItemFactory,
    SourceFactory,
    SourceMinuteFactory,
    WebhookDeliveryFactory,
    WebhookEndpointFactory,
)


def full(site: Site) -> WebhookEndpoint:
    """A lead, a silent source with everything on it, one that was never heard, an endpoint with deliveries."""
    org, source, now = site.scene.org, site.scene.source, datetime.now(UTC)
    Membership.objects.create(org=org, user=site.scene.people[0], role="lead")
    for hours in range(20):
        at = (now - timedelta(hours=hours, minutes=20)).replace(second=0, microsecond=0)
        SourceMinuteFactory(org=org, source=source, minute=at, created=40 + hours, invalid=hours, events=9)
    SourceHeard.objects.create(org=org, source=source, at=now - timedelta(minutes=40))
    RejectedItemFactory(org=org, source=source, message="confidence is required. " * 8)
    entry = {"count": 1, "first_at": now.isoformat(), "last_at": now.isoformat(), "severity": "critical", "episode": 1}
    signals = [{"signal": "silent_source", **entry}]
    AlertFactory(org=org, scope="source", source=source, room=None, agent=None, signals=signals)
    endpoint: WebhookEndpoint = WebhookEndpointFactory(org=org, allowed_addresses=["203.0.113.0/24"])
    WebhookDeliveryFactory(endpoint=endpoint, sample={"text": "[text, 24]", "room": {"name": "[text, 9]"}})
    WebhookDeliveryFactory(endpoint=endpoint, outcome="not_understood", reason="no_room", field="room_id")
    WebhookDeliveryFactory(endpoint=endpoint, outcome="refused", reason="address", understood=[])
    WebhookDeliveryFactory(endpoint=endpoint, outcome="repeated")
    WebhookEndpointFactory(org=org, source=SourceFactory(org=org), public_id="unheard")
    add_sent([SaidSent(org.pk, source.pk, "w-1", True, 1200, 1100, 0)], now)
    for days, (agent, surface) in enumerate((("Billing Bot", "chatbot"), ("An agent with a very long name " * 4, ""))):
        flow = {"input_kind": "escalation_recommendation", "surface": surface, "last_run": 1}
        made = Agent.objects.get_or_create(org=org, name=agent)[0]
        AgentFlow.objects.create(org=org, agent=made, reported_at=now - timedelta(days=2 * days), **flow)
    return endpoint


def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(site: Site) -> None:
    endpoint = full(site)
    page = site.page(site.scene.people[0])
    for path in ("", "/webhooks/new", f"/webhooks/{endpoint.public_id}", "/webhooks/unheard"):
        page.goto(f"/sources{path}")
        for disclosure in page.locator("main details > summary").all():
            disclosure.click()
        check_looks(page, path)


def test_a_new_endpoint_by_keyboard_and_its_address_copied(site: Site) -> None:
    full(site)
    page = site.page(site.scene.people[0], permissions=["clipboard-read", "clipboard-write"])
    page.goto("/sources")
    page.get_by_role("link", name="New Qontak webhook").press("Enter")
    page.get_by_label("Allowed addresses").fill("203.0.113.0/24")
    page.get_by_role("button", name="Make the address").press("Enter")
    address = page.locator(".lm-secret code").inner_text()
    assert "/api/webhooks/qontak/" in address
    check_axe(page)
    page.get_by_role("button", name="Copy").click()
    expect(page.locator(".lm-toast")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == address
