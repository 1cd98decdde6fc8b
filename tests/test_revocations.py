"""Somebody takes an alert, or writes in its room: on everybody else's phone it is replaced by who has it, once."""

import json
from datetime import timedelta

import pytest
from django.test import Client as Browser

from alerts import actions
from alerts.delivery import notification_service
from alerts.delivery.message import collapse_keys
from alerts.models import Alert, Gate, Push
from demo.standins import contract
from orgs.models import Policy, User
from tests.factories import UserFactory
from tests.outbox import posts, sweep
from tests.scene import Scene

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]
REVOCATIONS = "/v1/revocations"


@pytest.fixture
def scene(clock):
    scene = Scene(staff=3)
    for person, name in zip(scene.people, ("Rina", "Bayu", "Sari"), strict=True):
        User.objects.filter(pk=person.pk).update(name=name)
    scene.people = list(User.objects.order_by("pk"))
    return scene


@pytest.fixture(autouse=True)
def nothing_learnt(monkeypatch):
    monkeypatch.setattr(notification_service._ServiceKnowledge, "plain_until", 0.0)


def pushed(scene, **facts):
    """The alert of a room that was pushed to all three."""
    scene.fails(**facts)
    sweep()
    return scene.alert()


def revoked(standins):
    return [row for row in standins.log() if row["path"] == REVOCATIONS]


def ends(scene):
    rows = Push.objects.filter(kind="revoke").order_by("supervisor")
    return list(rows.values_list("supervisor", "state", "ended_reason"))


def test_whoever_was_sent_it_reads_who_took_it(scene, standins):
    alert = pushed(scene)
    actions.take(alert.pk, scene.people[0])
    sweep()
    bodies = [row["body"] for row in revoked(standins)]
    assert {body["recipient"]["sso_id"] for body in bodies} == {one.sso_id for one in scene.people[1:]}
    assert {body["title"] for body in bodies} == {"Taken by Rina"}
    assert all(set(body["collapse_keys"]) == set(collapse_keys(alert).values()) for body in bodies)
    assert all(row["signature_ok"] and contract.parse_revocation(row["body"]) for row in revoked(standins))
    assert ends(scene) == [(one.pk, "sent", "") for one in scene.people[1:]]


def test_a_human_message_in_the_room_says_so_too_and_names_nobody_we_cannot_match(scene, standins):
    pushed(scene)
    scene.happens("human_message")
    sweep()
    assert {row["body"]["title"] for row in revoked(standins)} == {"A human agent is on it"}
    assert len(revoked(standins)) == 3


def test_it_is_said_once_for_each_push(scene, standins):
    alert = pushed(scene)
    actions.take(alert.pk, scene.people[0])
    actions.take(alert.pk, scene.people[0])
    scene.happens("human_message", who=scene.people[0])
    sweep()
    assert len(revoked(standins)) == 2


def test_only_phones_that_were_sent_it(scene, standins):
    standins.tokens({scene.people[1].sso_id: 0})
    scene.fails()
    sweep()
    actions.take(scene.alert().pk, scene.people[0])
    scene.fails(room="r2")
    actions.take(scene.alert("r2").pk, scene.people[0])  # its pushes never went
    sweep()
    standins.tokens({scene.people[1].sso_id: 1})
    assert [row["body"]["recipient"]["sso_id"] for row in revoked(standins)] == [scene.people[2].sso_id]


def test_what_was_given_back_meanwhile_is_not_said(scene, standins):
    alert = pushed(scene)
    actions.take(alert.pk, scene.people[0])
    actions.undo(alert.pk, scene.people[0])
    sweep()
    assert revoked(standins) == []
    assert {end[1:] for end in ends(scene)} == {("cancelled", "no_longer_needed")}


def test_a_newer_push_goes_before_it(scene, standins, clock):
    alert = pushed(scene, signal="message_cap")
    actions.take(alert.pk, scene.people[0])
    scene.fails("agent_error")  # worse: everybody is told, although somebody has it
    sweep()
    assert revoked(standins) == []
    assert ("cancelled", "superseded") in {end[1:] for end in ends(scene)}


