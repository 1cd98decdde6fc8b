"""Who has the page of an alert open. The processes tell each other over the channel layer, in ids; nothing is stored.

Frame (JSON): `presence` {alert, people: [{sso_id, name}]}, to those who have it open. Without Redis a process shows the
people of its own sockets; of a process that says nothing for 25 s, nobody.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from channels.layers import get_channel_layer

from alerts.feed import GROUP
from console.live.client import Client
from console.live.wire import encode
from orgs.models import User

SEEN = "presence.seen"
AGAIN_SECONDS = 10.0
LASTS_SECONDS = 25.0
LOOK_SECONDS = 4.0
SEND_SECONDS = 2.0

Pages = dict[UUID, set[int]]  # alert -> pks of the people who have it open
InThread = Callable[..., Awaitable[Any]]


@dataclass
class Presence:
    """The open pages of this process, and what the others said of theirs. All runs on the event loop."""

    clients: dict[UUID, set[Client]] = field(default_factory=lambda: defaultdict(set))
    others: dict[str, tuple[float, Pages]] = field(default_factory=dict)  # process -> (until when, its pages)
    shown: Pages = field(default_factory=dict)
    process: str = field(default_factory=lambda: uuid4().hex)
    _told: bool = False  # the others know of pages here
    _mine: asyncio.Event = field(default_factory=asyncio.Event)
    _any: asyncio.Event = field(default_factory=asyncio.Event)

    def join(self, client: Client) -> None:
        """A page was opened, or something else: then nothing happens."""
        if client.page is not None:
            self.clients[client.page.alert_id].add(client)
            self.shown.pop(client.page.alert_id, None)  # the newcomer is to hear it, however it was before
            self._changed()

    def leave(self, client: Client) -> None:
        """Its socket is closed."""
        if client.page is None:
            return
        left = self.clients[client.page.alert_id]
        left.discard(client)
        if not left:
            del self.clients[client.page.alert_id]
            self.shown.pop(client.page.alert_id, None)
        self._changed()

    def _changed(self) -> None:
        self._mine.set()
        self._any.set()

    def take(self, message: dict[str, Any]) -> None:
        """What another process says; its earlier word is void."""
        if message["process"] != self.process:
            pages = {UUID(alert_id): set(people) for alert_id, people in message["pages"].items()}
            self.others[message["process"]] = time.monotonic() + LASTS_SECONDS, pages
            self._any.set()

    # --- loops, which the hub runs -----------------------------------------------------------------------------------

    async def announce_often(self) -> None:
        """Tell the other processes, at once when it changes, and again every 10 s."""
        while True:
            await _happens(self._mine, AGAIN_SECONDS)
            if not self.clients and not self._told:
                continue
            self._told = bool(self.clients)
            pages = {str(alert_id): sorted(people) for alert_id, people in self._here().items()}
            async with asyncio.timeout(SEND_SECONDS):
                message = {"type": SEEN, "process": self.process, "pages": pages}
                await get_channel_layer().group_send(GROUP, message)

    async def show_often(self, in_thread: InThread) -> None:
        """Tell the pages, as soon as somebody comes, and within 30 s when a process has died."""
        while True:
            await _happens(self._any, LOOK_SECONDS)
            self.others = {name: said for name, said in self.others.items() if said[0] > time.monotonic()}
            for alert_id in list(self.clients):
                people = self._people(alert_id)
                if self.shown.get(alert_id) != people:
                    self.shown[alert_id] = people
                    self._show(alert_id, await in_thread(_named, people))

    def _here(self) -> Pages:
        pages: Pages = {}
        for alert_id, clients in self.clients.items():
            pages[alert_id] = {client.page.user_id for client in clients if client.page and _allowed(client)}
        return pages

    def _people(self, alert_id: UUID) -> set[int]:
        """Each once, however many pages of it they have open."""
        said = [self._here().get(alert_id, set()), *(pages.get(alert_id, set()) for _, pages in self.others.values())]
        return set().union(*said)

    def _show(self, alert_id: UUID, people: list[dict[str, str]]) -> None:
        frame = encode({"type": "presence", "alert": str(alert_id), "people": people})
        for client in list(self.clients.get(alert_id, ())):
            if _allowed(client):
                client.offer(frame)


def _allowed(client: Client) -> bool:
    """Whether the person may still see the alert whose page is open."""
    return client.page is not None and client.page.org_id in client.org_ids


def _named(people: set[int]) -> list[dict[str, str]]:
    users = User.objects.filter(pk__in=people).order_by("name", "pk")
    return [{"sso_id": user.sso_id, "name": str(user)} for user in users]


async def _happens(event: asyncio.Event, at_most: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most):
            await event.wait()
    event.clear()
