"""Saved views of the board: one's own and shared, their counts, their acts with undo; the list as a file."""

import csv
import io
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client
from django_scopes import scopes_disabled

from alerts import actions
from console.pages.board import saved
from orgs.models import Org, SavedView
from tests.api_client import signed_in, supervisor_of
from tests.factories import MembershipFactory, OrgFactory, UserFactory
from tests.scene import Scene


@pytest.fixture
def scene(system: None, org: Org) -> Scene:
    made = Scene(org)
    for room in ("r1", "r2", "r3"):
        made.fails(room=room, room_label=f"Ibu {room}")
    return made


@pytest.fixture
def client(scene: Scene) -> Client:
    return signed_in(scene.people[0])


def told(answer: Any) -> dict[str, str]:
    return json.loads(answer["HX-Trigger"])["lm:toast"]


def save(client: Client, name: str = "Mine", query: str = "mine=1", **more: str) -> Any:
    return client.post("/views", {"name": name, "query": query, **more})


def names(client: Client) -> list[str]:
    return re.findall(r"<bdi>(.*?)</bdi></span>.*?data-view-count", client.get("/views").content.decode())


def counts(client: Client) -> list[int]:
    return sorted(client.get("/views?counts=1").json().values())


def test_a_view_keeps_what_the_board_understands_of_its_filters(client: Client, scene: Scene) -> None:
    query = "?tab=waiting&severity=critical&severity=x&cursor=abc&limit=9&nonsense=1&mine=1&q=+Ibu+"
    assert told(save(client, "  Night \n shift ", query))["text"] == "“Night shift” is saved."
    view = SavedView.objects.get()
    assert (view.name, view.query) == ("Night shift", "q=Ibu&mine=1&tab=waiting")
    assert 'href="/?q=Ibu&amp;mine=1&amp;tab=waiting"' in client.get("/views").content.decode()


def test_counts_are_those_of_the_board(client: Client, scene: Scene) -> None:
    actions.take(scene.alert("r1").pk, scene.people[0])
    actions.snooze(scene.alert("r2").pk, scene.people[0], scene.alert("r2").opened_at + timedelta(hours=2))
    assert counts(client) == []
    for query in ("", "tab=snoozed", "mine=1", "q=IBU+R3", "tab=resolved", "severity=info", "org=elsewhere"):
        save(client, query or "all", query)
    assert counts(client) == [0, 0, 0, 1, 1, 1, 2], "all: open, and not put aside"


def test_a_view_is_ones_own_unless_a_lead_shares_it_with_an_org(client: Client, scene: Scene) -> None:
    rina, bayu = scene.people
    other = signed_in(bayu)
    save(client, "Own")
    assert save(client, "Shared", org=scene.org.external_id).status_code == 404, "no lead"
    MembershipFactory(org=scene.org, user=rina, role="lead")
    assert save(client, "Shared", org=scene.org.external_id).status_code == 200
    assert save(client, "Far", org=OrgFactory().external_id).status_code == 404
    assert (names(client), names(other)) == (["Own", "Shared"], ["Shared"])
    assert names(signed_in(supervisor_of(OrgFactory()))) == []
    shared, own = SavedView.objects.get(name="Shared"), SavedView.objects.get(name="Own")
    for view in (shared, own):
        assert other.post(f"/views/{view.pk}/delete").status_code == 404
        assert other.post(f"/views/{view.pk}/rename", {"name": "x"}).status_code == 404
    specialist = signed_in(UserFactory(is_specialist=True))
    assert specialist.post(f"/views/{shared.pk}/rename", {"name": "Ours"}).status_code == 200
    assert specialist.post(f"/views/{own.pk}/rename", {"name": "Ours"}).status_code == 404