def test_it_counts_as_no_telling(scene, standins):
    alert = pushed(scene)
    actions.take(alert.pk, scene.people[0])
    sweep()
    reader = Browser()
    reader.force_login(scene.people[0])
    assert {one["kind"] for one in reader.get("/api/pushes").json()["results"]} == {"alert"}
    assert {one["kind"] for one in reader.get(f"/api/alerts/{alert.pk}").json()["pushes"]} == {"alert"}
    assert not Push.objects.filter(kind="revoke", alert__isnull=False).exists()


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_service_that_does_not_know_it_is_left_alone_for_an_hour(scene, standins, clock, status):
    alert = pushed(scene)
    standins.behave("status", status=status, path=REVOCATIONS)
    actions.take(alert.pk, scene.people[0])
    sweep()
    asked = len(revoked(standins))
    assert asked in (1, 2)  # both were claimed at once, or the second after the first answer
    assert {end[1:] for end in ends(scene)} == {("cancelled", "not_supported")}
    scene.fails(room="r2")
    sweep()
    actions.take(scene.alert("r2").pk, scene.people[0])
    sweep()
    assert len(revoked(standins)) == asked
    assert Push.objects.filter(kind="alert", state="sent").count() == 6
    assert not Push.objects.filter(state="dead").exists() and Gate.objects.get().closed_until is None
    reader = Browser()
    reader.force_login(UserFactory(is_specialist=True))
    assert "takes no push back" in reader.get("/pushes").content.decode()
    clock.advance(hours=1, seconds=1)
    standins.behave("ok")
    scene.fails(room="r3")
    sweep()
    actions.take(scene.alert("r3").pk, scene.people[0])
    sweep()
    assert len(revoked(standins)) == asked + 2


def test_one_that_fails_holds_up_no_push_and_never_dies(scene, standins, clock):
    alert = pushed(scene)
    standins.behave("status", status=500, path=REVOCATIONS)
    actions.take(alert.pk, scene.people[0])
    for _ in range(8):
        sweep()
        clock.advance(minutes=3)
    gate = Gate.objects.get()
    assert (gate.failures, gate.closed_until) == (0, None)
    clock.advance(minutes=30)
    sweep()
    assert {end[1:] for end in ends(scene)} == {("cancelled", "expired")}


def test_one_that_is_refused_is_no_dead_push(scene, standins):
    alert = pushed(scene)
    standins.behave("status", status=422, path=REVOCATIONS)
    actions.take(alert.pk, scene.people[0])
    sweep()
    assert {end[1:] for end in ends(scene)} == {("cancelled", "refused")}


def test_the_same_bytes_and_key_on_every_attempt(scene, standins, clock):
    alert = pushed(scene)
    standins.behave("status", status=503, path=REVOCATIONS, for_requests=2)
    actions.take(alert.pk, scene.people[0])
    sweep()
    clock.advance(seconds=30)
    sweep()
    tries = {(row["headers"]["Idempotency-Key"], row["body_sha256"]) for row in revoked(standins)}
    assert (len(revoked(standins)), len(tries)) == (4, 2)


def test_who_is_forgotten_is_named_in_none(scene, standins):
    from alerts.retention.erase import erase_person
    from orgs import clock

    User.objects.filter(pk=scene.people[0].pk).update(name="Rina Wulandari")
    actions.take(pushed(scene).pk, User.objects.get(pk=scene.people[0].pk))
    assert Push.objects.filter(body__contains="Rina Wulandari").exists()
    erase_person(scene.people[0].sso_id, clock.now())
    assert not Push.objects.filter(body__contains="Rina").exists()


# --- who has it now, after it was given back ---


def titles(standins, person):
    return [row["body"]["title"] for row in revoked(standins) if row["body"]["recipient"]["sso_id"] == person.sso_id]


def test_who_takes_it_after_it_was_given_back_is_named_and_not_who_had_it(scene, standins):
    rina, bayu, sari = scene.people
    alert = pushed(scene)
    actions.take(alert.pk, rina)
    sweep()
    actions.release(alert.pk, rina)
    actions.take(alert.pk, bayu)
    sweep()
    assert titles(standins, sari) == ["Taken by Rina", "Taken by Bayu"]
    assert titles(standins, rina) == ["Taken by Bayu"]
    actions.release(alert.pk, bayu)
    actions.take(alert.pk, rina)
    sweep()
    assert titles(standins, sari) == ["Taken by Rina", "Taken by Bayu", "Taken by Rina"]
    assert len({row["headers"]["Idempotency-Key"] for row in revoked(standins)}) == len(revoked(standins))


