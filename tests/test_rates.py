"""Failures per 100 runs on the board: equal to a recount, no data below 20 runs, words where no runs are sent."""

import random
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils.html import strip_tags

from alerts.items import Accepted
from alerts.models import FailureEvent
from console.pages.board import strip
from console.pages.board.rates import FailureRate, day_before, usual_hours
from orgs import clock as database_clock
from orgs.models import Org
from runs.items import RunItem
from runs.models import AgentRun
from runs.store import store_run_batches
from tests.api_client import signed_in
from tests.factories import OrgFactory
from tests.scene import Scene

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(org: Org) -> Scene:
    return Scene(org)


def ran(scene: Scene, started: list[datetime], **facts: Any) -> None:
    """Runs of Billing Bot that started then, and are not over."""
    items = [
        RunItem(run_id=uuid4(), **{"agent_name": "Billing Bot", "input_kind": "chat", "started_at": at, **facts})
        for at in started
    ]
    store_run_batches([(scene.source, [Accepted(n, scene.org.pk, one, b"") for n, one in enumerate(items)])])


def tile(scene: Scene) -> strip.Tile:
    (found,) = strip.tiles([scene.org.pk], database_clock.now())
    return found


def head(scene: Scene) -> str:
    page = signed_in(scene.people[0]).get("/?partial=head").content.decode()
    return re.sub(r"\s+", " ", strip_tags(page))


# --- the rule ---------------------------------------------------------------------------------------------------------


def test_below_20_runs_there_is_no_data() -> None:
    few, enough = FailureRate(3, 19), FailureRate(3, 20)
    assert (few.per_100, few.interval.low) == (None, None)
    assert (enough.per_100, round(enough.interval.low or 0, 1), round(enough.interval.high or 0, 1)) == (
        15.0,
        5.2,
        36.0,
    )


def test_more_failures_than_runs_have_a_rate_and_no_interval() -> None:
    rate = FailureRate(30, 20)
    assert (rate.per_100, rate.interval.low) == (150.0, None)
    assert rate.is_above(FailureRate(1, 100), 3)


@pytest.mark.parametrize(
    ("rate", "usual", "state"),
    [
        ((9, 40), (20, 1000), "degraded"),
        ((3, 40), (20, 1000), "healthy"),  # 7.5 against 2, but of 40 runs: it may be chance
        ((9, 19), (20, 1000), "no_data"),
        ((0, 40), (0, 19), "no_data"),
        ((1, 40), (0, 1000), "degraded"),
        ((1, 40), (0, 20), "healthy"),
    ],
)
def test_degraded_is_surely_beyond_three_times_the_usual(
    rate: tuple[int, int], usual: tuple[int, int], state: str
) -> None:
    assert strip.judge_rate(FailureRate(*rate), FailureRate(*usual), heard=True) == state


def test_without_data_of_its_source_it_is_never_healthy() -> None:
    assert strip.judge_rate(FailureRate(0, 40), FailureRate(0, 1000), heard=False) == "no_data"


# --- a recount --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_tile_equals_a_recount_of_runs_and_failures(scene: Scene, seed: int) -> None:
    chance, now = random.Random(seed), database_clock.now()
    hours = usual_hours(now)
    edges = [hours[0], hours[0] + timedelta(hours=1), hours[-1], now - timedelta(hours=1), now - timedelta(days=8)]
    started = [now - timedelta(seconds=chance.uniform(0, 7200)) for _ in range(60)] + edges
    started += [chance.choice(hours) + timedelta(seconds=chance.uniform(-1800, 5400)) for _ in range(80)]
    ran(scene, started)
    for n in range(12):
        scene.fails(key=f"e{n}", room=f"r{n}")
        at = now - timedelta(seconds=chance.uniform(0, 7200)) if n % 2 else chance.choice(hours) + timedelta(minutes=n)
        FailureEvent.objects.filter(event_id=f"e{n}").update(received_at=at)
    scene.fails("low_confidence", confidence=0.9)  # no failure
    other = Scene(OrgFactory())
    ran(other, started)
    found = tile(scene)

    def fell(at: datetime) -> bool:
        return any(hour <= at < hour + timedelta(hours=1) for hour in hours)

    runs = list(AgentRun.objects.filter(org=scene.org).values_list("started_at", flat=True))
    failures = FailureEvent.objects.filter(org=scene.org).exclude(reason="above_threshold")
    received = list(failures.values_list("received_at", flat=True))
    recent = now - timedelta(hours=1)
    assert found.rate == FailureRate(sum(at > recent for at in received), sum(at > recent for at in runs))
    assert found.usual == FailureRate(sum(map(fell, received)), sum(map(fell, runs)))


def test_a_failure_that_is_told_twice_is_one(scene: Scene) -> None:
    run = uuid4()
    now = database_clock.now()
    ran(scene, [now] * 30)
    scene.fails(key="sent", run_id=run)
    scene.fails(key="again", run_id=run)
    assert tile(scene).rate == FailureRate(1, 30)


def test_an_agent_that_runs_seldom_is_judged_by_its_day_and_the_week_before(scene: Scene) -> None:
    now = database_clock.now()
    start, middle = day_before(now)
    lately = [now - timedelta(minutes=40 * n) for n in range(30)]
    ran(
        scene, [*lately, *[middle - timedelta(hours=2 * n, seconds=1) for n in range(80)], start - timedelta(seconds=1)]
    )
    for n, at in enumerate([now, middle, middle - timedelta(seconds=1), start, start - timedelta(seconds=1)]):
        scene.fails(key=f"e{n}", room=f"r{n}")
        FailureEvent.objects.filter(event_id=f"e{n}").update(received_at=at)
    found = tile(scene)
    assert (found.seldom, found.rate, found.usual) == (True, FailureRate(2, 30), FailureRate(2, 80))
    assert "6.7 failures per 100 runs in 24 h" in head(scene)
    ran(scene, [now] * 20)
    assert not tile(scene).seldom


# --- what the board says ----------------------------------------------------------------------------------------------


def test_the_board_says_failures_per_100_runs(scene: Scene) -> None:
    ran(scene, [database_clock.now() - timedelta(minutes=1)] * 40)
    for n in range(2):
        scene.fails(room=f"r{n}")
    said = head(scene)
    assert "5.0 failures per 100 runs" in said
    assert "n 40, 95 %: 1.4 to 16.5" in said
    assert "usual unknown: 0 of 20 runs" in said
    assert "per hour" not in said


def test_with_too_few_runs_it_says_so(scene: Scene) -> None:
    ran(scene, [database_clock.now() - timedelta(minutes=1)] * 7)
    scene.fails()
    assert "– no data: 7 of 20 runs in 24 h" in head(scene)


def test_where_no_runs_are_sent_it_says_that_and_counts_per_hour(scene: Scene) -> None:
    scene.fails()
    assert "1 failure per hour" in head(scene)
    assert "no runs are sent" in head(scene)
    ran(scene, [database_clock.now() - timedelta(days=8)])  # long ago
    assert "no runs are sent" in head(scene)
    ran(scene, [database_clock.now() - timedelta(days=6)])
    assert "no data: 0 of 20 runs in 24 h" in head(scene)
