"""What the palette finds: agents and rooms of one's orgs, and of nobody else's."""

import re

from orgs.models import Org
from tests.api_client import signed_in, supervisor_of
from tests.factories import OrgFactory
from tests.scene import Scene


def test_agents_and_rooms_are_found_by_a_part_of_their_name_within_ones_orgs(system: None, org: Org) -> None:
    scene = Scene(org)
    for room in ("r-71", "r-72"):
        scene.fails(room=room, room_label=f"Ibu Sari {room}", agent_name="Refund Bot")
    scene.fails("message_cap", room="r-71", room_label="Ibu Sari r-71", agent_name="Refund Bot")
    client = signed_in(scene.people[0])

    def found(text: str, by: object = client) -> list[str]:
        answer = by.get("/palette", {"q": text})  # type: ignore[attr-defined]
        assert answer.status_code == 200
        return re.findall(r'data-href="([^"]*)"', answer.content.decode())

    newest = [f"/alerts/{scene.alert(room).pk}" for room in ("r-72", "r-71")]
    assert found("ibu SARI") == newest, "each room once"
    assert found("R-71") == newest[1:]
    assert found("refund") == ["/?agent=Refund+Bot"]
    assert [found(text) for text in ("", "  ", "%", "nobody")] == [[], [], [], []]
    outsider = signed_in(supervisor_of(OrgFactory()))
    assert [found(text, outsider) for text in ("sari", "refund", "r-7")] == [[], [], []]
