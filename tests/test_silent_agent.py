"""An agent that runs for nobody at an hour at which it usually does is an alert of its own, if its source sends."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import actions
from alerts.delivery.claim import claim
from alerts.items import Accepted
from alerts.models import Alert, BlindInterval, Push, Transition
from alerts.sources import traffic
from orgs import clock as database_clock
from orgs.models import Agent, Assignment, Org, Policy, Source, User
from runs.items import RunItem
from runs.silence import AgentPast, heard_since, is_silent_agent, usual_runs
from runs.store import store_run_batches
from runs.watch import sweep_agents
from tests.api_client import post, signed_in, with_key
from tests.factories import SourceFactory, UserFactory
from tests.scene import Scene

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]
NOON = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
WEEK, HOUR, MINUTE = timedelta(weeks=1), timedelta(hours=1), timedelta(minutes=1)


# --- the rule ---------------------------------------------------------------------------------------------------------


def past(minutes: float, *runs_of_weeks: int, known_for: float = 5) -> AgentPast:
    """Silent for so many minutes at half past twelve; in each of the weeks before so many runs from twelve to one."""
    noon = NOON.replace(minute=0)
    hours = {noon - week * WEEK: n for week, n in enumerate(runs_of_weeks, start=1)}
    return AgentPast(NOON - minutes * MINUTE, NOON - known_for * WEEK, hours)


@pytest.mark.parametrize(
    ("minutes", "weeks", "known_for", "silent"),
    [
        (30, (20, 20, 20, 20), 5, True),  # 10 runs should have come
        (30, (19, 20, 20, 20), 5, False),
        (15, (40, 40, 40, 40), 5, True),
        (14.9, (400, 400, 400, 400), 5, False),
        (30, (80, 80, 80, 0), 5, False),  # it was quiet so before, once
        (30, (20, 20), 2.5, True),
        (30, (400,), 1.5, False),  # one week makes nothing usual
        (30, (), 5, False),
    ],
)
def test_silent_is_ten_usual_gaps_at_this_hour_of_the_week(
    minutes: float, weeks: tuple[int, ...], known_for: float, silent: bool
) -> None:
    assert is_silent_agent(past(minutes, *weeks, known_for=known_for), NOON) is silent


def test_of_an_hour_it_touches_in_part_that_part_counts() -> None:
    assert usual_runs(past(45, 40, 8), NOON) == [20, 4, 0, 0]  # 30 of the 60 min from twelve; before twelve nothing


def test_a_night_without_runs_is_usual() -> None:
    busy = {NOON.replace(minute=0, hour=hour) - week * WEEK: 50 for week in range(1, 5) for hour in range(8, 18)}
    for hour, silent in ((3, False), (7, False), (9, True), (12, True), (19, True)):
        last = NOON.replace(hour=17, minute=59) - timedelta(days=1)  # nothing since yesterday evening
        now = NOON.replace(hour=hour)
        assert is_silent_agent(AgentPast(last, NOON - 6 * WEEK, busy), now) is silent, hour


def test_a_source_counts_from_when_it_sends_without_a_long_gap() -> None:
    minutes = [NOON - n * MINUTE for n in (90, 89, 40, 30, 16, 2)]
    assert heard_since(minutes, NOON) == NOON - 40 * MINUTE
    assert heard_since(minutes[:-1], NOON) is None
    assert heard_since([], NOON) is None


# --- the watch --------------------------------------------------------------------------------------------------------


class Busy:
    """An agent that ran 60 times an hour on each of three weeks before and today, until it stopped."""

    def __init__(self, org: Org, name: str = "Billing Bot", stopped: float = 40) -> None:
        self.scene, self.name, self.now = Scene(org), name, database_clock.now()
        starts = [self.now - week * WEEK - n * MINUTE for week in (1, 2, 3) for n in range(-5, 70)]
        self.runs([*starts, self.now - 4 * WEEK - 5 * MINUTE, self.now - stopped * MINUTE])
        self.source_sends(60, 0)

    def runs(self, starts: list[datetime]) -> None:
        items = [RunItem(run_id=uuid4(), agent_name=self.name, input_kind="chat", started_at=at) for at in starts]
        accepted = [Accepted(n, self.scene.org.pk, item, b"") for n, item in enumerate(items)]
        store_run_batches([(self.scene.source, accepted)])

    def source_sends(self, start: float, end: float) -> None:
        """Something of its source came in each minute of this time, in minutes ago."""
        for minute in range(int(end), int(start)):
            place = traffic.slot(self.scene.org.pk, self.scene.source.pk, None, self.now - minute * MINUTE)
            traffic.add({place: traffic.TrafficCounts(created=1)})


@pytest.fixture
def specialist() -> User:
    return UserFactory(is_specialist=True, name="Dewi")


def alert() -> Alert:
    return Alert.objects.select_related("agent").get()


def test_an_agent_that_runs_for_nobody_any_more_is_an_alert_of_its_own(org: Org, specialist: User) -> None:
    busy = Busy(org)
    assert (sweep_agents(), sweep_agents()) == (1, 0)
    found = alert()
    assert (found.scope, found.severity, found.state, str(found.agent), found.room) == (
        "agent", "warning", "open", "Billing Bot", None,
    )  # fmt: skip
    assert [entry["signal"] for entry in found.signals] == ["silent_agent"]
    told = {push.supervisor for push in Push.objects.all()}
    assert told == {specialist, *busy.scene.people}  # tier 1 and specialists, each once


@pytest.mark.django_db(transaction=True)
def test_both_kinds_of_people_are_still_to_be_told_when_it_is_sent(
    org: Org, specialist: User, gate: None, settings: Any
) -> None:
    settings.NOTIFICATION_SERVICE_URL = "http://127.0.0.1:9"
    busy = Busy(org)
    sweep_agents()
    Assignment.objects.filter(user=busy.scene.people[0]).delete()  # no longer a supervisor of it
    claimed = {str(push.id) for push in claim().pushes}
    sent = Push.objects.filter(pk__in=claimed).values_list("supervisor", flat=True)
    assert set(sent) == {specialist.pk, busy.scene.people[1].pk}


def test_it_ends_by_itself_when_the_agent_runs_again(org: Org) -> None:
    busy = Busy(org)
    sweep_agents()
    busy.runs([database_clock.now()])
    assert (sweep_agents(), sweep_agents()) == (1, 0)
    assert (alert().state, alert().resolved_kind) == ("resolved", "recovered")
    assert Transition.objects.latest("id").reason == "recovered"


def test_its_own_long_silence_does_not_end_it(org: Org, clock: Any) -> None:
    Busy(org)
    sweep_agents()
    clock.advance(days=40)  # nothing is usual any more
    sweep_agents()
    assert alert().state == "open"


@pytest.mark.parametrize("how", ["not in production", "switched off"])
def test_it_ends_when_nobody_watches_the_agent_any_more(org: Org, how: str) -> None:
    """Else it would stand on the board for ever: no run of that agent may come."""
    busy = Busy(org)
    sweep_agents()
    if how == "not in production":
        Agent.objects.update(production=False)
    else:
        Policy.objects.create(org=org, detect_from_runs=False)
    assert (sweep_agents(), sweep_agents()) == (1, 0)
    assert alert().state == "resolved"
    page = signed_in(busy.scene.people[0]).get(f"/alerts/{alert().pk}").content.decode()
    assert "it is not watched any more whether this agent runs" in page


def test_who_resolved_it_is_not_told_again_before_it_has_run(org: Org) -> None:
    busy = Busy(org)
    sweep_agents()
    actions.resolve(alert().pk, busy.scene.people[0])
    assert sweep_agents() == 0


@pytest.mark.parametrize(
    "why", ["quiet source", "back just now", "we were down", "not in production", "switched off", "no history"]
)
def test_it_is_not_silent_if(org: Org, why: str) -> None:
    busy = Busy(org)
    if why == "quiet source":
        traffic_of(busy.scene.source).delete()
    elif why == "back just now":
        traffic_of(busy.scene.source).filter(minute__lt=busy.now - 5 * MINUTE).delete()
    elif why == "we were down":
        BlindInterval.objects.create(cause="down", starts=busy.now - HOUR, ends=busy.now - 10 * MINUTE)
    elif why == "not in production":
        Agent.objects.update(production=False)
    elif why == "switched off":
        Policy.objects.create(org=org, detect_from_runs=False)
    else:
        Busy(org, "Newcomer", stopped=10)
        Agent.objects.filter(name="Billing Bot").update(production=False)
    assert sweep_agents() == 0
    assert not Alert.objects.exists()


def traffic_of(source: Source) -> Any:
    from alerts.models import SourceMinute

    return SourceMinute.objects.filter(source=source)


def test_two_agents_of_one_org_have_an_alert_each_and_cost_no_query_more(org: Org) -> None:
    Busy(org)
    with CaptureQueriesContext(connection) as one:
        sweep_agents()
    Busy(org, "Triage Bot")
    Busy(org, "Third Bot")
    Alert.objects.all().delete()
    Push.objects.all().delete()
    with CaptureQueriesContext(connection) as three:
        assert sweep_agents() == 3
    reads = [sum("runs_" in query["sql"] for query in queries) for queries in (one, three)]
    assert reads[0] == reads[1]


# --- where it is seen -------------------------------------------------------------------------------------------------


@pytest.fixture
def silent(org: Org) -> Iterator[Busy]:
    busy = Busy(org)
    sweep_agents()
    yield busy


def test_board_and_alert_say_which_agent_and_since_when(silent: Busy) -> None:
    browser = signed_in(silent.scene.people[0])
    board = browser.get("/?tab=all&signal=silent_agent").content.decode()
    assert "Silent agent" in board
    assert "it has run for nobody for much longer than usual." in board
    page = browser.get(f"/alerts/{alert().pk}").content.decode()
    assert "Silent agent: <bdi>Billing Bot</bdi>" in page
    assert "Open room" not in page
    silent.runs([database_clock.now()])
    sweep_agents()
    assert "Recovered: it runs again" in browser.get(f"/alerts/{alert().pk}").content.decode()
    assert "No human came" not in browser.get("/?tab=resolved").content.decode()


def test_the_api_gives_it_to_its_org_alone(silent: Busy) -> None:
    (found,) = with_key(silent.scene.org).get("/api/alerts").json()["results"]
    assert (found["scope"], found["agent_name"], found["room_id"], found["source_name"]) == (
        "agent", "Billing Bot", None, None,
    )  # fmt: skip
    assert found["signals"][0]["signal"] == "silent_agent"
    other = SourceFactory()
    assert with_key(other.org).get("/api/alerts").json()["results"] == []
    assert with_key(other.org).get(f"/api/alerts/{found['id']}").status_code == 404


@pytest.mark.parametrize("verb", ["acknowledge", "take", "release", "resolve", "reopen"])
def test_people_act_on_it_as_on_any_other(silent: Busy, verb: str) -> None:
    person, found = silent.scene.people[0], alert()
    if verb == "release":
        actions.take(found.pk, person)
    if verb == "reopen":
        actions.resolve(found.pk, person)
    answer = post(with_key(silent.scene.org), f"/api/alerts/{found.pk}/{verb}", {"sso_id": person.sso_id})
    assert answer.status_code == 200, answer.content


def test_at_most_one_is_open_for_each_agent(silent: Busy) -> None:
    from django.db import IntegrityError

    with pytest.raises(IntegrityError):
        Alert.objects.create(
            org=silent.scene.org, agent=alert().agent, scope="agent", severity="warning", opened_at=NOON,
            first_failure_at=NOON, last_event_at=NOON, ladder_from=NOON, updated_at=NOON,
        )  # fmt: skip
