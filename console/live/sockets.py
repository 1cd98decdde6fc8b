"""The socket of the live feed: handshake, authorisation, the receive side. Sending is the hub's."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import structlog
from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.urls import path
from django.utils import timezone

from alerts.models import Alert
from console.ingest.bodies import client_address
from console.live.client import AlertPage, Client
from console.live.hub import hub
from console.live.walls import Onlooker, Screen, screens_now
from console.live.wire import AGAIN, EXTENSION, PlainWire
from orgs.auth import OrgIds, visible_orgs, visible_to, within
from orgs.logs import described
from orgs.models import User
from orgs.walls import UnknownWall, find_wall

AUTHORISE_SECONDS = 5.0
LONGEST_SECONDS = 8 * 3600
PER_USER = 20
PER_ADDRESS = 200
MESSAGES_A_MINUTE = 30  # our script sends none; a client that sends more is not our script
PORTS = {"http": 80, "https": 443}

SIGNED_OUT, TOO_MANY, TALKS_TOO_MUCH = 4401, 4429, 1008

log = structlog.get_logger(__name__)
sockets_per_user: Counter[int | str] = Counter()  # by pk of the person, or public id of the wall board
sockets_per_address: Counter[str] = Counter()


def _parts(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an origin (by default the port of the scheme); None for a text that is no origin."""
    try:
        parts = urlsplit(url.lower())
        return (parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]) if parts.hostname else None
    except (ValueError, KeyError):
        return None


def is_our_origin(scope: dict[str, Any]) -> bool:
    """Whether the Origin header names this site as we configured it; the Host header does not count.

    It must be an allowed host with the scheme and port of BASE_URL, or a trusted origin. None, `null` and foreign
    ones are refused.
    """
    given = _parts(dict(scope["headers"]).get(b"origin", b"").decode("latin1"))
    base = urlsplit(settings.BASE_URL)
    port = f":{base.port}" if base.port else ""
    hosts = [f"{base.scheme}://{host}{port}" for host in settings.ALLOWED_HOSTS if not host.startswith(("*", "."))]
    return given is not None and given in map(_parts, [settings.BASE_URL, *settings.CSRF_TRUSTED_ORIGINS, *hosts])


class Login(NamedTuple):
    """A person's session, as it was when the socket opened."""

    user_id: int
    session_key: str
    session_hash: str  # changes with the password


Viewer = Login | Screen


def _login(user: User, session: Any) -> tuple[Login, OrgIds]:
    """The session that the handshake has just checked, and the orgs its person may see."""
    login = Login(user.pk, session.session_key, session[HASH_SESSION_KEY])
    return login, visible_orgs(user)


def _alert_page(alert_id: str, login: Login, org_ids: OrgIds) -> AlertPage | None:
    """The page of this alert, if there is one that its person may see."""
    with suppress(ValueError), within(org_ids):
        found = Alert.objects.filter(pk=UUID(alert_id)).values_list("org_id", flat=True).first()
        return AlertPage(UUID(alert_id), found, login.user_id) if found else None
    return None


def allowed_now(viewers: Collection[Viewer]) -> dict[Viewer, OrgIds]:
    """The orgs each of them may see now; one whose right has ended is missing. At most four queries."""
    logins = [one for one in viewers if isinstance(one, Login)]
    screens = screens_now([one for one in viewers if isinstance(one, Screen)])
    return dict(chain(_logins_now(logins).items(), screens.items()))


def _logins_now(logins: Collection[Login]) -> dict[Login, OrgIds]:
    ids = {login.user_id for login in logins}
    users = {user.pk: user for user in User.objects.filter(pk__in=ids, is_active=True)}
    keys = {login.session_key for login in logins}
    live = set(
        Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now()).values_list("pk", flat=True)
    )
    orgs = visible_to(users.values())
    hashes = {pk: user.get_session_auth_hash() for pk, user in users.items()}
    return {
        login: orgs[login.user_id]
        for login in logins
        if login.session_key in live and hashes.get(login.user_id) == login.session_hash
    }


class Watch:
    """Asks every 5 s what the people behind all sockets may see, and signs out those who may see nothing any more."""

    def __init__(self) -> None:
        self.consumers: set[FeedConsumer] = set()
        self.task: asyncio.Task[None] | None = None

    def add(self, consumer: "FeedConsumer") -> None:
        self.consumers.add(consumer)
        if self.task is None:
            self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(AUTHORISE_SECONDS)
            try:
                await self._ask()
            except Exception as error:  # noqa: BLE001 - asked again in 5 s; without it nobody would be signed out
                log.warning("feed_authorisation_waits", error=described(error))

    async def _ask(self) -> None:
        watched = list(self.consumers)
        if watched:
            allowed = await hub.in_thread(allowed_now, {consumer.viewer for consumer in watched})
            for consumer in watched:
                consumer.reauthorise(allowed)


