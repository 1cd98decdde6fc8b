"""Proof of reach: pushed -> delivered -> opened -> entered room, each hop with its time or its reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.utils.html import format_html
from django.utils.translation import gettext as _

from alerts.decide import REPEATS, next_timer
from alerts.models import Alert, Push, Transition
from console.text.sentences import ENDED, why_ended
from console.text.wording import bdi, clock, people, span
from orgs.models import User
from orgs.routing import recipients

HopState = Literal["done", "wait", "fail", "todo"]
HOP_ICONS = {"done": "circle-check-f", "wait": "clock", "fail": "circle-x-f", "todo": "circle-dashed"}
TEST_WAITS = timedelta(seconds=60)  # how long a test push is watched for its receipts


@dataclass(frozen=True)
class Hop:
    """One step of a push. `note`: its time, how long it has been waited for, or why it failed."""

    name: str
    state: HopState
    note: str = ""

    @property
    def icon(self) -> str:
        return HOP_ICONS[self.state]

    @property
    def said(self) -> str:
        """The state for those who do not see the icon."""
        return {"done": _("done"), "wait": _("waiting"), "fail": _("failed"), "todo": _("not yet")}[self.state]


@dataclass(frozen=True)
class Chain:
    """What became of the pushes to one supervisor: of `push`. `over`: nothing more is to come."""

    push: Push
    user: User
    tier: int
    hops: list[Hop]
    pill: str
    pill_tone: str
    pill_icon: str
    why: str = ""
    over: bool = False


def after(start: datetime, end: datetime) -> str:
    """`+17 s`"""
    return "+" + span((end - start).total_seconds())


def chain(push: Push, zone: str, now: datetime, entered_at: datetime | None = None, why: str = "") -> Chain:
    """The hop chain of one push; a test push ends with `opened`."""
    first = _pushed(push, zone, now)
    hops = [first, _delivered(push, first, now), _opened(push, now)]
    if push.kind != Push.Kind.TEST:
        hops.append(_entered(push, entered_at, now))
    tone, icon, pill = _pill(push, entered_at)
    done = push.opened_at is not None or push.state in ("dead", "cancelled", "skipped") or push.push == "no_token"
    timed_out = push.sent_at is not None and now - push.sent_at > TEST_WAITS
    return Chain(push, push.supervisor, push.tier, hops, pill, tone, icon, why or _why(push), over=done or timed_out)


def _pushed(push: Push, zone: str, now: datetime) -> Hop:
    match push.state:
        case "sent":
            return Hop(_("Pushed"), "done", clock(push.sent_at or push.planned_at, zone, seconds=True))
        case "dead":
            return Hop(_("Pushed"), "fail", bdi(push.last_answer))
        case "cancelled" | "skipped":
            return Hop(_("Pushed"), "todo", _("not sent"))
    if push.attempts and push.next_attempt_at:
        time = clock(push.next_attempt_at, zone, seconds=True)
        return Hop(_("Pushed"), "wait", format_html(_("tried {n} times, again {time}"), n=push.attempts, time=time))
    return Hop(_("Pushed"), "wait", span((now - push.planned_at).total_seconds()))


def _delivered(push: Push, first: Hop, now: datetime) -> Hop:
    if push.delivered_at is not None:
        return Hop(_("Delivered"), "done", after(push.sent_at or push.planned_at, push.delivered_at))
    if push.opened_at is not None:
        return Hop(_("Delivered"), "done")
    if push.failed_at is not None:
        return Hop(_("Delivered"), "fail", bdi(push.failed_reason))
    if push.push == "no_token":
        return Hop(_("Delivered"), "fail", _("no phone, in the app only"))
    if first.state == "done" and push.sent_at is not None:
        return Hop(_("Delivered"), "wait", span((now - push.sent_at).total_seconds()))
    return Hop(_("Delivered"), "todo")


def _opened(push: Push, now: datetime) -> Hop:
    if push.opened_at is not None:
        return Hop(_("Opened"), "done", after(push.sent_at or push.planned_at, push.opened_at))
    if push.delivered_at is not None:
        return Hop(_("Opened"), "wait", span((now - push.delivered_at).total_seconds()))
    return Hop(_("Opened"), "todo")


def _entered(push: Push, entered_at: datetime | None, now: datetime) -> Hop:
    if entered_at is not None:
        return Hop(_("Entered room"), "done", after(push.sent_at or push.planned_at, entered_at))
    if push.opened_at is not None:
        return Hop(_("Entered room"), "wait", span((now - push.opened_at).total_seconds()))
    return Hop(_("Entered room"), "todo")


def _pill(push: Push, entered_at: datetime | None) -> tuple[str, str, str]:
    if entered_at is not None:
        return "human", "check", _("Entered room")
    if push.opened_at is not None:
        return "warn" if push.kind == Push.Kind.ALERT else "ok", "eye", _("Opened")
    if push.state == "dead":
        return "crit", "bell-x", _("Not sent")
    if push.failed_at is not None or push.push == "no_token":
        return "crit", "device-mobile-off", _("No phone") if push.push == "no_token" else _("Not delivered")
    if push.state in ("cancelled", "skipped"):
        return "none", "bell-x", _("Not pushed")
    if push.delivered_at is not None:
        return "info", "device-mobile", _("Delivered")
    return "warn", "clock", _("No sign yet") if push.state == "sent" else _("On its way")


def _why(push: Push, transitions: Sequence[Transition] = ()) -> str:
    if ended := why_ended(push, transitions):
        return str(ENDED.get(ended, ended))
    if push.push == "no_token":
        return _("No phone is registered: it is in the app only.")
    return ""


def chains(alert: Alert, pushes: Sequence[Push], transitions: Sequence[Transition], now: datetime) -> list[Chain]:
    """One chain per supervisor: their newest push that was not skipped, else the newest."""
    entered = _entered_times(transitions)
    newest: dict[int, Push] = {}
    skipped: dict[int, Push] = {}
    for push in sorted(pushes, key=lambda p: (p.planned_at, p.occurrence)):
        chosen = newest.get(push.supervisor_id)
        if (
            push.state in ("skipped", "cancelled")
            and chosen is not None
            and chosen.state not in ("skipped", "cancelled")
        ):
            skipped[push.supervisor_id] = push
        else:
            newest[push.supervisor_id] = push
            skipped.pop(push.supervisor_id, None)
    found = []
    for user_id, push in newest.items():
        came = [at for at in entered.get(user_id, []) if at >= push.planned_at]
        why = _why(skipped.get(user_id, push), transitions)
        found.append(chain(push, alert.org.zone, now, min(came, default=None), why))
    return sorted(found, key=lambda one: (one.tier, str(one.user)))


def _entered_times(transitions: Sequence[Transition]) -> dict[int, list[datetime]]:
    times: dict[int, list[datetime]] = {}
    for change in transitions:
        if change.change in ("opened_room", "intervened") and change.actor_id is not None:
            times.setdefault(change.actor_id, []).append(change.at)
    return times


def next_step(alert: Alert) -> str:
    """What time alone will do next, and when; empty for a resolved alert. One query."""
    if alert.room is None:
        return ""
    timer = next_timer(alert.facts, alert.room.facts)
    if timer is None:
        return ""
    at = format_html("<b>{}</b>", format_html(_("Next at {time}"), time=clock(timer[0], alert.org.zone, seconds=True)))
    match timer[1]:
        case "quiet":
            return format_html(_("{at}, if nothing more happens and nobody waits: it closes by itself."), at=at)
        case "abandoned":
            return format_html(_("{at}, if nobody comes: it closes as abandoned."), at=at)
    key = (alert.org_id, alert.agent_id or 0)
    found = recipients({key})[key]
    users = [User(sso_id=one.sso_id, name=one.name) for one in found]
    told = people(users) if users else _("nobody can be told: no supervisor is assigned")
    match timer[1]:
        case "expired":
            return format_html(
                _("{at}, unless somebody writes in the room: it opens again; told: {people}."), at=at, people=told
            )
        case "handed_off":
            return format_html(
                _("{at}, unless a human writes: it becomes critical; told: {people}."), at=at, people=told
            )
    return format_html(
        _("{at}, unless somebody acts: repeat {n} of {all}; told: {people}."),
        at=at,
        n=alert.repeats_done + 1,
        all=len(REPEATS),
        people=told,
    )
