"""The reach page: what it says, its tabs, tests to one and to all, asking for phones, CSV."""

import csv
import io
import re
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.utils.html import strip_tags
from django_scopes import scope, scopes_disabled

from alerts.delivery import outbox, tokens
from alerts.models import Push
from console.pages.reach import query as reach_query
from orgs import clock as database_clock
from orgs.models import Org, User
from tests.api_client import signed_in, supervisor_of
from tests.factories import (
    AgentFactory,
    AssignmentFactory,
    MembershipFactory,
    OrgFactory,
    PushFactory,
    SupervisorRoleFactory,
    UserFactory,
)


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", strip_tags(response.content.decode()))


def person(org: Org, name: str, tokens: int | None = 1, tier: int = 1, delivered: bool = True) -> User:
    """Somebody who backs up the org's agents."""
    now = database_clock.now()
    role = SupervisorRoleFactory(org=org, tier=tier)
    fields = {"user__name": name, "user__push_tokens": tokens, "user__push_tokens_at": now - timedelta(minutes=1)}
    user = AssignmentFactory(org=org, role=role, **fields).user
    if delivered and tokens:
        PushFactory(
            alert=None, org=org, assignment=None, supervisor=user, kind="alert", state="sent",
            sent_at=now, delivered_at=now, next_attempt_at=None,
        )  # fmt: skip
    return user


@pytest.fixture
def reached(org: Org) -> Client:
    """An org whose one agent reaches two people; a browser of its lead."""
    AgentFactory(org=org, name="Billing Bot")
    lead = person(org, "Rina Wulandari")
    person(org, "Bayu Pratama")
    MembershipFactory(org=org, user=lead, role="lead")
    return signed_in(lead)


def names_tested() -> list[str]:
    with scopes_disabled():
        names = Push.objects.filter(kind="test").values_list("supervisor__name", flat=True)
        return sorted(names)


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


# --- what it says ----------------------------------------------------------------------------------------------------


def test_all_is_well_only_with_proof(reached: Client) -> None:
    page = reached.get("/reach")
    assert "1 of 1 agent can reach a supervisor now" in text(page)
    assert "Coverage 100 %" in text(page)
    assert "2 reachable" in text(page)
    assert "without a reachable supervisor" not in page.content.decode()


def test_who_reaches_nobody_is_red_everywhere_with_what_to_do(org: Org) -> None:
    AgentFactory(org=org, name="Refund Guide")
    yoga = person(org, "Yoga Saputra", tokens=0)
    page = signed_in(yoga).get("/reach")
    assert "0 of 1 agent can reach a supervisor now" in text(page)
    assert "Refund Guide can reach nobody: its failures show on the board and ring no phone." in text(page)
    assert "Ask Yoga to sign in once in the chat app, then send a test." in text(page)
    assert "None registered" in text(page)
    board = signed_in(yoga).get("/").content.decode()
    badge = r'lm-count--crit"[^>]*aria-label="1 agent without a reachable supervisor"'
    assert len(re.findall(badge, board)) == 2  # the side bar, and the bar of a phone


@pytest.mark.parametrize(
    ("tokens", "words", "advice"),
    [
        (1, "Unproven", "Send a test to Sinta: it is proven when the phone has it."),
        (None, "Not asked yet", "Press “Ask again” to learn who has a phone."),
    ],
)
def test_what_is_not_known_is_not_green(org: Org, tokens: int | None, words: str, advice: str) -> None:
    AgentFactory(org=org)
    page = text(signed_in(person(org, "Sinta Maharani", tokens, delivered=False)).get("/reach"))
    assert words in page
    assert advice in page
    assert "Coverage 0 %" in page


def test_a_stand_in_proves_nobody_and_is_named(reached: Client, settings: Any) -> None:
    assert "stand-in" not in text(reached.get("/reach"))
    settings.NOTIFICATION_SERVICE_IS_STANDIN = True
    page = text(reached.get("/reach"))
    assert "A stand-in takes the pushes: no phone rings." in page and "0 of 1 agent can reach" in page
    assert "None: a stand-in takes the pushes" in page and "1 phone" not in page and "Coverage 0 %" in page
    assert "Nobody can be proven before a real notification-service takes the pushes." in page
    assert "A stand-in takes the pushes: no phone rings." in text(reached.get("/"))