class FeedConsumer(AsyncWebsocketConsumer):
    """`/ws/feed?lang=en|id[&rows=0][&alert=ID]`: says nothing itself; the hub writes to its socket.

    `rows=0`: counts and news alone. `alert`: of whose page this is; others who have it open see that.
    """

    channel_layer_alias = "none"  # no channel of its own: the hub holds the only subscription
    kind: type[Client] = Client

    async def connect(self) -> None:
        self.client: Client | None = None
        name = self.name()
        if not is_our_origin(self.scope) or name is None:
            await self.close()
            return
        self.address = client_address(self.scope)
        self.opened = self.messages_since = time.monotonic()
        self.messages = 0
        await self.accept()
        if sockets_per_user[name] >= PER_USER or sockets_per_address[self.address] >= PER_ADDRESS:
            await self.close(TOO_MANY)
            return
        self.counted = name
        sockets_per_user[name] += 1
        sockets_per_address[self.address] += 1
        try:
            await self._subscribe()
        except UnknownWall:
            await self.close(SIGNED_OUT)
        except DatabaseError:
            await self.close(AGAIN)
        finally:
            if self.client is None:
                self._uncount()

    def name(self) -> int | str | None:
        """By what the sockets of this viewer are counted; None for somebody who is refused."""
        user = self.scope.get("user")
        return user.pk if user is not None and user.is_authenticated else None

    async def admitted(self) -> tuple[Viewer, OrgIds]:
        """Who looks, and what they may see."""
        return await database_sync_to_async(_login)(self.scope["user"], self.scope["session"])

    async def alert_page(self, org_ids: OrgIds) -> AlertPage | None:
        """The alert whose page this is, if its person may see it; a wall board is nobody's page."""
        if not isinstance(self.viewer, Login):
            return None
        return await database_sync_to_async(_alert_page)(self._asked("alert"), self.viewer, org_ids)

    async def _subscribe(self) -> None:
        self.viewer, org_ids = await self.admitted()
        await hub.start()
        wire = self.scope.get("extensions", {}).get(EXTENSION) or PlainWire(self.base_send)
        self.client = self.kind(
            wire, org_ids, self._language(), self._asked("rows") != "0", await self.alert_page(org_ids)
        )
        hub.add(self.client)
        watch.add(self)

    def _asked(self, name: str) -> str:
        return parse_qs(self.scope.get("query_string", b"").decode("latin1")).get(name, [""])[0]

    def _language(self) -> str:
        asked = self._asked("lang")
        return asked if asked in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE

    def reauthorise(self, allowed: dict[Viewer, OrgIds]) -> None:
        """Apply what the watch found; a socket older than 8 h has to come again."""
        if self.client is None:
            return
        if self.viewer not in allowed:
            self._end(SIGNED_OUT)
        elif time.monotonic() - self.opened > LONGEST_SECONDS:
            self._end(AGAIN)
        else:
            hub.reauthorise(self.client, allowed[self.viewer])

    def _end(self, code: int) -> None:
        if self.client is not None:
            wire = self.client.wire
            self._leave()
            wire.end(code)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Nothing is expected; a flood closes the socket."""
        if time.monotonic() - self.messages_since > 60:
            self.messages, self.messages_since = 0, time.monotonic()
        self.messages += 1
        if self.messages > MESSAGES_A_MINUTE:
            self._end(TALKS_TOO_MUCH)

    async def disconnect(self, code: int) -> None:
        self._leave()

    def _leave(self) -> None:
        watch.consumers.discard(self)
        if self.client is not None:
            hub.remove(self.client)
            self.client = None
            self._uncount()

    def _uncount(self) -> None:
        sockets_per_user[self.counted] -= 1
        sockets_per_address[self.address] -= 1
        if not sockets_per_user[self.counted]:
            del sockets_per_user[self.counted]
        if not sockets_per_address[self.address]:
            del sockets_per_address[self.address]  # there are more addresses than people


class WallConsumer(FeedConsumer):
    """`/ws/wall/{token}`: the feed of one wall board, whoever looks at it. No session plays a part."""

    kind = Onlooker

    @property
    def token(self) -> str:
        return self.scope["url_route"]["kwargs"]["token"]

    def name(self) -> str:
        return self.token.partition(".")[0]

    async def admitted(self) -> tuple[Screen, OrgIds]:
        """Raises UnknownWall."""
        found = await database_sync_to_async(find_wall)(self.token)
        return Screen(found.pk), OrgIds.of([found.org_id])


watch = Watch()


class Unknown(AsyncWebsocketConsumer):
    """Any other address: refused."""

    channel_layer_alias = "none"

    async def connect(self) -> None:
        await self.close()


websocket_application = AuthMiddlewareStack(
    URLRouter(
        [
            path("ws/feed", FeedConsumer.as_asgi()),
            path("ws/wall/<str:token>", WallConsumer.as_asgi()),
            path("<path:rest>", Unknown.as_asgi()),
        ]
    )
)
