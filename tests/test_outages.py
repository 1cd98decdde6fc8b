"""Many rooms of one agent that fail critically at once are one alert; their pushes are held under it."""

from datetime import timedelta

import pytest
from django.test import Client as Browser

from alerts import actions
from alerts.models import Alert, DigestAlert, FailureEvent, Push, Transition
from console.pages.alert import view as alert_page
from orgs import clock as database_clock
from orgs.models import Policy
from tests.factories import AssignmentFactory, SupervisorRoleFactory
from tests.outbox import posts, sweep
from tests.scene import Scene, about

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


def fail_rooms(scene, start, end, signal="agent_error", **facts):
    """One by one, as in a storm."""
    for n in range(start, end):
        scene.fails(signal, room=f"r{n}", **facts)


def outage(scene):
    return Alert.objects.get(org=scene.org, scope="agent")


def told_of(scene, alert):
    """(reason, state, why it ended) of the pushes about this alert, in order."""
    pushes = Push.objects.filter(alert=alert).order_by("planned_at", "occurrence")
    return list(pushes.values_list("reason", "state", "ended_reason"))


def digested(scene):
    digests = DigestAlert.objects.filter(push__org=scene.org, push__state__in=["pending", "sent"])
    return sorted(digests.values_list("alert__room__room_id", flat=True))


# --- when it is one ---


def test_the_fifth_room_in_five_minutes_makes_it_an_outage(scene):
    fail_rooms(scene, 0, 4)
    assert not Alert.objects.filter(scope="agent")
    fail_rooms(scene, 4, 5)
    alert = outage(scene)
    assert (alert.severity, alert.state, alert.event_count) == ("critical", "open", 5)
    assert told_of(scene, alert) == [("agent_outage", "pending", "")]


def test_its_ladder_shows_when_the_first_and_the_last_of_its_rooms_failed(scene, clock):
    for n in range(3):
        scene.fails("agent_error", room=f"r{n}")
        clock.advance(seconds=50)
    batch = [scene.event(room=f"r{n}", ago=30 - n) for n in (3, 4)]
    actions.record_events(scene.source, [scene.event("message_cap", room="x", ago=200), *batch])
    alert, failed = outage(scene), FailureEvent.objects.exclude(signal="message_cap").order_by("occurred_at")
    (entry,) = alert.signals
    times = failed.first().occurred_at, failed.last().occurred_at
    assert (entry["first_at"], entry["last_at"]) == tuple(at.isoformat() for at in times)
    assert (alert.first_failure_at, alert.last_event_at) == times


def test_five_in_one_batch_are_one_too(scene):
    actions.record_events(scene.source, [scene.event(room=f"r{n}") for n in range(7)])
    assert outage(scene).event_count == 7
    pending = Push.objects.filter(state="pending", kind="alert")
    assert [push.alert_id for push in pending] == [outage(scene).pk]


@pytest.mark.parametrize(
    "facts",
    [{"room": "r0"}, {"signal": "message_cap"}, {"agent_name": "Other Bot"}, {"ago": 700}],
    ids=["the same room", "no critical one", "another agent", "told too late"],
)
def test_what_makes_no_outage(scene, facts):
    fail_rooms(scene, 0, 4)
    scene.fails(**{"signal": "agent_error", "room": "r9"} | facts)
    assert not Alert.objects.filter(scope="agent")


def test_rooms_more_than_five_minutes_apart_make_none(scene, later):
    fail_rooms(scene, 0, 4)
    later(minutes=5, seconds=1)
    fail_rooms(scene, 4, 5)
    assert not Alert.objects.filter(scope="agent")


def test_never_where_policy_says_so(scene):
    Policy.objects.create(org=scene.org, limits={"outage": {"rooms": 0}})
    fail_rooms(scene, 0, 20)
    assert not Alert.objects.filter(scope="agent")


# --- what is held ---


def test_the_rooms_under_it_are_held_with_the_reason(scene):
    fail_rooms(scene, 0, 7)
    assert told_of(scene, scene.alert("r6")) == [("first", "skipped", "held_by_agent_outage")]
    assert scene.changes("r6") == [("opened", "held_by_agent_outage")]
    assert scene.alert("r6").last_reason == "held_by_agent_outage"