def test_a_shared_view_stays_when_its_maker_is_deleted_and_a_lead_may_change_it(client: Client, scene: Scene) -> None:
    rina, bayu = scene.people
    MembershipFactory(org=scene.org, user=rina, role="lead")
    save(client, "Own")
    save(client, "Shared", org=scene.org.external_id)
    other = signed_in(bayu)
    assert f"Made by {rina}" in other.get("/views").content.decode()
    with scopes_disabled():
        rina.delete()
    view = SavedView.objects.get()
    assert (view.name, view.owner) == ("Shared", None)
    assert "Made by somebody who has left" in other.get("/views").content.decode()
    MembershipFactory(org=scene.org, user=bayu, role="lead")
    deleted = told(other.post(f"/views/{view.pk}/delete"))
    assert told(other.post(deleted["undo"]))["text"] == "“Shared” is back."
    assert SavedView.objects.get().owner is None, "it is still nobody's"


def test_the_menu_shows_some_views_with_their_counts(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "IN_MENU", 2)
    assert "lm-nav-views" not in client.get("/reach").content.decode()
    for name, query in (("A", "severity=critical"), ("B", "mine=1"), ("C", "")):
        save(client, name, query)
    page = client.get("/?mine=1").content.decode()
    menu = page[page.index('<ul class="lm-nav-views"') : page.index("</ul>", page.index('<ul class="lm-nav-views"'))]
    assert re.findall(r'aria-current="true"><span><bdi>(\w)', menu) == ["B"]
    assert ("All views" in menu, re.findall(r'data-view-count="[^"]+">(\d+)', menu)) == (True, ["3", "0"])
    assert client.get("/views?part=menu&query=mine%3D1").content.decode().strip() == f"{menu}</ul>".strip()
    assert len(client.get("/views?part=menu&counts=1").json()) == 2


def test_rename_and_delete_can_be_undone(client: Client, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    save(client, "Old")
    view = SavedView.objects.get()
    renamed = told(client.post(f"/views/{view.pk}/rename", {"name": "New"}))
    assert names(client) == ["New"]
    client.post(renamed["undo"])
    assert names(client) == ["Old"]
    deleted = told(client.post(f"/views/{view.pk}/delete"))
    assert names(client) == []
    assert signed_in(scene.people[1]).post(deleted["undo"]).status_code == 409, "somebody else's"
    assert client.post(deleted["undo"].replace("view=", "view=x")).status_code == 409
    assert told(client.post(deleted["undo"]))["text"] == "“Old” is back."
    assert SavedView.objects.get().query == "mine=1"
    assert client.post(deleted["undo"]).status_code == 409, "it is back already"
    later = told(client.post(f"/views/{SavedView.objects.get().pk}/delete"))
    monkeypatch.setattr(saved, "UNDO_SECONDS", -1)
    assert client.post(later["undo"]).status_code == 409


def test_there_is_a_limit_and_a_name_is_needed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "MOST", 2)
    assert [save(client).status_code for _ in range(3)] == [200, 200, 409]
    assert "2 saved views" in told(save(client))["text"]
    assert save(client, " ").status_code == 409
    assert save(client, query="agent=" + "é" * 200 + "&q=" + "é" * 200).status_code == 409, "too long to keep"


def rows(client: Client, query: str = "") -> list[dict[str, str]]:
    answer = client.get(f"/board.csv{query}")
    assert "attachment" in answer["Content-Disposition"]
    text = b"".join(answer).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_file_holds_exactly_the_filtered_rows_and_no_formula(
    client: Client, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.pages.board.export.AT_ONCE", 2)
    scene.fails(room="=1+1", room_label="@SUM(A1)")
    actions.take(scene.alert("r2").pk, scene.people[0])
    actions.resolve(scene.alert("r1").pk, scene.people[0])
    found = rows(client)
    assert [(row["room_id"], row["group"]) for row in found] == [
        ("r3", "waiting"),
        ("'=1+1", "waiting"),
        ("r2", "on-it"),
        ("r1", "resolved"),
    ]
    assert (found[1]["room_label"], found[2]["holder"]) == ("'@SUM(A1)", scene.people[0].sso_id)
    assert [row["room_id"] for row in rows(client, "?q=ibu&tab=waiting")] == ["r3"]
    assert [row["room_id"] for row in rows(client, "?tab=resolved")] == ["r1"]
    assert rows(signed_in(supervisor_of(OrgFactory()))) == []
    page = unquote(client.get("/?q=ibu&tab=waiting&limit=7").content.decode())
    assert "/board.csv?q=ibu&amp;tab=waiting" in page
