"""Rooms of several agents of one source that fail critically at once are one alert of the source."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client as Browser
from django_scopes import scopes_disabled

from alerts import actions
from alerts.actions.timers import sweep_outages
from alerts.decide import is_outage_of_source
from alerts.limits import OutageRule
from alerts.models import Alert, DigestAlert, Push
from orgs import clock as database_clock
from orgs.models import Agent, Policy
from tests.factories import AssignmentFactory, SourceFactory, SupervisorRoleFactory
from tests.outbox import posts, sweep
from tests.scene import Scene

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]


@pytest.fixture
def scene(clock):
    return Scene(staff=1)


@pytest.fixture
def later(clock):
    def move(**parts):
        Push.objects.filter(state="pending", kind="alert").update(state="sent", next_attempt_at=None)
        clock.advance(**parts)
        while actions.sweep_timers():
            pass

    return move


def fail(scene, start, end, agents=3, **facts):
    """One room after the other, of one agent after the other."""
    for n in range(start, end):
        scene.fails(room=f"r{n}", agent_name=f"Bot {n % agents}", **facts)


def outages(scene, scope="source"):
    rows = Alert.objects.filter(org=scene.org, scope=scope, covers_from__isnull=False)
    return list(rows.order_by("opened_at"))


def told_of(alert):
    pushes = Push.objects.filter(alert=alert).order_by("planned_at", "occurrence", "supervisor")
    return list(pushes.values_list("reason", "state", "ended_reason"))


@pytest.mark.parametrize(
    ("rooms", "is_one"),
    [((3, 2), True), ((1, 1, 1, 1, 1), True), ((4, 1), False), ((40, 1), False), ((5,), False), ((2, 2), False)],
)
def test_what_is_one_problem_behind_the_agents(rooms, is_one):
    assert is_outage_of_source(rooms, OutageRule()) is is_one
    assert not is_outage_of_source(rooms, OutageRule(rooms=0))


def test_five_rooms_of_several_agents_are_one_alert_that_holds_their_pushes(scene, standins):
    fail(scene, 0, 7)
    (alert,) = outages(scene)
    assert (alert.source, alert.agent, alert.severity, alert.event_count) == (scene.source, None, "critical", 7)
    assert told_of(alert) == [("source_outage", "pending", "")]
    assert told_of(scene.alert("r6")) == [("first", "skipped", "held_by_source_outage")]
    assert scene.alert("r6").last_reason == "held_by_source_outage"
    sweep()
    assert [one["body"]["data"]["alert_id"] for one in posts(standins)] == [str(alert.pk)]
    assert told_of(scene.alert("r0")) == [("first", "cancelled", "superseded")]
    assert not outages(scene, "agent")


def test_another_source_of_the_org_is_not_out(scene):
    other = SourceFactory(org=scene.org)
    fail(scene, 0, 3)
    actions.record_events(other, [scene.event(room=f"o{n}", agent_name=f"Bot {n}") for n in range(2)])
    assert not outages(scene)


def test_the_outage_of_an_agent_goes_before(scene):
    for n in range(6):
        scene.fails(room=f"a{n}", agent_name="Bot 0")
    fail(scene, 0, 3)
    assert (len(outages(scene, "agent")), outages(scene)) == (1, [])
    for n in range(10, 15):
        scene.fails(room=f"b{n}", agent_name=f"Bot {1 + n % 2}")
    (of_agent,), (of_source,) = outages(scene, "agent"), outages(scene)
    scene.fails(room="last", agent_name="Bot 0")
    under = [set(actions.rooms_under(one).values_list("room__room_id", flat=True)) for one in (of_agent, of_source)]
    assert under == [
        {"a0", "a1", "a2", "a3", "a4", "a5", "r0", "last"},
        {"r1", "r2", *(f"b{n}" for n in range(10, 15))},
    ]


def test_while_a_source_is_out_none_of_its_agents_is_out_by_itself(scene):
    fail(scene, 0, 5)
    for n in range(20, 28):
        scene.fails(room=f"r{n}", agent_name="Bot 0")
    assert ([one.event_count for one in outages(scene)], outages(scene, "agent")) == ([13], [])


def test_never_where_policy_says_so(scene):
    Policy.objects.create(org=scene.org, limits={"outage": {"rooms": 0}})
    fail(scene, 0, 12)
    assert not outages(scene)


def test_who_backs_up_only_an_agent_that_fails_later_is_told_too_and_nobody_else_again(scene):
    fail(scene, 0, 5, agents=2)
    role = SupervisorRoleFactory(org=scene.org)
    role.agents.add(Agent.objects.create(org=scene.org, name="Late Bot"))
    theirs = AssignmentFactory(org=scene.org, role=role).user
    scene.fails(room="late", agent_name="Late Bot")
    scene.fails(room="later", agent_name="Late Bot")
    (alert,) = outages(scene)
    pushes = Push.objects.filter(alert=alert).order_by("occurrence").values_list("supervisor", "reason", "state")
    assert list(pushes) == [
        (scene.people[0].pk, "source_outage", "pending"),
        (theirs.pk, "agent_joined", "pending"),
    ]
    reader = Browser()
    reader.force_login(scene.people[0])
    page = reader.get(f"/alerts/{alert.pk}").content.decode()
    assert "Another agent fails too" in page and "It failed again" not in page


def test_it_is_repeated_and_escalated_to_the_supervisors_of_its_agents(scene, later):
    second = AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=2)).user
    fail(scene, 0, 5)
    later(minutes=3, seconds=1)
    later(minutes=2)
    (alert,) = outages(scene)
    assert [one.change for one in alert.transitions.order_by("id")] == ["opened", "escalated", "repeated"]
    assert Push.objects.filter(supervisor=second, alert=alert, reason="escalated").exists()


def test_when_it_is_over_who_still_waits_is_told_in_one_digest(scene, later, standins):
    fail(scene, 0, 6)
    later(minutes=10, seconds=1)
    (alert,) = outages(scene)
    assert (alert.state, alert.resolved_kind, alert.released_at is not None) == ("resolved", "recovered", True)
    reader = Browser()
    reader.force_login(scene.people[0])
    assert "Recovered: no further room failed" in reader.get(f"/alerts/{alert.pk}").content.decode()
    named = DigestAlert.objects.filter(push__state="pending").values_list("alert__room__room_id", flat=True)
    assert sorted(named) == [f"r{n}" for n in range(6)]
    later(seconds=31)
    sweep()
    assert len(posts(standins)[-1]["body"]["data"]["alert_ids"]) == 6


def test_what_one_outage_counted_does_not_make_another(scene, later):
    fail(scene, 0, 6)
    actions.resolve(outages(scene)[0].pk, scene.people[0])
    later(seconds=1)
    fail(scene, 6, 10)
    assert len(outages(scene)) == 1
    fail(scene, 10, 11)
    assert [one.state for one in outages(scene)] == ["resolved", "open"]


def test_one_take_has_all_its_rooms_and_its_undo_gives_them_back(scene):
    fail(scene, 0, 5)
    (alert,) = outages(scene)
    reader = Browser()
    reader.force_login(scene.people[0])
    answer = reader.post(f"/api/alerts/{alert.pk}/take", "{}", content_type="application/json").json()
    assert (len(answer["rooms_done"]), answer["rooms_refused"], len(answer["rooms"])) == (5, [], 5)
    assert (answer["scope"], answer["source_name"]) == ("source", scene.source.name)
    actions.undo(alert.pk, scene.people[0])
    assert {scene.alert(f"r{n}").state for n in range(5)} == {"open"}
    actions.resolve(alert.pk, scene.people[0])
    actions.reopen(alert.pk, scene.people[0])
    assert outages(scene)[0].state == "open"


def test_its_rooms_are_folded_under_its_row(scene):
    fail(scene, 0, 5)
    scene.fails("message_cap", room="x", agent_name="Bot 9", ago=0)
    (alert,) = outages(scene)
    reader = Browser()
    reader.force_login(scene.people[0])
    page = reader.get("/").content.decode()
    assert f'id="row-{alert.pk}"' in page and "6 rooms under it need a human" in page and "Take all" in page
    assert f'id="row-{scene.alert("r1").pk}"' not in page
    row = page.partition(f'id="row-{alert.pk}"')[2].partition("</li>\n<li")[0]
    assert f'href="/?under={alert.pk}"' in row and "See the rooms" in row
    shown = reader.get(f"/alerts/{alert.pk}").content.decode()
    assert 'href="/sources"' not in page + shown, "which a supervisor may not open: it would be a dead end"
    assert "Rooms of this outage" in shown and "Source outage" in shown
    assert "it is under the outage of its source" in reader.get(f"/alerts/{scene.alert('x').pk}").content.decode()


def test_the_watch_of_silent_sources_leaves_it_alone(scene):
    from alerts.sources.watch import sweep_sources

    fail(scene, 0, 5)
    sweep_sources()
    assert [one.state for one in outages(scene)] == ["open"]


def test_a_room_that_flaps_under_an_outage_counts_once(scene, later):
    for n in range(5):
        scene.fails(room=f"r{n}")
    (alert,) = outages(scene, "agent")
    ends = alert.ends_at
    for _ in range(3):
        actions.resolve(scene.alert("r1").pk, scene.people[0])
        later(seconds=2)
        scene.fails(room="r1")
    (alert,) = outages(scene, "agent")
    assert (alert.event_count, alert.ends_at) == (5, ends)


# --- at once ---


@pytest.mark.django_db(transaction=True)
def test_what_is_held_while_the_outage_ends_is_released_too(clock):
    """A failure that is not critical, decided while the outage is open, whose transaction ends after it."""
    scene = Scene(staff=1)
    for n in range(5):
        scene.fails(room=f"r{n}")
    (alert,) = outages(scene, "agent")
    actions.resolve(alert.pk, scene.people[0])
    actions.reopen(alert.pk, scene.people[0])
    ended = threading.Event()

    def end():
        with scopes_disabled():
            try:
                actions.resolve(alert.pk, scene.people[0])
                sweep_outages(database_clock.now())
                ended.set()
            finally:
                connection.close()

    with transaction.atomic():
        scene.fails("message_cap", room="late")
        ending = threading.Thread(target=end)
        ending.start()
        assert not ended.wait(0.5)  # it waits for what is held
    ending.join(20)
    clock.advance(seconds=1)
    while actions.sweep_timers():
        pass
    assert scene.changes("late")[-1] == ("released_hold", "outage_ended")
    assert DigestAlert.objects.filter(alert=scene.alert("late")).exists()


@pytest.mark.django_db(transaction=True)
def test_an_org_without_a_budget_among_others_keeps_the_order_of_people(clock):
    """Whoever has locked people of one org asks for none that go before them."""
    free, limited = Scene(staff=1), Scene(staff=1)
    old = database_clock.now() - timedelta(days=60)
    type(free.org).objects.filter(pk__in=[free.org.pk, limited.org.pk]).update(created_at=old)
    Policy.objects.create(org=free.org, limits={"budget": {"pushes": 0}, "outage": {"rooms": 0}})
    Policy.objects.create(org=limited.org, limits={"outage": {"rooms": 0}})
    platform = SourceFactory(org=None)
    done = []

    def both(n):
        with scopes_disabled():
            try:
                for turn in range(4):
                    some = [free.event("low_confidence", room=f"f{n}-{turn}"), limited.event(room=f"l{n}-{turn}")]
                    actions.record_events(platform, some if n % 2 else some[::-1])
                done.append(n)
            finally:
                connection.close()

    workers = [threading.Thread(target=both, args=(n,)) for n in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(60)
    assert sorted(done) == [0, 1, 2, 3]
