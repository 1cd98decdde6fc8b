"""What time alone will do next to an alert, and whom it will tell."""

from datetime import datetime

from django.utils.html import format_html
from django.utils.translation import gettext as _

from alerts import actions
from alerts.decide import CRITICAL, RoomFacts
from alerts.due import next_timer
from alerts.known import policy_for
from alerts.models import Alert, under_outage
from alerts.policy import PolicyFacts
from console.text.wording import clock, moment, people
from orgs.models import User
from orgs.rosters import rosters_of
from orgs.routing import Recipient, Standing, lowest_tier, specialists, standing_at


def next_step(alert: Alert, now: datetime) -> str:
    """What time alone will do next, and when; empty for a resolved alert. Three queries."""
    if alert.room is None and not alert.is_outage:
        return ""
    policy = policy_for(alert.org_id, alert.agent_id)
    timer = next_timer(alert.facts, alert.room.facts if alert.room else RoomFacts(), policy)
    if timer is None:
        return ""
    time = moment(timer[0], alert.org.zone, now, seconds=True)
    today = time == clock(timer[0], alert.org.zone, seconds=True)
    at = format_html("<b>{}</b>", format_html(_("Next at {time}") if today else _("Next on {time}"), time=time))
    match timer[1]:
        case "quiet_ended":
            return format_html(_("{at}, unless somebody acts: quiet hours end, and people are told."), at=at)
        case "quiet":
            return format_html(_("{at}, if nothing more happens and nobody waits: it closes by itself."), at=at)
        case "recovered":
            return format_html(_("{at}, if no other room fails: it ends by itself."), at=at)
        case "abandoned":
            return format_html(_("{at}, if nobody comes: it closes as abandoned."), at=at)
        case "unsilenced":
            return format_html(_("{at} the silence ends: if nobody has come, people are told."), at=at)
        case "window_over":
            return format_html(_("{at}, unless somebody answers: only templates reach the customer."), at=at)
    if timer[1] in ("repeat", "escalate") and _is_folded(alert):
        return _("While its outage lasts, nothing is pushed for this room alone; then it is told if it still waits.")
    standing = _standing_then(alert, timer[1], timer[0], policy)
    users = [User(sso_id=one.sso_id, name=one.name) for one in _told_next(alert, timer[1], standing)]
    if timer[1] == "escalate" and not users and not specialists():
        return format_html(_("{at}, unless somebody acts: no tier and no specialist is left to be told."), at=at)
    told = people(users) if users else _nobody_next(timer[1], standing)
    sentence = {
        "expired": _("{at}, unless somebody writes in the room: it opens again; told: {people}."),
        "escalate": _("{at}, unless somebody acts: the next tier is told: {people}."),
        "window_closing": _("{at}, unless somebody answers: the reply window is about to close; told: {people}."),
        "handed_off": _("{at}, unless a human writes: it becomes critical; told: {people}."),
    }.get(timer[1], _("{at}, unless somebody acts: repeat {n} of {all}; told: {people}."))
    return format_html(sentence, at=at, people=told, n=alert.repeats_done + 1, all=len(policy.repeat_minutes))


def _is_folded(alert: Alert) -> bool:
    """Whether it is a room's under an open outage, whose clocks it waits for."""
    return alert.room_id is not None and Alert.objects.filter(under_outage(), pk=alert.pk).exists()


def _standing_then(alert: Alert, timer: str, at: datetime, policy: PolicyFacts) -> Standing:
    """Who backs up the agent then; quiet hours do not count for a severity that passes them by policy."""
    agents = [alert.agent_id or 0]
    if alert.is_outage and alert.agent_id is None:  # of a source: whoever backs up an agent with rooms under it
        agents = list(actions.rooms_of_outage(alert).order_by().values_list("agent_id", flat=True).distinct())
    roster = rosters_of([alert.org_id], at)[alert.org_id]
    standing = Standing.together(standing_at(roster, pk or 0, at) for pk in agents)
    severity = {"handed_off": CRITICAL, "window_closing": actions.ONE_WORSE[alert.severity]}.get(timer, alert.severity)
    return standing.through_quiet() if severity in policy.quiet_hours_pass else standing


def _told_next(alert: Alert, timer: str, standing: Standing) -> list[Recipient]:
    """Whom time alone would tell then: who is on duty of every tier told so far, or of the next one."""
    present = [one for one in standing.people if not one.absent]
    if actions.may_stand_in(standing):
        present = [one for one in standing.fallback if not one.absent]
    if timer == "window_closing" and alert.state == Alert.State.ACKNOWLEDGED:
        has_it = alert.assigned_to_id or alert.acknowledged_by_id
        if theirs := [one for one in present if one.user_id == has_it]:
            return theirs
    if timer == "escalate":
        return lowest_tier([one for one in present if one.tier > alert.tier])
    told = [one for one in present if one.tier <= alert.tier] if alert.tier else []
    return told or lowest_tier(present)


def _nobody_next(timer: str, standing: Standing) -> str:
    if timer == "escalate":
        return _("the specialists")
    if standing.everybody:
        return _("nobody: all who are assigned are off duty, away or in quiet hours then")
    return _("nobody can be told: no supervisor is assigned")
