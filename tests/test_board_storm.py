"""A thousand boards that come back at once: their lists are read once, and yet are as new as their frames."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from alerts import actions
from console.live import hub as live
from console.live import sockets
from console.pages.board import listing
from orgs.models import User
from tests.api_client import signed_in
from tests.feed_boards import Served
from tests.scene import Scene
from tests.stack import until

NEVER = 3600.0
ROW = 'id="row-'
pytestmark = pytest.mark.usefixtures("transactional_db", "system")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    for module, name in ((live, "POLL_SECONDS"), (live, "BEAT_SECONDS"), (sockets, "AUTHORISE_SECONDS")):
        monkeypatch.setattr(module, name, NEVER)
    monkeypatch.setattr(listing, "SHARED_FOR", NEVER)  # only what happens ends a list
    listing._shared.clear()
    made = Served(monkeypatch)
    yield made
    made.stop()
    listing._shared.clear()
    Session.objects.all().delete()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[User]:
    """Who had a list read."""
    readers: list[User] = []
    read = listing.read_listing

    def noting(filters: Any, user: User, *args: Any) -> listing.Listing:
        readers.append(user)
        return read(filters, user, *args)

    monkeypatch.setattr(listing, "read_listing", noting)
    return readers


def feed_of(client: Client, query: str = "") -> str:
    return client.get(f"/?partial=feed{query}").content.decode()


def sums(page: str) -> dict[str, str]:
    found = re.search(r'data-checksums="([^"]*)"', page)
    assert found
    return json.loads(found[1].replace("&quot;", '"'))


def test_who_come_back_at_once_have_one_list_read_for_all(served: Served, reads: list[User]) -> None:
    scene, other = Scene(staff=8), Scene()
    served.board(scene.people[0])
    elsewhere = served.board(other.people[0])
    scene.fails()
    actions.take(scene.alert().pk, scene.people[0])
    other.fails()
    elsewhere.row(other.alert())  # all before it is sent, too: a row that is sent while they load ends their list

    def load(user: User) -> str:
        try:
            return feed_of(signed_in(user))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        pages = list(threads.map(load, scene.people))
    assert len(reads) == 1
    assert all(str(scene.alert().pk) in page for page in pages)
    assert ["data-theirs" in page for page in pages] == [False, *[True] * 7]  # to one of them it is "you"


def test_after_a_frame_the_list_is_read_again(served: Served, reads: list[User]) -> None:
    scene, other = Scene(), Scene()
    board, elsewhere = served.board(scene.people[0]), served.board(other.people[0])
    reader = signed_in(scene.people[1])
    assert ROW not in feed_of(reader)
    scene.fails()
    board.row(scene.alert())
    page = feed_of(reader)
    assert (f"row-{scene.alert().pk}" in page, sums(page)) == (True, board.chain)
    assert len(reads) == 2
    other.fails()
    elsewhere.row(other.alert())
    assert feed_of(reader).count(ROW) == 1
    assert len(reads) == 2  # what happens elsewhere does not matter


def test_a_foreign_list_is_never_given_out(served: Served, reads: list[User]) -> None:
    scene, other = Scene(), Scene()
    scene.fails()
    served.board(scene.people[0])
    assert ROW in feed_of(signed_in(scene.people[0]))
    assert ROW not in feed_of(signed_in(other.people[0]))
    assert len(reads) == 2


def test_a_list_that_is_filtered_or_that_a_person_opens_is_read_for_them(served: Served, reads: list[User]) -> None:
    scene = Scene()
    scene.fails()
    served.board(scene.people[0])
    client = signed_in(scene.people[0])
    for _ in range(2):
        for query in ("&mine=1", "&severity=critical", "&q=r1"):
            feed_of(client, query)
    assert len(reads) == 6
    assert f"row-{scene.alert().pk}" in client.get("/").content.decode()


def test_while_nobody_watches_each_list_is_the_databases(served: Served, reads: list[User]) -> None:
    scene = Scene()
    scene.fails()
    for _ in range(2):
        assert ROW in feed_of(signed_in(scene.people[0]))
    assert len(reads) == 2
    served.board(scene.people[0]).connection.close()
    until(lambda: not served.hub.clients)
    actions.resolve(scene.alert().pk, scene.people[0])
    assert 'data-group="resolved"' in feed_of(signed_in(scene.people[0]))
