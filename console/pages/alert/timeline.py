"""An alert's history: what happened, and what was decided about it. Newest first."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.utils.html import format_html
from django.utils.translation import gettext as _

from alerts.decide import REPEATS, next_timer
from alerts.models import Alert, Comment, FailureEvent, Push, Transition
from console.text import sentences
from console.text.sentences import Told, as_said, telling, why_ended
from console.text.wording import bdi, before, clock, commas, moment, people, person, span, whose
from orgs.models import User
from orgs.routing import recipients
from orgs.signals import ROOM_SIGNALS, SOURCE_SIGNALS, signal_name

EVENTS_SHOWN = 200
TRANSITIONS_SHOWN = 400
COMMENTS_SHOWN = 200
OF_AN_EVENT = frozenset({"opened", "attached", "worsened", "rearmed"})
SENT = ("pending", "sending", "sent")  # pushes that tell somebody
CHANGE_ICONS = {
    "acknowledged": "check",
    "assigned": "user",
    "released": "arrow-left",
    "snoozed": "alarm-snooze",
    "opened_room": "eye",
    "intervened": "message-circle",
    "returned": "arrow-forward-up",
    "resolved": "circle-check",
    "abandoned": "user-off",
    "reopened": "refresh",
    "verdict": "flag",
    "expired": "clock",
    "repeated": "stairs-up",
    "worsened": "stairs-up",
}
NODE = {"critical": "crit", "warning": "warn", "info": ""}


@dataclass(frozen=True)
class Said:
    """One sentence of a decision, its reason code, and whether somebody was told."""

    text: str
    code: str = ""
    push: bool = False


@dataclass
class TimelineItem:
    """One entry: what happened (`title`, `note`), then what was decided (`said`)."""

    at: datetime
    icon: str
    node: str
    title: str
    note: str = ""
    said: list[Said] = field(default_factory=list)
    parts: set[str] = field(default_factory=set)
    order: int = 0


@dataclass(frozen=True)
class History:
    """The rows behind an alert's page."""

    alert: Alert
    events: list[FailureEvent]
    transitions: list[Transition]
    pushes: list[Push]
    comments: list[Comment]

    @property
    def older(self) -> int:
        """How many events are left out; the alert of a source has none."""
        return max(0, self.alert.event_count - len(self.events)) if self.alert.room_id else 0

    @cached_property
    def occasions(self) -> dict[int, list[Told]]:
        """Who was to be told, by occurrence, with the time when each was told before it."""
        told: dict[int, list[Told]] = defaultdict(list)
        last: dict[int, datetime] = {}
        for push in self.pushes:
            why = why_ended(push, self.transitions)
            told[push.occurrence].append(Told(push.supervisor, push.state, why, last.get(push.supervisor_id)))
            if push.state in SENT:
                last[push.supervisor_id] = push.planned_at
        return told


def load_history(alert: Alert) -> History:
    """Four queries; run it inside a scope."""
    events = FailureEvent.objects.filter(alert=alert).order_by("-received_at", "-pk")
    transitions = Transition.objects.filter(alert=alert).select_related("actor").order_by("-at", "-id")
    pushes = Push.objects.filter(alert=alert).select_related("supervisor")
    pushes = pushes.order_by("planned_at", "tier", "supervisor__name", "pk")
    comments = Comment.objects.filter(alert=alert).select_related("author").order_by("-at", "-pk")
    shown = list(comments[:COMMENTS_SHOWN])
    return History(alert, list(events[:EVENTS_SHOWN]), list(transitions[:TRANSITIONS_SHOWN]), list(pushes), shown)


def timeline(history: History, part: str) -> list[TimelineItem]:
    """The entries of one part (`all`, `failures`, `decisions`, `people`), newest first."""
    by_event: dict[int, list[Transition]] = defaultdict(list)
    for transition in history.transitions:
        if transition.event_id is not None:
            by_event[transition.event_id].append(transition)
    items = [_event_item(event, by_event.get(event.pk, []), history) for event in history.events]
    items += [
        _change_item(transition, history)
        for transition in history.transitions
        if transition.event_id is None and (transition.change != "attached" or history.alert.source_id is not None)
    ]
    items += [_opened_item(push) for push in history.pushes if push.opened_at is not None]
    items += [_comment_item(comment) for comment in history.comments]
    items.sort(key=lambda item: (item.at, item.order), reverse=True)
    return [item for item in items if part == "all" or part in item.parts]


def _event_item(event: FailureEvent, changes: Sequence[Transition], history: History) -> TimelineItem:
    said: list[Said] = []
    if any(change.change == "opened" for change in changes):
        said.append(Said(_("Alert opened.")))
    for change in changes:
        if change.change == "worsened":
            said.append(Said(_worse(change)))
        said += _decision(change, history)
    if not changes:
        said.append(Said(sentences.quietly(event.reason), event.reason))
    return TimelineItem(
        at=event.received_at,
        icon=ROOM_SIGNALS[event.signal].icon if event.signal in ROOM_SIGNALS else "help-circle",
        node=NODE.get(event.severity, ""),
        title=signal_name(event.signal),
        note=event_note(event, history.alert.org.zone),
        said=said,
        parts={"failures", "decisions"},
        order=event.pk,
    )


def event_note(event: FailureEvent, zone: str) -> str:
    """What the event itself says: `0.31, limit 0.45`, `20 of 20 messages used`."""
    notes: list[str] = []
    if signal := ROOM_SIGNALS.get(event.signal):
        quoted = [getattr(event, column) for column in signal.quotes]
        notes = [str(signal.note(event)), *[as_said(text) for text in quoted if text]]
    if event.reason == "late":
        notes.append(format_html(_("happened at {time}"), time=clock(event.occurred_at, zone, seconds=True)))
    if event.clock_flagged:
        notes.append(_("the sender's clock is ahead"))
    if "truncated" in event.flags:
        notes.append(_("some of its text was cut or cleaned"))
    if "secret" in event.flags:
        notes.append(_("a secret in it was replaced"))
    return commas(note for note in notes if note)


