"""/kpis, /runs, /runs/<id>, /agents/<name>: figures, links to exactly the runs behind them, files, empty, foreign."""

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags
from django_scopes import scopes_disabled

from alerts.models import BlindInterval
from console.pages.runs import view as runs_view
from orgs import clock
from orgs import clock as database_clock
from orgs.models import Agent, Org
from runs.models import AgentRun, PurgedRuns
from tests.api_client import signed_in, supervisor_of
from tests.factories import AgentFactory, OrgFactory, SourceFactory, UserFactory
from tests.runs_made import made_run, reviewed, run_of, stored
from tests.scene import Scene

NAMES = ("art", "scr", "esc", "sla", "cpr", "rq")


@pytest.fixture
def agents(org: Org) -> list[Agent]:
    return [AgentFactory(org=org, name=name) for name in ("Order Tracker", "Billing Bot")]


@pytest.fixture
def runs(agents: list[Agent]) -> list[AgentRun]:
    """Three days of runs of two agents: slow and fast, dear and cheap, reviewed and not, one that has not ended."""
    return stored(list(_some_runs(agents)))


def _some_runs(agents: list[Agent]) -> Iterator[AgentRun]:
    now, source = clock.now(), SourceFactory(org=agents[0].org)
    for agent_n, agent in enumerate(agents):
        for n in range(30):
            yield run_of(
                agent.org,
                agent,
                source,
                now - timedelta(hours=2 * n + 1, minutes=7),
                None if n == 4 else 10.0 * (1 + agent_n),
                channel="web" if n % 2 else "whatsapp",
                resolution="" if n == 4 else ("resolved", "resolved", "escalated", "failed")[n % 4],
                self_corrected=n % 3 == 0,
                sla_target_seconds=15 if n % 5 else None,
                cost_usd=Decimal("0.01") * (agent_n + 1) if n % 7 else None,
                review_count=int(n % 6 == 0),
                review_sum=4 if n % 6 == 0 else 0,
            )


@pytest.fixture
def client(org: Org) -> Client:
    return signed_in(supervisor_of(org))


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(strip_tags(answer.content.decode())))


def charts(answer: Any) -> dict[str, Any]:
    found = re.search(r'<script id="charts" type="application/json">(.*?)</script>', answer.content.decode())
    return json.loads(found[1]) if found else {}


def lines(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))


def listed(client: Client, url: str) -> int:
    """How many runs a list has, read page by page; what it says at its top is the same."""
    said, n, path = None, 0, url
    while path:
        answer = client.get(path)
        assert answer.status_code == 200
        page = answer.content.decode()
        n += len(re.findall(r'href="/runs/[0-9a-f-]{36}', page))
        told = re.search(r"data-n>n ([\d,]+)<", page)
        assert told, url
        said = int(told[1].replace(",", ""))
        older = re.search(r'href="(\?[^"]*cursor=[^"]*)">Older', page)
        path = "/runs" + html.unescape(older[1]) if older else ""
    assert n == said
    return n


# --- the widgets -----------------------------------------------------------------------------------------------------


def test_each_widget_says_figure_n_and_how_fresh_it_is(runs: list[AgentRun], client: Client) -> None:
    page = text(client.get("/kpis"))
    for piece in (
        "Average resolution time",
        "15.0 s",
        "n 58 ended runs, 2 not ended",
        "33.3 % of runs",
        "n 60 runs",
        "% of ended runs",
        "0 of 14 escalations were expected",
        "% within target",
        "n 46 runs with a target",
        "per resolved run",
        "n 50 runs with a cost, 10 without",
        "4.0 of 5",
        "n 10 reviewed of 60 runs",
        "data as of",
    ):
        assert piece in page, piece


def test_the_seeds_own_example_shows_in_every_widget_but_quality(org: Org, client: Client) -> None:
    agent, start = AgentFactory(org=org, name="support-triage"), datetime(2025, 10, 10, 2, 15, 30, tzinfo=UTC)
    cost = Decimal("0.0342")
    run = made_run(org, agent, start, self_corrected=True, cost_usd=cost, sla_target_seconds=600)
    page = client.get("/kpis?from=2025-10-10&to=2025-10-11")
    for piece in ("42.0 s", "100.0 % of runs", "0.0 % of ended runs", "100.0 % within target", "$0.034 per resolved"):
        assert piece in text(page), piece
    assert "n 1: too few to compare" in text(page)
    assert "No run of this period has been reviewed." in text(page)
    reviewed(run, 4)


