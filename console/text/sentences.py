"""Every decision as a sentence that says who and when. The reason codes are those of alerts/decide.py."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from alerts.models import Alert, Push, Transition
from console.text.wording import ago, bdi, before, moment, people, person, span, whose
from orgs.models import Severity, User
from orgs.signals import ROOM_SIGNALS, SOURCE_SIGNALS, WIDE_SIGNALS

JUST_BEFORE = timedelta(minutes=5)  # of who was faster, it is said by how much
SEVERITIES = {str(value): label for value, label in Severity.choices}

# Why people are told; follows "Pushed to Rina: ".
BECAUSE: dict[str, str | Promise] = {
    "first": gettext_lazy("first failure in this room."),
    "worsened": gettext_lazy("it got worse."),
    "repeat_due": gettext_lazy("nobody has acted yet."),
    "rearmed": gettext_lazy("it failed again."),
    "escalated": gettext_lazy("nobody on the tier before has acted."),
    "corroborated": gettext_lazy("another signal confirms it."),
    "quiet_ended": gettext_lazy("quiet hours are over, and nobody has acted."),
    "on_duty": gettext_lazy("it was open when they came on duty."),
    "unroutable": gettext_lazy("nobody who backs up the agent can be told."),
    "silence_ended": gettext_lazy("the silence is over, and nobody has come."),
    "window_closing": gettext_lazy("soon only templates reach the customer."),
    "agent_joined": gettext_lazy("another agent fails too."),
    "test": gettext_lazy("a test."),
    "duty_starts": gettext_lazy("their duty starts."),
    "duty_changed": gettext_lazy("their duty has changed."),
}
BECAUSE |= {name: signal.because for name, signal in SOURCE_SIGNALS.items()}
BECAUSE |= {name: signal.because for name, signal in WIDE_SIGNALS.items()}
BECAUSE |= {name: signal.because for name, signal in ROOM_SIGNALS.items() if signal.because}

# Why an event changed nothing for people.
QUIETLY = {
    "late": gettext_lazy("Not pushed: it was reported more than 10 min late."),
    "human_present": gettext_lazy("Not pushed: a human is in the room."),
    "above_threshold": gettext_lazy("No alert: the confidence is not below the threshold."),
    "to_agent": gettext_lazy("No alert: it handed the room to another agent, not to a human."),
    "acknowledged": gettext_lazy("Not pushed: somebody is on it."),
    "snoozed": gettext_lazy("Not pushed: the alert is snoozed."),
    "attached": gettext_lazy("Not pushed: the alert is no worse than before."),
    "silenced": gettext_lazy("Not pushed: it is silenced. At the end of the silence it is told, if nobody has come."),
    "held_by_agent_outage": gettext_lazy("Not pushed: it is under the outage of its agent."),
    "held_by_source_outage": gettext_lazy("Not pushed: it is under the outage of its source."),
    "flapping": gettext_lazy("Not pushed: it fails again and again, and people know."),
    "nobody_on_duty": gettext_lazy("Not pushed: nobody of this tier is on duty. Whoever comes on duty is told."),
    "quiet_hours": gettext_lazy("Not pushed: everybody on duty is in quiet hours. They are told when these end."),
    "on_duty": gettext_lazy("Told in the digest of whoever came on duty."),
    "blind": gettext_lazy("Not pushed alone: it fell due while nothing could be seen, so a digest names it."),
    "same_run": gettext_lazy("Not counted again: this failure of the same run was reported before."),
}

# Why one person's push was skipped, cancelled or is dead; for `no_longer_needed` also how its alert ended.
ENDED = {
    "away": gettext_lazy("Not pushed: away."),
    "off_duty": gettext_lazy("Not pushed: off duty."),
    "quiet_hours": gettext_lazy("Not pushed: in quiet hours."),
    "throttled": gettext_lazy("Not pushed: told about this shortly before."),
    "over_budget": gettext_lazy("Not pushed alone: too many at this time, so the next digest names it."),
    "held_by_agent_outage": gettext_lazy("Not pushed: it is under the outage of its agent, which was pushed."),
    "silenced": gettext_lazy("Not pushed: it is silenced."),
    "held_by_source_outage": gettext_lazy("Not pushed: it is under the outage of its source, which was pushed."),
    "uncorroborated": gettext_lazy("Not pushed alone: only the agent's own doubt, so a digest names it."),
    "superseded": gettext_lazy("Not sent: a newer push took its place."),
    "expired": gettext_lazy("Not sent: it was more than 30 min old."),
    "no_longer_needed": gettext_lazy("Not sent: somebody had acted by then."),
    "recovered": gettext_lazy("Not sent: it had recovered by then."),
    "quiet": gettext_lazy("Not sent: the alert had closed by then, because the room was quiet."),
    "abandoned": gettext_lazy("Not sent: the alert had closed by then, because nobody came."),
    "room": gettext_lazy("Not sent: the room had been resolved by then."),
    "removed": gettext_lazy("Not sent: no longer a supervisor of this agent."),
    "duty_changed": gettext_lazy("Not sent: their duty had changed again by then."),
    "not_wanted": gettext_lazy("Not sent: they no longer want pushes about their duty."),
    "not_supported": gettext_lazy("Not sent: notification-service takes no push back from phones."),
    "refused": gettext_lazy("Not sent: notification-service did not accept it."),
    "gave_up": gettext_lazy("Not sent: notification-service could not be reached."),
}
# What sources send as the reason of a handoff, an error or an undelivered push; anything else is quoted.
SAID_BY_SENDERS = {
    "customer_asked": gettext_lazy("the customer asked for a human"),
    "low_confidence": gettext_lazy("the agent was not sure of its answer"),
    "policy": gettext_lazy("a rule of the agent asks for a human here"),
    "agent_gave_up": gettext_lazy("the agent gave up"),
    "agent_offline": gettext_lazy("the agent was offline"),
    "unregistered": gettext_lazy("the phone is no longer registered"),
    "run_failed": gettext_lazy("its run failed"),
}
# The changes after which nobody needs a push; "": the reason of the change says more, unless a person resolved it.
ENDINGS = {"resolved": "", "abandoned": "abandoned"} | dict.fromkeys(
    ("acknowledged", "assigned", "snoozed", "opened_room", "intervened"), "no_longer_needed"
)


@dataclass(frozen=True)
class Told:
    """What became of one person's push: its state, and when this person was last told about the room before it."""

    user: User
    state: str
    ended_reason: str = ""
    told_before: datetime | None = None


