"""The wall board: what it shows and keeps to itself, who makes and ends it, what its socket hears."""

import json
import re
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client
from django_scopes import scopes_disabled

from alerts import actions
from console.live import hub as live
from console.live import sockets
from console.live.wire import AGAIN
from console.pages.wall import walls
from orgs import clock, history
from orgs.models import Membership, Org, User, Wall
from orgs.walls import UnknownWall, find_wall, make_wall, revoke_wall
from tests.api_client import signed_in
from tests.conftest import Clock
from tests.factories import OrgFactory, UserFactory
from tests.scene import Scene
from tests.tenants import MARK, seen
from tests.test_commands import _open_connections, manage, refused  # noqa: F401 - fixtures
from tests.test_tenancy_sockets import HOST, SITE, fresh_hub, made  # noqa: F401 - a fixture

CUSTOMER = "Siti Rahayu"


@pytest.fixture
def scene(system: None, org: Org) -> Scene:
    org.name, org.show_customer_text = "Toko Melati", True
    org.save()
    scene = Scene(org)
    names = {"name": "Rina Wulandari", "email": "rina.secret@example.com", "sso_id": "sso-rina-secret"}
    User.objects.filter(pk=scene.people[0].pk).update(**names)
    User.objects.filter(pk=scene.people[1].pk).update(name="", sso_id="sso-nameless-secret")
    scene.people = list(User.objects.filter(pk__in=[user.pk for user in scene.people]).order_by("pk"))
    Membership.objects.create(org=org, user=scene.people[0], role=Membership.Role.LEAD)
    return scene


def wall_of(org: Org, **look: Any) -> str:
    """The path of a new wall board of this org."""
    with scopes_disabled():
        return "/wall/" + make_wall(org, **{"locale": "en", **look})[1].rpartition("/")[2]


def text(answer: Any) -> str:
    shown = re.sub(r"<script.*?</script>|<template.*?</template>|<[^>]+>", " ", answer.content.decode(), flags=re.S)
    return re.sub(r"\s+", " ", shown)


# --- what it shows ---------------------------------------------------------------------------------------------------


def test_it_shows_open_alerts_the_worst_first_and_who_is_on_them_but_no_customer(scene: Scene) -> None:
    words = {"room_label": CUSTOMER, "last_customer_text": f"my name is {CUSTOMER}"}
    scene.fails("low_confidence", room="secret-room-1", ago=300, **words)
    scene.fails("agent_error", room="secret-room-2", **words)
    scene.fails("agent_error", room="secret-room-3", **words)
    scene.fails("agent_error", room="secret-room-4", **words)
    actions.take(scene.alert("secret-room-3").pk, scene.people[0])
    actions.take(scene.alert("secret-room-4").pk, scene.people[1])
    page = Client().get(wall_of(scene.org))
    said, source = text(page), page.content.decode()
    assert "Toko Melati" in said and "2 alerts need a human" in said and "2 alerts have somebody on them" in said
    assert "1 Critical" in said and "1 Info" in said and "3 Critical" not in said, "the parts of the headline, no more"
    assert said.index("Agent error") < said.index("Low confidence") < said.index("Rina")
    assert "Nobody yet" in said and "Rina" in said and "A human agent" in said
    assert f"#{scene.alert('secret-room-2').pk.hex[-6:]}" in said
    for hidden in (CUSTOMER, "secret", "Wulandari", scene.org.external_id):
        assert hidden not in source
    for offered in ("<a ", "<form", "<button", 'href="/', "csrf", "/accounts/"):
        assert offered not in source.replace('href="/static/', "")
    assert not page.cookies
    assert (page["Cache-Control"], page["Referrer-Policy"]) == ("no-store", "no-referrer")


def test_the_rooms_of_an_outage_are_folded_under_its_row(scene: Scene) -> None:
    for n in range(6):
        scene.fails(room=f"r{n}")
    page = Client().get(wall_of(scene.org))
    assert page.content.decode().count('<li class="wall-row ') == 1
    assert "Agent outage" in text(page) and "6 rooms under it need a human" in text(page)
    assert "7 alerts need a human" in text(page)  # as the board says
    assert 'data-open="1"' in page.content.decode()  # of which the rows are taken: none is left out


def test_the_number_it_shows_finds_the_alert_on_the_board(scene: Scene) -> None:
    scene.fails(room="r1")
    scene.fails(room="r2")
    code = re.findall(r"#([0-9a-f]{6})", text(Client().get(wall_of(scene.org))))[0]
    found = re.findall(r'id="row-([0-9a-f-]+)"', signed_in(scene.people[0]).get(f"/?q={code}").content.decode())
    assert [pk.replace("-", "")[-6:] for pk in found] == [code]


