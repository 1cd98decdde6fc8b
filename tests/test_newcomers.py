"""Who comes on duty otherwise than by the hour, or while an alert was put aside, gets their digest of what is open all
the same: once, and only of what they were not told.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts import actions
from alerts.models import Alert, DigestAlert, Push
from orgs import clock as database_clock
from orgs.history import tracked
from orgs.models import Assignment, Handover, Policy, QuietHours, SupervisorRole, TemporaryDuty, TemporarySchedule, User
from tests.factories import AgentFactory, AssignmentFactory, OrgFactory, SupervisorRoleFactory, UserFactory
from tests.scene import Scene, pushes_are_sent
from tests.test_on_duty import ALL_DAYS, MONDAY, Frozen

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]
SOON = {"minutes": 1, "seconds": 1}  # they are looked for once a minute


class Desk(Scene):
    """Rina is on duty at all hours, Bayu is away until noon, both in tier 1. It is Monday, 8:00."""

    def __init__(self) -> None:
        super().__init__(OrgFactory(zone="UTC"), staff=0)
        self.rina, self.bayu = (UserFactory(name=name) for name in ("Rina", "Bayu"))
        self.people = [self.rina, self.bayu]
        AssignmentFactory(org=self.org, role=self.role, user=self.rina)
        noon = MONDAY + timedelta(hours=4)
        AssignmentFactory(org=self.org, role=self.role, user=self.bayu, away_until=noon)
        actions.sweep_timers()

    def named(self, person: User) -> list[tuple[str, str]]:
        """(reason of the digest, room) of what digests named to this person, oldest first."""
        found = DigestAlert.objects.filter(push__supervisor=person).order_by("id")
        return list(found.values_list("push__reason", "alert__room__room_id"))


@pytest.fixture
def clock(db: Any) -> Frozen:
    return Frozen()


@pytest.fixture
def desk(clock: Frozen) -> Desk:
    return Desk()


def date_the_histories(at: datetime) -> None:
    """The database dates them by its own clock: what was changed since the last time was changed now."""
    for events in tracked().values():
        events._default_manager.filter(pgh_created_at__gt=at).update(pgh_created_at=at)


@pytest.fixture
def later(clock: Frozen) -> Any:
    def move(**parts: int) -> None:
        pushes_are_sent()
        date_the_histories(clock.at)
        clock.advance(**parts)
        for _ in range(20):
            if not actions.sweep_timers():
                return
        raise AssertionError("sweeps have no end")

    return move


def called_back(desk: Desk, person: User) -> None:
    Assignment.objects.get(org=desk.org, user=person).delete()
    AssignmentFactory(org=desk.org, role=desk.role, user=person)


def given_a_role(desk: Desk, person: User) -> None:
    Assignment.objects.filter(user=person).delete()
    role = SupervisorRoleFactory(org=desk.org, name="second", tier=1)
    AssignmentFactory(org=desk.org, role=role, user=person)


def away_no_more(desk: Desk, person: User) -> None:
    found = Assignment.objects.get(org=desk.org, user=person)
    found.away_until = None
    found.save()


def hours_changed(desk: Desk, person: User) -> None:
    found = Assignment.objects.get(org=desk.org, user=person)
    found.away_until, found.duty = None, [{"days": ALL_DAYS, "from": "07:00", "to": "17:00"}]
    found.save()


def stands_in(desk: Desk, person: User) -> None:
    """For a role that has nobody else."""
    role = SupervisorRoleFactory(org=desk.org, name="weekend", tier=1)
    Assignment.objects.filter(user=person).update(away_until=None, role=SupervisorRoleFactory(org=desk.org, tier=9))
    begin, end = MONDAY, MONDAY + timedelta(hours=9)
    schedule = TemporarySchedule.objects.create(org=desk.org, starts_at=begin, ends_at=end)
    TemporaryDuty.objects.create(org=desk.org, schedule=schedule, role=role, user=person)


@pytest.mark.parametrize("comes", [called_back, given_a_role, away_no_more, hours_changed, stands_in])
def test_who_comes_by_a_change_of_the_list_gets_one_digest_of_what_is_open(desk: Desk, later: Any, comes: Any) -> None:
    desk.fails("agent_error")
    desk.fails("message_cap", room="r2")
    actions.take(desk.alert("r2").pk, desk.rina)
    later(minutes=2)
    comes(desk, desk.bayu)
    later(**SOON)
    assert desk.named(desk.bayu) == [("on_duty", "r1")]
    for _ in range(4):
        later(seconds=20)
    assert desk.named(desk.bayu) == [("on_duty", "r1")]
    assert desk.named(desk.rina) == []


def test_whose_account_is_active_again_is_told(desk: Desk, later: Any) -> None:
    sinta = AssignmentFactory(org=desk.org, role=desk.role, user=UserFactory(name="Sinta", is_active=False)).user
    desk.fails("agent_error")
    later(minutes=2)
    sinta.is_active = True
    sinta.save()
    later(**SOON)
    assert desk.named(sinta) == [("on_duty", "r1")]


def test_whose_role_backs_up_one_more_agent_is_told(desk: Desk, later: Any) -> None:
    role = SupervisorRoleFactory(org=desk.org, name="others", tier=1)
    role.agents.add(AgentFactory(org=desk.org, name="Quiet Bot"))
    putu = AssignmentFactory(org=desk.org, role=role, user=UserFactory(name="Putu")).user
    desk.fails("agent_error")
    later(minutes=2)
    assert desk.named(putu) == []
    role.agents.add(desk.alert().agent)
    later(**SOON)
    assert desk.named(putu) == [("on_duty", "r1")]


def test_who_is_of_a_tier_that_nobody_reached_yet_is_not(desk: Desk, later: Any) -> None:
    Policy.objects.create(org=desk.org, limits={"escalate_minutes": {"critical": 60}})
    desk.fails("agent_error")
    later(minutes=2)
    second = AssignmentFactory(org=desk.org, role=SupervisorRoleFactory(org=desk.org, tier=2)).user
    later(**SOON)
    assert desk.named(second) == []


def test_the_first_people_of_an_org_hear_of_what_nobody_could_be_told(clock: Frozen, later: Any) -> None:
    scene = Scene(OrgFactory(zone="UTC"), staff=0)
    actions.sweep_timers()
    scene.fails("agent_error")
    scene.fails("low_confidence", room="r2")
    for _ in range(8):
        later(minutes=20)
    assert scene.alert().last_reason == "unroutable"
    first = AssignmentFactory(org=scene.org, role=scene.role).user
    later(**SOON)
    named = DigestAlert.objects.filter(push__supervisor=first, push__reason="on_duty")
    assert {one.alert.room.room_id for one in named} == {"r1"}  # quiet has closed the other one
    assert scene.alert().tier == 1


# --- what was put aside ----------------------------------------------------------------------------------------------


def exhausted(desk: Desk, later: Any) -> None:
    """An alert of which nobody is told again, whatever the hour."""
    Policy.objects.create(org=desk.org, limits={"repeat_minutes": [5]})
    desk.happens("customer_message")
    desk.fails("agent_error")
    for _ in range(3):
        later(minutes=5)
    assert desk.alert().repeats_done == 1


def snoozes(desk: Desk) -> Any:
    actions.snooze(desk.alert().pk, desk.rina, database_clock.now() + timedelta(minutes=4))
    return lambda: None


def snoozes_and_wakes(desk: Desk) -> Any:
    actions.snooze(desk.alert().pk, desk.rina, database_clock.now() + timedelta(minutes=60))
    return lambda: actions.wake(desk.alert().pk, desk.rina)


def snoozes_and_undoes(desk: Desk) -> Any:
    actions.snooze(desk.alert().pk, desk.rina, database_clock.now() + timedelta(minutes=60))
    return lambda: actions.undo(desk.alert().pk, desk.rina)


def takes_and_undoes(desk: Desk) -> Any:
    actions.take(desk.alert().pk, desk.rina)
    return lambda: actions.undo(desk.alert().pk, desk.rina)


def resolves_and_reopens(desk: Desk) -> Any:
    actions.resolve(desk.alert().pk, desk.rina)
    return lambda: actions.reopen(desk.alert().pk, desk.rina)


def silences_briefly(desk: Desk) -> Any:
    until = database_clock.now() + timedelta(minutes=60)
    made = actions.make_silence(actions.AskedSilence(desk.org, until, None, room_id="r1"), desk.rina)
    return lambda: actions.end_silence(made.pk, desk.rina)


ASIDE = [snoozes, snoozes_and_wakes, snoozes_and_undoes, takes_and_undoes, resolves_and_reopens, silences_briefly]


@pytest.mark.parametrize("aside", ASIDE)
@pytest.mark.parametrize("comes", ["by the hour", "by a change"])
def test_who_came_while_it_was_put_aside_hears_of_it_when_it_is_open_again(
    desk: Desk, later: Any, aside: Any, comes: str
) -> None:
    """Nothing is due any more that would tell them."""
    starts = [{"days": ALL_DAYS, "from": "08:17", "to": "17:00"}]
    hours = starts if comes == "by the hour" else []
    Assignment.objects.filter(user=desk.bayu).update(away_until=None, duty=hours)
    if comes == "by a change":
        Assignment.objects.filter(user=desk.bayu).delete()
    exhausted(desk, later)
    again = aside(desk)
    if comes == "by a change":
        AssignmentFactory(org=desk.org, role=desk.role, user=desk.bayu)
    later(minutes=3)
    assert desk.named(desk.bayu) == []
    again()
    later(**SOON)
    later(**SOON)
    assert desk.named(desk.bayu) == [("on_duty", "r1")]
    before = Push.objects.filter(supervisor=desk.rina).count()
    for _ in range(4):
        later(seconds=20)
    assert desk.named(desk.bayu) == [("on_duty", "r1")]
    assert Push.objects.filter(supervisor=desk.rina).count() == before


def test_who_knows_of_it_is_not_told_again_when_it_is_open_again(desk: Desk, later: Any) -> None:
    exhausted(desk, later)
    actions.snooze(desk.alert().pk, desk.rina, database_clock.now() + timedelta(minutes=4))
    before = Push.objects.filter(supervisor=desk.rina).count()
    later(minutes=5)
    later(minutes=2)
    assert Push.objects.filter(supervisor=desk.rina).count() == before


def test_a_digest_that_went_without_it_is_no_telling(desk: Desk, later: Any, clock: Frozen) -> None:
    """Somebody had it when the digest of who came was written, and gave it back."""
    Assignment.objects.filter(user=desk.bayu).update(away_until=MONDAY + timedelta(minutes=17))
    exhausted(desk, later)
    clock.advance(minutes=2)
    while actions.sweep_timers():
        pass
    assert desk.named(desk.bayu) == [("on_duty", "r1")]
    actions.take(desk.alert().pk, desk.rina)
    now = database_clock.now()
    Push.objects.filter(kind="digest").update(
        state="cancelled", ended_reason="no_longer_needed", ended_at=now, next_attempt_at=None
    )
    clock.advance(minutes=1)
    actions.undo(desk.alert().pk, desk.rina)
    later(**SOON)
    assert desk.named(desk.bayu) == [("on_duty", "r1")] * 2


def test_a_tier_in_quiet_hours_hears_of_it_when_they_are_taken_back(desk: Desk, later: Any) -> None:
    away_no_more(desk, desk.bayu)
    rest = [{"days": ALL_DAYS, "from": "07:00", "to": "12:00"}]
    QuietHours.objects.create(org=desk.org, user=desk.bayu, hours=rest)
    desk.fails("message_cap")
    later(minutes=2)
    QuietHours.objects.all().delete()
    later(**SOON)
    assert desk.named(desk.bayu) == [("on_duty", "r1")]


def test_one_whose_hand_over_is_taken_back_is_told_too(desk: Desk, later: Any) -> None:
    away_no_more(desk, desk.bayu)
    Handover.objects.create(org=desk.org, user=desk.bayu, starts_at=MONDAY, ends_at=MONDAY + timedelta(minutes=60))
    desk.fails("message_cap")
    later(minutes=2)
    Handover.objects.all().delete()
    later(**SOON)
    assert desk.named(desk.bayu) == [("on_duty", "r1")]
    assert SupervisorRole.objects.count() == 1 and Alert.objects.count() == 1


# --- the org's zone is another ---------------------------------------------------------------------------------------


def test_with_another_zone_who_is_on_duty_by_it_hears_of_what_is_open(desk: Desk, later: Any) -> None:
    hours = [{"days": ALL_DAYS, "from": "14:00", "to": "20:00"}]
    Assignment.objects.filter(user=desk.bayu).update(away_until=None, duty=hours)
    desk.fails("agent_error")
    later(minutes=2)
    desk.org.zone = "Asia/Jakarta"  # where it is past three
    desk.org.save()
    later(**SOON)
    assert desk.named(desk.bayu) == [("on_duty", "r1")]


def test_with_another_zone_quiet_hours_that_held_it_are_over(desk: Desk, later: Any) -> None:
    rest = [{"days": ALL_DAYS, "from": "07:00", "to": "12:00"}]
    QuietHours.objects.create(org=desk.org, user=desk.rina, hours=rest)
    desk.fails("message_cap")
    later(minutes=2)
    assert desk.alert().hours_until == MONDAY + timedelta(hours=4)
    desk.org.zone = "Asia/Jakarta"
    desk.org.save()
    later(seconds=5)
    assert desk.named(desk.rina) == [("on_duty", "r1")]
    assert (desk.alert().hours_until, desk.alert().duty_waits) == (None, False)
