"""Who asked for it is told when their duty begins and when it has changed: once, in time, and never while away."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django_scopes import scopes_disabled

from alerts.api import shapes
from alerts.delivery.claim import claim
from alerts.duty_pushes import sweep_duty_pushes
from alerts.models import Push
from demo.standins import contract
from orgs import clock as clocks
from orgs import imports
from orgs.duty_changes import set_duty_pushes
from orgs.history import tracked
from orgs.models import (
    Assignment,
    DutyReminder,
    Handover,
    Holiday,
    Org,
    SupervisorRole,
    TemporaryDuty,
    TemporarySchedule,
    User,
)
from tests.api_client import put, signed_in
from tests.factories import AssignmentFactory, SupervisorRoleFactory
from tests.outbox import posts, sweep
from tests.test_on_duty import ALL_DAYS, DAY, MONDAY, Frozen, Rota

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate", "standins")]


@pytest.fixture
def clock(db):
    return Frozen()


@pytest.fixture
def rota(clock):
    """Rina works by day; it is a quarter to six in the morning, long before."""
    clock.freeze(MONDAY - timedelta(hours=2, minutes=15))
    made = Rota()
    set_duty_pushes(made.org, made.rina, True, clock.at)
    look()
    return made


def look():
    """Sweeps come by until nothing is due."""
    return sweep_duty_pushes(clocks.now())


def at(clock, hour, minute=0, day=23, second=0):
    clock.freeze(datetime(2026, 11, day, hour, minute, second, tzinfo=UTC))
    DutyReminder.objects.update(due_at=clock.at)
    return look()


def pushes(person, reason=None):
    found = Push.objects.filter(kind="duty", supervisor=person).order_by("planned_at")
    return list(found.filter(reason=reason) if reason else found)


def said(push):
    body = json.loads(push.body)
    contract.parse(body)
    return body["title"], body["body"]


def knows(person):
    """Their duty as it is now is what they know."""
    DutyReminder.objects.filter(user=person).update(known=None)


def settle(clock):
    """Long enough that a change is no longer taken back: two looks, a minute apart."""
    for _ in range(2):
        clock.advance(seconds=60)
        look()


# --- that it begins ---


def test_who_asked_is_told_a_quarter_of_an_hour_before(rota, clock):
    assert at(clock, 7, 44, second=59) == 0
    assert at(clock, 7, 45) == 1
    (push,) = pushes(rota.rina)
    assert (push.reason, push.alert_id, push.severity) == ("duty_starts", None, "info")
    assert said(push) == ("Your duty starts at 08:00", f"{rota.org.name}: {rota.role.name} until 17:00")
    assert claim().pushes[0].id == push.id


def test_it_goes_out_like_any_push(rota, clock, standins):
    at(clock, 7, 45)
    sweep()
    (row,) = posts(standins)
    assert (row["signature_ok"], row["body"]["recipient"]["sso_id"]) == (True, rota.rina.sso_id)
    assert row["body"]["ttl_seconds"] == 30 * 60  # until a quarter of an hour after it began
    assert [one.state for one in pushes(rota.rina)] == ["sent"]


def test_the_row_says_when_it_begins_so_that_nobody_looks_too_late(rota, clock):
    at(clock, 7, 44, second=50)
    assert DutyReminder.objects.get().due_at == datetime(2026, 11, 23, 7, 45, tzinfo=UTC)


def test_nobody_is_told_who_did_not_ask(rota, clock):
    rota.works(rota.bayu, DAY, role=rota.second)
    at(clock, 7, 45)
    assert pushes(rota.bayu) == []


def test_it_is_told_once_however_many_sweeps_come_by(rota, clock):
    at(clock, 7, 45)
    DutyReminder.objects.all().delete()
    set_duty_pushes(rota.org, rota.rina, True, MONDAY - timedelta(hours=3))  # not even that makes it new
    for minute in (46, 50, 59):
        at(clock, 7, minute)
    at(clock, 8, 10)
    assert len(pushes(rota.rina)) == 1


def test_roles_that_begin_together_are_one_start(rota, clock):
    rota.works(rota.rina, {"days": ALL_DAYS, "from": "08:00", "to": "12:00"}, role=rota.second)
    knows(rota.rina)
    at(clock, 7, 45)
    (push,) = pushes(rota.rina)
    assert f"{rota.role.name} until 17:00" in said(push)[1]
    assert f"{rota.second.name} until 12:00" in said(push)[1]


def test_another_role_that_begins_later_is_another_start(rota, clock):
    rota.works(rota.rina, {"days": ALL_DAYS, "from": "12:00", "to": "17:00"}, role=rota.second)
    knows(rota.rina)
    at(clock, 7, 45)
    at(clock, 11, 45)
    assert [said(one)[0] for one in pushes(rota.rina)] == ["Your duty starts at 08:00", "Your duty starts at 12:00"]


@pytest.mark.parametrize(("hour", "minute", "told"), [(8, 15, 1), (8, 16, 0)])
def test_a_sweep_that_comes_late_tells_of_no_start_long_past(rota, clock, hour, minute, told):
    assert at(clock, hour, minute) == told
    assert [said(one)[0] for one in pushes(rota.rina)] == ["Your duty started at 08:00"] * told


def test_whoever_asks_in_the_middle_of_their_duty_is_not_told_that_it_began(rota, clock):
    set_duty_pushes(rota.org, rota.bayu, True, MONDAY + timedelta(minutes=5))
    rota.works(rota.bayu, DAY, role=rota.second)
    at(clock, 8, 6)
    assert pushes(rota.bayu) == []


@pytest.mark.parametrize("day", [24, 25])
def test_no_duty_begins_on_a_holiday_that_is_off(rota, clock, day):
    rota.works(rota.rina, DAY | {"holidays": "off"})
    Holiday.objects.create(org=rota.org, date="2026-11-24")
    knows(rota.rina)
    at(clock, 7, 45, day=day)
    assert len(pushes(rota.rina, "duty_starts")) == (0 if day == 24 else 1)


@pytest.mark.parametrize("how", ["away", "handover", "handed_later", "until_later"])
def test_who_is_away_is_not_told(rota, clock, how):
    if how == "handover":
        Handover.objects.create(org=rota.org, user=rota.rina, starts_at=MONDAY - timedelta(hours=1), ends_at=MONDAY)
    elif how == "handed_later":
        begins, ends = MONDAY - timedelta(minutes=5), MONDAY + timedelta(minutes=25)
        Handover.objects.create(org=rota.org, user=rota.rina, starts_at=begins, ends_at=ends)
    else:
        until = MONDAY + (timedelta(hours=2) if how == "until_later" else timedelta(minutes=-5))
        Assignment.objects.filter(user=rota.rina).update(away_until=until)
    knows(rota.rina)
    assert at(clock, 7, 45) == 0
    assert at(clock, 10, 0) == 0  # coming back is no start of duty


def test_quiet_hours_are_waited_for(rota, clock):
    rota.rests(rota.rina, "06:00", "08:10")
    assert at(clock, 7, 45) == 0
    assert at(clock, 8, 10) == 1
    assert said(pushes(rota.rina)[0])[0] == "Your duty started at 08:00"


@pytest.mark.parametrize(
    ("day", "utc"), [((2026, 3, 28), 7), ((2026, 3, 29), 6), ((2026, 10, 24), 6), ((2026, 10, 25), 7)]
)
def test_it_is_the_wall_clock_that_begins_on_both_sides_of_a_change(rota, clock, day, utc):
    """In Berlin 08:00 is 07:00 UTC in winter and 06:00 in summer."""
    Org.objects.filter(pk=rota.org.pk).update(zone="Europe/Berlin")
    begins = datetime(*day, utc, tzinfo=UTC)
    DutyReminder.objects.update(asked_at=begins - timedelta(days=1), due_at=begins - timedelta(days=1), known=None)
    clock.freeze(begins - timedelta(minutes=15, seconds=1))
    look()
    assert pushes(rota.rina) == []
    clock.advance(seconds=1)
    look()
    assert said(pushes(rota.rina)[0])[0] == "Your duty starts at 08:00"


def test_it_is_said_in_their_language(rota, clock):
    User.objects.filter(pk=rota.rina.pk).update(locale="id")
    at(clock, 7, 45)
    assert "08.00" in said(pushes(rota.rina)[0])[0]


# --- that it has changed ---


def reschedule(rota, *duty):
    Assignment.objects.filter(user=rota.rina).update(duty=list(duty))


def test_changed_hours_are_told_when_they_have_settled(rota, clock):
    reschedule(rota, {"days": ALL_DAYS, "from": "10:00", "to": "18:00"})
    clock.advance(seconds=60)
    assert look() == 0
    clock.advance(seconds=60)
    assert look() == 1
    (push,) = pushes(rota.rina)
    assert push.reason == "duty_changed"
    assert said(push) == ("Your duty has changed", f"{rota.org.name}: {rota.role.name} from 10:00 until 18:00")
    settle(clock)
    assert len(pushes(rota.rina)) == 1
    assert [one.id for one in claim().pushes] == [push.id]


def test_a_change_that_is_taken_back_at_once_is_none(rota, clock):
    reschedule(rota, {"days": ALL_DAYS, "from": "10:00", "to": "18:00"})
    clock.advance(seconds=60)
    look()
    reschedule(rota, DAY)
    settle(clock)
    assert pushes(rota.rina) == []


def test_a_temporary_schedule_that_replaces_somebody_is_told_to_them(rota, clock):
    made = TemporarySchedule.objects.create(org=rota.org, starts_at=MONDAY, ends_at=MONDAY + timedelta(days=2))
    TemporaryDuty.objects.create(org=rota.org, schedule=made, role=rota.role, user=rota.bayu)
    settle(clock)
    assert said(pushes(rota.rina)[0])[1] == f"{rota.org.name}: no duty in the next 24 hours"


def test_rooms_that_somebody_handed_over_for_them_are_told_and_their_end_is_not(rota, clock):
    at(clock, 9)
    begin = clock.at
    Handover.objects.create(org=rota.org, user=rota.rina, starts_at=begin, ends_at=begin + timedelta(minutes=30))
    settle(clock)
    assert "from 09:30 until 17:00" in said(pushes(rota.rina, "duty_changed")[0])[1]
    clock.advance(minutes=40)
    settle(clock)
    assert len(pushes(rota.rina, "duty_changed")) == 1


@pytest.mark.parametrize("whose", ["their own", "a lead's"])
def test_rooms_that_they_handed_over_themselves_are_no_news(rota, clock, history, whose):
    at(clock, 9)
    User.objects.filter(pk__in=[rota.rina.pk, rota.bayu.pk]).update(is_specialist=True)
    clock.advance(seconds=1)
    asked = {"org_id": rota.org.external_id, "sso_id": rota.rina.sso_id, "minutes": 60}
    by = signed_in(rota.rina if whose == "their own" else rota.bayu)
    assert by.post("/api/handovers", asked, "application/json").status_code == 201
    history()
    settle(clock)
    assert len(pushes(rota.rina, "duty_changed")) == (whose != "their own")


def test_what_lies_more_than_a_day_ahead_is_not_told(rota, clock):
    at(clock, 5, 30)
    made = TemporarySchedule.objects.create(
        org=rota.org, starts_at=MONDAY + timedelta(days=2), ends_at=MONDAY + timedelta(days=3)
    )
    TemporaryDuty.objects.create(org=rota.org, schedule=made, role=rota.role, user=rota.bayu)
    for hours in (1, 12, 12, 12):
        clock.advance(hours=hours)
        settle(clock)
    assert pushes(rota.rina, "duty_changed") == []


LATER = {"days": ALL_DAYS, "from": "10:00", "to": "18:00"}


def by_page(browser, held, hours="10:00-18:00"):
    week = {f"day-{day}": hours for day in ALL_DAYS}
    return browser.post(f"/duty/hours/{held.pk}", week)


def by_admin(browser, held):
    said = {"role": held.role_id, "user": held.user_id, "duty": "1-7 10:00-18:00", "_save": "1"}
    return browser.post(f"/admin/orgs/assignment/{held.pk}/change/", said)


def by_csv(browser, held):
    row = f"{held.org.external_id},{held.role.name},{held.role.tier},{held.user.sso_id},1-7 10:00-18:00"
    content = f"org,role,tier,sso_id,duty\n{row}\n"
    digest = imports.run(content.encode(), dry_run=True).digest
    return browser.post("/admin/orgs/assignment/import/", {"content": content, "digest": digest})


def by_api(browser, held):
    item = {"role": held.role.name, "tier": held.role.tier, "sso_id": held.user.sso_id, "duty": [LATER]}
    others = Assignment.objects.filter(org=held.org).exclude(pk=held.pk).select_related("role", "user")
    listed = [{"role": o.role.name, "tier": o.role.tier, "sso_id": o.user.sso_id, "duty": o.duty} for o in others]
    return put(browser, f"/api/assignments?org_id={held.org.external_id}", {"assignments": [item, *listed]})


def hung_on():
    """What the histories keep of what duty hangs on."""
    tables = tracked()
    return [tables[one]._base_manager for one in (Org, SupervisorRole, Assignment, Holiday, Handover)]


@pytest.fixture
def history(clock):
    """The histories keep the time of the machine: all of this was long ago. Call it: what came since is of now."""
    kept = [(table, max(table.values_list("pgh_id", flat=True), default=0)) for table in hung_on()]

    def is_of_now():
        for table, newest in kept:
            table.filter(pgh_id__lte=newest).update(pgh_created_at=clock.at - timedelta(days=1))
            table.filter(pgh_id__gt=newest).update(pgh_created_at=clock.at)

    return is_of_now


@pytest.mark.parametrize("whose", ["their own", "a lead's"])
@pytest.mark.parametrize("change", [by_page, by_admin, by_csv, by_api])
def test_what_they_changed_themselves_is_not_told_and_what_others_did_is(rota, clock, history, change, whose):
    User.objects.filter(pk__in=[rota.rina.pk, rota.bayu.pk]).update(is_specialist=True)
    held = Assignment.objects.select_related("org", "role", "user").get(user=rota.rina)
    clock.advance(seconds=1)
    answer = change(signed_in(rota.rina if whose == "their own" else rota.bayu), held)
    assert answer.status_code in (200, 302)
    assert Assignment.objects.get(user=rota.rina).duty[0]["from"] == "10:00"
    history()
    settle(clock)
    assert len(pushes(rota.rina)) == (whose != "their own")
    at(clock, 9, 45)
    assert [one.reason for one in pushes(rota.rina)][-1] == "duty_starts"  # what they know is their new duty


def test_what_somebody_else_changed_too_is_told(rota, clock, history):
    User.objects.filter(pk__in=[rota.rina.pk, rota.bayu.pk]).update(is_specialist=True)
    held = Assignment.objects.get(user=rota.rina)
    clock.advance(seconds=1)
    by_page(signed_in(rota.rina), held)
    by_page(signed_in(rota.bayu), held, "11:00-18:00")
    history()
    settle(clock)
    assert len(pushes(rota.rina)) == 1


def test_being_away_is_no_change_and_changes_wait_until_one_is_back(rota, clock):
    Assignment.objects.filter(user=rota.rina).update(away_until=clock.at + timedelta(hours=1))
    settle(clock)
    reschedule(rota, {"days": ALL_DAYS, "from": "10:00", "to": "18:00"})
    Assignment.objects.filter(user=rota.rina).update(away_until=clock.at + timedelta(hours=1))
    settle(clock)
    assert pushes(rota.rina) == []
    clock.advance(hours=1)
    settle(clock)
    assert len(pushes(rota.rina)) == 1


def test_a_start_that_a_change_brings_is_told_with_it_alone(rota, clock):
    at(clock, 6)
    reschedule(rota, {"days": ALL_DAYS, "from": "06:10", "to": "18:00"})
    settle(clock)
    at(clock, 6, 5)
    changed, start = sorted(pushes(rota.rina), key=lambda one: one.reason)
    assert (changed.reason, changed.state, start.state) == ("duty_changed", "pending", "skipped")
    assert start.ended_reason == "superseded"


# --- checked again when its turn comes ---


def ended(person):
    return [(one.reason, one.state, one.ended_reason) for one in pushes(person)]


@pytest.mark.parametrize(
    ("what", "why"),
    [("hours", "duty_changed"), ("away", "away"), ("out", "not_wanted"), ("left", "removed"), ("late", "expired")],
)
def test_a_start_that_is_none_any_more_is_not_sent(rota, clock, what, why):
    at(clock, 7, 45)
    match what:
        case "hours":
            reschedule(rota, {"days": ALL_DAYS, "from": "10:00", "to": "18:00"})
        case "away":
            Assignment.objects.filter(user=rota.rina).update(away_until=MONDAY + timedelta(hours=2))
        case "out":
            set_duty_pushes(rota.org, rota.rina, False, clock.at)
        case "left":
            User.objects.filter(pk=rota.rina.pk).update(is_active=False)
        case "late":
            clock.freeze(MONDAY + timedelta(minutes=15, seconds=1))
    assert claim().pushes == []
    assert ended(rota.rina) == [("duty_starts", "cancelled", why)]


def test_a_change_that_was_changed_again_is_not_sent_and_the_last_one_is(rota, clock):
    reschedule(rota, {"days": ALL_DAYS, "from": "10:00", "to": "18:00"})
    settle(clock)
    reschedule(rota, {"days": ALL_DAYS, "from": "11:00", "to": "18:00"})
    assert claim().pushes == []
    settle(clock)
    assert ended(rota.rina) == [("duty_changed", "cancelled", "duty_changed"), ("duty_changed", "pending", "")]
    assert "from 11:00" in said(pushes(rota.rina)[1])[1]


def test_what_waits_to_be_sent_gives_way_to_a_change(rota, clock):
    at(clock, 7, 45)
    reschedule(rota, {"days": ALL_DAYS, "from": "10:00", "to": "18:00"})
    settle(clock)
    assert ended(rota.rina) == [("duty_starts", "cancelled", "superseded"), ("duty_changed", "pending", "")]


# --- beside alerts ---


def test_it_hides_no_alert_and_counts_in_no_budget(rota, clock):
    at(clock, 7, 45)
    clock.freeze(MONDAY)
    rota.fails("message_cap")
    alert = Push.objects.get(kind="alert", supervisor=rota.rina, state="pending")
    duty = pushes(rota.rina)[0]
    keys = [json.loads(one.body)["collapse_key"] for one in (alert, duty)]
    assert keys[0] != keys[1] and "replaces" not in json.loads(duty.body)
    assert json.loads(duty.body)["priority"] == "normal"
    for number in range(2, 7):
        rota.fails("message_cap", room=f"r{number}")
    rows = Push.objects.filter(supervisor=rota.rina, kind="alert")
    assert set(rows.values_list("state", flat=True)) == {"pending"} and rows.count() == 6
    assert len(claim().pushes) == 7


def test_the_api_says_what_it_is(rota, clock):
    at(clock, 7, 45)
    (shown,) = shapes.push_list(pushes(rota.rina))
    assert (shown.kind, shown.alert_ids, shown.alert_id, shown.reason) == ("duty", [], None, "duty_starts")


def test_a_fallback_role_has_no_duty_that_begins(rota, clock):
    role = SupervisorRoleFactory(org=rota.org, tier=3)
    SupervisorRole.objects.filter(pk=role.pk).update(fallback=True)
    rota.works(rota.bayu, role=role)
    set_duty_pushes(rota.org, rota.bayu, True, clock.at)
    at(clock, 7, 45)
    assert pushes(rota.bayu) == []


def test_one_whose_duty_cannot_be_read_leaves_the_others_told(rota, clock):
    set_duty_pushes(rota.org, rota.bayu, True, clock.at)
    rota.works(rota.bayu, DAY, role=rota.second)
    knows(rota.bayu)
    DutyReminder.objects.filter(user=rota.rina).update(known=[["no", "time"]])
    at(clock, 7, 45)
    assert (len(pushes(rota.rina)), len(pushes(rota.bayu))) == (0, 1)


@pytest.mark.django_db(transaction=True)
def test_sweeps_at_once_tell_once(org):
    begins = clocks.now() + timedelta(minutes=10)
    far = (begins + timedelta(days=3)).isoweekday()
    with scopes_disabled():
        made = TemporarySchedule.objects.create(org=org, starts_at=begins, ends_at=begins + timedelta(hours=8))
        people = [AssignmentFactory(org=org).user for _ in range(5)]
        for person in people:
            role = person.assignments.get().role
            Assignment.objects.filter(user=person).update(duty=[{"days": [far], "from": "03:00", "to": "03:01"}])
            TemporaryDuty.objects.create(org=org, schedule=made, role=role, user=person)
            set_duty_pushes(org, person, True, begins - timedelta(hours=1))
        together = threading.Barrier(4)

        def look_together():
            try:
                with scopes_disabled():
                    together.wait()
                    return sweep_duty_pushes(clocks.now())
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            told = sum(one.result() for one in [pool.submit(look_together) for _ in range(4)])
        assert told == Push.objects.filter(kind="duty").count() == 5
