"""Webhook endpoints in the console: made, rotated, limited, switched off; and what their deliveries told."""

import re
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.utils.html import strip_tags
from django_scopes import scopes_disabled

from alerts.models import RoomActivity
from alerts.sources import inbox
from orgs import clock, webhooks
from orgs.models import Org, User, WebhookEndpoint
from tests.api_client import signed_in, supervisor_of
from tests.factories import (
    AssignmentFactory,
    MembershipFactory,
    OrgFactory,
    UserFactory,
    WebhookDeliveryFactory,
    WebhookEndpointFactory,
)

ROOM = "b7a2b7de-61c5-4e0b-8a1f-0d6c7c5a9e11"


@pytest.fixture
def lead(org: Org) -> User:
    user: User = supervisor_of(org, name="Rina")
    MembershipFactory(org=org, user=user, role="lead")
    return user


@pytest.fixture
def client_of(lead: User) -> Client:
    return signed_in(lead)


@pytest.fixture
def endpoint(org: Org) -> WebhookEndpoint:
    return WebhookEndpointFactory(org=org)


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", strip_tags(response.content.decode()))


def page_of(endpoint: WebhookEndpoint, *more: str) -> str:
    return "/".join(["/sources/webhooks", endpoint.public_id, *more])


def address_in(answer: Any) -> str:
    found = re.search(r"<code>(\S+/api/webhooks/qontak/\S+)</code>", answer.content.decode())
    assert found
    return found[1].rpartition("/")[2]


def opens(segment: str) -> bool:
    with scopes_disabled():
        try:
            webhooks.find("qontak", segment, clock.now())
        except webhooks.UnknownEndpoint:
            return False
        return True


# --- made and changed ------------------------------------------------------------------------------------------------


def test_a_new_endpoint_shows_its_address_once(org: Org, client_of: Client) -> None:
    assert "New Qontak webhook" in text(client_of.get("/sources/webhooks/new"))
    form = {
        "org": org.external_id,
        "organization_id": "0f3f",
        "allowed_addresses": "203.0.113.0/24\n198.51.100.7, 2001:db8::/32",
    }
    answer = client_of.post("/sources/webhooks/new", form)
    segment = address_in(answer)
    assert opens(segment)
    assert answer["Cache-Control"] == "no-store"
    with scopes_disabled():
        made = WebhookEndpoint.objects.get()
    assert (made.org, made.kind, made.organization_id) == (org, "qontak", "0f3f")
    assert made.allowed_addresses == ["203.0.113.0/24", "198.51.100.7", "2001:db8::/32"]
    token = segment.partition(".")[2]
    for path in (page_of(made), "/sources"):
        assert token not in client_of.get(path).content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"allowed_addresses": "somewhere"},
        {"allowed_addresses": "203.0.113.0/99"},
        {"allowed_addresses": "\n".join(["203.0.113.7"] * 101)},
        {"organization_id": "x" * 201},
        {"organization_id": "a\x01b"},
        {"org": "nowhere"},
        {"org": ""},
    ],
)
def test_a_wrong_form_is_shown_again_and_makes_nothing(org: Org, client_of: Client, wrong: dict[str, str]) -> None:
    answer = client_of.post("/sources/webhooks/new", {"org": org.external_id, **wrong})
    assert answer.status_code == 422
    assert "lm-err" in answer.content.decode()
    with scopes_disabled():
        assert not WebhookEndpoint.objects.exists()


def test_an_endpoint_for_an_org_one_does_not_lead_is_none(org: Org, lead: User, client_of: Client) -> None:
    backed_up = OrgFactory()
    AssignmentFactory(org=backed_up, user=lead)
    assert client_of.post("/sources/webhooks/new", {"org": backed_up.external_id}).status_code == 422
    assert backed_up.name not in client_of.get("/sources/webhooks/new").content.decode().partition("<main")[2]
    specialist = signed_in(UserFactory(is_specialist=True))
    assert specialist.post("/sources/webhooks/new", {"org": backed_up.external_id}).status_code == 200


def test_rotation_shows_a_new_address_and_the_old_one_works_on(org: Org, client_of: Client, clock: Any) -> None:
    with scopes_disabled():
        endpoint, url = webhooks.create(org, "qontak")
    before = url.rpartition("/")[2]
    assert client_of.get(page_of(endpoint, "rotate")).status_code == 405
    answer = client_of.post(page_of(endpoint, "rotate"))
    after = address_in(answer)
    assert "for 24 h" in text(answer)
    assert opens(before) and opens(after) and before != after
    assert "the previous address works until" in text(client_of.get(page_of(endpoint)))
    clock.advance(hours=25)
    assert opens(after) and not opens(before)


