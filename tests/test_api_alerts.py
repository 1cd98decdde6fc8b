"""GET /api/alerts and GET /api/alerts/{id}: names, filters, pages, and no query more for twenty rows than for one."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from django_scopes import scopes_disabled

from alerts.models import Alert, FailureEvent, Push, Transition
from orgs.auth import OrgIds, within
from orgs.models import Org
from tests.api_client import signed_in, supervisor_of, with_key
from tests.factories import AgentFactory, AlertFactory, OrgFactory, PushFactory, RoomFactory, SourceFactory, UserFactory

ALERT = [
    "id",
    "org_id",
    "scope",
    "agent_name",
    "agent_version",
    "source_name",
    "room_id",
    "severity",
    "state",
    "signals",
    "event_count",
    "opened_at",
    "last_event_at",
    "customer_waiting_since",
    "acknowledged_by",
    "acknowledged_at",
    "intervened_by",
    "intervened_at",
    "resolved_by",
    "resolved_at",
    "assigned_to",
    "snoozed_until",
    "episode",
    "channel",
    "room_label",
    "time_to_intervene_seconds",
    "verdict",
    "version",
    "url",
]
PUSH = [
    "id",
    "sso_id",
    "tier",
    "occurrence",
    "reason",
    "kind",
    "alert_ids",
    "state",
    "attempts",
    "next_attempt_at",
    "idempotency_key",
    "push",
    "sent_at",
    "delivered_at",
    "opened_at",
]
AT = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)


@pytest.fixture
def client_of(org: Org) -> Client:
    return signed_in(supervisor_of(org))


def ids(answer: Any) -> list[str]:
    return [alert["id"] for alert in answer.json()["results"]]


def test_an_alert_has_the_names_of_the_contract(org: Org, client_of: Client, settings: Any) -> None:
    room = RoomFactory(org=org, room_id="room-1", label="Order 12", channel="whatsapp")
    alert = AlertFactory(org=org, room=room, agent=AgentFactory(org=org, name="Billing Bot"), opened_at=AT)
    found = client_of.get("/api/alerts").json()
    assert list(found) == ["next", "previous", "results"]
    (shown,) = found["results"]
    assert list(shown) == ALERT
    assert shown | {"signals": []} == {
        "id": str(alert.pk),
        "org_id": org.external_id,
        "scope": "room",
        "agent_name": "Billing Bot",
        "agent_version": None,
        "source_name": None,
        "room_id": "room-1",
        "severity": "critical",
        "state": "open",
        "signals": [],
        "event_count": 1,
        "opened_at": "2026-05-04T03:00:00.000000Z",
        "last_event_at": "2026-05-04T03:00:00.000000Z",
        **dict.fromkeys(ALERT[13:22]),
        "episode": 1,
        "channel": "whatsapp",
        "room_label": "Order 12",
        "time_to_intervene_seconds": None,
        "verdict": None,
        "version": 1,
        "url": f"{settings.BASE_URL}/alerts/{alert.pk}",
    }
    assert shown["signals"] == [
        {
            "signal": "unexpected_handoff",
            "count": 1,
            "first_at": "2026-05-04T03:00:00.000000Z",
            "last_at": "2026-05-04T03:00:00.000000Z",
        }
    ]


def test_signals_are_those_of_the_current_episode(org: Org, client_of: Client) -> None:
    at = AT.isoformat()
    entry = {"count": 1, "first_at": at, "last_at": at}
    signals = [entry | {"signal": "message_cap", "episode": 1}, entry | {"signal": "agent_error", "episode": 2}]
    AlertFactory(org=org, episode=2, signals=signals)
    (shown,) = client_of.get("/api/alerts").json()["results"]
    assert [entry["signal"] for entry in shown["signals"]] == ["agent_error"]
    assert ids(client_of.get("/api/alerts?signal=message_cap")) == []
    assert len(ids(client_of.get("/api/alerts?signal=agent_error"))) == 1


def test_people_are_named(org: Org, client_of: Client) -> None:
    rina = UserFactory(sso_id="rina", name="Rina")
    AlertFactory(
        org=org,
        state="intervened",
        acknowledged_by=rina,
        acknowledged_at=AT,
        assigned_to=rina,
        intervened_at=AT + timedelta(seconds=90),
        first_failure_at=AT,
        human_acted_at=AT + timedelta(seconds=90),
    )
    (shown,) = client_of.get("/api/alerts").json()["results"]
    person = {"sso_id": "rina", "name": "Rina", "kind": "human"}
    assert shown["acknowledged_by"] == shown["assigned_to"] == person
    assert shown["intervened_by"] == {"sso_id": None, "name": "a human agent", "kind": "human"}
    assert shown["time_to_intervene_seconds"] == 90.0


def test_an_unknown_human_is_never_named_by_their_id_in_the_chat_product(org: Org, client_of: Client) -> None:
    alert = AlertFactory(org=org, state="intervened", intervened_at=AT)
    with scopes_disabled():
        Transition.objects.create(
            org=org, alert=alert, at=AT, change="intervened", detail={"cause": "human_message", "name": "qontak-7"}
        )
    (shown,) = client_of.get("/api/alerts").json()["results"]
    assert shown["intervened_by"] == {"sso_id": None, "name": "a human agent", "kind": "human"}
    detail = client_of.get(f"/api/alerts/{alert.pk}").json()
    assert detail["transitions"][0]["actor"] == shown["intervened_by"]


@pytest.mark.parametrize("kind", ["room", "quiet", "abandoned"])
def test_what_ended_an_alert_by_itself_is_named_by_its_kind(org: Org, client_of: Client, kind: str) -> None:
    AlertFactory(org=org, state="resolved", resolved_at=AT, resolved_kind=kind)
    (shown,) = client_of.get("/api/alerts").json()["results"]
    assert shown["resolved_by"] == {"sso_id": None, "name": None, "kind": kind}


def test_the_detail_adds_events_transitions_and_pushes(org: Org, client_of: Client) -> None:
    alert = AlertFactory(org=org, opened_at=AT)
    with scopes_disabled():
        event = FailureEvent.objects.create(
            org=org,
            source=SourceFactory(org=org),
            event_id="e-1",
            payload_hash=b"h",
            room=alert.room,
            agent=alert.agent,
            alert=alert,
            signal="agent_error",
            reason="first",
            occurred_at=AT,
            received_at=AT,
        )
        Transition.objects.create(org=org, alert=alert, at=AT, change="opened", reason="first", event=event)
    push = PushFactory(alert=alert, state="skipped", ended_reason="throttled", next_attempt_at=None)
    detail = client_of.get(f"/api/alerts/{alert.pk}").json()
    assert list(detail) == [*ALERT, "events", "transitions", "pushes"]
    at = "2026-05-04T03:00:00.000000Z"
    assert detail["events"] == [
        {
            "event_id": "e-1",
            "signal": "agent_error",
            "occurred_at": at,
            "received_at": at,
            "reason": "first",
            "flags": [],
        }
    ]
    assert detail["transitions"] == [{"at": at, "change": "opened", "reason": "first", "actor": None}]
    (shown,) = detail["pushes"]
    assert list(shown) == PUSH
    assert (shown["id"], shown["state"], shown["reason"]) == (str(push.pk), "skipped", "throttled")
    assert shown["sso_id"] == push.supervisor.sso_id


# --- filters ---------------------------------------------------------------------------------------------------------


def test_filters(org: Org, client_of: Client) -> None:
    room, agent = RoomFactory(org=org, room_id="r-1"), AgentFactory(org=org, name="Bot A")
    hit = AlertFactory(org=org, severity="info", room=room, agent=agent, opened_at=AT)
    AlertFactory(org=org, state="acknowledged", opened_at=AT - timedelta(hours=1))
    for query in (
        "state=open",
        "severity=info",
        "agent=Bot%20A",
        "room_id=r-1",
        "opened_after=2026-05-04T02:30:00Z",
        "opened_after=2026-05-04T09:30:00%2B07:00",
        "opened_after=2026-05-04T09:30:00+07:00",
        f"state=open,resolved&severity=info&severity=warning&signal=unexpected_handoff&org_id={org.external_id}",
    ):
        assert ids(client_of.get(f"/api/alerts?{query}")) == [str(hit.pk)], query
    assert len(ids(client_of.get("/api/alerts?state=&severity=&signal=&agent=&org_id=&room_id=&opened_after="))) == 2
    assert ids(client_of.get("/api/alerts?signal=message_cap")) == []


def cursor_at(time: str) -> str:
    text = json.dumps(["after", time, "01a22359-2d71-7b2e-b751-c9cf2eb6bb46"])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


UNKEEPABLE = ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-05-04", "x", "2026-05-04T10:00:00"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("stat=open", "stat"),
        ("state=gone", "state"),
        ("severity=high", "severity"),
        ("signal=x,y", "signal"),
        ("opened_after=yesterday", "opened_after"),
        ("opened_after=2026-05-04T10:00:00", "opened_after"),
        ("opened_after=0001-01-01T00:00:00%2B14:00", "opened_after"),
        ("agent=a&agent=b", "agent"),
        ("agent=%ff", "agent"),
        ("room_id=caf%e9&agent=a", "room_id"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=WyJhZnRlciIsICJ4IiwgInkiXQ", "cursor"),
        *[(f"cursor={cursor_at(time)}", "cursor") for time in UNKEEPABLE],
    ],
)
def test_a_wrong_parameter_is_named(client_of: Client, query: str, field: str) -> None:
    answer = client_of.get(f"/api/alerts?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field
    assert set(answer.json()["error"]) == {"code", "message", "field"}


@pytest.mark.parametrize("time", ["2026-05-04T10:00:00+23:59:59.999999", "0001-01-01T00:00:00+00:00"])
def test_a_cursor_at_an_odd_time_is_a_place_in_the_list(client_of: Client, time: str) -> None:
    """PostgreSQL cannot read every offset that Python can."""
    assert client_of.get(f"/api/alerts?cursor={cursor_at(time)}").status_code == 200


def test_a_foreign_org_in_the_query_is_the_same_404_as_an_unknown_one(client_of: Client, db: None) -> None:
    foreign = client_of.get(f"/api/alerts?org_id={OrgFactory().external_id}")
    unknown = client_of.get("/api/alerts?org_id=no-such-org")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content


# --- pages -----------------------------------------------------------------------------------------------------------


def test_pages_hold_every_alert_once_newest_activity_first(org: Org, client_of: Client) -> None:
    alerts = [AlertFactory(org=org, opened_at=AT + timedelta(minutes=n)) for n in (3, 0, 2, 3, 0, 2, 3)]
    expected = [str(a.pk) for a in sorted(alerts, key=lambda a: (a.last_event_at, a.pk), reverse=True)]
    seen, pages = [], []
    url = "/api/alerts?limit=3&state=open"
    while url:
        answer = client_of.get(url)
        pages.append(answer.json())
        seen += ids(answer)
        url = pages[-1]["next"]
    assert seen == expected
    assert [len(p["results"]) for p in pages] == [3, 3, 1]
    assert pages[0]["previous"] is None
    assert ids(client_of.get(pages[2]["previous"])) == expected[3:6]
    back = client_of.get(pages[1]["previous"]).json()
    assert [a["id"] for a in back["results"]] == expected[:3]
    assert back["previous"] is None
    assert client_of.get(back["next"]).json()["results"] == pages[1]["results"]


def test_a_new_alert_does_not_shift_the_pages(org: Org, client_of: Client) -> None:
    alerts = [AlertFactory(org=org, opened_at=AT + timedelta(minutes=n)) for n in range(4)]
    first = client_of.get("/api/alerts?limit=2").json()
    AlertFactory(org=org, opened_at=AT + timedelta(minutes=9))
    assert ids(client_of.get(first["next"])) == [str(alerts[1].pk), str(alerts[0].pk)]


def _crowd(org: Org, number: int) -> None:
    for n in range(number):
        alert = AlertFactory(
            org=org,
            state="intervened",
            acknowledged_by=UserFactory(),
            acknowledged_at=timezone.now(),
            assigned_to=UserFactory(),
            intervened_at=timezone.now(),
        )
        with scopes_disabled():
            Transition.objects.create(
                org=org, alert=alert, at=AT, change="intervened", detail={"cause": "assigned", "name": f"q-{n}"}
            )


def test_one_row_and_twenty_cost_the_same_queries(org: Org, django_assert_num_queries: Any) -> None:
    client = with_key(org, "read")
    _crowd(org, 1)
    with django_assert_num_queries(2):  # the key, the alerts with their relations
        assert len(ids(client.get("/api/alerts"))) == 1
    _crowd(org, 19)
    with django_assert_num_queries(2):
        assert len(ids(client.get("/api/alerts"))) == 20


def test_the_detail_costs_the_same_for_one_and_twenty_pushes(org: Org, django_assert_num_queries: Any) -> None:
    client = with_key(org, "read")
    alert = AlertFactory(org=org)
    for n in range(1, 21):
        PushFactory(alert=alert, occurrence=n)
        if n in (1, 20):
            with django_assert_num_queries(6):
                assert len(client.get(f"/api/alerts/{alert.pk}").json()["pushes"]) == n


# --- who may ---------------------------------------------------------------------------------------------------------


def test_somebody_elses_alert_is_the_same_404_as_none_and_as_no_id(client_of: Client, db: None) -> None:
    foreign = AlertFactory()
    answers = [client_of.get(f"/api/alerts/{name}") for name in (foreign.pk, uuid4(), "x", "a b", f"{{{foreign.pk}}}")]
    answers.append(client_of.get("/api/no/such/path"))
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json() == {"error": {"code": "not_found", "message": "Not found."}}


def test_a_supervisor_sees_the_orgs_of_their_assignments(db: None) -> None:
    mine, mine_too, foreign = AlertFactory(), AlertFactory(), AlertFactory()
    client = signed_in(supervisor_of(mine.org, mine_too.org))
    assert set(ids(client.get("/api/alerts"))) == {str(mine.pk), str(mine_too.pk)}
    assert str(foreign.pk) not in client.get("/api/alerts").content.decode()


def test_a_specialist_and_a_platform_key_see_all(db: None) -> None:
    AlertFactory()
    AlertFactory()
    for client in (signed_in(UserFactory(is_specialist=True)), with_key(None, "read")):
        assert len(ids(client.get("/api/alerts"))) == 2


def test_no_caller_is_401_in_the_one_shape(client: Client, db: None) -> None:
    for caller in (client, Client(headers={"Authorization": "Bearer abc.def"})):
        answer = caller.get("/api/alerts")
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "unauthenticated"
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_needs_the_scope(org: Org) -> None:
    answer = with_key(org, "ingest", "act").get("/api/alerts")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "missing_scope")
    answer = with_key(org, "ingest", "read").post(f"/api/alerts/{uuid4()}/take")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "missing_scope")


def test_another_method_is_405_in_the_one_shape(client_of: Client) -> None:
    for answer in (client_of.delete("/api/alerts"), client_of.options("/api/alerts"), client_of.put("/api/pushes")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


def test_an_answer_of_405_allows_what_there_is_and_no_more(client_of: Client) -> None:
    for path, allowed in (("/api/alerts", "GET, HEAD"), (f"/api/alerts/{uuid4()}/take", "POST")):
        for answer in (client_of.options(path), client_of.delete(path)):
            assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert client_of.get("/api/schedules/1").headers["Allow"] == "DELETE"


def test_the_api_speaks_english_to_everybody(org: Org) -> None:
    client = signed_in(supervisor_of(org, locale="id"))
    assert client.get("/api/alerts/x").json()["error"]["message"] == "Not found."


def test_a_crash_leaves_no_scope_behind(org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not left ends when its generator is collected: in the middle of somebody else's request."""
    inside: list[Any] = []

    @contextmanager
    def watched(org_ids: OrgIds) -> Iterator[None]:
        inside.append(org_ids)
        try:
            with within(org_ids):
                yield
        finally:
            inside.pop()

    def crash(*_: Any) -> None:
        assert inside == [OrgIds.of([org.pk])]
        raise ZeroDivisionError

    monkeypatch.setattr("orgs.api.within", watched)
    monkeypatch.setattr("alerts.api.reads.page", crash)
    with pytest.raises(ZeroDivisionError) as error:  # holds the traceback, and with it the view
        signed_in(supervisor_of(org)).get("/api/alerts")
    assert inside == [], error


def test_the_database_away_is_503(client_of: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("alerts.api.reads.page", away)
    answer = client_of.get("/api/alerts")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


def test_models_have_the_states_of_the_contract() -> None:
    assert Alert.State.values == ["open", "acknowledged", "intervened", "resolved"]
    assert Push.State.values == ["pending", "sending", "sent", "dead", "cancelled", "skipped"]