@pytest.mark.parametrize("query", ["?days=7", "?days=1", "?days=14&bucket=week", "?days=7&channel=web", "?days=90"])
def test_behind_every_mark_are_exactly_its_runs(runs: list[AgentRun], client: Client, query: str) -> None:
    found = charts(client.get(f"/kpis{query}"))
    marks = [
        pair for name in ("art", "sla", "scr", "cpr") if name in found for pair in _pairs(found[name], "n", "urls")
    ]
    for part in range(3):
        marks += zip(found["esc"]["counts"][part], found["esc"]["part_urls"][part], strict=True)
    if "rq" in found:
        marks += [(cell[3], url) for cell, url in _pairs(found["rq"], "cells", "cell_urls")]
    assert sum(n > 0 for n, _ in marks) > 10
    for n, url in {url: (n, url) for n, url in marks if n}.values():
        assert listed(client, url) == n, url


def _pairs(chart: dict[str, Any], *names: str) -> list[Any]:
    return list(zip(*(chart[name] for name in names), strict=True))


def test_behind_each_figure_are_exactly_its_runs(runs: list[AgentRun], client: Client) -> None:
    page = client.get("/kpis?days=7").content.decode()
    urls = re.findall(r'<h2 id="w-\w+"><a href="([^"]+)"', page)
    assert [listed(client, html.unescape(url)) for url in urls] == [58, 60, 58, 46, 50, 10]


def test_a_mark_of_orgs_in_different_zones_leads_to_the_runs_of_each_ones_day(runs: list[AgentRun]) -> None:
    org = OrgFactory(zone="America/New_York")
    agent, source, now = AgentFactory(org=org, name="Order Tracker"), SourceFactory(org=org), clock.now()
    stored([run_of(org, agent, source, now - timedelta(hours=n)) for n in range(1, 60)])
    client = signed_in(UserFactory(is_specialist=True))
    found = charts(client.get("/kpis?days=7"))
    for n, url in zip(found["art"]["n"], found["art"]["urls"], strict=True):
        assert n == 0 or listed(client, url) == n
    assert sum(found["scr"]["n"]) == 119
    for n, url in zip(found["scr"]["n"], found["scr"]["urls"], strict=True):
        assert listed(client, url) == n


def test_the_table_of_a_widget_and_its_file_hold_the_same(runs: list[AgentRun], client: Client) -> None:
    page = client.get("/kpis?days=7").content.decode()
    for name in NAMES:
        section = re.search(rf'aria-labelledby="w-{name}".*?</section>', page, re.DOTALL)
        assert section
        assert "<table" in section[0]
        file = lines(client.get(f"/kpis.csv?days=7&widget={name}"))
        assert len(file) == section[0].count("<tr>") - 1
    whole = b"".join(client.get("/kpis.csv?days=7")).decode()
    assert all(f"\n{name.upper()}," in whole for name in NAMES)
    assert client.get("/kpis.csv?widget=nothing").status_code == 404


def test_when_we_could_not_see_is_shaded_and_said(runs: list[AgentRun], client: Client) -> None:
    now = clock.now()
    BlindInterval.objects.create(cause="down", starts=now - timedelta(hours=49), ends=now - timedelta(hours=48.5))
    page = client.get("/kpis?days=7")
    assert "30 min blind" in text(page)
    assert len(charts(page)["art"]["blind"]) == 1
    assert client.get("/kpis?days=1").content.decode().count("lm-blind-key") == 0


def test_without_scripts_the_tables_stand_open(runs: list[AgentRun], client: Client) -> None:
    assert client.get("/kpis").content.decode().count('<details class="lm-as-table" open>') == len(NAMES)


def test_an_agent_that_fails_more_is_named_and_an_sla_below_90_is_critical(
    runs: list[AgentRun], client: Client
) -> None:
    page = text(client.get("/kpis?days=7"))
    assert "below 90 %" in page
    assert "Billing Bot 24.1 %, limit 20.0 %" in page or "Order Tracker 24.1 %, limit 20.0 %" in page


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/kpis", "No data yet No run has come in."),
        ("/runs", "No data yet No run has come in."),
        ("/kpis?channel=fax", "Nothing matches"),
        ("/runs?state=open", "No data yet No run has come in."),
    ],
)
def test_empty_says_which(org: Org, client: Client, path: str, said: str) -> None:
    assert said in text(client.get(path))


