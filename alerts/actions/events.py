"""Failure events in: stored, decided and planned in one transaction."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction

from alerts.actions.book import Book, worsen
from alerts.actions.conversation import hear_moment, of_event
from alerts.actions.known import Known, known_now
from alerts.actions.tables import as_json, fetch
from alerts.decide import Decision, EventFacts, PolicyFacts, decide, severity_of, threshold_of
from alerts.items import Accepted, EventItem, ItemT, Result, RoomNames
from alerts.models import Alert, FailureEvent, Room, RoomActivity
from alerts.rows import EventRow
from alerts.times import heard
from orgs.models import Agent, Org, Source
from orgs.signals.low_confidence import LOW_CONFIDENCE

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
    book.lock((one.org_id, one.item.room_id) for _, accepted in batches for one in accepted)
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
    book.outbox.expected = of_agents
    versions: dict[int, tuple[Agent, str]] = {}
    for (source, _), some in zip(batches, created, strict=True):
        happened = heard([(one.item.occurred_at, one.received_at or now) for one in some])
        for one, at in zip(some, happened, strict=True):
            agent = agents[one.org_id, one.item.agent_name]
            room = book.rooms[one.org_id, one.item.room_id]
            event = _event(source, one, agent, room, at, now)
            _apply(book, event, one.item, room, agent, orgs[one.org_id], policies[one.org_id, agent.pk])
            book.events.append(event)
            if event.agent_version and event.reason != "late":
                versions[agent.pk] = agent, event.agent_version
    _follow_versions(versions)
    book.close()
    return answers


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
    )


def _apply(
    book: Book, event: EventRow, item: EventItem, room: Room, agent: Agent, org: Org, policy: PolicyFacts
) -> None:
    """Decide one event and change its room's alert accordingly."""
    facts = EventFacts(
        event.signal,
        event.occurred_at,
        event.confidence,
        event.threshold,
        event.handoff_completed,
        event.customer_waiting_since,
    )
    newest = book.alerts.get(room.pk)
    decision = decide(newest.facts if newest else None, room.facts, facts, policy, book.now)
    event.reason, event.severity = decision.reason, severity_of(facts, policy)
    if event.signal == LOW_CONFIDENCE.name:
        event.threshold = threshold_of(facts, policy)
    texts = (item.room_label, item.channel, item.room_url, item.last_customer_text)
    book.remember(room, org, RoomNames(*[text or "" for text in texts]))
    if decision.change is None:
        return
    if decision.reason != "late":
        _hear(book, event, room, newest)
    alert = newest
    if decision.change == "opened" or alert is None:
        alert = Alert(org=org, room=room, agent=agent, version=0)
        book.alerts[room.pk] = alert
    previous = alert.severity
    if decision.change in ("opened", "rearmed"):
        _start_episode(alert, event, agent, decision, room, book.now)
    _attach(alert, event, decision, room, book.now)
    event.alert_id = alert.pk
    detail = {"from": previous, "to": alert.severity} if decision.change == "worsened" else {}
    book.record(alert, decision.change, decision.reason, event=event, detail=detail, notify=decision.notify)
    book.tell()


def _hear(book: Book, event: EventRow, room: Room, alert: Alert | None) -> None:
    """Let the failure change its room; if the bot had recovered, the ladder goes on from where it stopped."""
    stopped = room.recovered_at if room.facts.recovered else None
    hear_moment(book, room, of_event(event))
    if alert is not None and stopped is not None and not room.facts.recovered:
        alert.ladder_from += max(book.now - max(stopped, alert.ladder_from), timedelta(0))


def _start_episode(alert: Alert, event: EventRow, agent: Agent, decision: Decision, room: Room, now: datetime) -> None:
    """A new stretch of trouble: the alert's times and people start anew; its events and history stay."""
    alert.episode = alert.episode + 1 if decision.change == "rearmed" else 1
    alert.state = Alert.State.OPEN
    alert.opened_at = alert.ladder_from = now
    alert.first_failure_at = alert.last_event_at = event.occurred_at
    alert.repeats_done = 0
    alert.acknowledged_at = alert.acknowledge_expires_at = alert.intervened_at = alert.resolved_at = None
    alert.acknowledged_by = alert.intervened_by = alert.resolved_by = alert.assigned_to = None
    alert.human_acted_at = alert.snoozed_until = alert.revived_at = alert.waited_since = None
    alert.resolved_kind, alert.undoable = "", []
    alert.agent = agent
    if decision.reason == "human_present":
        alert.state = Alert.State.INTERVENED
        alert.intervened_at, alert.intervened_by_id = room.human_since or room.human_last_at, room.human_id


def _attach(alert: Alert, event: EventRow, decision: Decision, room: Room, now: datetime) -> None:
    if decision.change == "worsened":
        worsen(alert, decision.severity, now)
    alert.severity = decision.severity
    alert.event_count += 1
    alert.agent_version = event.agent_version or alert.agent_version
    alert.last_event_at = max(alert.last_event_at, event.occurred_at)
    if decision.reason != "late":
        alert.first_failure_at = min(alert.first_failure_at, event.occurred_at)
    alert.customer_waiting_since = room.customer_waiting_since
    at = event.occurred_at.isoformat()
    for entry in alert.signals:
        if entry["signal"] == event.signal and entry["episode"] == alert.episode:
            entry["count"] += 1
            entry["first_at"], entry["last_at"] = min(entry["first_at"], at), max(entry["last_at"], at)
            entry["severity"] = event.severity
            return
    entry = {"signal": event.signal, "count": 1, "first_at": at, "last_at": at, "severity": event.severity}
    alert.signals = [*alert.signals, {**entry, "episode": alert.episode}]
