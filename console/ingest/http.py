"""The lane's ASGI app: who calls, a body read with limits, one function in a bounded pool, one answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, TypeVar

import msgspec
import prometheus_client
import structlog
from django.conf import settings

from alerts.failpoints import failpoint
from console.ingest import keys, origins, receipts, webhooks, work
from console.ingest.bodies import AsgiScope, Budget, Disconnected, Receive, Send, site
from console.ingest.decode import BODY_LIMIT, MIB, Refusal
from console.ingest.memory import ShortMemory
from console.ingest.request import Request, is_packed
from console.ingest.senders import said_sent
from console.ingest.tally import tally
from console.ingest.together import Together
from orgs.client_tokens import is_client_token
from orgs.errors import error_body
from orgs.models import Scope
from orgs.webhooks import may_post

T = TypeVar("T")

WRITES: dict[str, work.Endpoint[Any]] = {
    endpoint.path: endpoint for endpoint in (work.EVENTS, work.ACTIVITY, work.RUNS, work.REVIEWS)
}
RECEIPTS = "/api/push-receipts"
PATHS = frozenset({*WRITES, RECEIPTS})
FLUSH_SECONDS = 1.0
AT_ONCE = 32  # requests in one transaction
LATER = frozenset({429, 503})  # come again later: said at once, it would be asked at once by who does not wait
HELD_FOR = 1.0  # seconds until that is said
HELD_AT_ONCE = 2000
WEBHOOK_LIMIT = 256 * 1024  # bytes: one message, its room and its contact
RECEIPT_LIMIT = 64 * 1024  # bytes: some 400 receipts, of a sender who is proven only by the whole body

log = structlog.get_logger(__name__)
REQUESTS = prometheus_client.Counter("live_ingest_requests", "Requests to the lane", ["path", "status"])
ITEMS = prometheus_client.Counter("live_ingest_items", "Items sent to the lane", ["path", "status"])
SECONDS = prometheus_client.Histogram("live_ingest_seconds", "Seconds from headers to answer", ["path"])


def answers(path: str) -> bool:
    """Whether a path is the lane's."""
    return path in PATHS or path.startswith(webhooks.PREFIX)


