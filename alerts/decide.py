"""What a failure event, a timer or an attempt to tell somebody means. Pure: plain data in, verdict and reason out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from alerts.limits import NO_BUDGET, OutageRule, PushBudget, minutes_long
from alerts.policy import PolicyFacts
from orgs.signals import ROOM_SIGNALS

INFO, WARNING, CRITICAL = "info", "warning", "critical"
RANK: Mapping[str, int] = {INFO: 0, WARNING: 1, CRITICAL: 2}
AS_SEVERE: Mapping[str, tuple[str, ...]] = {
    one: tuple(other for other in RANK if RANK[other] >= RANK[one]) for one in RANK
}

LATE_AFTER = timedelta(minutes=10)
OPENS_LATE_WITHIN = timedelta(minutes=60)  # an event told too late opens its alert, named in a digest
REARM_WITHIN = timedelta(minutes=60)
FLAPS_FROM, FLAPS_WITHIN = 4, timedelta(minutes=60)  # from the 4th episode within the hour it is flapping
BREAKS_THROTTLE = ("worsened", "escalated", "window_closing")
DOUBLES_AFTER = timedelta(hours=1)
DIGEST_WAITS = timedelta(seconds=30)  # for company
DIGEST_WAITS_UNCORROBORATED = timedelta(minutes=10)
YOUNG_ORG = timedelta(days=30)  # low confidence is pushed, so that people see what it is like
DIGEST_EVERY = timedelta(minutes=10)  # one for each person of an org, at most
DIGEST_EVERY_CRITICAL = timedelta(minutes=5)  # if it carries a new critical one
PUSH_EXPIRES = timedelta(minutes=30)
DEFAULT_THRESHOLD = 0.5
WAITING_SIGNALS = frozenset(name for name, signal in ROOM_SIGNALS.items() if signal.waits)
TO_HOLDER = frozenset(name for name, signal in ROOM_SIGNALS.items() if signal.to_holder)
TAKEN, OPEN_AGAIN = "taken", "open_again"  # what a revocation says on phones
TALKS_OVER_AGAIN = timedelta(minutes=10)  # the second time within it is a warning


class EventFacts(msgspec.Struct, frozen=True):
    """A failure event. Times are aware; `confidence` and `threshold` are 0..1."""

    signal: str
    occurred_at: datetime
    confidence: float | None = None
    threshold: float | None = None
    handoff_completed: bool | None = None
    customer_waiting_since: datetime | None = None
    to_agent: bool = False  # it handed the room to another agent
    again: bool = False  # of a talk-over: there was one shortly before
    unseen: bool = False  # it occurred while we were down
    entered: bool = False  # a human entered its room since; asked of what is told too late


class RoomFacts(msgspec.Struct, frozen=True):
    """What is known of the room at the time of the decision."""

    human_since: datetime | None = None
    human_last_at: datetime | None = None
    handed_off_at: datetime | None = None
    settled_at: datetime | None = None
    returned_at: datetime | None = None  # the bot wrote after a human had been silent; until then they held it
    answered_at: datetime | None = None  # the last answer to the customer
    recovered: bool = False  # the bot answered whom it had left waiting, and has not failed since


class AlertFacts(msgspec.Struct, frozen=True):
    """The newest alert of the room."""

    state: Literal["open", "acknowledged", "intervened", "resolved"]
    severity: str
    last_event_at: datetime
    ladder_from: datetime
    repeats_done: int = 0
    resolved_at: datetime | None = None
    snoozed_until: datetime | None = None
    acknowledge_expires_at: datetime | None = None
    customer_waiting_since: datetime | None = None
    revived_at: datetime | None = None
    ends_not_before: datetime | None = None  # a source that tells of its room is silent
    window_closing_at: datetime | None = None  # when people are told that they may soon not answer freely any more
    window_ends_at: datetime | None = None  # when they may not; None once it is noted
    escalate_at: datetime | None = None  # when the next tier is told
    held_until: datetime | None = None  # under an outage nobody is told again before
    silenced_until: datetime | None = None  # nobody is told again while a silence covers it; then it is looked at
    episodes_at: Sequence[datetime] = ()  # when the last ones began
    ends_at: datetime | None = None  # of an outage, if no other room fails
    duty_waits: bool = False  # nobody could be told yet, and whoever comes on duty is
    hours_until: datetime | None = None  # everybody on duty is in quiet hours: the first of them is told then


class Decision(msgspec.Struct, frozen=True):
    """`change` None: the event is stored and changes no alert. `reason` is stored and shown."""

    change: Literal["opened", "attached", "worsened", "rearmed"] | None
    severity: str
    notify: bool
    reason: str


def severity_of(event: EventFacts, policy: PolicyFacts) -> str:
    """Severity by org policy, never by text the agent wrote. A handoff nobody took is critical."""
    if event.signal == "unexpected_handoff" and event.handoff_completed is False:
        return CRITICAL
    severity = policy.severities.get(event.signal) or ROOM_SIGNALS[event.signal].severity
    return WARNING if event.again and severity == INFO else severity


def threshold_of(event: EventFacts, policy: PolicyFacts) -> float:
    """The confidence threshold that applies: policy, else the event's, else 0.5."""
    for value in (policy.confidence_threshold, event.threshold):
        if value is not None:
            return value
    return DEFAULT_THRESHOLD


