"""Who is told at what hour: duty, absence, quiet hours, fallback roles, and what those get who come on duty later."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from alerts import actions
from alerts.delivery.claim import claim
from alerts.models import Alert, DigestAlert, Push
from orgs.models import (
    Assignment,
    Handover,
    Policy,
    QuietHours,
    SupervisorRole,
    TemporaryDuty,
    TemporarySchedule,
)
from tests.factories import AgentFactory, AssignmentFactory, OrgFactory, SupervisorRoleFactory, UserFactory
from tests.scene import Scene, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]

MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ALL_DAYS = [1, 2, 3, 4, 5, 6, 7]
DAY, NIGHT = ({"days": ALL_DAYS, "from": a, "to": b} for a, b in (("08:00", "17:00"), ("17:00", "08:00")))


class Frozen:
    """The database's clock, standing still at `at` until it is moved; the rollback puts it right."""

    def __init__(self):
        self.freeze(MONDAY)

    def freeze(self, at):
        self.at = at
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE OR REPLACE FUNCTION live_now() RETURNS timestamptz LANGUAGE sql VOLATILE "
                f"AS 'SELECT ''{at.isoformat()}''::timestamptz'"
            )

    def advance(self, **parts):
        self.freeze(self.at + timedelta(**parts))


class Rota(Scene):
    """Rina works by day and Sinta by night in tier 1, Bayu in tier 2 at all hours."""

    def __init__(self):
        super().__init__(OrgFactory(zone="UTC"), staff=0)
        self.rina, self.sinta, self.bayu = (UserFactory(name=name) for name in ("Rina", "Sinta", "Bayu"))
        self.second = SupervisorRoleFactory(org=self.org, tier=2)
        self.people = [self.rina]
        self.works(self.rina, DAY)
        self.works(self.sinta, NIGHT)
        self.works(self.bayu, role=self.second)
        actions.sweep_timers()

    def works(self, person, *duty, role=None, **facts):
        role = role or self.role
        Assignment.objects.filter(role=role, user=person).delete()
        AssignmentFactory(org=self.org, role=role, user=person, duty=list(duty), **facts)

    def rests(self, person, begin, end):
        hours = [{"days": ALL_DAYS, "from": begin, "to": end}]
        QuietHours.objects.update_or_create(org=self.org, user=person, defaults={"hours": hours})

    def rows(self, person):
        """(reason, state, why it ended) of the pushes to this person, digests among them, oldest first."""
        found = Push.objects.filter(org=self.org, supervisor=person).order_by("planned_at", "occurrence")
        return list(found.values_list("reason", "state", "ended_reason"))

    def named(self, person):
        """The rooms in the digests of this person, with what began each."""
        found = DigestAlert.objects.filter(push__supervisor=person).order_by("id")
        return list(found.values_list("push__reason", "alert__room__room_id"))


@pytest.fixture
def clock(db):
    return Frozen()


@pytest.fixture
def rota(clock):
    return Rota()


@pytest.fixture
def later(clock):
    def move(**parts):
        pushes_are_sent()
        clock.advance(**parts)
        while actions.sweep_timers():
            pass

    return move


FIRST = ("first", "pending", "")


def test_who_is_on_duty_is_told_and_the_other_row_says_why_not(rota):
    rota.fails()
    assert rota.rows(rota.rina) == [FIRST]
    assert rota.rows(rota.sinta) == [("first", "skipped", "off_duty")]
    assert rota.rows(rota.bayu) == []


@pytest.mark.parametrize("how", ["away", "handover"])
def test_away_goes_before_off_duty_and_the_tier_is_passed(rota, how):
    if how == "away":
        rota.works(rota.rina, DAY, away_until=MONDAY + timedelta(hours=2))
    else:
        Handover.objects.create(org=rota.org, user=rota.rina, starts_at=MONDAY, ends_at=MONDAY + timedelta(minutes=30))
    rota.fails()
    assert rota.rows(rota.rina) == [("first", "skipped", "away")]
    assert rota.rows(rota.bayu) == [FIRST]
    assert rota.changes() == [("opened", "first"), ("escalated", "nobody_on_duty")]
    assert rota.alert().tier == 2


