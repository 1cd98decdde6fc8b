"""CORS on the ingest endpoints: which pages may send, and read what they are answered."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from console.ingest import memory, origins
from console.ingest.decode import Refusal
from orgs.models import Source
from orgs.origins import spelled_origin
from tests.factories import SourceFactory
from tests.ingest_server import ACTIVITY, EVENTS, RECEIPTS, REVIEWS, RUNS, Answer, Sender, event, make_key

SHOP = "https://admin.shop.example"
ALLOW = "access-control-allow-origin"


def forget_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "CACHED_SECONDS", 0.0)
    monkeypatch.setattr(origins, "ASKED_AGAIN_SECONDS", 0.0)


@pytest.fixture
def shop(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> Sender:
    """A source that lists one origin; nothing is remembered of the tests before."""
    monkeypatch.setattr(memory, "CACHED_SECONDS", 0.0)
    forget_origins(monkeypatch)
    Source.objects.filter(pk=sender.source.pk).update(allowed_origins=[SHOP])
    return sender


def preflight(sender: Sender, origin: str | None = SHOP, path: str = EVENTS, **headers: str | None) -> Answer:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    sent: dict[str, Any] = {"Authorization": None, "Content-Type": None, "Origin": origin, **asked, **headers}
    return sender.send(path, b"", method="OPTIONS", headers=sent)


@pytest.mark.parametrize("path", [EVENTS, ACTIVITY, RUNS, REVIEWS])
def test_a_preflight_of_a_listed_origin_is_answered(shop: Sender, path: str) -> None:
    answer = preflight(shop, path=path)
    assert (answer.status, answer.body, answer.headers[ALLOW]) == (204, b"", SHOP)
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "Authorization, Content-Type, Content-Encoding"
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "http://admin.shop.example",
        "https://admin.shop.example:8443",
        "https://shop.example",
        "https://admin.shop.example.evil.example",
        "https://ADMIN.shop.example",
        "https://admin.shop.example/",
        "null",
        "*",
        "",
        "https://\xe9.example",
    ],
)
def test_any_other_origin_is_refused_and_can_read_nothing(shop: Sender, origin: str) -> None:
    answer = preflight(shop, origin or "x")
    assert (answer.status, answer.error["code"]) == (403, "origin_not_allowed")
    assert ALLOW not in answer.headers


def test_by_default_no_origin_is_allowed(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_origins(monkeypatch)
    assert preflight(sender).status == 403
    assert ALLOW not in sender.post(event(), Origin=SHOP).headers


@pytest.mark.parametrize("path", [RECEIPTS, "/api/client-tokens", "/api/alerts", "/"])
def test_nothing_else_answers_a_preflight(shop: Sender, path: str) -> None:
    assert ALLOW not in preflight(shop, path=path).headers
    assert ALLOW not in shop.post({}, path, Origin=SHOP).headers


def test_options_that_are_no_preflight_are_405(shop: Sender) -> None:
    answer = preflight(shop, None)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_a_page_can_read_what_became_of_its_items_and_of_its_mistakes(shop: Sender) -> None:
    for body, status in ((event(), 201), (event(signal="bored"), 422), ("no object", 400)):
        answer = shop.post(body, Origin=SHOP)
        assert (answer.status, answer.headers[ALLOW], answer.headers["vary"]) == (status, SHOP, "Origin")
        assert answer.headers["access-control-expose-headers"] == "Retry-After, X-Request-Id"


def test_a_page_can_read_that_its_token_is_over(shop: Sender) -> None:
    answer = shop.post(event(), Origin=SHOP, Authorization="Bearer token.over")
    assert (answer.status, answer.headers[ALLOW]) == (401, SHOP)


def test_a_page_reads_nothing_of_a_source_that_does_not_list_it(shop: Sender) -> None:
    _, key = make_key(SourceFactory(allowed_origins=["https://other.example"]))
    answer = shop.post(event(), Origin=SHOP, Authorization=f"Bearer {key}")
    assert (answer.status, answer.headers["vary"]) == (201, "Origin")
    assert ALLOW not in answer.headers


def test_back_ends_are_told_nothing_of_origins(shop: Sender) -> None:
    assert not {name for name in shop.post(event()).headers if name.startswith("access-control") or name == "vary"}


class Asked:
    """`look_up` that counts, at a time that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *listed: str) -> None:
        self.listed, self.times, self.now = frozenset(listed), 0, 100.0
        monkeypatch.setattr(origins.time, "monotonic", lambda: self.now)

    async def __call__(self) -> frozenset[str]:
        self.times += 1
        return self.listed


async def test_many_preflights_ask_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, SHOP)
    found = origins.Origins(asked)
    assert [await found.allows(origin, None) for origin in (SHOP, "https://other.example", SHOP)] == [True, False, True]
    assert asked.times == 1


async def test_an_origin_is_forgotten_after_5_seconds_and_a_new_one_found_after_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = Asked(monkeypatch, SHOP)
    found = origins.Origins(asked)
    assert await found.lists(SHOP)
    asked.listed = frozenset({"https://new.example"})
    asked.now = 100.9
    assert not await found.lists("https://new.example")
    asked.now = 101.0
    assert await found.lists("https://new.example")
    asked.listed = frozenset()
    asked.now = 105.9
    assert await found.lists("https://new.example")
    asked.now = 106.0
    assert not await found.lists("https://new.example")


async def test_the_database_away_allows_nobody() -> None:
    async def look_up() -> frozenset[str]:
        raise Refusal(503, "unavailable", "")

    assert not await origins.Origins(look_up).allows(SHOP, None)


@pytest.mark.django_db
def test_all_sources_are_read_in_one_query() -> None:
    SourceFactory(allowed_origins=[SHOP, "http://localhost:3000"])
    SourceFactory(allowed_origins=[SHOP])
    SourceFactory()
    with CaptureQueriesContext(connection) as queries:
        assert origins.listed_origins() == {SHOP, "http://localhost:3000"}
    assert len(queries) == 1


# --- how an origin is written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example:443/admin?x#y", "https://shop.example"),
        ("http://localhost:3000/", "http://localhost:3000"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_has_one_spelling(given: str, origin: str) -> None:
    assert spelled_origin(given) == origin


@pytest.mark.parametrize(
    "given",
    [
        "",
        "*",
        "null",
        "shop.example",
        "ftp://shop.example",
        "https://",
        "https://*.shop.example",
        "https://a@b.example",
        "https://bücher.example",
        "https://shop.example:port",
        "https://shop.example:99999",
        "https://a b",
        "https://[::1",
    ],
)
def test_what_is_no_origin_is_refused(given: str) -> None:
    with pytest.raises(ValueError):
        spelled_origin(given)
