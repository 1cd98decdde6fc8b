"""Runs go with their reviews when they are old; their sums stay. A room is forgotten with its runs."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db.models import Sum

from alerts import actions
from alerts.retention.erase import erase_person, erase_room
from alerts.retention.purge import Pace, purge
from orgs import clock
from runs.fold import fold_all
from runs.items import ReviewItem, RunItem
from runs.models import AgentQc, AgentRun, DayKpi, HourKpi, RoomSession
from runs.store import store_review_batches, store_run_batches
from tests.factories import AgentFactory, UserFactory
from tests.scene import Scene
from tests.test_figures_recount import START
from tests.test_runs_sums import accepted
from tests.test_state_machine import freeze

DAY = timedelta(days=1)


@pytest.fixture
def scene(db: None, system: None) -> Scene:
    return Scene()


def run(scene: Scene, at: datetime = START, room: str = "", **review: Any) -> UUID:
    """A run that took 42 s, and a review of it."""
    freeze(at + timedelta(minutes=1))
    item = RunItem(
        run_id=uuid4(),
        agent_name="Bot",
        input_kind="chat",
        started_at=at,
        ended_at=at + timedelta(seconds=42),
        resolution="resolved",
        room_id=room or None,
    )
    store_run_batches([(scene.source, [accepted(item, scene.org)])])
    said = ReviewItem(run_id=item.run_id, quality_score=4, **{"reviewer": "rina", **review})
    store_review_batches([(scene.source, [accepted(said, scene.org)])])
    assert item.run_id is not None
    return item.run_id


def purged(now: datetime) -> dict[str, int]:
    freeze(now)
    return {table: n for table, n in purge(now, pace=Pace(rests=0)).items() if n and table.startswith("runs_")}


def test_old_runs_go_with_their_reviews_and_their_sums_stay(scene: Scene) -> None:
    run(scene)
    young = run(scene, START + 60 * DAY)
    assert purged(START + 92 * DAY) == {"runs_agentrun": 1, "runs_agentqc": 1}
    assert AgentRun.objects.get().run_id == AgentQc.objects.get().run_id == young
    assert sums() == [{"n": 2, "good": 8}] * 2


def again(scene: Scene, run_id: UUID, at: datetime = START, **fields: Any) -> str:
    """The answer to a post of this run."""
    said: dict[str, Any] = {"agent_name": "Bot", "input_kind": "chat", "started_at": at} | fields
    item = RunItem(run_id=run_id, ended_at=at + timedelta(seconds=42), resolution="resolved", **said)
    ((result,),) = store_run_batches([(scene.source, [accepted(item, scene.org)])])
    return result.status


def sums() -> list[dict[str, int]]:
    """What hours and days add up to."""
    return [of.objects.aggregate(n=Sum("runs"), good=Sum("quality")) for of in (HourKpi, DayKpi)]


@pytest.mark.parametrize("fields", [{}, {"metadata": {"more": 1}}, {"agent_name": "Another"}])
def test_a_run_that_is_sent_again_after_its_purge_is_not_counted_again(scene: Scene, fields: dict[str, Any]) -> None:
    gone = run(scene)
    purged(START + 92 * DAY)
    before = sums()
    assert again(scene, gone, **fields) == "duplicate"
    assert sums() == before and not AgentRun.objects.exists()


@pytest.mark.parametrize("hours", [9, -16])
def test_a_run_that_is_sent_again_with_a_start_of_another_zone_is_not_counted_again(scene: Scene, hours: int) -> None:
    gone = run(scene)
    purged(START + 92 * DAY)
    before = sums()
    assert again(scene, gone, START + timedelta(hours=hours)) == "duplicate"
    assert sums() == before


def test_a_run_that_began_ahead_of_our_clock_is_known_after_its_purge_too(scene: Scene) -> None:
    gone, ahead = uuid4(), START + timedelta(hours=23)
    freeze(START)
    assert again(scene, gone, ahead) == "created"
    purged(START + 92 * DAY)
    assert again(scene, gone, ahead) == "duplicate"


def test_a_run_that_comes_late_for_the_first_time_is_counted_beside_purged_ones(scene: Scene) -> None:
    run(scene)
    purged(START + 92 * DAY)
    assert again(scene, uuid4()) == "created"
    assert sums() == [{"n": 2, "good": 4}] * 2


def test_a_review_of_a_purged_run_counts_nothing_however_often_it_is_sent(scene: Scene) -> None:
    gone = run(scene)
    purged(START + 92 * DAY)
    before = sums()
    for score in (4, 2):
        review = ReviewItem(run_id=gone, quality_score=score, reviewer="rina")
        store_review_batches([(scene.source, [accepted(review, scene.org)])])
        assert again(scene, gone) == "duplicate"
        fold_all()
    assert sums() == before


def test_a_run_of_an_erased_room_is_not_counted_again_nor_stored(scene: Scene) -> None:
    gone = run(scene, room="room-of-runs")
    erase_room(scene.org, "room-of-runs", clock.now())
    before = sums()
    assert again(scene, gone, room_id="room-of-runs") == "duplicate"
    assert sums() == before and not AgentRun.objects.exists()


def test_a_held_run_stays_with_its_review(scene: Scene) -> None:
    held = run(scene)
    specialist = UserFactory(is_specialist=True)
    actions.hold_run(scene.org, held, specialist, "Case 12")
    assert purged(START + 92 * DAY) == {} and AgentQc.objects.exists()
    actions.lift_run_hold(scene.org, held, specialist)
    assert purged(START + 92 * DAY) == {"runs_agentrun": 1, "runs_agentqc": 1}


def test_a_run_that_was_told_just_now_is_counted_first(scene: Scene) -> None:
    run(scene)
    AgentRun.objects.update(started_at=START - 200 * DAY, ended_at=START - 200 * DAY)
    assert purged(START + timedelta(hours=1)) == {}
    assert purged(START + 2 * DAY) == {"runs_agentrun": 1, "runs_agentqc": 1}


def test_a_review_whose_run_never_came_goes_too(scene: Scene) -> None:
    run(scene)
    AgentRun.objects.all().delete()
    assert purged(START + 92 * DAY) == {"runs_agentqc": 1}


def test_sessions_of_rooms_stay_as_long_as_alerts(scene: Scene) -> None:
    RoomSession.objects.create(
        org=scene.org, room="r1", agent=AgentFactory(org=scene.org), began_at=START, last_customer_at=START,
        ended_at=START, touched=True, contained=True, abandoned=False, settled=True, durable=True,
    )  # fmt: skip
    assert purged(START + 399 * DAY) == {}
    assert purged(START + 402 * DAY) == {"runs_roomsession": 1}


def test_a_room_is_forgotten_with_its_runs(scene: Scene) -> None:
    run(scene, room="room-of-runs")
    other = run(scene, room="elsewhere", notes="as in room-of-runs")
    certificate = erase_room(scene.org, "room-of-runs", clock.now())
    assert certificate.tables == {"runs_agentrun": 1, "runs_agentqc": 2} and certificate.remaining == 0
    assert AgentRun.objects.get().run_id == other
    assert AgentQc.objects.get().notes == "as in [erased]"


def test_a_reviewer_is_forgotten_and_the_score_stays(scene: Scene) -> None:
    person = scene.people[0]
    run(scene, reviewer=person.sso_id, notes=f"{person.name} was there")
    erase_person(person.sso_id, clock.now())
    review = AgentQc.objects.get()
    assert review.reviewer.startswith("erased-") and review.quality_score == 4
    assert person.sso_id not in f"{review.reviewer_key} {review.notes}" and person.name not in review.notes
