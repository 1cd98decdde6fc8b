"""The roll-ups are what a plain recount of the runs finds, whatever came in which order, split, twice or late."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.items import Accepted
from orgs.models import Org, Source
from runs import fold
from runs.items import ReviewItem, RunItem
from runs.store import change_runs, store_review_batches, store_run_batches
from tests.examples import at_most
from tests.factories import OrgFactory, SourceFactory
from tests.recount import PERIODS, kept_durations, recounted_durations, roll_ups_are_true

IDS = [UUID(int=n) for n in range(1, 5)]
ZONES = ["Asia/Jakarta", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin", "America/New_York"]
# Around midnights and changes of the clock: those of Berlin and New York, and the half hours of the others.
STARTS = [
    datetime(2025, 3, 30, 0, 59, 59, 999999, tzinfo=UTC),
    datetime(2025, 10, 26, 1, 30, tzinfo=UTC),
    datetime(2025, 11, 2, 5, 30, tzinfo=UTC),
    datetime(2025, 10, 9, 18, 20, tzinfo=UTC),
    datetime(2025, 10, 9, 18, 40, tzinfo=UTC),
]


def accepted(item: RunItem | ReviewItem, org: Org) -> Accepted[Any]:
    return Accepted(0, org.pk, item, repr(item).encode().ljust(32)[:32])


def some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, *values])


POSTS = st.builds(
    RunItem,
    run_id=st.sampled_from(IDS),
    agent_name=st.sampled_from(["Bot"] * 8 + ["Other", None]),
    input_kind=st.sampled_from(["chat"] * 8 + ["faq", None]),
    started_at=st.sampled_from([None, *STARTS]),
    ended_at=st.builds(
        lambda start, took: None if took is None else start + took,
        st.sampled_from(STARTS),
        some(timedelta(0), timedelta(seconds=42, microseconds=1), timedelta(seconds=60), timedelta(days=9)),
    ),
    resolution=some("resolved", "resolved", "escalated", "failed"),
    self_corrected=some(True, False),
    tokens_input=some(0, 2**63 - 1),
    cost_usd=some("0.00001", 0.1),
    sla_target_seconds=some(60),
    agent_version=some("1", "2"),
    channel=some("whatsapp"),
    message_count=some(3),
    message_cap=some(3),
    handoff_expected=some(True, False),
    human_touched=some(True, False),
).filter(lambda item: not (item.started_at and item.ended_at and item.ended_at < item.started_at))
REVIEWS = st.builds(
    ReviewItem,
    run_id=st.sampled_from(IDS),
    quality_score=st.integers(1, 5),
    reviewer=st.sampled_from(["rina", "budi", "dewi"]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("runs"), st.lists(st.lists(POSTS, min_size=1, max_size=5), min_size=1, max_size=3)),
        st.tuples(st.just("reviews"), st.lists(st.lists(REVIEWS, min_size=1, max_size=4), min_size=1, max_size=2)),
        st.tuples(st.just("overdue"), st.just([])),
        st.tuples(st.just("touched"), st.sampled_from([True, False, None])),
        st.tuples(st.just("fold"), st.just([])),
        st.tuples(st.just("zone"), st.sampled_from(ZONES)),
    ),
    min_size=1,
    max_size=8,
)


def play(source: Source, org: Org, steps: list[tuple[str, Any]]) -> None:
    keys = [(org.pk, one) for one in IDS]
    for kind, told in steps:
        if kind == "runs":
            store_run_batches([(source, [accepted(item, org) for item in batch]) for batch in told])
        elif kind == "reviews":
            store_review_batches([(source, [accepted(item, org) for item in batch]) for batch in told])
        elif kind == "overdue":
            change_runs(keys, lambda run, now: setattr(run, "overdue_at", run.due_at or run.overdue_at))
        elif kind == "touched":
            change_runs(keys, lambda run, now, says=told: setattr(run, "touched", says))
        elif kind == "zone":
            org.zone = told
            org.save()
        elif kind == "fold":
            fold.fold_all()


@pytest.fixture
def source(db: None, system: None) -> Source:
    return SourceFactory(org=OrgFactory(zone="Asia/Jakarta"))


@settings(
    max_examples=at_most(100, usually=40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, zone=st.sampled_from(ZONES), last=st.sampled_from(ZONES))
def test_the_roll_ups_are_what_a_recount_finds(
    source: Source, steps: list[tuple[str, Any]], zone: str, last: str
) -> None:
    with transaction.atomic():
        org = source.org
        org.zone = zone
        org.save()
        play(source, org, steps)
        fold.fold_all()
        roll_ups_are_true()
        play(source, org, [("zone", last), ("fold", [])])
        roll_ups_are_true()
        for model in PERIODS:
            assert kept_durations(model) == recounted_durations(model)
        transaction.set_rollback(True)