@pytest.mark.parametrize("path", ["/kpis", "/runs"])
def test_an_empty_period_of_an_org_with_runs_says_so(runs: list[AgentRun], client: Client, path: str) -> None:
    assert "No data No run has started in this period." in text(client.get(f"{path}?from=2020-01-01&to=2020-02-01"))


@pytest.mark.parametrize(
    "query",
    ["days=x", "from=x&to=y", "from=2026-01-05", "bucket=minute", "at=x", "from=0001-01-01&to=9999-12-31", "days=31"],
)
def test_what_is_no_period_is_the_last_14_days(runs: list[AgentRun], client: Client, query: str) -> None:
    page = client.get(f"/kpis?{query}").content.decode()
    assert re.search(r'aria-current="true">14 days', page)


def test_the_filters_are_in_the_address_and_a_link_freezes_the_range(runs: list[AgentRun], client: Client) -> None:
    page = client.get("/kpis?days=7&agent=Billing+Bot&channel=web&input_kind=ticket").content.decode()
    for choice in ("Billing Bot", "web", "ticket"):
        assert f'<option value="{choice}" selected>' in page
    frozen = re.search(r'data-copy="([^"]+)"', page)
    assert frozen
    assert "from=20" in frozen[1]
    assert "days=" not in frozen[1]
    assert charts(client.get(html.unescape(frozen[1])))["scr"]["labels"] == ["Billing Bot"]


def some(agent: Agent, n: int, days_ago: int, **facts: Any) -> None:
    """So many runs of one agent, of that day."""
    source, at = SourceFactory(org=agent.org), clock.now() - timedelta(days=days_ago, hours=1)
    stored([run_of(agent.org, agent, source, at - timedelta(seconds=k), 10.0, **facts) for k in range(n)])


@pytest.mark.parametrize(("n", "said"), [(19, "n 19: too few to compare"), (20, "Bot 2.0, limit 3.5")])
def test_quality_is_held_against_its_limit_from_20_reviewed_runs_on(
    org: Org, client: Client, n: int, said: str
) -> None:
    some(AgentFactory(org=org, name="Bot"), n, 1, review_count=1, review_sum=2)
    page = client.get("/kpis?days=7").content.decode()
    section = re.search(r'aria-labelledby="w-rq".*?</section>', page, re.DOTALL)
    assert section
    assert said in section[0]
    assert ("limit 3.5" in section[0]) is (n == 20)


@pytest.mark.parametrize(("before", "said"), [(0, False), (19, False), (20, True)])
def test_an_sla_that_nobody_met_in_the_period_before_is_said_too(
    org: Org, client: Client, before: int, said: bool
) -> None:
    some(AgentFactory(org=org), 25, 1, sla_target_seconds=60)
    some(AgentFactory(org=org), before, 9, sla_target_seconds=5)
    assert ("0.0 % in the period before" in text(client.get("/kpis?days=7"))) is said


def test_cost_is_compared_by_the_runs_that_have_one(org: Org, client: Client) -> None:
    some(AgentFactory(org=org), 25, 1, cost_usd=Decimal("0.02"))
    some(AgentFactory(org=org), 1, 9, cost_usd=Decimal("0.01"))
    some(AgentFactory(org=org), 30, 9)
    assert "above the period before" not in text(client.get("/kpis?days=7"))


def test_a_bubble_says_how_many_runs_it_leads_to(org: Org, client: Client) -> None:
    agent = AgentFactory(org=org, name="Bot")
    some(agent, 5, 1, cost_usd=Decimal("0.02"), review_count=1, review_sum=4)
    some(agent, 3, 3)
    chart = charts(client.get("/kpis?days=7"))["cpr"]
    assert (chart["sizes"], chart["n"]) == ([8], [5])
    assert chart["says"] == ["$0.020 a run, quality 4.0, n 5"]
    assert listed(client, chart["urls"][0]) == 5


@pytest.mark.parametrize("bucket", ["hour", "day", "week", "month", "total"])
def test_each_row_of_a_table_has_a_cell_for_each_head(runs: list[AgentRun], client: Client, bucket: str) -> None:
    page = client.get(f"/kpis?days=7&bucket={bucket}").content.decode()
    tables = re.findall(r'<table class="table lm-points">(.*?)</table>', page, re.DOTALL)
    assert len(tables) == len(NAMES)
    for table in tables:
        heads, *rows = table.split("<tr>")[1:]
        assert {row.count("<td") for row in rows} == {heads.count("<th ")}