def test_what_was_not_sent_yet_of_who_had_it_is_replaced(scene, standins):
    rina, bayu, sari = scene.people
    alert = pushed(scene)
    actions.take(alert.pk, rina)
    actions.release(alert.pk, rina)
    actions.take(alert.pk, bayu)
    sweep()
    assert titles(standins, sari) == ["Taken by Bayu"] == titles(standins, rina)
    assert ("cancelled", "superseded") in {end[1:] for end in ends(scene)}


def test_one_that_is_tried_again_gives_way_to_who_took_it_since(scene, standins, clock):
    """The answer to the first came too late to know that it was on its way."""
    rina, bayu, sari = scene.people
    alert = pushed(scene)
    standins.behave("status", status=503, path=REVOCATIONS)
    actions.take(alert.pk, rina)
    sweep()
    Push.objects.filter(kind="revoke").update(state="sending", lease_until=alert.opened_at, lease_token=alert.pk)
    actions.release(alert.pk, rina)
    actions.take(alert.pk, bayu)
    standins.behave("ok")
    sweep()
    clock.advance(seconds=15)  # what was under way has its answer by then
    sweep()
    tried = len([one for one in titles(standins, sari) if one == "Taken by Rina"])
    assert (tried, titles(standins, sari)[-1]) == (1, "Taken by Bayu")


def test_the_same_person_again_is_no_news(scene, standins):
    alert = pushed(scene)
    for _ in range(2):
        actions.take(alert.pk, scene.people[0])
        sweep()
        actions.release(alert.pk, scene.people[0])
    assert len(revoked(standins)) == 2


@pytest.mark.parametrize("how", ["acknowledge", "open_room"])
def test_who_only_has_seen_it_is_named_where_another_was_and_nowhere_else(scene, standins, how):
    rina, bayu, sari = scene.people
    seen = pushed(scene)
    getattr(actions, how)(seen.pk, bayu)
    sweep()
    assert revoked(standins) == []
    scene.fails(room="r2")
    sweep()
    alert = scene.alert("r2")
    actions.take(alert.pk, rina)
    sweep()
    actions.release(alert.pk, rina)
    getattr(actions, how)(alert.pk, bayu)
    sweep()
    assert titles(standins, sari) == ["Taken by Rina", "Taken by Bayu"]
    assert titles(standins, rina) == []


def test_somebody_unknown_who_writes_in_a_room_that_is_taken_takes_nothing_from_who_has_it(scene, standins):
    alert = pushed(scene)
    actions.take(alert.pk, scene.people[0])
    sweep()
    scene.happens("human_message")
    sweep()
    assert {row["body"]["title"] for row in revoked(standins)} == {"Taken by Rina"} and len(revoked(standins)) == 2


def test_one_that_was_called_off_is_said_when_it_is_taken_again(scene, standins):
    alert = pushed(scene)
    actions.take(alert.pk, scene.people[0])
    actions.undo(alert.pk, scene.people[0])
    sweep()
    actions.take(alert.pk, scene.people[0])
    sweep()
    assert {row["body"]["title"] for row in revoked(standins)} == {"Taken by Rina"} and len(revoked(standins)) == 2


# --- when nobody has it any more ---


def test_who_read_that_somebody_had_it_reads_that_it_is_open_again(scene, standins):
    rina, bayu, sari = scene.people
    alert = pushed(scene)
    actions.take(alert.pk, rina)
    sweep()
    actions.release(alert.pk, rina)
    sweep()
    assert titles(standins, bayu) == titles(standins, sari) == ["Taken by Rina", "Open again"]
    assert titles(standins, rina) == []
    assert contract.parse_revocation(revoked(standins)[-1]["body"])
    assert not Push.objects.filter(kind="alert", occurrence__gt=1).exists()  # quietly: it is no telling
    actions.take(alert.pk, rina)
    sweep()
    assert titles(standins, sari) == ["Taken by Rina", "Open again", "Taken by Rina"]


def test_an_act_that_is_undone_is_open_again_too(scene, standins):
    alert = pushed(scene)
    actions.take(alert.pk, scene.people[0])
    sweep()
    actions.undo(alert.pk, scene.people[0])
    sweep()
    assert titles(standins, scene.people[2]) == ["Taken by Rina", "Open again"]


