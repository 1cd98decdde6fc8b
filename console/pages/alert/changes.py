"""One change of an alert as a sentence: who did what, or what happened by itself."""

from datetime import datetime

from django.utils.html import format_html
from django.utils.translation import gettext as _

from alerts.models import Alert, Transition
from console.text.sentences import severity_name
from console.text.wording import moment, person, span, whose
from orgs.models import User
from orgs.signals import SOURCE_SIGNALS, WIDE_SIGNALS, signal_name
from orgs.signals.agent_outage import AGENT_OUTAGE


def change_title(change: Transition, alert: Alert, silenced_by: User | None = None) -> str:
    """One change of an alert as a sentence: who did what. `silenced_by`: who made the silence that it is about."""
    if change.reason in SOURCE_SIGNALS or change.reason in WIDE_SIGNALS:
        return signal_name(change.reason)
    who, detail = change.actor, change.detail
    named = User(sso_id=detail.get("sso_id", ""), name=detail["name"]) if detail.get("name") else None
    if detail.get("undo"):
        return whose(who, _("{name} undid it: it is as it was before"), _("You undid it: it is as it was before"))
    match change.change:
        case "acknowledged":
            if detail.get("outage"):
                return whose(who, _("{name} took it with its outage"), _("You took it with its outage"))
            if detail.get("assigned"):
                return whose(who, _("{name} took it"), _("You took it"))
            return whose(who, _("{name} has seen it"), _("You have seen it"))
        case "assigned":
            return format_html(_("{person} gave it to {to}"), person=person(who, start=True), to=person(named))
        case "released":
            return whose(who, _("{name} released it: it is open again"), _("You released it: it is open again"))
        case "snoozed" if "until" in detail and detail["until"] is None:
            return whose(who, _("{name} ended the snooze"), _("You ended the snooze"))
        case "snoozed":
            until = datetime.fromisoformat(detail["until"]) if detail.get("until") else change.at
            time = moment(until, alert.org.zone, change.at)
            return whose(who, _("{name} snoozed it until {time}"), _("You snoozed it until {time}"), time=time)
        case "opened_room":
            return whose(who, _("{name} opened the room"), _("You opened the room"))
        case "intervened" if detail.get("cause") == "assigned":
            return whose(who, _("{name} was assigned the room"), _("You were assigned the room"))
        case "intervened":
            return whose(who, _("{name} wrote in the room"), _("You wrote in the room"))
        case "returned":
            return _("The bot has the room back")
        case "resolved":
            return _resolved(change, alert)
        case "abandoned":
            return _("Closed after 24 h: nobody came")
        case "reopened":
            return whose(who, _("{name} opened it again"), _("You opened it again"))
        case "verdict" if detail.get("to") == "false_alarm":
            return whose(who, _("{name} called it a false alarm"), _("You called it a false alarm"))
        case "verdict":
            return whose(who, _("{name} called it a real failure"), _("You called it a real failure"))
        case "expired" if detail.get("cause") == "undelivered":
            return whose(
                who,
                _("{name} wrote, but the message did not reach the customer"),
                _("You wrote, but the message did not reach the customer"),
            )
        case "expired" if named is None:
            return _("The person who took it did not come: it is open again")
        case "expired":
            return whose(named, _("{name} did not come: it is open again"), _("You did not come: it is open again"))
    return _by_itself(change, alert, silenced_by)


def _by_itself(change: Transition, alert: Alert, silenced_by: User | None) -> str:
    """What nobody did: time, rules or another failure."""
    detail = change.detail
    match change.change:
        case "attached" if change.reason == "silenced":
            until = datetime.fromisoformat(detail["until"]) if detail.get("until") else change.at
            time = moment(until, alert.org.zone, change.at)
            if silenced_by is None:
                return format_html(_("Silenced until {time}"), time=time)
            theirs, yours = _("Silenced until {time} by {name}"), _("Silenced until {time} by you")
            return whose(silenced_by, theirs, yours, time=time)
        case "attached" if change.reason == "agent_joined":
            return _("Another agent fails too")
        case "released_hold" if detail.get("wanted", change.reason) == "silence_ended":
            return _("The silence is over")
        case "released_hold" if "quiet_ended" in (change.reason, detail.get("wanted")):
            return _("Quiet hours are over")
        case "released_hold" if "on_duty" in (change.reason, detail.get("wanted")):
            return _("Somebody came on duty: named in their digest")
        case "released_hold":
            return _("Its outage is over: named in the next digest")
        case "worsened" if detail.get("rooms"):
            return _("Twice as many rooms: {n}").format(n=detail["rooms"])
        case "escalated":
            return _escalated(change)
        case "window_over":
            return _("The reply window closed: only templates reach the customer")
        case "worsened" if change.reason == "window_closing" or detail.get("wanted") == "window_closing":
            return _("The reply window closes soon")
        case "repeated" if "after" not in detail:
            return _("Nobody acted: told again")  # it was told before the time was kept
        case "repeated":
            return _("Nobody acted for {span}").format(span=span(detail["after"]))
        case "worsened" if detail.get("cause") == "handed_off" and "after" not in detail:
            return _("Handed off, nobody came")
        case "worsened" if detail.get("cause") == "handed_off":
            return _("Handed off {span} ago, and nobody came: now critical").format(span=span(detail["after"]))
    return got_worse(change) if change.change == "worsened" else _("It failed again")


def _escalated(change: Transition) -> str:
    if change.reason == "nobody_on_duty":
        return _("Nobody of tier {tier} is on duty: passed").format(tier=change.detail.get("passed"))
    if (tier := change.detail.get("to")) is None:
        return _("Every tier was told and nobody acted")
    return _("Nobody acted: tier {tier} is told").format(tier=tier)


def _resolved(change: Transition, alert: Alert) -> str:
    if change.detail.get("cause") == "unwatched":
        return _("Closed: it is not watched any more whether this agent runs")
    if change.detail.get("cause") == "no_outages":
        return _("Closed: by policy there are no outages any more")
    if change.reason == "recovered":
        return _recovered(alert)
    if change.reason == "quiet":
        return _("Closed: quiet for 30 min, and nobody waited")
    if change.reason == "room":
        return whose(change.actor, _("{name} resolved the room"), _("You resolved the room"))
    return whose(change.actor, _("{name} resolved it"), _("You resolved it"))


def _recovered(alert: Alert) -> str:
    """It ended by itself: of an agent or a source, or of a room whose run ended well after all."""
    if alert.source_id is not None and alert.is_outage:
        return str(AGENT_OUTAGE.recovered)  # the same as of an agent's
    if alert.source_id is not None:
        return _("Recovered: it sends data again, and we accept it")
    said = [str(one.recovered) for entry in alert.signals if (one := WIDE_SIGNALS.get(entry["signal"]))]
    return said[-1] if said else _("Recovered: the run ended, and the customer has an answer")


def got_worse(change: Transition) -> str:
    """That it is severer now."""
    start, end = change.detail.get("from", ""), change.detail.get("to", "")
    if not start or not end or start == end:
        return _("It got worse.")
    return _("It got worse, from {start} to {end}.").format(
        start=severity_name(start).lower(), end=severity_name(end).lower()
    )
