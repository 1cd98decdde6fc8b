"""Snooze, silence, quiet hours and outage over one alert, in every order: while any of them holds it the clock of its
tier stands, afterwards it goes on with what was left, and an undo leaves no trace.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from alerts import actions
from alerts.models import Alert, Push, Transition
from orgs import clock as database_clock
from orgs.models import Policy, QuietHours, User
from tests.examples import at_most
from tests.factories import AssignmentFactory, OrgFactory, SupervisorRoleFactory, UserFactory
from tests.scene import Scene, pushes_are_sent
from tests.test_on_duty import ALL_DAYS, MONDAY, Frozen

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]


@pytest.fixture
def clock(db: Any) -> Frozen:
    return Frozen()


class Staffed(Scene):
    """Tier 1: two supervisors; tier 3: one; a specialist. It is Monday, 8:00."""

    def __init__(self) -> None:
        super().__init__(OrgFactory(zone="UTC"))
        role = SupervisorRoleFactory(org=self.org, tier=3)
        self.third: User = AssignmentFactory(org=self.org, role=role).user
        self.specialist: User = UserFactory(is_specialist=True)
        actions.sweep_timers()


@pytest.fixture
def scene(clock: Frozen) -> Staffed:
    return Staffed()


@pytest.fixture
def later(clock: Frozen) -> Any:
    def move(**parts: int) -> None:
        pushes_are_sent()
        clock.advance(**parts)
        while actions.sweep_timers():
            pass

    return move


def until(**parts: int) -> Any:
    return database_clock.now() + timedelta(**parts)


def minutes(at: Any) -> float | None:
    """After 8:00."""
    return at and (at - MONDAY).total_seconds() / 60


def escalates(scene: Staffed) -> float | None:
    return minutes(scene.alert().escalate_at)


def told(person: User) -> list[tuple[float | None, str]]:
    """(minutes after 8:00, reason) of the pushes that told this person."""
    rows = Push.objects.filter(supervisor=person, kind="alert").exclude(state__in=["skipped", "cancelled"])
    return [(minutes(at), reason) for at, reason in rows.order_by("planned_at").values_list("planned_at", "reason")]


def snooze(scene: Staffed, **parts: int) -> None:
    actions.snooze(scene.alert().pk, scene.people[0], until(**parts))


def silence(scene: Staffed, **parts: int) -> Any:
    return actions.make_silence(actions.AskedSilence(scene.org, until(**parts), None, room_id="r1"), scene.people[0])


# --- a snooze ---


def test_an_acknowledge_that_expires_in_a_snooze_starts_the_clock_at_its_end(scene: Staffed, later: Any) -> None:
    scene.fails("agent_error")
    actions.acknowledge(scene.alert().pk, scene.people[0])
    snooze(scene, minutes=20)
    later(minutes=5)
    assert (scene.alert().state, escalates(scene)) == ("open", 23)
    later(minutes=15)
    assert told(scene.third) == []
    later(minutes=3)
    assert told(scene.third) == [(23, "escalated")]


def test_woken_then_it_has_its_whole_time(scene: Staffed, later: Any) -> None:
    scene.fails("agent_error")
    actions.acknowledge(scene.alert().pk, scene.people[0])
    snooze(scene, minutes=60)
    later(minutes=10)
    actions.wake(scene.alert().pk, scene.people[0])
    assert escalates(scene) == 13


def test_what_gets_worse_then_is_due_as_if_it_had_been_so_since_it_was_told(scene: Staffed, later: Any) -> None:
    scene.fails("message_cap")
    actions.acknowledge(scene.alert().pk, scene.people[0])
    snooze(scene, minutes=25)
    later(minutes=10)
    later(minutes=4)
    scene.fails("agent_error")
    assert escalates(scene) == 17


def test_an_outage_that_ends_in_a_snooze_starts_the_clock_at_its_end(scene: Staffed, later: Any) -> None:
    Policy.objects.create(org=scene.org, limits={"outage": {"rooms": 3}})
    for n in range(1, 4):
        scene.fails("agent_error", room=f"r{n}")
    later(minutes=9)
    snooze(scene, minutes=30)
    later(minutes=1)
    assert (scene.last_change().reason, escalates(scene)) == ("outage_ended", 42)


# --- a silence about a snooze ---


def test_a_snooze_within_a_silence_takes_nothing_of_its_pause_away(scene: Staffed, later: Any) -> None:
    scene.fails("agent_error")
    later(minutes=1)
    silence(scene, minutes=19)
    later(minutes=9)
    snooze(scene, minutes=20)
    later(minutes=10)
    assert escalates(scene) == 32


def test_woken_within_a_silence_it_waits_for_that_alone(scene: Staffed, later: Any) -> None:
    scene.fails("agent_error")
    later(minutes=1)
    snooze(scene, minutes=180)
    later(minutes=1)
    silence(scene, minutes=60)
    later(minutes=50)
    actions.wake(scene.alert().pk, scene.people[0])
    later(minutes=10)
    assert escalates(scene) == 64


@pytest.mark.parametrize("begins", ["before", "after"])
def test_the_undo_of_a_snooze_during_which_a_silence_ended(scene: Staffed, later: Any, begins: str) -> None:
    scene.fails("agent_error")
    later(minutes=1)
    if begins == "before":
        made = silence(scene, minutes=60)
    later(seconds=30)
    snooze(scene, minutes=120)
    if begins == "after":
        made = silence(scene, minutes=60)
    later(minutes=4)
    actions.end_silence(made.pk, scene.people[0])
    later(seconds=30)
    actions.undo(scene.alert().pk, scene.people[0])
    assert escalates(scene) == {"before": 7.5, "after": 7}[begins]  # what it has without the snooze


@pytest.mark.parametrize("how", ["it expired", "its outage ended"])
def test_the_undo_of_a_snooze_in_which_the_clock_began(scene: Staffed, later: Any, how: str) -> None:
    Policy.objects.create(org=scene.org, limits={"outage": {"rooms": 3, "clean_minutes": 5}})
    scene.fails("agent_error")
    if how == "it expired":
        actions.acknowledge(scene.alert().pk, scene.people[0])
    else:
        scene.fails("agent_error", room="r2")
        scene.fails("agent_error", room="r3")
    later(minutes=1)
    snooze(scene, minutes=120)
    later(minutes=4)
    later(minutes=1)
    actions.undo(scene.alert().pk, scene.people[0])
    assert escalates(scene) == 8


def test_two_snoozes_in_which_the_clock_began_are_undone_one_after_the_other(scene: Staffed, later: Any) -> None:
    scene.fails("agent_error")
    actions.acknowledge(scene.alert().pk, scene.people[0])
    later(minutes=1)
    snooze(scene, minutes=59)
    later(seconds=1)
    snooze(scene, minutes=120, seconds=-61)
    later(minutes=4)
    assert escalates(scene) == 123
    actions.undo(scene.alert().pk, scene.people[0])
    assert escalates(scene) == 63
    actions.undo(scene.alert().pk, scene.people[0])
    assert escalates(scene) == 8


# --- what joins a digest while a silence holds it ---


def test_the_end_of_an_outage_within_a_short_silence_is_told_at_its_end(scene: Staffed, later: Any) -> None:
    Policy.objects.create(org=scene.org, limits={"outage": {"rooms": 3}})
    for n in range(1, 4):
        scene.fails("agent_error", room=f"r{n}")
    later(minutes=9)
    silence(scene, minutes=2)
    later(minutes=1)
    assert scene.last_told() == ("outage_ended", "skipped", "silenced")
    later(minutes=1)
    assert scene.last_told() == ("silence_ended", "pending", "")


# --- quiet hours ---


def rest(scene: Staffed, begin: str, end: str, *people: User) -> None:
    hours = [{"days": ALL_DAYS, "from": begin, "to": end}]
    for person in people or (*scene.people, scene.third):
        QuietHours.objects.update_or_create(org=scene.org, user=person, defaults={"hours": hours})


def test_with_every_tier_in_quiet_hours_none_is_passed(scene: Staffed, later: Any) -> None:
    """It was told before they began. Nobody else is until the first of them end, then the clock starts anew."""
    rest(scene, "08:02", "10:00")
    scene.fails("message_cap")
    later(minutes=5)
    assert scene.changes()[1:] == [("repeated", "quiet_hours")]
    assert (scene.alert().tier, minutes(scene.alert().due_at), told(scene.specialist)) == (1, 120, [])
    later(minutes=115)
    assert [told(person)[-1] for person in scene.people] == [(120, "quiet_ended")] * 2
    assert (told(scene.third), escalates(scene)) == ([], 125)


def test_the_tier_whose_quiet_hours_end_first_is_told_then(scene: Staffed, later: Any) -> None:
    rest(scene, "08:02", "10:00", *scene.people)
    rest(scene, "08:02", "09:00", scene.third)
    scene.fails("message_cap")
    later(minutes=5)
    later(minutes=55)
    assert (told(scene.third), escalates(scene)) == ([(60, "quiet_ended")], 65)


def test_with_the_last_tier_told_too_specialists_wait_for_the_end_of_quiet_hours(scene: Staffed, later: Any) -> None:
    rest(scene, "08:07", "10:00")
    scene.fails("message_cap")
    later(minutes=5)
    assert told(scene.third) == [(5, "escalated")]
    later(minutes=5)
    assert told(scene.specialist) == []
    later(minutes=110)
    later(minutes=5)
    assert told(scene.specialist) == [(125, "escalated")]


def test_an_acknowledge_that_expires_in_quiet_hours_gives_the_tier_its_whole_time_after_them(
    scene: Staffed, later: Any
) -> None:
    rest(scene, "08:10", "10:00")
    scene.fails("message_cap")
    later(minutes=2)
    actions.acknowledge(scene.alert().pk, scene.people[0])
    later(minutes=10)
    assert scene.last_change().reason == "quiet_hours"
    later(minutes=108)
    assert (told(scene.people[0])[-1], told(scene.third), escalates(scene)) == ((120, "quiet_ended"), [], 125)


def test_so_has_who_comes_on_duty_before_they_end(scene: Staffed, later: Any) -> None:
    rest(scene, "08:02", "10:00")
    scene.fails("message_cap")
    later(minutes=5)
    morning = [{"days": ALL_DAYS, "from": "08:30", "to": "12:00"}]
    AssignmentFactory(org=scene.org, role=scene.role, duty=morning)
    later(minutes=25)
    assert (scene.last_change().reason, told(scene.third), escalates(scene)) == ("on_duty", [], 35)


def test_what_gets_worse_in_quiet_hours_has_its_whole_time_too(scene: Staffed, later: Any) -> None:
    rest(scene, "08:02", "10:00")
    scene.fails("message_cap")
    later(minutes=5)
    later(minutes=30)
    scene.fails("agent_error")  # which passes them
    assert (told(scene.people[0])[-1], escalates(scene)) == ((35, "worsened"), 38)


@pytest.mark.parametrize("hold", [silence, snooze])
def test_what_is_told_only_now_is_not_over_in_the_same_second(scene: Staffed, later: Any, hold: Any) -> None:
    """While it was held nothing more happened, and nobody waits: its quiet time counts from the telling."""
    rest(scene, "08:02", "09:00")
    scene.fails("message_cap")
    later(minutes=5)
    hold(scene, minutes=115)
    later(minutes=115)
    assert scene.alert().state == "open"
    assert told(scene.people[0])[-1][0] == 120
    later(minutes=29)
    assert scene.alert().state == "open"


def test_a_tier_whose_pushes_died_is_not_passed_over_and_over_in_quiet_hours(scene: Staffed, later: Any) -> None:
    rest(scene, "08:01", "10:00")
    scene.fails("message_cap")
    pushes_are_sent()
    Push.objects.update(state="dead", ended_reason="refused", ended_at=until(seconds=60))
    later(minutes=1)
    assert scene.changes()[1:] == [("repeated", "quiet_hours")]


# --- outages ---


def outage_of(scene: Staffed) -> Alert:
    Policy.objects.create(org=scene.org, limits={"outage": {"rooms": 3}})
    for n in range(3):
        scene.fails("agent_error", room=f"r{n}")
    return Alert.objects.get(org=scene.org, scope="agent")


def test_a_tier_that_nobody_of_is_reached_of_an_outage_is_passed_at_once(scene: Staffed, later: Any) -> None:
    outage = outage_of(scene)
    later(seconds=1)
    about = Push.objects.filter(alert=outage)
    about.update(state="dead", ended_reason="refused", ended_at=database_clock.now())
    later(seconds=5)
    assert told(scene.third) == [(0.1, "escalated")]


def test_an_outage_that_doubles_breaks_its_snooze_and_is_repeated_anew(scene: Staffed, later: Any) -> None:
    outage = outage_of(scene)
    for step in range(7):  # it goes on, one room at a time
        later(minutes=9)
        if step < 2:
            scene.fails("agent_error", room=f"on{step}")
        else:
            scene.fails("agent_error", room="r0", ago=0)
            Alert.objects.filter(pk=outage.pk).update(ends_at=until(minutes=10))
    actions.snooze(outage.pk, scene.people[0], until(hours=5))
    scene.fails("agent_error", room="doubled")
    outage.refresh_from_db()
    assert Transition.objects.filter(alert=outage).latest("id").change == "worsened"
    assert (outage.snoozed_until, minutes(outage.ladder_from)) == (None, 63)


# --- who has it ---


def test_a_specialist_who_has_it_is_told_alone_that_the_window_closes(scene: Staffed, later: Any) -> None:
    scene.happens("customer_message", ago=3600 * 22 - 60)
    scene.fails("agent_error", channel="wa")
    actions.take(scene.alert().pk, scene.specialist)
    later(minutes=2)
    about = Push.objects.filter(reason="window_closing")
    assert list(about.values_list("supervisor_id", "tier")) == [(scene.specialist.pk, 0)]


def test_the_undo_of_a_snooze_lets_what_fell_due_run_once(scene: Staffed, later: Any) -> None:
    scene.fails("agent_error")
    later(minutes=1)
    snooze(scene, minutes=60)
    later(minutes=5)
    with transaction.atomic():
        actions.undo(scene.alert().pk, scene.people[0])
    later(seconds=1)
    assert told(scene.third) == [(6 + 1 / 60, "escalated")]


# --- a silence while somebody has it, who gives it back --------------------------------------------------------------


@pytest.mark.parametrize("act", ["acknowledge", "take", "resolve"])
@pytest.mark.parametrize(
    ("begins", "ends", "undone", "escalates_at", "last"),
    [
        (2, 5, 6, 8, (0, "first")),
        (2, 8, 9, 11, (9, "silence_ended")),
        (0.5, 4, 6, 8.5, (0, "first")),
        (0.5, 8, 9, 12.5, (9, "silence_ended")),
    ],
)
def test_what_a_silence_held_meanwhile_is_made_up_for(
    scene: Staffed, later: Any, act: str, begins: float, ends: float, undone: float, escalates_at: float, last: Any
) -> None:
    """Without the act the silence would have stopped the clocks, and its end been told."""
    scene.fails("message_cap")
    steps = [(1, "act"), (begins, "silence"), (ends, "end"), (undone, "undo")]
    at = 0.0
    for when, step in sorted(steps):
        later(seconds=int(60 * (when - at)))
        at = when
        if step == "act":
            getattr(actions, act)(scene.alert().pk, scene.people[0])
        elif step == "silence":
            made = silence(scene, minutes=600)
        elif step == "end":
            actions.end_silence(made.pk, scene.specialist)
        else:
            actions.undo(scene.alert().pk, scene.people[0])
    assert (escalates(scene), told(scene.people[1])[-1]) == (escalates_at, last)


def test_of_what_nobody_was_told_at_all_they_are_when_it_is_given_back(scene: Staffed, later: Any) -> None:
    """A silence held it from its begin, and ended while somebody had it who found it on the board."""
    made = actions.make_silence(
        actions.AskedSilence(scene.org, until(minutes=60), None, whole_org=True), scene.people[0]
    )
    scene.fails("low_confidence")
    later(minutes=1)
    actions.take(scene.alert().pk, scene.people[0])
    later(minutes=1)
    actions.end_silence(made.pk, scene.people[0])
    later(minutes=1)
    assert told(scene.people[1]) == []
    actions.undo(scene.alert().pk, scene.people[0])
    assert told(scene.people[1]) == [(3, "silence_ended")]


CLOCKS = ("ladder_from", "tier_from", "escalate_at", "silenced_from", "silenced_until", "repeats_done", "state")
MINUTE = st.integers(1, 9)


@given(
    act=st.sampled_from(["acknowledge", "take", "resolve", "snooze"]),
    acted=MINUTE,
    undone=MINUTE,
    begins=MINUTE,
    lasts=st.sampled_from([1, 3, 30]),
)
@settings(max_examples=at_most(40, usually=8), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_an_act_and_its_undo_leave_the_clocks_as_a_silence_leaves_them(
    db: Any, act: str, acted: int, undone: int, begins: int, lasts: int
) -> None:
    assume(acted < undone)

    def play(*, acts: bool) -> dict[str, Any]:
        with transaction.atomic(), scopes_disabled():
            clock, scene = Frozen(), Staffed()
            slow = {"repeat_minutes": [500], "escalate_minutes": {"warning": 400}}
            Policy.objects.create(org=scene.org, limits=slow)
            scene.fails("message_cap")
            for minute in range(1, 11):
                clock.freeze(MONDAY + timedelta(minutes=minute))
                while actions.sweep_timers():
                    pass
                clock.advance(milliseconds=1)
                if minute == begins:
                    silence(scene, minutes=lasts, milliseconds=-1)  # a sweep comes at its end
                clock.advance(milliseconds=1)
                if acts and minute == acted:
                    extra = [until(hours=2)] if act == "snooze" else []
                    getattr(actions, act)(scene.alert().pk, scene.people[0], *extra)
                if acts and minute == undone:
                    actions.undo(scene.alert().pk, scene.people[0])
            while actions.sweep_timers():
                pass
            alert = scene.alert()
            transaction.set_rollback(True)
            return {name: getattr(alert, name) for name in CLOCKS}

    assert play(acts=True) == play(acts=False)
