"""The socket of the live feed: who may open it, what reaches whom, and when it ends."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client as Browser
from django_scopes import scopes_disabled

from alerts import actions
from alerts.models import Alert
from console.live import hub as live
from console.live import presence, sockets
from console.live.client import AlertPage, Client
from console.live.wire import PlainWire
from orgs.auth import OrgIds
from orgs.models import Assignment, User
from tests.tenants import MARK, Tenant, tenant

HOST = b"127.0.0.1:8000"
SITE = b"http://127.0.0.1:8000"  # BASE_URL of the tests
Open = Callable[..., Awaitable["Socket"]]


class Socket(WebsocketCommunicator):
    """A browser's socket that remembers every frame."""

    def __init__(
        self, cookie: str = "", origin: bytes | None = SITE, host: bytes = HOST, path: str = "/ws/feed?lang=en"
    ) -> None:
        headers = [(b"host", host), (b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode())]
        headers += [(b"origin", origin)] if origin is not None else []
        super().__init__(sockets.websocket_application, path, headers=headers)
        self.scope["client"] = ["127.0.0.1", 40000]
        self.frames: list[dict[str, Any]] = []

    async def until(self, kind: str, timeout: float = 10) -> dict[str, Any]:
        """The next frame of this kind."""
        while True:
            frame = json.loads(await self.receive_from(timeout))
            self.frames.append(frame)
            if frame["type"] == kind:
                return frame

    async def shows(self, *people: User) -> None:
        """Wait until it is told that just these have its alert open."""
        while [one["sso_id"] for one in (await self.until("presence"))["people"]] != [one.sso_id for one in people]:
            pass

    async def closes_with(self, timeout: float = 10) -> int:
        """The code it is closed with; what came before is kept."""
        while True:
            event = await self.receive_output(timeout)
            if event["type"] == "websocket.close":
                return event["code"]
            self.frames.append(json.loads(event["text"]))


