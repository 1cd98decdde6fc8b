"""A blackout with real processes, all killed: what fell due in it is one digest, and nobody is called a liar for it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from alerts import actions
from alerts.blind import beat
from alerts.models import Alert, BlindInterval, DigestAlert, Push, Transition, WebHeartbeat
from orgs import clock as database_clock
from orgs.keys import issue
from orgs.models import QuietHours
from tests.factories import AssignmentFactory, SupervisorRoleFactory
from tests.outbox import set_gate, sweep
from tests.scene import Scene
from tests.stack import Oracle, Stack, accepted, stack, until
from tests.standins import Standins

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("system")]
PROCESSES = ("web", "worker", "dispatcher")
ALL_DAYS = [1, 2, 3, 4, 5, 6, 7]


class Blackout:
    """An org of two supervisors and a lead, the processes, and the clock."""

    def __init__(self, running: Stack, standins: Standins, clock: Any) -> None:
        self.running, self.standins, self.clock = running, standins, clock
        self.oracle = Oracle()
        self.scene = Scene()
        self.lead = AssignmentFactory(org=self.scene.org, role=SupervisorRoleFactory(org=self.scene.org, tier=2)).user
        self.people = [*self.scene.people, self.lead]
        self.key = issue(self.scene.source, ["ingest"])[1]

    def fail(self, signal: str, *rooms: str, **fields: Any) -> None:
        for room in rooms:
            event = {"event_id": f"e-{room}", "agent_name": "Billing Bot", "room_id": room, "signal": signal}
            at = database_clock.now().isoformat()
            self.oracle.saw(*self.running.post("/api/failure-events", self.key, event | {"occurred_at": at} | fields))

    def human_acted(self, minutes_ago: float, *rooms: str) -> None:
        """The chat product tells of it now."""
        at = (database_clock.now() - timedelta(minutes=minutes_ago)).isoformat()
        for room in rooms:
            said = {"activity_id": f"a-{room}", "room_id": room, "kind": "human_message", "at": at}
            status, _ = self.running.post("/api/room-activity", self.key, said)
            assert status == 201

    def up(self) -> None:
        with ThreadPoolExecutor(len(PROCESSES)) as together:
            list(together.map(lambda name: self.running.start(name, WEB_HEARTBEAT="1"), PROCESSES))
        until(lambda: WebHeartbeat.objects.filter(at__gt=database_clock.now() - timedelta(seconds=30)).exists())

    def down(self, minutes: float) -> None:
        """All are killed, and back after so long."""
        for name in PROCESSES:
            self.running.running[name].kill()
        self.clock.advance(minutes=minutes)
        assert not BlindInterval.objects.exists()
        self.up()
        until(lambda: BlindInterval.objects.filter(cause="down", ends__isnull=False).exists())

    def seen_for(self, **parts: float) -> None:
        """Time goes by while a web process is there: beside the real one, which beats every ten real seconds."""
        left = timedelta(**parts)
        while left > timedelta():
            step = min(left, timedelta(seconds=40))
            self.clock.advance(seconds=step.total_seconds())
            beat()
            left -= step

    def checked(self) -> list[tuple[str, str]]:
        """(sso_id, text) of the digests that reach people when the 2 min of grace are over, until nothing is due."""
        self.seen_for(minutes=2, seconds=5)
        until(lambda: Push.objects.filter(kind="digest").exists())
        self.seen_for(seconds=35)  # a digest waits for company
        while actions.sweep_timers():
            pass
        sweep()
        until(lambda: not Push.objects.filter(state__in=["pending", "sending"]).exists())
        bodies = [row["body"] for row in accepted(self.standins) if row["path"] != "/v1/revocations"]
        return [(body["recipient"]["sso_id"], body["body"]) for body in bodies if body["data"].get("alert_ids")]


@pytest.fixture
def blackout(standins: Standins, transactional_db: None, clock: Any) -> Iterator[Blackout]:
    set_gate()
    WebHeartbeat.objects.all().delete()
    with stack(standins) as running:
        yield Blackout(running, standins, clock)
    connection.close()


def named() -> list[str]:
    return sorted(set(DigestAlert.objects.values_list("alert__room__room_id", flat=True)))


def test_45_twenty_minutes_without_web_and_worker_while_humans_acted_escalate_nothing(blackout: Blackout) -> None:
    """Of two rooms the chat product tells afterwards; of the third it never does, and in the fourth nobody was."""
    blackout.up()
    blackout.fail("agent_error", "r1", "r2", "r3", "r4", error={"type": "Timeout"})
    until(lambda: len(accepted(blackout.standins)) == 8)
    blackout.down(minutes=20)
    blackout.human_acted(15, "r1", "r2")
    told = blackout.checked()
    assert sorted(sso_id for sso_id, _ in told) == sorted(one.sso_id for one in blackout.people)
    assert named() == ["r3", "r4"]
    assert all("check these rooms" in text for _, text in told)
    pushed = Push.objects.filter(kind="alert").exclude(reason="first")
    assert not pushed.exists()
    late = Transition.objects.filter(change__in=["escalated", "repeated"])
    assert not late.filter(alert__room__room_id__in=["r1", "r2"]).exists()
    assert set(late.values_list("reason", flat=True)) == {"blind"}
    blackout.oracle.check(blackout.standins)


def test_quiet_hours_that_end_while_everything_is_down_are_told_of_once(blackout: Blackout) -> None:
    here = database_clock.now().astimezone(ZoneInfo(blackout.scene.org.zone))
    begin, end = ((here + timedelta(minutes=by)).strftime("%H:%M") for by in (-60, 10))
    for person in blackout.people:
        hours = [{"days": ALL_DAYS, "from": begin, "to": end}]
        QuietHours.objects.create(org=blackout.scene.org, user=person, hours=hours)
    blackout.up()
    blackout.fail("message_cap", "r1", "r2", "r3", message_count=20, message_cap=20)
    assert set(Alert.objects.values_list("last_reason", flat=True)) == {"quiet_hours"}
    blackout.down(minutes=30)
    told = blackout.checked()
    assert sorted(sso_id for sso_id, _ in told) == sorted(one.sso_id for one in blackout.scene.people)
    assert named() == ["r1", "r2", "r3"]
    assert not Push.objects.filter(kind="alert").exclude(state="skipped").exists()
    blackout.oracle.check(blackout.standins)


def test_quiet_hours_that_end_are_told_of_within_5_s_though_all_was_restarted_in_between(blackout: Blackout) -> None:
    """When it is told is a due time in the row. Mutation: keep it in the process that decided."""
    here = database_clock.now().astimezone(ZoneInfo(blackout.scene.org.zone))
    end = here.replace(second=0, microsecond=0) + timedelta(minutes=20)
    hours = [{"days": ALL_DAYS, "from": (here - timedelta(hours=1)).strftime("%H:%M"), "to": end.strftime("%H:%M")}]
    for person in blackout.people:
        QuietHours.objects.create(org=blackout.scene.org, user=person, hours=hours)
    blackout.up()
    blackout.fail("message_cap", "r1", message_count=20, message_cap=20)
    assert Alert.objects.get().last_reason == "quiet_hours"
    blackout.seen_for(minutes=5)
    for name in PROCESSES:
        blackout.running.running[name].kill()
    blackout.up()
    blackout.seen_for(seconds=(end - database_clock.now()).total_seconds() - 3)
    assert accepted(blackout.standins) == []
    blackout.seen_for(seconds=4)
    until(lambda: len(accepted(blackout.standins)) == 2, seconds=10)  # as much again for a busy machine
    told = Push.objects.filter(kind="alert").exclude(state="skipped")
    assert sorted(told.values_list("supervisor", "reason")) == sorted(
        (one.pk, "quiet_ended") for one in blackout.scene.people
    )
    assert not BlindInterval.objects.exists()
    blackout.oracle.check(blackout.standins)