def test_their_pushes_that_wait_are_cancelled(scene, standins):
    fail_rooms(scene, 0, 6)
    sweep()
    assert told_of(scene, scene.alert("r0")) == [("first", "cancelled", "superseded")]
    assert [one["body"]["data"]["alert_id"] for one in posts(standins)] == [str(outage(scene).pk)]


def test_a_room_of_before_is_not_under_it(scene, later):
    scene.fails("message_cap", room="old")
    later(minutes=6)
    fail_rooms(scene, 0, 5)
    scene.fails("agent_error", room="old")
    assert told_of(scene, scene.alert("old"))[-1][0:2] == ("worsened", "pending")


def test_no_repeat_and_no_next_tier_for_a_room_under_it(scene, later):
    AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=2))
    fail_rooms(scene, 0, 6)
    later(minutes=4)
    fail_rooms(scene, 6, 7)
    later(minutes=5)
    assert {change for change, _ in scene.changes("r5")} == {"opened"}


def test_the_outage_itself_is_repeated_and_escalated(scene, later):
    second = AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=2)).user
    fail_rooms(scene, 0, 5)
    later(minutes=3, seconds=1)
    later(minutes=2)
    changes = Transition.objects.filter(alert=outage(scene)).order_by("id").values_list("change", flat=True)
    assert list(changes) == ["opened", "escalated", "repeated"]
    assert Push.objects.filter(supervisor=second, alert=outage(scene)).exists()


def test_the_next_tier_hears_of_it_no_later_than_it_would_have_of_the_first_room_under_it(scene, later):
    """The rooms' own clocks are held under it; what somebody has by then counts for nothing."""
    second = AssignmentFactory(org=scene.org, role=SupervisorRoleFactory(org=scene.org, tier=2)).user
    fail_rooms(scene, 0, 1)
    later(seconds=60)
    fail_rooms(scene, 1, 4)
    actions.take(scene.alert("r0").pk, scene.people[0])
    later(seconds=90)
    fail_rooms(scene, 4, 5)
    found = outage(scene)
    assert about(found.escalate_at, found.opened_at + timedelta(seconds=90))
    later(seconds=85)
    assert not Push.objects.filter(supervisor=second).exists()
    later(seconds=10)
    assert Push.objects.get(supervisor=second).alert == found


def test_people_are_told_again_when_its_rooms_double_at_most_hourly(scene, later):
    fail_rooms(scene, 0, 20)
    assert [reason for reason, *_ in told_of(scene, outage(scene))] == ["agent_outage"]
    for n in range(13):
        later(minutes=5)
        fail_rooms(scene, 100 + n, 101 + n)
    assert outage(scene).state != "resolved"
    assert [reason for reason, *_ in told_of(scene, outage(scene))].count("worsened") == 1


# --- how it ends ---


def test_it_ends_after_ten_clean_minutes_and_who_still_waits_is_told_in_one_digest(scene, later):
    fail_rooms(scene, 0, 8)
    actions.take(scene.alert("r3").pk, scene.people[0])
    scene.happens("human_message", room="r3", who=scene.people[0])
    later(minutes=10, seconds=1)
    alert = outage(scene)
    assert (alert.state, alert.resolved_kind) == ("resolved", "recovered")
    assert digested(scene) == ["r0", "r1", "r2", "r4", "r5", "r6", "r7"]
    assert scene.changes("r7")[-1] == ("released_hold", "outage_ended")
    (digest,) = Push.objects.filter(kind="digest")
    assert (digest.reason, digest.state) == ("outage_ended", "pending")


def test_each_new_room_moves_its_end(scene, later):
    fail_rooms(scene, 0, 5)
    later(minutes=9)
    fail_rooms(scene, 5, 6)
    later(minutes=9)
    assert outage(scene).state == "open"
    assert about(outage(scene).ends_at - database_clock.now(), timedelta(minutes=1))


