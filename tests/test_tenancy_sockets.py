"""The socket of the live feed: who may open it, what reaches whom, and when it ends."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client
from django_scopes import scopes_disabled

from alerts import actions
from alerts.models import Alert
from console.live import hub as live
from console.live import sockets
from orgs.models import Assignment, User
from tests.tenants import MARK, Tenant, tenant

HOST = b"127.0.0.1:8000"
SITE = b"http://127.0.0.1:8000"  # BASE_URL of the tests
Open = Callable[..., Awaitable["Socket"]]


class Socket(WebsocketCommunicator):
    """A browser's socket that remembers every frame."""

    def __init__(self, cookie: str = "", origin: bytes | None = SITE, host: bytes = HOST) -> None:
        headers = [(b"host", host), (b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode())]
        headers += [(b"origin", origin)] if origin is not None else []
        super().__init__(sockets.websocket_application, "/ws/feed?lang=en", headers=headers)
        self.scope["client"] = ["127.0.0.1", 40000]
        self.frames: list[dict[str, Any]] = []

    async def until(self, kind: str, timeout: float = 10) -> dict[str, Any]:
        """The next frame of this kind."""
        while True:
            frame = json.loads(await self.receive_from(timeout))
            self.frames.append(frame)
            if frame["type"] == kind:
                return frame

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
    yield
    for task in hub._tasks:
        task.cancel()


@pytest.fixture
async def open_socket(transactional_db: None, fresh_hub: None) -> AsyncIterator[Open]:
    """`await open_socket(user)`: connected and greeted."""
    opened: list[Socket] = []

    async def connect(user: User) -> Socket:
        socket = Socket(await sync_to_async(session_of)(user))
        opened.append(socket)
        accepted, _ = await socket.connect(timeout=10)
        assert accepted
        return socket

    yield connect
    for socket in opened:
        await socket.disconnect(timeout=5)


def session_of(user: User) -> str:
    """The key of a new session of this person."""
    client = Client()
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
