"""POST /api/alerts/{id}/{verb}: what each act does, who may, and every wrong way to ask."""

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django_scopes import scopes_disabled
from rest_framework.request import Request

from alerts.api.acts import ACTS
from alerts.models import Alert, Transition
from orgs.incoming import Field, read_body
from orgs.models import Org, User
from tests.api_client import post, signed_in, supervisor_of, with_key
from tests.factories import AlertFactory, OrgFactory, UserFactory

BODIES: dict[str, dict[str, str]] = {
    "snooze": {"until": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
    "verdict": {"verdict": "false_alarm", "note": "The customer was joking."},
}


@pytest.fixture
def rina(org: Org) -> User:
    return supervisor_of(org, name="Rina")


@pytest.fixture
def client_of(rina: User) -> Client:
    return signed_in(rina)


@pytest.fixture
def alert(org: Org) -> Alert:
    return AlertFactory(org=org)


def act(client: Client, alert: Alert, verb: str, body: Any = None) -> Any:
    return post(client, f"/api/alerts/{alert.pk}/{verb}", body)


def last_transition(alert: Alert) -> Transition:
    with scopes_disabled():
        found = Transition.objects.filter(alert=alert).order_by("id").last()
    assert found is not None
    return found


# --- what they do ----------------------------------------------------------------------------------------------------


def test_take_is_acknowledge_and_mine(client_of: Client, alert: Alert, rina: User) -> None:
    me = {"sso_id": rina.sso_id, "name": "Rina", "kind": "human"}
    answer = act(client_of, alert, "take")
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["state"], shown["acknowledged_by"], shown["assigned_to"]) == ("acknowledged", me, me)
    assert shown["version"] == 2
    assert shown["intervened_by"] is None
    assert shown["time_to_intervene_seconds"] is None


def test_the_whole_round(client_of: Client, alert: Alert, rina: User, org: Org) -> None:
    dewi = supervisor_of(org)
    until = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    assert act(client_of, alert, "acknowledge").json()["assigned_to"] is None
    assert act(client_of, alert, "snooze", {"until": until.isoformat()}).json()["snoozed_until"] == (
        until.isoformat(timespec="microseconds").replace("+00:00", "Z")
    )
    assert act(client_of, alert, "assign", {"sso_id": dewi.sso_id}).json()["assigned_to"]["sso_id"] == dewi.sso_id
    released = act(client_of, alert, "release").json()
    assert (released["state"], released["assigned_to"]) == ("open", None)
    resolved = act(client_of, alert, "resolve").json()
    assert (resolved["state"], resolved["resolved_by"]["sso_id"]) == ("resolved", rina.sso_id)
    assert act(client_of, alert, "verdict", BODIES["verdict"]).json()["verdict"] == "false_alarm"
    assert act(client_of, alert, "reopen").json()["state"] == "open"
    changes = [row["change"] for row in client_of.get(f"/api/alerts/{alert.pk}").json()["transitions"]]
    assert changes == ["acknowledged", "snoozed", "assigned", "released", "resolved", "verdict", "reopened"]


def test_the_second_gets_409_and_the_fresh_alert(client_of: Client, alert: Alert, rina: User, org: Org) -> None:
    act(client_of, alert, "take")
    answer = act(signed_in(supervisor_of(org)), alert, "take")
    assert answer.status_code == 409
    assert list(answer.json()) == ["error", "alert"]
    assert answer.json()["error"]["code"] == "already_taken"
    assert answer.json()["alert"] == act(client_of, alert, "take").json()


@pytest.mark.parametrize(
    ("verb", "state", "code"),
    [
        ("resolve", "resolved", "already_resolved"),
        ("take", "resolved", "already_resolved"),
        ("reopen", "open", "not_resolved"),
    ],
)
def test_what_is_past_is_409(client_of: Client, org: Org, verb: str, state: str, code: str) -> None:
    alert = AlertFactory(org=org, state=state, resolved_at=datetime.now(UTC) if state == "resolved" else None)
    answer = act(client_of, alert, verb)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, code)


def test_reopen_beside_an_open_alert_gives_that_one(client_of: Client, alert: Alert) -> None:
    old = AlertFactory(org=alert.org, room=alert.room, state="resolved", resolved_at=datetime.now(UTC))
    answer = act(client_of, old, "reopen")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "other_open")
    assert answer.json()["alert"]["id"] == str(alert.pk)


# --- who acts --------------------------------------------------------------------------------------------------------


def test_a_key_names_the_human(alert: Alert, rina: User, org: Org) -> None:
    answer = act(with_key(org), alert, "take", {"sso_id": rina.sso_id})
    assert (answer.status_code, answer.json()["assigned_to"]["sso_id"]) == (200, rina.sso_id)
    assert last_transition(alert).actor == rina


@pytest.mark.parametrize("verb", [verb for verb in ACTS if verb != "assign"])
def test_a_key_without_a_human_is_refused(alert: Alert, org: Org, verb: str) -> None:
    answer = act(with_key(org), alert, verb, BODIES.get(verb))
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "sso_id")


def test_a_key_names_only_who_may_see_the_org(alert: Alert, org: Org) -> None:
    people = [
        supervisor_of(OrgFactory()).sso_id,
        supervisor_of(org, is_active=False).sso_id,
        UserFactory().sso_id,
        "no one",
    ]
    answers = [act(with_key(None), alert, verb, {"sso_id": name}) for verb in ("take", "assign") for name in people]
    assert {answer.status_code for answer in answers} == {422}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["error"]["field"] == "sso_id"


