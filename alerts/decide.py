"""What a failure event, a timer or an attempt to tell somebody means. Pure: plain data in, verdict and reason out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from orgs.signals import ROOM_SIGNALS

INFO, WARNING, CRITICAL = "info", "warning", "critical"
RANK: Mapping[str, int] = {INFO: 0, WARNING: 1, CRITICAL: 2}

LATE_AFTER = timedelta(minutes=10)
REARM_WITHIN = timedelta(minutes=60)
PRESENCE = timedelta(minutes=15)  # after the last human act; also the grace after somebody entered the room
RETURN_AFTER = timedelta(minutes=5)  # of human silence; then a bot message means that the bot has the room back
THROTTLE = timedelta(minutes=5)
REPEATS = tuple(timedelta(minutes=m) for m in (5, 15, 35, 75))
ACKNOWLEDGE_LASTS = {CRITICAL: timedelta(minutes=5)}
ACKNOWLEDGE_LASTS_DEFAULT = timedelta(minutes=10)
HANDOFF_CLOCK = timedelta(minutes=3)
QUIET = timedelta(minutes=30)
ABANDONED = timedelta(hours=24)
PUSH_EXPIRES = timedelta(minutes=30)
DEFAULT_THRESHOLD = 0.5
WAITING_SIGNALS = frozenset(name for name, signal in ROOM_SIGNALS.items() if signal.waits)


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """Severity per signal (missing = default) and the confidence threshold of an org or agent."""

    severities: Mapping[str, str] = field(default_factory=dict)
    confidence_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class EventFacts:
    """A failure event. Times are aware; `confidence` and `threshold` are 0..1."""

    signal: str
    occurred_at: datetime
    confidence: float | None = None
    threshold: float | None = None
    handoff_completed: bool | None = None
    customer_waiting_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """What is known of the room at the time of the decision."""

    human_since: datetime | None = None
    human_last_at: datetime | None = None
    handed_off_at: datetime | None = None
    settled_at: datetime | None = None
    returned_at: datetime | None = None  # the bot wrote after a human had been silent; until then they held it
    recovered: bool = False  # the bot answered whom it had left waiting, and has not failed since


@dataclass(frozen=True, slots=True)
class AlertFacts:
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


@dataclass(frozen=True, slots=True)
class Decision:
    """`change` None: the event is stored and changes no alert. `reason` is stored and shown."""

    change: Literal["opened", "attached", "worsened", "rearmed"] | None
    severity: str
    notify: bool
    reason: str


def severity_of(event: EventFacts, policy: PolicyFacts) -> str:
    """Severity by org policy, never by text the agent wrote. A handoff nobody took is critical."""
    if event.signal == "unexpected_handoff" and event.handoff_completed is False:
        return CRITICAL
    return policy.severities.get(event.signal) or ROOM_SIGNALS[event.signal].severity


def threshold_of(event: EventFacts, policy: PolicyFacts) -> float:
    """The confidence threshold that applies: policy, else the event's, else 0.5."""
    for value in (policy.confidence_threshold, event.threshold):
        if value is not None:
            return value
    return DEFAULT_THRESHOLD


def human_present(room: RoomFacts, now: datetime) -> bool:
    """A human holds the room: from message, assignment or takeover until 15 min after their last act."""
    return room.human_since is not None and now < (room.human_last_at or room.human_since) + PRESENCE


def _was_held(event: EventFacts, room: RoomFacts, now: datetime) -> bool:
    """A human has the room, or had it when the agent failed."""
    return human_present(room, now) or (room.returned_at is not None and event.occurred_at < room.returned_at)


def is_late(event: EventFacts, room: RoomFacts, now: datetime) -> bool:
    """Told too late to act on: over 10 min old, or from before the room was resolved or returned."""
    if now - event.occurred_at > LATE_AFTER:
        return True
    return room.settled_at is not None and event.occurred_at < room.settled_at


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
    is_open = alert is not None and alert.state != "resolved"
    if is_late(event, room, now):
        return Decision(
            "attached" if is_open else None, alert.severity if alert and is_open else severity, False, "late"
        )
    if alert is None or not is_open:
        return _decide_closed(alert, _was_held(event, room, now), severity, now)
    return _decide_open(alert, _was_held(event, room, now), severity, now)


def _decide_closed(alert: AlertFacts | None, present: bool, severity: str, now: datetime) -> Decision:
    if alert is not None and alert.resolved_at is not None and now - alert.resolved_at <= REARM_WITHIN:
        return Decision("rearmed", severity, not present, "human_present" if present else "rearmed")
    return Decision("opened", severity, not present, "human_present" if present else "first")


