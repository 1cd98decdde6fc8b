"""Runs that fail are alerts of their room, without a second call; runs that end well take some of it back."""

import itertools
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django_scopes import scopes_disabled

from alerts import actions
from alerts.items import Accepted, Handoff
from alerts.models import Alert, FailureEvent, Push
from orgs import clock as database_clock
from orgs.models import Org, Policy
from runs.items import RunItem
from runs.late import stamp_overdue
from runs.models import AgentRun
from runs.store import store_run_batches
from tests.factories import OrgFactory
from tests.scene import Scene

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]
numbers = itertools.count()


@pytest.fixture
def scene(org: Org) -> Scene:
    return Scene(org)


def as_posted(scene: Scene, run_id: UUID, began: float, ended: float | None, **facts: Any) -> Accepted[RunItem]:
    """A run as it passed the lane's checks; it began and ended so many seconds ago."""
    now = database_clock.now()
    if ended is not None:
        facts = {"ended_at": now - timedelta(seconds=ended), "resolution": "resolved", **facts}
    item = RunItem(
        run_id=run_id,
        **{
            "agent_name": "Billing Bot",
            "input_kind": "chat",
            "room_id": "r1",
            "started_at": now - timedelta(seconds=began),
            **facts,
        },
    )
    return Accepted(next(numbers), scene.org.pk, item, b"")


def runs(scene: Scene, began: float, ended: float | None = 1, run_id: UUID | None = None, **facts: Any) -> UUID:
    """One run arrives alone; its id."""
    run_id = run_id or uuid4()
    (results,) = store_run_batches([(scene.source, [as_posted(scene, run_id, began, ended, **facts)])])
    assert results[0].status in ("created", "updated"), results[0]
    return run_id


def ends(scene: Scene, run_id: UUID, resolution: str = "resolved", ago: float = 1) -> str:
    """The end of a run that is known; what became of the post."""
    ended = database_clock.now() - timedelta(seconds=ago)
    item = RunItem(run_id=run_id, ended_at=ended, resolution=resolution)  # type: ignore[arg-type]
    return store_run_batches([(scene.source, [Accepted(0, scene.org.pk, item, b"")])])[0][0].status


def sweep_stalled() -> int:
    return stamp_overdue(database_clock.now())


def detected(run_id: UUID) -> list[str]:
    return AgentRun.objects.get(run_id=run_id).detected


def told(scene: Scene) -> list[tuple[str, str]]:
    """Signal and reason of the failure events, in order."""
    return list(FailureEvent.objects.filter(org=scene.org).order_by("pk").values_list("signal", "reason"))


# --- failures of a run -----------------------------------------------------------------------------------------------


def test_a_run_that_failed_is_an_alert_of_its_room(scene: Scene) -> None:
    run = runs(scene, 40, 10, resolution="failed", agent_version="7", channel="wa")
    alert, event = scene.alert(), FailureEvent.objects.get()
    assert (alert.severity, alert.state, str(alert.agent), alert.agent_version) == (
        "critical", "open", "Billing Bot", "7",
    )  # fmt: skip
    assert (event.event_id, event.source, event.run_id) == (f"run:{run}:agent_error", scene.source, str(run))
    assert (event.error_type, event.occurred_at) == ("run_failed", AgentRun.objects.get().ended_at)
    assert alert.customer_waiting_since == event.occurred_at
    assert scene.told() == [("first", "pending", "")]
    assert detected(run) == ["agent_error"]


def test_an_escalation_nobody_expected_is_a_handoff_of_the_room(scene: Scene) -> None:
    runs(scene, 40, 10, resolution="escalated")
    assert (scene.alert().severity, scene.room().state) == ("warning", "handed_off")
    runs(scene, 40, 10, resolution="escalated", handoff_expected=True, room_id="r2")
    assert Alert.objects.count() == 1