@pytest.mark.parametrize("severity", ["info", "critical"])
def test_who_took_it_and_did_not_come_has_it_no_more(scene, standins, clock, severity):
    Policy.objects.update_or_create(org=scene.org, defaults={"severities": {"agent_error": severity}})
    alert = pushed(scene)
    actions.take(alert.pk, scene.people[0])
    sweep()
    scene.fails()  # else it would be over
    clock.advance(minutes=31)
    actions.sweep_timers()
    sweep()
    assert Alert.objects.get().state == "open"
    told_anew = severity == "critical"  # that says more, and takes the place of what the phone shows
    assert Push.objects.filter(kind="alert", occurrence__gt=1, state="sent").exists() == told_anew
    assert titles(standins, scene.people[2]) == ["Taken by Rina", *([] if told_anew else ["Open again"])]


def test_a_phone_that_is_told_anew_needs_no_more(scene, standins):
    alert = pushed(scene, signal="message_cap")
    actions.take(alert.pk, scene.people[0])
    sweep()
    actions.release(alert.pk, scene.people[0])
    scene.fails("agent_error")
    sweep()
    assert titles(standins, scene.people[1]) == ["Taken by Rina"]
    assert ("cancelled", "superseded") in {end[1:] for end in ends(scene)}


def test_what_was_taken_again_before_it_was_said_is_not_said(scene, standins):
    rina, bayu, sari = scene.people
    alert = pushed(scene)
    actions.take(alert.pk, rina)
    sweep()
    actions.release(alert.pk, rina)
    actions.resolve(alert.pk, bayu)
    sweep()
    assert titles(standins, sari) == ["Taken by Rina"]
    assert ("cancelled", "no_longer_needed") in {end[1:] for end in ends(scene)}


def test_the_rooms_of_an_outage_that_is_given_back_are_open_again_too(scene, standins):
    Policy.objects.update_or_create(org=scene.org, defaults={"limits": {"outage": {"rooms": 3}}})
    for room in ("r1", "r2", "r3"):
        scene.fails(room=room)
        sweep()
    outage = Alert.objects.get(scope="agent")
    actions.take(outage.pk, scene.people[0])
    sweep()
    told = titles(standins, scene.people[1])
    assert told and set(told) == {"Taken by Rina"}
    actions.undo(outage.pk, scene.people[0])
    sweep()
    assert titles(standins, scene.people[1])[len(told) :] == ["Open again"] * len(told)


# --- what a phone shows of two pushes about one alert ---


def test_no_push_takes_the_place_of_one_that_is_more_severe(scene, standins, clock):
    scene.fails("message_cap")
    sweep()
    scene.fails("agent_error")
    sweep()
    warning, critical = posts(standins)[0]["body"], posts(standins)[-1]["body"]
    assert critical["collapse_key"] != warning["collapse_key"]
    assert warning["collapse_key"] in critical["replaces"]
    assert critical["collapse_key"] not in warning["replaces"]
    assert (critical["priority"], warning["priority"]) == ("high", "normal")


@pytest.mark.parametrize("knows", [[], ["priority"], ["replaces"]])
def test_a_service_that_refuses_the_newer_fields_gets_every_push_without_them(scene, standins, knows):
    standins.behave("ok", knows=knows)
    scene.fails()
    sweep()
    scene.fails(room="r2")
    sweep()
    assert Push.objects.filter(kind="alert", state="sent").count() == 6
    assert not {"priority", "replaces"} & posts(standins)[-1]["body"].keys()
    keys = [row["headers"]["Idempotency-Key"] for row in posts(standins)]
    assert len(set(keys)) == 6


def test_a_push_that_went_without_them_goes_without_them_again(scene, standins, clock, monkeypatch):
    """Another process, which does not know yet, tries it again under the same key."""
    scene.people = scene.people[:1]
    standins.behave("ok", knows=[])
    scene.fails()
    sweep()
    sent = Push.objects.filter(state="sent").first()
    Push.objects.filter(pk=sent.pk).update(state="pending", next_attempt_at=sent.planned_at)
    monkeypatch.setattr(notification_service._ServiceKnowledge, "plain_until", 0.0)
    standins.behave("ok")
    sweep()
    assert Push.objects.get(pk=sent.pk).state == "sent"
    assert posts(standins)[-1]["duplicate"]


def test_the_frozen_body_says_the_same_to_every_service(scene):
    scene.fails()
    body = Push.objects.first().body
    plain = json.loads(notification_service.without_new_fields(body))
    assert json.loads(body) == {**plain, "priority": "high", "replaces": json.loads(body)["replaces"]}
    assert Alert.objects.get().last_told_at is not None
    assert timedelta(seconds=plain["ttl_seconds"]) == timedelta(minutes=30)
