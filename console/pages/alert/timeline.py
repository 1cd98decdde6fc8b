"""An alert's history: what happened, and what was decided about it. Newest first."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.html import format_html
from django.utils.translation import gettext as _

from alerts.models import SOURCE_SIGNALS, Alert, FailureEvent, Push, Transition
from console.text import sentences
from console.text.sentences import Told, signal_name, telling, why_ended
from console.text.wording import bdi, before, clock, person, span, whose

EVENTS_SHOWN = 200
TRANSITIONS_SHOWN = 400
OF_AN_EVENT = frozenset({"opened", "attached", "worsened", "rearmed"})
PARTS = ("all", "failures", "decisions", "people")
EVENT_ICONS = {
    "agent_error": "alert-octagon-f",
    "unexpected_handoff": "arrows-right-left",
    "message_cap": "message-2-off",
    "low_confidence": "help-circle",
    "help_requested": "hand-stop",
}
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
    """The rows behind an alert's page; `older` events are left out."""

    alert: Alert
    events: list[FailureEvent]
    transitions: list[Transition]
    pushes: list[Push]
    older: int


def load_history(alert: Alert) -> History:
    """Three queries; run it inside a scope."""
    events = list(FailureEvent.objects.filter(alert=alert).order_by("-received_at", "-pk")[:EVENTS_SHOWN])
    transitions = Transition.objects.filter(alert=alert).select_related("actor").order_by("-at", "-id")
    pushes = (
        Push.objects.filter(alert=alert)
        .select_related("supervisor")
        .order_by("planned_at", "tier", "supervisor__name", "pk")
    )
    return History(alert, events, list(transitions[:TRANSITIONS_SHOWN]), list(pushes), _older(alert, len(events)))


def _older(alert: Alert, shown: int) -> int:
    return max(0, alert.event_count - shown) if alert.room_id else 0  # a source's alert has no failure events


def timeline(history: History, part: str) -> list[TimelineItem]:
    """The entries of one part (`all`, `failures`, `decisions`, `people`), newest first."""
    occasions = _occasions(history)
    by_event: dict[int, list[Transition]] = defaultdict(list)
    for transition in history.transitions:
        if transition.event_id is not None:
            by_event[transition.event_id].append(transition)
    items = [_event_item(event, by_event.get(event.pk, []), occasions, history) for event in history.events]
    items += [
        _change_item(transition, occasions, history)
        for transition in history.transitions
        if transition.event_id is None and (transition.change != "attached" or history.alert.source_id is not None)
    ]
    items += [_opened_item(push) for push in history.pushes if push.opened_at is not None]
    items.sort(key=lambda item: (item.at, item.order), reverse=True)
    return [item for item in items if part == "all" or part in item.parts]


def _occasions(history: History) -> dict[int, list[Told]]:
    """Who was to be told, by occurrence, with the time each was told before it."""
    told: dict[int, list[Told]] = defaultdict(list)
    last: dict[int, datetime] = {}
    for push in history.pushes:
        why = why_ended(push, history.transitions)
        one = Told(push.supervisor, push.state, why, last.get(push.supervisor_id))
        told[push.occurrence].append(one)
        if push.state in ("pending", "sending", "sent"):
            last[push.supervisor_id] = push.planned_at
    return told


def _last_told(history: History, at: datetime) -> tuple[list[Told], datetime | None]:
    """The newest occasion before `at` on which somebody was told."""
    earlier = [p for p in history.pushes if p.planned_at <= at and p.state in ("pending", "sending", "sent")]
    if not earlier:
        return [], None
    newest = max(push.occurrence for push in earlier)
    found = [push for push in earlier if push.occurrence == newest]
    return [Told(push.supervisor, push.state) for push in found], found[0].planned_at