def why_ended(push: Push, transitions: Iterable[Transition]) -> str:
    """The key in ENDED that says why a push ended; an alert may have ended by itself. `transitions` are the alert's."""
    if push.ended_reason == "no_longer_needed":
        ends = [t for t in transitions if t.change in ENDINGS and t.at <= (push.ended_at or t.at)]
        if ends:
            last = max(ends, key=lambda t: (t.at, t.pk))
            return ENDINGS[last.change] or (last.reason if last.reason in ENDED else push.ended_reason)
    return push.ended_reason


def why_not(reason: str) -> str:
    """Why a push ended, as a sentence; a reason without one is quoted."""
    return str(ENDED.get(reason) or as_said(reason))


def severity_name(severity: str) -> str:
    """The severity in words."""
    return str(SEVERITIES.get(severity, severity))


def as_said(text: str) -> SafeString:
    """What a sender gave as a reason, in our words if we know it, else in quotes as theirs; empty for nothing."""
    known = SAID_BY_SENDERS.get(text.strip().lower())
    return format_html("{}", known) if known else format_html("“{}”", bdi(text)) if text else SafeString("")


def pushed(reason: str, told: Sequence[Told], at: datetime | None, now: datetime) -> SafeString:
    """`Pushed to Rina and Bayu 58 s ago: first failure in this room.`; `at` None leaves the time out."""
    again = reason in ("worsened", "repeat_due", "rearmed", "window_closing")
    parts = {"people": people([one.user for one in told]), "because": BECAUSE.get(reason, "")}
    if at is None:
        text = _("Pushed again to {people}: {because}") if again else _("Pushed to {people}: {because}")
        return format_html(text, **parts)
    text = _("Pushed again to {people} {ago}: {because}") if again else _("Pushed to {people} {ago}: {because}")
    return format_html(text, ago=ago(at, now), **parts)


