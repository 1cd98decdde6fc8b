"""What passed the lane is counted by the minute, and what was refused is kept as a sample without anything personal."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django_scopes import scopes_disabled

from alerts.models import RejectedItem, SourceMinute
from alerts.sources import traffic
from alerts.sources.traffic import Counts, slot
from console.ingest.tally import Tally
from tests.factories import OrgFactory, SourceFactory
from tests.ingest_server import ACTIVITY, Sender, activity, ago, event

AT = datetime(2026, 11, 20, 3, 0, 30, tzinfo=UTC)


@pytest.fixture
def counted(wait_for: Callable[..., Any]) -> Callable[[int], dict[str, int]]:
    """The sums of all minutes once `n` items are counted."""

    def sums(n: int) -> dict[str, int] | None:
        with scopes_disabled():
            rows = list(SourceMinute.objects.values())
        found = {name: sum(row[name] for row in rows) for name in traffic.NAMES}
        items = sum(found[name] for name in ("created", "duplicate", "conflict", "invalid"))
        return found if items == n else None

    return lambda n: wait_for(lambda: sums(n))


def test_each_item_is_counted_by_what_became_of_it(sender: Sender, counted: Any) -> None:
    twice = event(event_id="a", confidence=0.4)
    sender.post([twice, twice, event(event_id="b")])
    sender.post([event(event_id="b", room_id="other"), event(signal="nonsense"), 7])
    found = counted(6)
    assert {name: found[name] for name in ("created", "duplicate", "conflict", "invalid")} == {
        "created": 2,
        "duplicate": 1,
        "conflict": 1,
        "invalid": 2,
    }
    assert (found["events"], found["with_confidence"]) == (2, 1)


def test_the_lag_is_from_when_it_occurred_to_when_it_was_stored(sender: Sender, counted: Any) -> None:
    sender.post([activity(at=ago(seconds=60)), activity(at=ago(seconds=-60))], ACTIVITY)
    found = counted(2)
    assert 60_000 <= found["lag_most_ms"] < 70_000
    assert found["lag_ms"] == found["lag_most_ms"]  # a clock that is ahead has no lag


def test_a_refused_item_is_kept_with_its_reason_and_without_anything_personal(
    sender: Sender, counted: Any, wait_for: Callable[..., Any]
) -> None:
    sender.post([event(event_id="x-1", room_label="Sari Dewi", error={"type": "T", "message": "0812-3456-7890"}, no=1)])
    counted(1)
    with scopes_disabled():
        wait_for(RejectedItem.objects.exists)  # written after the counts
        kept = RejectedItem.objects.get()
    assert (kept.org, kept.code, kept.field, kept.item_id) == (sender.source.org, "unknown_field", "items[0].no", "x-1")
    assert (kept.sample["event_id"], kept.sample["room_label"], kept.sample["no"]) == ("x-1", "[text, 9]", "[number]")
    assert kept.sample["error"]["message"] == "[text, 14]"


def test_items_of_a_platform_source_count_for_the_org_they_name(platform: Sender, counted: Any) -> None:
    org = OrgFactory()
    platform.post([event(org_id=org.external_id), event(org_id="nobody"), event()])
    counted(3)
    with scopes_disabled():
        rows = set(SourceMinute.objects.values_list("org__external_id", "created", "invalid"))
    assert rows == {(org.external_id, 1, 0), (None, 0, 2)}


@pytest.mark.django_db
def test_what_cannot_be_written_now_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SourceFactory()
    tally = Tally()
    place = slot(source.org_id, source.pk, None, AT)
    tally.count(place, Counts(created=2, lag_most_ms=5))
    with monkeypatch.context() as away:
        away.setattr(traffic, "add", _away)
        with pytest.raises(OperationalError):
            tally.flush()
    tally.count(place, Counts(created=1, lag_most_ms=3))
    with scopes_disabled():
        tally.flush()
        tally.flush()
        assert SourceMinute.objects.values_list("minute", "created", "lag_most_ms").get() == (
            AT.replace(second=0),
            3,
            5,
        )


def _away(counts: Any) -> None:
    raise OperationalError


@pytest.mark.django_db
def test_minutes_add_up_and_old_ones_go() -> None:
    source = SourceFactory()
    with scopes_disabled():
        for at in (AT, AT, AT - timedelta(days=9)):
            traffic.add({slot(source.org_id, source.pk, None, at): Counts(created=1, invalid=2)})
        traffic.tidy(AT)
        assert SourceMinute.objects.values_list("created", "invalid").get() == (2, 4)


@pytest.mark.django_db
def test_samples_go_after_a_week_and_beyond_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "SAMPLES_OF_A_SOURCE", 2)
    source = SourceFactory()
    with scopes_disabled():
        for n, days in enumerate((8, 1, 1, 1)):
            at = AT - timedelta(days=days)
            RejectedItem.objects.create(org=source.org, source=source, at=at, status="invalid", item_id=str(n))
        traffic.tidy(AT)
        assert list(RejectedItem.objects.order_by("id").values_list("item_id", flat=True)) == ["2", "3"]


@pytest.mark.django_db(transaction=True)
def test_an_org_deleted_meanwhile_takes_nothing_of_the_others_along() -> None:
    source, gone = SourceFactory(), SourceFactory()
    tally = Tally()
    for org_id in (source.org_id, gone.org_id):
        tally.count(slot(org_id, source.pk, None, AT), Counts(created=1))
    with scopes_disabled():
        gone.org.delete()
        tally.flush()
        assert SourceMinute.objects.values_list("org", flat=True).get() == source.org_id


@pytest.mark.django_db(transaction=True)
def test_a_minute_that_cannot_be_stored_takes_nothing_of_the_others_along() -> None:
    source, other = SourceFactory(), SourceFactory()
    tally = Tally()
    tally.count(slot(source.org_id, source.pk, None, AT), Counts(created=2**40))
    tally.count(slot(other.org_id, other.pk, None, AT), Counts(created=1))
    with scopes_disabled():
        tally.flush()
        assert SourceMinute.objects.values_list("source", flat=True).get() == other.pk
