"""More than six pushes in ten minutes become one digest that names its alerts."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django_scopes import scopes_disabled

from alerts import actions
from alerts.delivery.claim import claim
from alerts.models import Alert, DigestAlert, Push
from orgs import clock as database_clock
from orgs.models import Policy
from tests.factories import AssignmentFactory
from tests.outbox import posts, sweep
from tests.scene import Scene

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]


@pytest.fixture
def scene(clock):
    scene = Scene(staff=1)
    Policy.objects.create(org=scene.org, limits={"outage": {"rooms": 0}})
    return scene


def fail_rooms(scene, start, end, signal="agent_error"):
    actions.record_events(scene.source, [scene.event(signal, room=f"r{n}") for n in range(start, end)])


def digests(scene):
    return list(Push.objects.filter(org=scene.org, kind="digest").order_by("occurrence"))


def named(digest):
    rooms = DigestAlert.objects.filter(push=digest).values_list("alert__room__room_id", flat=True)
    return sorted(rooms, key=lambda room: int(room[1:]))


def ends(scene):
    pushes = Push.objects.filter(org=scene.org, kind="alert").order_by("planned_at", "alert__room__pk", "occurrence")
    return list(pushes.values_list("state", "ended_reason"))


def test_the_seventh_room_in_ten_minutes_waits_for_a_digest(scene):
    fail_rooms(scene, 0, 9)
    assert ends(scene) == [("pending", "")] * 6 + [("skipped", "over_budget")] * 3
    (digest,) = digests(scene)
    assert (digest.state, digest.occurrence, digest.severity, digest.body) == ("pending", 1, "critical", "")
    assert named(digest) == ["r6", "r7", "r8"]
    assert digest.planned_at - Push.objects.filter(kind="alert").first().planned_at == timedelta(seconds=30)


def test_a_digest_waits_for_company_and_then_names_it_all(scene, standins, clock):
    fail_rooms(scene, 0, 7)
    clock.advance(seconds=20)
    fail_rooms(scene, 7, 9)
    sweep()
    assert len(posts(standins)) == 6
    clock.advance(seconds=11)
    sweep()
    body = posts(standins)[-1]["body"]
    (digest,) = digests(scene)
    assert (digest.state, body["title"]) == ("sent", "3 more rooms need a human")
    assert body["data"]["alert_ids"] == [str(scene.alert(f"r{n}").pk) for n in (6, 7, 8)]
    assert body["data"]["url"].endswith(f"/?digest={digest.pk}")
    assert body["data"]["alert_id"] is None
    assert body["collapse_key"] == str(digest.pk)


def test_a_digest_names_what_is_still_open(scene, standins, clock):
    fail_rooms(scene, 0, 9)
    actions.take(scene.alert("r7").pk, scene.people[0])
    clock.advance(seconds=31)
    sweep()
    body = posts(standins)[-1]["body"]
    assert body["data"]["alert_ids"] == [str(scene.alert(f"r{n}").pk) for n in (6, 8)]
    assert list(DigestAlert.objects.order_by("pk").values_list("named", flat=True)) == [True, False, True]


def test_a_digest_of_which_nothing_is_open_is_not_sent(scene, standins, clock):
    fail_rooms(scene, 0, 7)
    actions.resolve(scene.alert("r6").pk, scene.people[0])
    clock.advance(seconds=31)
    sweep()
    (digest,) = digests(scene)
    assert (digest.state, digest.ended_reason) == ("cancelled", "no_longer_needed")
    assert len(posts(standins)) == 6


def test_the_next_digest_comes_ten_minutes_later(scene, standins, clock):
    fail_rooms(scene, 0, 7, "message_cap")
    clock.advance(seconds=31)
    sweep()
    fail_rooms(scene, 7, 8, "message_cap")
    first, second = digests(scene)
    assert (second.occurrence, second.planned_at - first.planned_at) == (2, timedelta(minutes=10))


def test_a_new_critical_one_makes_it_come_after_five(scene, standins, clock):
    fail_rooms(scene, 0, 7, "message_cap")
    clock.advance(seconds=31)
    sweep()
    fail_rooms(scene, 7, 8, "message_cap")
    fail_rooms(scene, 8, 9, "agent_error")
    first, second = digests(scene)
    assert (second.severity, second.planned_at - first.planned_at) == ("critical", timedelta(minutes=5))


def test_worsening_breaks_no_budget(scene):
    fail_rooms(scene, 0, 6, "message_cap")
    fail_rooms(scene, 0, 1, "agent_error")
    fail_rooms(scene, 6, 7, "agent_error")
    assert ends(scene)[-1] == ("skipped", "over_budget")


def test_a_push_that_takes_the_place_of_one_that_waits_costs_nothing(scene):
    fail_rooms(scene, 0, 6, "message_cap")
    fail_rooms(scene, 0, 1, "agent_error")
    assert sorted(ends(scene)) == sorted([("cancelled", "superseded")] + [("pending", "")] * 6)


def test_the_budget_is_full_again_after_ten_minutes(scene, standins, clock):
    fail_rooms(scene, 0, 7, "low_confidence")
    sweep()
    clock.advance(minutes=10, seconds=1)
    fail_rooms(scene, 7, 8, "low_confidence")
    assert ends(scene)[-1] == ("pending", "")


def test_a_digest_does_not_count_in_the_budget(scene, standins, clock):
    fail_rooms(scene, 0, 7, "low_confidence")
    sweep()
    clock.advance(minutes=9, seconds=50)
    sweep()
    assert [one.state for one in digests(scene)] == ["sent"]
    clock.advance(seconds=11)
    fail_rooms(scene, 10, 16, "low_confidence")
    assert ends(scene)[-6:] == [("pending", "")] * 6


def test_no_limit_where_policy_says_so(scene):
    Policy.objects.filter(org=scene.org).update(limits={"budget": {"pushes": 0}, "outage": {"rooms": 0}})
    fail_rooms(scene, 0, 30)
    assert ends(scene) == [("pending", "")] * 30
    assert digests(scene) == []


def test_each_org_has_a_budget_and_a_digest_of_its_own(scene, clock):
    other = Scene(staff=0)
    Policy.objects.create(org=other.org, limits={"outage": {"rooms": 0}})
    AssignmentFactory(org=other.org, role=other.role, user=scene.people[0])
    fail_rooms(scene, 0, 7)
    fail_rooms(other, 0, 7)
    assert [len(digests(one)) for one in (scene, other)] == [1, 1]
    for one in (scene, other):
        orgs = set(DigestAlert.objects.filter(push__in=digests(one)).values_list("alert__org", "org"))
        assert orgs == {(one.org.pk, one.org.pk)}


def test_a_digest_is_sent_again_with_the_same_bytes_and_key(scene, standins, clock):
    fail_rooms(scene, 0, 8)
    sweep()
    standins.behave("status", status=503, for_requests=1)
    clock.advance(seconds=31)
    sweep()
    actions.take(scene.alert("r7").pk, scene.people[0])
    clock.advance(seconds=20)
    sweep()
    sent = [(one["body_sha256"], one["headers"]["Idempotency-Key"]) for one in posts(standins)[6:]]
    assert len(sent) == 2
    assert len(set(sent)) == 1


def test_a_digest_whose_reader_left_is_not_sent(scene, standins, clock):
    fail_rooms(scene, 0, 7)
    sweep()
    scene.people[0].is_active = False
    scene.people[0].save()
    clock.advance(seconds=31)
    sweep()
    assert [(one.state, one.ended_reason) for one in digests(scene)] == [("cancelled", "removed")]


def test_what_joins_while_a_digest_is_written_is_in_the_next(scene, standins, clock):
    fail_rooms(scene, 0, 7, "message_cap")
    clock.advance(seconds=31)
    claim()
    fail_rooms(scene, 7, 8, "message_cap")
    first, second = digests(scene)
    assert (named(first), named(second)) == (["r6"], ["r7"])
    assert second.planned_at > database_clock.now()


def test_a_digest_leaves_out_what_its_reader_was_pushed_since(scene, standins, clock):
    """The budget allowed another push before the digest went: the same alert is not told twice."""
    fail_rooms(scene, 0, 8, "message_cap")
    sweep()
    Push.objects.filter(kind="alert", alert=scene.alert("r0")).update(
        planned_at=database_clock.now() - timedelta(hours=1)
    )
    clock.advance(seconds=10)
    scene.fails("agent_error", room="r6")
    assert ends(scene)[-1] == ("pending", "")
    clock.advance(seconds=21)
    sweep()
    assert posts(standins)[-1]["body"]["data"]["alert_ids"] == [str(scene.alert("r7").pk)]
    assert posts(standins)[-2]["body"]["data"]["alert_id"] == str(scene.alert("r6").pk)


# --- where it shows ---


@pytest.fixture
def sent(scene, standins, clock):
    """One digest of r6 and r7, sent."""
    fail_rooms(scene, 0, 8)
    clock.advance(seconds=31)
    sweep()
    return digests(scene)[0]


@pytest.fixture
def reader(scene):
    reader = Browser()
    reader.force_login(scene.people[0])
    return reader


def test_the_api_names_its_alerts(scene, sent, reader):
    shown = next(one for one in reader.get("/api/pushes").json()["results"] if one["kind"] == "digest")
    assert (shown["alert_id"], shown["reason"]) == (None, "over_budget")
    assert sorted(shown["alert_ids"]) == sorted(str(scene.alert(room).pk) for room in ("r6", "r7"))


def test_an_alert_of_the_api_has_the_digests_that_name_it(scene, sent, reader):
    pushes = reader.get(f"/api/alerts/{scene.alert('r7').pk}").json()["pushes"]
    assert [(one["kind"], one["state"]) for one in pushes] == [("alert", "skipped"), ("digest", "sent")]


def test_its_board_is_filtered_to_them(scene, sent, reader):
    page = reader.get(f"/?digest={sent.pk}").content.decode()
    assert [scene.alert(f"r{n}").pk for n in range(8) if f"row-{scene.alert(f'r{n}').pk}" in page] == [
        scene.alert(room).pk for room in ("r6", "r7")
    ]
    assert str(sent.pk) in page.split("data-traits")[1]


@pytest.mark.parametrize("value", ["x", "01a225c2-3672-7d22-b6a8-27bf5233fe7a"])
def test_a_board_of_no_digest_shows_all_or_none(scene, sent, reader, value):
    assert reader.get(f"/?digest={value}").status_code == 200


def test_the_alert_page_says_who_was_told_by_a_digest(scene, sent, reader):
    page = reader.get(f"/alerts/{scene.alert('r7').pk}").content.decode()
    assert "Named in a digest to" in page
    assert "the next digest names it" in page


# --- at once ---


@pytest.mark.django_db(transaction=True)
def test_many_at_once_spend_no_more_than_the_budget_and_begin_one_digest(clock):
    scene = Scene(staff=2)
    Policy.objects.create(org=scene.org, limits={"outage": {"rooms": 0}})

    def fail(n):
        with scopes_disabled():
            try:
                scene.fails("agent_error", room=f"r{n}")
            finally:
                connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(16)))
    for person in scene.people:
        mine = Push.objects.filter(supervisor=person)
        assert mine.filter(kind="alert", state="pending").count() == 6
        (digest,) = mine.filter(kind="digest")
        assert digest.digested.count() == 10


@pytest.mark.django_db(transaction=True)
def test_many_at_once_begin_one_outage(clock):
    scene = Scene(staff=1)

    def fail(n):
        with scopes_disabled():
            try:
                scene.fails("agent_error", room=f"r{n}")
            finally:
                connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(12)))
    (outage,) = Alert.objects.filter(scope="agent")
    assert outage.event_count == 12