def test_all_signals_of_one_run_attach_to_one_alert(scene: Scene) -> None:
    run = runs(scene, 40, 10, resolution="failed", confidence=0.2, message_count=20, message_cap=20)
    assert detected(run) == ["agent_error", "low_confidence", "message_cap"]
    assert [signal for signal, _ in told(scene)] == detected(run)
    assert (scene.alert().event_count, Alert.objects.count()) == (3, 1)


def test_it_is_read_when_the_run_is_completed_and_never_again(scene: Scene) -> None:
    run = runs(scene, 40, None, confidence=0.1)
    assert (detected(run), FailureEvent.objects.count()) == ([], 0)
    assert ends(scene, run, "failed", ago=10) == "updated"
    assert runs(scene, 40, None, run_id=run, tokens_input=5, started_at=None) == run  # it learns more
    assert detected(run) == ["agent_error", "low_confidence"]
    assert scene.alert().event_count == 2


def test_what_is_said_after_the_end_is_read_then(scene: Scene) -> None:
    run = runs(scene, 40, 10)
    runs(scene, 40, None, run_id=run, started_at=None, confidence=0.1)
    assert (detected(run), told(scene)) == (["low_confidence"], [("low_confidence", "first")])


def test_a_run_that_is_sent_again_reports_nothing_new(scene: Scene) -> None:
    posted = as_posted(scene, uuid4(), 40, 10, resolution="failed")
    statuses = [store_run_batches([(scene.source, [posted])])[0][0].status for _ in range(3)]
    assert statuses == ["created", "duplicate", "duplicate"]
    assert (FailureEvent.objects.count(), scene.alert().event_count) == (1, 1)


def test_a_run_without_a_room_carries_its_signals_and_opens_nothing(scene: Scene) -> None:
    run = runs(scene, 40, 10, resolution="failed", room_id=None)
    assert (detected(run), FailureEvent.objects.count()) == (["agent_error"], 0)
    runs(scene, 40, None, run_id=run, started_at=None)  # it names its room only now
    assert (detected(run), told(scene)) == (["agent_error"], [("agent_error", "first")])


def test_an_old_run_is_told_late_and_one_over_30_days_old_only_noted(scene: Scene) -> None:
    runs(scene, 1000, 900, resolution="failed")
    assert told(scene) == [("agent_error", "late")]
    known = (FailureEvent.objects.count(), Alert.objects.count())
    old = runs(scene, 31 * 86400, 31 * 86400 - 5, resolution="failed")
    assert (detected(old), FailureEvent.objects.count(), Alert.objects.count()) == (["agent_error"], *known)


@pytest.mark.parametrize(
    ("of_org", "of_agent", "finds"),
    [(None, None, True), (False, None, False), (False, True, True), (True, False, False)],
)
def test_the_policy_switches_it_off(scene: Scene, of_org: bool | None, of_agent: bool | None, finds: bool) -> None:
    first = runs(scene, 40, 10)
    agent = AgentRun.objects.get(run_id=first).agent
    Policy.objects.create(org=scene.org, detect_from_runs=of_org)
    Policy.objects.create(org=scene.org, agent=agent, detect_from_runs=of_agent)
    run = runs(scene, 40, 10, resolution="failed")
    assert (detected(run), Alert.objects.count()) == ((["agent_error"], 1) if finds else ([], 0))


def test_the_policy_says_how_sure_and_how_severe(scene: Scene) -> None:
    Policy.objects.create(org=scene.org, confidence_threshold=0.9, severities={"low_confidence": "critical"})
    runs(scene, 40, 10, confidence=0.8)
    assert (scene.alert().severity, scene.alert().signals[0]["signal"]) == ("critical", "low_confidence")


def test_runs_of_two_orgs_never_meet(scene: Scene) -> None:
    other, run = Scene(OrgFactory()), uuid4()
    for one in (scene, other):
        runs(one, 40, 10, run_id=run, resolution="failed")
    for one in (scene, other):
        assert (one.alert().event_count, one.stored(f"run:{run}:agent_error").reason) == (1, "first")


