"""Failure events in: stored, decided and planned in one transaction."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from django.db import IntegrityError, transaction

from alerts.actions.book import Book
from alerts.actions.failures import apply_event
from alerts.actions.same_run import SameRuns
from alerts.decide import (
    CRITICAL,
    LATE_AFTER,
    OPENS_LATE_WITHIN,
    EventFacts,
    severity_of,
)
from alerts.items import Accepted, EventItem, ItemT, Result, RoomNames
from alerts.known import Known, known_now
from alerts.models import FailureEvent, Room, RoomActivity
from alerts.policy import PolicyFacts
from alerts.rows import EventRow
from alerts.tables import as_json, fetch
from alerts.times import heard
from orgs.models import Agent, Source

ATTEMPTS = 3
CONFLICT = {
    "code": "id_conflict",
    "message": "This id was used before with other content. The first one is kept; send a new id.",
}
Batch = tuple[Source, Sequence[Accepted[ItemT]]]  # the items of one request, and whose it is
Hashes = dict[tuple[int, int, str], bytes]  # payload hashes by (source pk, org pk, id)


def record_events(source: Source, accepted: Sequence[Accepted[EventItem]]) -> list[Result]:
    """Store and decide one batch: see `record_event_batches`."""
    return record_event_batches([(source, accepted)])[0]


def record_event_batches(batches: Sequence[Batch[EventItem]]) -> list[list[Result]]:
    """Store and decide some batches in one transaction, one after the other, as if each had come alone.

    One Result for each item, in its order: created, duplicate or conflict. Raises OperationalError when the database is
    away; nothing is stored then. Two transactions with the same id for two different rooms meet in the unique
    constraint: the loser starts again and finds a duplicate.
    """
    return retried(lambda: _record(batches, *known_now()))


def retried(record: Callable[[], list[list[Result]]]) -> list[list[Result]]:
    """What `record` answers, in a transaction of its own; tried again if another one took one of its ids."""
    for _ in range(ATTEMPTS - 1):
        with suppress(IntegrityError), transaction.atomic():
            return record()
    with transaction.atomic():
        return record()


def _record(batches: Sequence[Batch[EventItem]], now: datetime, known: Known) -> list[list[Result]]:
    book = Book(now, known)
    book.lock(rooms_of(batches))
    answers = decide_batches(book, batches)
    book.close()
    return answers


def rooms_of(batches: Sequence[Batch[EventItem]]) -> set[tuple[int, str]]:
    """The rooms that these failures happened in, as (org pk, room id)."""
    return {(one.org_id, one.item.room_id) for _, accepted in batches for one in accepted}


def decide_batches(book: Book, batches: Sequence[Batch[EventItem]]) -> list[list[Result]]:
    """Decide some batches in a book that has locked their rooms, and closes when all is decided."""
    now, known = book.now, book.known
    seen = known_hashes(FailureEvent, "event_id", [(s, one, one.item.event_id) for s, some in batches for one in some])
    orgs = known.orgs({one.org_id for _, accepted in batches for one in accepted})
    answers, created = [], []
    for source, accepted in batches:
        results = [judge_repeat(seen, source, one, one.item.event_id) for one in accepted]
        answers.append(results)
        created.append([one for one, result in zip(accepted, results, strict=True) if result.status == "created"])
    agents = known.agents({(one.org_id, one.item.agent_name) for some in created for one in some})
    of_agents = {(agent.org_id, agent.pk) for agent in agents.values()}
    policies = known.policies(of_agents)
    book.expect_tellings()
    book.outbox.expected |= of_agents
    book.outages.watch(*_failing_critically(batches, created, agents, policies), policies)
    book.outages.load(of_agents)
    rooms = book.rooms
    _look_back(
        book, [(rooms[one.org_id, one.item.room_id].pk, one.item.occurred_at) for some in created for one in some]
    )
    versions: dict[int, tuple[Agent, str]] = {}
    named = ((one.org_id, str(one.item.run_id or ""), one.item.signal) for some in created for one in some)
    runs = SameRuns(list(named))
    for (source, _), some in zip(batches, created, strict=True):
        happened = heard([(one.item.occurred_at, one.received_at or now) for one in some])
        for one, at in zip(some, happened, strict=True):
            agent = agents[one.org_id, one.item.agent_name]
            room = book.rooms[one.org_id, one.item.room_id]
            event = _event(source, one, agent, room, at, now)
            names = RoomNames(*[text or "" for text in _names(one.item)])
            apply_event(book, event, room, agent, orgs[one.org_id], policies[one.org_id, agent.pk], runs, names)
            if event.agent_version and event.reason != "late":
                versions[agent.pk] = agent, event.agent_version
    _follow_versions(versions)
    return answers


def decide_again(book: Book, events: Sequence[EventRow]) -> None:
    """Decide failure events that were heard in one transaction, in a book that has locked their rooms: a replay."""
    known, rooms = book.known, {room.pk: room for room in book.rooms.values()}
    agents = known.agents_by_pk({event.agent_id for event in events if event.agent_id})
    orgs = known.orgs({event.org_id for event in events})
    pairs = [((event.org_id, event.agent_id or 0), event) for event in events]
    keys = {key for key, _ in pairs}
    policies = known.policies(keys)
    critical = [(key, event) for key, event in pairs if severity_of(_severe(event), policies[key]) == CRITICAL]
    book.expect_tellings()
    book.outbox.expected |= keys
    book.outages.watch({key for key, _ in critical}, {(e.org_id, e.source_id) for _, e in critical}, policies)
    book.outages.load(keys)
    _look_back(book, [(event.room_id, event.occurred_at) for event in events])
    runs = SameRuns([(event.org_id, event.run_id, event.signal) for event in events if event.run_id])
    for key, event in pairs:
        agent, names = agents.get(key[1]), RoomNames(channel=event.channel)
        apply_event(book, event, rooms[event.room_id], agent, orgs[event.org_id], policies[key], runs, names)


def _look_back(book: Book, happened: Sequence[tuple[int, datetime]]) -> None:
    """Know what was heard since of what is told too late: whether we were down then, and who entered its room.

    `happened`: (room pk, when). No query where all came in time.
    """
    late = [(room, at) for room, at in happened if book.now - at > LATE_AFTER]
    if not late:
        return
    since = min(at for _, at in late)
    book.entered = book.stored.last_entered(sorted({room for room, _ in late}), since)
    if book.now - since > OPENS_LATE_WITHIN:
        book.downs = book.stored.downtimes(since)


def _severe(event: EventRow) -> EventFacts:
    return EventFacts(event.signal, event.occurred_at, handoff_completed=event.handoff_completed)


def _failing_critically(
    batches: Sequence[Batch[EventItem]],
    created: Sequence[Sequence[Accepted[EventItem]]],
    agents: dict[tuple[int, str], Agent],
    policies: dict[tuple[int, int], PolicyFacts],
) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """The agents of which a failure is critical, as (org pk, agent pk), and who tells of it, as (org pk, source pk)."""
    failing, telling = set(), set()
    for source, one in ((source, one) for (source, _), some in zip(batches, created, strict=True) for one in some):
        key = one.org_id, agents[one.org_id, one.item.agent_name].pk
        completed = one.item.handoff.completed if one.item.handoff else None
        facts = EventFacts(one.item.signal, one.item.occurred_at, handoff_completed=completed)
        if severity_of(facts, policies[key]) == CRITICAL:
            failing.add(key)
            telling.add((one.org_id, source.pk))
    return failing, telling


def known_hashes(
    model: type[FailureEvent | RoomActivity], field: str, keys: Sequence[tuple[Source, Accepted, str]]
) -> Hashes:
    """The payload hashes of what is stored already, of these ids (and of whoever else used one of them)."""
    rows = fetch(
        f"SELECT source_id, org_id, {field}, payload_hash FROM {model._meta.db_table}"  # noqa: S608
        f" WHERE org_id = ANY(%b::bigint[]) AND source_id = ANY(%b::bigint[]) AND {field} = ANY(%b::varchar[])",
        [list({one.org_id for _, one, _ in keys}), list({s.pk for s, _, _ in keys}), [key for _, _, key in keys]],
    )
    return {(source, org, item_id): bytes(payload_hash) for source, org, item_id, payload_hash in rows}


def judge_repeat(seen: Hashes, source: Source, one: Accepted, item_id: str) -> Result:
    """created for a new id, which is `seen` from then on; duplicate for the same content again, else conflict."""
    key = (source.pk, one.org_id, item_id)
    stored = seen.get(key)
    if stored is None:
        seen[key] = one.payload_hash
        return Result(one.index, item_id, "created")
    if stored == one.payload_hash:
        return Result(one.index, item_id, "duplicate")
    return Result(one.index, item_id, "conflict", CONFLICT)


def _follow_versions(versions: dict[int, tuple[Agent, str]]) -> None:
    """Keep the newest version that each agent reported, by its pk; that of a late event is old news."""
    changed = [{"id": pk, "version": new} for pk, (agent, new) in sorted(versions.items()) if agent.version != new]
    if changed:
        fetch(
            "UPDATE orgs_agent agent SET version = given.version"
            " FROM json_to_recordset(%b::json) AS given (id bigint, version varchar) WHERE agent.id = given.id",
            [as_json(changed)],
        )


def _event(source: Source, one: Accepted[EventItem], agent: Agent, room: Room, at: datetime, now: datetime) -> EventRow:
    item = one.item
    return EventRow(
        org_id=one.org_id,
        source_id=source.pk,
        event_id=item.event_id,
        payload_hash="\\x" + one.payload_hash.hex(),
        room_id=room.pk,
        agent_id=agent.pk,
        signal=item.signal,
        occurred_at=at,
        as_sent=item.occurred_at if at != item.occurred_at else None,
        received_at=now,
        clock_flagged=one.clock_flagged,
        flags=one.flags,
        agent_version=item.agent_version or "",
        run_id=str(item.run_id or ""),
        channel=item.channel or "",
        confidence=item.confidence,
        threshold=item.threshold,
        message_count=item.message_count,
        message_cap=item.message_cap,
        error_type=item.error.type if item.error else "",
        error_message=(item.error.message or "") if item.error else "",
        handoff_reason=(item.handoff.reason or "") if item.handoff else "",
        handoff_completed=item.handoff.completed if item.handoff else None,
        customer_waiting_since=item.customer_waiting_since and item.customer_waiting_since.astimezone(UTC),
        metadata=item.metadata or {},
        handoff_source=(item.handoff.source or "") if item.handoff else "",
        handoff_target=(item.handoff.target or "") if item.handoff else "",
    )


def _names(item: EventItem) -> tuple[str | None, ...]:
    return item.room_label, item.channel, item.room_url, item.last_customer_text
