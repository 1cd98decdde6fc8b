"""The pages of runs and their figures in a browser: drawn, accessible, and every mark leads to its runs."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django_scopes import scopes_disabled
from playwright.sync_api import Page, expect

from orgs import clock
from orgs.models import Agent
from runs.models import AgentRun
from tests.browser.conftest import PHONE, Site, check_looks
from tests.factories import AgentFactory, OrgFactory
from tests.runs_made import reviewed, run_of, stored

# Where a mark is on its canvas, by what it is of.
PLACE = """([name, at]) => {
  const place = document.querySelector(`[data-chart=${name}]`);
  const chart = window.echarts.getInstanceByDom(place);
  const [x, y] = chart.convertToPixel({ seriesIndex: 0 }, at);
  return { x, y };
}"""


@pytest.fixture
def runs(site: Site) -> list[AgentRun]:
    """Runs of two agents of the last three days, some reviewed."""
    with scopes_disabled():
        names = ("Billing Bot", "Order Tracker")
        agents: list[Agent] = [AgentFactory(org=site.scene.org, name=name) for name in names]
        made = stored(
            run_of(
                site.scene.org,
                agent,
                site.scene.source,
                clock.now() - timedelta(hours=3 * n, minutes=1),
                20.0 + n,
                resolution=("resolved", "resolved", "escalated", "failed")[n % 4],
                room=f"r{n}",
                agent_version="2.0" if n < 8 else "1.0",
                channel="whatsapp",
                cost_usd=Decimal("0.01"),
                sla_target_seconds=30,
                review_count=int(n % 4 == 0),
                review_sum=3 if n % 4 == 0 else 0,
                metadata={"ticket_id": "T-1"},
            )
            for agent in agents
            for n in range(24)
        )
        reviewed(made[0], 3, notes="Slow.")
    return made


def drawn(page: Page, path: str) -> None:
    page.goto(path)
    for place in page.locator("[data-chart]").all():
        expect(place).to_have_attribute("data-drawn", "true")


def test_filters_stand_beside_the_days_in_the_longer_language_too(site: Site, runs: list[AgentRun]) -> None:
    OrgFactory(name="Another")
    page = site.page(site.person(is_specialist=True, locale="id"))
    page.goto("/kpis")
    days, filters = (page.locator(f".lm-bar > {one}").bounding_box() for one in (".lm-tabs", ".lm-filters"))
    assert days and filters
    assert abs(days["y"] - filters["y"]) < days["height"] / 2
    lines = page.locator(".lm-nav a").evaluate_all("links => links.map((one) => one.offsetHeight)")
    assert len(set(lines)) <= 2  # the brand's and all others'


@pytest.mark.parametrize("language", ["en", "id"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    site: Site, runs: list[AgentRun], language: str
) -> None:
    page = site.page(site.person(locale=language))
    site.fails("r0", run_id=str(runs[0].run_id))
    for path in ("/kpis", "/runs", f"/runs/{runs[0].run_id}", "/agents/Billing%20Bot"):
        drawn(page, path)
        for summary in page.locator("main .lm-as-table > summary").all():
            summary.click()
        check_looks(page, f"{path} {language}", colours=language == "en")


def test_from_a_mark_to_its_runs_to_the_run_to_its_alert_and_back(site: Site, runs: list[AgentRun]) -> None:
    site.fails("r0", run_id=str(runs[0].run_id))
    page = site.page(site.scene.people[0])
    drawn(page, "/kpis?days=7")
    spot = page.evaluate(PLACE, ["scr", [1, "Billing Bot"]])
    page.locator("[data-chart=scr]").click(position={"x": spot["x"] + 2, "y": spot["y"]})
    expect(page.locator("[data-n]")).to_have_text("n 24")
    page.locator("main tbody a").first.click()
    expect(page.locator("main")).to_contain_text("T-1")
    page.get_by_role("link", name="See the alert it came to").click()
    page.get_by_role("link", name="Billing Bot 2.0").click()
    expect(page).to_have_url(f"{site.web.url}/runs/{runs[0].run_id}?org={site.scene.org.external_id}")


def test_a_day_of_the_line_leads_to_its_runs(site: Site, runs: list[AgentRun]) -> None:
    page = site.page(site.scene.people[0])
    drawn(page, "/kpis?days=7")
    n = page.evaluate("JSON.parse(document.getElementById('charts').textContent).art.n.at(-2)")
    spot = page.evaluate(PLACE, ["art", [5, 0]])
    page.locator("[data-chart=art]").click(position={"x": spot["x"], "y": spot["y"] - 40})
    expect(page.locator("[data-n]")).to_have_text(f"n {n}")


# A mark of each other kind: where it is, and how many runs it says it is of.
MARKS = {
    "esc": "{ at: [chart.convertToPixel({ seriesIndex: 0 }, [62, spec.labels[0]])], n: spec.counts[1][0] }",
    "sla": "{ at: [chart.convertToPixel({ seriesIndex: 0 }, [spec.n.length - 2, 100])], n: spec.n.at(-2) }",
    "cpr": "{ at: [chart.convertToPixel({ seriesIndex: 0 }, [spec.x[0], spec.y[0]])], n: spec.n[0] }",
    "rq": (
        "{ at: [chart.convertToPixel({ seriesIndex: 0 },"
        " [spec.cells[1][0], spec.labels.length - 1 - spec.cells[1][1]])], n: spec.cells[1][3] }"
    ),
}
MARK = """() => {
  const spec = JSON.parse(document.getElementById("charts").textContent).%s;
  const chart = window.echarts.getInstanceByDom(document.querySelector("[data-chart=%s]"));
  return %s;
}"""


@pytest.mark.parametrize("name", sorted(MARKS))
def test_a_mark_of_every_chart_leads_to_as_many_runs_as_it_says(site: Site, runs: list[AgentRun], name: str) -> None:
    page = site.page(site.scene.people[0])
    drawn(page, "/kpis?days=7")
    mark = page.evaluate(MARK % (name, name, MARKS[name]))
    (x, y) = mark["at"][0]
    assert mark["n"]
    page.locator(f"[data-chart={name}]").click(position={"x": x, "y": y + (20 if name == "sla" else 0)})
    expect(page.locator("[data-n]")).to_have_text(f"n {mark['n']}")


def test_the_table_opens_by_keyboard_and_leads_to_the_runs(site: Site, runs: list[AgentRun]) -> None:
    page = site.page(site.scene.people[0])
    drawn(page, "/kpis?days=7")
    table = page.get_by_role("region", name="As a table: Escalation")
    expect(table).to_be_hidden()
    page.locator("[aria-labelledby=w-esc] summary").focus()
    page.keyboard.press("Enter")
    expect(table).to_be_visible()
    for _ in range(4):  # the table, the agent, its resolved runs, its escalated runs
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Escalated runs")
    expect(page.locator("[data-n]")).to_have_text("n 6")


def test_without_scripts_there_are_the_tables(site: Site, runs: list[AgentRun]) -> None:
    page = site.page(site.scene.people[0], java_script_enabled=False)
    page.goto("/kpis")
    expect(page.get_by_role("region", name="As a table: Quality")).to_be_visible()
    expect(page.locator("[data-chart=art]")).to_be_hidden()


def test_filters_go_into_the_address(site: Site, runs: list[AgentRun]) -> None:
    page = site.page(site.scene.people[0])
    drawn(page, "/kpis?days=7")
    page.get_by_label("Agent", exact=True).select_option("Billing Bot")
    expect(page.locator("[aria-labelledby=w-scr]")).to_contain_text("n 24 runs")
    assert "agent=Billing+Bot" in page.url
    page.get_by_label("Version").select_option("1.0")
    expect(page.locator("[aria-labelledby=w-scr]")).to_contain_text("n 16 runs")


def test_the_filters_of_a_phone_open_as_a_sheet(site: Site, runs: list[AgentRun]) -> None:
    page = site.page(site.scene.people[0], size=PHONE)
    drawn(page, "/kpis?days=7")
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Channel").select_option("whatsapp")
    expect(page.locator("[aria-labelledby=w-scr]")).to_contain_text("n 48 runs")
    assert "channel=whatsapp" in page.url