def test_a_tier_in_quiet_hours_is_passed_like_an_empty_one(rota):
    rota.rests(rota.rina, "07:00", "09:00")
    rota.fails("message_cap")
    assert rota.rows(rota.rina) == [("first", "skipped", "quiet_hours")]
    assert rota.rows(rota.bayu) == [FIRST]
    assert ("escalated", "nobody_on_duty") in rota.changes()


def test_critical_passes_quiet_hours_unless_policy_says_otherwise(rota):
    rota.rests(rota.rina, "07:00", "09:00")
    rota.fails("agent_error")
    assert rota.rows(rota.rina) == [FIRST]


def test_with_all_in_quiet_hours_it_is_held_until_the_first_of_them_end(rota, later):
    """Told at their end as `quiet_ended`, also when no process ran meanwhile; the tier's clock starts then."""
    rota.rests(rota.rina, "07:00", "10:00")
    rota.rests(rota.bayu, "07:00", "09:30")
    rota.fails("message_cap")
    alert = rota.alert()
    assert (alert.last_reason, alert.due_at, alert.tier) == ("quiet_hours", MONDAY + timedelta(minutes=90), 0)
    assert rota.stored(Alert.objects.get().events.get().event_id).reason == "quiet_hours"
    later(minutes=90, seconds=-1)
    assert rota.rows(rota.bayu) == [("first", "skipped", "quiet_hours")]
    later(seconds=2)
    assert rota.rows(rota.bayu)[-1] == ("quiet_ended", "pending", "")
    assert rota.rows(rota.rina)[-1] == ("quiet_ended", "skipped", "quiet_hours")
    assert rota.alert().tier == 2
    assert rota.alert().escalate_at is not None


def test_what_got_worse_while_it_was_held_is_told_at_once(rota, later):
    for person in (rota.rina, rota.bayu):
        rota.rests(person, "07:00", "09:00")
    rota.fails("message_cap")
    rota.fails("agent_error")
    assert rota.rows(rota.rina)[-1] == ("worsened", "pending", "")
    assert rota.alert().hours_until is None
    later(hours=1, seconds=1)
    assert ("released_hold", "quiet_ended") not in rota.changes()


def test_what_somebody_took_while_it_was_held_is_not_told_at_the_end(rota, later):
    for person in (rota.rina, rota.bayu):
        rota.rests(person, "07:00", "08:05")
    rota.fails("message_cap")
    actions.take(rota.alert().pk, rota.rina)
    later(minutes=6)
    assert not Push.objects.filter(reason="quiet_ended")


def test_a_fallback_is_told_when_nobody_of_any_tier_is_on_duty(rota, later):
    rota.works(rota.bayu, NIGHT, role=rota.second)
    rota.works(rota.rina, NIGHT)
    last = AssignmentFactory(org=rota.org, role=SupervisorRoleFactory(org=rota.org, fallback=True), duty=[NIGHT]).user
    specialist = UserFactory(is_specialist=True)
    rota.fails("agent_error")
    assert rota.rows(last) == [FIRST]
    assert {rota.rows(one)[0][2] for one in (rota.rina, rota.sinta, rota.bayu)} == {"off_duty"}
    assert rota.changes() == [("opened", "first"), ("escalated", "nobody_on_duty"), ("escalated", "nobody_on_duty")]
    later(minutes=3, seconds=1)
    assert rota.rows(specialist) == [("escalated", "pending", "")]


def test_a_fallback_is_not_told_while_somebody_is_on_duty(rota):
    last = AssignmentFactory(org=rota.org, role=SupervisorRoleFactory(org=rota.org, fallback=True)).user
    rota.fails("agent_error")
    assert rota.rows(last) == []


