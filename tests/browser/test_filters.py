"""The filters of the board: the list of the page and the list of its script are one, and never chase each other."""

import re
from datetime import UTC, datetime
from itertools import product
from typing import Any

from django_scopes import scope
from playwright.sync_api import Page, Request, Route, expect

from alerts import actions
from alerts.models import Alert
from console.live.rows import render_rows
from console.pages.board import query as board
from orgs.models import User
from tests.browser.conftest import Site, live
from tests.factories import AgentFactory, AlertFactory, AssignmentFactory, OrgFactory, RoomFactory

SEARCHES = (
    *("ibu SARI", "Ïbu", "straße", "STRASSE", "ıstanbul", "İSTANBUL", "100%", "_", "“q”", "<b>", "\\", "é", "e\u0301"),
    *("ROOM-7", "bot", "nowhere", "sari room", '"', "'", "&amp;", "🙂"),
)
LABELS = (
    "Ibu Sari",
    "ÏBU",
    "Straße 5",
    "STRASSE",
    "Istanbul",
    "İstanbul",
    "100 %",
    "100%_x",
    "“Q” <b>",
    "a\\b",
    "É",
    "🙂",
)


def signals(*entries: tuple[str, int]) -> list[dict[str, Any]]:
    at = "2026-11-28T08:00:00+00:00"
    return [
        {"signal": signal, "count": 1, "first_at": at, "last_at": at, "severity": "info", "episode": episode}
        for signal, episode in entries
    ]


def many_alerts(site: Site) -> None:
    """Every way in which an alert can have a holder, signals of two episodes, and labels that are hard to fold."""
    org, (rina, bayu) = site.scene.org, site.scene.people
    agents = [AgentFactory(org=org, name=name) for name in ("Billing Bot", 'Kartu "Ä" & co')]
    came = {"intervened_by": bayu, "assigned_to": rina}
    resolved = {"state": "resolved", "resolved_at": site.scene.org.created_at}
    holders: list[dict[str, Any]] = [
        {},
        {"assigned_to": rina},
        {"state": "acknowledged", "acknowledged_by": rina},
        {"state": "acknowledged", "acknowledged_by": rina, "assigned_to": bayu},
        {"state": "intervened", "intervened_by": rina},
        {"state": "intervened", **came},
        {"state": "open", **came},
        {"state": "open", "intervened_by": rina},
        {**resolved, "intervened_by": rina},
        {**resolved, **came},
        {**resolved, "acknowledged_by": rina},
        resolved,
    ]
    for n, (holder, label) in enumerate(zip(holders, LABELS, strict=True)):
        said = signals(("agent_error", 1), ("message_cap", 2)) if n % 2 else signals(("agent_error", 2))
        room = RoomFactory(org=org, room_id=f"Room-{n}", label=label)
        severity = ("critical", "warning", "info")[n % 3]
        AlertFactory(org=org, room=room, agent=agents[n % 2], severity=severity, episode=2, signals=said, **holder)


