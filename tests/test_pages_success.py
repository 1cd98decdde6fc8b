"""/success: cards, orgs, what is behind a figure, CSV; empty, filtered, foreign."""

import csv
import io
import re
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from alerts import actions, figures
from alerts.figures import METRICS, Estimate, Figure
from alerts.figures.covered import shared_coverage
from alerts.models import BlindInterval
from console.pages.success import view as success
from console.pages.success.words import comparison_words, say
from console.text.chart import PERCENT, line_chart
from orgs import clock
from orgs.models import Membership, Org
from tests.api_client import signed_in, supervisor_of
from tests.factories import AgentFactory, OrgFactory, UserFactory, reach
from tests.scene import Scene
from tests.tenants import seen

BEHIND = "/success/time_to_intervene_median_seconds"


@pytest.fixture
def scene(system: None, org: Org, noon: None) -> Scene:
    """A failure a human came to after 4 min, one nobody has come to, and one nobody need come to."""
    made = Scene(org)
    made.fails(room="helped", ago=300, room_label="Ibu Sari")
    made.happens("human_message", room="helped", ago=60)
    made.fails(room="alone", room_label="=cmd|' /C calc'!A1")
    made.happens("human_message", room="held", ago=60)
    made.fails("low_confidence", room="held")
    return made


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", strip_tags(response.content.decode())).replace("&#x27;", "'")


def rows(response: Any) -> list[dict[str, str]]:
    """The lines of a CSV, streamed or not."""
    body = b"".join(response).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(body)))


def test_a_card_says_figure_goal_n_interval_and_definition(scene: Scene) -> None:
    page = text(signed_in(scene.people[0]).get("/success"))
    for piece in (
        "Time to intervene, median 04:00 min",
        "goal 05:00 min or less",
        "too few for an interval",
        "baseline so far 04:00 min, n 2",
        "n 2 episodes",
        "1 not counted: A human was there",
        "A human came 1",
        "Nobody yet 1",
        "Within 1 min 0 % 95 %: 0 to 97.5 %",
        "Within 5 min 100 %",
        "Three quarters within 04:00 min",
        "From the first failure event of an episode to the first time a human opened the room",
        "data as of",
    ):
        assert piece in page


def test_without_data_it_says_so_and_never_zero(org: Org) -> None:
    page = signed_in(supervisor_of(org)).get("/success")
    assert text(page).count("No data") >= sum(not metric.same_as for metric in METRICS)
    assert "No failure event has come in" in text(page)
    assert '<svg class="lm-chart"' not in page.content.decode()
    assert "There is no agent in production yet." in text(page)


def test_agents_nobody_can_be_reached_for_are_named(scene: Scene) -> None:
    page = text(signed_in(scene.people[0]).get("/success"))
    assert "Agents with a reachable supervisor 0 of 1" in page
    assert "Billing Bot 2 people back it up, and no push is proven to reach one" in page
    reach(scene.people[0], scene.org)
    assert "Each agent in production has somebody a push reaches." in text(signed_in(scene.people[0]).get("/success"))


def test_orgs_stand_side_by_side_and_the_targeted_are_flagged(scene: Scene) -> None:
    other = Scene(OrgFactory(name="Kopi Selasar", targeted=True))
    other.fails("low_confidence")
    everybody = signed_in(UserFactory(is_specialist=True))
    page = everybody.get("/success")
    assert "Org by org" in text(page)
    assert re.search(r"Kopi Selasar\s*targeted", text(page))
    one = everybody.get(f"/success?org={other.org.external_id}")
    assert "Org by org" not in text(one)
    assert "n 1 failure event" in text(one)


@pytest.mark.parametrize(("left_out", "tone"), [(9, "ok"), (10, "ok"), (11, "none")])
def test_no_tick_where_more_is_left_out_than_counted(left_out: int, tone: str) -> None:
    figure = Figure(METRICS[0], Estimate(120.0, 10), Estimate(), {"came": 10, "human_present": left_out})
    said = comparison_words(figure)
    assert said is not None
    assert (said.tone, said.icon == "circle-check-f") == (tone, tone == "ok")


def test_the_goal_of_one_org_has_a_day(scene: Scene) -> None:
    Org.objects.filter(pk=scene.org.pk).update(ga_date=date(2026, 11, 4))
    page = text(signed_in(scene.people[0]).get("/success"))
    assert "goal 05:00 min or less due 2 Feb 2027" in page
    assert "goal: every agent due 4 Dec 2026" in page


