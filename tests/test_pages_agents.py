"""/agents: every agent in production, the worst first; the board leads to it, and it leads on."""

import re
from typing import Any

import pytest
from django.test import Client
from django_scopes import scopes_disabled

from alerts.models import Alert
from console.pages.agents import view
from console.pages.board import strip
from orgs import clock
from orgs.models import Org
from tests.api_client import signed_in, supervisor_of
from tests.factories import AgentFactory, AlertFactory, AssignmentFactory, OrgFactory, UserFactory
from tests.runs_made import made_run
from tests.test_pages import text


@pytest.fixture
def client(org: Org) -> Client:
    return signed_in(supervisor_of(org))


def names(page: Any) -> list[str]:
    """The agents of the table, in order."""
    return re.findall(r'<td><a href="/agents/[^"]*"><bdi>([^<]+)</bdi>', page.content.decode())


def test_the_board_leads_to_the_agents_that_its_strip_leaves_out(
    org: Org, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strip, "SHOWN", 2)
    for name in ("Quiet Bot", "Still Bot"):
        AgentFactory(org=org, name=name)
    AlertFactory(org=org, agent=AgentFactory(org=org, name="Loud Bot"))
    board = client.get("/").content.decode()
    assert re.search(r'<a class="lm-tile lm-tile--more" href="/agents">2 more agents</a>', board)
    page = client.get("/agents")
    assert names(page) == ["Loud Bot", "Quiet Bot", "Still Bot"]
    assert "Agents: 1 of 3 needs a look" in text(page)
    loud = page.content.decode()
    assert 'href="/agents/Loud%20Bot"' in loud and 'href="/?agent=Loud%20Bot"' in loud
    assert client.get("/agents/Loud%20Bot").status_code == 200


def test_the_healthy_ones_that_a_phone_folds_lead_there_too(
    org: Org, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strip, "judge_agent", lambda *_: "healthy")
    AgentFactory(org=org)
    head = client.get("/?partial=head").content.decode()
    assert re.search(r'<a class="lm-tile lm-tile--sum" href="/agents">.*?1 healthy</a>', head)


def test_agents_of_one_name_in_two_orgs_are_told_apart_and_lead_to_their_own(org: Org) -> None:
    """Mutation: a tile counts one org's alerts and leads to those of both."""
    other = OrgFactory(name="Toko Sari", external_id="toko-sari")
    for one in (org, other):
        AlertFactory(org=one, agent=AgentFactory(org=one, name="Billing Bot"))
    AlertFactory(org=org, agent=AgentFactory(org=org, name="Lone Bot"))
    both = supervisor_of(org)
    AssignmentFactory(org=other, user=both)
    board = signed_in(both).get("/").content.decode()
    tiles = re.findall(r'href="(/\?agent=Billing%20Bot[^"]*)"', board)
    assert tiles.count("/?agent=Billing%20Bot&amp;org=toko-sari") == 1
    assert 'href="/?agent=Lone%20Bot"' in board
    assert re.findall(r'class="lm-tile-org"><bdi>([^<]+)<', board) in ([org.name, "Toko Sari"], ["Toko Sari", org.name])
    listed = signed_in(both).get("/agents").content.decode()
    assert 'href="/agents/Billing%20Bot?org=toko-sari"' in listed
    assert 'href="/?agent=Billing%20Bot&amp;org=toko-sari"' in listed
    narrowed = signed_in(both).get("/agents?org=toko-sari")
    assert names(narrowed) == ["Billing Bot"] and '<option value="toko-sari" selected>' in narrowed.content.decode()


def test_what_no_org_of_mine_has_is_not_there(org: Org, client: Client) -> None:
    foreign = AgentFactory(name="Foreign Bot").org
    assert names(client.get("/agents")) == []
    assert "No agent in production yet" in text(client.get("/agents"))
    for query in (f"?org={foreign.external_id}", "?org=nobody"):
        assert client.get(f"/agents{query}").status_code == 404
    assert names(signed_in(UserFactory(is_specialist=True)).get("/agents")) == ["Foreign Bot"]
    assert Client().get("/agents").status_code == 302


def test_a_list_that_is_cut_says_so(org: Org, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "LISTED", 1)
    AgentFactory(org=org)
    AlertFactory(org=org, agent=AgentFactory(org=org, name="Loud Bot"))
    page = client.get("/agents")
    assert names(page) == ["Loud Bot"] and "1 more agent, none of them worse, is left out." in text(page)


def test_more_agents_cost_no_query_more(org: Org, client: Client, django_assert_max_num_queries: Any) -> None:
    AlertFactory(org=org, agent=AgentFactory(org=org))
    client.get("/agents")
    with django_assert_max_num_queries(45) as few:
        client.get("/agents")
    asked = len(few.captured_queries)
    for _ in range(5):
        AlertFactory(org=org, agent=AgentFactory(org=org))
    client.get("/agents")  # the menu's figure of reach is counted anew for new agents, once
    with django_assert_max_num_queries(asked):
        client.get("/agents")


def test_an_agents_page_leads_to_its_alerts_on_the_board(org: Org) -> None:
    """Ten are listed there. Mutation: whoever reads them takes them for all."""
    agent = AgentFactory(org=org, name="Loud Bot")
    other = OrgFactory(external_id="toko-sari")
    both = supervisor_of(org)
    AlertFactory(org=org, agent=agent)
    assert 'href="/?agent=Loud+Bot"' in signed_in(both).get("/agents/Loud%20Bot").content.decode()
    AssignmentFactory(org=other, user=both)
    page = signed_in(both).get("/agents/Loud%20Bot").content.decode()
    assert f'href="/?agent=Loud+Bot&amp;org={org.external_id}"' in page


def test_a_run_leads_to_the_alert_of_its_room_though_none_came_of_it(org: Org, client: Client) -> None:
    alert = AlertFactory(org=org)
    with scopes_disabled():
        room = Alert.objects.get(pk=alert.pk).room
    run = made_run(org, AgentFactory(org=org), clock.now(), room=room.room_id)
    page = client.get(f"/runs/{run.run_id}")
    assert "None came of it." in text(page) and f'href="/alerts/{alert.pk}"' in page.content.decode()
    for _ in range(11):
        made_run(org, AgentFactory(org=org), clock.now(), room=room.room_id)
    every = f'href="/runs?q={room.room_id}&amp;days=90&amp;org={org.external_id}"'
    for path in (f"/runs/{run.run_id}", f"/alerts/{alert.pk}"):  # which list ten of them
        assert every in client.get(path).content.decode(), path
    found = client.get(f"/runs?q={room.room_id}&days=90&org={org.external_id}").content.decode()
    assert len(re.findall(r'class="lm-num"><a href="/runs/', found)) == 12
    elsewhere = made_run(org, AgentFactory(org=org), clock.now(), room="another")
    assert "/alerts/" not in client.get(f"/runs/{elsewhere.run_id}").content.decode().split("<main")[1]