def not_pushed(users: Sequence[User], when: SafeString | None) -> SafeString:
    """`Not pushed: Rina was told 2 min ago.`; `when` is what `ago` or `before` made."""
    if not users or when is None:
        return format_html("{}", QUIETLY["attached"])
    if len(users) == 1:
        return whose(users[0], _("Not pushed: {name} was told {ago}."), _("Not pushed: you were told {ago}."), ago=when)
    return format_html(_("Not pushed: {people} were told {ago}."), people=people(users), ago=when)


def telling(reason: str, told: Sequence[Told], at: datetime | None, now: datetime) -> list[tuple[SafeString, bool]]:
    """The sentences of one occasion to tell people, and for each whether it says that somebody was told.

    With `at` the times are seen from `now`; without it (a timeline) from the occasion itself, which was at `now`.
    """
    said = []
    sent = [one for one in told if one.state in ("pending", "sending", "sent")]
    if sent:
        said.append((pushed(reason, sent, at, now), True))
    throttled = [one for one in told if one.ended_reason == "throttled"]
    if throttled:
        last = max((one.told_before for one in throttled if one.told_before), default=None)
        when = None if last is None else before(last, now) if at is None else ago(last, now)
        said.append((not_pushed([one.user for one in throttled], when), False))
    for ended in sorted({one.ended_reason for one in told if one.ended_reason not in ("", "throttled")}):
        users = [one.user for one in told if one.ended_reason == ended]
        text = format_html(_("{reason} ({people})"), people=people(users), reason=why_not(ended))
        said.append((text, False))
    return said


def unroutable(agent: str) -> SafeString:
    """No supervisor is assigned, so the screen and the specialists are told."""
    return format_html(_("Nobody can be told: no supervisor backs up {agent}."), agent=bdi(agent or _("this room")))


def nobody_told(reason: str) -> SafeString:
    """Of an occasion to tell people on which there was nobody to tell."""
    specialists = _("Not pushed: no specialist is there to be told either.")
    return format_html("{}", specialists if reason == "escalated" else _("Not pushed: nobody is there to be told."))


def quietly(reason: str) -> SafeString:
    """Why nobody was told about an event that joined an alert."""
    return format_html("{}", QUIETLY.get(reason, QUIETLY["attached"]))


def last_decision(alert: Alert, told: Sequence[Told], zone: str, now: datetime) -> SafeString:
    """The newest decision about an open alert, for its row."""
    reason = alert.last_reason
    if alert.is_silenced(now):
        return quietly("silenced")
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        until = moment(alert.snoozed_until, zone, now)
        return format_html(_("Snoozed until {time}; getting worse breaks it."), time=until)
    if reason == "unroutable":
        agent = alert.agent.name if alert.agent else _("this room")
        text = (
            _("Nobody who backs up {agent} is on duty.") if alert.duty_waits else _("No supervisor backs up {agent}.")
        )
        return format_html(text, agent=bdi(agent))
    if reason == "quiet_hours" and alert.hours_until is not None:
        until = moment(alert.hours_until, zone, now)
        return format_html(_("Everybody on duty is in quiet hours; told at {time}."), time=until)
    if reason in BECAUSE and told:
        return telling(reason, told, alert.last_told_at, now)[0][0]
    if reason in ("attached", "acknowledged", "snoozed") and told:
        when = ago(alert.last_told_at, now) if alert.last_told_at else None
        return not_pushed([one.user for one in told if one.state != "skipped"], when)
    return nobody_told(reason) if reason in BECAUSE and reason not in QUIETLY else quietly(reason)