def test_a_foreign_org_is_the_same_404(scene: Scene) -> None:
    client, foreign = signed_in(scene.people[0]), OrgFactory(name="Somebody else")
    for path in ("/success", "/success.csv", BEHIND, f"{BEHIND}.csv"):
        names = (foreign.external_id, "x" * len(foreign.external_id))
        answers = [client.get(f"{path}?org={name}") for name in names]
        assert [answer.status_code for answer in answers] == [404, 404]
        told = [seen(answer).replace(name.encode(), b"") for answer, name in zip(answers, names, strict=True)]
        assert told[0] == told[1]
    assert client.get("/success/no_such_figure").status_code == 404
    assert client.get("/success/no_such_figure.csv").status_code == 404


@pytest.mark.parametrize(
    ("query", "span"),
    [
        ("from=2026-01-05&to=2026-01-12", "5 Jan to 11 Jan 2026"),
        ("from=2025-12-30&to=2026-01-02", "30 Dec 2025 to 1 Jan 2026"),
        ("from=2026-01-05&to=2026-01-06", "5 Jan 2026,"),
    ],
)
def test_the_period_is_in_the_address(org: Org, query: str, span: str) -> None:
    assert span in text(signed_in(supervisor_of(org)).get(f"/success?{query}"))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "days=31",
        "days=x",
        "from=x&to=y",
        "from=2026-01-05",
        "from=2026-01-05&to=2026-01-05",
        "from=1026-01-05&to=2026-01-05",
    ],
)
def test_what_is_no_period_is_the_last_30_days(org: Org, query: str) -> None:
    page = signed_in(supervisor_of(org)).get(f"/success?{query}").content.decode()
    assert re.search(r'aria-current="true">\s*30 days', page)


def test_a_figure_leads_to_its_alerts_with_the_reason_of_each(scene: Scene) -> None:
    client = signed_in(scene.people[0])
    page = client.get("/success").content.decode()
    link = re.search(rf'href="({BEHIND}\?[^"]+)"', page)
    assert link
    behind = client.get(link[1].replace("&amp;", "&"))
    html = behind.content.decode()
    for room in ("helped", "alone", "held"):
        assert f"/alerts/{scene.alert(room).pk}" in html
    assert "04:00" in html
    assert "Not counted: A human was in the room when it began: there was nobody to wait for." in text(behind)
    only = client.get(f"{BEHIND}?outcome=came")
    assert "Ibu Sari" in text(only)
    assert f"/alerts/{scene.alert('alone').pk}" not in only.content.decode()
    assert client.get(f"{BEHIND}?outcome=nonsense&page=x").status_code == 200


@pytest.mark.slow
def test_every_figure_has_a_list(scene: Scene) -> None:
    actions.verdict(scene.alert("alone").pk, scene.people[0], "false_alarm")
    client = signed_in(scene.people[0])
    for metric in METRICS:
        for query in ("", "?days=7", "?from=2020-01-01&to=2020-02-01"):
            page = client.get(f"/success/{metric.name}{query}")
            assert page.status_code == 200
        assert rows(client.get(f"/success/{metric.name}.csv"))