def test_nobody_at_all_is_unroutable_and_specialists_hear_of_it_once_an_hour(rota, later):
    for person, role in ((rota.rina, None), (rota.sinta, None), (rota.bayu, rota.second)):
        rota.works(person, DAY, role=role, away_until=MONDAY + timedelta(hours=9))
    specialist = UserFactory(is_specialist=True)
    rota.fails("agent_error")
    rota.fails("agent_error", room="r2")
    rota.fails("message_cap", room="r3")
    assert [rota.alert(room).last_reason for room in ("r1", "r2", "r3")] == ["unroutable"] * 3
    assert {row[2] for one in (rota.rina, rota.bayu) for row in rota.rows(one)} == {"away"}
    assert rota.rows(specialist) == [("unroutable", "pending", "")]
    later(minutes=61)
    rota.fails("agent_error", room="r4")
    assert len(rota.rows(specialist)) == 2


def test_who_comes_on_duty_gets_one_digest_of_what_is_open_and_untaken(rota, later):
    """Of what was told or passed; what somebody has, or is of a later tier, is not in it. Told once."""
    for room in ("r1", "r2", "r3"):
        rota.fails("agent_error", room=room)
    actions.take(rota.alert("r2").pk, rota.rina)
    later(hours=8, minutes=59)
    assert rota.named(rota.sinta) == []
    later(minutes=1)
    assert {room for reason, room in rota.named(rota.sinta) if reason == "on_duty"} >= {"r1", "r3"}
    digests = Push.objects.filter(supervisor=rota.sinta, kind="digest")
    assert [one.reason for one in digests] == ["on_duty"]
    later(seconds=5)
    later(minutes=2)
    assert digests.count() == 1


def test_who_comes_on_duty_is_told_of_the_outage_of_a_source_that_backs_up_one_of_its_agents(rota, later, clock):
    """Its rooms are in no digest: without it nobody who comes would hear of them."""
    other = SupervisorRoleFactory(org=rota.org, name="others")
    other.agents.add(AgentFactory(org=rota.org, name="Quiet Bot"))
    putu = UserFactory(name="Putu")
    rota.works(putu, NIGHT, role=other)
    clock.advance(hours=8, minutes=56)
    for n in range(6):
        rota.fails("agent_error", room=f"r{n}", agent_name=f"Bot {n % 3}")
    outage = Alert.objects.get(org=rota.org, scope="source")
    assert not Push.objects.filter(supervisor=rota.sinta).exclude(state="skipped")
    later(minutes=4)
    named = DigestAlert.objects.filter(alert=outage, push__reason="on_duty")
    assert {one.push.supervisor for one in named} == {rota.sinta}


def test_who_came_while_nothing_ran_is_told_all_the_same(rota, later):
    rota.fails("agent_error")
    later(hours=2)
    assert rota.named(rota.sinta) == []
    later(hours=7, minutes=20)  # no sweep in between
    assert ("on_duty", "r1") in rota.named(rota.sinta)


def test_info_waits_for_who_comes_on_duty_in_the_first_tier(rota, later):
    rota.works(rota.rina, {"days": ALL_DAYS, "from": "10:10", "to": "17:00"})
    Policy.objects.create(org=rota.org, limits={"low_confidence": "push"})
    rota.fails("low_confidence")
    assert rota.changes() == [("opened", "nobody_on_duty")]
    assert rota.rows(rota.rina) == [("first", "skipped", "off_duty")]
    later(hours=2, minutes=9)
    assert rota.rows(rota.bayu) == []
    later(minutes=1)
    assert rota.named(rota.rina) == [("on_duty", "r1")]
    later(minutes=29)
    assert rota.alert().state == "open"  # it was told only now
    later(minutes=2)
    assert rota.alert().state == "resolved"
    assert (rota.alert().tier, rota.alert().duty_waits) == (1, False)


def test_what_nobody_could_be_told_of_is_told_when_somebody_is_back(rota, later):
    """Also when nobody waited for an hour to come: an absence was taken back."""
    for person, role in ((rota.rina, None), (rota.sinta, None), (rota.bayu, rota.second)):
        rota.works(person, role=role, away_until=MONDAY + timedelta(hours=9))
    rota.fails("message_cap")
    later(seconds=30)
    assert rota.alert().last_reason == "unroutable"
    Assignment.objects.filter(user=rota.rina).update(away_until=None)
    later(seconds=5)
    assert rota.named(rota.rina) == [("on_duty", "r1")]
    assert rota.alert().tier == 1
    later(minutes=5, seconds=1)
    assert ("escalated", "nobody_on_duty") in rota.changes()  # Bayu is away still