def test_without_data_it_does_not_say_that_all_is_well(scene: Scene) -> None:
    path = wall_of(scene.org)
    assert "No source has sent anything" in text(Client().get(path))
    scene.fails()
    actions.resolve(scene.alert().pk, scene.people[0])
    with scopes_disabled():
        scene.source.heard.create(org=scene.org, at=clock.now())
    calm = text(Client().get(path))
    assert "No alert needs a human" in calm and "No source has sent anything" not in calm


def test_it_speaks_its_own_language_whoever_looks(scene: Scene) -> None:
    reader = signed_in(scene.people[0])
    User.objects.filter(pk=scene.people[0].pk).update(locale="en", theme="light")
    page = reader.get(wall_of(scene.org, locale="id"), headers={"Accept-Language": "en"})
    assert (
        page["Content-Language"] == "id"
        and '<html class="wall" lang="id" data-bs-theme="dark"' in page.content.decode()
    )
    assert '"live": "Langsung"' in page.content.decode()  # the connection, not the page of that name
    assert 'data-lm-theme="auto"' in Client().get(wall_of(scene.org, theme="auto")).content.decode()


def test_dead_addresses_are_one_404_whatever_was_wrong(scene: Scene) -> None:
    path, other = wall_of(scene.org), wall_of(OrgFactory())
    with scopes_disabled():
        revoke_wall(find_wall(path.rpartition("/")[2]), clock.now())
    dead = [
        path,
        f"{path}?partial=1",
        f"{other[:22]}.{'x' * 43}",
        f"{other}x",
        "/wall/x",
        "/wall/.",
        "/wall/%ff%00"[:9],
    ]
    answers = {seen(Client().get(one)) for one in dead}
    assert len(answers) == 1
    (answer,) = answers
    assert answer.startswith(b"404") and b"no-store" in answer and b"no-referrer" in answer and b"'X-Refused'" in answer


def test_hours_and_days_change_nothing_for_it(scene: Scene, clock: Clock) -> None:
    scene.fails()
    path, client = wall_of(scene.org), Client()
    for passed in ({"minutes": 61}, {"hours": 13}, {"days": 8}, {"days": 90}):
        clock.advance(**passed)
        page = client.get(f"{path}?partial=1")
        assert page.status_code == 200 and "1 alert needs a human" in text(page)
        assert not page.cookies


# --- who makes and ends it -------------------------------------------------------------------------------------------


def test_a_lead_makes_one_sees_its_address_once_and_revokes_it(scene: Scene) -> None:
    lead = signed_in(scene.people[0])
    form = {"org": scene.org.external_id, "name": "Hall", "language": "en", "theme": "dark"}
    answer = lead.post("/walls", form)
    path = re.search(r"<code>\S+?(/wall/\S+)</code>", answer.content.decode())[1]  # type: ignore[index]
    assert answer["Cache-Control"] == "no-store" and Client().get(path).status_code == 200
    listed = lead.get("/walls").content.decode()
    row = Wall.objects.get()
    assert "Hall" in listed and row.public_id in listed and path.partition(".")[2] not in listed
    assert path.partition(".")[2].encode() not in bytes(row.token_hash)
    assert lead.post(f"/walls/{row.public_id}/revoke").status_code == 302
    assert Client().get(path).status_code == 404
    told = history.of(scene.org, 50)
    assert [(one.verb, one.who) for one in told if one.name == "Hall"] == [
        ("update", "Rina Wulandari"),
        ("insert", "Rina Wulandari"),
    ]


