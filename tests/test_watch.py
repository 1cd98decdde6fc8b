"""A source that fell silent, or whose items are refused, is an alert to the specialists; green never means no data."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from alerts import actions
from alerts.actions import judge_source
from alerts.delivery.claim import claim
from alerts.models import Alert, Push, SourceMinute
from alerts.sources import traffic, watch
from alerts.sources.rules import WatchFigures, is_lagging, is_rejected, is_silent
from orgs import clock as database_clock
from orgs.models import Org, Source, SourceHeard, User
from tests.factories import AssignmentFactory, OrgFactory, SourceFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "clock")]
MINUTE = timedelta(minutes=1)


class Sends:
    """A source and what it sent; times in minutes before now."""

    def __init__(self, org: Org | None = None, source: Source | None = None) -> None:
        self.source = source or SourceFactory(org=org or OrgFactory())
        self.org = org or self.source.org
        self.now = database_clock.now()

    def items(self, minutes: float, **counts: int) -> None:
        at = self.now - timedelta(minutes=minutes)
        place = traffic.slot(self.org.pk, self.source.pk, None, at)
        traffic.add({place: traffic.TrafficCounts(**(counts or {"created": 1}))})
        SourceHeard.objects.update_or_create(org=self.org, source=self.source, defaults={"at": at})

    def every_minute(self, start: float, end: float) -> None:
        """One item in each minute from `start` down to `end` minutes ago."""
        for minute in range(int(start), int(end), -1):
            self.items(minute)


@pytest.fixture
def specialist() -> User:
    return UserFactory(is_specialist=True, name="Dewi")


def alert() -> Alert | None:
    return Alert.objects.filter(scope="source").order_by("-opened_at").first()


# --- the rules -------------------------------------------------------------------------------------------------------

AT = datetime(2026, 11, 20, 3, 0).astimezone()


@pytest.mark.parametrize(
    ("minutes", "expected", "silent"),
    [(14, 50, False), (15, 5, True), (15, 4.9, False), (600, 0, False), (1440, 900, True)],
)
def test_silent_is_nothing_where_something_was_usual(minutes: int, expected: float, silent: bool) -> None:
    assert is_silent(WatchFigures(AT - minutes * MINUTE, expected, 0, 0), AT) is silent


@pytest.mark.parametrize(
    ("total", "rejected", "already", "alarm"),
    [
        (20, 4, False, True),
        (20, 3, False, False),
        (19, 19, False, False),
        (20, 3, True, True),
        (20, 1, True, False),
        (0, 0, True, False),
        (1, 1, True, True),
    ],
)
def test_a_fifth_refused_is_too_much_and_a_tenth_keeps_it(
    total: int, rejected: int, already: bool, alarm: bool
) -> None:
    assert is_rejected(WatchFigures(AT, 0, total, rejected), already) is alarm


# --- silence ---------------------------------------------------------------------------------------------------------


def test_a_source_that_falls_silent_is_an_alert_to_the_specialists_alone(specialist: User) -> None:
    sends = Sends()
    AssignmentFactory(org=sends.org)
    sends.every_minute(60, 20)
    assert watch.sweep_sources() == 1
    found = alert()
    assert found is not None
    assert (found.state, found.severity, found.source, found.room) == ("open", "critical", sends.source, None)
    assert [entry["signal"] for entry in found.signals] == ["silent_source"]
    assert [(push.supervisor, push.state) for push in Push.objects.all()] == [(specialist, "pending")]
    assert watch.sweep_sources() == 0  # looked at again, it is the same alert


def test_a_source_that_cannot_be_judged_leaves_the_others_watched(
    specialist: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Sends(), Sends()
    for sends in (first, second):
        sends.every_minute(60, 20)

    def judge(key: Any, *args: Any) -> bool:
        if key[1] == first.source.pk:
            raise LookupError(first)
        return judge_source(key, *args)

    monkeypatch.setattr(watch, "judge_source", judge)
    watch.sweep_sources()
    assert list(Alert.objects.values_list("source", flat=True)) == [second.source.pk]


def test_a_quiet_night_is_no_silence(specialist: User) -> None:
    sends = Sends()
    for day in range(1, 8):  # sends by day only: nothing at this time of the days before
        sends.every_minute(day * 1440 + 700, day * 1440 + 680)
    sends.every_minute(60, 40)
    assert watch.sweep_sources() == 0


def test_the_same_hours_of_the_days_before_say_what_is_usual(specialist: User) -> None:
    sends = Sends()
    for day in range(1, 4):
        sends.every_minute(day * 1440 + 60, day * 1440)
    sends.items(30)  # one alone in the hour before would say nothing
    assert watch.sweep_sources() == 1


def test_heard_again_it_recovers_by_itself(specialist: User) -> None:
    sends = Sends()
    sends.every_minute(60, 20)
    watch.sweep_sources()
    sends.items(1)
    assert watch.sweep_sources() == 1
    found = alert()
    assert found is not None
    assert (found.state, found.resolved_kind) == ("resolved", "recovered")
    change = found.transitions.order_by("id").last()
    assert change is not None and (change.change, change.reason) == ("resolved", "recovered")


def test_resolved_by_a_human_it_stays_resolved_until_heard_and_silent_again(specialist: User, clock: Any) -> None:
    sends = Sends()
    sends.every_minute(60, 20)
    watch.sweep_sources()
    found = alert()
    assert found is not None
    actions.resolve(found.pk, specialist)
    assert watch.sweep_sources() == 0
    clock.advance(minutes=90)
    sends.now += timedelta(minutes=90)
    sends.every_minute(60, 20)
    assert watch.sweep_sources() == 1
    assert Alert.objects.filter(scope="source").count() == 2


def test_a_source_never_heard_is_no_data_and_no_alarm(specialist: User) -> None:
    SourceFactory()
    assert watch.sweep_sources() == 0


def test_one_platform_source_silent_in_many_orgs_rings_once_for_each_specialist(specialist: User) -> None:
    source = SourceFactory(org=None)
    for _ in range(3):
        Sends(OrgFactory(), source).every_minute(60, 20)
    assert watch.sweep_sources() == 3
    states = sorted(Push.objects.values_list("state", "ended_reason"))
    assert states == [("pending", ""), ("skipped", "throttled"), ("skipped", "throttled")]


def test_with_no_specialist_it_says_that_nobody_can_be_told() -> None:
    Sends().every_minute(60, 20)
    watch.sweep_sources()
    found = alert()
    assert found is not None and found.last_reason == "unroutable"


def test_its_row_and_page_name_the_source_and_offer_no_room(specialist: User, client: Client) -> None:
    sends = Sends()
    sends.every_minute(60, 20)
    watch.sweep_sources()
    found = alert()
    assert found is not None
    client.force_login(specialist)
    for page in ("/", f"/alerts/{found.pk}"):
        text = client.get(page).content.decode()
        assert "Silent source" in text and sends.source.name in text
        assert f"/alerts/{found.pk}/room" not in text
        assert "it sends no data." in text
    answer = client.get(f"/api/alerts/{found.pk}").json()
    assert (answer["scope"], answer["source_name"], answer["agent_name"]) == ("source", sends.source.name, None)


# --- refused items ---------------------------------------------------------------------------------------------------


def test_refused_items_open_an_alert_and_join_a_silence(specialist: User) -> None:
    sends = Sends()
    sends.items(2, created=80, invalid=20)
    assert watch.sweep_sources() == 1
    found = alert()
    assert found is not None
    assert (found.severity, [entry["signal"] for entry in found.signals]) == ("warning", ["rejected_items"])


def test_silence_worsens_an_alert_of_refused_items(specialist: User, clock: Any) -> None:
    sends = Sends()
    sends.every_minute(60, 16)
    sends.items(16, created=50, invalid=50)
    clock.advance(minutes=-10)
    assert watch.sweep_sources() == 1
    clock.advance(minutes=10)
    SourceMinute.objects.filter(invalid__gt=0).update(minute=F("minute") + timedelta(minutes=10))
    assert watch.sweep_sources() == 1
    found = alert()
    assert found is not None
    assert (found.severity, found.occurrence) == ("critical", 2)
    assert [entry["signal"] for entry in found.signals] == ["rejected_items", "silent_source"]


# --- acting, sending -------------------------------------------------------------------------------------------------


def test_people_act_on_it_as_on_any_alert(specialist: User) -> None:
    Sends().every_minute(60, 20)
    watch.sweep_sources()
    found = alert()
    assert found is not None
    assert actions.take(found.pk, specialist).assigned_to == specialist
    with pytest.raises(actions.ActConflict):
        actions.take(found.pk, UserFactory(is_specialist=True))
    assert actions.release(found.pk, specialist).state == "open"
    assert actions.resolve(found.pk, specialist).resolved_kind == "human"
    assert actions.reopen(found.pk, specialist).state == "open"


@pytest.mark.django_db(transaction=True)
def test_a_push_to_somebody_who_is_no_specialist_any_more_is_cancelled(
    specialist: User, gate: None, settings: Any
) -> None:
    settings.NOTIFICATION_SERVICE_URL = "http://127.0.0.1:9"
    Sends().every_minute(60, 20)
    watch.sweep_sources()
    User.objects.filter(pk=specialist.pk).update(is_specialist=False)
    assert claim().pushes == []
    assert Push.objects.values_list("state", "ended_reason").get() == ("cancelled", "removed")


# --- late ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("created", "slow", "already", "alarm"),
    [(20, 11, False, True), (20, 10, False, False), (19, 19, False, False), (3, 2, True, True), (0, 0, True, False)],
)
def test_lagging_is_a_median_over_five_minutes(created: int, slow: int, already: bool, alarm: bool) -> None:
    assert is_lagging(WatchFigures(AT, 0, created, 0, created, slow), already) is alarm


def test_a_source_that_lags_is_an_alert_until_it_does_not(specialist: User) -> None:
    sends, now = Sends(), database_clock.now()
    late = traffic.TrafficCounts()
    for _ in range(20):
        late.stored(now - timedelta(minutes=6), now)
    sends.items(1, created=late.created, slow=late.slow)
    watch.sweep_sources()
    found = alert()
    assert found is not None
    assert [entry["signal"] for entry in found.signals] == ["lagging_source"]
    assert Push.objects.filter(supervisor=specialist, reason="lagging_source").exists()
    sends.items(0, created=21)
    watch.sweep_sources()
    assert Alert.objects.get().resolved_kind == "recovered"
