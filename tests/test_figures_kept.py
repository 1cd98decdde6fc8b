"""Days that are over are counted once; what changes later counts as in a plain recount, whenever they were closed."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alerts import actions, figures
from alerts.figures import listing
from alerts.figures.closing import AT_ONCE, close_days
from alerts.models import Alert, BlindInterval, FailureEvent, KeptFigures
from orgs.paging import Place
from tests.examples import at_most
from tests.scene import Scene
from tests.test_figures_recount import GAP, START, STEP, Recount, by_hand, check, check_baselines, go_blind, play
from tests.test_state_machine import freeze

DAY = timedelta(days=1)
PARTS = st.lists(st.lists(STEP, min_size=2, max_size=8), min_size=3, max_size=3)


def closed(now: datetime) -> int:
    """Close days until none is left: how many there are then."""
    freeze(now)
    while close_days(now) == AT_ONCE:
        pass
    return KeptFigures.objects.count()


@given(
    stories=st.lists(PARTS, min_size=2, max_size=2),
    ahead=st.sampled_from([0, 1, 3, 40]),
    gaps=st.lists(st.lists(GAP, max_size=1), min_size=3, max_size=3),
)
@settings(
    max_examples=at_most(25, usually=12),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_kept_days_are_a_plain_recount_however_late_they_change(
    db: None, stories: list[Any], ahead: int, gaps: list[Any]
) -> None:
    """Days are closed between the parts, at a time that is `ahead` of the story: all that follows comes late."""
    with transaction.atomic(), scopes_disabled():
        scenes = [Scene(), Scene()]
        scenes[1].org.zone = "America/Los_Angeles"
        scenes[1].org.save()
        ends = [START, START]
        for parts, found in zip(zip(*stories, strict=True), gaps, strict=True):
            ends = [play(*one) for one in zip(scenes, parts, ends, strict=True)]
            closed(max(ends) + timedelta(days=ahead))
            go_blind(scenes, found)
        now = max(ends) + timedelta(days=max(ahead, 2))
        kept = closed(now)
        first, last = START - 2 * DAY, now + DAY
        period = figures.period(first.date(), last.date(), now)
        orgs = [scene.org for scene in scenes]
        assert kept or not FailureEvent.objects.exclude(reason="late").exists()
        success = figures.measure(orgs, period, "UTC", now)
        recounts = [Recount(org, *period.window(org.zone), now) for org in orgs]
        check(success.overall, by_hand(recounts))
        for org, recount in zip(orgs, recounts, strict=True):
            check(success.of_org[org.pk], by_hand([recount]))
        check_baselines(success, orgs, now)
        KeptFigures.objects.all().delete()
        assert figures.measure(orgs, period, "UTC", now) == success
        transaction.set_rollback(True)


# --- one at a time ---------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(db: None, system: None) -> Scene:
    return Scene()


def of_yesterday(scene: Scene) -> KeptFigures:
    """A failure long ago that nobody saw to, and its day, closed."""
    freeze(START)
    scene.fails("agent_error", room="room-1")
    closed(START + 2 * DAY)
    return KeptFigures.objects.get(org=scene.org, counts__has_key="muted_pct")


def test_a_day_is_counted_when_it_is_over_and_not_before(scene: Scene) -> None:
    freeze(START)  # 22:30 of its org
    scene.fails("agent_error", room="room-1")
    assert closed(START + timedelta(hours=1, minutes=59)) == 0
    assert closed(START + timedelta(hours=2)) == 1


def test_an_act_of_a_later_day_counts_the_day_again(scene: Scene) -> None:
    row = of_yesterday(scene)
    assert row.counts["unresolved_pct"] == {"open": 1}
    actions.resolve(Alert.objects.get().pk, scene.people[0])
    closed(START + 2 * DAY)
    assert KeptFigures.objects.get(starts=row.starts).counts["unresolved_pct"] == {"nobody": 1}


def test_an_event_that_comes_days_late_counts_its_day_again(scene: Scene) -> None:
    row = of_yesterday(scene)
    scene.fails("agent_error", room="room-2", ago=(2 * DAY).total_seconds())
    closed(START + 2 * DAY)
    assert KeptFigures.objects.get(starts=row.starts).counts["follow_up_15min_pct"] == {"missed": 1, "late": 1}


def test_an_act_in_the_room_that_is_told_days_late_counts_its_day_again(scene: Scene) -> None:
    freeze(START)
    scene.fails("agent_error", room="room-1")
    freeze(START + timedelta(minutes=30))
    actions.resolve(Alert.objects.get().pk, scene.people[0])
    closed(START + 2 * DAY)
    assert found(START, "time_to_intervene_median_seconds") == {"nobody": 1}
    scene.happens("human_message", room="room-1", ago=(2 * DAY - timedelta(minutes=10)).total_seconds())
    closed(START + 2 * DAY)
    assert found(START, "time_to_intervene_median_seconds") == {"came": 1}


def test_a_new_verdict_leaves_the_day_of_the_old_one(scene: Scene) -> None:
    of_yesterday(scene)
    actions.verdict(Alert.objects.get().pk, scene.people[0], "confirmed", "")
    closed(START + 4 * DAY)
    assert found(START + 2 * DAY, "false_alarm_pct") == {"confirmed": 1}
    actions.verdict(Alert.objects.get().pk, scene.people[0], "false_alarm", "")
    closed(START + 6 * DAY)
    assert found(START + 2 * DAY, "false_alarm_pct") == {}
    assert found(START + 4 * DAY, "false_alarm_pct") == {"false_alarm": 1}


def found(at: datetime, metric: str) -> dict[str, int]:
    """What is kept of the day in which this moment lies."""
    row = KeptFigures.objects.get(starts__lte=at, ends__gt=at, ends__lte=at + timedelta(hours=25))
    return row.counts.get(metric, {})  # type: ignore[no-any-return]


def test_a_blind_interval_that_is_found_late_counts_again_what_went_on_then(scene: Scene) -> None:
    row = of_yesterday(scene)
    assert (row.waiting, row.watched_until) == ([START], None)
    actions.resolve(Alert.objects.get().pk, scene.people[0])  # two days later
    closed(START + 5 * DAY)
    before, day = KeptFigures.objects.get(starts=row.starts), KeptFigures.objects.get(starts__gt=START + 3 * DAY)
    assert before.unreached == [2 * 86400.0]
    gap = BlindInterval.objects.create(cause="down", starts=START + DAY, ends=START + DAY + timedelta(minutes=5))
    closed(START + 5 * DAY)
    again = KeptFigures.objects.get(starts=row.starts)
    assert (again.counts["time_to_intervene_median_seconds"], again.unreached) == ({"blind": 1}, [86400.0])
    gap.refresh_from_db()
    assert gap.counted
    assert KeptFigures.objects.filter(pk=day.pk).exists() is False  # empty as it is, it came after
    closed(START + 5 * DAY)
    assert KeptFigures.objects.get(starts=row.starts).pk == again.pk


def test_a_baseline_is_counted_again_when_we_were_blind_in_it_and_not_when_we_were_after_it(scene: Scene) -> None:
    of_yesterday(scene)
    actions.resolve(Alert.objects.get().pk, scene.people[0])
    closed(START + 40 * DAY)
    baseline = KeptFigures.objects.get(starts=START)
    assert baseline.watched_until == START + 2 * DAY
    BlindInterval.objects.create(cause="down", starts=START + 35 * DAY, ends=START + 36 * DAY)
    closed(START + 40 * DAY)
    assert KeptFigures.objects.get(starts=START).pk == baseline.pk
    BlindInterval.objects.create(cause="down", starts=START, ends=START + timedelta(minutes=1))
    closed(START + 40 * DAY)
    assert KeptFigures.objects.get(starts=START).counts["time_to_intervene_median_seconds"] == {"began_blind": 1}


def test_days_that_were_counted_otherwise_are_counted_again(scene: Scene) -> None:
    row = of_yesterday(scene)
    KeptFigures.objects.update(formula=1, counts={})
    now = START + 2 * DAY
    span = figures.span_of([scene.org], figures.period(START - DAY, now, now), now)
    assert figures.count_metric(figures.BY_NAME["muted_pct"], span) == {"not_muted": 1}
    closed(now)
    assert KeptFigures.objects.get(starts=row.starts).counts["muted_pct"] == {"not_muted": 1}


def test_another_zone_has_other_days(scene: Scene) -> None:
    row = of_yesterday(scene)
    scene.org.zone = "Asia/Tokyo"
    scene.org.save()
    closed(START + 2 * DAY)
    assert not KeptFigures.objects.filter(pk=row.pk).exists()
    assert {one.zone for one in KeptFigures.objects.all()} == {"Asia/Tokyo"}


def test_a_sweep_without_news_leaves_the_days_as_they_are(scene: Scene) -> None:
    row = of_yesterday(scene)
    before = set(KeptFigures.objects.values_list("pk", flat=True))
    scene.fails("agent_error", room="room-2")  # of today
    closed(START + 2 * DAY + timedelta(minutes=10))
    assert set(KeptFigures.objects.values_list("pk", flat=True)) == before
    assert row.pk in before


# --- a page of a list ------------------------------------------------------------------------------------------------


def test_a_page_is_the_whole_lists_wherever_it_begins_and_whichever_way(scene: Scene) -> None:
    """Things on many days, two of them at one moment; every place, both ways, every size."""
    for day in (0, 1, 1, 2, 9, 9, 30):
        freeze(START + timedelta(days=day))
        scene.fails("agent_error", room=f"room-{FailureEvent.objects.count()}")
    now = START + 31 * DAY
    freeze(now)
    metric = figures.BY_NAME["with_confidence_pct"]
    span = figures.span_of([scene.org], figures.period(START - 40 * DAY, now, now), now)
    whole = figures.items(metric, span)
    assert len(whole) == 7
    for at, thing in enumerate(whole):
        for limit in (1, 2, 10):
            after = figures.THINGS.place(figures.THINGS.cursor(thing))
            before = figures.THINGS.place(figures.THINGS.cursor(thing, backward=True))
            assert figures.nearest(metric, span, "", after, limit) == whole[at + 1 :][:limit]
            assert figures.nearest(metric, span, "", before, limit) == whole[:at][::-1][:limit]
    assert figures.nearest(metric, span, "", None, 3) == whole[:3]
    assert figures.nearest(metric, span, "with") == []


@pytest.mark.parametrize("backward", [False, True])
def test_a_page_of_failures_reads_no_more_than_a_page_of_them(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, backward: bool
) -> None:
    """However long it was quiet beside them, and however many there are just beyond."""
    for n in range(12):
        freeze(START + n * timedelta(minutes=2))
        scene.fails("agent_error", room=f"room-{n}")
    now = START + DAY
    freeze(now)
    metric = figures.BY_NAME["follow_up_15min_pct"]
    span = figures.span_of([scene.org], figures.period(START - 40 * DAY, now, now), now)
    whole = figures.items(metric, span)
    place = Place([START - timedelta(hours=5), listing.NO_ALERT, 0], backward=True) if backward else None
    read: list[int] = []

    def counted(metric: figures.Metric, piece: figures.Span, *rest: Any) -> list[figures.ListedThing]:
        read.append(len(listed(metric, piece, "", None, listing.EVERYTHING)))
        return listed(metric, piece, *rest)

    listed = listing._items
    monkeypatch.setattr(listing, "_items", counted)
    found = figures.nearest(metric, span, "", place, 4)
    assert found == (whole[::-1] if backward else whole)[:4]
    assert read == [4]