def _event_item(
    event: FailureEvent, changes: Sequence[Transition], occasions: dict[int, list[Told]], history: History
) -> TimelineItem:
    said: list[Said] = []
    if any(change.change == "opened" for change in changes):
        said.append(Said(_("Alert opened.")))
    for change in changes:
        if change.change == "worsened":
            said.append(Said(_worse(change)))
        said += _decision(change.reason, change.occurrence, change.at, occasions, history)
    if not changes:
        said.append(Said(sentences.quietly(event.reason), event.reason))
    return TimelineItem(
        at=event.received_at,
        icon=EVENT_ICONS.get(event.signal, "help-circle"),
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
    match event.signal:
        case "low_confidence" if event.confidence is not None:
            notes.append(
                _("{confidence}, limit {threshold}").format(
                    confidence=f"{event.confidence:.2f}", threshold=f"{event.threshold or 0.5:.2f}"
                )
            )
        case "message_cap" if event.message_cap:
            notes.append(
                _("{count} of {cap} messages used").format(count=event.message_count or 0, cap=event.message_cap)
            )
        case "unexpected_handoff":
            notes.append(_("taken over by nobody") if event.handoff_completed is False else _("handed over"))
            notes += _theirs(event.handoff_reason)
        case "agent_error":
            notes += _theirs(event.error_type, event.error_message)
    if event.reason == "late":
        notes.append(format_html(_("happened at {time}"), time=clock(event.occurred_at, zone, seconds=True)))
    if event.clock_flagged:
        notes.append(_("the sender's clock is ahead"))
    if "truncated" in event.flags:
        notes.append(_("a text of it was cut or cleaned"))
    if "secret" in event.flags:
        notes.append(_("a secret in it was replaced"))
    kept = [note for note in notes if note]
    line = format_html("{}", kept[0]) if kept else format_html("{}", "")
    for note in kept[1:]:
        line = format_html("{}, {}", line, note)
    return line


def _theirs(*texts: str) -> list[str]:
    return [bdi(text) for text in texts if text]


def _worse(change: Transition) -> str:
    start, end = change.detail.get("from", ""), change.detail.get("to", "")
    if not start or not end or start == end:
        return _("It got worse.")
    return _("It got worse, from {start} to {end}.").format(
        start=sentences.severity_name(start).lower(), end=sentences.severity_name(end).lower()
    )


def _decision(
    reason: str, occurrence: int, at: datetime, occasions: dict[int, list[Told]], history: History
) -> list[Said]:
    if reason == "unroutable":
        agent = history.alert.agent.name if history.alert.agent else ""
        return [Said(sentences.unroutable(agent), reason)]
    if occurrence:
        said = telling(reason, occasions.get(occurrence, []), None, at)
        return [Said(text, "" if n else reason, push) for n, (text, push) in enumerate(said)]
    if reason in ("attached", "acknowledged", "snoozed"):
        told, told_at = _last_told(history, at)
        if told and reason == "attached" and told_at is not None:
            users = [one.user for one in told]
            return [Said(sentences.not_pushed(users, before(told_at, at)), reason)]
    return [Said(sentences.quietly(reason), reason)] if reason else []


def _change_item(change: Transition, occasions: dict[int, list[Told]], history: History) -> TimelineItem:
    people = change.actor_id is not None or change.change in ("intervened", "opened_room")
    return TimelineItem(
        at=change.at,
        icon=CHANGE_ICONS.get(change.change, "history"),
        node="human" if people else "crit" if change.change == "worsened" else "",
        title=change_title(change, history.alert),
        said=_decision(change.reason, change.occurrence, change.at, occasions, history)
        if change.occurrence or change.reason == "unroutable"
        else _note(change),
        parts={"people"} if people else {"decisions"},
        order=change.pk,
    )


def _note(change: Transition) -> list[Said]:
    note = change.detail.get("note", "")
    return [Said(format_html("“{}”", bdi(note)))] if note else []


def change_title(change: Transition, alert: Alert) -> str:
    """One change of an alert as a sentence: who did what."""
    if change.reason in SOURCE_SIGNALS:
        return signal_name(change.reason)
    who, detail = change.actor, change.detail
    named = detail.get("name", "")
    if detail.get("undo"):
        return whose(who, _("{name} undid it: it is as it was before"), _("You undid it: it is as it was before"))
    match change.change:
        case "acknowledged":
            if detail.get("assigned"):
                return whose(who, _("{name} took it"), _("You took it"))
            return whose(who, _("{name} has seen it"), _("You have seen it"))
        case "assigned":
            return format_html(_("{person} gave it to {to}"), person=person(who, start=True), to=bdi(named))
        case "released":
            return whose(who, _("{name} released it: it is open again"), _("You released it: it is open again"))
        case "snoozed":
            until = datetime.fromisoformat(detail["until"]) if detail.get("until") else change.at
            time = clock(until, alert.org.zone)
            return whose(who, _("{name} snoozed it until {time}"), _("You snoozed it until {time}"), time=time)
        case "opened_room":
            return whose(who, _("{name} opened the room"), _("You opened the room"))
        case "intervened":
            return _intervened(change)
        case "returned":
            return _("The bot has the room back")
        case "resolved":
            return _resolved(change)
        case "abandoned":
            return _("Closed after 24 h: nobody came")
        case "reopened":
            return whose(who, _("{name} opened it again"), _("You opened it again"))
        case "verdict":
            return _verdict(change)
        case "expired" if detail.get("cause") == "undelivered":
            return whose(
                who,
                _("{name} wrote, but the message did not reach the customer"),
                _("You wrote, but the message did not reach the customer"),
            )
        case "expired":
            return _("{name} did not come: it is open again").format(name=named or _("Whoever took it"))
        case "repeated":
            return _("Nobody acted for {span}").format(span=span((change.at - alert.ladder_from).total_seconds()))
        case "worsened" if detail.get("cause") == "handed_off":
            return _("Handed off 3 min ago, and nobody came: now critical")
    return _worse(change) if change.change == "worsened" else _("It failed again")


def _intervened(change: Transition) -> str:
    if change.detail.get("cause") == "assigned":
        return whose(change.actor, _("{name} was assigned the room"), _("You were assigned the room"))
    return whose(change.actor, _("{name} wrote in the room"), _("You wrote in the room"))


def _resolved(change: Transition) -> str:
    if change.reason == "recovered":
        return _("Recovered: it is heard again, and what it sends is taken")
    if change.reason == "quiet":
        return _("Closed: quiet for 30 min, and nobody waited")
    if change.reason == "room":
        return whose(change.actor, _("{name} resolved the room"), _("You resolved the room"))
    return whose(change.actor, _("{name} resolved it"), _("You resolved it"))


def _verdict(change: Transition) -> str:
    if change.detail.get("to") == "false_alarm":
        return whose(change.actor, _("{name} called it a false alarm"), _("You called it a false alarm"))
    return whose(change.actor, _("{name} called it a real failure"), _("You called it a real failure"))


def _opened_item(push: Push) -> TimelineItem:
    assert push.opened_at is not None
    after = span((push.opened_at - (push.sent_at or push.planned_at)).total_seconds())
    note = _("{span} after it was sent").format(span=after)
    title = whose(push.supervisor, _("{name} opened the push"), _("You opened the push"))
    return TimelineItem(push.opened_at, "device-mobile", "human", title, note, parts={"people"})
