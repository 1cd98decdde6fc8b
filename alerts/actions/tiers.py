"""The clock of a tier: it starts when the tier is told, runs while nobody acts, and at its end the next tier is told.

It is wall time; what pauses it moves it on, so that its due time stands in the alert's row at any moment.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from alerts.decide import INFO, escalates_after
from alerts.known import Known
from alerts.models import Alert
from orgs.duty.roster import QUIET
from orgs.routing import Recipient, Standing

HOLDER_HAS = timedelta(minutes=5)  # who has the room, before the first tier is told that they have stalled


def tier_lasts(alert: Alert, known: Known) -> timedelta | None:
    """How long this alert's tier has to act, by policy; None: nobody else is told."""
    key = (alert.org_id, alert.agent_id or 0)
    return escalates_after(alert.severity, known.policies([key])[key])


def tiers_together(known: Known, agents: Iterable[tuple[int, int]]) -> list[int]:
    """The tiers of all these (org pk, agent pk), the first told first."""
    return sorted({tier for tiers in known.tiers(agents).values() for tier in tiers})


def start_tier_clock(alert: Alert, now: datetime, known: Known) -> None:
    """Its clock starts, or starts anew, if a tier was told and there may be another one."""
    if alert.tier and alert.tiers_over_at is None:
        lasts = tier_lasts(alert, known)
        alert.tier_from, alert.escalate_at = now, None if lasts is None else now + lasts


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
