"""Pushes over the API: lists, dead ones sent again, and the test push with its hops."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django_scopes import scopes_disabled

from alerts.api import pushes
from alerts.delivery import outbox
from alerts.models import Push
from orgs.keys import issue
from orgs.models import Org
from tests.api_client import post, signed_in, supervisor_of, with_key
from tests.factories import (
    AlertFactory,
    AssignmentFactory,
    MembershipFactory,
    OrgFactory,
    PushFactory,
    SourceFactory,
    UserFactory,
)
from tests.ingest_server import Sender
from tests.standins import Standins

AT = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushes, "HOPS_WITHIN", 0.0)


def dead_push(org: Org, **fields: Any) -> Push:
    return PushFactory(
        alert=AlertFactory(org=org), state="dead", ended_reason="refused", next_attempt_at=None, attempts=3, **fields
    )


def test_the_list_is_filtered_by_state_and_org(org: Org) -> None:
    dead, pending = dead_push(org), PushFactory(alert=AlertFactory(org=org))
    foreign = dead_push(OrgFactory())
    client = signed_in(supervisor_of(org))

    def ids(query: str) -> list[str]:
        return [row["id"] for row in client.get(f"/api/pushes{query}").json()["results"]]

    assert ids("?state=dead") == [str(dead.pk)]
    assert set(ids("")) == {str(dead.pk), str(pending.pk)}
    assert set(ids(f"?org_id={org.external_id}&state=dead,pending")) == {str(dead.pk), str(pending.pk)}
    (row,) = client.get("/api/pushes?state=dead").json()["results"]
    assert (row["org_id"], row["alert_id"], row["reason"]) == (org.external_id, str(dead.alert_id), "refused")
    assert client.get(f"/api/pushes?org_id={foreign.org.external_id}").status_code == 404
    assert client.get("/api/pushes?state=lost").json()["error"]["field"] == "state"


def test_twenty_pushes_cost_no_query_more(org: Org, django_assert_num_queries: Any) -> None:
    client = with_key(org, "read")
    for n in (1, 19):
        for _ in range(n):
            PushFactory(alert=AlertFactory(org=org))
        with django_assert_num_queries(2):
            client.get("/api/pushes")


def test_a_push_shows_its_hops(org: Org) -> None:
    push = PushFactory(
        alert=AlertFactory(org=org),
        state="sent",
        push="queued",
        planned_at=AT,
        sent_at=AT,
        delivered_at=AT,
        opened_at=AT,
    )
    shown = signed_in(supervisor_of(org)).get(f"/api/pushes/{push.pk}").json()
    at = "2026-05-04T03:00:00.000000Z"
    assert shown["hops"] == [
        {"hop": "planned", "at": at, "answer": "first"},
        {"hop": "notification_service", "at": at, "answer": "queued"},
        {"hop": "delivered", "at": at, "answer": "delivered"},
        {"hop": "opened", "at": at, "answer": "opened"},
    ]


# --- replay ----------------------------------------------------------------------------------------------------------


def test_a_lead_replays_a_dead_push(org: Org) -> None:
    push = dead_push(org)
    lead = supervisor_of(org)
    MembershipFactory(org=org, user=lead, role="lead")
    answer = post(signed_in(lead), f"/api/pushes/{push.pk}/replay")
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["state"], shown["attempts"], shown["idempotency_key"]) == ("pending", 0, str(push.idempotency_key))


@pytest.mark.parametrize("caller", ["specialist", "key"])
def test_a_specialist_or_a_key_replays_a_dead_push(org: Org, caller: str) -> None:
    client = with_key(org, "act") if caller == "key" else signed_in(UserFactory(is_specialist=True))
    assert post(client, f"/api/pushes/{dead_push(org).pk}/replay").json()["state"] == "pending"


def test_a_supervisor_does_not_replay(org: Org) -> None:
    push = dead_push(org)
    answer = post(signed_in(supervisor_of(org)), f"/api/pushes/{push.pk}/replay")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")
    with scopes_disabled():
        assert Push.objects.get().state == "dead"


def test_only_a_dead_push_is_replayed(org: Org) -> None:
    push = PushFactory(alert=AlertFactory(org=org))
    answer = post(with_key(org), f"/api/pushes/{push.pk}/replay")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_dead")
    assert answer.json()["push"]["id"] == str(push.pk)


def test_somebody_elses_push_is_the_same_404_as_none(org: Org) -> None:
    foreign, client = dead_push(OrgFactory()), with_key(org)
    answers = [post(client, f"/api/pushes/{name}/replay") for name in (foreign.pk, uuid4(), "x")]
    answers += [client.get(f"/api/pushes/{name}") for name in (foreign.pk, uuid4(), "x")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


# --- the test push ---------------------------------------------------------------------------------------------------


def test_a_test_push_is_planned_and_says_how_far_it_came(org: Org) -> None:
    rina = supervisor_of(org)
    answer = post(with_key(org), f"/api/supervisors/{rina.sso_id}/test-push")
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["kind"], shown["sso_id"], shown["org_id"], shown["alert_id"]) == (
        "test",
        rina.sso_id,
        org.external_id,
        None,
    )
    assert [hop["at"] is None for hop in shown["hops"]] == [False, True, True, True]


def test_each_hop_of_a_test_push_has_its_time_and_answer(
    transactional_db: None, standins: Standins, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., Any]
) -> None:
    """The whole way: a sweep sends it while the request waits, with no transaction open."""
    monkeypatch.setattr(pushes, "HOPS_WITHIN", 5.0)
    rina = supervisor_of(OrgFactory())

    def deliver() -> None:
        try:
            wait_for(lambda: outbox.sweep_outbox() > 0, 10)
        finally:
            connection.close()

    sweeping = threading.Thread(target=deliver)
    monkeypatch.setattr(pushes, "_arrived", lambda push: bool(push.sent_at))  # receipts need the web process
    sweeping.start()
    shown = post(signed_in(rina), f"/api/supervisors/{rina.sso_id}/test-push").json()
    sweeping.join()
    sent = shown["hops"][1]
    assert (sent["hop"], sent["answer"]) == ("notification_service", "queued")
    assert sent["at"] >= shown["hops"][0]["at"]
    assert [request["body"]["recipient"]["sso_id"] for request in standins.log()] == [rina.sso_id]


def test_twenty_test_pushes_at_once_leave_the_pages_answering(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: without the bound each one holds a slot of the pages: all but four of these are 503."""
    assert sender.source.org is not None
    monkeypatch.setattr(pushes, "HOPS_WITHIN", 60.0)
    arrived = threading.Event()
    monkeypatch.setattr(pushes, "_arrived", lambda push: arrived.is_set())
    path = f"/api/supervisors/{supervisor_of(sender.source.org).sso_id}/test-push"
    _, key = issue(SourceFactory(org=sender.source.org, name="asks"), ["act"])
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(sender.post, {}, path, Authorization=f"Bearer {key}") for _ in range(20)]
        try:
            done = list(islice(as_completed(asked, timeout=20), 16))
            assert sender.send("/accounts/login/", b"", method="GET").status == 200
            assert len([one for one in asked if one.done()]) == len(done) == 16
        finally:
            arrived.set()
    assert {one.result().status for one in asked} == {200}


