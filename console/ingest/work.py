"""The synchronous function of some requests: decode, check each item, one call of actions, one answer for each item.

Runs in a thread of the lane. A plain executor carries no context variables: the scope is entered here.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec
import psycopg
import structlog
from django.db import Error, IntegrityError, InterfaceError, OperationalError, connections
from django_scopes import scopes_disabled

from alerts import actions
from alerts.delivery.receipts import record_receipts
from alerts.failpoints import failpoint
from alerts.items import Accepted, ItemT, Result
from alerts.tables import fetch
from console.ingest import check, records
from console.ingest.check import InvalidItem, ItemKind, ItemSender
from console.ingest.decode import ItemsBody, Refusal, decode, unpack
from console.ingest.quick import QuickBody, QuickCheck, quick_body
from console.ingest.tally import Passed, tally
from orgs import clock
from orgs.errors import error_body
from orgs.identifiers import spelled
from orgs.logs import described
from orgs.models import Org, Source, SourceHeard
from runs.store import store_review_batches, store_run_batches

STATUSES = ("created", "updated", "duplicate", "conflict", "invalid")
SINGLE_STATUS = {"created": 201, "updated": 200, "duplicate": 200, "conflict": 409, "invalid": 422}
TRIES = 3
ROLLED_BACK = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
HEARD_EVERY = timedelta(seconds=10)
NEVER = datetime(1, 1, 1, tzinfo=UTC)
ORGS = "SELECT external_id, id FROM orgs_org WHERE external_id = ANY(%b::varchar[])"

log = structlog.get_logger(__name__)
_heard: dict[tuple[int, int], datetime] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send: status, JSON bytes, and the counts per item status for log and metrics."""

    status: int
    body: bytes
    counts: Counter[str]


T = TypeVar("T")
Record = Callable[[list[tuple[Source, list[Accepted[ItemT]]]]], list[list[Result]]]


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[ItemT]):
    """One path of the lane: the kind of its items, and the action that stores those of several requests at once."""

    path: str
    kind: ItemKind[ItemT]
    record: Record[ItemT]
    quick: bool = False  # its items are read by `console.ingest.quick` where they can be


@contextmanager
def database() -> Iterator[None]:
    """The lane's scope; gives the connection back to the pool. A database that is away becomes a Refusal (503)."""
    try:
        with scopes_disabled():
            yield
    except (OperationalError, InterfaceError, psycopg.OperationalError, IntegrityError) as error:
        log.warning("ingest_unavailable", error=described(error))
        raise Refusal(503, "unavailable", "Nothing was stored. Send the same items again.", retry_after=2) from error
    finally:
        connections.close_all()


def in_database(step: Callable[[], T]) -> T:
    """Call `step` in the lane's scope. Raises Refusal (503) if the database is away."""
    with database():
        return step()


@dataclass(frozen=True, slots=True)
class Sent:
    """One request from a source; `packed`: its content is gzip. `org`: the one it may write for, of a client token."""

    source: Source
    content: bytes
    packed: bool
    org: Org | None = None


@dataclass(frozen=True, slots=True)
class Judged(Generic[ItemT]):
    """One request, read and judged: what is accepted, and the answers to what is not."""

    source: Source
    body: ItemsBody
    sender: ItemSender
    accepted: list[Accepted[ItemT]]
    refused: list[Result]


def write(endpoint: Endpoint[ItemT], group: Sequence[Sent]) -> list[Answer | Refusal]:
    """Store the items of some requests in one transaction; each one's answer, or its Refusal.

    Raises Refusal (503) for all of them, or whatever may be the fault of one: then each is to be written alone.
    """
    bodies = [_decoded(sent, quick=endpoint.quick) for sent in group]
    try:
        with database():
            now, named = clock.now(), dict[str, int]()
            judged = [
                body if isinstance(body, Refusal) else _judge(endpoint.kind, sent, body, now, named)
                for sent, body in zip(group, bodies, strict=True)
            ]
            asked = [one for one in judged if isinstance(one, Judged) and one.accepted]
            stored = _in_tries(lambda: endpoint.record([(one.source, one.accepted) for one in asked])) if asked else []
            failpoint("ingest_committed")
            for source, orgs in _heard_of(asked).items():
                note_heard(source, orgs, now)
    except Refusal as refusal:
        if len(group) > 1 and isinstance(refusal.__cause__, IntegrityError | HeldUp):
            raise refusal.__cause__ from None
        raise
    results = dict(zip(map(id, asked), stored, strict=True))
    return [
        one if isinstance(one, Refusal) else _answered(endpoint, one, results.get(id(one), []), now) for one in judged
    ]


def _decoded(sent: Sent, *, quick: bool) -> ItemsBody | Refusal:
    try:
        content = unpack(sent.content) if sent.packed else sent.content
        return (quick_body(content) if quick else None) or decode(content)
    except Refusal as refusal:
        return refusal


def _judge(
    kind: ItemKind[ItemT], sent: Sent, body: ItemsBody, now: datetime, orgs: dict[str, int]
) -> Judged[ItemT] | Refusal:
    """`orgs`: pk by external id, of those that the requests before it named."""
    try:
        sender = _sender(sent.org or sent.source.org, body, orgs)
        if isinstance(body, QuickBody):
            accepted, refused = _judge_quickly(body, kind, sender, now)
        else:
            accepted, refused = _judge_each(body, kind, lambda raw, index: check.check(raw, index, kind, sender, now))
    except Refusal as refusal:  # what was read quickly is no JSON in the strict sense
        return refusal
    return Judged(sent.source, body, sender, accepted, refused)


