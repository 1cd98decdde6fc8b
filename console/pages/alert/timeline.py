"""An alert's history: what happened, and what was decided about it. Newest first."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.utils.html import format_html
from django.utils.translation import gettext as _

from alerts.models import Alert, Comment, DigestAlert, FailureEvent, Push, Silence, Transition
from console.pages.alert.changes import change_title, got_worse
from console.pages.silences.words import silence_what
from console.text import sentences
from console.text.sentences import Told, as_said, telling, why_ended
from console.text.wording import bdi, before, clock, commas, span, whose
from orgs.signals import ROOM_SIGNALS, WIDE_SIGNALS, signal_name

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
    "escalated": "stairs-up",
    "released_hold": "history",
    "worsened": "stairs-up",
    "window_over": "lock",
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
class AlertHistory:
    """The rows behind an alert's page."""

    alert: Alert
    events: list[FailureEvent]
    transitions: list[Transition]
    pushes: list[Push]
    comments: list[Comment]
    digests: list[Push] = field(default_factory=list)  # that named it among others
    silences: dict[str, Silence] = field(default_factory=dict)  # that held it and are still there, by id

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


def load_history(alert: Alert) -> AlertHistory:
    """Five queries, one more if a silence held it; run it inside a scope."""
    events = FailureEvent.objects.filter(alert=alert).order_by("-received_at", "-pk")
    transitions = Transition.objects.filter(alert=alert).select_related("actor").order_by("-at", "-id")
    pushes = Push.objects.filter(alert=alert).select_related("supervisor")
    pushes = pushes.order_by("planned_at", "tier", "supervisor__name", "pk")
    comments = Comment.objects.filter(alert=alert).select_related("author").order_by("-at", "-pk")
    named = DigestAlert.objects.filter(alert=alert, named=True).select_related("push__supervisor")
    changes = list(transitions[:TRANSITIONS_SHOWN])
    return AlertHistory(
        alert,
        list(events[:EVENTS_SHOWN]),
        changes,
        list(pushes),
        list(comments[:COMMENTS_SHOWN]),
        [row.push for row in named],
        _silences_of(changes),
    )


def _silences_of(changes: Sequence[Transition]) -> dict[str, Silence]:
    wanted = {change.detail["silence"] for change in changes if change.detail.get("silence")}
    found = Silence.objects.filter(pk__in=wanted).select_related("created_by", "agent") if wanted else []
    return {str(one.pk): one for one in found}


def timeline(history: AlertHistory, part: str, more: Sequence[TimelineItem] = ()) -> list[TimelineItem]:
    """The entries of one part (`all`, `failures`, `decisions`, `people`), newest first; `more` among them."""
    by_event: dict[int, list[Transition]] = defaultdict(list)
    for transition in history.transitions:
        if transition.event_id is not None:
            by_event[transition.event_id].append(transition)
    items = [_event_item(event, by_event.get(event.pk, []), history) for event in history.events]
    items += [
        _change_item(transition, history)
        for transition in history.transitions
        if transition.event_id is None and _is_shown(transition, history.alert)
    ]
    items += [_digest_item(push) for push in history.digests if push.state in SENT]
    items += [_opened_item(push) for push in (*history.pushes, *history.digests) if push.opened_at is not None]
    items += [_comment_item(comment) for comment in history.comments]
    items += more
    items.sort(key=lambda item: (item.at, item.order), reverse=True)
    return [item for item in items if part == "all" or part in item.parts]


def _event_item(event: FailureEvent, changes: Sequence[Transition], history: AlertHistory) -> TimelineItem:
    said: list[Said] = []
    if any(change.change == "opened" for change in changes):
        said.append(Said(_("Alert opened.")))
    for change in changes:
        if change.change == "worsened":
            said.append(Said(got_worse(change)))
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


def _decision(change: Transition, history: AlertHistory) -> list[Said]:
    reason, at = change.reason, change.at
    if reason == "unroutable":
        agent = history.alert.agent.name if history.alert.agent else ""
        return [Said(sentences.unroutable(agent), reason)]
    if change.occurrence:
        people = history.occasions.get(change.occurrence, [])
        if not people and history.alert.state != Alert.State.RESOLVED:  # later its pushes may have been purged
            return [Said(sentences.nobody_told(reason), reason)]
        said = telling(reason, people, None, at)
        return [Said(text, "" if n else reason, push) for n, (text, push) in enumerate(said)]
    earlier = [push for push in history.pushes if push.planned_at <= at and push.state in SENT]
    if reason == "attached" and earlier:
        newest = max(push.occurrence for push in earlier)
        told = [push for push in earlier if push.occurrence == newest]
        when = before(told[0].planned_at, at)
        return [Said(sentences.not_pushed([push.supervisor for push in told], when), reason)]
    return [Said(sentences.quietly(reason), reason)] if reason else []


def _change_item(change: Transition, history: AlertHistory) -> TimelineItem:
    note = change.detail.get("note", "")
    said = [_quoted(note)] if note else []
    if change.occurrence or change.reason == "unroutable":
        said = _decision(change, history)
    elif change.reason == "silence_ended":
        said = [Said(format_html("{}", _("Not pushed: it held back nothing that is still to be told.")), change.reason)]
    silence = history.silences.get(change.detail.get("silence", ""))
    if silence is not None:
        said = [Said(silence_what(silence)), *([_quoted(silence.note)] if silence.note else [])]
    human = change.actor_id is not None or change.change in ("intervened", "opened_room")
    return TimelineItem(
        at=change.at,
        icon=WIDE_SIGNALS[change.reason].icon
        if change.reason in WIDE_SIGNALS
        else CHANGE_ICONS.get(change.change, "history"),
        node="human" if human else "crit" if change.change == "worsened" else "",
        title=change_title(change, history.alert, silence.created_by if silence else None),
        said=said,
        parts={"people"} if human else {"decisions"},
        order=change.pk,
    )


def _is_shown(change: Transition, alert: Alert) -> bool:
    """Whether a change that no failure event made stands in the timeline: one more room of an outage does only where
    people were told of it.
    """
    if change.change != "attached" or change.reason == "silenced":
        return True
    return change.occurrence > 0 if alert.is_outage else alert.source_id is not None


def _quoted(text: str) -> Said:
    return Said(format_html("“{}”", bdi(text)))


def _comment_item(comment: Comment) -> TimelineItem:
    title = whose(comment.author, _("{name} commented"), _("You commented"))
    return TimelineItem(comment.at, "message-circle", "human", title, said=[_quoted(comment.text)], parts={"people"})


def _digest_item(digest: Push) -> TimelineItem:
    title = whose(digest.supervisor, _("Named in a digest to {name}"), _("Named in a digest to you"))
    return TimelineItem(digest.planned_at, "device-mobile", "", title, parts={"decisions"})


def _opened_item(push: Push) -> TimelineItem:
    assert push.opened_at is not None
    after = span((push.opened_at - (push.sent_at or push.planned_at)).total_seconds())
    note = _("{span} after it was sent").format(span=after)
    title = whose(push.supervisor, _("{name} opened the push"), _("You opened the push"))
    return TimelineItem(push.opened_at, "device-mobile", "human", title, note, parts={"people"})
