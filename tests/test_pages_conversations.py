"""How conversations went, on /kpis and /agents/<name>: the API's figures, n, maturing, unknown, file, empty."""

import csv
import html
import io
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.utils.html import strip_tags
from django_scopes import scopes_disabled

from orgs import clock
from orgs.models import Agent, Org
from runs.containment import _count_days
from runs.models import RoomSession
from tests.api_client import signed_in, supervisor_of
from tests.factories import AgentFactory, OrgFactory, SourceFactory, UserFactory
from tests.runs_made import run_of, stored

API_NAMES = (
    *("containment_rate", "resolution_rate", "abandoned_pct", "durable_resolution_7d"),
    *("deflection_rate", "human_touched_unknown_pct"),
)
STATS = ("Containment", "Resolution", "Abandoned", "Resolved for 7 days", "Deflection")


@pytest.fixture
def client(org: Org) -> Client:
    return signed_in(supervisor_of(org))


def talked(agent: Agent, began: Iterable[datetime], **facts: Any) -> None:
    """Sessions of an agent, one that began at each of these moments, and their days, as the sweep leaves them."""
    usual = {"touched": True, "contained": True, "settled": True, "abandoned": False, "durable": None}
    moments = list(began)
    with scopes_disabled():
        RoomSession.objects.bulk_create(
            RoomSession(
                org=agent.org, room=f"{agent.name}-{at}", began_at=at, last_customer_at=at, agent=agent,
                **usual | facts,
            )
            for at in moments
        )  # fmt: skip
        with connection.cursor() as cursor:
            _count_days(cursor, {(agent.org_id, at.astimezone(ZoneInfo(agent.org.zone)).date()) for at in moments})


def ago(n: int, **since: float) -> list[datetime]:
    """So many moments, the last so long ago, a second apart."""
    return [clock.now() - timedelta(**since) - timedelta(seconds=k) for k in range(n)]


def ran(agent: Agent, n: int, **facts: Any) -> None:
    """So many ended runs of three days ago."""
    source, at = SourceFactory(org=agent.org), clock.now() - timedelta(days=3)
    stored([run_of(agent.org, agent, source, at - timedelta(seconds=k), 10.0, **facts) for k in range(n)])


@pytest.fixture
def agents(org: Org) -> list[Agent]:
    """Two agents of two orgs: some of their conversations are old, some new, of some runs it is unknown who acted."""
    agents = [AgentFactory(org=org, name="Order Tracker")]
    agents.append(AgentFactory(org=OrgFactory(external_id="other", zone="America/New_York"), name="Billing Bot"))
    for agent_n, agent in enumerate(agents):
        talked(agent, ago(24, days=10), durable=True)
        talked(agent, ago(3, days=9), durable=False)
        talked(agent, ago(5 + agent_n, days=4))
        talked(agent, ago(2, days=3), contained=False, settled=False, abandoned=True)
        talked(agent, ago(6 - agent_n, minutes=1), settled=False)
        source, at = SourceFactory(org=agent.org), clock.now() - timedelta(days=3)
        stored(
            run_of(
                agent.org, agent, source, at - timedelta(hours=k), 10.0, human_touched=(None, True, False)[k % 3],
                touched=(None, True, False)[k % 3],
            )
            for k in range(33 + agent_n)
        )  # fmt: skip
    return agents


def card(answer: Any) -> str:
    found = re.search(r'<section class="lm-card lm-talks".*?</section>', answer.content.decode(), re.DOTALL)
    assert found
    return found[0]


def said(markup: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(strip_tags(re.sub(r"</(td|th|p|h\d|dt|dd)>", " ", markup)))).strip()