def test_resolving_it_releases_its_rooms(scene, later):
    fail_rooms(scene, 0, 6)
    actions.resolve(outage(scene).pk, scene.people[0])
    later(seconds=1)
    assert digested(scene) == [f"r{n}" for n in range(6)]
    assert scene.alert("r0").state == "open"


def test_a_released_room_follows_its_own_rules_again(scene, later):
    fail_rooms(scene, 0, 6)
    actions.resolve(outage(scene).pk, scene.people[0])
    later(seconds=1)
    later(minutes=5, seconds=1)
    assert ("repeated", "repeat_due") in scene.changes("r0")


def test_what_one_outage_counted_does_not_make_another(scene, later):
    fail_rooms(scene, 0, 6)
    actions.resolve(outage(scene).pk, scene.people[0])
    later(seconds=1)
    fail_rooms(scene, 6, 7)
    assert Alert.objects.filter(scope="agent").count() == 1
    fail_rooms(scene, 7, 11)
    assert Alert.objects.filter(scope="agent").exclude(state="resolved").count() == 1


def test_rooms_under_it_are_in_no_digest(scene, standins, clock):
    Policy.objects.create(org=scene.org, limits={"budget": {"pushes": 1}})
    fail_rooms(scene, 0, 4)
    assert digested(scene) == ["r1", "r2", "r3"]
    fail_rooms(scene, 4, 5)
    clock.advance(seconds=31)
    sweep()
    bodies = [one["body"]["data"] for one in posts(standins)]
    named = [alert for data in bodies for alert in data.get("alert_ids", [])]
    assert str(scene.alert("r1").pk) not in named


# --- people ---


def test_taking_it_takes_the_rooms_that_nobody_has_and_undo_gives_back_exactly_those(scene):
    fail_rooms(scene, 0, 6)
    other = AssignmentFactory(org=scene.org, role=scene.role).user
    actions.take(scene.alert("r1").pk, other)
    taken = actions.take_with_rooms(outage(scene).pk, scene.people[0])
    assert set(taken.rooms_done) == {scene.alert(f"r{n}").pk for n in (0, 2, 3, 4, 5)}
    assert (outage(scene).state, scene.alert("r5").assigned_to_id) == ("acknowledged", scene.people[0].pk)
    actions.resolve(scene.alert("r2").pk, scene.people[0])
    actions.undo(outage(scene).pk, scene.people[0])
    states = {f"r{n}": scene.alert(f"r{n}").state for n in range(6)}
    assert states == dict.fromkeys(("r0", "r3", "r4", "r5"), "open") | {"r1": "acknowledged", "r2": "resolved"}
    assert outage(scene).state == "open"
    assert scene.alert("r1").assigned_to_id == other.pk


def test_the_undo_of_taking_one_that_was_acknowledged_gives_its_rooms_back(scene):
    """Mutation: it says that all is as before, and every room goes on being mine and silent for everybody."""
    fail_rooms(scene, 0, 5)
    mine = outage(scene).pk
    actions.acknowledge(mine, scene.people[0])
    assert len(actions.take_with_rooms(mine, scene.people[0]).rooms_done) == 5
    actions.take(mine, scene.people[0])  # a second time changes nothing, and leaves the first to be undone
    actions.undo(mine, scene.people[0])
    assert {scene.alert(f"r{n}").state for n in range(5)} == {"open"}
    assert (outage(scene).state, outage(scene).assigned_to_id) == ("acknowledged", None)


@pytest.mark.parametrize("act", ["undo", "release"])
def test_its_undo_gives_back_its_rooms_though_it_ended_by_itself_meanwhile(scene, later, act):
    """Told as what was released with it: they were not, for somebody had them."""
    fail_rooms(scene, 0, 6)
    later(minutes=9)
    actions.take(outage(scene).pk, scene.people[0])
    later(minutes=1)
    assert (outage(scene).state, scene.alert("r0").state) == ("resolved", "acknowledged")
    getattr(actions, act)(outage(scene).pk, scene.people[0])
    assert {scene.alert(f"r{n}").state for n in range(6)} == {"open"}
    assert scene.changes("r5")[-1] == ("released_hold", "outage_ended")
    assert digested(scene) == [f"r{n}" for n in range(6)]
    with pytest.raises(actions.ActConflict):
        getattr(actions, act)(outage(scene).pk, scene.people[0])


