"""The live feed: one hub per process renders each changed alert once per language and hands it to every socket.

Frames (JSON): `hello` and `beat` {orgs: {org: checksum}, counts}, `rows` {rows: [{id, version, org, html}], news,
orgs: {org: {prev, checksum}}, counts}. `counts` has the figures of each of these orgs (console/live/counts.py).
`news` [{id, severity, said}] are the alerts that are new or have become worse; a page without rows gets these alone.
`checksum` is "count:sum of marks" of what is open in an org, as this hub last sent it (a mark is a hash of id and
version); a browser that finds another `prev`, or another checksum in a beat, has missed something and reloads its list.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, islice
from typing import Any
from uuid import UUID

import structlog
from channels.layers import get_channel_layer
from django.db import close_old_connections, connection
from django.db.models import Count, Q, QuerySet, Sum
from django_scopes import scopes_disabled

from alerts.feed import GROUP
from alerts.models import QUIET_UNTIL, Alert
from console.live.client import Audience, Client
from console.live.counts import FADES_AFTER, NOTHING_OPEN, Countable, OrgAlerts
from console.live.filters import HOLDER
from console.live.kept_rows import frame_rows
from console.live.presence import SEEN, Presence
from console.live.rows import MARK, FeedRow
from console.live.stored import StoredState
from console.live.wire import Frame, encode
from orgs import clock
from orgs.auth import EVERY_ORG, OrgIds, of_orgs
from orgs.logs import described
from orgs.models import Org

FLUSH_SECONDS = 0.1
FLUSH_AT_MOST = 200  # alerts in one frame
POLL_SECONDS = 5.0
BEAT_SECONDS = 4.0
WAKE_SECONDS = 1.0  # how late a snooze may be seen to end
RESTART_SECONDS = 1.0
LISTEN_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass
class Hub:
    """Collects changed alert ids and fans the rendered rows out. All methods run on the web process's event loop."""

    audiences: dict[Audience, set[Client]] = field(default_factory=lambda: defaultdict(set))  # none of them is empty
    changed: set[UUID] = field(default_factory=set)
    open: dict[int, OrgAlerts] = field(default_factory=lambda: defaultdict(OrgAlerts))  # by org pk
    presence: Presence = field(default_factory=Presence)
    names: dict[int, str] = field(default_factory=dict)  # org pk -> external id
    ahead: timedelta = timedelta()  # of the database's clock, against this process's
    sent: Counter[int] = field(default_factory=Counter)  # rows, by org pk
    _said: dict[tuple[str, OrgIds], Frame] = field(default_factory=dict)  # the state as it is, at most a second old
    _states: dict[OrgIds, tuple[int, "FeedState"]] = field(default_factory=dict)  # the same for pages, by `_turn`
    _turn: int = 0  # goes on with each change
    _listening: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "feed-hub"))

    async def start(self) -> None:
        """Begin to listen, then load what is open. Raises OperationalError if the database is away.

        While nobody watches nothing is rendered, so the first socket after a pause loads anew.
        """
        async with self._starting:
            if self.audiences:
                return
            self.changed.clear()
            if not self._tasks:
                loops = [self._listen, self._flush_often, self._poll_often, self._beat_often, self._wake_often]
                loops += [self.presence.announce_often, self._show_often]
                self._tasks = [asyncio.create_task(_forever(loop)) for loop in loops]
            with suppress(TimeoutError):  # without Redis the poll has to do
                async with asyncio.timeout(LISTEN_SECONDS):
                    await self._listening.wait()
            self.names, self.ahead = await self.in_thread(_names), await self.in_thread(_ahead)
            self.open = await self.in_thread(_open_alerts, EVERY_ORG, self.now)
            self._forget_said()

    async def in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        """Run database work, outside any org's scope, in the hub's one thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, _with_connection, work, *args)

    # --- sockets -----------------------------------------------------------------------------------------------------

    @property
    def clients(self) -> list[Client]:
        """All sockets."""
        return list(chain.from_iterable(self.audiences.values()))

    def add(self, client: Client) -> None:
        """Subscribe a socket; its first frame holds the present checksums."""
        self.audiences[client.audience].add(client)
        client.wire.on_drain = partial(self._catch_up, client)
        client.offer(self._state("hello", client.org_ids))
        self._note(())  # what changed while it was starting
        self.presence.join(client)

    def remove(self, client: Client) -> None:
        self._leave(client)
        self.presence.leave(client)

    def _leave(self, client: Client) -> None:
        alike = self.audiences.get(client.audience, set())
        alike.discard(client)
        if not alike:
            self.audiences.pop(client.audience, None)

    def reauthorise(self, client: Client, org_ids: OrgIds) -> None:
        """The person may see other orgs now; the beat that follows makes the browser reload its list."""
        if client.org_ids != org_ids:
            self._leave(client)
            client.org_ids = org_ids
            self.audiences[client.audience].add(client)
            client.offer(self._state("beat", org_ids))

    def _catch_up(self, client: Client) -> None:
        """The client has read what we sent. If it missed a frame, the checksum of the beat tells it."""
        if client.behind and client in self.audiences.get(client.audience, ()):
            client.behind = False
            client.offer(self._state("beat", client.org_ids))

    # --- checksums and counts ----------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The database's time, as far as this process knows it."""
        return datetime.now(UTC) + self.ahead

    def checksum(self, org_id: int) -> str:
        alerts = self.open.get(org_id)
        return alerts.checksum if alerts else NOTHING_OPEN

    def state(self, org_ids: OrgIds) -> "FeedState":
        """The state of the orgs in which something is open or has just ended, a second old at most. Any thread asks."""
        turn, kept = self._turn, self._states.get(org_ids)
        if kept is None or kept[0] != turn:
            wanted = list(self.open) if org_ids.every else org_ids.pks
            kept = turn, _state({pk: self.open[pk] for pk in wanted if pk in self.open}, self.names, self.now)
            self._states[org_ids] = kept
        return kept[1]

    def sent_of(self, org_ids: OrgIds) -> int:
        """How many rows of these orgs it has sent. Any thread may ask."""
        return sum(self.sent[pk] for pk in (list(self.sent) if org_ids.every else org_ids.pks))

    def _forget_said(self) -> None:
        """What was said of the state is no longer so."""
        self._turn += 1
        self._said.clear()
        self._states.clear()

    def _state(self, kind: str, org_ids: OrgIds) -> Frame:
        """Made once for all who may see these orgs, until something changes: a thousand may come back at once."""
        if (kind, org_ids) not in self._said:
            sums, counts = self.state(org_ids)
            self._said[kind, org_ids] = encode({"type": kind, "orgs": sums, "counts": counts})
        return self._said[kind, org_ids]

    # --- the loops ---------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(GROUP, channel)
        self._listening.set()
        while True:
            message = await layer.receive(channel)
            if message["type"] == SEEN:
                self.presence.take(message)
            elif self.audiences or self._starting.locked():
                self._note(UUID(alert_id) for alert_id in message["ids"])

    def _note(self, ids: Iterable[UUID]) -> None:
        """Remember to send these alerts."""
        self.changed.update(ids)
        if self.changed:
            self._news.set()

    async def _show_often(self) -> None:
        await self.presence.show_often(self.in_thread)

    async def _flush_often(self) -> None:
        """Send the first change at once, and the changes of the next 100 ms together."""
        while True:
            await self._news.wait()
            self._news.clear()
            pause = asyncio.create_task(asyncio.sleep(FLUSH_SECONDS))
            if self.audiences:
                await self._flush()
            await pause

    async def _poll_often(self) -> None:
        """Changes that no message announced: compare what is open with what was sent."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if not self.audiences:
                continue
            ours = {org_id: self.checksum(org_id) for org_id in self.open}
            self.ahead = await self.in_thread(_ahead)
            self.names, differing = await self.in_thread(_differences, ours)
            for org_id, marks in differing.items():
                ours_now = {pk: alert.mark for pk, alert in self.open[org_id].open.items()}
                self._note(pk for pk, _ in ours_now.items() ^ marks.items())
            for org_id, alert_id in await self.in_thread(_ended_lately, list(self.names)):
                if alert_id not in self.open[org_id].ended:
                    self._note([alert_id])

    async def _beat_often(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            for client in self.clients:
                client.offer(self._state("beat", client.org_ids))

    async def _wake_often(self) -> None:
        """Send the rows whose snooze has ended, and forget what ended long ago."""
        seen = self.now
        while True:
            await asyncio.sleep(WAKE_SECONDS)
            since, seen = seen, self.now
            for alerts in list(self.open.values()):
                self._note(alerts.woken(since, seen))
                alerts.fade(seen)
            self._forget_said()

    async def _flush(self) -> None:
        ids = set(islice(self.changed, FLUSH_AT_MOST))
        self.changed -= ids
        try:
            rendered = await self.in_thread(frame_rows, ids, {audience.language for audience in self.audiences})
            if not self.names.keys() >= {row.org_id for rows in rendered.values() for row in rows.values()}:
                self.names = await self.in_thread(_names)  # an org made just now
        except Exception:
            self.changed |= ids
            raise
        finally:
            self._note(())
        rows: dict[UUID, FeedRow] = next(iter(rendered.values()), {})
        self._forget(ids - rows.keys())
        before = {row.org_id: self.checksum(row.org_id) for row in rows.values()}
        news = {pk for pk, row in rows.items() if self.open[row.org_id].is_news(pk, row.countable)}
        for alert_id, row in rows.items():
            self.open[row.org_id].put(alert_id, row.countable)
            self.sent[row.org_id] += 1
        self._forget_said()
        self._send_rows(rendered, before, news)

    def _forget(self, gone: set[UUID]) -> None:
        """Alerts that were deleted: no row is sent, and the next checksum makes the browsers reload."""
        for alerts in self.open.values():
            for alert_id in gone & (alerts.open.keys() | alerts.ended.keys()):
                alerts.drop(alert_id)
        self._forget_said()

    def _send_rows(self, rendered: dict[str, dict[UUID, FeedRow]], before: dict[int, str], news: set[UUID]) -> None:
        counts = {pk: self.open[pk].counts(self.now) for pk in before}
        for audience, clients in list(self.audiences.items()):
            rows = rendered.get(audience.language, {})
            if frame := self._rows_frame(rows, audience, before, counts, news):
                for client in list(clients):
                    client.offer(frame)

    def _rows_frame(
        self,
        rows: dict[UUID, FeedRow],
        audience: Audience,
        before: dict[int, str],
        counts: dict[int, Any],
        news: set[UUID],
    ) -> Frame | None:
        """One frame for all who may see the same orgs in the same language; None if it holds nothing for them."""
        seen = {pk: row for pk, row in rows.items() if row.org_id in audience.org_ids}
        if not seen:
            return None
        orgs = {row.org_id for row in seen.values()}
        return encode(
            {
                "type": "rows",
                "rows": [
                    {"id": str(pk), "version": row.version, "org": self.names[row.org_id], "html": row.html}
                    for pk, row in seen.items()
                    if audience.rows
                ],
                "news": [
                    {"id": str(pk), "severity": row.countable.severity, "said": row.said}
                    for pk, row in seen.items()
                    if pk in news
                ],
                "orgs": {self.names[pk]: {"prev": before[pk], "checksum": self.checksum(pk)} for pk in orgs},
                "counts": {self.names[pk]: counts[pk] for pk in orgs},
            }
        )


async def _forever(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever: an outage of Redis or the database delays rows and never ends the loop."""
    while True:
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - the loop must live on; the error is logged
            log.warning("feed_loop_restarts", loop=loop.__name__, error=described(error))
            await asyncio.sleep(RESTART_SECONDS)


