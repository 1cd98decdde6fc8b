"""Who sees what: sessions by assignment, keys by source and scope, and nothing of another org."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from django_scopes import get_scope, scope
from django_scopes.exceptions import ScopeError
from rest_framework.test import APIClient

from orgs import auth, keys
from orgs.auth import EVERY_ORG, NO_ORG, OrgIds
from orgs.models import Agent, Assignment, Org
from tests.factories import (
    AgentFactory,
    AssignmentFactory,
    MembershipFactory,
    OrgFactory,
    SourceFactory,
    UserFactory,
)

READ = "/api/agents"


def key_client(org: Org | None, *scopes: str, **options: Any) -> APIClient:
    _, secret = keys.issue(SourceFactory(org=org), scopes, **options)
    return bearer(secret)


def bearer(secret: str) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {secret}"})


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return sorted(agent["agent_name"] for agent in response.json()["results"])


@pytest.fixture
def two_orgs(db: None) -> tuple[Org, Org]:
    ours, theirs = OrgFactory(), OrgFactory()
    AgentFactory(org=ours, name="Ours")
    AgentFactory(org=theirs, name="Theirs")
    return ours, theirs


def test_a_supervisor_sees_the_orgs_of_their_assignments(two_orgs: tuple[Org, Org]) -> None:
    person = AssignmentFactory(org=two_orgs[0]).user
    assert auth.visible_orgs(person) == OrgIds.of([two_orgs[0].pk])


def test_a_membership_alone_shows_nothing(two_orgs: tuple[Org, Org]) -> None:
    person = MembershipFactory(org=two_orgs[0], role="lead").user
    assert auth.visible_orgs(person) == NO_ORG
    assert auth.leads(person) == NO_ORG


def test_a_lead_leads_only_orgs_of_their_assignments(two_orgs: tuple[Org, Org]) -> None:
    person = AssignmentFactory(org=two_orgs[0]).user
    MembershipFactory(org=two_orgs[0], user=person, role="lead")
    MembershipFactory(org=two_orgs[1], user=person, role="lead")
    assert auth.leads(person) == OrgIds.of([two_orgs[0].pk])


def test_a_specialist_sees_all(db: None) -> None:
    assert auth.visible_orgs(UserFactory(is_specialist=True)) == EVERY_ORG


def test_an_inactive_specialist_sees_nothing(db: None) -> None:
    assert auth.visible_orgs(UserFactory(is_specialist=True, is_active=False)) == NO_ORG


def test_nobody_sees_nothing(db: None) -> None:
    assert auth.visible_orgs(AnonymousUser()) == NO_ORG


def test_a_removed_assignment_hides_the_org_at_the_next_request(two_orgs: tuple[Org, Org], client: Client) -> None:
    assignment = AssignmentFactory(org=two_orgs[0])
    client.force_login(assignment.user)
    assert names(client.get(READ)) == ["Ours"]

    with scope(org=None):
        Assignment.objects.all().delete()

    assert names(client.get(READ)) == []


def test_an_inactive_person_is_signed_out_at_the_next_request(two_orgs: tuple[Org, Org], client: Client) -> None:
    person = AssignmentFactory(org=two_orgs[0]).user
    client.force_login(person)
    person.is_active = False
    person.save()
    assert client.get(READ).status_code == 401


def test_a_page_runs_in_its_persons_scope(two_orgs: tuple[Org, Org], rf: Any) -> None:
    request = rf.get("/")
    request.user = AssignmentFactory(org=two_orgs[0]).user
    seen: list[Any] = []

    auth.ScopeMiddleware(lambda request: seen.append(list(Agent.objects.all())))(request)

    assert [agent.name for agent in seen[0]] == ["Ours"]
    assert request.org_ids == OrgIds.of([two_orgs[0].pk])


def test_the_scope_ends_with_the_request(two_orgs: tuple[Org, Org], rf: Any) -> None:
    request = rf.get("/")
    request.user = UserFactory(is_specialist=True)
    auth.ScopeMiddleware(lambda request: None)(request)
    assert "org" not in get_scope()
    with pytest.raises(ScopeError):
        Agent.objects.count()


def test_an_org_key_reads_its_org_only(two_orgs: tuple[Org, Org]) -> None:
    assert names(key_client(two_orgs[0], "read").get(READ)) == ["Ours"]


def test_a_platform_key_reads_all(two_orgs: tuple[Org, Org]) -> None:
    assert names(key_client(None, "read").get(READ)) == ["Ours", "Theirs"]


@pytest.mark.parametrize("scopes", [("ingest",), ("act",), ("ingest", "act")])
def test_a_key_without_read_reads_nothing(two_orgs: tuple[Org, Org], scopes: tuple[str, ...]) -> None:
    response = key_client(two_orgs[0], *scopes).get(READ)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "missing_scope"


@pytest.mark.parametrize("spoil", [lambda key: key[:-1], lambda key: key + "x", lambda key: key.partition(".")[0]])
def test_a_key_that_is_not_whole_is_refused(two_orgs: tuple[Org, Org], spoil: Any) -> None:
    _, secret = keys.issue(SourceFactory(org=two_orgs[0]), ["read"])
    response = bearer(spoil(secret)).get(READ)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_no_key_is_401(two_orgs: tuple[Org, Org]) -> None:
    assert APIClient().get(READ).status_code == 401


def test_a_revoked_key_is_refused(two_orgs: tuple[Org, Org]) -> None:
    key, secret = keys.issue(SourceFactory(org=two_orgs[0]), ["read"])
    keys.revoke(key)
    assert bearer(secret).get(READ).status_code == 401


def test_an_expired_key_is_refused(two_orgs: tuple[Org, Org]) -> None:
    _, secret = keys.issue(SourceFactory(org=two_orgs[0]), ["read"], expires_days=30)
    assert bearer(secret).get(READ).status_code == 200
    key = auth.find_key(secret)
    key.expiry_date = key.created
    key.save()
    assert bearer(secret).get(READ).status_code == 401


def test_a_key_has_256_bits_and_only_its_hash_is_kept(db: None) -> None:
    key, secret = keys.issue(SourceFactory(), ["read"])
    prefix, _, text = secret.partition(".")
    assert prefix == key.prefix
    assert len(text) == 43
    assert text not in key.hashed_key
    assert text not in key.id


def test_a_third_live_key_is_refused(db: None) -> None:
    source = SourceFactory()
    first, _ = keys.issue(source, ["read"])
    keys.issue(source, ["read"])
    with pytest.raises(keys.TooManyKeys):
        keys.issue(source, ["read"])
    keys.revoke(first)
    keys.issue(source, ["read"])


def test_an_expired_key_counts_no_more(db: None, clock: Any) -> None:
    source = SourceFactory()
    for _ in range(2):
        keys.issue(source, ["read"], expires_days=1)
    clock.advance(days=2)
    keys.issue(source, ["read"])


@pytest.mark.parametrize("scopes", [[], ["write"], ["read", "write"]])
def test_scopes_that_do_not_exist_are_refused(db: None, scopes: list[str]) -> None:
    with pytest.raises(keys.UnknownScope):
        keys.issue(SourceFactory(), scopes)
