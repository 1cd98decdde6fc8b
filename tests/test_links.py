"""Where a supervisor is sent: only where the org allows. Fault 38."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from alerts.links import is_allowed, room_url
from alerts.models import Room
from orgs.models import Org, check_room_url_template

TEMPLATE = "https://chat.example.com/inbox/{room_id}"


def org(**fields: Any) -> Org:
    return Org(
        **{"external_id": "melati", "room_url_template": TEMPLATE, "allowed_hosts": ["chat.melati.id"], **fields}
    )


def link(url: str = "", room_id: str = "r1", **fields: Any) -> str | None:
    return room_url(org(**fields), Room(room_id=room_id, url=url))


def test_the_events_own_link_is_used_if_its_host_is_allowed() -> None:
    assert link("https://chat.melati.id/rooms/9?tab=1#end") == "https://chat.melati.id/rooms/9?tab=1#end"
    assert link("https://CHAT.melati.id:443/r") == "https://CHAT.melati.id:443/r"


@pytest.mark.parametrize(
    ("listed", "url", "allowed"),
    [
        ("chat.melati.id", "https://chat.melati.id:8443/r", False),
        ("chat.melati.id:8443", "https://chat.melati.id:8443/r", True),
        (" Chat.Melati.id.:8443 ", "https://chat.melati.id:8443/r", True),
        ("chat.melati.id:8443", "https://chat.melati.id/r", False),
        ("chat.melati.id:443", "https://chat.melati.id/r", True),
        ("[2001:db8::7]:8443", "https://[2001:db8::7]:8443/r", True),
        ("chat.melati.id:x", "https://chat.melati.id/r", False),
        ("", "https://chat.melati.id/r", False),
    ],
)
def test_another_port_is_another_place(listed: str, url: str, allowed: bool) -> None:
    assert (link(url, allowed_hosts=[listed]) == url) == allowed


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example",
        "///evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "JaVaScRiPt://chat.melati.id/%0aalert(1)",
        "data:text/html,hi",
        "http://chat.melati.id/r",
        "https://evil.example/r",
        "https://chat.melati.id.evil.example/r",
        "https://evil.example/chat.melati.id",
        "https://chat.melati.id@evil.example/r",
        "https://user:pass@chat.melati.id/r",
        "https://chat.melati.id\\@evil.example/r",
        "https:\\\\evil.example",
        "https://chat.melati.id/\r\nLocation: https://evil.example",
        "https://chat.melati.id/\x00",
        "\thttps://chat.melati.id/",
        " https://chat.melati.id/",
        "https://chat.melati.id:99999/r",
        "https://chat.melati.id:0/r",
        "https://[::1/r",
        "https://ｃhat.melati.id/r",
        "https://",
        "https://chat.melati.id/" + "a" * 2000,
        "ftp://chat.melati.id/r",
    ],
)
def test_any_other_link_of_an_event_falls_back_to_the_template(url: str) -> None:
    assert link(url) == "https://chat.example.com/inbox/r1"


def test_a_room_id_can_add_neither_a_path_nor_a_host() -> None:
    assert link(room_id="../../admin?x=1#y") == "https://chat.example.com/inbox/..%2F..%2Fadmin%3Fx%3D1%23y"
    assert link(room_id="a@evil.example/") == "https://chat.example.com/inbox/a%40evil.example%2F"
    assert link(room_id="é\n") == "https://chat.example.com/inbox/%C3%A9%0A"
    assert link(room_id="..") is None


def test_variables_of_the_template() -> None:
    template = "https://chat.example.com/app/{account_id}/{org_id}/{room_id}"
    assert link(room_url_template=template) == "https://chat.example.com/app/melati/melati/r1"


@pytest.mark.parametrize(
    "template",
    [
        "https://{room_id}/inbox",
        "https://{org_id}.example.com/{room_id}",
        "http://chat.example.com/{room_id}",
        "https://user@chat.example.com/{room_id}",
        "https://chat.example.com/{room_id.__class__}",
        "https://chat.example.com/{unknown}",
        "https://chat.example.com/{",
        "javascript:alert(1)//{room_id}",
    ],
)
def test_a_template_that_is_not_safe_leads_nowhere(template: str) -> None:
    assert link(room_url_template=template) is None


@pytest.mark.parametrize("demo", [False, True])
@pytest.mark.parametrize(
    "template",
    [
        "https://chat.example.com/inbox/{room_id}",
        "https://chat.example.com:8443/app/{account_id}/{org_id}",
        "http://chat.example.com/{room_id}",
        "http://127.0.0.1:8099/rooms/{room_id}",
        "https://user@chat.example.com/{room_id}",
        "https://chat.example.com/my inbox/{room_id}",
        "https://chat.example.com/p\u00e9/{room_id}",
        "https://chat.example.com:0/{room_id}",
        "https:///{room_id}",
        "https://[::1/{room_id}",
    ],
)
def test_a_template_is_taken_only_if_a_browser_may_be_sent_there(settings: Any, template: str, demo: bool) -> None:
    settings.DEMO = demo
    try:
        check_room_url_template(template)
        taken = True
    except ValidationError:
        taken = False
    assert taken == (link(room_url_template=template) is not None)


def test_http_on_loopback_only_in_demo_mode(settings: Any) -> None:
    template = "http://127.0.0.1:8099/rooms/{room_id}"
    settings.DEMO = False
    assert link(room_url_template=template) is None
    settings.DEMO = True
    assert link(room_url_template=template) == "http://127.0.0.1:8099/rooms/r1"
    assert link(room_url_template="http://localhost:1/{room_id}") == "http://localhost:1/r1"
    assert link(room_url_template="http://127.0.0.1.evil.example/{room_id}") is None
    assert link(room_url_template="http://192.168.1.5/{room_id}") is None


@given(st.text(max_size=60))
def test_no_text_leads_to_a_foreign_host(text: str) -> None:
    assert not is_allowed("https://evil.example/" + text, {"chat.melati.id"})
    found = link(room_id=text) if text else None
    assert found is None or found.startswith("https://chat.example.com/inbox/")