def test_releasing_it_gives_its_rooms_back_too(scene):
    fail_rooms(scene, 0, 5)
    actions.take(outage(scene).pk, scene.people[0])
    actions.release(outage(scene).pk, scene.people[0])
    assert {scene.alert(f"r{n}").state for n in range(5)} == {"open"}


def test_only_the_first_takes_it(scene):
    fail_rooms(scene, 0, 5)
    actions.take(outage(scene).pk, scene.people[0])
    other = AssignmentFactory(org=scene.org, role=scene.role).user
    with pytest.raises(actions.ActConflict, match="already_taken"):
        actions.take(outage(scene).pk, other)


def test_the_answer_to_take_says_what_became_of_each_room(scene):
    fail_rooms(scene, 0, 5)
    reader = Browser()
    reader.force_login(scene.people[0])
    answer = reader.post(f"/api/alerts/{outage(scene).pk}/take", "{}", content_type="application/json").json()
    assert set(answer["rooms_done"]) == {str(scene.alert(f"r{n}").pk) for n in range(5)}
    assert answer["rooms_refused"] == []
    assert (answer["scope"], answer["agent_name"], answer["room_id"]) == ("agent", "Billing Bot", None)
    assert {room["state"] for room in answer["rooms"]} == {"acknowledged"}


def test_of_a_room_the_api_says_nothing_of_rooms(scene):
    fail_rooms(scene, 0, 1)
    reader = Browser()
    reader.force_login(scene.people[0])
    assert "rooms" not in reader.get("/api/alerts").json()["results"][0]


def test_reopening_it_lets_it_run_on(scene, later):
    fail_rooms(scene, 0, 5)
    actions.resolve(outage(scene).pk, scene.people[0])
    actions.reopen(outage(scene).pk, scene.people[0])
    later(minutes=9)
    assert outage(scene).state == "open"
    later(minutes=2)
    assert outage(scene).state == "resolved"


def test_a_taken_outage_nobody_came_to_is_open_again(scene, later):
    fail_rooms(scene, 0, 5)
    actions.take(outage(scene).pk, scene.people[0])
    later(minutes=5, seconds=1)
    assert outage(scene).state == "open"


# --- where it shows ---


@pytest.fixture
def reader(scene):
    reader = Browser()
    reader.force_login(scene.people[0])
    return reader


def listed(scene, page):
    """The rooms, and "outage", whose rows the page lists."""
    found = {alert.pk: alert.room.room_id if alert.room else "outage" for alert in Alert.objects.filter(org=scene.org)}
    return sorted(name for pk, name in found.items() if f'id="row-{pk}"' in page)


def test_its_rooms_are_folded_under_its_row_on_the_board(scene, reader):
    scene.fails("agent_error", room="x1", agent_name="Other Bot")
    fail_rooms(scene, 0, 6)
    page = reader.get("/").content.decode()
    assert listed(scene, page) == ["outage", "x1"]
    assert "6 rooms under it need a human" in page
    assert "worst: Critical" in page
    assert "Take all" in page


def test_the_headline_the_tabs_and_the_menu_say_one_number_and_the_list_explains_it(scene, reader):
    """Mutation: the tab counts rows; 89 alerts need a human, 42 wait, and nothing says where the others are."""
    scene.fails("agent_error", room="x1", agent_name="Other Bot")
    fail_rooms(scene, 0, 6)
    answer = reader.get("/")
    page = answer.content.decode()
    assert "8 alerts need a human" in page
    assert [tab["count"] for tab in answer.context["tabs"]] == [8, 8, 0, 0]
    assert "6 of them are rooms under an outage" in page
    assert "2 alerts, 6 more rooms under an outage" in page
    shown = reader.get("/?partial=counts").json()
    assert (shown["waiting"], shown["folded"]["waiting"]) == (2, 6)