def silenced(alert: Alert, now: datetime) -> SafeString:
    """Until when a silence holds it, and who made that."""
    until = moment(alert.silenced_until or now, alert.org.zone, now)
    author = alert.silence.created_by if alert.silence else None
    if author is None:
        return format_html(_("Silenced until {time}"), time=until)
    theirs, yours = _("Silenced until {time} by {name}"), _("Silenced until {time} by you")
    return whose(author, theirs, yours, time=until)


def on_it(alert: Alert, zone: str, now: datetime, opened_by: User | None) -> tuple[SafeString, SafeString]:
    """Who has an acknowledged alert, and what happens next."""
    expires = alert.acknowledge_expires_at
    if opened_by is not None or alert.human_acted_at is not None:
        who = whose(
            opened_by or alert.acknowledged_by,
            _("{name} opened the room {ago}"),
            _("You opened the room {ago}"),
            ago=ago(alert.human_acted_at or now, now),
        )
        why = _("Has not written yet. Opens again at {time} if nobody does.")
    else:
        taken = alert.assigned_to is not None
        who = whose(
            alert.assigned_to or alert.acknowledged_by,
            _("{name} took it {ago}") if taken else _("{name} has seen it {ago}"),
            _("You took it {ago}") if taken else _("You have seen it {ago}"),
            ago=ago(alert.acknowledged_at or now, now),
        )
        why = _("Not in the room yet. Opens again at {time} if nobody enters.")
    return who, format_html(why, time=moment(expires, zone, now)) if expires else format_html("{}", "")


def in_room(alert: Alert, now: datetime) -> tuple[SafeString, SafeString]:
    """Who intervened, and whether they still hold the room."""
    room = alert.room
    user = room.human if room is not None and room.human_since is not None else alert.intervened_by
    if room is not None and room.human_since is None:
        who = whose(user, _("{name} was in the room"), _("You were in the room"))
        return who, format_html("{}", _("The bot has the room back; alarms again if it fails."))
    who = whose(user, _("{name} is in the room"), _("You are in the room"))
    return who, format_html("{}", _("Silent while a human holds the room; alarms again if the bot gets it back."))


def ended(alert: Alert, now: datetime) -> SafeString:
    """How a resolved alert ended."""
    when = ago(alert.resolved_at or now, now)
    match alert.resolved_kind:
        case Alert.By.QUIET:
            return format_html("{}", _("Closed: quiet for 30 min"))
        case Alert.By.ABANDONED:
            return format_html("{}", _("Closed after 24 h: nobody came"))
        case Alert.By.RECOVERED:
            return format_html(_("Recovered {ago}"), ago=when)
        case Alert.By.ROOM if alert.resolved_by is None:
            return format_html(_("Room resolved {ago}"), ago=when)
    return format_html(_("Resolved by {person} {ago}"), person=person(alert.resolved_by), ago=when)


def taken_by(alert: Alert, now: datetime) -> str:
    """The answer at `now` to somebody who was too late, as plain text."""
    came = alert.state == Alert.State.INTERVENED
    holder = (alert.intervened_by if came else None) or alert.assigned_to or alert.acknowledged_by
    at = alert.intervened_at if came else alert.acknowledged_at
    if holder is None:
        return _("Already taken.")
    if at is None or now - at > JUST_BEFORE:
        return _("Already taken by {name}.").format(name=holder)
    before = span(max(1.0, (now - at).total_seconds()))
    return _("Taken by {name}, {span} before you.").format(name=holder, span=before)


def failures(count: int) -> str:
    """`5 failure events, one alert`."""
    return ngettext("{n} failure event, one alert", "{n} failure events, one alert", count).format(
        n=number_format(count)
    )
