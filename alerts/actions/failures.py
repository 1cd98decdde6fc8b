"""One failure event of a locked room: decided, and what that does to its alert."""

from datetime import datetime, timedelta

from alerts.actions.book import Book
from alerts.actions.conversation import hear_moment, of_event
from alerts.actions.outages import JOINED
from alerts.actions.same_run import FirstFailure, SameRuns, join_failure
from alerts.actions.tiers import clock_stands_at, resume_tier_clock, shift_tier_clock
from alerts.decide import (
    CRITICAL,
    FLAPS_FROM,
    TALKS_OVER_AGAIN,
    TO_HOLDER,
    Decision,
    EventFacts,
    decide,
    human_present,
    severity_of,
    threshold_of,
)
from alerts.items import RoomNames
from alerts.models import Alert, Room
from alerts.policy import PolicyFacts
from alerts.rows import EventRow
from orgs.models import Agent, Org
from orgs.signals.low_confidence import LOW_CONFIDENCE
from orgs.signals.talk_over import TALK_OVER


def apply_event(
    book: Book,
    event: EventRow,
    room: Room,
    agent: Agent | None,
    org: Org,
    policy: PolicyFacts,
    runs: SameRuns,
    names: RoomNames,
) -> None:
    """Store and decide one event of a locked room, and change its alert accordingly.

    `agent` None: no agent ever failed in the room. `runs`: what was told of its run before; `names`: of its room.
    """
    book.events.append(event)
    facts = EventFacts(
        event.signal,
        event.occurred_at,
        event.confidence,
        event.threshold,
        event.handoff_completed,
        event.customer_waiting_since,
        again=_talks_over_again(event, room),
        to_agent=_is_to_agent(book, event),
        unseen=book.downs.covers(event.occurred_at),
        entered=room.id in book.entered and book.entered[room.id] >= event.occurred_at,
    )
    newest = book.alerts.get(room.id)
    decision = decide(newest.facts if newest else None, room.facts, facts, policy, book.now)
    event.reason, event.severity = decision.reason, severity_of(facts, policy)
    if event.signal == LOW_CONFIDENCE.name:
        event.threshold = threshold_of(facts, policy)
    book.remember(room, org, names)
    first = runs.first_of(event) if decision.reason not in ("above_threshold", "to_agent") else None
    only_to_agent = first is not None and first.alert_id is None and event.handoff_completed is False
    if first is not None and not first.late and not only_to_agent:
        join_failure(book, event, facts, first, room)
        return
    if decision.change is None:
        if decision.reason in ("late", "to_agent"):
            runs.keep(event, None)
        return
    alert = _change_alert(book, event, room, agent, org, policy, decision, first)
    runs.keep(event, alert)
    book.tell()


def _change_alert(
    book: Book,
    event: EventRow,
    room: Room,
    agent: Agent | None,
    org: Org,
    policy: PolicyFacts,
    decision: Decision,
    first: FirstFailure | None,
) -> Alert:
    """What was decided happens to the alert of the room, a new one if there is none.

    `first`: the same failure, told too late before: it counts once.
    """
    assert decision.change is not None
    newest = book.alerts.get(room.id)
    stopped, opens_late = None, decision.reason == "late" and decision.change != "attached"
    if (decision.reason != "late" or opens_late) and event.signal not in TO_HOLDER:
        stopped = _hear(book, event, room, newest)
    alert = newest
    if decision.change == "opened" or alert is None:
        pk = book.stored.name_alert(event)
        alert = book.stored.new_alert(id=pk, org=org, room=room, agent=agent, version=0)
        book.alerts[room.id] = alert
    previous, promotes = alert.severity, _promotes(book, newest, event, decision)
    if decision.change in ("opened", "rearmed"):
        _start_episode(alert, event, agent, decision, room, book.now, stopped)
        if event.signal == TALK_OVER.name and human_present(room.facts, policy, book.now):
            _give_to_human(alert, room)
    if decision.change == "worsened":
        book.worsen(alert, decision.severity)
    if decision.change != "attached":
        alert.from_source_id = event.source_id
    failed = book.outages.agent_keys(alert)
    _attach(alert, event, decision, room, int(first is None or not first.is_of(alert)))
    event.alert_id = alert.id
    detail: dict[str, str | int | None] = (
        {"from": previous, "to": alert.severity} if decision.change == "worsened" else {}
    )
    if promotes:
        event.reason = "corroborated"
    notify, silenced = _judge_silence(book, alert, event, decision.notify or promotes)
    if event.reason == "attached" and book.outages.concerns_others((org.pk, event.agent_id or 0), failed):
        event.reason, notify, detail = JOINED, True, {"agent": event.agent_id}
    holder = room.human_id if event.signal in TO_HOLDER else None
    book.record(
        alert,
        decision.change,
        event.reason,
        event=event,
        detail=detail,
        notify=notify,
        digest=opens_late,
        holder=holder,
    )
    if event.severity == CRITICAL and decision.reason != "late" and not silenced and agent is not None:
        is_new = decision.change in ("opened", "rearmed", "worsened")
        book.outages.failed(alert, agent, org, event.source_id, policy.outage, is_new=is_new)
    return alert


def _judge_silence(book: Book, alert: Alert, event: EventRow, notify: bool) -> tuple[bool, bool]:
    """Whether people are told, and whether a silence covers the alert. If none does since this failure, they are."""
    if event.reason == "late":
        return notify, False
    until = alert.silenced_until
    silenced = book.silenced.meets(alert)
    if silenced and event.reason == "attached":
        event.reason = "silenced"
    elif until is not None and not silenced and event.reason == "attached":
        event.reason, notify = "silence_ended" if until <= book.now else "corroborated", True
    return notify, silenced


