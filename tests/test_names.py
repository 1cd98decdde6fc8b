"""Names that others write stand alone in every sentence: one in another script turns no words around it."""

from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from django.conf import settings
from django_scopes import scopes_disabled

from alerts.items import ErrorInfo, Handoff
from alerts.models import Alert
from orgs.models import Membership, Org, User
from orgs.walls import make_wall
from tests.api_client import signed_in
from tests.factories import PushFactory, WebhookEndpointFactory
from tests.scene import Scene, pushes_are_sent

MARK = "\u202eשלום"  # right to left, and not closed
ALONE = {"bdi", "title", "option", "textarea", "script", "code", "pre"}  # in the last two nothing else is said
VOID = {"meta", "link", "input", "img", "br", "hr", "rect", "path", "use", "circle"}


class Marks(HTMLParser):
    """Where the mark stands in a page's text, each with the elements around it."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[list[str], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
            if ("dir", "auto") in attrs:  # browsers isolate it as they do <bdi>
                self.open.append("bdi")

    def handle_endtag(self, tag: str) -> None:
        while tag in self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if MARK in data:
            self.found.append((list(self.open), data.strip()))


@pytest.fixture
def lead(system: None, org: Org) -> User:
    """What others can name carries the mark: org, agent, people, role, room, source; and what they wrote."""
    org.name, org.show_customer_text = f"{MARK} org", True
    org.save()
    scene = Scene(org)
    with scopes_disabled():
        for user in scene.people:
            User.objects.filter(pk=user.pk).update(name=f"{MARK} person")
        Membership.objects.create(user=scene.people[0], org=org, role=Membership.Role.LEAD)
        scene.source.name, scene.role.name = f"{MARK} source", f"{MARK} role"
        scene.source.save()
        scene.role.save()
        make_wall(org, f"{MARK} wall")
        WebhookEndpointFactory(org=org, source=scene.source, organization_id=f"{MARK}")
    words = {
        "room_label": f"{MARK} room",
        "agent_name": f"{MARK} agent",
        "channel": f"{MARK} wa",
        "agent_version": MARK,
    }
    scene.fails(**words, last_customer_text=f"{MARK} help", error=ErrorInfo(f"{MARK}Error", f"{MARK} message"))
    scene.fails("unexpected_handoff", room="r2", handoff=Handoff(False, f"{MARK} reason"), **words)
    pushes_are_sent()
    with scopes_disabled():
        PushFactory(
            alert=Alert.objects.first(), supervisor=scene.people[0], assignment=None, state="dead", occurrence=9
        )
    return User.objects.get(pk=scene.people[0].pk)


def pages(org: Org) -> Iterator[str]:
    yield from ("/", f"/?q={MARK}", "/?severity=info", "/?tab=resolved", "/reach", "/sources", "/success", "/pushes")
    yield from (f"/success/{metric}" for metric in ("coverage_pct", "time_to_intervene_median_seconds"))
    yield from (f"/setup/{org.external_id}", "/preferences", "/settings", "/walls")
    with scopes_disabled():
        yield make_wall(org, f"{MARK} wall")[1].removeprefix(settings.BASE_URL)
        yield from (f"/alerts/{alert.pk}" for alert in Alert.objects.all())


def test_each_name_on_each_page_stands_alone(lead: User, org: Org) -> None:
    client, seen, bare = signed_in(lead), 0, []
    for path in pages(org):
        response = client.get(path)
        assert response.status_code == 200, path
        marks = Marks()
        marks.feed(response.content.decode())
        seen += len(marks.found)
        bare += [(path, elements[-3:], said) for elements, said in marks.found if not ALONE & set(elements)]
    assert bare == []
    assert seen > 100