def _worse(change: Transition) -> str:
    start, end = change.detail.get("from", ""), change.detail.get("to", "")
    if not start or not end or start == end:
        return _("It got worse.")
    return _("It got worse, from {start} to {end}.").format(
        start=sentences.severity_name(start).lower(), end=sentences.severity_name(end).lower()
    )


def _decision(change: Transition, history: History) -> list[Said]:
    reason, at = change.reason, change.at
    if reason == "unroutable":
        agent = history.alert.agent.name if history.alert.agent else ""
        return [Said(sentences.unroutable(agent), reason)]
    if change.occurrence:
        said = telling(reason, history.occasions.get(change.occurrence, []), None, at)
        return [Said(text, "" if n else reason, push) for n, (text, push) in enumerate(said)]
    earlier = [push for push in history.pushes if push.planned_at <= at and push.state in SENT]
    if reason == "attached" and earlier:
        newest = max(push.occurrence for push in earlier)
        told = [push for push in earlier if push.occurrence == newest]
        when = before(told[0].planned_at, at)
        return [Said(sentences.not_pushed([push.supervisor for push in told], when), reason)]
    return [Said(sentences.quietly(reason), reason)] if reason else []


def _change_item(change: Transition, history: History) -> TimelineItem:
    note = change.detail.get("note", "")
    said = [_quoted(note)] if note else []
    if change.occurrence or change.reason == "unroutable":
        said = _decision(change, history)
    human = change.actor_id is not None or change.change in ("intervened", "opened_room")
    return TimelineItem(
        at=change.at,
        icon=CHANGE_ICONS.get(change.change, "history"),
        node="human" if human else "crit" if change.change == "worsened" else "",
        title=change_title(change, history.alert),
        said=said,
        parts={"people"} if human else {"decisions"},
        order=change.pk,
    )


def _quoted(text: str) -> Said:
    return Said(format_html("“{}”", bdi(text)))


def _comment_item(comment: Comment) -> TimelineItem:
    title = whose(comment.author, _("{name} commented"), _("You commented"))
    return TimelineItem(comment.at, "message-circle", "human", title, said=[_quoted(comment.text)], parts={"people"})


def change_title(change: Transition, alert: Alert) -> str:
    """One change of an alert as a sentence: who did what."""
    if change.reason in SOURCE_SIGNALS:
        return signal_name(change.reason)
    who, detail = change.actor, change.detail
    named = User(sso_id=detail.get("sso_id", ""), name=detail["name"]) if detail.get("name") else None
    if detail.get("undo"):
        return whose(who, _("{name} undid it: it is as it was before"), _("You undid it: it is as it was before"))
    match change.change:
        case "acknowledged":
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
            return _resolved(change)
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
        case "repeated":
            return _("Nobody acted for {span}").format(span=span((change.at - alert.ladder_from).total_seconds()))
        case "worsened" if detail.get("cause") == "handed_off":
            return _("Handed off 3 min ago, and nobody came: now critical")
    return _worse(change) if change.change == "worsened" else _("It failed again")


def _resolved(change: Transition) -> str:
    if change.reason == "recovered":
        return _("Recovered: it sends data again, and we accept it")
    if change.reason == "quiet":
        return _("Closed: quiet for 30 min, and nobody waited")
    if change.reason == "room":
        return whose(change.actor, _("{name} resolved the room"), _("You resolved the room"))
    return whose(change.actor, _("{name} resolved it"), _("You resolved it"))


def _opened_item(push: Push) -> TimelineItem:
    assert push.opened_at is not None
    after = span((push.opened_at - (push.sent_at or push.planned_at)).total_seconds())
    note = _("{span} after it was sent").format(span=after)
    title = whose(push.supervisor, _("{name} opened the push"), _("You opened the push"))
    return TimelineItem(push.opened_at, "device-mobile", "human", title, note, parts={"people"})


def next_step(alert: Alert, now: datetime) -> str:
    """What time alone will do next, and when; empty for a resolved alert. One query."""
    if alert.room is None:
        return ""
    timer = next_timer(alert.facts, alert.room.facts)
    if timer is None:
        return ""
    time = moment(timer[0], alert.org.zone, now, seconds=True)
    today = time == clock(timer[0], alert.org.zone, seconds=True)
    at = format_html("<b>{}</b>", format_html(_("Next at {time}") if today else _("Next on {time}"), time=time))
    match timer[1]:
        case "quiet":
            return format_html(_("{at}, if nothing more happens and nobody waits: it closes by itself."), at=at)
        case "abandoned":
            return format_html(_("{at}, if nobody comes: it closes as abandoned."), at=at)
    key = (alert.org_id, alert.agent_id or 0)
    users = [User(sso_id=one.sso_id, name=one.name) for one in recipients({key})[key]]
    told = people(users) if users else _("nobody can be told: no supervisor is assigned")
    sentence = {
        "expired": _("{at}, unless somebody writes in the room: it opens again; told: {people}."),
        "handed_off": _("{at}, unless a human writes: it becomes critical; told: {people}."),
    }.get(timer[1], _("{at}, unless somebody acts: repeat {n} of {all}; told: {people}."))
    return format_html(sentence, at=at, people=told, n=alert.repeats_done + 1, all=len(REPEATS))
