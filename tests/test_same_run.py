"""One run and signal is one failure: told twice it counts once, whichever telling comes first."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts import actions
from alerts.items import Accepted, ErrorInfo, Handoff
from alerts.models import Alert, FailureEvent, Push, Transition
from orgs import clock as database_clock
from orgs.models import Org
from tests.factories import OrgFactory
from tests.scene import Scene

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]
RUN = UUID("6a90b3d1-2c6b-4a3a-8bb9-23a93ebffb8e")


@pytest.fixture
def scene(org: Org) -> Scene:
    return Scene(org)


def reasons(scene: Scene, *keys: str) -> list[str]:
    return [scene.stored(key).reason for key in keys]


# --- counts and tells once -------------------------------------------------------------------------------------------


def test_the_second_telling_of_a_failure_counts_and_tells_nothing(scene: Scene) -> None:
    scene.fails(key="sent", run_id=RUN)
    scene.fails(key="found", run_id=RUN)
    alert = scene.alert()
    assert reasons(scene, "sent", "found") == ["first", "same_run"]
    assert (alert.event_count, alert.signals[0]["count"], alert.last_reason) == (1, 1, "first")
    assert scene.told() == [("first", "pending", "")]
    assert scene.stored("found").alert_id == alert.pk


def test_so_it_is_within_one_batch(scene: Scene) -> None:
    events = [scene.event(key=key, run_id=RUN) for key in ("one", "two")]
    results = actions.record_events(scene.source, events)
    assert [one.status for one in results] == ["created", "created"]
    assert reasons(scene, "one", "two") == ["first", "same_run"]


@pytest.mark.parametrize(
    "other",
    [{"run_id": uuid4()}, {"run_id": None}, {"signal": "help_requested", "run_id": RUN}, {"room": "r2", "run_id": RUN}],
)
def test_another_run_signal_or_room_is_another_failure(scene: Scene, other: dict[str, Any]) -> None:
    scene.fails(key="one", run_id=RUN)
    scene.fails(key="two", **other)
    assert "same_run" not in reasons(scene, "one", "two")


def test_so_is_the_same_run_of_another_org(scene: Scene) -> None:
    other = Scene(OrgFactory())
    scene.fails(key="one", run_id=RUN)
    other.fails(key="one", run_id=RUN)
    assert other.alert().event_count == 1
    assert other.stored("one").reason == "first"


def test_a_message_that_was_sent_twice_is_a_duplicate_as_ever(scene: Scene) -> None:
    event = scene.event(key="one", run_id=RUN)
    for status in ("created", "duplicate"):
        assert actions.record_events(scene.source, [event])[0].status == status


def test_an_event_above_its_threshold_is_no_failure_that_another_repeats(scene: Scene) -> None:
    scene.fails("low_confidence", key="sure", run_id=RUN, confidence=0.4, threshold=0.3)
    scene.fails("low_confidence", key="unsure", run_id=RUN, confidence=0.4)
    assert reasons(scene, "sure", "unsure") == ["above_threshold", "first"]


def test_a_telling_in_time_counts_after_one_that_came_late(scene: Scene) -> None:
    scene.fails(key="late", run_id=RUN, ago=3700)
    scene.fails(key="in time", run_id=RUN)
    scene.fails(key="again", run_id=RUN)
    assert reasons(scene, "late", "in time", "again") == ["late", "first", "same_run"]
    assert scene.alert().event_count == 1


def test_told_late_on_an_open_alert_it_counts_once_all_the_same(scene: Scene) -> None:
    scene.fails("help_requested", key="other")
    scene.fails(key="late", run_id=RUN, ago=700)
    scene.fails(key="in time", run_id=RUN)
    assert reasons(scene, "late", "in time") == ["late", "attached"]
    assert [entry["count"] for entry in scene.alert().signals] == [1, 1]


def test_after_a_human_resolved_the_alert_the_second_telling_does_not_open_it_again(scene: Scene) -> None:
    scene.fails(key="sent", run_id=RUN)
    actions.resolve(scene.alert().pk, scene.people[0])
    scene.fails(key="found", run_id=RUN)
    alert = scene.alert()
    assert (alert.state, alert.episode) == ("resolved", 1)
    assert scene.stored("found").reason == "same_run"


# --- what it knows more ----------------------------------------------------------------------------------------------


def test_it_fills_in_what_was_not_known(scene: Scene) -> None:
    scene.fails(key="found", run_id=RUN, ago=20)
    scene.fails(key="sent", run_id=RUN, ago=30, agent_version="7", room_label="Sari")
    alert = scene.alert()
    assert alert.agent_version == "7"
    assert scene.room().label == "Sari"
    assert alert.first_failure_at == scene.stored("sent").occurred_at
    assert alert.customer_waiting_since == scene.stored("sent").occurred_at
    assert scene.changes() == [("opened", "first"), ("attached", "same_run")]


def test_it_makes_the_alert_worse_if_it_is_more_severe(scene: Scene) -> None:
    scene.fails("unexpected_handoff", key="found", run_id=RUN, handoff=Handoff(completed=True))
    assert scene.alert().severity == "warning"
    scene.fails("unexpected_handoff", key="sent", run_id=RUN, handoff=Handoff(completed=False))
    alert = scene.alert()
    assert (alert.severity, alert.event_count, scene.last_told()[0]) == ("critical", 1, "worsened")
    assert scene.stored("sent").reason == "same_run"


def test_with_nobody_to_tell_it_stays_the_same_failure(org: Org) -> None:
    scene = Scene(org, staff=0)
    scene.fails("unexpected_handoff", key="found", run_id=RUN, handoff=Handoff(completed=True))
    scene.fails("unexpected_handoff", key="sent", run_id=RUN, handoff=Handoff(completed=False))
    assert (scene.stored("sent").reason, scene.alert().last_reason) == ("same_run", "unroutable")


def test_a_human_who_answered_in_between_is_not_called_back(scene: Scene) -> None:
    scene.fails(key="sent", run_id=RUN, ago=60)
    scene.happens("human_message", who=scene.people[0], ago=30)
    scene.fails(key="found", run_id=RUN, ago=10)
    alert = scene.alert()
    assert (alert.state, alert.customer_waiting_since, alert.episode) == ("intervened", None, 1)
    scene.happens("customer_message", ago=45)  # one that comes late: the room is read anew
    assert scene.room().customer_waiting_since is None


def test_it_says_nothing_of_an_older_episode(scene: Scene, clock: Any) -> None:
    scene.fails(key="sent", run_id=RUN)
    scene.happens("resolved")
    clock.advance(minutes=1)
    scene.fails("help_requested", key="new")
    before = (scene.alert().version, scene.alert().signals)
    scene.fails(key="found", run_id=RUN, ago=-0.5)  # whenever it says that it happened
    assert (scene.alert().version, scene.alert().signals) == before


# --- in any order ----------------------------------------------------------------------------------------------------

TELLINGS = st.fixed_dictionaries(
    {
        "signal": st.sampled_from(["agent_error", "unexpected_handoff", "message_cap"]),
        "ago": st.integers(5, 400),
        "waits": st.none() | st.integers(0, 300),
        "completed": st.booleans(),
        "version": st.sampled_from(["", "7"]),
        "label": st.sampled_from(["", "Sari"]),
    }
)
BETWEEN = st.lists(
    st.tuples(st.sampled_from(["customer_message", "bot_message", "human_message"]), st.integers(1, 500)), max_size=3
)


def _play(telling: dict[str, Any], ended: int, between: list[tuple[str, int]], sent_first: bool) -> dict[str, Any]:
    """The room and its alert after both tellings, with what happened before them; times from one moment."""
    scene, now = Scene(OrgFactory()), database_clock.now()
    signal, happened = telling["signal"], now - timedelta(seconds=telling["ago"])
    waits = None if telling["waits"] is None else happened - timedelta(seconds=telling["waits"])
    facts: dict[str, Any] = {}
    if signal == "unexpected_handoff":
        facts = {"handoff": Handoff(completed=telling["completed"])}
    names: dict[str, Any] = {"agent_version": telling["version"] or None, "room_label": telling["label"] or None}
    sent = scene.event(
        signal, key="sent", run_id=RUN, occurred_at=happened, customer_waiting_since=waits, **facts, **names
    )
    facts = {"handoff": Handoff(completed=True)} if signal == "unexpected_handoff" else {}
    found = scene.event(signal, key="found", run_id=RUN, occurred_at=now - timedelta(seconds=ended), **facts)
    for kind, ago in between:
        at = now - timedelta(seconds=ago + 0.5)  # never at the same time as a failure
        actions.record_activity(scene.source, [scene.activity(kind, at=at, who=scene.people[0])])
    for event in (sent, found) if sent_first else (found, sent):
        actions.record_events(scene.source, [event])
    alert, room = scene.alert(), scene.room()
    return {
        **{name: getattr(alert, name) for name in ("severity", "event_count", "state", "episode", "agent_version")},
        "signals": alert.signals,
        "times": [_from(now, at) for at in (alert.first_failure_at, alert.last_event_at, alert.customer_waiting_since)],
        "room": [_from(now, at) for at in (room.customer_waiting_since, room.handed_off_at, room.failed_at)],
        "state": (room.state, room.label),
    }


def _from(now: datetime, at: datetime | None) -> float | None:
    return None if at is None else round((now - at).total_seconds())


def _without_times(played: dict[str, Any]) -> dict[str, Any]:
    """Nor the keys of agents, of which each play has its own."""
    signals = [
        {k: len(v) if k == "agents" else v for k, v in one.items() if not k.endswith("_at")}
        for one in played["signals"]
    ]
    return {**played, "signals": signals}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(telling=TELLINGS, ended=st.integers(5, 400), between=BETWEEN)
def test_sent_first_or_found_first_give_the_same_alert(
    telling: dict[str, Any], ended: int, between: list[tuple[str, int]]
) -> None:
    first, second = (_play(telling, ended, between, sent_first) for sent_first in (True, False))
    assert _without_times(first) == _without_times(second)


# --- at once ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def committed(transactional_db: None) -> Iterator[Scene]:
    with scopes_disabled():
        yield Scene(OrgFactory())


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_counts(committed: Scene) -> None:
    events: list[Accepted[Any]] = [committed.event(key=f"e{n}", run_id=RUN) for n in range(8)]
    ready = threading.Barrier(len(events))

    def send(event: Accepted[Any]) -> None:
        with scopes_disabled():
            ready.wait()
            actions.record_events(committed.source, [event])
        connections.close_all()

    threads = [threading.Thread(target=send, args=(event,)) for event in events]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = sorted(FailureEvent.objects.filter(org=committed.org).values_list("reason", flat=True))
    assert told == ["first", *["same_run"] * 7]
    assert (Alert.objects.get().event_count, Push.objects.count()) == (1, 2)


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_a_batch_asks_once_and_one_without_runs_never(scene: Scene) -> None:
    def asked(**facts: Any) -> int:
        events = [scene.event(key=f"{n} {facts}", room=f"r{n}", **facts) for n in range(5)]
        with CaptureQueriesContext(connection) as queries:
            actions.record_events(scene.source, events)
        return sum("DISTINCT ON (event.org_id" in query["sql"] for query in queries)

    assert asked(run_id=RUN) == 1
    assert asked() == 0


def test_its_timeline_says_why_nobody_was_told(scene: Scene) -> None:
    from tests.api_client import signed_in, supervisor_of

    scene.fails(key="found", run_id=RUN)
    scene.fails(key="sent", run_id=RUN, error=ErrorInfo(type="Timeout"))
    page = signed_in(supervisor_of(scene.org)).get(f"/alerts/{scene.alert().pk}").content.decode()
    assert "this failure of the same run was reported before" in page
    assert Transition.objects.filter(change="worsened").count() == 0
