"""The reach page says who is told at this minute, not only whose phone works; phones stay what `/api/reach` says."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django_scopes import scope, scopes_disabled

from orgs import clock
from orgs.models import (
    Assignment,
    Handover,
    Org,
    QuietHours,
    SupervisorRole,
    TemporaryDuty,
    TemporarySchedule,
    User,
)
from tests.api_client import signed_in
from tests.factories import AgentFactory, SupervisorRoleFactory
from tests.test_pages_reach import person, table, text

ALWAYS = [{"days": list(range(1, 8)), "from": "00:00", "to": "24:00"}]


@pytest.fixture
def rina(org: Org) -> User:
    """The only person behind the org's one agent; her phone works."""
    AgentFactory(org=org, name="Billing Bot")
    return person(org, "Rina Wulandari")


def is_away(one: User, org: Org) -> None:
    Assignment.objects.filter(user=one).update(away_until=clock.now() + timedelta(days=20))


def is_off_duty(one: User, org: Org) -> None:
    day = (clock.now() + timedelta(days=3)).isoweekday()
    Assignment.objects.filter(user=one).update(duty=[{"days": [day], "from": "03:00", "to": "04:00"}])


def has_handed_over(one: User, org: Org) -> None:
    now = clock.now()
    Handover.objects.create(org=org, user=one, starts_at=now, ends_at=now + timedelta(minutes=30))


def wants_peace(one: User, org: Org) -> None:
    QuietHours.objects.create(org=org, user=one, hours=ALWAYS)


def shown(client: Client, query: str = "") -> str:
    return text(client.get(f"/reach{query}"))


@pytest.mark.parametrize(
    ("make", "word", "absent"),
    [
        (is_away, "Away", "away"),
        (is_off_duty, "Off duty", "off_duty"),
        (has_handed_over, "Away", "away"),
        (wants_peace, "Quiet hours", "quiet_hours"),
    ],
)
def test_who_is_not_told_now_is_not_reachable_now(org: Org, rina: User, make: Any, word: str, absent: str) -> None:
    with scopes_disabled():
        make(rina, org)
    client = signed_in(rina)
    page = client.get("/reach")
    said = text(page)
    assert "0 of 1 agent can reach a supervisor now" in said and "Coverage 0 %" in said
    assert "By phones alone 100 %" in said, "what a test proved stays proven"
    assert re.search(r'lm-pill--none"><svg.*?</svg>' + word, page.content.decode(), re.DOTALL)
    assert "1 reachable" not in said
    assert (
        "Billing Bot" in shown(client, "?tab=nobody") and "Billing Bot" not in shown(client, "?tab=one").split("All")[1]
    )
    (row,) = table(client.get("/reach.csv?tab=nobody"))
    assert (row["reachable"], row["reason"], row["absent"]) == ("yes", "", absent)
    (of_api,) = client.get("/api/reach").json()["results"]
    assert of_api["reachable"] is True, "the API speaks of phones"


def test_who_is_told_when_quiet_hours_end_is_no_alarm(org: Org, rina: User) -> None:
    with scopes_disabled():
        wants_peace(rina, org)
    said = shown(signed_in(rina))
    assert "Told after quiet hours" in said
    assert "ring no phone" not in said


def test_nobody_on_duty_rings_no_phone(org: Org, rina: User) -> None:
    with scopes_disabled():
        is_off_duty(rina, org)
    said = shown(signed_in(rina))
    assert "Billing Bot can reach nobody: its failures show on the board and ring no phone." in said
    assert "Nobody is on duty" in said and "map a role to somebody" not in said


def test_one_of_two_is_away_and_the_other_counts(org: Org, rina: User) -> None:
    bayu = person(org, "Bayu Pratama")
    with scopes_disabled():
        is_away(rina, org)
    said = shown(signed_in(bayu))
    assert "1 of 1 agent can reach a supervisor now" in said and "By phones alone" not in said
    assert "1 reachable: no second pair of hands" in said


def test_whoever_stands_in_counts(org: Org, rina: User) -> None:
    """Of another role, which backs up another agent: the temporary schedule makes them told here."""
    other, now = AgentFactory(org=org, name="Refund Guide"), clock.now()
    own = SupervisorRoleFactory(org=org)
    bayu = person(org, "Bayu Pratama")
    with scope(org=org.pk):
        own.agents.set([other])
        Assignment.objects.filter(user=bayu).update(role=own)
        role = SupervisorRole.objects.get(assignments__user=rina)
        day = timedelta(days=1)
        schedule = TemporarySchedule.objects.create(org=org, starts_at=now - day, ends_at=now + day)
        TemporaryDuty.objects.create(org=org, schedule=schedule, role=role, user=bayu)
    said = shown(signed_in(rina), "?tab=one")
    assert re.search(r"Billing Bot .*?1 reachable.*?Bayu Pratama.*?Reachable", said)


def test_now_costs_no_query_per_person(org: Org, rina: User, django_assert_max_num_queries: Any) -> None:
    client = signed_in(rina)
    client.get("/reach")
    with django_assert_max_num_queries(33) as few:
        client.get("/reach")
    people = [person(org, f"Person {n}") for n in range(10)]
    with scopes_disabled():
        for one in people:
            is_away(one, org)
    with django_assert_max_num_queries(len(few.captured_queries)):
        client.get("/reach")
