"""An act followed by its undo leaves alert, room and timers as if it had not been; an act survives the next sweep."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import settings as tried
from hypothesis import strategies as st

from alerts import actions
from alerts.actions.book import BOOKKEEPING
from alerts.delivery.claim import claim
from alerts.delivery.digest import still_waiting, write_digests
from alerts.known import Known
from alerts.models import Alert, DigestAlert, Push, Room, Transition
from orgs import clock as database_clock
from orgs.models import Policy
from tests.examples import at_most
from tests.scene import Scene, about, due_in, pushes_are_sent
from tests.test_state_machine import freeze

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock):
    return Scene()


@pytest.fixture
def later(clock):
    """`later(minutes=5)`: what was planned is sent, time passes, everything due is worked."""

    def move(**parts):
        pushes_are_sent()
        clock.advance(**parts)
        sweep()

    return move


def sweep():
    while actions.sweep_timers():
        pass


def in_minutes(minutes):
    return database_clock.now() + timedelta(minutes=minutes)


# --- what was opened again stays open --------------------------------------------------------------------------------


def test_what_quiet_closed_stays_open_when_it_is_reopened(scene, later):
    scene.fails("message_cap")
    later(minutes=31)
    assert scene.alert().resolved_kind == "quiet"
    actions.reopen(scene.alert().pk, scene.people[0])
    later(minutes=1)
    assert scene.alert().state == "open"
    later(minutes=30)
    assert scene.alert().resolved_kind == "quiet"


def test_what_was_abandoned_stays_open_when_it_is_reopened(scene, later):
    scene.fails("agent_error")
    later(hours=24)
    assert scene.alert().resolved_kind == "abandoned"
    actions.reopen(scene.alert().pk, scene.people[0])
    later(minutes=1)
    assert scene.alert().state == "open"
    assert scene.alert().customer_waiting_since is not None
    later(hours=24)
    assert scene.alert().resolved_kind == "abandoned"


def test_an_undo_survives_the_sweep_though_its_quiet_time_ran_out_meanwhile(scene, later):
    scene.fails("message_cap")
    later(minutes=25)
    actions.resolve(scene.alert().pk, scene.people[0])
    later(minutes=8)
    actions.reopen(scene.alert().pk, scene.people[0])
    later(minutes=1)
    assert scene.alert().state == "open"


def test_what_another_released_stays_open_and_its_repeats_start_anew(scene, later):
    scene.fails("message_cap")
    later(minutes=29)
    actions.take(scene.alert().pk, scene.people[0])
    actions.release(scene.alert().pk, scene.people[1])
    assert about(due_in(scene.alert()), timedelta(minutes=5))
    later(minutes=4)
    assert scene.alert().state == "open"


# --- undo: the clocks go on ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("undo", [actions.reopen, actions.undo])
def test_after_the_undo_of_a_resolution_the_clock_of_the_handoff_makes_it_critical_when_due(scene, later, undo):
    scene.fails("unexpected_handoff")
    before = scene.room().handed_off_at
    later(minutes=1)
    actions.resolve(scene.alert().pk, scene.people[0])
    later(minutes=1)
    undo(scene.alert().pk, scene.people[0])
    assert (scene.room().handed_off_at, scene.room().state) == (before, "handed_off")
    assert about(due_in(scene.alert()), timedelta(minutes=1))
    later(minutes=1)
    assert (scene.alert().severity, scene.last_told()) == ("critical", ("worsened", "pending", ""))


def test_what_fell_due_between_act_and_undo_runs_once(scene, later):
    scene.fails("unexpected_handoff")
    later(minutes=1)
    actions.resolve(scene.alert().pk, scene.people[0])
    later(minutes=9)
    actions.reopen(scene.alert().pk, scene.people[0])
    sweep()
    assert [reason for reason, _, _ in scene.told()] == ["first", "worsened"]


def test_a_handoff_that_is_reopened_later_gets_its_clock_anew(scene, later):
    scene.fails("unexpected_handoff")
    actions.resolve(scene.alert().pk, scene.people[0])
    later(minutes=11)
    actions.reopen(scene.alert().pk, scene.people[0])
    assert about(due_in(scene.alert()), timedelta(minutes=3))
    later(minutes=3)
    assert scene.alert().severity == "critical"


def test_reopened_by_another_the_repeats_start_anew(scene, later):
    scene.fails("agent_error")
    later(minutes=4)
    actions.resolve(scene.alert().pk, scene.people[0])
    actions.reopen(scene.alert().pk, scene.people[1])
    assert about(due_in(scene.alert()), timedelta(minutes=5))


def test_the_undo_of_a_resolution_gives_back_who_had_it(scene, later):
    rina = scene.people[0]
    scene.fails("agent_error")
    actions.take(scene.alert().pk, rina)
    expires = scene.alert().acknowledge_expires_at
    actions.resolve(scene.alert().pk, rina)
    actions.reopen(scene.alert().pk, rina)
    alert = scene.alert()
    assert (alert.state, alert.acknowledged_by, alert.acknowledge_expires_at) == ("acknowledged", rina, expires)


def test_the_undo_of_a_resolution_gives_the_room_back_to_the_human_in_it(scene):
    rina = scene.people[0]
    scene.fails("agent_error")
    scene.happens("human_message", who=rina)
    actions.resolve(scene.alert().pk, rina)
    actions.reopen(scene.alert().pk, rina)
    assert (scene.alert().state, scene.room().human, scene.room().state) == ("intervened", rina, "human")


def test_the_undo_of_a_snooze_gives_back_the_snooze_before_it(scene):
    rina, bob = scene.people
    scene.fails("agent_error")
    first = in_minutes(30)
    actions.snooze(scene.alert().pk, rina, first)
    actions.snooze(scene.alert().pk, bob, in_minutes(60))
    actions.undo(scene.alert().pk, bob)
    assert scene.alert().snoozed_until == first
    actions.undo(scene.alert().pk, rina)
    assert scene.alert().snoozed_until is None


def test_the_undo_of_an_earlier_snooze_leaves_the_later_one_and_is_not_brought_back_by_its_undo(scene):
    rina, bob = scene.people
    scene.fails("agent_error")
    actions.take(scene.alert().pk, rina)
    actions.assign(scene.alert().pk, bob, bob)
    actions.undo(scene.alert().pk, rina)
    assert (scene.alert().state, scene.alert().assigned_to) == ("open", bob)
    actions.undo(scene.alert().pk, bob)
    assert scene.alert().assigned_to is None


@pytest.mark.parametrize("first_to_undo", [0, 1])
def test_two_who_snoozed_undo_in_either_order(scene, first_to_undo):
    scene.fails("agent_error")
    for minutes, who in ((30, 0), (60, 1)):
        actions.snooze(scene.alert().pk, scene.people[who], in_minutes(minutes))
    later = scene.alert().snoozed_until
    actions.undo(scene.alert().pk, scene.people[first_to_undo])
    assert (scene.alert().snoozed_until == later) == (first_to_undo == 0)
    actions.undo(scene.alert().pk, scene.people[1 - first_to_undo])
    assert scene.alert().snoozed_until is None


def test_undoing_take_goes_back_to_acknowledged_and_release_lets_go_of_both(scene):
    rina = scene.people[0]
    scene.fails("agent_error")
    for let_go, state in ((actions.undo, "acknowledged"), (actions.release, "open")):
        actions.acknowledge(scene.alert().pk, rina)
        actions.take(scene.alert().pk, rina)
        let_go(scene.alert().pk, rina)
        assert (scene.alert().state, scene.alert().assigned_to) == (state, None)


# --- what came since is not lost -------------------------------------------------------------------------------------


def test_who_wrote_in_the_room_since_has_it_after_the_undo_of_a_resolution(scene, later):
    rina, bob = scene.people
    scene.fails("unexpected_handoff")
    actions.resolve(scene.alert().pk, rina)
    later(minutes=1)
    scene.happens("human_message", who=bob)
    actions.reopen(scene.alert().pk, rina)
    alert, room = scene.alert(), scene.room()
    assert (alert.state, alert.intervened_by, room.human) == ("intervened", bob, bob)
    assert (room.handed_off_at, room.customer_waiting_since) == (None, None)


def test_a_customer_who_waited_before_and_wrote_again_waits_since_the_first(scene, later):
    scene.fails("agent_error")
    since = scene.room().customer_waiting_since
    actions.resolve(scene.alert().pk, scene.people[0])
    later(minutes=1)
    scene.happens("customer_message")
    actions.reopen(scene.alert().pk, scene.people[0])
    assert scene.alert().customer_waiting_since == scene.room().customer_waiting_since == since


def test_a_room_that_was_resolved_since_is_not_handed_off_again(scene, later):
    scene.fails("unexpected_handoff")
    actions.resolve(scene.alert().pk, scene.people[0])
    later(minutes=1)
    scene.happens("resolved")
    actions.reopen(scene.alert().pk, scene.people[0])
    assert (scene.alert().state, scene.room().handed_off_at) == ("open", None)


def test_who_entered_the_room_since_still_holds_it_after_the_undo_of_an_acknowledge(scene, later):
    rina, bob = scene.people
    scene.fails("agent_error")
    actions.acknowledge(scene.alert().pk, rina)
    later(minutes=1)
    actions.open_room(scene.alert().pk, bob)
    actions.undo(scene.alert().pk, rina)
    assert (scene.alert().state, scene.alert().acknowledged_by) == ("acknowledged", bob)


def test_who_took_it_and_looked_into_the_room_can_release_it(scene):
    rina = scene.people[0]
    scene.fails("agent_error")
    actions.take(scene.alert().pk, rina)
    actions.open_room(scene.alert().pk, rina)
    actions.release(scene.alert().pk, rina)
    assert (scene.alert().state, scene.alert().assigned_to, scene.alert().acknowledged_by) == ("open", None, None)


def test_a_failure_since_that_worsened_it_stays_worse_after_the_undo(scene, later):
    scene.fails("message_cap")
    actions.snooze(scene.alert().pk, scene.people[0], in_minutes(30))
    actions.acknowledge(scene.alert().pk, scene.people[0])
    later(minutes=1)
    scene.fails("agent_error")
    actions.undo(scene.alert().pk, scene.people[0])
    alert = scene.alert()
    assert (alert.state, alert.severity, alert.snoozed_until) == ("open", "critical", None)
    with pytest.raises(actions.ActConflict):
        actions.undo(scene.alert().pk, scene.people[0])


@pytest.mark.parametrize(
    ("act", "undo"),
    [
        (actions.take, actions.release),
        (actions.resolve, actions.reopen),
        (lambda pk, by: actions.snooze(pk, by, in_minutes(20)), actions.undo),
    ],
)
def test_a_push_that_the_act_cancelled_before_it_was_sent_is_told_after_its_undo(scene, gate, settings, act, undo):
    scene.fails("low_confidence")
    act(scene.alert().pk, scene.people[0])
    settings.NOTIFICATION_SERVICE_URL = "http://127.0.0.1:1"
    claim()
    assert scene.told() == [("first", "cancelled", "no_longer_needed")]
    undo(scene.alert().pk, scene.people[0])
    assert scene.told()[1:] == [("first", "pending", "")]
    act(scene.alert().pk, scene.people[0])
    undo(scene.alert().pk, scene.people[0])
    assert len(scene.told()) == 2


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(("act", "undo"), [(actions.take, actions.release), (actions.resolve, actions.reopen)])
def test_what_a_digest_went_without_is_in_the_next_after_the_undo(scene, later, act, undo, beside):
    """Low confidence alone is told once, by a digest; whoever had it then had it by mistake."""
    Policy.objects.create(org=scene.org, limits={"low_confidence": "digest"})
    scene.fails("low_confidence", confidence=0.1)
    if beside:
        scene.fails("low_confidence", confidence=0.1, room="r2")
    act(scene.alert().pk, scene.people[0])
    clock_is = database_clock.now()
    Push.objects.filter(kind="digest").update(planned_at=clock_is, next_attempt_at=clock_is)
    for digest in Push.objects.filter(kind="digest"):
        named = {pk: some for pk, some in still_waiting([digest], Known(), clock_is).items() if some}
        over = {"state": "cancelled", "ended_reason": "no_longer_needed", "ended_at": clock_is}
        Push.objects.filter(pk=digest.pk).update(**{"state": "sent"} if write_digests(named, clock_is) else over)
    later(minutes=1)
    undo(scene.alert().pk, scene.people[0])
    waiting = DigestAlert.objects.filter(push__state="pending", push__body="")
    assert {(one.push.supervisor_id, one.alert_id) for one in waiting} == {
        (person.pk, scene.alert().pk) for person in scene.people
    }
    again = act(scene.alert().pk, scene.people[0]), undo(scene.alert().pk, scene.people[0])
    assert again[1].occurrence == again[0].occurrence


# --- when there is nothing to undo -----------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [0, 1])
def test_an_undo_is_for_who_acted_and_for_ten_minutes(scene, later, who):
    scene.fails("message_cap")
    actions.snooze(scene.alert().pk, scene.people[0], in_minutes(60))
    later(minutes=11 if who == 0 else 0)
    with pytest.raises(actions.ActConflict) as refused:
        actions.undo(scene.alert().pk, scene.people[who])
    assert refused.value.code == "nothing_to_undo"
    assert scene.alert().snoozed_until is not None


def test_an_undo_is_used_up(scene):
    scene.fails("agent_error")
    actions.take(scene.alert().pk, scene.people[0])
    actions.undo(scene.alert().pk, scene.people[0])
    with pytest.raises(actions.ActConflict):
        actions.undo(scene.alert().pk, scene.people[0])


def test_a_new_episode_knows_nothing_of_the_acts_before_it(scene, clock):
    scene.fails("agent_error")
    actions.resolve(scene.alert().pk, scene.people[0])
    clock.advance(minutes=1)
    scene.fails("agent_error")
    with pytest.raises(actions.ActConflict) as refused:
        actions.undo(scene.alert().pk, scene.people[0])
    assert (refused.value.code, scene.alert().episode, scene.alert().state) == ("nothing_to_undo", 2, "open")


def test_a_person_who_is_gone_is_not_given_it_back(scene):
    rina, bob = scene.people
    scene.fails("agent_error")
    actions.assign(scene.alert().pk, None, bob)
    actions.take(scene.alert().pk, rina)
    bob.delete()
    actions.undo(scene.alert().pk, rina)
    assert (scene.alert().state, scene.alert().assigned_to) == ("open", None)


# --- any act, its undo, any time between -----------------------------------------------------------------------------

START = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
KINDS = ["human_opened", "human_message", "assigned", "customer_message", "bot_message"]
STEP = st.one_of(
    st.tuples(
        st.just("fails"), st.sampled_from(["agent_error", "unexpected_handoff", "message_cap", "low_confidence"])
    ),
    st.tuples(st.just("happens"), st.sampled_from(KINDS)),
    st.tuples(st.just("acts"), st.sampled_from(["acknowledge", "take", "snooze", "assign"])),
    st.tuples(st.just("waits"), st.sampled_from([1, 30, 170, 290, 800])),
)
TIER_CLOCK = ("tier", "tier_from", "escalate_at", "tiers_over_at")
UNDOABLE = {"acknowledge": "undo", "take": "undo", "assign": "undo", "snooze": "undo", "resolve": "reopen"}


def play(scene, steps, now):
    """A moment passes before each step: which of two things at the same time came first nobody can say."""
    for kind, what in steps:
        now += timedelta(milliseconds=10)
        freeze(now)
        if kind == "fails":
            scene.fails(what)
        elif kind == "happens":
            scene.happens(what, who=scene.people[1])
        elif kind == "acts":
            act(scene, what, scene.people[1])
        else:
            now = wait(now, what)
    return now


def wait(now, seconds):
    pushes_are_sent()
    now += timedelta(seconds=seconds)
    freeze(now)
    sweep()
    return now


def act(scene, verb, by):
    """Whether it was possible and changed the alert."""
    alert = Alert.objects.filter(org=scene.org).exclude(state="resolved").first()
    if alert is None:
        return False
    extra = {"snooze": [in_minutes(45)], "assign": [by]}.get(verb, [])
    try:
        return getattr(actions, verb)(alert.pk, by, *extra).version > alert.version
    except actions.ActConflict:
        return False


def state_of(scene):
    """All of alert and room but what every change writes; what fell due meanwhile is worked at the undo."""
    alert = Alert.objects.filter(org=scene.org).order_by("-opened_at").values()[0]
    alert["tiers_over_at"] = alert["tiers_over_at"] is not None
    return (
        {name: value for name, value in alert.items() if name not in BOOKKEEPING - {"due_at"}},
        Room.objects.filter(org=scene.org).values()[0],
        [reason for reason, state, _ in scene.told() if state in ("pending", "sent")],
    )


def has_ended(verb, alert, since):
    """Whether the act has ended by itself: it ran out, it got worse, a failure began a new episode."""
    ends = {"acknowledge": ["expired"], "take": ["expired"], "snooze": ["worsened"], "resolve": ["rearmed"]}
    return Transition.objects.filter(alert=alert, change__in=ends.get(verb, []), at__gt=since).exists()


def rolled_back(work):
    with transaction.atomic():
        found = work()
        transaction.set_rollback(True)
    return found


@example("low_confidence", [], "resolve", [("happens", "customer_message")], 1)
@example("low_confidence", [], "resolve", [("happens", "customer_message"), ("happens", "human_message")], 61)
@example("agent_error", [("happens", "human_message")], "resolve", [("happens", "bot_message")], 170)
@given(
    first=st.sampled_from(["agent_error", "unexpected_handoff", "message_cap", "low_confidence"]),
    steps=st.lists(STEP, max_size=5),
    verb=st.sampled_from(sorted(UNDOABLE)),
    meanwhile=st.lists(st.tuples(st.just("happens"), st.sampled_from(KINDS)), max_size=2),
    seconds=st.sampled_from([0, 1, 61, 170, 290, 599]),
)
@example(  # nobody had the room any more when the bot went on, while it was resolved
    first="low_confidence",
    steps=[
        *(("waits", 30), ("acts", "acknowledge"), ("happens", "human_opened"), ("acts", "snooze")),
        ("happens", "human_message"),
    ],
    verb="resolve",
    meanwhile=[("happens", "bot_message"), ("happens", "bot_message")],
    seconds=170,
)
@tried(
    max_examples=at_most(60),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_act_and_undo_leave_all_as_if_the_act_had_not_been(db, first, steps, verb, meanwhile, seconds):
    with transaction.atomic(), scopes_disabled():
        freeze(START)
        scene = Scene()
        scene.fails(first)
        now = play(scene, steps, START)
        rina = scene.people[0]

        def without():
            soon = play(scene, meanwhile, wait(now, min(seconds, 1)))
            wait(soon, max(seconds - 1, 0))
            return state_of(scene)

        def acted():
            if not act(scene, verb, rina):
                return None
            alert = Alert.objects.filter(org=scene.org).get()
            soon = play(scene, meanwhile, wait(now, min(seconds, 1)))
            wait(soon, max(seconds - 1, 0))
            if has_ended(verb, alert, now):
                return None
            with suppress(actions.ActConflict):  # what came since has used it up already
                getattr(actions, UNDOABLE[verb])(alert.pk, rina)
            sweep()
            return state_of(scene)

        wanted, found = rolled_back(without), rolled_back(acted)
        transaction.set_rollback(True)
    if found is None or wanted[0]["state"] == "resolved":  # a person says so: it stays open though it was quiet
        return
    if verb == "snooze" and wanted[0]["state"] != "open":  # who came stopped the tiers' clock where they found it
        found[0].update({name: wanted[0][name] for name in TIER_CLOCK})
    for one, other in zip(found, wanted, strict=True):
        assert one == other
