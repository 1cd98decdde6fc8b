"""What an alert's page says is true: its clock, its times and reasons, its comments, its room's history."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django.utils.html import strip_tags

from alerts import actions
from alerts.items import Handoff
from alerts.models import Alert, Comment, Transition
from console.pages.alert.upcoming import next_step
from orgs.models import Assignment, Org, Policy, QuietHours
from tests.api_client import signed_in, supervisor_of
from tests.factories import AssignmentFactory, OrgFactory, SupervisorRoleFactory
from tests.scene import TAKEN_OVER_BY_NOBODY, Scene, fresh
from tests.test_pages_alert import HTMX, text, toast


@pytest.fixture
def scene(system: None, org: Org) -> Scene:
    return Scene(org)


@pytest.fixture
def alert(scene: Scene) -> Alert:
    scene.fails(room_label="Ibu Sari")
    return scene.alert()


def shown(scene: Scene, at: int = 0) -> str:
    """The page as one of the people reads it."""
    return text(signed_in(scene.people[at]).get(f"/alerts/{scene.alert().pk}"))


def test_the_clock_stops_where_it_stood(scene: Scene, clock: Any) -> None:
    """The customer waited before the first failure; entering the room does not end it."""
    waits = timezone.now() - timedelta(seconds=90)
    scene.fails("unexpected_handoff", customer_waiting_since=waits, **TAKEN_OVER_BY_NOBODY)
    clock.advance(seconds=32)
    actions.open_room(scene.alert().pk, scene.people[0])
    clock.advance(seconds=30)
    assert re.search(r"Critical 02:3\d still waiting since \d\d:\d\d", shown(scene))
    scene.happens("human_message", who=scene.people[0])
    clock.advance(minutes=9)
    assert re.search(r"Critical 02:3\d until a human", shown(scene))
    actions.resolve(scene.alert().pk, scene.people[0])
    assert re.search(r"Critical 02:3\d waited", shown(scene))


def test_a_wait_that_a_resolution_ended_counts_from_when_the_customer_began_to_wait(scene: Scene, clock: Any) -> None:
    waits = timezone.now() - timedelta(seconds=90)
    scene.fails("unexpected_handoff", customer_waiting_since=waits, **TAKEN_OVER_BY_NOBODY)
    clock.advance(seconds=62)
    actions.open_room(scene.alert().pk, scene.people[0])
    clock.advance(seconds=60)
    actions.resolve(scene.alert().pk, scene.people[0])
    assert re.search(r"Critical 03:3\d waited", shown(scene))


def test_where_nobody_waits_it_says_since_only_once(scene: Scene) -> None:
    scene.fails("low_confidence")
    page = shown(scene)
    assert re.search(r"since it failed at \d\d:\d\d", page)
    assert not re.search(r"since[^.]{0,20} since", page)
    actions.resolve(scene.alert().pk, scene.people[0])
    assert re.search(r"\d lasted", shown(scene))


def test_how_long_nobody_acted_stays_when_clocks_start_anew(scene: Scene, alert: Alert, clock: Any) -> None:
    clock.advance(minutes=5, seconds=1)
    actions.sweep_timers()
    assert "Nobody acted for 5 min" in shown(scene)
    actions.take(alert.pk, scene.people[0])
    clock.advance(minutes=5, seconds=10)
    actions.sweep_timers()
    assert "Nobody acted for 5 min" in shown(scene), "that nobody came starts the clock anew"


def test_how_long_nobody_came_after_a_handoff_is_what_the_policy_waited(scene: Scene, clock: Any) -> None:
    Policy.objects.create(org=scene.org, limits={"handoff_minutes": 7}, severities={"unexpected_handoff": "info"})
    scene.fails("unexpected_handoff", handoff=Handoff(completed=True))
    clock.advance(minutes=7, seconds=1)
    actions.sweep_timers()
    assert "Handed off 7 min ago, and nobody came: now critical" in shown(scene)


def test_what_was_told_before_the_time_was_kept_claims_none(scene: Scene, alert: Alert) -> None:
    Transition.objects.create(org=scene.org, alert=alert, at=timezone.now(), change="repeated", reason="repeat_due")
    handed_off = {"cause": "handed_off", "from": "warning", "to": "critical"}
    Transition.objects.create(
        org=scene.org, alert=alert, at=timezone.now(), change="worsened", reason="worsened", detail=handed_off
    )
    page = shown(scene)
    assert "Nobody acted: told again" in page
    assert "Handed off, nobody came" in page


def test_who_did_not_come_reads_you(scene: Scene, alert: Alert, clock: Any) -> None:
    actions.take(alert.pk, scene.people[0])
    actions.assign(alert.pk, scene.people[0], scene.people[1])
    clock.advance(minutes=6)
    actions.sweep_timers()
    assert "You did not come: it is open again" in shown(scene)
    assert "did not come: it is open again" in shown(scene, 1)
    assert "You did not come" not in shown(scene, 1)
    assert "gave it to you" in shown(scene, 1)


def test_what_comes_next_on_another_day_says_the_day(scene: Scene, clock: Any) -> None:
    scene.fails()
    found, now = scene.alert(), timezone.now()
    said = strip_tags(next_step(found, now))
    days_before = strip_tags(next_step(found, now - timedelta(days=2)))
    assert re.match(r"Next at \d\d:\d\d:\d\d", said)
    assert re.match(r"Next on \d+ [A-Z][a-z]+ \d\d:\d\d", days_before)


def comes_next(scene: Scene) -> str:
    return strip_tags(next_step(scene.alert(), timezone.now()))


REPEATS_FIRST = {"escalate_minutes": {"critical": 90, "warning": 90}}


def rest_all_day(scene: Scene) -> None:
    halves = [{"days": [1, 2, 3, 4, 5, 6, 7], "from": a, "to": b} for a, b in (("00:00", "12:00"), ("12:00", "00:00"))]
    for person in scene.people:
        QuietHours.objects.create(org=scene.org, user=person, hours=halves)


def test_whom_it_tells_next_counts_quiet_hours_only_where_they_hold(scene: Scene) -> None:
    policy = Policy.objects.create(org=scene.org, limits=REPEATS_FIRST)
    rest_all_day(scene)
    scene.fails()
    assert all(str(person).split()[0] in comes_next(scene) for person in scene.people), "critical passes quiet hours"
    policy.limits = {**REPEATS_FIRST, "quiet_hours_pass": []}
    policy.save()
    said = comes_next(scene)
    assert "no supervisor is assigned" not in said
    assert "off duty, away or in quiet hours" in said


def test_a_fallback_is_not_named_next_while_quiet_hours_are_waited_for(scene: Scene) -> None:
    Policy.objects.create(org=scene.org, limits={**REPEATS_FIRST, "quiet_hours_pass": []})
    scene.fails()
    rest_all_day(scene)
    role = SupervisorRoleFactory(org=scene.org, fallback=True)
    stand_in = AssignmentFactory(org=scene.org, role=role, user__name="Wira Utama").user
    assert str(stand_in).split()[0] not in comes_next(scene)
    QuietHours.objects.all().delete()
    Assignment.objects.exclude(role=role).update(away_until=timezone.now() + timedelta(days=1))
    assert str(stand_in).split()[0] in comes_next(scene)


def test_what_a_source_gives_as_reason_is_put_in_words_or_quoted(scene: Scene) -> None:
    for reason in ("policy", "agent_gave_up", "moon_phase"):
        scene.fails("unexpected_handoff", handoff=Handoff(completed=True, reason=reason))
    page = shown(scene)
    for said in ("a rule of the agent asks for a human here", "the agent gave up", "“moon_phase”"):
        assert said in page
    assert "agent_gave_up" not in page


def test_the_page_of_an_outage_lists_first_what_nobody_has(scene: Scene) -> None:
    rooms = [f"r{n}" for n in range(5)]
    for room in rooms:
        scene.fails(room=room)
    actions.resolve(scene.alert("r4").pk, scene.people[0])
    actions.take(scene.alert("r3").pk, scene.people[0])
    outage = Alert.objects.get(scope=Alert.Scope.AGENT)
    page = signed_in(scene.people[0]).get(f"/alerts/{outage.pk}").content.decode()
    listed = page.partition("outage-rooms")[2]
    places = {room: listed.index(str(scene.alert(room).pk)) for room in rooms}
    assert sorted(rooms, key=places.__getitem__) == ["r2", "r1", "r0", "r3", "r4"]


# --- comments and the room's history -----------------------------------------------------------------------------


def test_a_comment_is_for_everybody_and_masked(scene: Scene, alert: Alert) -> None:
    answer = signed_in(scene.people[0]).post(f"/alerts/{alert.pk}/comment", {"text": " Call 0812-3456-7890 \n"})
    assert answer.status_code == 302
    actions.resolve(alert.pk, scene.people[0])
    signed_in(scene.people[0]).post(f"/alerts/{alert.pk}/comment", {"text": "<b>done</b>"})
    assert "You commented “&lt;b&gt;done&lt;/b&gt;”" in shown(scene)
    page = shown(scene, 1)
    assert "commented “Call [" in page
    assert not [part for part in ("812-3456", "3456-7890") if part in page]  # "3456" alone stands in many an id
    assert fresh(alert.pk).state == "resolved"


@pytest.mark.parametrize("said", ["", "   "])
def test_a_comment_says_something(scene: Scene, alert: Alert, said: str) -> None:
    answer = signed_in(scene.people[0]).post(f"/alerts/{alert.pk}/comment", {"text": said}, headers=HTMX)
    assert (answer.status_code, toast(answer)["text"]) == (422, "Write something first.")
    assert not Comment.objects.exists()


def test_a_comment_brings_the_page_of_others_up_to_date(scene: Scene, alert: Alert) -> None:
    before = fresh(alert.pk)
    actions.comment(alert.pk, scene.people[0], "x" * 3000)
    after = fresh(alert.pk)
    assert after.version == before.version + 1
    assert (after.state, after.due_at, after.last_reason) == (before.state, before.due_at, before.last_reason)
    assert len(Comment.objects.get().text) <= 2000
    outsider = signed_in(supervisor_of(OrgFactory()))
    assert outsider.post(f"/alerts/{alert.pk}/comment", {"text": "hello"}).status_code == 404


def test_one_is_the_first_to_assign_to(scene: Scene, alert: Alert) -> None:
    html = signed_in(scene.people[1]).get(f"/alerts/{alert.pk}").content.decode()
    first = re.search(r'name="sso_id" value="([^"]*)".*?</span>(.*?)</button>', html)
    assert first is not None
    assert first.groups() == (scene.people[1].sso_id, "Assign to me")


def test_what_else_happened_in_the_room(scene: Scene, alert: Alert, clock: Any) -> None:
    scene.fails(room="r2")
    clock.advance(minutes=4)
    actions.resolve(alert.pk, scene.people[1])
    assert "Also in this room" not in shown(scene)
    clock.advance(minutes=70)
    scene.fails("message_cap")
    newer = Alert.objects.exclude(pk=alert.pk).get(room=alert.room)
    html = signed_in(scene.people[0]).get(f"/alerts/{newer.pk}").content.decode()
    (listed,) = re.findall(r'<ol class="lm-room-history">(.*?)</ol>', html, re.DOTALL)
    assert re.findall(r'href="([^"]*)"', listed) == [f"/alerts/{alert.pk}"]
    words = re.sub(r"\s+", " ", strip_tags(listed))
    assert "Agent error" in words
    assert "Resolved by" in words
    assert re.search(r"04:0\d waited", words)


def test_earlier_episodes_stand_with_it(scene: Scene, alert: Alert, clock: Any) -> None:
    clock.advance(minutes=2)
    scene.happens("human_message", who=scene.people[0])
    clock.advance(minutes=1)
    scene.happens("returned_to_agent")
    clock.advance(minutes=8)
    scene.fails("message_cap")
    assert fresh(alert.pk).episode == 2
    page = shown(scene).split("Also in this room")[1]
    assert re.search(r"Agent error .* The bot has the room back 02:0\d until a human", page)
