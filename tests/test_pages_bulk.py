"""One act on many alerts: each alone, what changed and what did not named, all of it undone at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from alerts import actions
from alerts.models import Alert, Transition
from orgs.models import Org
from tests.api_client import signed_in, supervisor_of
from tests.factories import OrgFactory
from tests.scene import Scene, fresh

ROOMS = ("r1", "r2", "r3")


@pytest.fixture
def scene(system: None, org: Org) -> Scene:
    made = Scene(org)
    for room in ROOMS:
        made.fails(room=room, room_label=f"Ibu {room}")
    return made


@pytest.fixture
def client(scene: Scene) -> Client:
    return signed_in(scene.people[0])


def ids(scene: Scene) -> list[str]:
    return [str(scene.alert(room).pk) for room in ROOMS]


def done(client: Client, verb: str, alerts: list[str], **more: Any) -> dict[str, Any]:
    answer = client.post("/bulk", {"verb": verb, "id": alerts, **more})
    assert answer.status_code == 200, answer.content
    return answer.json()


def undo(client: Client, told: dict[str, Any]) -> dict[str, Any]:
    return done(client, "undo", [pk for pk, _ in told["done"]], mark=[mark for _, mark in told["done"]])


STATES: dict[str, tuple[dict[str, str], Callable[[Alert, Scene], bool]]] = {
    "take": ({}, lambda alert, scene: alert.assigned_to == scene.people[0] and alert.state == "acknowledged"),
    "resolve": ({}, lambda alert, scene: alert.state == "resolved"),
    "snooze": ({"until": "60"}, lambda alert, scene: alert.snoozed_until is not None),
    "assign": ({"sso_id": "other"}, lambda alert, scene: alert.assigned_to == scene.people[1]),
}


@pytest.mark.parametrize("verb", STATES)
def test_each_alert_is_changed_with_its_transition_and_all_is_undone_at_once(
    scene: Scene, client: Client, verb: str
) -> None:
    more, holds = STATES[verb]
    more = {"sso_id": scene.people[1].sso_id} if "sso_id" in more else more
    before = [fresh(pk) for pk in ids(scene)]
    written = Transition.objects.count()
    told = done(client, verb, ids(scene), **more)
    assert ([pk for pk, _ in told["done"]], told["refused"]) == (ids(scene), [])
    assert all(holds(fresh(pk), scene) for pk in ids(scene))
    assert Transition.objects.count() == written + 3
    again = undo(client, told)
    assert (len(again["done"]), again["refused"]) == (3, [])
    for was in before:
        now = fresh(was.pk)
        assert (now.state, now.assigned_to, now.snoozed_until) == (was.state, was.assigned_to, was.snoozed_until)


def test_who_was_faster_is_named_with_the_rooms(scene: Scene, client: Client) -> None:
    scene.people[1].name = "Bayu Pratama"
    scene.people[1].save()
    first, second, third = ids(scene)
    actions.take(scene.alert("r1").pk, scene.people[1])
    actions.resolve(scene.alert("r2").pk, scene.people[1])
    told = done(client, "take", [first, second, third])
    assert [pk for pk, _ in told["done"]] == [third]
    assert [(one["room"], one["why"][0]) for one in told["refused"]] == [
        ("Ibu r1", "{n} was already taken by Bayu Pratama"),
        ("Ibu r2", "{n} was resolved already"),
    ]
    undo(client, told)
    assert fresh(first).assigned_to == scene.people[1], "an undo touches what the act changed, and nothing else"
    assert fresh(third).state == "open"


def test_a_repeat_changes_nothing_and_cannot_be_undone_twice(scene: Scene, client: Client) -> None:
    told = done(client, "take", ids(scene))
    written = Transition.objects.count()
    again = done(client, "take", ids(scene))
    assert (again["done"], len(again["refused"]), Transition.objects.count()) == ([], 3, written)
    undo(client, told)
    twice = undo(client, told)
    assert (twice["done"], {one["why"][0] for one in twice["refused"]}) == ([], {"{n} can no longer be undone"})


def test_an_undo_takes_back_that_act_and_leaves_what_was_done_since(scene: Scene, client: Client) -> None:
    told = done(client, "take", ids(scene))
    done(client, "snooze", ids(scene)[:1], until="60")
    undo(client, told)
    alert = fresh(ids(scene)[0])
    assert (alert.state, alert.assigned_to, alert.snoozed_until is not None) == ("open", None, True)


def test_an_undo_is_for_ten_minutes_and_for_who_acted(scene: Scene, client: Client, clock: Any) -> None:
    told = done(client, "resolve", ids(scene))
    assert undo(signed_in(scene.people[1]), told)["done"] == []
    clock.advance(minutes=11)
    assert undo(client, told)["done"] == []
    assert fresh(ids(scene)[0]).state == "resolved"


def test_others_alerts_are_as_if_they_did_not_exist(scene: Scene, client: Client) -> None:
    outsider = signed_in(supervisor_of(OrgFactory()))
    for verb, (more, _) in STATES.items():
        foreign, missing = (done(outsider, verb, sent, **more) for sent in (ids(scene), [str(uuid4()), "x", ""]))
        assert foreign == missing == {"done": [], "refused": []}
    people = [outsider.post("/bulk/people", {"id": sent}).content for sent in (ids(scene), [str(uuid4())])]
    assert people[0] == people[1]
    assert {fresh(pk).state for pk in ids(scene)} == {"open"}
    assert scene.people[1].sso_id in client.post("/bulk/people", {"id": ids(scene)}).content.decode()


def test_an_alert_is_given_to_who_backs_up_its_org_and_to_nobody_else(scene: Scene, client: Client) -> None:
    outsider = supervisor_of(OrgFactory())
    told = done(client, "assign", ids(scene), sso_id=outsider.sso_id)
    assert (told["done"], len(told["refused"])) == ([], 3)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"verb": "snooze", "until": "yesterday"}, 422),
        ({"verb": "verdict"}, 404),
        ({"verb": "take", "id": [str(uuid4()) for _ in range(51)]}, 422),
    ],
)
def test_what_makes_no_sense_is_refused(client: Client, sent: dict[str, Any], status: int) -> None:
    assert client.post("/bulk", sent).status_code == status


def test_the_filters_say_which_alerts_can_be_selected(
    scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = ids(scene)
    actions.take(scene.alert("r1").pk, scene.people[0])
    actions.snooze(scene.alert("r2").pk, scene.people[0], scene.alert("r2").opened_at + timedelta(hours=2))

    def listed(address: str) -> list[str]:
        return client.get(f"/bulk{address}").json()["ids"]

    assert listed("") == [first, third], "what is snoozed is put aside"
    assert (listed("?tab=waiting"), listed("?tab=on-it"), listed("?tab=snoozed")) == ([third], [first], [second])
    assert (listed("?mine=1"), listed("?q=IBU+R3"), listed("?tab=resolved")) == ([first], [third], [])
    monkeypatch.setattr("console.pages.board.bulk.SELECTED_MOST", 1)
    assert client.get("/bulk").json() == {"ids": [first], "total": 2, "most": 1}
    assert signed_in(supervisor_of(OrgFactory())).get("/bulk").json()["ids"] == []