def test_a_key_assigns_without_an_actor(alert: Alert, rina: User, org: Org) -> None:
    answer = act(with_key(org), alert, "assign", {"sso_id": rina.sso_id})
    assert answer.json()["assigned_to"]["sso_id"] == rina.sso_id
    assert last_transition(alert).actor is None


def test_a_session_acts_as_itself(client_of: Client, alert: Alert, rina: User, org: Org) -> None:
    answer = act(client_of, alert, "take", {"sso_id": supervisor_of(org).sso_id})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "sso_id")
    assert act(client_of, alert, "take", {"sso_id": rina.sso_id}).status_code == 200


def test_a_session_needs_its_csrf_token(alert: Alert, rina: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(rina)
    answer = act(client, alert, "take")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("verb", ACTS)
def test_somebody_elses_alert_is_404_whatever_is_asked(client_of: Client, db: None, verb: str) -> None:
    foreign = AlertFactory()
    answers = [
        post(client_of, f"/api/alerts/{name}/{verb}", body)
        for name in (foreign.pk, uuid4(), "nothing")
        for body in (BODIES.get(verb), {"nonsense": 1}, [])
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


# --- asked wrongly ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "body", "code", "field"),
    [
        ("take", {"who": "me"}, "unknown_field", "who"),
        ("take", {"sso_id": 7}, "invalid_field", "sso_id"),
        ("take", [], "invalid_body", None),
        ("snooze", {}, "missing_field", "until"),
        ("snooze", {"until": None}, "missing_field", "until"),
        ("snooze", {"until": "soon"}, "invalid_field", "until"),
        ("snooze", {"until": "2026-05-04T10:00:00"}, "invalid_field", "until"),
        ("snooze", {"until": "2001-01-01T00:00:00Z"}, "invalid_field", "until"),
        ("snooze", {"until": "9999-12-31T23:59:59-14:00"}, "invalid_field", "until"),
        ("assign", {}, "missing_field", "sso_id"),
        ("assign", {"sso_id": "no one"}, "unknown_person", "sso_id"),
        ("verdict", {}, "missing_field", "verdict"),
        ("verdict", {"verdict": "maybe"}, "invalid_field", "verdict"),
        ("verdict", {"verdict": "confirmed", "note": "x" * 2001}, "too_long", "note"),
        ("verdict", {"verdict": "confirmed", "note": "\x00"}, "bad_text", "note"),
        ("verdict", {"verdict": "confirmed", "note": "\ud800"}, "bad_text", "note"),
    ],
)
def test_a_wrong_body_is_422_and_names_the_field(
    client_of: Client, alert: Alert, verb: str, body: Any, code: str, field: str | None
) -> None:
    answer = act(client_of, alert, verb, body)
    assert answer.status_code == 422
    assert (answer.json()["error"]["code"], answer.json()["error"].get("field")) == (code, field)
    with scopes_disabled():
        assert Alert.objects.get().version == 1


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "not_json"),
        (b"\xff", "application/json", 400, "not_json"),
        (b'{"sso_id": NaN}', "application/json", 400, "not_json"),
        (b'{"sso_id": ' + b"1" * 4301 + b"}", "application/json", 400, "not_json"),
        (b'{"sso_id": "a", "sso_id": "b"}', "application/json", 400, "duplicate_key"),
        (b"[" * 1000 + b"]" * 1000, "application/json", 400, "too_deep"),
        (b'{"sso_id": "' + b"x" * 70_000 + b'"}', "application/json", 413, "too_large"),
        (b"{}", "text/plain", 415, "unsupported_type"),
        (b"{}", "application/json; charset=utf-16", 415, "unsupported_type"),
        (b"sso_id=a", "application/x-www-form-urlencoded", 415, "unsupported_type"),
    ],
)
def test_a_body_that_cannot_be_read(
    org: Org, alert: Alert, content: bytes, content_type: str, status: int, code: str
) -> None:
    answer = with_key(org).post(f"/api/alerts/{alert.pk}/take", content, content_type=content_type)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_form_is_415(client_of: Client, alert: Alert) -> None:
    answer = client_of.post(f"/api/alerts/{alert.pk}/take", {"sso_id": "a"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_type")


def test_brackets_in_a_note_are_no_nesting(client_of: Client, alert: Alert) -> None:
    assert act(client_of, alert, "verdict", {"verdict": "confirmed", "note": '[\\"[' * 40}).status_code == 200


def test_no_body_will_do_where_nothing_is_needed(client_of: Client, alert: Alert) -> None:
    assert client_of.generic("POST", f"/api/alerts/{alert.pk}/take").status_code == 200


@pytest.mark.parametrize("verb", ACTS)
def test_nothing_changes_by_get(client_of: Client, alert: Alert, verb: str) -> None:
    answer = client_of.get(f"/api/alerts/{alert.pk}/{verb}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


def test_an_unknown_verb_is_404(client_of: Client, alert: Alert) -> None:
    assert act(client_of, alert, "escalate").status_code == 404


def test_a_body_sent_in_chunks_is_read(org: Org, alert: Alert, rina: User, rf: Any) -> None:
    """No Content-Length: what a client that streams sends."""
    request = rf.post("/", b"", content_type="application/json")
    request.META.pop("CONTENT_LENGTH", None)
    request.META["CONTENT_TYPE"] = "application/json"
    request._stream = BytesIO(json.dumps({"sso_id": rina.sso_id}).encode())
    assert read_body(Request(request), {"sso_id": Field()}) == {"sso_id": rina.sso_id}
