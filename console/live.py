"""The live feed: one hub per process renders each changed alert once per language and hands it to every socket.

Frames (JSON): `hello` {orgs}, `rows` {rows: [{id, version, org, html}], orgs: {org: {prev, checksum}}}, `beat` {orgs}.
`checksum` is "count:sum of versions" of what is open in an org, as this hub last sent it; a browser that finds
another `prev`, or another checksum in a beat, has missed something and reloads its list.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from uuid import UUID

import structlog
from channels.layers import get_channel_layer
from django.db import close_old_connections, connection
from django.db.models import Count, Sum
from django_scopes import scopes_disabled

from alerts.feed import GROUP
from alerts.models import Alert
from console.rows import Row, render_rows
from orgs.models import Org

FLUSH_SECONDS = 0.1
FLUSH_AT_MOST = 200  # alerts in one frame
POLL_SECONDS = 5.0
BEAT_SECONDS = 10.0
SEND_SECONDS = 10.0
NOTHING_OPEN = "0:0"
AGAIN = 1013  # close code: try again later

log = structlog.get_logger(__name__)
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(eq=False)
class Client:
    """One socket: where to send, which orgs it may see (None = all), in which language."""

    send: Send
    org_ids: frozenset[int] | None
    language: str
    behind: bool = False
    sending: asyncio.Task[None] | None = None

    def offer(self, frame: str, catch_up: Callable[["Client"], str]) -> None:
        """Send `frame` unless one is still under way; then only the newest state follows, as a beat."""
        if self.sending is None:
            self.sending = asyncio.create_task(self._deliver(frame, catch_up))
        else:
            self.behind = True

    async def _deliver(self, frame: str, catch_up: Callable[["Client"], str]) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self.send({"type": "websocket.send", "text": frame})
                while self.behind:
                    self.behind = False
                    await self.send({"type": "websocket.send", "text": catch_up(self)})
        except TimeoutError:
            await self._close()
        except (RuntimeError, OSError):
            log.info("feed_socket_gone")  # the consumer's disconnect takes it out of the hub
        finally:
            self.sending = None

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(1):
                await self.send({"type": "websocket.close", "code": AGAIN})
        except (TimeoutError, RuntimeError, OSError):
            log.info("feed_socket_stuck")


@dataclass
class Hub:
    """Collects changed alert ids and fans the rendered rows out. All methods run on the web process's event loop."""

    clients: set[Client] = field(default_factory=set)
    changed: set[UUID] = field(default_factory=set)
    open: dict[int, dict[UUID, int]] = field(default_factory=lambda: defaultdict(dict))  # org pk -> alert -> version
    names: dict[int, str] = field(default_factory=dict)  # org pk -> external id
    ready: bool = False
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "feed-hub"))

    async def start(self) -> None:
        """Load what is open and begin to listen. Raises OperationalError if the database is away.

        While nobody watches nothing is rendered, so the first socket after a pause loads anew.
        """
        async with self._starting:
            if self.clients:
                return
            self.changed.clear()
            self.names, self.open = await self.in_thread(_load)
            if not self.ready:
                loops = (self._listen, self._flush_often, self._poll_often, self._beat_often)
                self._tasks = [asyncio.create_task(_forever(loop)) for loop in loops]
                self.ready = True

    async def in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        """Run database work, outside any org's scope, in the hub's one thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, _with_connection, work, *args)

    # --- sockets -----------------------------------------------------------------------------------------------------

    def add(self, client: Client) -> None:
        """Subscribe a socket; its first frame says where the chain of checksums stands."""
        self.clients.add(client)
        client.offer(self._state("hello", client), self._beat)

    def remove(self, client: Client) -> None:
        self.clients.discard(client)
        if client.sending is not None:
            client.sending.cancel()

    def reauthorise(self, client: Client, org_ids: frozenset[int] | None) -> None:
        """The person may see other orgs now; the beat that follows makes the browser reload its list."""
        if client.org_ids != org_ids:
            client.org_ids = org_ids
            client.offer(self._beat(client), self._beat)

    # --- checksums ---------------------------------------------------------------------------------------------------

    def checksum(self, org_id: int) -> str:
        versions = self.open.get(org_id)
        return f"{len(versions)}:{sum(versions.values())}" if versions else NOTHING_OPEN

    def checksums(self, org_ids: Iterable[int] | None) -> dict[str, str]:
        """External id -> checksum of the orgs in which something is open."""
        wanted = self.open if org_ids is None else org_ids
        return {self.names[pk]: self.checksum(pk) for pk in wanted if self.open.get(pk) and pk in self.names}

    def _state(self, kind: str, client: Client) -> str:
        return json.dumps({"type": kind, "orgs": self.checksums(client.org_ids)})

    def _beat(self, client: Client) -> str:
        return self._state("beat", client)

    # --- the loops ---------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(GROUP, channel)
        while True:
            message = await layer.receive(channel)
            self.changed.update(UUID(alert_id) for alert_id in message["ids"])

    async def _flush_often(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self.changed and self.clients:
                await self._flush()

    async def _poll_often(self) -> None:
        """Whatever no message told of: compare what is open with what was sent."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if not self.clients:
                continue
            ours = {org_id: self.checksum(org_id) for org_id in self.open}
            sent = {org_id: dict(alerts) for org_id, alerts in self.open.items()}
            self.names, unsent = await self.in_thread(_differences, ours, sent)
            self.changed |= unsent

    async def _beat_often(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            for client in list(self.clients):
                client.offer(self._beat(client), self._beat)

    async def _flush(self) -> None:
        ids = set(islice(self.changed, FLUSH_AT_MOST))
        self.changed -= ids
        languages = {client.language for client in self.clients}
        try:
            rendered = await self.in_thread(_render, ids, languages)
        except Exception:
            self.changed |= ids
            raise
        rows: dict[UUID, Row] = next(iter(rendered.values()), {})
        before = {row.org_id: self.checksum(row.org_id) for row in rows.values()}
        for alert_id, row in rows.items():
            if row.open:
                self.open[row.org_id][alert_id] = row.version
            else:
                self.open[row.org_id].pop(alert_id, None)
        self._send_rows(rendered, before)

    def _send_rows(self, rendered: dict[str, dict[UUID, Row]], before: dict[int, str]) -> None:
        frames: dict[tuple[frozenset[int] | None, str], str] = {}
        for client in list(self.clients):
            key = (client.org_ids, client.language)
            if key not in frames:
                frames[key] = self._rows_frame(rendered.get(client.language, {}), client.org_ids, before)
            if frames[key]:
                client.offer(frames[key], self._beat)

    def _rows_frame(self, rows: dict[UUID, Row], org_ids: frozenset[int] | None, before: dict[int, str]) -> str:
        """One frame for all who may see the same orgs in the same language; empty if it holds nothing for them."""
        seen = {pk: row for pk, row in rows.items() if org_ids is None or row.org_id in org_ids}
        if not seen:
            return ""
        orgs = {row.org_id for row in seen.values()}
        return json.dumps(
            {
                "type": "rows",
                "rows": [
                    {"id": str(pk), "version": row.version, "org": self.names.get(row.org_id, ""), "html": row.html}
                    for pk, row in seen.items()
                ],
                "orgs": {self.names.get(pk, ""): {"prev": before[pk], "checksum": self.checksum(pk)} for pk in orgs},
            }
        )


async def _forever(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever: Redis or the database away costs latency, never the loop."""
    while True:
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - the loop must live on; the error is logged
            log.warning("feed_loop_restarts", loop=loop.__name__, error=type(error).__name__, text=str(error)[:200])
            await asyncio.sleep(1)


def _with_connection(work: Callable[..., Any], *args: Any) -> Any:
    close_old_connections()
    try:
        with scopes_disabled():
            return work(*args)
    finally:
        connection.close()  # back to the pool


def _names() -> dict[int, str]:
    return dict(Org.objects.values_list("id", "external_id"))


def _open_alerts(org_ids: Iterable[int] | None = None) -> dict[int, dict[UUID, int]]:
    rows = Alert.objects.exclude(state=Alert.State.RESOLVED)
    if org_ids is not None:
        rows = rows.filter(org__in=list(org_ids))
    found: dict[int, dict[UUID, int]] = defaultdict(dict)
    for org_id, alert_id, version in rows.values_list("org_id", "id", "version"):
        found[org_id][alert_id] = version
    return found


def _load() -> tuple[dict[int, str], dict[int, dict[UUID, int]]]:
    return _names(), _open_alerts()


def _differences(ours: dict[int, str], sent: dict[int, dict[UUID, int]]) -> tuple[dict[int, str], set[UUID]]:
    """The names of all orgs, and the alerts whose version is not the one that was sent."""
    rows = (
        Alert.objects.exclude(state=Alert.State.RESOLVED)
        .values_list("org_id")
        .annotate(n=Count("id"), total=Sum("version"))
        .order_by()
    )
    theirs = {org_id: f"{n}:{total}" for org_id, n, total in rows}
    differ = [pk for pk in {*ours, *theirs} if ours.get(pk, NOTHING_OPEN) != theirs.get(pk, NOTHING_OPEN)]
    changed: set[UUID] = set()
    if differ:
        now_open = _open_alerts(differ)
        for org_id in differ:
            changed |= {pk for pk, _ in sent.get(org_id, {}).items() ^ now_open.get(org_id, {}).items()}
    return _names(), changed


def _render(ids: set[UUID], languages: set[str]) -> dict[str, dict[UUID, Row]]:
    return {language: render_rows(sorted(ids), language) for language in sorted(languages)}


hub = Hub()


def checksums(org_ids: Iterable[int] | None) -> dict[str, str]:
    """What a page carries: the checksums as this process's hub last sent them (before it runs: as stored)."""
    if hub.ready:
        return hub.checksums(org_ids)
    names, versions = _load()
    return {
        names[pk]: f"{len(alerts)}:{sum(alerts.values())}"
        for pk, alerts in versions.items()
        if alerts and (org_ids is None or pk in set(org_ids))
    }