def test_a_tier_whose_people_went_home_is_passed_at_the_repeat(rota, later):
    rota.works(rota.rina, {"days": ALL_DAYS, "from": "08:00", "to": "08:02"})
    rota.works(rota.sinta, {"days": ALL_DAYS, "from": "20:00", "to": "21:00"})
    Policy.objects.create(org=rota.org, limits={"escalate_minutes": {"warning": 60}})
    rota.fails("message_cap")
    assert rota.rows(rota.rina) == [FIRST]
    later(minutes=5, seconds=1)
    assert rota.rows(rota.rina)[-1] == ("repeat_due", "skipped", "off_duty")
    assert rota.rows(rota.bayu) == [("repeat_due", "pending", "")]
    assert rota.alert().tier == 2


def test_a_push_whose_reader_went_home_is_cancelled_and_the_tier_is_passed(rota, clock, gate, settings):
    settings.NOTIFICATION_SERVICE_URL = "http://127.0.0.1:9"
    rota.works(rota.rina, {"days": ALL_DAYS, "from": "08:00", "to": "08:01"})
    rota.fails("agent_error")
    clock.advance(minutes=1, seconds=1)
    claim()
    assert rota.rows(rota.rina) == [("first", "cancelled", "off_duty")]
    actions.sweep_timers()
    assert rota.rows(rota.bayu) == [("escalated", "pending", "")]


def test_one_whose_phone_failed_holds_up_no_other(rota):
    """Recipients are independent rows; a tier is passed only when all of its rows are dead."""
    rota.works(rota.sinta)
    rota.fails("agent_error")
    Push.objects.filter(supervisor=rota.rina).update(state="dead", ended_reason="refused", ended_at=MONDAY)
    actions.sweep_timers()
    assert rota.rows(rota.sinta) == [FIRST]
    assert rota.rows(rota.bayu) == []
    Push.objects.filter(supervisor=rota.sinta).update(state="dead", ended_reason="refused", ended_at=MONDAY)
    actions.sweep_timers()
    assert rota.rows(rota.bayu) == [("escalated", "pending", "")]


def test_a_temporary_schedule_stands_in_for_the_roles_it_names(rota, clock):
    schedule = TemporarySchedule.objects.create(
        org=rota.org, starts_at=MONDAY + timedelta(hours=1), ends_at=MONDAY + timedelta(hours=2)
    )
    TemporaryDuty.objects.create(org=rota.org, schedule=schedule, role=rota.role, user=rota.sinta)
    stranger = UserFactory()  # without an assignment in the org
    TemporaryDuty.objects.create(org=rota.org, schedule=schedule, role=rota.role, user=stranger)
    rota.fails("agent_error")
    clock.advance(hours=1)
    rota.fails("agent_error", room="r2")
    clock.advance(hours=1)
    rota.fails("agent_error", room="r3")
    assert rota.rows(rota.rina) == [FIRST, ("first", "skipped", "off_duty"), FIRST]
    assert rota.rows(rota.sinta) == [("first", "skipped", "off_duty"), FIRST, ("first", "skipped", "off_duty")]
    assert rota.rows(stranger) == []


def test_a_role_with_nobody_but_a_fallback_has_no_tier(rota):
    SupervisorRole.objects.filter(pk__in=[rota.role.pk, rota.second.pk]).update(fallback=True)
    rota.fails("agent_error")
    assert [rota.rows(one) for one in (rota.rina, rota.bayu)] == [[FIRST], [FIRST]]
    assert set(Push.objects.values_list("tier", flat=True)) == {0}


def test_without_duty_everybody_is_told_at_any_hour(clock):
    scene = Scene()
    clock.freeze(MONDAY - timedelta(hours=6))
    scene.fails("agent_error")
    assert [push.state for push in Push.objects.all()] == ["pending", "pending"]