def _judge_quickly(
    body: QuickBody, kind: ItemKind[Any], sender: ItemSender, now: datetime
) -> tuple[list[Accepted[Any]], list[Result]]:
    """What needs a closer look is judged as ever."""
    quick = QuickCheck(sender, now)
    taken = [quick.take(item, index) for index, item in enumerate(body.made)]
    if None not in taken:
        return [one for one in taken if one is not None], []
    accepted, refused = _judge_each(
        body, kind, lambda raw, index: taken[index] or check.check(raw, index, kind, sender, now)
    )
    return accepted, refused


def _heard_of(asked: Sequence[Judged[Any]]) -> dict[Source, set[int]]:
    """The orgs that each source was heard for."""
    found: dict[Source, set[int]] = {}
    for one in asked:
        found.setdefault(one.source, set()).update(accepted.org_id for accepted in one.accepted)
    return found


def _answered(endpoint: Endpoint[ItemT], one: Judged[ItemT], results: list[Result], now: datetime) -> Answer:
    for result in results:
        if result.error and "field" in result.error:  # refused where it was to be stored
            result.error = {**result.error, "field": one.body.field(result.index, result.error["field"])}
    results = one.refused + results
    tally.request(
        Passed(one.source, endpoint.path, endpoint.kind, one.body, one.accepted, results, dict(one.sender.orgs), now)
    )
    return answer(one.body, results)


def write_receipts(content: bytes) -> Answer:
    """Store the receipts of one request that was signed by notification-service. Raises Refusal."""
    body = decode(content)
    with database():
        now = clock.now()
        kind = check.RECEIPTS
        items, results = _judge_each(body, kind, lambda raw, index: (index, check.convert(raw, kind, now)[0]))
        stored = _in_tries(lambda: record_receipts([item for _, item in items])) if items else []
    for (index, _), result in zip(items, stored, strict=True):
        result.index = index
        if result.error and "field" in result.error:
            result.error["field"] = body.field(index, result.error["field"])
    return answer(body, results + stored)


def answer(body: ItemsBody, results: list[Result]) -> Answer:
    """One bare result for one bare object, else 207 with all results in the order sent, and their counts."""
    results.sort(key=lambda result: result.index)
    counts: Counter[str] = Counter(result.status for result in results)
    if body.single:
        return Answer(SINGLE_STATUS[results[0].status], msgspec.json.encode(results[0]), counts)
    content = {"results": results} | {status: counts[status] for status in STATUSES}
    return Answer(207, msgspec.json.encode(content), counts)


def _sender(org: Org | None, body: ItemsBody, orgs: dict[str, int]) -> ItemSender:
    if org is not None:
        own = spelled(org.external_id)
        return ItemSender({own: org.pk}, own)
    named = check.named_orgs(body.orgs if isinstance(body, QuickBody) else body.items)
    if missing := named - orgs.keys():
        orgs.update(fetch(ORGS, [list(missing)]))
    return ItemSender({name: orgs[name] for name in named & orgs.keys()}, None)


def _judge_each(body: ItemsBody, kind: ItemKind[Any], judge: Callable[[Any, int], T]) -> tuple[list[T], list[Result]]:
    """What `judge` makes of each item and its index, and the answers to those that it refuses."""
    accepted, refused = [], []
    for index, raw in enumerate(body.items):
        try:
            accepted.append(judge(raw, index))
        except InvalidItem as error:
            said = error_body(error.code, error.message, body.field(index, error.field))["error"]
            refused.append(Result(index, check.item_id(raw, kind), "invalid", said))
    return accepted, refused


class HeldUp(OperationalError):
    """Somebody holds a room for longer than a request may wait for it."""


def _in_tries(step: Callable[[], list[T]]) -> list[T]:
    """A deadlock or serialization failure rolled everything back: try again, a little later each time.

    Raises HeldUp.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return step()
        except OperationalError as error:
            if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                raise HeldUp(*error.args) from error
            if attempt == TRIES or not isinstance(error.__cause__, ROLLED_BACK):
                raise
            time.sleep(random.uniform(0.005, 0.02) * attempt)  # noqa: S311 - jitter, not a secret
    raise AssertionError("unreachable")


def note_heard(source: Source, orgs: Iterable[int], now: datetime) -> None:
    """Remember, at most every 10 s, that this source was heard for these orgs. Never fails the request."""
    heard = set(orgs) | ({source.org_id} if source.org_id else set())
    due = [org for org in sorted(heard) if _heard.get((org, source.pk), NEVER) + HEARD_EVERY <= now]
    if not due:
        return
    rows = [SourceHeard(org_id=org, source=source, at=now) for org in due]
    try:
        SourceHeard.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["org", "source"], update_fields=["at"]
        )
    except Error as error:
        log.warning("source_heard_lost", source=source.pk, error=described(error))
        return
    _heard.update({(org, source.pk): now for org in due})


EVENTS = Endpoint("/api/failure-events", check.EVENTS, actions.record_event_batches)
ACTIVITY = Endpoint("/api/room-activity", check.ACTIVITY, actions.record_activity_batches)
RUNS = Endpoint("/api/agent-runs", records.RUNS, store_run_batches, quick=True)
REVIEWS = Endpoint("/api/agent-qc", records.REVIEWS, store_review_batches)
