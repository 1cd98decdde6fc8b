"""The socket of the live feed: handshake, authorisation, the receive side. Sending is the hub's."""

import asyncio
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qs

import structlog
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.urls import path
from django.utils import timezone

from console.live import Client, hub
from orgs.auth import visible_orgs
from orgs.models import User

AUTHORISE_SECONDS = 5.0
LONGEST_SECONDS = 8 * 3600
PER_USER = 20
PER_ADDRESS = 200
MESSAGES_A_MINUTE = 30  # feed.js sends none; anybody who talks more than this is not feed.js

SIGNED_OUT, TOO_MANY, TALKS_TOO_MUCH, TRY_AGAIN = 4401, 4429, 1008, 1013

log = structlog.get_logger(__name__)
sockets_per_user: Counter[int] = Counter()
sockets_per_address: Counter[str] = Counter()


def same_origin(scope: dict[str, Any]) -> bool:
    """The Origin header is this very site: scheme, host and port; none, `null` and foreign ones are refused."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin1")
    scheme = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "ws"), "https")
    host = headers.get(b"host", b"").decode("latin1")
    return origin in settings.CSRF_TRUSTED_ORIGINS or origin == f"{scheme}://{host}"


def still_allowed(user_id: int, session_key: str, session_hash: str) -> frozenset[int] | None | bool:
    """The orgs this session may see now (None = all); False when it has ended or the person may no longer log in."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    live = Session.objects.filter(session_key=session_key, expire_date__gt=timezone.now()).exists()
    if user is None or not live or user.get_session_auth_hash() != session_hash:
        return False
    orgs = visible_orgs(user)
    return None if orgs is None else frozenset(orgs)


class FeedConsumer(AsyncWebsocketConsumer):
    """`/ws/feed?lang=en|id`: says nothing itself; the hub writes to its socket."""

    channel_layer_alias = "none"  # no channel of its own: the hub holds the only subscription

    async def connect(self) -> None:
        self.client: Client | None = None
        user = self.scope.get("user")
        if not same_origin(self.scope) or user is None or not user.is_authenticated:
            await self.close()
            return
        session = self.scope["session"]
        self.user_id, self.session_key = user.pk, session.session_key
        self.session_hash = await sync_to_async(session.get)(HASH_SESSION_KEY)
        self.address = (self.scope.get("client") or ("", 0))[0]
        self.messages, self.messages_since = 0, time.monotonic()
        await self._subscribe()

    async def _subscribe(self) -> None:
        allowed = await self._allowed()
        await self.accept()
        if allowed is False:
            await self.close(SIGNED_OUT)
            return
        if sockets_per_user[self.user_id] >= PER_USER or sockets_per_address[self.address] >= PER_ADDRESS:
            await self.close(TOO_MANY)
            return
        try:
            await hub.start()
        except OperationalError:
            await self.close(TRY_AGAIN)
            return
        sockets_per_user[self.user_id] += 1
        sockets_per_address[self.address] += 1
        self.client = Client(self.base_send, allowed, self._language())  # type: ignore[arg-type]
        hub.add(self.client)
        self.watch = asyncio.create_task(self._reauthorise())

    def _language(self) -> str:
        asked = parse_qs(self.scope.get("query_string", b"").decode("latin1")).get("lang", [""])[0]
        return asked if asked in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE

    async def _allowed(self) -> frozenset[int] | None | bool:
        check = sync_to_async(still_allowed, thread_sensitive=False)
        return await check(self.user_id, self.session_key, self.session_hash)

    async def _reauthorise(self) -> None:
        ends = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < ends:
            await asyncio.sleep(AUTHORISE_SECONDS)
            try:
                allowed = await self._allowed()
            except OperationalError:
                continue  # the database is away: nothing new can be shown either
            if allowed is False:
                await self._end(SIGNED_OUT)
                return
            if self.client is not None:
                hub.reauthorise(self.client, allowed)  # type: ignore[arg-type]
        await self._end(TRY_AGAIN)

    async def _end(self, code: int) -> None:
        self._leave()
        await self.close(code)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Nothing is expected; a flood closes the socket."""
        if time.monotonic() - self.messages_since > 60:
            self.messages, self.messages_since = 0, time.monotonic()
        self.messages += 1
        if self.messages > MESSAGES_A_MINUTE:
            await self._end(TALKS_TOO_MUCH)

    async def disconnect(self, code: int) -> None:
        watch = getattr(self, "watch", None)
        if watch is not None:
            watch.cancel()
        self._leave()

    def _leave(self) -> None:
        if self.client is not None:
            hub.remove(self.client)
            self.client = None
            sockets_per_user[self.user_id] -= 1
            sockets_per_address[self.address] -= 1


async def _unknown(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "websocket.close", "code": 4404})


websocket_application = AuthMiddlewareStack(
    URLRouter([path("ws/feed", FeedConsumer.as_asgi()), path("<path:rest>", _unknown)])
)