def test_an_agent_nobody_backs_up_says_so(org: Org) -> None:
    AgentFactory(org=org, name="Lonely")
    page = text(signed_in(UserFactory(is_specialist=True)).get("/reach"))
    assert "Nobody reachable" in page
    assert "No supervisor backs it up: map a role to somebody." in page


def test_people_of_my_orgs_only(reached: Client) -> None:
    foreign = AgentFactory(name="Foreign Agent")
    person(foreign.org, "Yoga Saputra")
    page = text(reached.get("/reach"))
    assert "Bayu Pratama" in page
    assert "Yoga Saputra" not in page
    assert "Foreign Agent" not in page


def test_tabs_and_org_choose_what_is_shown(reached: Client, org: Org) -> None:
    me = User.objects.get(name="Rina Wulandari")
    other = OrgFactory(name="Kopi Selasar", targeted=True)
    AgentFactory(org=other, name="Refund Guide")
    AssignmentFactory(org=other, user=me)
    for query, shown in (
        ("", {"Billing Bot", "Refund Guide"}),
        ("?tab=nobody", {"Refund Guide"}),
        ("?tab=one", set()),
        (f"?org={org.external_id}", {"Billing Bot"}),
        ("?tab=loud&limit=x&org=", {"Billing Bot", "Refund Guide"}),
    ):
        page = reached.get(f"/reach{query}").content.decode()
        assert set(re.findall(r'lm-reach-agent"><bdi>([^<]+?)<', page)) == shown, query
    page = text(reached.get("/reach"))
    assert "Kopi Selasar 0 % 0 of 1 agent · targeted" in page
    assert "1 of 2 agents can reach a supervisor now" in page
    assert "No agent in production yet" in text(reached.get("/reach?org=nowhere"))


def test_the_worst_come_first_and_the_rest_can_be_shown(org: Org, monkeypatch: Any) -> None:
    for n in range(22):
        AgentFactory(org=org, name=f"agent {n:02d}")
    client = signed_in(person(org, "Rina"))
    page = client.get("/reach")
    assert "2 more agents. Show them" in text(page)
    assert text(client.get("/reach?limit=40")).count("no second pair of hands") == 22


def test_a_page_of_agents_with_many_people_shows_fewer_agents(org: Org, monkeypatch: Any) -> None:
    monkeypatch.setattr(reach_query, "PEOPLE_EACH", 0.1)  # of a page of 20 agents: two people
    for n in range(4):
        AgentFactory(org=org, name=f"agent {n}")
    client = signed_in(person(org, "Rina"))
    assert "2 more agents. Show them" in text(client.get("/reach"))
    assert "Show them" not in text(client.get("/reach?limit=40"))
    for n in range(3):
        person(org, f"Person {n}")
    assert "3 more agents. Show them" in text(client.get("/reach"))


def test_the_page_costs_the_same_for_one_and_for_many(
    reached: Client, org: Org, django_assert_max_num_queries: Any
) -> None:
    reached.get("/reach")
    with django_assert_max_num_queries(33) as few:
        reached.get("/reach")
    for n in range(10):
        AgentFactory(org=org, name=f"agent {n}")
        person(org, f"Person {n}")
    with django_assert_max_num_queries(len(few.captured_queries)):
        reached.get("/reach")


# --- tests -----------------------------------------------------------------------------------------------------------


def test_a_test_to_one_is_planned_in_the_org_of_the_row(reached: Client, org: Org) -> None:
    me = User.objects.get(name="Rina Wulandari")
    other = OrgFactory()
    AssignmentFactory(org=other, user=me)
    for one in (org, other):
        assert reached.post(f"/reach/{me.sso_id}/test-push", {"org": one.external_id}).status_code == 302
    with scopes_disabled():
        assert set(Push.objects.filter(kind="test").values_list("org", flat=True)) == {org.pk, other.pk}
    assert reached.post(f"/reach/{me.sso_id}/test-push", {"org": OrgFactory().external_id}).status_code == 404


def test_everyone_on_tier_1_is_tested_once_however_often_it_is_pressed(reached: Client, org: Org, clock: Any) -> None:
    person(org, "Sinta Tier Two", tier=2)
    person(OrgFactory(), "Somebody Else")
    first = reached.post("/reach/test", {"tab": "one", "org": org.external_id})
    assert (first.status_code, first.url) == (302, f"/reach?tab=one&org={org.external_id}")
    assert said(first) == "2 tests are on their way."
    again = reached.post("/reach/test")
    assert "everybody on tier 1 was tested less than 30 s ago" in said(again)
    assert names_tested() == ["Bayu Pratama", "Rina Wulandari"]
    assert "Test to Bayu Pratama" in text(reached.get("/reach"))
    clock.advance(seconds=31)
    reached.post("/reach/test")
    assert len(names_tested()) == 4


