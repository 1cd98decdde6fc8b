"""Names without a blank in them, as machines make them, on the narrowest phone."""

import re

import pytest
from django_scopes import scopes_disabled
from playwright.sync_api import Page, expect

from alerts import actions
from alerts.models import Alert
from orgs.models import Agent, Membership, User
from tests.browser.conftest import PHONE, Site
from tests.factories import AssignmentFactory, OrgFactory, PushFactory, WebhookEndpointFactory
from tests.scene import pushes_are_sent

LONG = "customer_support_escalation_assistant_for_jakarta_and_surroundings_v2"
PAGES = ("/", f"/?q={LONG}", "/?tab=resolved", "alert", "/reach", "/sources", "/success", "/success/coverage_pct")
PAGES += (
    "/success/time_to_intervene_median_seconds",
    "/pushes",
    "/preferences",
    "/settings",
    "setup",
    "webhook",
    "/sources/webhooks/new",
)

# Words that stick out of the screen, unless they scroll or are cut by what is around them.
OUTSIDE = """() => {
    const cuts = (node) => getComputedStyle(node).overflowX !== "visible";
    const cut = (node) => node !== document.body && (cuts(node) || cut(node.parentElement));
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    const found = [];
    for (let words = walk.nextNode(); words; words = walk.nextNode()) {
        range.selectNodeContents(words);
        const out = range.getBoundingClientRect().right > innerWidth + 0.5;
        if (out && !cut(words.parentElement)) found.push(`${words.parentElement.tagName} ${words.data.trim()}`);
    }
    return found;
}"""


@pytest.fixture
def long_names(site: Site) -> Site:
    """Org, agent, people, role, source, room and endpoint, all named by machines."""
    scene = site.scene
    scene.org.name = scene.source.name = scene.role.name = LONG
    for one in (scene.org, scene.source, scene.role):
        one.save()
    User.objects.filter(pk__in=[user.pk for user in scene.people]).update(name=LONG)
    Membership.objects.create(org=scene.org, user=scene.people[0], role="lead")
    WebhookEndpointFactory(org=scene.org, source=scene.source, organization_id=LONG, public_id="long")
    names = {"room_label": LONG, "agent_name": LONG, "channel": LONG, "agent_version": LONG}
    for room in ("r1", "r2", LONG):
        site.fails(room, error={"type": LONG, "message": LONG}, **names)
    Agent.objects.update(production=True)
    pushes_are_sent()
    actions.take(scene.alert("r2").pk, scene.people[1])
    actions.resolve(scene.alert(LONG).pk, scene.people[1])
    PushFactory(
        alert=scene.alert("r1"),
        supervisor=scene.people[1],
        assignment=None,
        state="dead",
        occurrence=9,
        last_answer=LONG,
        next_attempt_at=None,
        ended_reason="refused",
    )
    return site


def address(site: Site, path: str) -> str:
    named = {
        "alert": f"/alerts/{Alert.objects.get(room__room_id='r1').pk}",
        "setup": f"/setup/{site.scene.org.external_id}",
        "webhook": "/sources/webhooks/long",
    }
    return named.get(path, path)


def entries(page: Page) -> list[list[float]]:
    """Of each entry of the bottom bar: how much its words keep from its left and right edge, in px."""
    return page.evaluate("""() => [...document.querySelectorAll(".lm-tabbar a")].map((entry) => {
        const range = document.createRange();
        range.selectNodeContents([...entry.childNodes].find((node) => node.nodeType === 3));
        const [words, box] = [range.getBoundingClientRect(), entry.getBoundingClientRect()];
        return [words.left - box.left, box.right - words.right];
    })""")


def test_nothing_sticks_out_of_a_phone(long_names: Site) -> None:
    bad: list[tuple[str, str]] = []
    page = long_names.page(long_names.scene.people[0], size=PHONE)
    for path in PAGES:
        page.goto(address(long_names, path))
        bad += [(path, out) for out in page.evaluate(OUTSIDE)]
        bad += [(path, "the page")] if page.evaluate("document.documentElement.scrollWidth") > PHONE["width"] else []
    assert bad == [], "\n".join(map(str, bad))
    for language in ("en", "id"):
        long_names.person(0, locale=language)
        page.goto("/preferences")
        assert page.locator("html").get_attribute("lang") == language
        assert len(entries(page)) == 5
        assert all(min(gaps) >= 8 for gaps in entries(page)), entries(page)


def test_labels_of_a_phone_wrap_and_the_picker_is_whole(site: Site) -> None:
    with scopes_disabled():
        for n in range(9):
            AssignmentFactory(org=OrgFactory(name=f"Kopi Selasar {n}"), user=site.scene.people[0])
    site.fails("r1")
    page = site.page(site.person(locale="id"), PHONE)
    for path in ("/success", "/reach"):
        page.goto(path)
        labels = page.locator("main td[data-label]")
        spaces = labels.evaluate_all("(all) => all.map((one) => getComputedStyle(one, '::before').whiteSpace)")
        assert set(spaces) == {"normal"}, path
    page.goto("/")
    said = page.locator(".lm-org > summary > span")
    assert said.evaluate("(one) => one.scrollWidth <= one.clientWidth + 1")
    expect(said.locator(".lm-org-n")).to_be_visible()
    expect(page.locator(".lm-org summary")).to_have_accessible_name(re.compile("10 organisasi"))