@pytest.fixture
async def fresh_hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A hub and a watch of this test's event loop, which ask more often."""
    hub = live.Hub()
    for module in (live, sockets):
        monkeypatch.setattr(module, "hub", hub)
    monkeypatch.setattr(sockets, "watch", sockets.Watch())
    monkeypatch.setattr(sockets, "AUTHORISE_SECONDS", 0.2)
    monkeypatch.setattr(live, "POLL_SECONDS", 0.5)
    monkeypatch.setattr(presence, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(presence, "AGAIN_SECONDS", 0.3)
    monkeypatch.setattr(presence, "LASTS_SECONDS", 1.5)
    yield
    for task in hub._tasks:
        task.cancel()


@pytest.fixture
async def open_socket(transactional_db: None, fresh_hub: None) -> AsyncIterator[Open]:
    """`await open_socket(user)`: connected; a second argument is added to the address."""
    opened: list[Socket] = []

    async def connect(user: User, asked: str = "") -> Socket:
        socket = Socket(await sync_to_async(session_of)(user), path=f"/ws/feed?lang=en{asked}")
        opened.append(socket)
        accepted, _ = await socket.connect(timeout=10)
        assert accepted
        return socket

    yield connect
    for socket in opened:
        await socket.disconnect(timeout=30)


def session_of(user: User) -> str:
    """The key of a new session of this person."""
    client = Browser()
    client.force_login(user)
    return client.session.session_key or ""


async def made(mark: str) -> Tenant:
    return await sync_to_async(tenant)(mark)


async def change(alert: Alert, by: User) -> None:
    """Something happens to this alert."""

    def act() -> None:
        with scopes_disabled():
            actions.take(alert.pk, by)

    await sync_to_async(act)()


@pytest.mark.parametrize(
    "origin",
    [
        None,
        b"null",
        b"https://evil.example",
        b"http://127.0.0.1:81",
        b"http://127.0.0.1",
        b"https://127.0.0.1:8000",
        b"http://127.0.0.1.evil.example:8000",
        b"http://127.0.0.1:8000x",
        b"127.0.0.1:8000",
    ],
)
async def test_another_origin_is_refused(origin: bytes | None, transactional_db: None, fresh_hub: None) -> None:
    """Fault 32."""
    user = (await made(MARK)).lead
    socket = Socket(await sync_to_async(session_of)(user), origin)
    accepted, _ = await socket.connect(timeout=10)
    assert not accepted


@pytest.mark.parametrize(
    ("origin", "host", "accepted"),
    [
        (b"http://evil.example:8000", b"evil.example:8000", False),  # a name that was pointed here
        (b"http://127.0.0.1:81", b"127.0.0.1:81", False),
        (b"http://localhost:8000", b"localhost:8000", True),
        (b"https://board.example", b"127.0.0.1:8000", True),
        (b"https://board.example:8443", b"127.0.0.1:8000", False),
    ],
)
async def test_an_origin_is_ours_by_our_own_word_not_by_the_requests_host(
    origin: bytes, host: bytes, accepted: bool, transactional_db: None, fresh_hub: None, settings: Any
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://board.example"]
    user = (await made(MARK)).lead
    socket = Socket(await sync_to_async(session_of)(user), origin, host)
    assert (await socket.connect(timeout=10))[0] == accepted
    await socket.disconnect()


@pytest.mark.parametrize("cookie", ["", "no-such-session", '"abcdefgh\\000"'])
async def test_nobody_is_refused(cookie: str, transactional_db: None, fresh_hub: None) -> None:
    accepted, _ = await Socket(cookie).connect(timeout=10)
    assert not accepted


async def test_a_row_reaches_its_orgs_people_and_nobody_else(open_socket: Open) -> None:
    ours, theirs = await made(MARK), await made("other")
    us, them = await open_socket(ours.lead), await open_socket(theirs.lead)
    hello = await them.until("hello")
    assert list(hello["orgs"]) == ["other-org"]
    await change(ours.alert, ours.lead)
    rows = await us.until("rows")
    assert [(row["id"], row["org"]) for row in rows["rows"]] == [(str(ours.alert.pk), f"{MARK}-org")]
    assert MARK in rows["rows"][0]["html"]
    await change(theirs.alert, theirs.lead)
    rows = await them.until("rows")  # frames keep their order: nothing of ours came before it
    assert [row["id"] for row in rows["rows"]] == [str(theirs.alert.pk)]
    assert MARK not in json.dumps(them.frames)
    assert "other-org" not in json.dumps(us.frames)


async def test_logging_out_closes_the_socket(open_socket: Open) -> None:
    """Fault 33."""
    ours = await made(MARK)
    socket = await open_socket(ours.lead)
    await socket.until("hello")
    await sync_to_async(_end_sessions)()
    assert await socket.closes_with() == sockets.SIGNED_OUT


def _end_sessions() -> None:
    from django.contrib.sessions.models import Session

    Session.objects.all().delete()


async def test_being_locked_out_closes_the_socket(open_socket: Open) -> None:
    ours = await made(MARK)
    socket = await open_socket(ours.lead)
    await socket.until("hello")
    await sync_to_async(lambda: User.objects.filter(pk=ours.lead.pk).update(is_active=False))()
    assert await socket.closes_with() == sockets.SIGNED_OUT


async def test_a_removed_assignment_ends_what_one_sees(open_socket: Open) -> None:
    """Fault 34: the beat that follows makes the browser reload its list; no row of that org comes after it."""
    ours, theirs = await made(MARK), await made("other")
    await sync_to_async(_assign)(theirs, ours.lead)
    socket = await open_socket(ours.lead)
    assert set((await socket.until("hello"))["orgs"]) == {f"{MARK}-org", "other-org"}
    await sync_to_async(_unassign)(ours)
    beat = await socket.until("beat")
    assert set(beat["orgs"]) == {"other-org"}
    await change(ours.alert, ours.lead)
    await change(theirs.alert, theirs.lead)
    rows = await socket.until("rows")
    assert [row["org"] for row in rows["rows"]] == ["other-org"]


def _assign(org_of: Tenant, user: User) -> None:
    with scopes_disabled():
        Assignment.objects.create(org=org_of.org, role=org_of.assignment.role, user=user)


def _unassign(org_of: Tenant) -> None:
    with scopes_disabled():
        Assignment.objects.filter(pk=org_of.assignment.pk).delete()


async def test_who_has_an_alert_open_is_told_to_its_orgs_people_alone(open_socket: Open) -> None:
    """Somebody of another org who names the alert is nobody there, and hears nothing, until they may see it."""
    ours, theirs = await made(MARK), await made("other")
    asked = f"&alert={ours.alert.pk}"
    us, again = await open_socket(ours.lead, asked), await open_socket(ours.lead, asked)
    await us.shows(ours.lead)
    await again.shows(ours.lead)  # once, however many pages
    stranger = await open_socket(theirs.lead, asked)
    await stranger.until("beat")
    assert {frame["type"] for frame in stranger.frames} == {"hello", "beat"}
    assert "other" not in json.dumps([frame for frame in us.frames if frame["type"] == "presence"])
    await sync_to_async(_assign)(ours, theirs.lead)
    colleague = await open_socket(theirs.lead, asked)
    both = sorted((ours.lead, theirs.lead), key=lambda one: one.name)
    await us.shows(*both)
    await colleague.shows(*both)
    await sync_to_async(lambda: _unassign_person(ours, theirs.lead))()
    await us.shows(ours.lead)
    await again.disconnect()
    await open_socket(ours.lead, "&alert=no-such-alert")


def _unassign_person(org_of: Tenant, user: User) -> None:
    with scopes_disabled():
        Assignment.objects.filter(org=org_of.org, user=user).delete()


async def test_people_of_another_process_are_seen_until_it_leaves_or_dies(open_socket: Open) -> None:
    """Processes tell each other ids: a user's pk, an alert's id; one that dies says nothing any more."""
    ours, theirs = await made(MARK), await made("other")
    us = await open_socket(ours.lead, f"&alert={ours.alert.pk}")
    await us.shows(ours.lead)
    elsewhere = live.Hub()
    await elsewhere.start()
    page = AlertPage(ours.alert.pk, ours.org.pk, theirs.lead.pk)
    client = Client(PlainWire(_nothing), OrgIds.of([ours.org.pk]), "en", page=page)
    both = sorted((ours.lead, theirs.lead), key=lambda one: one.name)
    elsewhere.add(client)
    await us.shows(*both)
    elsewhere.remove(client)
    await us.shows(ours.lead)
    elsewhere.add(client)
    await us.shows(*both)
    for task in elsewhere._tasks:
        task.cancel()
    await us.shows(ours.lead)


async def _nothing(message: dict[str, Any]) -> None:
    """Where its frames go."""


async def test_a_page_without_rows_hears_counts_and_news_alone(open_socket: Open) -> None:
    ours = await made(MARK)
    light, whole = await open_socket(ours.lead, "&rows=0"), await open_socket(ours.lead)
    await change(ours.alert, ours.lead)
    assert (await whole.until("rows"))["rows"]
    frame = await light.until("rows")
    assert frame["rows"] == []
    assert set(frame["counts"]) == {f"{MARK}-org"}
    assert frame["news"] == []  # taking it is no news