def _with_connection(work: Callable[..., Any], *args: Any) -> Any:
    close_old_connections()
    try:
        with scopes_disabled():
            return work(*args)
    finally:
        connection.close()  # back to the pool


FeedState = tuple[dict[str, str], dict[str, Any]]  # external id -> checksum of what is open; -> counts


def _state(orgs: dict[int, OrgAlerts], names: dict[int, str], now: datetime) -> FeedState:
    known = {names[pk]: alerts for pk, alerts in orgs.items() if pk in names and (alerts.open or alerts.ended)}
    sums = {name: alerts.checksum for name, alerts in known.items() if alerts.open}
    return sums, {name: alerts.counts(now) for name, alerts in known.items()}


def _names() -> dict[int, str]:
    return dict(Org.objects.values_list("id", "external_id"))


def _ahead() -> timedelta:
    return clock.now() - datetime.now(UTC)


def _open(org_ids: OrgIds) -> QuerySet[Alert]:
    return of_orgs(Alert.objects.exclude(state=Alert.State.RESOLVED), org_ids)


def _open_alerts(org_ids: OrgIds, now: datetime) -> dict[int, OrgAlerts]:
    """What is open in these orgs, and what ended there in the last 15 min."""
    found: dict[int, OrgAlerts] = defaultdict(OrgAlerts)
    columns = ("state", "severity", HOLDER, "customer_waiting_since", QUIET_UNTIL, "resolved_at")
    shown = ~Q(state=Alert.State.RESOLVED) | Q(state=Alert.State.RESOLVED, resolved_at__gt=now - FADES_AFTER)
    alerts = of_orgs(Alert.objects.filter(shown), org_ids).order_by()
    for org_id, alert_id, *values in alerts.values_list("org_id", "id", MARK, *columns):
        found[org_id].put(alert_id, Countable(*values))
    return found