def human_present(room: RoomFacts, policy: PolicyFacts, now: datetime) -> bool:
    """A human holds the room: from message, assignment or takeover until some time after their last act, by policy."""
    return room.human_since is not None and now < (room.human_last_at or room.human_since) + policy.presence


def _was_held(event: EventFacts, room: RoomFacts, policy: PolicyFacts, now: datetime) -> bool:
    """A human has the room, or had it when the agent failed."""
    return human_present(room, policy, now) or (room.returned_at is not None and event.occurred_at < room.returned_at)


def is_late(event: EventFacts, room: RoomFacts, now: datetime) -> bool:
    """Told too late to act on: over 10 min old, or from before the room was resolved or returned."""
    if now - event.occurred_at > LATE_AFTER:
        return True
    return room.settled_at is not None and event.occurred_at < room.settled_at


def _still_matters(room: RoomFacts, event: EventFacts, now: datetime) -> bool:
    """Told too late, but not by much, or of while we were down, and nothing was heard of its room since. That its alert
    closed by itself is nothing that was heard.
    """
    if event.signal in TO_HOLDER or not (event.unseen or now - event.occurred_at <= OPENS_LATE_WITHIN):
        return False
    heard = (room.human_last_at, room.answered_at, room.settled_at, room.returned_at)
    return not event.entered and all(at is None or at < event.occurred_at for at in heard)


def waiting_since(event: EventFacts) -> datetime | None:
    """Since when the customer waits because of this event; None if nobody does."""
    if event.customer_waiting_since is None and event.signal in WAITING_SIGNALS:
        return event.occurred_at
    return event.customer_waiting_since


def decide(
    alert: AlertFacts | None, room: RoomFacts, event: EventFacts, policy: PolicyFacts, now: datetime
) -> Decision:
    """What `event` does to the newest `alert` of its room (None: there never was one)."""
    severity = severity_of(event, policy)
    if event.signal == "low_confidence" and (event.confidence or 0.0) >= threshold_of(event, policy):
        return Decision(None, severity, False, "above_threshold")
    if event.to_agent:
        return Decision(None, severity, False, "to_agent")
    is_open = alert is not None and alert.state != "resolved"
    if is_late(event, room, now):
        if not is_open and _still_matters(room, event, now):
            rearms = alert is not None and alert.resolved_at is not None and now - alert.resolved_at <= REARM_WITHIN
            return Decision("rearmed" if rearms else "opened", severity, False, "late")
        return Decision(
            "attached" if is_open else None, alert.severity if alert and is_open else severity, False, "late"
        )
    if event.signal in TO_HOLDER:
        return _decide_held(alert if is_open else None, alert, event.signal, severity, now)
    if alert is None or not is_open:
        return _decide_closed(alert, _was_held(event, room, policy, now), severity, now)
    return _decide_open(alert, _was_held(event, room, policy, now), severity, now)


def _decide_closed(alert: AlertFacts | None, present: bool, severity: str, now: datetime) -> Decision:
    if alert is not None and alert.resolved_at is not None and now - alert.resolved_at <= REARM_WITHIN:
        return _rearm(alert, severity, now) if not present else Decision("rearmed", severity, False, "human_present")
    return Decision("opened", severity, not present, "human_present" if present else "first")


