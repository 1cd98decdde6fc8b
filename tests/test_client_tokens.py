"""Client tokens: one org, scope ingest, minutes; they end with their key, and open nothing else."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core import signing
from django.test import Client

from console.http.callers import known_caller
from console.ingest import memory
from orgs import client_tokens
from orgs.models import ApiKey, Org
from tests.api_client import post, signed_in, supervisor_of
from tests.conftest import Clock
from tests.factories import OrgFactory, SourceFactory
from tests.ingest_server import (
    ACTIVITY,
    EVENTS,
    RECEIPTS,
    REVIEWS,
    RUNS,
    Answer,
    Sender,
    activity,
    event,
    events,
    make_key,
    run,
)

TOKENS = "/api/client-tokens"


@pytest.fixture
def forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lane asks the database each time, as it does 5 s later."""
    monkeypatch.setattr(memory, "CACHED_SECONDS", 0.0)


def ask(sender: Sender, **body: Any) -> Answer:
    return sender.post(body, TOKENS)


def token_of(sender: Sender, **body: Any) -> str:
    answer = ask(sender, **body)
    assert answer.status == 201, answer.body
    return str(answer.json["token"])


def with_token(sender: Sender, token: str, content: Any = None, path: str = EVENTS) -> Answer:
    return sender.post(event() if content is None else content, path, Authorization=f"Bearer {token}")


# --- made ------------------------------------------------------------------------------------------------------------


def test_a_token_writes_for_its_org_and_ends(sender: Sender) -> None:
    answer = ask(sender)
    expires = datetime.fromisoformat(answer.json["expires_at"])
    assert abs(expires - datetime.now(UTC) - timedelta(minutes=15)) < timedelta(seconds=30)
    assert (set(answer.json), answer.headers["cache-control"]) == ({"token", "expires_at"}, "no-store")
    assert with_token(sender, answer.json["token"]).status == 201
    assert with_token(sender, answer.json["token"], activity(), ACTIVITY).status == 201
    made = run()
    review = {"run_id": made["run_id"], "quality_score": 4, "reviewer": "rina"}
    assert with_token(sender, answer.json["token"], made, RUNS).status == 201
    assert with_token(sender, answer.json["token"], review, REVIEWS).status == 201
    assert [stored.org_id for stored in events()] == [sender.source.org_id]


def test_no_row_is_kept_of_a_token(sender: Sender) -> None:
    token_of(sender)
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("ttl", [0, -1, 3601, "60", 1.5, True, 10**30])
def test_a_time_to_live_out_of_bounds_is_refused(sender: Sender, ttl: Any) -> None:
    answer = ask(sender, ttl_seconds=ttl)
    assert (answer.status, answer.error["code"], answer.error["field"]) == (422, "invalid_field", "ttl_seconds")


@pytest.mark.parametrize("ttl", [1, 3600])
def test_a_time_to_live_within_bounds_is_taken(sender: Sender, ttl: int) -> None:
    expires = datetime.fromisoformat(ask(sender, ttl_seconds=ttl).json["expires_at"])
    assert abs((expires - datetime.now(UTC)).total_seconds() - ttl) < 30


def test_it_does_not_outlive_its_key(sender: Sender) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=60)
    ApiKey.objects.update(expiry_date=ends)
    assert datetime.fromisoformat(ask(sender).json["expires_at"]) <= ends


def test_an_unknown_field_is_refused_by_name(sender: Sender) -> None:
    assert ask(sender, scopes=["act"]).error["field"] == "scopes"


def test_a_platform_key_names_the_org(platform: Sender) -> None:
    answer = ask(platform)
    assert (answer.status, answer.error["code"], answer.error["field"]) == (422, "missing_field", "org_id")
    org = OrgFactory()
    assert with_token(platform, token_of(platform, org_id=org.external_id)).status == 201
    assert [stored.org_id for stored in events()] == [org.pk]


def test_the_token_of_a_platform_key_writes_for_its_one_org(platform: Sender) -> None:
    ours, theirs = OrgFactory(), OrgFactory()
    token = token_of(platform, org_id=ours.external_id)
    named = [event(org_id=org) for org in (ours.external_id, theirs.external_id, "no-such-org")]
    for item in named:
        item["event_id"] = "e-1"
    own, foreign, unknown = (with_token(platform, token, item) for item in named)
    assert (own.status, foreign.status, foreign.error["code"]) == (201, 422, "unknown_org")
    assert foreign.body == unknown.body


def test_an_org_key_makes_none_for_another_org(sender: Sender) -> None:
    foreign, unknown = ask(sender, org_id=OrgFactory().external_id), ask(sender, org_id="no-such-org")
    assert foreign.status == 404
    assert foreign.body == unknown.body
    assert ask(sender, org_id=sender.source.org.external_id).status == 201


@pytest.mark.parametrize("scopes", [("read",), ("act",), ("read", "act")])
def test_a_key_without_ingest_makes_none(sender: Sender, scopes: tuple[str, ...]) -> None:
    ApiKey.objects.update(scopes=list(scopes))
    assert (ask(sender).status, ask(sender).error["code"]) == (403, "missing_scope")