def test_where_nothing_is_folded_nothing_is_said_of_it(scene, reader):
    fail_rooms(scene, 0, 2)
    shown = reader.get("/?partial=counts").json()
    assert (shown["waiting"], shown["folded"]) == (2, {})
    assert "more room" not in reader.get("/").content.decode().split('id="words"')[0]


def test_its_rooms_are_listed_where_one_asks_for_them(scene, reader):
    fail_rooms(scene, 0, 6)
    page = reader.get(f"/?under={outage(scene).pk}").content.decode()
    assert listed(scene, page) == [f"r{n}" for n in range(6)]


def test_a_room_that_somebody_has_stands_by_itself(scene, reader):
    fail_rooms(scene, 0, 6)
    actions.take(scene.alert("r2").pk, scene.people[0])
    page = reader.get("/").content.decode()
    assert listed(scene, page) == ["outage", "r2"]
    assert "5 rooms under it need a human" in page


def test_a_filter_that_looks_for_rooms_unfolds_them(scene, reader):
    fail_rooms(scene, 0, 6)
    assert listed(scene, reader.get("/?q=r4").content.decode()) == ["r4"]


def test_when_it_is_over_its_rooms_stand_by_themselves(scene, reader, later):
    fail_rooms(scene, 0, 5)
    actions.resolve(outage(scene).pk, scene.people[0])
    later(seconds=1)
    assert listed(scene, reader.get("/").content.decode()) == ["outage", "r0", "r1", "r2", "r3", "r4"]


def test_one_tap_takes_all(scene, reader):
    fail_rooms(scene, 0, 5)
    reader.post(f"/alerts/{outage(scene).pk}/take")
    assert {scene.alert(f"r{n}").assigned_to for n in range(5)} == {scene.people[0]}


def test_its_page_says_how_many_rooms_it_does_not_list(scene, reader, monkeypatch):
    """Mutation: fifty of five hundred rooms look like all of them."""
    monkeypatch.setattr(alert_page, "OUTAGE_ROOMS", 4)
    fail_rooms(scene, 0, 6)
    page = reader.get(f"/alerts/{outage(scene).pk}").content.decode()
    assert "and 2 more rooms" in page and page.count("<li><a href") == 4


def test_its_page_lists_its_rooms_and_says_what_became_of_it(scene, reader, later):
    fail_rooms(scene, 0, 6)
    page = reader.get(f"/alerts/{outage(scene).pk}").content.decode()
    assert "Rooms of this outage" in page and "Take all" in page and "6 rooms under it need a human" in page
    assert "no tier and no specialist is left to be told" in page
    assert f"/alerts/{scene.alert('r3').pk}" in page and "more rooms" not in page.split('id="words"')[0]
    later(minutes=10, seconds=1)
    assert "Recovered: no further room failed" in reader.get(f"/alerts/{outage(scene).pk}").content.decode()


def test_the_page_of_a_room_says_that_it_is_held_and_released(scene, reader, later):
    fail_rooms(scene, 0, 6)
    held = reader.get(f"/alerts/{scene.alert('r5').pk}").content.decode()
    assert "it is under the outage of its agent" in held
    assert "While its outage lasts, nothing is pushed for this room alone" in held and "Next at" not in held
    later(minutes=10, seconds=1)
    page = reader.get(f"/alerts/{scene.alert('r5').pk}").content.decode()
    assert "Its outage is over: named in the next digest" in page


def test_the_rows_of_its_rooms_and_its_own_are_sent_when_it_begins_and_when_one_changes(
    scene, django_capture_on_commit_callbacks, monkeypatch
):
    published = []
    monkeypatch.setattr("alerts.feed.publish", lambda ids: published.append(set(ids)))
    with django_capture_on_commit_callbacks(execute=True):
        fail_rooms(scene, 0, 4)
    with django_capture_on_commit_callbacks(execute=True):
        fail_rooms(scene, 4, 5)
    assert published[-1] >= {outage(scene).pk, *(scene.alert(f"r{n}").pk for n in range(5))}
    with django_capture_on_commit_callbacks(execute=True):
        actions.take(scene.alert("r1").pk, scene.people[0])
    assert published[-1] == {outage(scene).pk, scene.alert("r1").pk}
