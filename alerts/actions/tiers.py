"""The clock of a tier: it starts when the tier is told, runs while nobody acts, and at its end the next tier is told.

It is wall time; what pauses it moves it on, so that its due time stands in the alert's row at any moment.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from alerts.decide import INFO, escalates_after
from alerts.known import Known
from alerts.models import Alert
from orgs.duty.roster import QUIET
from orgs.routing import Recipient, Standing

CLOCK = ("tier_from", "escalate_at")
KeptClock = tuple[datetime | None, datetime | None]  # what of it is kept in an act that can be undone

HOLDER_HAS = timedelta(minutes=5)  # who has the room, before the first tier is told that they have stalled


def tier_lasts(alert: Alert, known: Known) -> timedelta | None:
    """How long this alert's tier has to act, by policy; None: nobody else is told."""
    key = (alert.org_id, alert.agent_id or 0)
    return escalates_after(alert.severity, known.policies([key])[key])


def tiers_together(known: Known, agents: Iterable[tuple[int, int]]) -> list[int]:
    """The tiers of all these (org pk, agent pk), the first told first."""
    return sorted({tier for tiers in known.tiers(agents).values() for tier in tiers})


def stands_at(now: datetime, silenced_from: datetime | None, snoozed_until: datetime | None) -> datetime:
    """The instant to which a clock is reckoned: a snooze has moved it on to its end, a silence moves it on when that
    ends; else it runs.
    """
    at = silenced_from or now
    return at if snoozed_until is None else max(at, snoozed_until)


def clock_stands_at(alert: Alert, now: datetime) -> datetime:
    """The same of the clock of this alert's tier."""
    return stands_at(now, alert.silenced_from, alert.snoozed_until)


def start_tier_clock(alert: Alert, now: datetime, known: Known, *, over: bool = False) -> None:
    """Its clock starts, or starts anew, if a tier was told and there may be another one; `over`: it ends at once. While
    it is snoozed or silenced it does not run yet.
    """
    if not alert.tier or alert.tiers_over_at is not None:
        return
    lasts, silenced_from = tier_lasts(alert, known), alert.silenced_from
    lasts = lasts and (timedelta(0) if over else lasts)

    def started(_clock: KeptClock, snoozed_until: datetime | None) -> KeptClock:
        at = stands_at(now, silenced_from, snoozed_until)
        return at, None if lasts is None else at + lasts

    alert.tier_from, alert.escalate_at = started((None, None), alert.snoozed_until)
    _keep_for_undo(alert, started)


def start_holder_clock(alert: Alert, now: datetime) -> None:
    """Who has the room was told, and no tier is yet: after a while the first one is, unless it is a mere info."""
    if not alert.tier and alert.severity != INFO:
        alert.tier_from, alert.escalate_at = now, now + HOLDER_HAS


def shift_tier_clock(alert: Alert, pause: timedelta) -> None:
    """It stood still for so long, or will; negative: less long than was thought."""
    if alert.tier_from is not None:
        alert.tier_from += pause
    if alert.escalate_at is not None:
        alert.escalate_at += pause


def resume_tier_clock(alert: Alert, stood_at: datetime, now: datetime) -> None:
    """It was reckoned to `stood_at`, and what moved or held it has changed: it goes on with what was left."""
    stands = clock_stands_at(alert, now)
    shift_tier_clock(alert, stands - stood_at)
    if alert.tier_from is not None and alert.tier_from > stands:  # what the bot's recovery has moved on already
        shift_tier_clock(alert, stands - alert.tier_from)


def resume_kept_clocks(alert: Alert, silenced_from: datetime, now: datetime) -> None:
    """A silence that began then is over. The undo of a snooze leaves the clock as if that alone had not been."""

    def resumed(clock: KeptClock, snoozed_until: datetime | None) -> KeptClock:
        pause = stands_at(now, None, snoozed_until) - stands_at(now, silenced_from, snoozed_until)
        begin, end = clock
        return begin and begin + pause, end and end + pause

    _keep_for_undo(alert, resumed, only_known=True)


def _keep_for_undo(
    alert: Alert, clock: Callable[[KeptClock, datetime | None], KeptClock], *, only_known: bool = False
) -> None:
    """What `clock` makes of the tier's clock before and after each snooze that can be undone: (when it began, when it
    ends), until when the alert was snoozed.
    """
    for changed in (kept["alert"] for kept in alert.undoable):
        if "snoozed_until" not in changed or (only_known and "tier_from" not in changed):
            continue
        sides = []
        for side, until in enumerate(changed["snoozed_until"]):
            known = (_time(changed[name][side]) if name in changed else None for name in CLOCK)
            sides.append(clock((next(known), next(known)), _time(until)))
        for name, times in zip(CLOCK, zip(*sides, strict=True), strict=True):
            changed[name] = [at and at.isoformat() for at in times]


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def judge_tier_clock(alert: Alert, now: datetime, known: Known) -> None:
    """The severity rose: the next tier is due as if it had been so from the start, at the earliest now."""
    lasts = tier_lasts(alert, known)
    if alert.tier_from is not None and lasts is not None and alert.tiers_over_at is None:
        alert.escalate_at = max(now, alert.tier_from + lasts)


def standing_for(
    alert: Alert, severity: str, now: datetime, known: Known, agents: Sequence[tuple[int, int]]
) -> Standing:
    """Who backs up these agents now, those that the alert is about; quiet hours do not count for a severity that passes
    them by policy.
    """
    key = (alert.org_id, alert.agent_id or 0)
    found = list(known.standing(agents, now).values())
    standing = found[0] if len(found) == 1 else Standing.together(found)
    return standing.through_quiet() if severity in known.policies([key])[key].quiet_hours_pass else standing


def any_present(people: Iterable[Recipient]) -> bool:
    """Whether any of these can be told."""
    for one in people:  # noqa: SIM110 - half the time, and every telling asks
        if not one.absent:
            return True
    return False


def may_stand_in(standing: Standing) -> bool:
    """Whether fallback roles are told: nobody of any tier is on duty. Quiet hours of somebody who is are waited for."""
    on_duty = any(one.absent in ("", QUIET) for one in standing.people)
    return any_present(standing.fallback) and not on_duty
