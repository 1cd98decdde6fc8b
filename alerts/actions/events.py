"""Failure events in: stored, decided and planned in one transaction."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction

from alerts.actions.book import Book, worsen
from alerts.actions.conversation import hear_moment, of_event
from alerts.decide import Decision, EventFacts, PolicyFacts, decide, severity_of, threshold_of
from alerts.items import Accepted, EventItem, Result, RoomNames
from alerts.models import Alert, FailureEvent, Room
from alerts.times import heard
from orgs import clock
from orgs.models import Agent, Org, Policy, Source
from orgs.signals.low_confidence import LOW_CONFIDENCE

ATTEMPTS = 3
CONFLICT = {
    "code": "id_conflict",
    "message": "This id was used before with other content. The first one is kept; send a new id.",
}


def record_events(source: Source, accepted: Sequence[Accepted[EventItem]]) -> list[Result]:
    """Store and decide a batch; one Result for each item, in its order: created, duplicate or conflict.

    Raises OperationalError when the database is away; nothing is stored then. Two batches with the same id for
    two different rooms meet in the unique constraint: the loser starts again and finds a duplicate.
    """
    return retried(lambda: _record(source, accepted, clock.now()))


def retried(record: Callable[[], list[Result]]) -> list[Result]:
    """What `record` answers, in a transaction of its own; tried again if another one took one of its ids."""
    for _ in range(ATTEMPTS - 1):
        with suppress(IntegrityError), transaction.atomic():
            return record()
    with transaction.atomic():
        return record()


def _record(source: Source, accepted: Sequence[Accepted[EventItem]], now: datetime) -> list[Result]:
    items = [(a, a.item) for a in accepted]
    orgs = Org.objects.in_bulk({a.org_id for a in accepted})
    book = Book(now)
    book.lock((a.org_id, item.room_id) for a, item in items)
    results = _judge_repeats(source, items)
    created = [pair for pair, result in zip(items, results, strict=True) if result.status == "created"]
    agents = _agents({(one.org_id, item.agent_name) for one, item in created})
    policies = _policies(orgs)
    events = []
    happened = heard([(item.occurred_at, one.received_at or now) for one, item in created])
    for (one, item), at in zip(created, happened, strict=True):
        agent = agents[(one.org_id, item.agent_name)]
        event = _event(source, one, item, agent, book.rooms[(one.org_id, item.room_id)], now)
        event.occurred_at, event.as_sent = at, item.occurred_at if at != item.occurred_at else None
        policy = policies.get((one.org_id, agent.pk)) or policies.get((one.org_id, None)) or PolicyFacts()
        events.append(event)
        _apply(book, event, item, orgs[one.org_id], policy)
    _follow_versions(events)
    book.close(events)
    return results


def _judge_repeats(source: Source, items: Sequence[tuple[Accepted, EventItem]]) -> list[Result]:
    """One Result for each item; what repeats an earlier item of the batch is a repeat too."""
    seen = known_hashes(FailureEvent, "event_id", source, [(one.org_id, item.event_id) for one, item in items])
    results = []
    for one, item in items:
        result = judge_repeat(one, item.event_id, seen.get((one.org_id, item.event_id)))
        if result.status == "created":
            seen[(one.org_id, item.event_id)] = one.payload_hash
        results.append(result)
    return results


def known_hashes(
    model: type, field: str, source: Source | None, keys: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], bytes]:
    """The payload hashes of what is stored already, by (org pk, id)."""
    rows = model.objects.filter(  # type: ignore[attr-defined]
        source=source, org__in={org for org, _ in keys}, **{f"{field}__in": {key for _, key in keys}}
    ).values_list("org_id", field, "payload_hash")
    return {(org, key): bytes(payload_hash) for org, key, payload_hash in rows}


def judge_repeat(one: Accepted, item_id: str, stored: bytes | None) -> Result:
    """created for a new id; duplicate for the same content again; conflict for the same id with other content."""
    if stored is None:
        return Result(one.index, item_id, "created")
    if stored == one.payload_hash:
        return Result(one.index, item_id, "duplicate")
    return Result(one.index, item_id, "conflict", CONFLICT)


def _agents(wanted: set[tuple[int, str]]) -> dict[tuple[int, str], Agent]:
    """The agents by (org pk, name). One that is new is made, unconfirmed; in order, so that nobody deadlocks."""
    found = _find_agents(wanted)
    missing = sorted(wanted - found.keys())
    if missing:
        made = [Agent(org_id=org, name=name, confirmed=False) for org, name in missing]
        Agent.objects.bulk_create(made, ignore_conflicts=True)
        found |= _find_agents(missing)
    return found


def _follow_versions(events: Sequence[FailureEvent]) -> None:
    """Keep the newest version that each agent reported; that of a late event is old news."""
    changed = {}
    for event in events:
        if event.agent_version and event.reason != "late" and event.agent.version != event.agent_version:
            event.agent.version = event.agent_version
            changed[event.agent_id] = event.agent
    if changed:
        Agent.objects.bulk_update([changed[pk] for pk in sorted(changed)], ["version"])


def _find_agents(keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Agent]:
    keys = list(keys)
    rows = Agent.objects.filter(org__in={org for org, _ in keys}, name__in={name for _, name in keys})
    return {(agent.org_id, agent.name): agent for agent in rows}


def _policies(orgs: Iterable[int]) -> dict[tuple[int, int | None], PolicyFacts]:
    found: dict[tuple[int, int | None], PolicyFacts] = {}
    general: dict[int, PolicyFacts] = {}
    rows = Policy.objects.filter(org__in=list(orgs)).order_by("org_id", "-agent_id")  # nulls first
    for row in rows:
        base = general.get(row.org_id, PolicyFacts())
        threshold = base.confidence_threshold if row.confidence_threshold is None else row.confidence_threshold
        facts = PolicyFacts({**base.severities, **row.severities}, threshold)
        found[(row.org_id, row.agent_id)] = facts
        if row.agent_id is None:
            general[row.org_id] = facts
    return found


def _event(source: Source, one: Accepted, item: EventItem, agent: Agent, room: Room, now: datetime) -> FailureEvent:
    return FailureEvent(
        org_id=one.org_id,
        source=source,
        event_id=item.event_id,
        payload_hash=one.payload_hash,
        room=room,
        agent=agent,
        signal=item.signal,
        received_at=now,
        clock_flagged=one.clock_flagged,
        agent_version=item.agent_version or "",
        flags=one.flags,
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


def _apply(book: Book, event: FailureEvent, item: EventItem, org: Org, policy: PolicyFacts) -> None:
    """Decide one event and change its room's alert accordingly."""
    room = event.room
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
        alert = Alert(org=org, room=room, agent=event.agent, version=0)
        book.alerts[room.pk] = alert
    previous = alert.severity
    if decision.change in ("opened", "rearmed"):
        _start_episode(alert, event, decision, room, book.now)
    _attach(alert, event, decision, room, book.now)
    event.alert = alert
    detail = {"from": previous, "to": alert.severity} if decision.change == "worsened" else {}
    book.record(alert, decision.change, decision.reason, event=event, detail=detail, notify=decision.notify)


def _hear(book: Book, event: FailureEvent, room: Room, alert: Alert | None) -> None:
    """Let the failure change its room; if the bot had recovered, the ladder goes on from where it stopped."""
    stopped = room.recovered_at if room.facts.recovered else None
    hear_moment(book, room, of_event(event))
    if alert is not None and stopped is not None and not room.facts.recovered:
        alert.ladder_from += max(book.now - max(stopped, alert.ladder_from), timedelta(0))


def _start_episode(alert: Alert, event: FailureEvent, decision: Decision, room: Room, now: datetime) -> None:
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
    alert.agent = event.agent
    if decision.reason == "human_present":
        alert.state = Alert.State.INTERVENED
        alert.intervened_at, alert.intervened_by_id = room.human_since or room.human_last_at, room.human_id


def _attach(alert: Alert, event: FailureEvent, decision: Decision, room: Room, now: datetime) -> None:
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