def table(answer: Any) -> list[list[str]]:
    body = re.search(r"<tbody>(.*?)</tbody>", card(answer), re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", body[1], re.DOTALL) if body else []
    return [[said(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]


def stats(answer: Any) -> dict[str, str]:
    """What each of the five says."""
    found = re.findall(r"<div><h3>(.*?)</h3>(.*?)</div>", card(answer), re.DOTALL)
    return {title: said(rest) for title, rest in found}


def lines(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))


def of_api(client: Client, days: int = 14) -> dict[str, dict[str, Any]]:
    """The figures of the API, of as many days as the page's."""
    starts = (clock.now() - timedelta(days=days - 1)).date()
    rows = client.get(f"/api/kpis?from={starts}").json()["results"]
    return {row["agent_name"]: row for row in rows}


def test_each_agent_has_the_figures_of_the_api_with_their_n(agents: list[Agent]) -> None:
    client = signed_in(UserFactory(is_specialist=True))
    names = {row["agent"]: row for row in lines(client.get("/kpis.csv?days=14&widget=conversations"))}
    api = of_api(client)
    assert set(names) == set(api) == {"Order Tracker", "Billing Bot"}
    for name, row in api.items():
        for figure in API_NAMES:
            assert float(names[name][figure]) == pytest.approx(row[figure], abs=1e-6), figure
        assert names[name]["maturing"] == "true"
        assert row["maturing"] is True
    shown = {row[0].split(" · ")[0]: row[1:] for row in table(client.get("/kpis?days=14"))}
    assert shown["Order Tracker"] == [
        "40 6 maturing",
        "95.0 %",
        "80.0 %",
        "5.0 %",
        "88.9 % n 27, 5 not yet old enough",
        "50.0 % n 22, 33.3 % unknown",
    ]
    assert shown["Billing Bot"][0] == "40 5 maturing"
    assert shown["Billing Bot"][3:] == [
        "5.0 %",
        "88.9 % n 27, 6 not yet old enough",
        "50.0 % n 22, 35.3 % unknown",
    ]


def test_a_lead_sees_their_org_alone(agents: list[Agent], client: Client) -> None:
    assert [row[0] for row in table(client.get("/kpis?days=14"))] == ["Order Tracker"]
    assert [row["org"] for row in lines(client.get("/kpis.csv?days=14&widget=conversations"))] == [
        agents[0].org.external_id
    ]
    assert "n 40" in stats(client.get("/kpis?days=14"))["Containment"]
    assert client.get("/kpis.csv?widget=conversations&org=other").status_code == 404


def test_the_five_figures_stand_for_all_agents_together(agents: list[Agent]) -> None:
    found = stats(signed_in(UserFactory(is_specialist=True)).get("/kpis?days=14"))
    assert tuple(found) == STATS
    for title, piece in (
        ("Containment", "95.0 % n 80 maturing"),
        ("Resolution", "81.2 % n 80 maturing"),
        ("Abandoned", "5.0 % n 80 maturing"),
        ("Resolved for 7 days", "88.9 % n 54, 11 not yet old enough"),
        ("Deflection", "50.0 %"),
    ):
        assert found[title].startswith(piece), found[title]
    assert "maturing" not in found["Resolved for 7 days"]


def test_nothing_of_a_period_that_is_over_for_a_day_matures(agents: list[Agent], client: Client) -> None:
    here = clock.now().astimezone(ZoneInfo(agents[0].org.zone))
    starts, ends = ((here - timedelta(days=days)).date() for days in (12, 2))
    answer = client.get(f"/kpis?from={starts}&to={ends}")
    assert [row[1] for row in table(answer)] == ["34"]
    assert not any("maturing" in one for one in stats(answer).values())
    (row,) = lines(client.get(f"/kpis.csv?from={starts}&to={ends}&widget=conversations"))
    assert (row["maturing"], row["maturing_sessions"]) == ("false", "0")


def test_the_file_holds_what_the_table_shows(agents: list[Agent]) -> None:
    client = signed_in(UserFactory(is_specialist=True))
    rows = table(client.get("/kpis?days=14&org=other"))
    file = lines(client.get("/kpis.csv?days=14&org=other&widget=conversations"))
    assert [
        [
            row["agent"],
            f"{row['sessions']} {row['maturing_sessions']} maturing",
            *[f"{float(row[name]):.1f} %" for name in ("containment_rate", "resolution_rate", "abandoned_pct")],
            f"{float(row['durable_resolution_7d']):.1f} % n {row['old_enough']}, "
            f"{row['not_yet_old_enough']} not yet old enough",
            f"{float(row['deflection_rate']):.1f} % n {row['touched_known']}, "
            f"{float(row['human_touched_unknown_pct']):.1f} % unknown",
        ]
        for row in file
    ] == [[row[0].split(" · ")[0], *row[1:]] for row in rows]
    whole = b"".join(client.get("/kpis.csv?days=14")).decode()
    assert whole.count("\nconversations,") == 2


@pytest.mark.parametrize(("n", "few"), [(19, True), (20, False)])
def test_fewer_than_20_are_not_compared(org: Org, client: Client, n: int, few: bool) -> None:
    agent = AgentFactory(org=org, name="Bot")
    ran(agent, 1)
    talked(agent, ago(n, days=3))
    talked(agent, ago(30, days=10), contained=False, settled=False)
    found = stats(client.get("/kpis?days=7"))["Containment"]
    assert (f"n {n}: too few to compare" in found) is few
    assert ("100.0 points above the period before" in found) is not few


def test_what_is_maturing_is_left_out_of_the_comparison(org: Org, client: Client) -> None:
    """Conversations of the last hour are not over, thus not resolved: that is no fall."""
    agent = AgentFactory(org=org, name="Bot")
    ran(agent, 1)
    talked(agent, ago(30, days=3))
    talked(agent, ago(30, minutes=1), settled=False)
    talked(agent, ago(30, days=10))
    found = stats(client.get("/kpis?days=7"))["Resolution"]
    assert found.startswith("50.0 % n 60")
    assert found.endswith("as in the period before")


def test_without_a_conversation_it_says_so_and_the_runs_keep_their_figure(org: Org, client: Client) -> None:
    ran(AgentFactory(org=org, name="Bot"), 21, touched=False)
    answer = client.get("/kpis?days=7")
    assert "No conversation began in this period." in said(card(answer))
    assert table(answer) == [["Bot", "0 0 maturing", "–", "–", "–", "– n 0", "100.0 % n 21"]]
    assert stats(answer)["Containment"] == "No data n 0"


def test_an_agent_of_which_no_run_is_known_has_its_conversations_all_the_same(org: Org, client: Client) -> None:
    ran(AgentFactory(org=org, name="Bot"), 1)
    talked(AgentFactory(org=org, name="Reports failures only"), ago(2, days=3))
    assert [row[0] for row in table(client.get("/kpis?days=7"))] == ["Reports failures only", "Bot"]


def test_the_filters_of_the_address_hold_for_conversations_too(org: Org, client: Client) -> None:
    agent = AgentFactory(org=org, name="Bot")
    ran(agent, 3, channel="web")
    talked(agent, ago(2, days=3), channel="web")
    talked(agent, ago(4, days=3, minutes=10), channel="whatsapp")
    assert [row[1] for row in table(client.get("/kpis?days=7"))] == ["6 0 maturing"]
    assert [row[1] for row in table(client.get("/kpis?days=7&channel=web"))] == ["2 0 maturing"]
    href = re.search(r'href="([^"]*widget=conversations)"', card(client.get("/kpis?days=7&channel=web")))
    assert href
    assert [row["sessions"] for row in lines(client.get(html.unescape(href[1])))] == ["2"]


def test_deflection_leads_to_the_runs_of_which_it_is_known(agents: list[Agent], client: Client) -> None:
    urls = set(re.findall(r'href="(/runs[^"]+)"', card(client.get("/kpis?days=14"))))
    assert len(urls) == 2
    for url in urls:
        assert "data-n>n 22<" in client.get(html.unescape(url)).content.decode()


def test_each_figure_says_how_it_is_counted(agents: list[Agent], client: Client) -> None:
    words = said(card(client.get("/kpis?days=14")))
    for piece in ("How it is counted", "no human wrote", "the last 25 h", "data as of", "Unknown is not counted."):
        assert piece in words, piece


def test_the_page_of_an_agent_says_the_same_of_it_alone(agents: list[Agent]) -> None:
    client = signed_in(UserFactory(is_specialist=True))
    answer = client.get("/agents/Billing Bot?days=14")
    assert stats(answer) == stats(client.get("/kpis?days=14&agent=Billing+Bot&org=other"))
    assert table(answer) == []
