"""The synchronous function of a request: decode, check each item, one call of actions, one answer for each item.

Runs in a thread of the lane's pool. A plain executor carries no context variables: the scope is entered here.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
import psycopg
import structlog
from django.db import Error, IntegrityError, InterfaceError, OperationalError, connections
from django_scopes import scopes_disabled

from alerts import actions
from alerts.failpoints import failpoint
from alerts.items import Accepted, ReceiptItem, Result
from console.ingest import check
from console.ingest.check import InvalidItem, ItemKind, ItemSender
from console.ingest.decode import ItemsBody, Refusal, decode, unpack
from console.ingest.tally import Passed, tally
from orgs import clock
from orgs.identifiers import spelled
from orgs.logs import described
from orgs.models import Org, Source, SourceHeard

STATUSES = ("created", "updated", "duplicate", "conflict", "invalid")
SINGLE_STATUS = {"created": 201, "updated": 200, "duplicate": 200, "conflict": 409, "invalid": 422}
TRIES = 3
ROLLED_BACK = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
HEARD_EVERY = timedelta(seconds=10)
NEVER = datetime(1, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)
_heard: dict[tuple[int, int], datetime] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send: status, JSON bytes, and the counts per item status for log and metrics."""

    status: int
    body: bytes
    counts: Counter[str]


T = TypeVar("T")
Record = Callable[[Source, list[Accepted]], list[Result]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of the lane: the kind of its items, and the action that stores them."""

    path: str
    kind: ItemKind
    record: Record


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


def write(endpoint: Endpoint, source: Source, content: bytes, *, packed: bool) -> Answer:
    """Store the items of one request from a source. Raises Refusal."""
    body = decode(unpack(content) if packed else content)
    with database():
        now = clock.now()
        sender = _sender(source, body)
        accepted, results = _check_all(body, endpoint.kind, sender, now)
        results += _in_tries(lambda: endpoint.record(source, accepted)) if accepted else []
        failpoint("ingest_committed")
        note_heard(source, {one.org_id for one in accepted}, now)
    passed = Passed(source, endpoint.path, endpoint.kind, body, accepted, results, dict(sender.orgs), now)
    tally.request(passed)
    return answer(body, results)


def write_receipts(record: Callable[[list[ReceiptItem]], list[Result]], content: bytes) -> Answer:
    """Store the receipts of one request that was signed by notification-service. Raises Refusal."""
    body = decode(content)
    items: list[tuple[int, ReceiptItem]] = []
    results: list[Result] = []
    with database():
        now = clock.now()
        for index, raw in enumerate(body.items):
            try:
                item, _ = check.convert(raw, check.RECEIPTS, now)
                assert isinstance(item, ReceiptItem)
                items.append((index, item))
            except InvalidItem as error:
                results.append(_invalid(body, index, raw, check.RECEIPTS, error))
        stored = _in_tries(lambda: record([item for _, item in items])) if items else []
    for (index, _), result in zip(items, stored, strict=True):
        result.index = index
        if result.error and "field" in result.error:
            result.error["field"] = body.field(index, result.error["field"])
        results.append(result)
    return answer(body, results)


def answer(body: ItemsBody, results: list[Result]) -> Answer:
    """One bare result for one bare object, else 207 with all results in the order sent, and their counts."""
    results.sort(key=lambda result: result.index)
    counts: Counter[str] = Counter(result.status for result in results)
    if body.single:
        return Answer(SINGLE_STATUS[results[0].status], msgspec.json.encode(results[0]), counts)
    content = {"results": results} | {status: counts[status] for status in STATUSES}
    return Answer(207, msgspec.json.encode(content), counts)


def _sender(source: Source, body: ItemsBody) -> ItemSender:
    if source.org is not None:
        own = spelled(source.org.external_id)
        return ItemSender({own: source.org.pk}, own)
    named = check.named_orgs(body.items)
    orgs = dict(Org.objects.filter(external_id__in=named).values_list("external_id", "pk")) if named else {}
    return ItemSender(orgs, None)


def _check_all(
    body: ItemsBody, kind: ItemKind, sender: ItemSender, now: datetime
) -> tuple[list[Accepted], list[Result]]:
    accepted, refused = [], []
    for index, raw in enumerate(body.items):
        try:
            accepted.append(check.check(raw, index, kind, sender, now))
        except InvalidItem as error:
            refused.append(_invalid(body, index, raw, kind, error))
    return accepted, refused


def _invalid(body: ItemsBody, index: int, raw: object, kind: ItemKind, error: InvalidItem) -> Result:
    described = {"code": error.code, "message": error.message}
    if field := body.field(index, error.field):
        described["field"] = field
    return Result(index, check.item_id(raw, kind), "invalid", described)


def _in_tries(step: Callable[[], list[Result]]) -> list[Result]:
    """A deadlock or serialization failure rolled everything back: try again, a little later each time."""
    for attempt in range(1, TRIES + 1):
        try:
            return step()
        except OperationalError as error:
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


EVENTS = Endpoint("/api/failure-events", check.EVENTS, actions.record_events)
ACTIVITY = Endpoint("/api/room-activity", check.ACTIVITY, actions.record_activity)