def is_flapping(episodes_at: Sequence[datetime], now: datetime) -> bool:
    """Whether an episode that begins now is one of too many within the hour."""
    return sum(at > now - FLAPS_WITHIN for at in episodes_at) >= FLAPS_FROM - 1


def _rearm(alert: AlertFacts, severity: str, now: datetime) -> Decision:
    """It fails again: people are told, unless it flaps and is no worse; then ladder and clocks run on."""
    if is_flapping(alert.episodes_at, now) and RANK[severity] <= RANK[alert.severity]:
        return Decision("rearmed", severity, False, "flapping")
    return Decision("rearmed", severity, True, "rearmed")


def _decide_open(alert: AlertFacts, present: bool, severity: str, now: datetime) -> Decision:
    worse = RANK[severity] > RANK[alert.severity]
    highest = severity if worse else alert.severity
    if present:
        return Decision("worsened" if worse else "attached", highest, False, "human_present")
    if alert.state == "intervened":  # the human left, and it failed again
        return _rearm(alert, severity, now)
    if worse:
        return Decision("worsened", highest, True, "worsened")
    if alert.state == "acknowledged":
        return Decision("attached", highest, False, "acknowledged")
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        return Decision("attached", highest, False, "snoozed")
    return Decision("attached", highest, False, "attached")


def _decide_held(
    alert: AlertFacts | None, newest: AlertFacts | None, signal: str, severity: str, now: datetime
) -> Decision:
    """About the human who has the room, whom no presence of theirs keeps from being told; one who stalled has left it.

    `alert`: the open one. What silences an alert silences this too.
    """
    if alert is None:
        found = _decide_closed(newest, False, severity, now)
    elif alert.state == "intervened" and signal != "human_stalled":
        worse = RANK[severity] > RANK[alert.severity]
        found = Decision("worsened" if worse else "attached", severity if worse else alert.severity, True, signal)
    else:
        found = _decide_open(alert, False, severity, now)
    told = found.reason in ("first", "rearmed", "worsened", "attached", signal)
    return msgspec.structs.replace(found, notify=True, reason=signal) if told else found


# --- who is told ---------------------------------------------------------------------------------------------------


def escalates_after(severity: str, policy: PolicyFacts) -> timedelta | None:
    """How long a tier has to act before the next one is told; None: an info alert is told to nobody else."""
    minutes = policy.escalate_minutes.get(severity)
    return None if minutes is None else minutes_long(minutes)


class Plan(msgspec.Struct, frozen=True):
    """`send`, or not with the reason of a skipped or cancelled push."""

    send: bool
    reason: str = ""


def plan(
    reason: str,
    last_told_at: datetime | None,
    now: datetime,
    *,
    throttle: timedelta,
    absent: str = "",
    worse: bool = False,
    spent: int = 0,
    budget: PushBudget = NO_BUDGET,
    silenced: bool = False,
    held: bool = False,
    uncorroborated: bool = False,
) -> Plan:
    """Whether to tell one recipient: one push per supervisor and room in `throttle`, unless it worsened or escalated.

    `absent`: they are away, off_duty or in quiet_hours, which goes before all else.
    `last_told_at` is the planned time of their newest push about this room that was not cancelled or skipped, and no
    less severe: what got worse while something held it breaks the throttle when it is told at last, whatever its reason
    is by then. `spent`: how many pushes they got within the budget's window; what goes over it waits for their digest.
    `silenced`: a silence covers the alert. `held`: the room is under an outage of its agent. `uncorroborated`: low
    confidence alone, which policy has wait.
    """
    if absent:
        return Plan(False, absent)
    if silenced:
        return Plan(False, "silenced")
    if held:
        return Plan(False, "held_by_agent_outage")
    if uncorroborated:
        return Plan(False, "uncorroborated")
    breaks = worse or reason in BREAKS_THROTTLE
    if not breaks and last_told_at is not None and now - last_told_at < throttle:
        return Plan(False, "throttled")
    if budget.pushes and spent >= budget.pushes:
        return Plan(False, "over_budget")
    return Plan(True)