@pytest.mark.parametrize("sent_first", [True, False])
def test_a_failure_that_was_sent_too_counts_once(scene: Scene, sent_first: bool) -> None:
    run = uuid4()
    sent = {"run_id": run, "ago": 11, "handoff": Handoff(completed=False)}
    if sent_first:
        scene.fails("unexpected_handoff", key="sent", **sent)
    runs(scene, 40, 10, run_id=run, resolution="escalated")
    if not sent_first:
        scene.fails("unexpected_handoff", key="sent", **sent)
    alert = scene.alert()
    assert (alert.event_count, alert.severity, len(told(scene))) == (1, "critical", 2)
    assert sorted(reason for _, reason in told(scene)) == ["first", "same_run"]


def test_a_sender_who_took_the_id_of_a_detected_event_keeps_his_own(scene: Scene) -> None:
    run = uuid4()
    scene.fails("help_requested", key=f"run:{run}:agent_error")
    runs(scene, 40, 10, run_id=run, resolution="failed")
    assert (detected(run), told(scene)) == (["agent_error"], [("help_requested", "first")])


# --- runs that never end ---------------------------------------------------------------------------------------------


def test_a_run_that_does_not_end_in_time_is_stalled(scene: Scene) -> None:
    run = runs(scene, 121, None)
    runs(scene, 121, None, sla_target_seconds=600, room_id="r2")
    assert (sweep_stalled(), sweep_stalled()) == (1, 0)
    event, stored = FailureEvent.objects.get(), AgentRun.objects.get(run_id=run)
    assert (event.signal, event.occurred_at) == ("stalled_run", stored.started_at + timedelta(seconds=120))
    assert (scene.alert().severity, scene.alert().customer_waiting_since) == ("critical", event.occurred_at)
    assert stored.overdue_at == event.occurred_at


def test_it_may_stall_without_a_room(scene: Scene) -> None:
    run = runs(scene, 121, None, room_id=None)
    assert (sweep_stalled(), detected(run), Alert.objects.count()) == (1, ["stalled_run"], 0)


def test_it_ends_well_and_its_alert_ends_by_itself(scene: Scene) -> None:
    run = runs(scene, 150, None)
    sweep_stalled()
    assert ends(scene, run) == "updated"
    alert = scene.alert()
    assert (alert.state, alert.resolved_kind, alert.customer_waiting_since) == ("resolved", "recovered", None)
    assert scene.changes()[-1] == ("resolved", "recovered")
    assert scene.room().customer_waiting_since is None
    assert Alert.objects.count() == 1


def test_one_that_had_ended_in_time_and_was_heard_of_late_ends_it_too(scene: Scene) -> None:
    run = runs(scene, 150, None)
    sweep_stalled()
    ends(scene, run, ago=100)  # 50 s after it began
    assert (scene.alert().state, scene.room().customer_waiting_since) == ("resolved", None)


def test_it_fails_and_its_alert_has_both(scene: Scene) -> None:
    run = runs(scene, 150, None)
    sweep_stalled()
    ends(scene, run, "failed")
    assert [entry["signal"] for entry in scene.alert().signals] == ["stalled_run", "agent_error"]
    assert (scene.alert().state, detected(run)) == ("open", ["stalled_run", "agent_error"])


@pytest.mark.parametrize("what", ["seen", "another signal", "another run", "after an hour"])
def test_its_end_leaves_the_alert_if_more_happened(scene: Scene, clock: Any, what: str) -> None:
    run = runs(scene, 150, None)
    sweep_stalled()
    if what == "seen":
        actions.acknowledge(scene.alert().pk, scene.people[0])
    elif what == "another signal":
        scene.fails("help_requested")
    elif what == "another run":
        runs(scene, 140, None)
        sweep_stalled()
    else:
        clock.advance(minutes=61)
    ends(scene, run)
    assert scene.alert().state != "resolved"
    assert scene.room().customer_waiting_since is not None


