"""GET|POST /api/silences, DELETE /api/silences/{id}: who may, what is refused by field, the same thing twice."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django_scopes import scopes_disabled

from alerts.models import Silence
from orgs.models import Membership, Org, User
from tests.api_client import post, signed_in, supervisor_of, with_key
from tests.factories import AgentFactory, OrgFactory, RoomFactory

PATH = "/api/silences"


def at(**parts: float) -> str:
    return (datetime.now(UTC) + timedelta(**parts)).isoformat()


def lead_of(org: Org) -> User:
    user = supervisor_of(org)
    Membership.objects.create(user=user, org=org, role=Membership.Role.LEAD)
    return user


def asked(org: Org, **fields: Any) -> dict[str, Any]:
    return {"org_id": org.external_id, "channel": "WABA", "ends_at": at(hours=1)} | fields


def test_made_listed_and_ended(org: Org) -> None:
    lead = lead_of(org)
    client = signed_in(lead)
    made = post(client, PATH, asked(org, note="Maintenance", until_idle_minutes=30))
    assert made.status_code == 201
    shown = made.json()
    author = {"sso_id": lead.sso_id, "name": str(lead)}
    assert (shown["state"], shown["channel"], shown["created_by"]) == ("active", "whatsapp", author)
    assert (shown["held_back"], shown["until_idle_minutes"], shown["whole_org"]) == (0, 30, False)
    assert client.get(PATH).json()["results"] == [shown]
    for _ in range(2):
        assert client.delete(f"{PATH}/{shown['id']}").status_code == 204
    (ended,) = client.get(PATH).json()["results"]
    assert (ended["state"], ended["id"]) == ("ended", shown["id"])
    assert client.get(f"{PATH}/{shown['id']}").json() == ended


def test_a_key_speaks_for_its_org_and_may_name_a_person(org: Org) -> None:
    person = supervisor_of(org)
    key = with_key(org, "act", "read")
    body = {"whole_org": True, "ends_at": at(hours=1), "starts_at": at(minutes=30)}
    by_source, by_person = post(key, PATH, body), post(key, PATH, body | {"sso_id": person.sso_id})
    assert (by_source.status_code, by_source.json()["created_by"]["sso_id"]) == (201, None)
    assert (by_person.json()["created_by"]["sso_id"], by_person.json()["state"]) == (person.sso_id, "scheduled")
    assert post(key, PATH, body | {"sso_id": "nobody"}).json()["error"]["field"] == "sso_id"
    assert key.delete(f"{PATH}/{by_person.json()['id']}").status_code == 204
    assert with_key(org, "read").delete(f"{PATH}/{by_source.json()['id']}").status_code == 403
    assert post(with_key(org, "read"), PATH, body).status_code == 403


WRONG = [
    ({"channel": None}, "whole_org"),
    ({"whole_org": True}, "whole_org"),
    ({"whole_org": "yes"}, "whole_org"),
    ({"ends_at": None}, "ends_at"),
    ({"ends_at": at(hours=-1)}, "ends_at"),
    ({"ends_at": at(days=32)}, "ends_at"),
    ({"ends_at": at(days=365)}, "ends_at"),
    ({"ends_at": "2026-01-01T10:00:00"}, "ends_at"),
    ({"ends_at": "tomorrow"}, "ends_at"),
    ({"starts_at": at(hours=2)}, "ends_at"),
    ({"starts_at": at(hours=-1)}, "starts_at"),
    ({"starts_at": at(days=800), "ends_at": at(days=801)}, "starts_at"),
    ({"recurrence": "hourly", "until": at(days=3)}, "recurrence"),
    ({"recurrence": "daily"}, "until"),
    ({"until": at(days=3)}, "until"),
    ({"recurrence": "daily", "until": at(days=500)}, "until"),
    ({"recurrence": "daily", "until": at(minutes=30)}, "until"),
    ({"recurrence": "daily", "until": at(days=3), "ends_at": at(hours=25)}, "ends_at"),
    ({"recurrence": "weekly", "until": at(days=30), "ends_at": at(days=7, hours=1)}, "ends_at"),
    ({"until_idle_minutes": 0}, "until_idle_minutes"),
    ({"until_idle_minutes": 10**9}, "until_idle_minutes"),
    ({"until_idle_minutes": True}, "until_idle_minutes"),
    ({"signal": "silent_source"}, "signal"),
    ({"signal": "nonsense"}, "signal"),
    ({"agent_name": "Foreign Bot"}, "agent_name"),
    ({"agent_name": "No Bot"}, "agent_name"),
    ({"room_id": "foreign"}, "room_id"),
    ({"room_id": "x" * 300}, "room_id"),
    ({"note": "x" * 2001}, "note"),
    ({"org_id": "nowhere"}, "org_id"),
    ({"org_id": None}, "org_id"),
    ({"surprise": 1}, "surprise"),
]


@pytest.mark.parametrize(("fields", "field"), WRONG, ids=[f"{n} {field}" for n, (_, field) in enumerate(WRONG)])
def test_what_cannot_be_is_refused_by_field(org: Org, fields: dict[str, Any], field: str) -> None:
    other = OrgFactory()
    with scopes_disabled():
        AgentFactory(org=other, name="Foreign Bot")
        RoomFactory(org=other, room_id="foreign")
    answer = post(signed_in(lead_of(org)), PATH, asked(org, **fields))
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    with scopes_disabled():
        assert not Silence.objects.exists()


def test_a_foreign_org_is_refused_as_an_unknown_one(org: Org) -> None:
    other, client = OrgFactory(), signed_in(lead_of(org))
    foreign, unknown = (post(client, PATH, asked(org, org_id=name)) for name in (other.external_id, "nowhere"))
    assert (foreign.status_code, foreign.content) == (422, unknown.content)
    assert client.get(f"{PATH}?org_id={other.external_id}").status_code == 404


def test_a_supervisor_may_silence_one_room_for_two_hours_and_end_their_own(org: Org) -> None:
    with scopes_disabled():
        RoomFactory(org=org, room_id="r1")
    client, room = signed_in(supervisor_of(org)), {"channel": None, "room_id": "r1"}
    assert post(client, PATH, asked(org)).status_code == 403
    assert post(client, PATH, asked(org, **room, ends_at=at(hours=3))).status_code == 403
    assert post(client, PATH, asked(org, **room, recurrence="daily", until=at(days=2))).status_code == 403
    made = post(client, PATH, asked(org, **room, ends_at=at(hours=2)))
    assert made.status_code == 201
    theirs = f"{PATH}/{made.json()['id']}"
    assert signed_in(supervisor_of(org)).delete(theirs).status_code == 403
    assert client.delete(theirs).status_code == 204


def test_who_is_not_of_the_org_finds_nothing(org: Org, client: Client) -> None:
    made = post(with_key(org), PATH, {"whole_org": True, "ends_at": at(hours=1)}).json()["id"]
    stranger = signed_in(lead_of(OrgFactory()))
    answers = [stranger.delete(f"{PATH}/{one}") for one in (made, uuid4(), "x")]
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert stranger.get(PATH).json()["results"] == []
    assert client.get(PATH).status_code == 401
    with scopes_disabled():
        assert Silence.objects.get().ended_at is None