def _differences(ours: dict[int, str]) -> tuple[dict[int, str], dict[int, dict[UUID, int]]]:
    """The names of all orgs, and the marks of what is open in those whose checksum is not ours."""
    theirs = _sums("org_id", EVERY_ORG)
    differ = [pk for pk in {*ours, *theirs} if ours.get(pk, NOTHING_OPEN) != theirs.get(pk, NOTHING_OPEN)]
    marks: dict[int, dict[UUID, int]] = {org_id: {} for org_id in differ}
    if differ:
        for org_id, alert_id, mark in _open(OrgIds.of(differ)).values_list("org_id", "id", MARK):
            marks[org_id][alert_id] = mark
    return _names(), marks


def _ended_lately(org_pks: list[int]) -> list[tuple[int, UUID]]:
    """(org, alert) of what ended in the last 15 min: by the index of each org, whatever it has resolved before."""
    ended = Alert.objects.filter(org__in=org_pks, state=Alert.State.RESOLVED, resolved_at__gt=clock.now() - FADES_AFTER)
    return list(ended.values_list("org_id", "id"))


def _sums(org: str, org_ids: OrgIds) -> dict[Any, str]:
    """The checksums of what is open in these orgs, by this field of the org."""
    rows = _open(org_ids).order_by().values_list(org).annotate(n=Count("pk"), marks=Sum(MARK))
    return {key: f"{n}:{marks}" for key, n, marks in rows}


hub = Hub()


def feed_state(org_ids: OrgIds, stored: Iterable[StoredState]) -> FeedState:
    """Checksums and counts for a page: as this process's hub last sent them, or while nobody watches as stored."""
    if hub.audiences:
        return hub.state(org_ids)
    return {one.org: one.checksum for one in stored if one.open}, {one.org: one.figures for one in stored}


def checksums(org_ids: OrgIds) -> dict[str, str]:
    """The checksums alone."""
    return hub.state(org_ids)[0] if hub.audiences else stored_checksums(org_ids)


def stored_checksums(org_ids: OrgIds) -> dict[str, str]:
    """External id -> checksum, from the database, of those of these orgs in which something is open."""
    return _sums("org__external_id", org_ids)