def test_of_two_stalled_runs_the_last_that_ends_well_ends_it(scene: Scene) -> None:
    first, second = runs(scene, 150, None), runs(scene, 140, None)
    sweep_stalled()
    ends(scene, first)
    assert scene.alert().state == "open"
    ends(scene, second)
    assert scene.alert().state == "resolved"


# --- the bot recovers ------------------------------------------------------------------------------------------------


def test_a_run_that_began_after_the_failure_and_ended_well_ends_the_wait(scene: Scene) -> None:
    scene.fails(ago=60)
    runs(scene, 30, 10)
    room, alert = scene.room(), scene.alert()
    assert (room.customer_waiting_since, alert.customer_waiting_since, alert.state) == (None, None, "open")
    assert room.facts.recovered
    scene.fails(ago=5)  # it fails again: the ladder goes on
    assert scene.room().customer_waiting_since is not None


@pytest.mark.parametrize(
    ("began", "facts"), [(90, {}), (30, {"resolution": "escalated", "handoff_expected": True}), (30, {"room_id": "r2"})]
)
def test_no_other_run_does(scene: Scene, began: float, facts: dict[str, Any]) -> None:
    scene.fails(ago=60)
    runs(scene, began, 10, **facts)
    assert scene.room().customer_waiting_since is not None


def test_a_handoff_waits_for_its_human_all_the_same(scene: Scene) -> None:
    scene.fails("unexpected_handoff", ago=60)
    runs(scene, 30, 10)
    assert scene.room().customer_waiting_since is not None


def test_the_room_remembers_it_when_it_is_read_anew(scene: Scene) -> None:
    scene.fails(ago=60)
    runs(scene, 30, 10)
    scene.happens("customer_message", ago=70)  # comes late
    assert scene.room().customer_waiting_since is None
    scene.happens("customer_message", ago=5)
    assert scene.room().customer_waiting_since is not None


def test_a_failure_and_a_good_run_of_one_batch_go_in_their_order(scene: Scene) -> None:
    failed = as_posted(scene, uuid4(), 60, 50, resolution="failed")
    good = as_posted(scene, uuid4(), 40, 30)
    store_run_batches([(scene.source, [good, failed])])
    assert (scene.alert().state, scene.room().customer_waiting_since) == ("open", None)


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_good_runs_lock_no_room_and_make_none(scene: Scene) -> None:
    batch = [as_posted(scene, uuid4(), 40, 10, room_id=f"r{n}") for n in range(5)]
    with CaptureQueriesContext(connection) as queries:
        store_run_batches([(scene.source, batch)])
    assert sum("alerts_room" in query["sql"] for query in queries) == 1  # who waits?
    assert Push.objects.count() == 0


# --- at once ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_runs_and_failures_of_the_same_rooms_meet_without_a_deadlock_and_count_once(system: None) -> None:
    scene, ids = Scene(OrgFactory()), [uuid4() for _ in range(4)]
    ready = threading.Barrier(6)

    def failed() -> list[Accepted[RunItem]]:
        return [as_posted(scene, run, 40, 10, resolution="failed", room_id=f"r{n}") for n, run in enumerate(ids)]

    def store(order: int) -> None:
        store_run_batches([(scene.source, failed()[::order])])

    def send(order: int) -> None:
        events = [scene.event(key=f"sent-{n}", run_id=run, room=f"r{n}", ago=11) for n, run in enumerate(ids)]
        actions.record_events(scene.source, events[::order])

    def work(act: Callable[[int], None], order: int) -> None:
        with scopes_disabled():
            ready.wait()
            act(order)
        connections.close_all()

    threads = [threading.Thread(target=work, args=(act, way)) for act in (store, send) for way in (1, -1, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [alert.event_count for alert in Alert.objects.all()] == [1] * 4
    assert sorted(reason for _, reason in told(scene)) == ["first"] * 4 + ["same_run"] * 4
    assert Push.objects.count() == 4 * len(scene.people)