def test_two_rounds_at_once_test_everybody_once(transactional_db: None) -> None:
    org = OrgFactory()
    people = [(org, AssignmentFactory(org=org).user) for _ in range(3)]
    at_once = threading.Barrier(2)

    def press(_: int) -> int:
        at_once.wait()
        try:
            with scope(org=org.pk):
                return len(outbox.send_test_round(people, people[0][1])[0])
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(press, range(2))) == [0, 3]
    assert len(names_tested()) == 3


def test_a_round_is_bounded_and_says_who_is_left(reached: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(outbox, "TESTS_AT_ONCE", 1)
    assert said(reached.post("/reach/test")) == "1 test is on its way. 1 more person waits: press again."
    reached.post("/reach/test")
    assert names_tested() == ["Bayu Pratama", "Rina Wulandari"]


def test_only_leads_test_everybody(org: Org) -> None:
    AgentFactory(org=org)
    client = signed_in(person(org, "Rina"))
    assert "Test everyone" not in text(client.get("/reach"))
    client.post("/reach/test")
    assert names_tested() == []


# --- asking for phones -----------------------------------------------------------------------------------------------


def test_phones_are_asked_for_on_demand_but_not_all_the_time(reached: Client, standins: Any) -> None:
    me = User.objects.get(name="Rina Wulandari")
    standins.tokens({me.sso_id: 3})
    assert said(reached.post("/reach/ask")) == "Asked about the phones of 2 people."
    assert "3 phones" in text(reached.get("/reach"))
    assert "Asked less than 30 s ago" in said(reached.post("/reach/ask"))
    assert len(standins.log()) == 1


def test_no_answer_changes_nothing_and_is_said(reached: Client, standins: Any) -> None:
    standins.behave("down")
    assert "gave no answer: the phones are as they were" in said(reached.post("/reach/ask"))
    assert "1 phone" in text(reached.get("/reach"))


def test_while_two_ask_a_third_is_told_to_wait(reached: Client, standins: Any, monkeypatch: Any) -> None:
    """Each one that asks holds a slot of the pages until notification-service answers."""
    monkeypatch.setattr(tokens, "_asking", threading.BoundedSemaphore(1))
    with tokens._asking:
        assert "Other people are asking right now" in said(reached.post("/reach/ask"))
    assert standins.log() == []
    assert "Asked about the phones of 2 people." in said(reached.post("/reach/ask"))


def test_nothing_is_asked_or_sent_by_looking(reached: Client) -> None:
    for path in ("/reach/ask", "/reach/test"):
        assert reached.get(path).status_code == 405
        assert Client().post(path).status_code == 302


# --- CSV -------------------------------------------------------------------------------------------------------------


def table(response: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_the_csv_holds_the_filtered_rows_and_no_formula(reached: Client, org: Org) -> None:
    evil = AgentFactory(org=org, name="=HYPERLINK(1)")
    AgentFactory(name="Foreign")
    response = reached.get("/reach.csv")
    assert (response["Content-Type"], response["Cache-Control"]) == ("text/csv; charset=utf-8", "no-store")
    rows = table(response)
    assert {row["agent"] for row in rows} == {"Billing Bot", f"'{evil.name}"}
    assert (rows[0]["name"], rows[0]["reachable"], rows[0]["tokens"]) == ("Bayu Pratama", "yes", "1")
    assert rows[0]["last_delivered_at"].endswith("Z")
    assert table(reached.get("/reach.csv?tab=nobody")) == []


def test_the_csv_streams_from_the_real_server(transactional_db: None, ingest_port: int) -> None:
    org = OrgFactory()
    AgentFactory(org=org, name="Billing Bot")
    cookie = signed_in(supervisor_of(org)).cookies[settings.SESSION_COOKIE_NAME]
    address = f"http://127.0.0.1:{ingest_port}/reach.csv"
    request = urllib.request.Request(address, headers={"Cookie": f"{cookie.key}={cookie.value}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert b"Billing Bot" in answer.read()