def test_the_addresses_before_can_be_ended_at_once(org: Org, client_of: Client) -> None:
    with scopes_disabled():
        endpoint, url = webhooks.create(org, "qontak")
    assert "End old addresses now" not in text(client_of.get(page_of(endpoint)))
    before, after = url.rpartition("/")[2], address_in(client_of.post(page_of(endpoint, "rotate")))
    assert "End old addresses now" in text(client_of.get(page_of(endpoint)))
    assert client_of.post(page_of(endpoint, "end-overlap")).status_code == 302
    assert opens(after) and not opens(before)


def test_what_loses_deliveries_is_asked_once_more_and_what_makes_an_address_is_sent_once(
    client_of: Client, endpoint: WebhookEndpoint
) -> None:
    """Mutation: one slip of a finger switches a source off; a double click makes two addresses, one of them unseen."""
    client_of.post(page_of(endpoint, "rotate"))
    page = client_of.get(page_of(endpoint)).content.decode()
    for verb in ("switch", "end-overlap"):
        form = page.index(f'action="{page_of(endpoint, verb)}"')
        assert "lm-menu-head" in page[form : page.index("</form>", form)], "it says what is lost"
    assert re.search(rf'action="{page_of(endpoint, "rotate")}" data-once', page)
    assert 'method="post" data-once>' in client_of.get("/sources/webhooks/new").content.decode()
    client_of.post(page_of(endpoint, "switch"), {"active": "0"})
    off = client_of.get(page_of(endpoint)).content.decode()
    assert 'value="1" class="btn btn-primary"' in off, "to switch it on loses nothing"


def test_settings_are_saved_or_refused(client_of: Client, endpoint: WebhookEndpoint) -> None:
    path = page_of(endpoint, "settings")
    saved = client_of.post(path, {"organization_id": "0f3f", "allowed_addresses": "203.0.113.0/24"})
    assert (saved.status_code, saved.url) == (302, page_of(endpoint))
    endpoint.refresh_from_db()
    assert (endpoint.organization_id, endpoint.allowed_addresses) == ("0f3f", ["203.0.113.0/24"])
    refused = client_of.post(path, {"allowed_addresses": "203.0.113"})
    assert refused.status_code == 422
    assert "203.0.113 is not an address or a network" in text(refused)
    endpoint.refresh_from_db()
    assert endpoint.allowed_addresses == ["203.0.113.0/24"]
    client_of.post(path, {})
    endpoint.refresh_from_db()
    assert (endpoint.organization_id, endpoint.allowed_addresses) == ("", [])


def test_it_is_switched_off_and_on(org: Org, client_of: Client) -> None:
    with scopes_disabled():
        endpoint, url = webhooks.create(org, "qontak")
    segment = url.rpartition("/")[2]
    client_of.post(page_of(endpoint, "switch"), {"active": "0"})
    assert not opens(segment)
    assert "Switched off" in text(client_of.get("/sources"))
    client_of.post(page_of(endpoint, "switch"), {"active": "1"})
    assert opens(segment)


def test_supervisors_and_foreign_leads_may_nothing(org: Org, endpoint: WebhookEndpoint) -> None:
    supervisor, elsewhere = supervisor_of(org), supervisor_of(OrgFactory())
    with scopes_disabled():
        MembershipFactory(org=elsewhere.assignments.get().org, user=elsewhere, role="lead")
    for user, status in ((supervisor, 403), (elsewhere, 404)):
        client = signed_in(user)
        answers = [client.get(page_of(endpoint))]
        verbs = ("rotate", "end-overlap", "settings", "switch", "again")
        answers += [client.post(page_of(endpoint, what)) for what in verbs]
        assert [answer.status_code for answer in answers] == [status] * 6
    assert signed_in(elsewhere).get("/sources/webhooks/a%01b").status_code == 404


# --- deliveries ------------------------------------------------------------------------------------------------------


def fact(kind: str, **more: str) -> dict[str, str]:
    return {"kind": kind, "room_id": ROOM, "at": "2026-11-20T02:10:00Z", "status": "created", **more}


def delivered(endpoint: WebhookEndpoint, *understood: dict[str, str], **fields: Any) -> None:
    WebhookDeliveryFactory(endpoint=endpoint, understood=list(understood), **fields)


