"""GET /api/blind-intervals: the shape of the contract, whose intervals, which period, what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django_scopes import scopes_disabled

from alerts.models import BlindInterval
from orgs.models import Org
from tests.api_client import signed_in, supervisor_of, with_key
from tests.factories import OrgFactory, SourceFactory, UserFactory

NOW = datetime.now(UTC).replace(microsecond=0)
PATH = "/api/blind-intervals"


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def said(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def silent(org: Org, name: str, starts: datetime, ends: datetime | None) -> None:
    with scopes_disabled():
        source = SourceFactory(org=org, name=name)
        BlindInterval.objects.create(org=org, source=source, cause="source_silent", starts=starts, ends=ends)


def down(starts: datetime, ends: datetime | None) -> None:
    BlindInterval.objects.create(cause="down", starts=starts, ends=ends)


@pytest.fixture
def other(db: None) -> Org:
    return OrgFactory()


def test_all_of_ours_oldest_first(org: Org, other: Org) -> None:
    silent(org, "chatbot", ago(1), None)
    down(ago(3), ago(2))
    silent(other, "foreign", ago(5), ago(4))
    answer = signed_in(supervisor_of(org)).get(PATH)
    assert answer.status_code == 200
    assert answer.json() == {
        "results": [
            {"from": said(ago(3)), "to": said(ago(2)), "cause": "down", "source_name": None},
            {"from": said(ago(1)), "to": None, "cause": "source_silent", "source_name": "chatbot"},
        ]
    }


def names(client: Client, query: str = "") -> list[str | None]:
    return [one["source_name"] for one in client.get(f"{PATH}{query}").json()["results"]]


def test_a_caller_sees_those_of_their_orgs_only(org: Org, other: Org) -> None:
    silent(org, "ours", ago(2), ago(1))
    silent(other, "theirs", ago(1), None)
    assert names(signed_in(supervisor_of(org))) == names(with_key(org, "read")) == ["ours"]
    assert names(with_key(None, "read")) == names(signed_in(UserFactory(is_specialist=True))) == ["ours", "theirs"]
    assert names(with_key(None, "read"), f"?org_id={other.external_id}") == ["theirs"]


def test_somebody_without_an_org_sees_nothing(db: None) -> None:
    down(ago(2), ago(1))
    assert names(signed_in(UserFactory())) == []


def test_a_foreign_org_is_the_same_404_as_an_unknown_one(org: Org, other: Org) -> None:
    client = signed_in(supervisor_of(org))
    foreign, unknown = (client.get(f"{PATH}?org_id={name}") for name in (other.external_id, "nowhere"))
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


@pytest.mark.parametrize(
    ("starts", "ends", "found"),
    [(6, 5.5, []), (4.5, 3, ["a"]), (6, 5, []), (4, 2, []), (2, 0, ["b"]), (1, 0, ["b"]), (5, 1.5, ["a", "b"])],
)
def test_whole_intervals_that_reach_into_the_period(org: Org, starts: float, ends: float, found: list[str]) -> None:
    """`from` is inclusive, `to` exclusive, as for the intervals themselves."""
    silent(org, "a", ago(5), ago(4))
    silent(org, "b", ago(2), None)
    assert names(signed_in(supervisor_of(org)), f"?from={said(ago(starts))}&to={said(ago(ends))}") == found


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("from=yesterday", "invalid_parameter", "from"),
        ("from=2026-01-02&to=2026-01-02", "invalid_parameter", "to"),
        ("from=2020-01-01&to=2026-01-01", "invalid_parameter", "from"),
        ("cause=down", "unknown_parameter", "cause"),
    ],
)
def test_what_cannot_be_is_refused_by_name(org: Org, query: str, code: str, field: str) -> None:
    answer = signed_in(supervisor_of(org)).get(f"{PATH}?{query}")
    error: dict[str, Any] = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (422, code, field)


def test_who_may_read_it(org: Org, client: Client) -> None:
    assert client.get(PATH).status_code == 401
    assert with_key(org, "ingest").get(PATH).status_code == 403
    assert signed_in(supervisor_of(org)).post(PATH).status_code == 405