def test_revoked_ones_never_push_a_live_one_off_the_list(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: they stand first in the order, and with a hundred of them nobody can revoke the one that is left."""
    monkeypatch.setattr(walls, "SHOWN", 1)
    wall_of(scene.org, name="Hall")
    for name in ("Attic", "Cellar"):
        with scopes_disabled():
            revoke_wall(make_wall(scene.org, name, locale="en")[0], clock.now())
    listed = signed_in(scene.people[0]).get("/walls").content.decode()
    assert f"/walls/{Wall.objects.get(revoked_at=None).public_id}/revoke" in listed


def test_one_is_made_for_orgs_one_leads_and_by_nobody_else(scene: Scene) -> None:
    foreign = OrgFactory()
    form = {"org": foreign.external_id, "name": "", "language": "en", "theme": "dark"}
    assert signed_in(scene.people[0]).post("/walls", form).status_code == 422
    assert signed_in(scene.people[1]).post("/walls", {**form, "org": scene.org.external_id}).status_code == 403
    assert not Wall.objects.exists()
    assert signed_in(UserFactory(is_specialist=True)).post("/walls", form).status_code == 200


@pytest.mark.usefixtures("_open_connections")
def test_the_shell_makes_lists_and_revokes(manage: Any, scene: Scene) -> None:  # noqa: F811
    org = scene.org.external_id
    code, url, _ = manage("wall", "create", "--org", org, "--name", "Hall", "--language", "id")
    assert (code, url.startswith("http://127.0.0.1:8000/wall/")) == (0, True)
    row = Wall.objects.get()
    assert (row.locale, row.theme) == ("id", "dark")
    assert manage("wall", "list", "--org", org)[1] == f"{row.public_id} Hall"
    assert "has no live wall board 'nothing'" in refused(manage("wall", "revoke", "--org", org, "--id", "nothing"))
    other = OrgFactory()
    assert "has no live wall" in refused(manage("wall", "revoke", "--org", other.external_id, "--id", row.public_id))
    assert manage("wall", "revoke", "--org", org, "--id", row.public_id)[:2] == (0, "Wall board Hall is revoked.")
    with pytest.raises(UnknownWall):
        find_wall(url.rpartition("/")[2])
    assert "has no live wall board." in refused(manage("wall", "revoke", "--org", org, "--all"))
    assert "--name" in refused(manage("wall", "create", "--org", org, "--name", "x" * 201))
    assert "There is no org" in refused(manage("wall", "create", "--org", "nowhere"))


# --- what its socket hears -------------------------------------------------------------------------------------------


class WallSocket(WebsocketCommunicator):
    """A television's socket: no cookie. It keeps all it was told."""

    def __init__(self, path: str) -> None:
        super().__init__(sockets.websocket_application, f"/ws{path}", headers=[(b"host", HOST), (b"origin", SITE)])
        self.scope["client"] = ["127.0.0.1", 40001]
        self.told: list[str] = []

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            self.told.append(await self.receive_from(10))
            frame: dict[str, Any] = json.loads(self.told[-1])
            if frame["type"] == kind:
                return frame

    async def end(self) -> int:
        """The code it is closed with."""
        while (event := await self.receive_output(10))["type"] != "websocket.close":
            self.told.append(event["text"])
        return int(event["code"])


@pytest.mark.usefixtures("transactional_db", "fresh_hub")
async def test_its_socket_hears_that_its_org_changed_and_nothing_else_until_it_is_revoked() -> None:
    ours, theirs = await made(MARK), await made("other")
    us, them = WallSocket(f"/wall/{ours.wall_token}"), WallSocket(f"/wall/{theirs.wall_token}")
    for one in (us, them):
        assert (await one.connect(10))[0]
    before = await us.until("hello")
    await them.until("hello")
    await sync_to_async(_take)(ours)
    change = await us.until("rows")
    assert change.keys() == before.keys() == {"type", "sum"} and change["sum"] != before["sum"]
    await sync_to_async(_take)(theirs)
    assert (await them.until("rows"))["sum"] != change["sum"]
    assert len(them.told) == 2  # frames keep their order: our change was none of theirs
    await sync_to_async(_revoke)(ours)
    assert await us.end() == sockets.SIGNED_OUT
    assert MARK not in "".join(us.told) and "sso" not in "".join(us.told)
    again = WallSocket(f"/wall/{ours.wall_token}")
    await again.connect(10)
    assert (await again.end(), again.told) == (sockets.SIGNED_OUT, [])
    assert list(live.hub.clients) == [client for client in live.hub.clients if client.org_ids.pks == {theirs.org.pk}]
    await them.disconnect(timeout=30)
    assert not sockets.sockets_per_user


def _take(tenant: Any) -> None:
    with scopes_disabled():
        actions.take(tenant.alert.pk, tenant.lead)


def _revoke(tenant: Any) -> None:
    with scopes_disabled():
        revoke_wall(tenant.wall, clock.now())


@pytest.mark.usefixtures("transactional_db", "fresh_hub")
@pytest.mark.parametrize("path", ["/wall/x", "/wall/.", "/wall/0000000000000000.secret", "/wall/\u00b2.\u00e9"])
async def test_a_socket_to_no_wall_is_told_nothing_and_leaves_nothing(path: str) -> None:
    for _ in range(3):  # the database may be away for a moment, after a test that ends its connections
        socket = WallSocket(path)
        await socket.connect(10)
        if (code := await socket.end()) != AGAIN:
            break
    assert (code, socket.told, sockets.sockets_per_user) == (sockets.SIGNED_OUT, [], {})