def test_a_test_push_names_the_org_where_there_are_several(db: None) -> None:
    one, other = OrgFactory(external_id="a-1"), OrgFactory(external_id="a-2")
    rina = supervisor_of(one, other)
    client, path = signed_in(rina), f"/api/supervisors/{rina.sso_id}/test-push"
    assert post(client, path).json()["org_id"] == "a-1"
    assert post(client, path, {"org_id": "a-2"}).json()["org_id"] == "a-2"
    assert post(client, path, {"org_id": OrgFactory().external_id}).status_code == 404


def test_a_supervisor_tests_their_own_phone_and_a_lead_everybodys(org: Org) -> None:
    rina, dewi = supervisor_of(org), supervisor_of(org)
    path = f"/api/supervisors/{dewi.sso_id}/test-push"
    assert post(signed_in(dewi), path).status_code == 200
    assert post(signed_in(rina), path).status_code == 403
    MembershipFactory(org=org, user=rina, role="lead")
    assert post(signed_in(rina), path).status_code == 200


def test_nobody_tests_a_person_they_do_not_see(org: Org) -> None:
    client = signed_in(supervisor_of(org))
    people = [supervisor_of(OrgFactory()).sso_id, UserFactory().sso_id, "no-one"]
    answers = [post(client, f"/api/supervisors/{name}/test-push") for name in people]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    with scopes_disabled():
        assert not Push.objects.exists()


# --- orgs, agents, supervisors -------------------------------------------------------------------------------------


def test_lists_show_what_is_mine(org: Org) -> None:
    push, foreign = PushFactory(alert=AlertFactory(org=org)), PushFactory()
    both = supervisor_of(org, foreign.org)
    client = with_key(org, "read")
    assert client.get("/api/orgs").json()["results"] == [
        {"org_id": org.external_id, "name": org.name, "zone": "Asia/Jakarta", "locale": "en"}
    ]
    (agent,) = client.get("/api/agents").json()["results"]
    assert agent["agent_name"] == push.alert.agent.name
    people = client.get("/api/supervisors").json()["results"]
    assert {person["sso_id"] for person in people} == {push.supervisor.sso_id, both.sso_id}
    for person in people:
        assert [assigned["org_id"] for assigned in person["assignments"]] == [org.external_id]
    for path in ("orgs", "agents", "supervisors"):
        assert foreign.org.external_id not in client.get(f"/api/{path}").content.decode()


def test_lists_can_be_narrowed_to_an_org(db: None) -> None:
    one, other = AlertFactory(), AlertFactory()
    rina = supervisor_of(one.org, other.org)
    client = signed_in(rina)
    (agent,) = client.get(f"/api/agents?org_id={one.org.external_id}").json()["results"]
    assert agent["org_id"] == one.org.external_id
    (person,) = client.get(f"/api/supervisors?org_id={one.org.external_id}").json()["results"]
    assert [assigned["org_id"] for assigned in person["assignments"]] == [one.org.external_id]
    for path in ("agents", "supervisors"):
        unknown = client.get(f"/api/{path}?org_id=nowhere")
        foreign = client.get(f"/api/{path}?org_id={OrgFactory().external_id}")
        assert (unknown.status_code, unknown.content) == (404, foreign.content)


@pytest.mark.parametrize("path", ["orgs", "agents", "supervisors", "pushes"])
def test_every_list_has_pages(path: str, db: None) -> None:
    for _ in range(3):
        PushFactory()
    client: Client = with_key(None, "read")
    first = client.get(f"/api/{path}?limit=2").json()
    second = client.get(first["next"]).json()
    assert [len(first["results"]), len(second["results"])] == [2, 1]
    assert client.get(second["previous"]).json()["results"] == first["results"]


def test_twenty_supervisors_cost_no_query_more(org: Org, django_assert_num_queries: Any) -> None:
    client = with_key(org, "read")
    for n in (1, 19):
        for _ in range(n):
            AssignmentFactory(org=org)
        with django_assert_num_queries(4):  # the key, people, assignments, agents of roles
            client.get("/api/supervisors")