def test_a_long_list_has_pages_without_gap_or_repeat(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(success, "PAGE", 2)
    for n in range(4):
        scene.fails(room=f"r{n}")
    client, listed, path = signed_in(scene.people[0]), [], "/success/muted_pct"
    while path:
        page = client.get(path).content.decode()
        listed += re.findall(r'href="/alerts/([0-9a-f-]+)"', page)
        older = re.search(r'href="(\?[^"]*)">Older', page)
        path = f"/success/muted_pct{older[1].replace('&amp;', '&')}" if older else ""
    assert len(listed) == len(set(listed)) == 7
    assert client.get("/success/muted_pct?page=999999999999").status_code == 200


def test_a_list_reads_the_same_backwards_also_at_one_moment_and_without_alerts(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(success, "PAGE", 2)
    at = clock.now()
    for n in range(3):
        scene.fails("low_confidence", room=f"fine{n}", confidence=0.9, threshold=0.5, occurred_at=at)
    client, path, seen = signed_in(scene.people[0]), "", {"Older": [], "Newer": []}
    for way, pages in seen.items():
        while True:
            html = client.get(f"/success/follow_up_15min_pct{path}").content.decode()
            pages.append(re.findall(r"<bdi>([^<]+)</bdi></(?:td|a)>", html))
            link = re.search(rf'href="(\?[^"]*)">{way}', html)
            if link is None:
                break
            path = link[1].replace("&amp;", "&")
    assert sum(map(len, seen["Older"])) == 12  # of six things, the room and the agent
    assert seen["Newer"] == seen["Older"][::-1]


def test_the_csv_of_the_figures_is_what_is_shown(scene: Scene) -> None:
    Scene(OrgFactory(external_id="=HYPERLINK(1)")).fails()
    lines = rows(signed_in(UserFactory(is_specialist=True)).get("/success.csv?days=7"))
    assert list(lines[0]) == list(success.FIGURE_COLUMNS)
    assert lines[0]["org"] == ""
    n = len(METRICS)
    assert {line["org"] for line in lines[n : 3 * n : n]} == {scene.org.external_id, "'=HYPERLINK(1)"}
    assert [line["metric"] for line in lines[:n]] == [metric.name for metric in METRICS]
    assert float(lines[0]["value"]) == pytest.approx(240, abs=1)
    trend = [line for line in lines[3 * n :] if line["metric"] == "with_confidence_pct"]
    assert len(trend) == 7
    assert sum(int(line["n"]) for line in trend) == 4
    days = [date.fromisoformat(line["from"]) for line in trend]
    assert days == [days[0] + timedelta(days=n) for n in range(7)]


def test_the_csv_of_a_list_is_streamed_and_safe(scene: Scene) -> None:
    answer = signed_in(scene.people[0]).get(f"{BEHIND}.csv")
    assert answer.streaming
    assert "attachment" in answer["Content-Disposition"]
    lines = rows(answer)
    assert list(lines[0]) == list(success.ITEM_COLUMNS)
    assert {(line["room"], line["outcome"], line["counted"]) for line in lines} == {
        ("helped", "came", "yes"),
        ("alone", "open", "yes"),
        ("held", "human_present", "no"),
    }
    assert {line["label"] for line in lines} == {"Ibu Sari", "'=cmd|' /C calc'!A1", ""}


def test_names_are_inert(scene: Scene) -> None:
    evil = "<img src=x onerror=alert(1)>"
    AgentFactory(org=scene.org, name=evil)
    scene.fails(room=evil, room_label=evil, agent_name=evil)
    client = signed_in(scene.people[0])
    for path in ("/success", BEHIND, "/success/coverage_pct"):
        assert evil not in client.get(path).content.decode()


def test_signed_out_people_see_nothing(db: None) -> None:
    for path in ("/success", "/success.csv", BEHIND, f"{BEHIND}.csv"):
        assert Client().get(path).url == f"/accounts/login/?next={path}"


def test_more_orgs_cost_no_query_more(scene: Scene, django_assert_max_num_queries: Any) -> None:
    client = signed_in(UserFactory(is_specialist=True))
    client.get("/success")
    success.shared_counts.clear()
    shared_coverage.clear()
    with django_assert_max_num_queries(40) as few:
        client.get("/success")
    for _ in range(4):
        Scene(OrgFactory()).fails()
    with django_assert_max_num_queries(len(few.captured_queries)):
        client.get("/success")


def test_the_tabs_of_a_list_are_counted_anew_when_something_happens(
    scene: Scene, django_assert_max_num_queries: Any
) -> None:
    client = signed_in(scene.people[0])
    with django_assert_max_num_queries(40) as counted:
        before = client.get(BEHIND).context["tabs"][0]["n"]
    with django_assert_max_num_queries(len(counted.captured_queries) - 1):
        client.get(BEHIND)
    scene.fails(room="third")
    assert client.get(BEHIND).context["tabs"][0]["n"] == before + 1


def test_the_boards_median_of_today_is_the_same_figure(scene: Scene) -> None:
    scene.fails(room="third", ago=420)
    scene.happens("human_opened", room="third", ago=60)
    page = text(signed_in(scene.people[0]).get("/"))
    assert "median time to intervene today 5 min, n 3" in page


def test_a_board_where_too_few_were_reached_says_so(scene: Scene) -> None:
    for room in ("a", "b"):
        scene.fails(room=room, ago=420)
    assert "median time to intervene today not reached, n 4" in text(signed_in(scene.people[0]).get("/"))
    assert "Time to intervene, median Not reached" in text(signed_in(scene.people[0]).get("/success"))


# --- when we could not see -------------------------------------------------------------------------------------------


def go_blind(**facts: Any) -> None:
    """From 20 to 13 min ago, because we were down, or because of a source."""
    now = clock.now()
    times = {"starts": now - timedelta(minutes=20), "ends": now - timedelta(minutes=13)}
    BlindInterval.objects.create(**{"cause": "down", **times, **facts})


def test_when_we_could_not_see_is_said_and_shaded(scene: Scene) -> None:
    page = signed_in(scene.people[0]).get("/success")
    assert "Blind for" not in text(page)
    assert "c-blind" not in page.content.decode()
    go_blind()
    go_blind(
        org=scene.org, source=scene.source, cause="source_silent", starts=clock.now() - timedelta(minutes=9), ends=None
    )
    page = signed_in(scene.people[0]).get("/success")
    assert "Blind for 16 min of this time" in text(page)
    assert f"because nothing came from {scene.source.name}." in text(page)
    assert "because we were down." in text(page)
    assert "1 more time" in text(page)
    assert "c-blind" in page.content.decode()
    assert "Blind for" not in text(signed_in(scene.people[0]).get("/success?from=2026-01-05&to=2026-01-12"))


def test_what_began_while_we_were_blind_is_left_out_and_counted(scene: Scene) -> None:
    go_blind(starts=clock.now() - timedelta(seconds=400), ends=clock.now() - timedelta(seconds=200))
    page = text(signed_in(scene.people[0]).get("/success"))
    assert "1 not counted: It began while we were blind" in page
    assert "1 not counted: We were blind" in page


def test_sources_say_when_one_of_theirs_was_silent(scene: Scene) -> None:
    other = Scene(OrgFactory(name="Kopi Selasar"))
    go_blind(org=scene.org, source=scene.source, cause="source_silent")
    Membership.objects.create(org=scene.org, user=scene.people[0], role=Membership.Role.LEAD)
    Membership.objects.create(org=other.org, user=other.people[0], role=Membership.Role.LEAD)
    assert "Blind for 7 min in the last 24 hours" in text(signed_in(scene.people[0]).get("/sources"))
    assert "Blind for" not in text(signed_in(other.people[0]).get("/sources"))
    everybody = text(signed_in(UserFactory(is_specialist=True)).get("/sources"))
    assert f"because nothing came from {scene.source.name} about {scene.org.name}." in everybody


# --- the chart -----------------------------------------------------------------------------------------------------


def test_a_missing_value_is_a_gap() -> None:
    chart = line_chart([10, 20, None, 30], ["a", "b", "c", "d"], [], PERCENT, str)
    assert chart is not None
    assert len(chart.dots) == 3
    assert chart.paths == ["M40.0 114.4 L126.7 90.8"]
    assert line_chart([None, None], ["a", "b"], [("target", 70.0, "goal")], PERCENT, str) is None


def test_a_short_blind_stretch_can_be_seen_and_none_leaves_the_chart() -> None:
    values: list[float | None] = [10.0, 20.0, 30.0]
    chart = line_chart(values, ["a", "b", "c"], [], PERCENT, str, [(-3.0, 0.2), (1.5, 1.501), (2.9, 9.0)])
    assert chart is not None
    assert [(shade.x, shade.width) for shade in chart.shades] == [(40.0, 2.0), (170.0, 2.0), (298.0, 2.0)]


def test_a_time_that_misses_its_goal_by_less_than_a_second_does_not_read_as_the_goal() -> None:
    median = figures.BY_NAME["time_to_intervene_median_seconds"]
    said = [say(median, seconds) for seconds in (299.4, 300.0, 300.2)]
    assert said == [f"{clock}\N{NO-BREAK SPACE}min" for clock in ("04:59", "05:00", "05:01")]


def test_words_beside_lines_do_not_cover_each_other() -> None:
    chart = line_chart([70], ["a"], [("target", 70.0, "goal"), ("baseline", 71.0, "baseline")], PERCENT, str)
    assert chart is not None
    places = sorted(rule.text_y for rule in chart.rules)
    assert all(b - a >= 14 for a, b in pairwise(places))
    assert [tick.label for tick in chart.levels] == ["0", "50.0", "100"]


def test_figures_are_counted_once_for_all_who_see_the_same_until_something_happens(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, counted = figures.count_figures, []

    def counting(*asked: Any) -> figures.CountedFigures:
        counted.append(asked)
        return count(*asked)

    monkeypatch.setattr(figures, "count_figures", counting)
    client = signed_in(scene.people[0])
    first = rows(client.get("/success.csv"))
    assert rows(client.get("/success.csv")) == first
    assert len(counted) == 1
    client.get("/success.csv?days=7")
    assert len(counted) == 2
    scene.fails(room="another")
    assert rows(client.get("/success.csv")) != first
    go_blind()
    client.get("/success.csv")
    assert len(counted) == 4