@pytest.mark.parametrize(("reader", "there"), [("America/Los_Angeles", "Asia/Jakarta"), ("Asia/Tokyo", "Asia/Jakarta")])
@pytest.mark.parametrize("hour", [3, 20])
def test_the_last_days_hold_the_newest_runs_wherever_the_reader_is(
    clock: Any, reader: str, there: str, hour: int
) -> None:
    """It is tomorrow already where the org is, or still yesterday: its days are meant, up to its newest."""
    org, at = OrgFactory(zone=there), database_clock.now()
    clock.advance(seconds=((hour - at.hour) % 24) * 3600)
    made_run(org, AgentFactory(org=org, name="Bot"), database_clock.now() - timedelta(minutes=5))
    client = signed_in(supervisor_of(org, zone=reader))
    for days in (1, 7):
        assert "n 1 ended runs" in text(client.get(f"/kpis?days={days}")), days
        assert listed(client, f"/runs?days={days}") == 1


# --- the list of runs ------------------------------------------------------------------------------------------------


def test_runs_are_found_by_id_room_and_agent(runs: list[AgentRun], client: Client, org: Org) -> None:
    old = made_run(org, AgentFactory(org=org, name="Kopi"), clock.now() - timedelta(days=200), room="room-77")
    recent = made_run(org, AgentFactory(org=org, name="Teh Manis"), clock.now() - timedelta(hours=1), room="room-78")
    for wanted, run in ((str(old.run_id), old), ("room-78", recent), ("teh", recent)):
        page = client.get("/runs", {"q": wanted}).content.decode()
        assert re.findall(r'href="/runs/([0-9a-f-]{36})', page) == [str(run.run_id)]
    assert "Nothing matches" in text(client.get("/runs?q=room-77"))


def test_a_long_list_has_pages_without_gap_or_repeat(
    runs: list[AgentRun], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_view, "PAGE", 7)
    assert listed(client, "/runs?days=7") == 60


def test_the_file_of_runs_is_the_whole_list_streamed_and_safe(
    runs: list[AgentRun], client: Client, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_view, "AT_ONCE", 7)
    made_run(org, AgentFactory(org=org, name="=cmd|' /C calc'!A1"), clock.now() - timedelta(hours=1))
    answer = client.get("/runs.csv?days=7")
    assert answer.streaming
    found = lines(answer)
    assert len(found) == len({one["run_id"] for one in found}) == 61
    assert "'=cmd|' /C calc'!A1" in {one["agent"] for one in found}
    assert len(lines(client.get("/runs.csv?days=7&resolution=failed"))) == 14


def test_what_was_purged_is_said_to_have_been_counted(runs: list[AgentRun], client: Client) -> None:
    with scopes_disabled():
        AgentRun.objects.all().delete()
    assert "No longer kept" in text(client.get("/runs?days=7"))


def test_a_list_of_which_a_part_was_purged_says_why_it_is_shorter(
    runs: list[AgentRun], client: Client, org: Org
) -> None:
    said = "Of the older days the numbers stay"
    assert said not in text(client.get("/runs?days=7"))
    gone = [run for run in runs if run.started_at < clock.now() - timedelta(hours=40)]
    with scopes_disabled():
        PurgedRuns.objects.create(org=org, day=gone[0].started_at.date(), run_ids=[run.run_id for run in gone])
        AgentRun.objects.filter(pk__in=[run.pk for run in gone]).delete()
    page = text(client.get("/runs?days=7"))
    assert said in page and "n 60" in page
    assert said not in text(client.get("/runs?days=1"))


# --- one run ---------------------------------------------------------------------------------------------------------