@pytest.mark.parametrize(
    ("understood", "fields", "said"),
    [
        ([fact("customer_message")], {}, "Customer message in room b7a2b7de…"),
        ([fact("bot_message")], {}, "Bot message in room b7a2b7de…"),
        ([fact("human_message", actor="8812")], {}, "Human message in room b7a2b7de…, by Sinta"),
        ([fact("human_message", actor="99")], {}, "Human message in room b7a2b7de…, by a human agent (99)"),
        ([fact("assigned")], {}, "Room b7a2b7de… assigned to a human agent"),
        ([fact("resolved", actor="8812")], {}, "Room b7a2b7de… resolved by Sinta"),
        ([fact("resolved")], {}, "Room b7a2b7de… resolved"),
        (
            [{"status": "sent"}, fact("bot_message", status="duplicate")],
            {"outcome": "repeated"},
            "Bot message in room b7a2b7de…, now with status sent",
        ),
        ([], {"outcome": "not_understood", "reason": "no_room", "field": "room_id"}, "No room room_id"),
        ([], {"outcome": "refused", "reason": "address"}, "From an address that is not allowed"),
        ([], {"outcome": "not_understood", "reason": "brand_new"}, "brand_new"),
        ([], {"outcome": ""}, "Stored, not processed yet"),
        ([{"status": "sent"}], {}, "It changes no room"),
        ([fact("surprise")], {}, "surprise"),
    ],
)
def test_a_delivery_in_words(
    org: Org, client_of: Client, endpoint: WebhookEndpoint, understood: Any, fields: dict[str, str], said: str
) -> None:
    AssignmentFactory(org=org, user__name="Sinta", external_user_id="8812")
    AssignmentFactory(user__name="Foreign", external_user_id="99")
    delivered(endpoint, *understood, **fields)
    assert said in text(client_of.get(page_of(endpoint)))


def test_what_we_failed_on_can_be_worked_again(client_of: Client, endpoint: WebhookEndpoint) -> None:
    delivered(endpoint, outcome="not_understood", reason="no_id")
    assert "/again" not in client_of.get(page_of(endpoint)).content.decode()
    for room in ("r1", "r2"):
        kept = {"kind": "customer_message", "activity_id": f"message:{room}", "room_id": room}
        facts = [kept | {"at": clock.now().isoformat()}]
        delivered(endpoint, outcome="not_understood", reason="internal_error", facts=facts)
    assert "Work 2 deliveries again" in text(client_of.get(page_of(endpoint)))
    assert client_of.get(page_of(endpoint, "again")).status_code == 405
    assert "2 deliveries are in line again." in text(client_of.post(page_of(endpoint, "again"), follow=True))
    with scopes_disabled():
        assert inbox.work() == 2
        assert RoomActivity.objects.count() == 2
    assert "are in line again" in text(client_of.post(page_of(endpoint, "again"), follow=True))


def test_what_a_sender_chose_is_no_markup(client_of: Client, endpoint: WebhookEndpoint) -> None:
    evil = "<script>alert(1)</script>"
    delivered(endpoint, fact("human_message", room_id=evil, actor=evil), sample={evil: evil}, field=evil)
    delivered(endpoint, outcome="not_understood", reason=evil[:32])
    assert evil not in client_of.get(page_of(endpoint)).content.decode()
    assert evil[:32] not in client_of.get("/sources").content.decode()


def test_newest_first_fifty_and_by_outcome(client_of: Client, endpoint: WebhookEndpoint) -> None:
    delivered(endpoint, outcome="not_understood", reason="no_id", id=UUID(int=0))
    for n in range(55):
        delivered(endpoint, fact("bot_message", room_id=f"room-{n}"), id=UUID(int=n + 1))
    page = client_of.get(page_of(endpoint)).content.decode()
    rooms = re.findall(r">room-(\d+)<", page)
    assert rooms == [str(n) for n in range(54, 4, -1)]
    odd = text(client_of.get(page_of(endpoint) + "?outcome=not_understood"))
    assert "No id of the message" in odd and "Bot message" not in odd
    assert "No delivery has this outcome" in text(client_of.get(page_of(endpoint) + "?outcome=refused"))
    assert "Bot message" in text(client_of.get(page_of(endpoint) + "?outcome=nonsense"))


def test_an_endpoint_that_heard_nothing_says_how_to_point_qontak_at_it(
    client_of: Client, endpoint: WebhookEndpoint
) -> None:
    page = text(client_of.get(page_of(endpoint)))
    assert "Nothing came yet" in page and "Point Qontak at the address" in page