def _talks_over_again(event: EventRow, room: Room) -> bool:
    """The bot talks over a human, and did shortly before. The room remembers it."""
    if event.signal != TALK_OVER.name:
        return False
    before, at = room.talked_over_at, event.occurred_at
    room.talked_over_at = max(at, before or at)
    return before is not None and abs(at - before) <= TALKS_OVER_AGAIN


def _promotes(book: Book, alert: Alert | None, event: EventRow, decision: Decision) -> bool:
    """A second, independent signal joins low confidence that waits for a digest: now people are told."""
    quietly = decision.change == "attached" and decision.reason == "attached"
    return (
        quietly and alert is not None and event.signal != LOW_CONFIDENCE.name and book.outbox.is_uncorroborated(alert)
    )


def _hear(book: Book, event: EventRow, room: Room, alert: Alert | None) -> datetime | None:
    """Let the failure change its room; since when the bot had recovered, if it had. The ladder of an alert that is not
    over goes on from there.
    """
    stopped = room.recovered_at if room.recovered else None
    hear_moment(book, room, of_event(event))
    if stopped is None or room.recovered:
        return None
    if alert is not None and alert.resolved_at is None:
        alert.ladder_from += max(book.now - max(stopped, alert.ladder_from), timedelta(0))
        until = alert.silenced_from or book.now  # what a silence holds goes on when that ends
        shift_tier_clock(alert, max(until - max(stopped, alert.tier_from or stopped), timedelta(0)))
    return stopped


def _start_episode(
    alert: Alert,
    event: EventRow,
    agent: Agent | None,
    decision: Decision,
    room: Room,
    now: datetime,
    recovered: datetime | None,
) -> None:
    """A new stretch of trouble: the alert's times and people start anew; its events and history stay.

    Of one that is flapping ladder and clocks run on, from where they stopped: when somebody had it, the bot had
    `recovered` or it was over, whatever came first.
    """
    runs_on = decision.reason == "flapping"
    stops = (alert.acknowledged_at, alert.intervened_at, recovered, alert.resolved_at)
    pause = now - min((stop for stop in stops if stop), default=now) if runs_on else timedelta(0)
    alert.episode = alert.episode + 1 if decision.change == "rearmed" else 1
    alert.episodes_at = [*alert.episodes_at, now][-FLAPS_FROM:]
    alert.state = Alert.State.OPEN
    alert.opened_at = now
    if runs_on:
        alert.ladder_from += pause
        shift_tier_clock(alert, pause)
        alert.snoozed_until = None  # it had moved the clock on, and is broken
        resume_tier_clock(alert, clock_stands_at(alert, now), now)
    else:
        alert.ladder_from, alert.repeats_done = now, 0
        alert.tier = alert.expiries = 0
        alert.tier_from = alert.escalate_at = alert.tiers_over_at = None
    alert.first_failure_at = alert.last_event_at = event.occurred_at
    alert.acknowledged_at = alert.acknowledge_expires_at = alert.intervened_at = alert.resolved_at = None
    alert.acknowledged_by = alert.intervened_by = alert.resolved_by = alert.assigned_to = None
    alert.held_until = alert.hours_until = None
    alert.duty_waits = False
    alert.human_acted_at = alert.snoozed_until = alert.revived_at = alert.waited_since = None
    alert.resolved_kind, alert.undoable = "", []
    alert.agent = agent
    if decision.reason == "human_present":
        _give_to_human(alert, room)


def _give_to_human(alert: Alert, room: Room) -> None:
    """It began in front of a human, who has the room."""
    alert.state = Alert.State.INTERVENED
    alert.intervened_at, alert.intervened_by_id = room.human_since or room.human_last_at, room.human_id


def _attach(alert: Alert, event: EventRow, decision: Decision, room: Room, counts: int) -> None:
    alert.severity = decision.severity
    alert.event_count += counts
    alert.agent_version = event.agent_version or alert.agent_version
    alert.last_event_at = max(alert.last_event_at, event.occurred_at)
    if decision.reason != "late":
        alert.first_failure_at = min(alert.first_failure_at, event.occurred_at)
    alert.customer_waiting_since = room.customer_waiting_since
    at, other = event.occurred_at.isoformat(), event.agent_id if event.agent_id != alert.agent_id else None
    for entry in alert.signals:
        if entry["signal"] == event.signal and entry["episode"] == alert.episode:
            entry["count"] += counts
            entry["first_at"], entry["last_at"] = min(entry["first_at"], at), max(entry["last_at"], at)
            entry["severity"] = event.severity
            if other:
                entry["agents"] = sorted({other, *entry.get("agents", ())})
            return
    entry = {"signal": event.signal, "count": 1, "first_at": at, "last_at": at, "severity": event.severity}
    alert.signals = [*alert.signals, {**entry, "episode": alert.episode} | ({"agents": [other]} if other else {})]


def _is_to_agent(book: Book, event: EventRow) -> bool:
    """The room was handed to another agent, so that nobody waits for a human."""
    key = event.org_id, event.handoff_target
    named = bool(event.handoff_target) and event.handoff_completed is not False
    return named and (key[1].lower() == "agent" or bool(book.known.found_agents({key})))