def _decide_open(alert: AlertFacts, present: bool, severity: str, now: datetime) -> Decision:
    worse = RANK[severity] > RANK[alert.severity]
    highest = severity if worse else alert.severity
    if present:
        return Decision("worsened" if worse else "attached", highest, False, "human_present")
    if alert.state == "intervened":  # the human left, and it failed again
        return Decision("rearmed", severity, True, "rearmed")
    if worse:
        return Decision("worsened", highest, True, "worsened")
    if alert.state == "acknowledged":
        return Decision("attached", highest, False, "acknowledged")
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        return Decision("attached", highest, False, "snoozed")
    return Decision("attached", highest, False, "attached")


# --- who is told ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """`send`, or not with the reason of a skipped or cancelled push."""

    send: bool
    reason: str = ""


def plan(reason: str, last_told_at: datetime | None, now: datetime) -> Plan:
    """Whether to tell one recipient: one push per supervisor and room in 5 min, unless it worsened.

    `last_told_at` is the planned time of their newest push about this room that was not cancelled or skipped.
    """
    if reason in ("worsened", "escalated") or last_told_at is None or now - last_told_at >= THROTTLE:
        return Plan(True)
    return Plan(False, "throttled")


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


def recheck(push: PushFacts, now: datetime) -> Plan:
    """Whether a planned push still makes sense when it is claimed."""
    if not push.still_recipient:
        return Plan(False, "removed")
    if push.newer_planned:
        return Plan(False, "superseded")
    if push.alert_state in ("resolved", "intervened"):
        return Plan(False, "no_longer_needed")
    if push.alert_state == "acknowledged" and (push.acknowledged_at or now) >= push.planned_at:
        return Plan(False, "no_longer_needed")
    if push.reason != "worsened" and push.snoozed_until is not None and push.snoozed_until > now:
        return Plan(False, "no_longer_needed")
    if now - push.planned_at > PUSH_EXPIRES:
        return Plan(False, "expired")
    return Plan(True)


# --- timers --------------------------------------------------------------------------------------------------------

Timer = Literal["expired", "handed_off", "repeat", "quiet", "abandoned"]


def acknowledge_lasts(severity: str) -> timedelta:
    """How long an acknowledge holds without a human act in the room."""
    return ACKNOWLEDGE_LASTS.get(severity, ACKNOWLEDGE_LASTS_DEFAULT)


def next_timer(alert: AlertFacts, room: RoomFacts) -> tuple[datetime, Timer] | None:
    """The next thing time alone will do to this alert, and when; None for a resolved one."""
    if alert.state == "resolved":
        return None
    timers: list[tuple[datetime, Timer]] = [_end_timer(alert, room)]
    if alert.state == "acknowledged" and alert.acknowledge_expires_at is not None:
        timers.append((alert.acknowledge_expires_at, "expired"))
    if room.handed_off_at is not None and alert.severity != CRITICAL:
        timers.append((room.handed_off_at + HANDOFF_CLOCK, "handed_off"))
    if alert.state == "intervened" and (left := _left_at(alert, room)) is not None:
        timers.append((left, "expired"))
    if alert.state == "open" and alert.severity != INFO and alert.repeats_done < len(REPEATS) and not room.recovered:
        repeat = alert.ladder_from + REPEATS[alert.repeats_done]
        timers.append((max(repeat, alert.snoozed_until or repeat), "repeat"))
    return min(timers)


def due_timer(alert: AlertFacts, room: RoomFacts, now: datetime) -> Timer | None:
    """What time has done by `now`: its end before all else, so that a late sweep tells nobody of what is over."""
    if alert.state == "resolved":
        return None
    at, timer = _end_timer(alert, room)
    if at > now:
        at, timer = next_timer(alert, room) or (at, timer)
    return timer if at <= now else None


def _left_at(alert: AlertFacts, room: RoomFacts) -> datetime | None:
    """When the human who holds the room is taken to have left it without an answer to the failure; None: answered.

    A handoff that is critical already cannot be raised, but its clock runs all the same, anew for each human.
    """
    if room.human_last_at is None:
        return None
    if room.handed_off_at is not None:
        return max(room.handed_off_at, room.human_last_at) + HANDOFF_CLOCK if alert.severity == CRITICAL else None
    if alert.customer_waiting_since is not None and alert.customer_waiting_since <= alert.last_event_at:
        return room.human_last_at + PRESENCE
    return None


def _end_timer(alert: AlertFacts, room: RoomFacts) -> tuple[datetime, Timer]:
    """Counted from the latest of event, human act, and what opened it again, so that an act survives the next sweep."""
    quiet_since = max(filter(None, (alert.last_event_at, room.human_last_at, alert.revived_at)))
    if alert.customer_waiting_since is None and room.handed_off_at is None:
        return quiet_since + QUIET, "quiet"
    return quiet_since + ABANDONED, "abandoned"


def repeats_passed(alert: AlertFacts, now: datetime) -> int:
    """Steps of the repeat ladder that lie in the past: after a pause they are told once, not one by one."""
    return max(alert.repeats_done, sum(alert.ladder_from + step <= now for step in REPEATS))