def is_outage(rooms: int, rule: OutageRule) -> bool:
    """Whether so many different rooms of an agent, each with a critical failure of late, are one outage."""
    return 0 < rule.rooms <= rooms


def is_outage_of_source(rooms: Collection[int], rule: OutageRule) -> bool:
    """The same of rooms that one source tells of, by agent, none of which is out by itself: as many together, and at
    least two beside those of the agent that fails most. One room of another agent is chance.
    """
    return is_outage(sum(rooms), rule) and sum(rooms) - max(rooms) > 1


def has_doubled(rooms: int, told: int, told_at: datetime, now: datetime) -> bool:
    """Whether people are told again of an outage: twice the rooms they were told of, and not within the hour."""
    return rooms >= 2 * told and now - told_at >= DOUBLES_AFTER


def waits_for_digest(signals: Sequence[str], policy: PolicyFacts, org_since: datetime, now: datetime) -> bool:
    """Whether an alert with these signals is low confidence alone, and waits for a digest: by policy, else by age."""
    mode = policy.low_confidence or ("push" if now - org_since < YOUNG_ORG else "digest")
    return mode == "digest" and set(signals) == {"low_confidence"}


def digest_due(now: datetime, last_at: datetime | None, critical: bool, *, hurries: bool = True) -> datetime:
    """When a digest goes that something joins now: it waits for company, and for a while since the last one.

    `critical`: it carries a new critical alert; then that while is shorter. `hurries`: not all of it is uncorroborated.
    """
    due = now + (DIGEST_WAITS if hurries else DIGEST_WAITS_UNCORROBORATED)
    return due if last_at is None else max(due, last_at + (DIGEST_EVERY_CRITICAL if critical else DIGEST_EVERY))


@dataclass(frozen=True, slots=True)
class PushFacts:
    """A planned push at the moment it would be sent, with its alert as it is now."""

    reason: str
    planned_at: datetime
    newer_planned: bool  # a newer occurrence for the same supervisor and alert exists
    still_recipient: bool  # active, and assigned to a role that backs up the agent
    alert_state: str
    acknowledged_at: datetime | None
    snoozed_until: datetime | None
    held: bool = False  # the room is under an outage of its agent, whose own push says it
    absent: str = ""  # away or off_duty: they went meanwhile
    silenced: bool = False


def recheck(push: PushFacts, now: datetime) -> Plan:
    """Whether a planned push still makes sense when it is claimed."""
    if not push.still_recipient:
        return Plan(False, "removed")
    if push.absent:
        return Plan(False, push.absent)
    if push.newer_planned or push.held:
        return Plan(False, "superseded")
    if push.alert_state == "resolved" or (push.alert_state == "intervened" and push.reason not in TO_HOLDER):
        return Plan(False, "no_longer_needed")
    if push.alert_state == "acknowledged" and (push.acknowledged_at or now) >= push.planned_at:
        return Plan(False, "no_longer_needed")
    if (
        push.reason not in ("worsened", "window_closing")
        and push.snoozed_until is not None
        and push.snoozed_until > now
    ):
        return Plan(False, "no_longer_needed")
    if push.silenced:
        return Plan(False, "silenced")
    if now - push.planned_at > PUSH_EXPIRES:
        return Plan(False, "expired")
    return Plan(True)


@dataclass(frozen=True, slots=True)
class RevocationFacts:
    """A revocation at the moment it would be sent, with the push that it takes back and its alert as they are now."""

    planned_at: datetime
    active: bool
    newer_planned: bool  # the same person was pushed the alert since
    alert_state: str | None
    on_phone: bool
    says: str  # TAKEN or OPEN_AGAIN
    supported: bool  # as far as we know


def recheck_revocation(one: RevocationFacts, now: datetime) -> Plan:
    """Whether a revocation still makes sense when it is claimed."""
    if not one.active:
        return Plan(False, "removed")
    if not one.supported:
        return Plan(False, "not_supported")
    if one.newer_planned:
        return Plan(False, "superseded")
    is_so = one.alert_state == "open" if one.says == OPEN_AGAIN else one.alert_state not in (None, "open")
    if not one.on_phone or not is_so:
        return Plan(False, "no_longer_needed")
    return Plan(False, "expired") if now - one.planned_at > PUSH_EXPIRES else Plan(True)
