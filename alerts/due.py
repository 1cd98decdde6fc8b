"""What time alone does to an alert, and when. Pure: plain data in, the next timer out."""

from datetime import datetime, timedelta
from typing import Literal

from alerts.decide import CRITICAL, INFO, AlertFacts, RoomFacts
from alerts.limits import minutes_long
from alerts.policy import PolicyFacts

QUIET = timedelta(minutes=30)
ABANDONED = timedelta(hours=24)

# At one instant in the order of their names: escalation before a repeat.
Timer = Literal[
    "abandoned", "escalate", "expired", "handed_off", "quiet", "quiet_ended", "recovered", "repeat", "unsilenced",
    "window_closing", "window_over",
]  # fmt: skip


def acknowledge_lasts(severity: str, policy: PolicyFacts) -> timedelta:
    """How long an acknowledge holds without a human act in the room."""
    return minutes_long(policy.acknowledge_minutes[severity])


def next_timer(alert: AlertFacts, room: RoomFacts, policy: PolicyFacts) -> tuple[datetime, Timer] | None:
    """The next thing time alone will do to this alert, and when; None for a resolved one."""
    if alert.state == "resolved":
        return None
    return min(_timers(alert, room, policy, _end_timer(alert, room)))


def _timers(
    alert: AlertFacts, room: RoomFacts, policy: PolicyFacts, end: tuple[datetime, Timer]
) -> list[tuple[datetime, Timer]]:
    """All that time alone will do to this alert, which is not resolved; `end`: what ends it."""
    timers = [end]
    if alert.state == "acknowledged" and alert.acknowledge_expires_at is not None:
        timers.append((alert.acknowledge_expires_at, "expired"))
    if room.handed_off_at is not None and alert.severity != CRITICAL:
        timers.append((room.handed_off_at + policy.handoff_clock, "handed_off"))
    if alert.state == "intervened" and (left := _left_at(alert, room, policy)) is not None:
        timers.append((left, "expired"))
    if alert.window_closing_at is not None and alert.state in ("open", "acknowledged"):
        timers.append((alert.window_closing_at, "window_closing"))
    if alert.window_ends_at is not None:
        timers.append((alert.window_ends_at, "window_over"))
    if alert.silenced_until is not None:
        timers.append((alert.silenced_until, "unsilenced"))
    if alert.state == "open" and alert.hours_until is not None and not room.recovered:  # until then nobody is told
        later = filter(None, (alert.hours_until, alert.snoozed_until, alert.held_until, alert.silenced_until))
        timers.append((max(later), "quiet_ended"))
    elif alert.silenced_until is None and alert.state == "open" and alert.severity != INFO and not room.recovered:
        timers += _telling_timers(alert, policy)
    return timers


def _telling_timers(alert: AlertFacts, policy: PolicyFacts) -> list[tuple[datetime, Timer]]:
    """When people are told again, and when the next tier is; a snooze holds both, and so does an outage."""
    found: list[tuple[datetime, Timer]] = []
    if alert.repeats_done < len(repeats := policy.repeats):
        found.append((alert.ladder_from + repeats[alert.repeats_done], "repeat"))
    if alert.escalate_at is not None:
        found.append((alert.escalate_at, "escalate"))
    if alert.snoozed_until is None and alert.held_until is None:
        return found
    return [(max(at, alert.snoozed_until or at, alert.held_until or at), timer) for at, timer in found]


def due_timer(alert: AlertFacts, room: RoomFacts, policy: PolicyFacts, now: datetime) -> Timer | None:
    """What time has done by `now`, as `due_now`."""
    return found[1] if (found := due_now(alert, room, policy, now)) else None


def due_now(
    alert: AlertFacts, room: RoomFacts, policy: PolicyFacts, now: datetime, held: datetime | None = None
) -> tuple[datetime, Timer] | None:
    """What time has done by `now`, and when it was due: its end before all else, so that a late sweep tells nobody of
    what is over. `held`: what fell due from then on waits, its end too, though what goes before does not.
    """
    if alert.state == "resolved":
        return None
    found = _end_timer(alert, room)
    if not _is_due(found[0], now, held):
        found = min(_timers(alert, room, policy, found))
    return found if _is_due(found[0], now, held) else None


def _is_due(at: datetime, now: datetime, held: datetime | None) -> bool:
    return at <= now and (held is None or at < held)


def _left_at(alert: AlertFacts, room: RoomFacts, policy: PolicyFacts) -> datetime | None:
    """When the human who holds the room is taken to have left it without an answer to the failure; None: answered.

    A handoff that is critical already cannot be raised, but its clock runs all the same, anew for each human.
    """
    if room.human_last_at is None:
        return None
    if room.handed_off_at is not None:
        left = max(room.handed_off_at, room.human_last_at) + policy.handoff_clock
        return left if alert.severity == CRITICAL else None
    if alert.customer_waiting_since is not None and alert.customer_waiting_since <= alert.last_event_at:
        return room.human_last_at + policy.presence
    return None


def _end_timer(alert: AlertFacts, room: RoomFacts) -> tuple[datetime, Timer]:
    """Counted from the latest of event, human act, and what opened it again, so that an act survives the next sweep.

    What people are yet to be told of is not over because nothing more happens: it waits as long as a customer does.
    """
    if alert.ends_at is not None:
        return alert.ends_at, "recovered"
    quiet_since = alert.last_event_at
    for at in (room.human_last_at, alert.revived_at):
        quiet_since = at if at is not None and at > quiet_since else quiet_since
    waits = alert.customer_waiting_since is not None or room.handed_off_at is not None
    untold = alert.duty_waits and alert.state == "open"
    at = quiet_since + (ABANDONED if waits or untold else QUIET)
    if alert.ends_not_before is not None and alert.ends_not_before > at:
        at = alert.ends_not_before
    return at, "abandoned" if waits else "quiet"


def repeats_passed(alert: AlertFacts, policy: PolicyFacts, now: datetime) -> int:
    """Steps of the repeat ladder that lie in the past: after a pause they are told once, not one by one."""
    return max(alert.repeats_done, sum(alert.ladder_from + step <= now for step in policy.repeats))