class Pool:
    """Threads for the synchronous part, and a bound on the requests that wait for one."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="ingest")
        self._room = threads + waiting

    async def run(self, step: Callable[[], T]) -> T:
        """Run `step` in a thread, to its end even if the caller leaves. Raises Refusal (503) when it is full."""
        if self._room <= 0:
            raise Refusal(503, "overloaded", "Too many requests wait. Send this one again.", retry_after=1)
        self._room -= 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, step)
        future.add_done_callback(self._free)
        return await asyncio.shield(future)

    def _free(self, future: "asyncio.Future[Any]") -> None:
        self._room += 1

    def close(self) -> None:
        """Let what runs end; what waits is not begun."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class Lane:
    """The ASGI app; one for each process, on its one event loop."""

    def __init__(self) -> None:
        self.pool = Pool(settings.INGEST_THREADS, settings.INGEST_WAITING)
        self._keys = ShortMemory(keys.find_caller)
        self._rates = keys.Rates()
        self._endpoints = ShortMemory(webhooks.find_endpoint)
        self._origins = origins.Origins(lambda: self.pool.run(partial(work.in_database, origins.listed_origins)))
        self.writes = {path: self._together(path, partial(_write, path)) for path in WRITES}
        self._deliveries = self._together("webhooks", webhooks.receive)
        # A body counts from its first byte to its answer; nobody's bodies take what another kind of sender needs.
        self.of_keys = Budget(BODY_LIMIT, 30.0, each=24 * MIB, at_once=500, total=64 * MIB)
        self.of_webhooks = Budget(WEBHOOK_LIMIT, 10.0, each=4 * MIB, at_once=500, total=32 * MIB)
        self.of_strangers = Budget(RECEIPT_LIMIT, 10.0, each=MIB, at_once=64, total=16 * MIB)
        self._flushing: asyncio.Task[None] | None = None
        self._held = 0  # refusals that are not said yet
        self._asking: dict[str, asyncio.Task[Any]] = {}  # by secret: what the database is being asked

    @staticmethod
    def _together(
        name: str, step: Callable[[Sequence[T]], Sequence[work.Answer | Refusal]]
    ) -> Together[T, work.Answer]:
        return Together(name, step, AT_ONCE, settings.INGEST_WAITING)

    def close(self) -> None:
        """Let what runs end, and write the last second's figures."""
        self.pool.close()
        for together in (*self.writes.values(), self._deliveries):
            together.close()
        if tally:
            work.in_database(tally.flush)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.path.startswith(webhooks.PREFIX):
            request.name = webhooks.named(request.path)
        try:
            await self._answer(request, send)
        except Disconnected:
            log.info("ingest_left", path=request.name, request_id=request.id)
        finally:
            request.free()

    async def _answer(self, request: Request, send: Send) -> None:
        retry_after: int | None = None
        preflight = request.path in WRITES and origins.is_preflight(request.method, request.headers)
        try:
            result = await (self._preflight(request) if preflight else self._work(request))
            status, body, request.counts = result.status, result.body, result.counts
        except Refusal as error:
            status, retry_after = error.status, error.retry_after
            body = msgspec.json.encode(error_body(error.code, error.message, error.field))
        except Disconnected:
            raise
        except Exception:  # the lane answers in its own shape; the fault is logged whole
            log.exception("ingest_failed", path=request.name, request_id=request.id)
            status, body = 500, msgspec.json.encode(error_body("internal_error", "A fault of ours. Send it again."))
        keep = await request.discard()
        if status in LATER and request.path in WRITES:  # a webhook's sender does not ask again
            await self._hold(request)
        _account(request, status)
        await _send(send, request, status, body, retry_after, keep, await self._readable(request))
        failpoint("answered")
        if tally and self._flushing is None:
            self._flushing = asyncio.create_task(self._flush_soon())

    async def _hold(self, request: Request) -> None:
        """Wait before a refusal is said: senders that do not wait take the time of what we could store.

        Its body is let go. Raises Disconnected.
        """
        request.free()
        if self._held >= HELD_AT_ONCE:
            return
        self._held += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(HELD_FOR):
                    while True:
                        await request.chunk()
        finally:
            self._held -= 1

    async def _preflight(self, request: Request) -> work.Answer:
        """Whether a page may send. Raises Refusal (403, 503)."""
        if not await self._origins.lists(request.headers["origin"]):
            raise origins.not_listed()
        return work.Answer(204, b"", Counter())

    async def _readable(self, request: Request) -> origins.Headers:
        """Who may read the answer: of every answer to a page, also of an error."""
        origin = request.headers.get("origin", "")
        if request.path not in WRITES or not origin:
            return []
        return origins.cors_headers(origin, await self._origins.allows(origin, request.origins))

    async def _flush_soon(self) -> None:
        """Write what was counted, about once a second while anything is sent."""
        await asyncio.sleep(FLUSH_SECONDS)
        self._flushing = None
        try:
            await self.pool.run(partial(work.in_database, tally.flush))
        except Refusal:  # it stays counted until the database is back and somebody sends again
            log.info("tally_kept")

    async def _work(self, request: Request) -> work.Answer:
        if request.method != "POST":
            raise Refusal(405, "method_not_allowed", "Only POST is possible here.")
        if request.path == RECEIPTS:
            if is_client_token(request.headers.get("authorization", "").partition(" ")[2]):
                raise missing_scope("A client token opens the four ingest endpoints and nothing else.")
            return await self._receipts(request)
        if request.path.startswith(webhooks.PREFIX):
            return await self._webhook(request)
        caller = await self._known(self._keys, keys.bearer(request.headers.get("authorization", "")))
        request.caller, request.origins = caller.prefix, caller.source.allowed_origins
        if Scope.INGEST not in caller.scopes:
            raise missing_scope("This key has not the scope ingest. Make one that has it.")
        self._rates.take(caller, time.monotonic())
        packed = is_packed(request)
        content = await request.read(self.of_keys, caller.prefix)
        sent = work.Sent(caller.source, content, packed, caller.org)
        answer = await self.writes[request.path].run(sent, caller.source.pk, len(content))
        if (said := said_sent(request, caller, answer.counts)) is not None:
            tally.said(said)
        return answer

    async def _known(self, memory: ShortMemory[T], secret: str) -> T:
        """What is behind a key or an address; many who ask at once ask the database once. Raises Refusal (401, 503)."""
        known = memory.get(secret)
        if known is None and (asked := self._asking.get(secret)) is not None:
            await asyncio.wait([asked])
            known = memory.get(secret)
        if known is None:
            look_up = self.pool.run(partial(work.in_database, partial(memory.look_up, secret)))
            self._asking[secret] = asking = asyncio.create_task(look_up)
            try:
                known = await asking
            finally:
                self._asking.pop(secret, None)
        return known

    async def _webhook(self, request: Request) -> work.Answer:
        endpoint = await self._known(self._endpoints, request.path)
        request.caller = endpoint.public_id
        packed = request.headers.get("content-encoding", "").strip().lower() == "gzip"
        allowed = may_post(endpoint, request.client)
        content = await request.read(self.of_webhooks, endpoint.public_id) if allowed else b""
        posted = webhooks.Posted(endpoint, request.client, content, packed)
        return await self._deliveries.run(posted, endpoint.pk, len(content))

    async def _receipts(self, request: Request) -> work.Answer:
        if is_packed(request):
            raise Refusal(415, "unsupported_type", "A receipt is signed as it is: send it without gzip.")
        receipts.check_headers(request.headers)
        content = await request.read(self.of_strangers, site(request.client))
        receipts.verify(content, request.headers)
        request.caller = "notification-service"
        return await self.pool.run(partial(work.write_receipts, content))


def missing_scope(message: str) -> Refusal:
    """403 for a key that may not write, and for a token where none is taken."""
    return Refusal(403, "missing_scope", message)


def _write(path: str, group: Sequence[work.Sent]) -> Sequence[work.Answer | Refusal]:
    return work.write(WRITES[path], group)


# A metric with its labels, kept: finding it takes a lock and longer than counting.
_labelled = lru_cache(maxsize=1000)(lambda metric, *labels: metric.labels(*labels))


def _account(request: Request, status: int) -> None:
    """One log line and the metrics of a request; never its content."""
    seconds = time.monotonic() - request.started
    _labelled(REQUESTS, request.name, str(status)).inc()
    _labelled(SECONDS, request.name).observe(seconds)
    for name, count in request.counts.items():
        _labelled(ITEMS, request.name, name).inc(count)
    log.info(
        "ingest",
        method=request.method,
        path=request.name,
        status=status,
        ms=round(seconds * 1000, 1),
        key=request.caller,
        request_id=request.id,
        **request.counts,
    )


async def _send(
    send: Send,
    request: Request,
    status: int,
    body: bytes,
    retry_after: int | None,
    keep: bool,
    readable: origins.Headers,
) -> None:
    headers = [
        (b"x-request-id", request.id.encode()),
        (b"x-content-type-options", b"nosniff"),
        *readable,
    ]
    if status == 204:
        headers += origins.PREFLIGHT
    else:
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 405:
        headers.append((b"allow", b"POST"))
    if not keep:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@lru_cache(maxsize=1)
def lane() -> Lane:
    """The lane of this process."""
    return Lane()
