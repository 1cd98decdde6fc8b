"""What changes runs after they were stored: rooms, time, reviews, zones, what was purged; twice and at once too."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections, transaction
from django_scopes import scopes_disabled

from alerts.models import RoomActivity
from orgs.models import Source
from runs import fold, late
from runs.items import ReviewItem, RunItem
from runs.models import AgentRun, DayKpi, FoldMark, HourKpi
from runs.store import store_review_batches, store_run_batches
from tests.factories import OrgFactory, RoomFactory, SourceFactory
from tests.recount import PERIODS, agent_days_are_true, kept, kept_durations, recounted_durations, roll_ups_are_true
from tests.test_runs_sums import accepted

NOON = datetime(2025, 10, 10, 12, tzinfo=UTC)


@pytest.fixture
def source(db: None, system: None) -> Source:
    return SourceFactory(org=OrgFactory(zone="Asia/Jakarta"))


def stored(source: Source, **fields: Any) -> UUID:
    """A run that was resolved in 42 s, stored."""
    started = fields.pop("started_at", NOON)
    ended = fields.pop("ended_at", started + timedelta(seconds=42))
    item = RunItem(
        run_id=uuid4(),
        agent_name="Bot",
        input_kind="chat",
        started_at=started,
        ended_at=ended,
        resolution=ended and "resolved",
        **fields,
    )
    assert store_run_batches([(source, [accepted(item, source.org)])])[0][0].status == "created"
    return item.run_id


def happened(source: Source, kind: str, at: datetime, room: str = "room-1", **fields: Any) -> RoomActivity:
    room_row = RoomFactory._meta.model.objects.filter(org=source.org, room_id=room).first()
    return RoomActivity.objects.create(
        org=source.org,
        source=source,
        activity_id=uuid4().hex,
        payload_hash=b"",
        room=room_row or RoomFactory(org=source.org, room_id=room),
        kind=kind,
        at=at,
        received_at=datetime.now(UTC),
        **fields,
    )


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


# --- rooms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "after", "touched"),
    [
        ("human_message", 1, True),
        ("assigned", 24 * 60, True),
        ("human_opened", 1, True),
        ("human_message", -1, False),
        ("customer_message", 1, False),
        ("bot_message", -24 * 60, False),
        ("resolved", 1, False),
        ("human_message", 24 * 60 + 1, None),
        ("customer_message", -24 * 60 - 1, None),
    ],
)
@pytest.mark.parametrize("run_first", [True, False])
def test_whether_a_human_touched_it_is_what_its_room_says(
    source: Source, kind: str, after: int, touched: bool | None, run_first: bool
) -> None:
    steps: list[Callable[[], Any]] = [
        lambda: stored(source, room_id="room-1"),
        lambda: happened(source, kind, NOON + minutes(after)),
    ]
    for step in steps if run_first else reversed(steps):
        step()
        fold.fold_all()
    assert AgentRun.objects.get().touched is touched
    roll_ups_are_true()


def test_what_the_run_says_itself_counts(source: Source) -> None:
    stored(source, room_id="room-1", human_touched=False)
    happened(source, "human_message", NOON + minutes(1))
    fold.fold_all()
    assert AgentRun.objects.get().touched is False


def test_however_far_up_ids_begin_the_fold_comes_there(source: Source) -> None:
    """As after a restore. Mutation: 1,000 ids at a time it never does."""
    stored(source, room_id="room-0")
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE runs_agentrun_id_seq RESTART 1000000000000")
    stored(source, room_id="room-1")
    happened(source, "human_message", NOON + minutes(1))
    FoldMark.objects.create(activity=10**9)  # what happened was read long ago
    fold.fold_all()
    assert AgentRun.objects.get(room="room-1").touched is True


def test_a_room_that_is_named_later_is_asked_too(source: Source) -> None:
    run_id = stored(source)
    happened(source, "human_message", NOON + minutes(1))
    FoldMark.objects.create(run=10**9, activity=10**9)  # both were read long ago
    store_run_batches([(source, [accepted(RunItem(run_id=run_id, room_id="room-1"), source.org)])])
    fold.fold_all()
    assert AgentRun.objects.get().touched is True
    roll_ups_are_true()


def test_a_message_that_was_never_delivered_says_nothing(source: Source) -> None:
    stored(source, room_id="room-1")
    happened(source, "human_message", NOON + minutes(1), undelivered=True)
    fold.fold_all()
    assert AgentRun.objects.get().touched is None


def test_the_room_of_the_same_name_in_another_org_says_nothing(source: Source) -> None:
    stored(source, room_id="room-1")
    happened(SourceFactory(), "human_message", NOON + minutes(1))
    fold.fold_all()
    assert AgentRun.objects.get().touched is None


def test_what_was_read_is_not_read_for_ever(source: Source, clock: Any) -> None:
    stored(source, room_id="room-1")
    happened(source, "bot_message", NOON)
    fold.fold_all()
    assert FoldMark.objects.get().activity == 0  # something with a lower id may be on its way
    clock.advance(minutes=6)
    fold.fold_all()
    mark = FoldMark.objects.get()
    assert (mark.run, mark.activity) == (AgentRun.objects.get().pk, RoomActivity.objects.get().pk)


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_run_that_does_not_end_in_time_is_overdue_and_counts_as_missed(source: Source, clock: Any) -> None:
    started = datetime.now(UTC)
    run_id = stored(source, started_at=started, ended_at=None, sla_target_seconds=60)
    assert fold.fold_all() == 0 or not AgentRun.objects.filter(overdue_at__isnull=False).exists()
    clock.advance(seconds=61)
    fold.fold_all()
    assert AgentRun.objects.get().overdue_at == started + timedelta(seconds=60)
    assert [(row["sla_counted"], row["sla_hit"]) for row in kept(HourKpi).values()] == [(1, 0)]
    late_end = RunItem(run_id=run_id, ended_at=started + timedelta(seconds=59), resolution="resolved")
    store_run_batches([(source, [accepted(late_end, source.org)])])
    assert [(row["sla_counted"], row["sla_hit"]) for row in kept(HourKpi).values()] == [(1, 1)]
    roll_ups_are_true()


def test_a_target_that_is_named_later_moves_the_time(source: Source) -> None:
    started = datetime.now(UTC) - minutes(3)
    run_id = stored(source, started_at=started, ended_at=None)
    fold.fold_all()
    assert AgentRun.objects.get().overdue_at == started + minutes(2)
    store_run_batches([(source, [accepted(RunItem(run_id=run_id, sla_target_seconds=600), source.org)])])
    run = AgentRun.objects.get()
    assert (run.overdue_at, run.due_at) == (None, started + minutes(10))
    roll_ups_are_true()


def test_more_overdue_runs_than_one_transaction_takes(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "AT_ONCE", 2)
    monkeypatch.setattr(late, "OVERDUE", late.OVERDUE.replace("LIMIT 500", "LIMIT 2"))
    for _ in range(5):
        stored(source, ended_at=None)
    assert late.stamp_overdue(datetime.now(UTC)) == 5
    assert late.stamp_overdue(datetime.now(UTC)) == 0


# --- reviews ---------------------------------------------------------------------------------------------------------


def test_a_review_that_came_in_the_same_moment_as_its_run_is_found(source: Source) -> None:
    run_id = stored(source)
    review = ReviewItem(run_id=run_id, quality_score=4, reviewer="rina")
    store_review_batches([(source, [accepted(review, source.org)])])
    AgentRun.objects.update(review_count=0, review_sum=0)  # as if neither had seen the other
    for model in (HourKpi, DayKpi):
        model.objects.update(reviewed=0, quality=0)
    fold.fold_all()
    assert AgentRun.objects.get().review_sum == 4
    roll_ups_are_true()


# --- durations -------------------------------------------------------------------------------------------------------


def durations_are_true() -> None:
    for model in PERIODS:
        assert kept_durations(model) == recounted_durations(model)
        assert not [row for row in model.objects.all() if row.changes != row.folded or row.stale]
    assert not DayKpi.objects.filter(unsummed=True).exists()
    agent_days_are_true()


def test_durations_follow_each_change_once(source: Source) -> None:
    run_id = stored(source)
    stored(source, started_at=NOON + minutes(61))
    assert fold.fold_all() == 3  # two hours, one day
    durations_are_true()
    assert fold.fold_all() == 0
    store_run_batches([(source, [accepted(RunItem(run_id=run_id, agent_version="2"), source.org)])])
    fold.fold_all()
    durations_are_true()


def test_a_fold_that_is_killed_goes_on(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(source)

    def killed(*args: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fold, "_keep", killed)
        with pytest.raises(KeyboardInterrupt):
            fold.fold_all()
    fold.fold_all()
    durations_are_true()


def test_what_was_purged_keeps_its_durations_when_something_comes_late(source: Source) -> None:
    for n in range(3):
        stored(source, started_at=NOON + minutes(n))
    fold.fold_all()
    before = {model: kept_durations(model) for model in PERIODS}
    AgentRun.objects.filter(started_at__lte=NOON + minutes(1)).delete()
    stored(source, started_at=NOON + minutes(5))
    fold.fold_all()
    assert {model: kept_durations(model) for model in PERIODS} == before
    assert fold.fold_all() == 0


# --- zones -----------------------------------------------------------------------------------------------------------


def days() -> list[tuple[str, str, int]]:
    return [(str(row.day), row.zone, row.runs) for row in DayKpi.objects.order_by("day", "zone") if row.runs]


def moved(source: Source, zone: str) -> list[tuple[str, str, int]]:
    source.org.zone = zone
    source.org.save()
    fold.fold_all()
    return days()


AROUND_MIDNIGHTS = [  # of Jakarta 17:00, Kathmandu 18:15, Kolkata 18:30, UTC
    datetime(2025, 10, day, hour, minute, tzinfo=UTC)
    for day in (9, 10, 11)
    for hour, minute in ((16, 59), (17, 0), (18, 14), (18, 15), (18, 29), (18, 30))
]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin", "Asia/Jakarta"])
@pytest.mark.parametrize("old", ["Asia/Jakarta", "Asia/Kathmandu"])
def test_another_zone_has_other_days(source: Source, old: str, zone: str) -> None:
    moved(source, old)
    for at in AROUND_MIDNIGHTS:
        stored(source, started_at=at)
    moved(source, zone)
    roll_ups_are_true()
    durations_are_true()


def test_days_of_whole_hours_are_built_though_the_runs_were_purged(source: Source) -> None:
    for at in AROUND_MIDNIGHTS:
        stored(source, started_at=at)
    fold.fold_all()
    AgentRun.objects.filter(started_at__lt=AROUND_MIDNIGHTS[9]).delete()
    assert {zone for _, zone, _ in moved(source, "Europe/Berlin")} == {"Europe/Berlin"}
    assert sum(n for _, _, n in days()) == len(AROUND_MIDNIGHTS)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu"])
def test_where_runs_were_purged_the_seam_is_marked_and_each_run_counts_once(source: Source, zone: str) -> None:
    for at in AROUND_MIDNIGHTS:
        stored(source, started_at=at)
    fold.fold_all()
    AgentRun.objects.filter(started_at__lte=datetime(2025, 10, 9, 18, 29, tzinfo=UTC)).delete()
    found = moved(source, zone)
    assert [kept_zone for _, kept_zone, _ in found][:2] == ["Asia/Jakarta", "Asia/Jakarta"]
    assert {kept_zone for _, kept_zone, _ in found[2:]} == {zone}
    assert sum(n for _, _, n in found) == len(AROUND_MIDNIGHTS)
    before = DayKpi.objects.order_by("pk").values_list("pk", flat=True)
    assert (fold.fold_all(), list(before)) == (0, list(DayKpi.objects.order_by("pk").values_list("pk", flat=True)))


# --- at once ---------------------------------------------------------------------------------------------------------


def test_folds_and_posts_at_once_end_in_the_truth(transactional_db: None, system: None) -> None:
    source = SourceFactory(org=OrgFactory(zone="Asia/Kolkata"))
    stored(source)

    def work(turn: int) -> None:
        with scopes_disabled():
            try:
                if turn % 2:
                    fold.fold_all()
                else:
                    stored(source, started_at=NOON + minutes(turn * 7), room_id="room-1")
                    with transaction.atomic():
                        happened(source, "human_message", NOON + minutes(turn * 7), room=f"room-{turn}")
            finally:
                connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(24)))
    with scopes_disabled():
        fold.fold_all()
        roll_ups_are_true()
        durations_are_true()