@pytest.mark.django_db
def test_a_person_makes_none_and_a_stranger_is_unknown(org: Org) -> None:
    assert post(signed_in(supervisor_of(org)), TOKENS).status_code == 403
    assert post(Client(), TOKENS).status_code == 401


# --- ended -----------------------------------------------------------------------------------------------------------


def test_a_token_that_is_over_is_401(sender: Sender, forgets: None, clock: Clock) -> None:
    token = token_of(sender, ttl_seconds=60)
    clock.advance(seconds=58)
    assert with_token(sender, token).status == 201
    clock.advance(seconds=3)
    assert with_token(sender, token).status == 401


@pytest.mark.parametrize(
    "change", [{"revoked": True}, {"expiry_date": datetime(2020, 1, 1, tzinfo=UTC)}, {"scopes": ["read"]}]
)
def test_a_token_ends_with_its_key(sender: Sender, forgets: None, change: dict[str, Any]) -> None:
    token = token_of(sender)
    assert with_token(sender, token).status == 201
    ApiKey.objects.update(**change)
    assert with_token(sender, token).status == 401


def test_a_token_is_remembered_no_longer_than_a_key(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(memory.time, "monotonic", lambda: now[0])
    token = token_of(sender)
    assert with_token(sender, token).status == 201
    ApiKey.objects.update(revoked=True)
    now[0] = 104.9
    assert with_token(sender, token).status == 201
    now[0] = 105.1
    assert with_token(sender, token).status == 401


def tampered(token: str) -> Iterator[str]:
    marked, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    later = base64.urlsafe_b64encode(json.dumps(claims | {"until": 2**33}).encode()).decode().rstrip("=")
    yield f"{marked}.{later}.{signature}"
    yield f"{marked}.{payload}.{signature[:-2]}xx"
    yield f"{marked}.{payload}"
    yield f"{marked}."
    yield f"{marked}.{payload}.{signature}.{signature}"
    yield marked + "." + signing.Signer(sep=".", salt="another").sign_object(claims)


def test_a_tampered_token_gets_the_bytes_of_an_unknown_key(sender: Sender) -> None:
    unknown = with_token(sender, "unknown1.secret")
    answers = [with_token(sender, token) for token in tampered(token_of(sender))]
    assert {answer.status for answer in answers} == {401}
    assert {answer.body for answer in answers} == {unknown.body}


@pytest.mark.parametrize(
    "claims", [{}, [], {"key": "x", "org": 1, "until": "soon"}, {"key": 1, "org": [], "until": 9e99}]
)
def test_a_signed_token_of_another_make_is_401(sender: Sender, claims: Any) -> None:
    assert with_token(sender, client_tokens.MARKED + client_tokens._signer.sign_object(claims)).status == 401


def test_a_token_of_another_org_than_its_source_is_401(sender: Sender) -> None:
    claims = {"key": sender.row.prefix, "org": OrgFactory().pk, "until": 2**33}
    assert with_token(sender, client_tokens.MARKED + client_tokens._signer.sign_object(claims)).status == 401


# --- and nothing else ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/alerts"),
        ("GET", "/api/orgs"),
        ("GET", "/api/sources"),
        ("POST", TOKENS),
        ("PUT", "/api/assignments"),
        ("POST", "/api/pushes/0f7c6a51-6a0e-5d54-9a8f-1f0f5f3c9f11/replay"),
        ("GET", "/api/schema"),
        ("POST", RECEIPTS),
    ],
)
def test_a_token_opens_nothing_else(sender: Sender, method: str, path: str) -> None:
    ApiKey.objects.update(scopes=["ingest", "read", "act"])
    token = token_of(sender)
    answer = sender.send(path, b"[]", method=method, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.error["code"]) == (403, "missing_scope")


def test_a_token_that_is_over_is_401_elsewhere_too(sender: Sender, clock: Clock) -> None:
    token = token_of(sender, ttl_seconds=1)
    clock.advance(seconds=2)
    assert sender.send("/api/alerts", b"", method="GET", headers={"Authorization": f"Bearer {token}"}).status == 401


def test_a_page_and_a_long_body_know_no_token(sender: Sender) -> None:
    token = token_of(sender)
    page = sender.send("/", b"", method="GET", headers={"Authorization": f"Bearer {token}"})
    assert (page.status, page.headers["location"]) == (302, "/accounts/login/?next=/")
    assert known_caller([(b"authorization", f"Bearer {token}".encode())]) is None


def test_a_socket_knows_no_token(sender: Sender) -> None:
    upgrade = {
        "Authorization": f"Bearer {token_of(sender)}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Origin": settings.BASE_URL,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
    }
    assert sender.send("/ws/feed?lang=en", b"", method="GET", headers={**upgrade, "Content-Type": None}).status == 403


def test_a_page_takes_nothing_of_what_the_back_end_may_send(sender: Sender) -> None:
    _, key = make_key(SourceFactory(), rate_per_minute=1)
    made = sender.post({}, TOKENS, Authorization=f"Bearer {key}").json["token"]
    assert [with_token(sender, made).status for _ in range(2)] == [201, 429]
    assert sender.post(event(), Authorization=f"Bearer {key}").status == 201
