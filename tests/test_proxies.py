"""Who is taken for the client, and what is believed of the scheme, with and without proxies in front."""

import asyncio
from ipaddress import ip_network
from typing import Any

import pytest

from console.http import asgi
from console.http.proxies import behind_proxies

PROXY, CLIENT, FORGED = "10.0.0.2", "203.0.113.9", "198.51.100.66"
KINDS = ("http", "websocket")


@pytest.fixture
def hops(settings: Any) -> Any:
    """`hops(n)`: that many proxies, which connect from 10/8."""

    def trusted(number: int) -> None:
        settings.TRUSTED_PROXIES = number
        settings.FORWARDED_ALLOW_IPS = [ip_network("10.0.0.0/8")]

    return trusted


def seen(peer: str | None, *forwarded: str, proto: str = "", kind: str = "http") -> tuple[str, str]:
    """Client and scheme as the app behind sees them; each of `forwarded` is one X-Forwarded-For header."""
    found: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    headers += [(b"x-forwarded-proto", proto.encode())] if proto else []
    scheme = {"http": "http", "websocket": "ws"}[kind]
    client = (peer, 50000) if peer else None
    scope = {"type": kind, "client": client, "scheme": scheme, "headers": headers}
    asyncio.run(behind_proxies(app)(scope, None, None))
    return (found["client"] or ("none",))[0], found["scheme"]


@pytest.mark.parametrize(
    ("kind", "path", "part"),
    [
        ("http", "/", "pages"),
        ("http", "/api/failure-events", "lane"),
        ("websocket", "/ws/feed", "websocket_application"),
    ],
)
def test_everything_behind_the_server_is_told(
    hops: Any, monkeypatch: pytest.MonkeyPatch, kind: str, path: str, part: str
) -> None:
    hops(1)
    found: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope["client"][0])

    monkeypatch.setattr(asgi, part, (lambda: app) if part == "lane" else app)
    headers = [(b"x-forwarded-for", f"{FORGED}, {CLIENT}".encode())]
    scope = {"type": kind, "path": path, "client": (PROXY, 1), "scheme": "http", "headers": headers}
    asyncio.run(asgi.application(scope, None, None))  # type: ignore[arg-type]
    assert found == [CLIENT]


def test_without_a_proxy_nothing_is_believed(hops: Any) -> None:
    hops(0)
    assert seen(CLIENT, FORGED, proto="https") == (CLIENT, "http")
    assert seen(PROXY, FORGED, proto="https") == (PROXY, "http")


def test_whoever_goes_round_the_proxy_is_not_believed(hops: Any) -> None:
    hops(1)
    assert seen(CLIENT, FORGED, proto="https") == (CLIENT, "http")
    assert seen(None, FORGED, proto="https") == ("none", "http")


@pytest.mark.parametrize("kind", KINDS)
def test_the_client_is_counted_from_the_right(hops: Any, kind: str) -> None:
    hops(1)
    secure = {"http": "https", "websocket": "wss"}[kind]
    assert seen(PROXY, f"{FORGED}, {CLIENT}", proto="https", kind=kind) == (CLIENT, secure)
    hops(2)
    assert seen(PROXY, f"{FORGED}, {CLIENT}, 10.0.0.3", proto="https", kind=kind) == (CLIENT, secure)


def test_several_headers_are_one_list(hops: Any) -> None:
    hops(2)
    assert seen(PROXY, FORGED, CLIENT, "10.0.0.3")[0] == CLIENT


def test_a_request_that_came_in_at_the_inner_proxy(hops: Any) -> None:
    hops(2)
    assert seen(PROXY, CLIENT)[0] == CLIENT
    assert seen(PROXY)[0] == PROXY


@pytest.mark.parametrize(
    ("entry", "client"),
    [
        ("203.0.113.9:4711", CLIENT),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("::ffff:203.0.113.9", CLIENT),
        ("unknown", PROXY),
        ("", PROXY),
        ("203.0.113.9\x00", PROXY),
    ],
)
def test_an_entry_is_an_address_or_it_is_nothing(hops: Any, entry: str, client: str) -> None:
    hops(1)
    assert seen(PROXY, entry)[0] == client


def test_the_proxy_says_by_what_scheme(hops: Any) -> None:
    hops(1)
    assert seen(PROXY, CLIENT, proto="http, https") == (CLIENT, "https")
    assert seen(PROXY, CLIENT, proto="https, http") == (CLIENT, "http")
    assert seen(PROXY, CLIENT) == (CLIENT, "http")


def test_a_proxy_that_listens_as_ipv6_is_the_same_one(hops: Any) -> None:
    hops(1)
    assert seen(f"::ffff:{PROXY}", CLIENT)[0] == CLIENT


def test_the_default_trusts_no_one_far_away(settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    assert seen("192.168.3.4", CLIENT)[0] == CLIENT
    assert seen("8.8.8.8", CLIENT)[0] == "8.8.8.8"
    assert not any(network.prefixlen == 0 for network in settings.FORWARDED_ALLOW_IPS)