def test_a_run_shows_what_was_said_of_it_with_its_reviews_room_and_alert(system: None, org: Org) -> None:
    scene = Scene(org)
    agent = AgentFactory(org=org, name="Kopi")
    run = made_run(
        org, agent, clock.now() - timedelta(minutes=2), room="r1", metadata={"shop_id": "hotrodan"}, flags=["masked"]
    )
    other = made_run(org, AgentFactory(org=org, name="Teh"), clock.now() - timedelta(minutes=3), room="r1")
    reviewed(run, 2, notes="Polite.", rubric={"tone": 5})
    reviewed(run, 5, replaced_at=clock.now(), notes="At first.")
    scene.fails(room="r1", run_id=run.run_id)
    client, alert = signed_in(scene.people[0]), scene.alert("r1")
    page = client.get(f"/runs/{run.run_id}")
    for piece in (
        "Kopi",
        "hotrodan",
        "personal data was masked",
        "2 of 5",
        "Polite.",
        "tone 5",
        "At first.",
        "replaced",
    ):
        assert piece in text(page), piece
    assert f'href="/alerts/{alert.pk}"' in page.content.decode()
    assert f'href="/runs/{other.run_id}' in page.content.decode()
    back = client.get(f"/alerts/{alert.pk}").content.decode()
    assert f'href="/runs/{run.run_id}' in back
    assert f'href="/runs/{other.run_id}' in back


@pytest.mark.parametrize("query", ["", "?org=nobody"])
def test_a_run_of_another_org_does_not_exist(runs: list[AgentRun], query: str) -> None:
    stranger = signed_in(supervisor_of(OrgFactory()))
    assert stranger.get(f"/runs/{runs[0].run_id}{query}").status_code == 404


# --- one agent -------------------------------------------------------------------------------------------------------


def test_an_agent_shows_figures_signals_alerts_versions_and_runs(system: None, org: Org) -> None:
    scene, now = Scene(org), clock.now()
    agent, source = AgentFactory(org=org, name="Billing Bot"), SourceFactory(org=org)
    stored(
        [
            run_of(org, agent, source, now - timedelta(days=day, hours=1), 10.0, agent_version=version)
            for version, day in (("1.0", 9), ("2.0", 3))
            for _ in range(25)
        ]
    )
    scene.fails(room="r1", room_label="Ibu Sari")
    client = signed_in(scene.people[0])
    page = client.get("/agents/Billing Bot")
    found = charts(page)
    assert [mark["text"] for mark in found["art"]["marks"]] == ["Billing Bot 2.0"]
    assert [mark["text"] for mark in found["signals"]["marks"]] == ["2.0"]
    assert sum(found["signals"]["parts"][0]["values"]) == 1
    assert "Ibu Sari" in text(page)
    assert "2.0 25 10.0 s adjusted 10.0 s" in text(page)
    assert f"/alerts/{scene.alert('r1').pk}" in page.content.decode()
    assert client.get(f"/agents/{agent.pk}").status_code == 200
    stats = re.findall(r'<p class="lm-fig"><a href="([^"]+)"', page.content.decode())
    assert listed(client, html.unescape(stats[0])) == 50


def test_an_agent_without_runs_says_so(org: Org, agents: list[Agent], client: Client) -> None:
    assert "No data yet No run has come in." in text(client.get("/agents/Billing Bot"))


@pytest.mark.parametrize("path", ["/kpis", "/kpis.csv", "/runs", "/runs.csv", "/agents/Billing Bot"])
def test_a_foreign_org_is_the_same_404_as_an_unknown_one(runs: list[AgentRun], client: Client, path: str) -> None:
    foreign = AgentFactory(name="Billing Bot").org
    assert [client.get(path, {"org": name}).status_code for name in (foreign.external_id, "nobody")] == [404, 404]
    assert Client().get(path).status_code == 302


def test_names_are_inert(org: Org, client: Client) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    run = made_run(org, AgentFactory(org=org, name=evil), clock.now(), room=evil, agent_version=evil, channel=evil)
    for path in ("/kpis", "/runs", f"/runs/{run.run_id}", f"/agents/{evil}"):
        assert evil not in client.get(path).content.decode(), path


@pytest.mark.parametrize("path", ["/kpis", "/runs", "/agents/Billing Bot"])
def test_more_agents_cost_no_query_more(
    runs: list[AgentRun], client: Client, org: Org, path: str, django_assert_max_num_queries: Any
) -> None:
    client.get(path)
    with django_assert_max_num_queries(60) as few:
        client.get(path)
    asked = len(few.captured_queries)
    stored(list(_some_runs([AgentFactory(org=org) for _ in range(3)])))
    client.get(path)  # the menu's figure of reach is counted anew for new agents, once
    with django_assert_max_num_queries(asked):
        client.get(path)