def every_question(user: User) -> list[dict[str, str]]:
    """All filters in all combinations, and every search."""
    choices = {
        "severity": ("", "critical", "warning"),
        "agent": ("", "Billing Bot", 'Kartu "Ä" & co'),
        "signal": ("", "agent_error", "message_cap"),
        "org": ("", "elsewhere"),
        "mine": ("", "1"),
        "q": ("", "room-1"),
    }
    combined = [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
    combined += [{"q": search} for search in (*SEARCHES, str(Alert.objects.all()[0].pk).upper())]
    return [board.asked(board.BoardFilters(**{**asked, "mine": bool(asked.get("mine"))}), user) for asked in combined]


MATCHING = """async ([rows, questions]) => {
    const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
    const { matches } = await import(loaded.find((name) => /js.filters/.test(name)));
    const parsed = rows.map((html) => new DOMParser().parseFromString(html, "text/html").querySelector(".lm-row"));
    const found = (asked) => parsed.filter((row) => matches(row, asked)).map((row) => row.dataset.id).sort();
    return questions.map(found);
}"""


def test_the_page_and_its_script_find_the_same_alerts_for_every_filter(site: Site) -> None:
    rina = site.person(sso_id='ri na "1"')
    with scope(org=[site.scene.org.pk]):
        many_alerts(site)
        alerts = list(Alert.objects.values_list("pk", flat=True))
        rows = [row.html for row in render_rows(alerts, ["en"])["en"].values()]
        questions = every_question(rina)
        expected = [sorted(str(alert.pk) for alert in board.passing(Alert.objects.all(), q)) for q in questions]
    page = site.board(rina)
    found = page.evaluate(MATCHING, [rows, questions])
    assert {len(ids) for ids in expected} >= {0, 1, 2, 4, 6, 12}
    for question, ours, theirs in zip(questions, expected, found, strict=True):
        assert theirs == ours, question


def feed_loads(page: Page) -> list[str]:
    """The addresses at which the page asks for its list again, as it does."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if "partial=feed" in request.url:
            asked.append(request.url)

    page.on("request", note)
    return asked


def test_an_older_page_of_the_resolved_stands(site: Site) -> None:
    """Its rows are the server's; the script, which takes no new ones in here, does not throw them out."""
    site.fails("r1")
    actions.resolve(site.scene.alert("r1").pk, site.scene.people[1])
    page = site.page(site.scene.people[0])
    page.clock.install()
    asked = feed_loads(page)
    cursor = board.NEWEST_END.cursor(Alert(resolved_at=datetime.now(UTC), pk="ffffffff-ffff-7fff-bfff-ffffffffffff"))
    page.goto(f"/?tab=resolved&cursor={cursor}")
    live(page)
    page.clock.fast_forward(10_000)
    site.row(page, "r1").get_by_role("button", name="Confirmed").click()
    expect(site.row(page, "r1")).to_contain_text("You called it a real failure.")
    page.clock.fast_forward(10_000)
    expect(site.row(page, "r1")).to_be_visible()
    assert len(asked) <= 1


def answers_with(page: Page, old: str, new: str) -> None:
    """When the page loads its list again, this stands for that."""

    def change(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace(old, new))

    page.route(re.compile("partial=feed"), change)


def comes_with(page: Page, fact: str, value: str) -> None:
    """The page's list comes with another fact than the server gave it."""
    page.add_init_script(f"""document.addEventListener("readystatechange", () => {{
        if (document.readyState === "interactive") document.getElementById("feed").dataset.{fact} = '{value}';
    }})""")


def test_a_row_that_the_script_would_not_show_is_believed(site: Site) -> None:
    """Whatever the two may ever disagree about, the list does not blink and the service is not asked every second."""
    site.fails("r1")
    page = site.page(site.scene.people[0])
    page.clock.install()
    asked = feed_loads(page)

    comes_with(page, "asked", '{"severity": "purple"}')
    answers_with(page, "&quot;critical&quot;}", "&quot;purple&quot;}")
    page.goto("/?severity=critical")
    live(page)
    for _ in range(6):
        page.clock.run_for(1_100)
        expect(site.row(page, "r1")).to_be_visible()
    assert len(asked) <= 1


def test_a_page_that_never_agrees_with_its_feed_asks_ever_less(site: Site) -> None:
    page = site.page(site.scene.people[0])
    comes_with(page, "checksums", "{}")
    answers_with(page, 'data-checksums="', 'data-checksums="{}" data-stored="')
    site.fails("first")
    asked = feed_loads(page)
    page.goto("/")
    live(page)
    for n in range(12):
        site.fails(f"r{n}")
        expect(site.row(page, f"r{n}")).to_be_visible()
    assert 2 <= len(asked) <= 7


def test_the_board_of_one_org_counts_that_org_live(site: Site) -> None:
    quiet = OrgFactory(name="Toko Sari", external_id="toko-sari")
    AssignmentFactory(org=quiet, user=site.scene.people[0])
    AlertFactory(org=quiet)
    page = site.board(path="/?org=toko-sari")
    expect(page.locator("h1")).to_have_text("1 alert needs a human")
    site.fails("loud", customer_waiting_since=datetime.now(UTC).isoformat())
    expect(page.locator(".lm-side [data-waiting-count]")).to_have_text("2")
    expect(page.locator("h1")).to_have_text("1 alert needs a human")
    expect(page.locator("[data-figure=customers]")).to_contain_text("No customer is waiting")
    expect(page).to_have_title("(1) 1 needs a human · Live")
    page.goto(f"/?org={site.scene.org.external_id}")
    expect(page.locator("[data-figure=customers]")).to_contain_text("1 customer waiting")


def test_back_leaves_the_filters_as_the_address_has_them(site: Site) -> None:
    """Mutation: the browser puts back what was chosen, and the list of all alerts says that it is of critical ones."""
    site.fails("r1")
    page = site.board()
    page.locator("select[name=severity]").select_option("warning")
    page.wait_for_url("**/?severity=warning")
    page.locator(".lm-find input").fill("Ibu")
    page.go_back()
    page.wait_for_url(lambda address: "severity" not in address)
    expect(page.locator("select[name=severity]")).to_have_value("")
    expect(page.locator("select[name=agent]")).to_be_enabled()
    page.go_forward()
    page.wait_for_url("**/?severity=warning")
    expect(page.locator("select[name=severity]")).to_have_value("warning")
    expect(page.locator(".lm-find input")).to_have_value("")


def test_a_row_that_comes_over_the_socket_tells_twin_orgs_apart(site: Site) -> None:
    """Mutation: the rows of the page name the external id, those that come later do not."""
    org = site.scene.org
    OrgFactory(name=org.name.upper(), external_id="its-twin")
    page = site.board(site.person(is_specialist=True))
    site.fails("r1")
    expect(site.row(page, "r1").locator(".lm-meta-org")).to_have_text(f"{org.name} ({org.external_id})")
