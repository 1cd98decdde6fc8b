"""Proof of reach: pushed -> delivered -> opened -> entered room, each hop with its time or its reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext as _

from alerts.models import Alert, Push, Transition
from console.text.sentences import as_said, why_ended, why_not
from console.text.wording import bdi, moment, span
from orgs.models import User

HopState = Literal["done", "wait", "fail", "todo"]
HOP_ICONS = {"done": "circle-check-f", "wait": "clock", "fail": "circle-x-f", "todo": "circle-dashed"}
NOT_SENT = ("cancelled", "skipped")
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

    @property
    def role(self) -> str:
        """What somebody of no tier was told as."""
        return _("specialist") if self.user.is_specialist else _("fallback")

    @property
    def trace(self) -> str:
        """For specialists: how long after its plan the last attempt passed each hop here; "" if there was none."""
        names = {
            "committed": _("committed"),
            "kicked": _("worker kicked"),
            "claimed": _("claimed"),
            "sent": _("sent"),
            "answered": _("answered"),
        }
        passed = [f"{said} {number_format(self.push.trace[n])} ms" for n, said in names.items() if n in self.push.trace]
        return _("After it was received: {hops}").format(hops=", ".join(passed)) if passed else ""


def after(start: datetime, end: datetime) -> str:
    """`+17 s`"""
    return "+" + span((end - start).total_seconds())


def chain(push: Push, zone: str, now: datetime, entered_at: datetime | None = None, why: str = "") -> Chain:
    """The hop chain of one push; a test push ends with `opened`."""
    first, pretended = _pushed(push, zone, now), _pretended(push)
    delivered = _delivered(push, first, now)
    opened = (
        Hop(_("Opened"), "todo") if pretended else _human(_("Opened"), push, push.opened_at, push.delivered_at, now)
    )
    if entered_at is not None and opened.state != "done":  # nobody waits for it any more
        delivered = Hop(delivered.name, "todo") if delivered.state == "wait" else delivered
        opened = Hop(opened.name, "todo", _("came another way"))
    hops = [first, delivered, opened]
    if push.kind not in (Push.Kind.TEST, Push.Kind.DUTY):
        hops.append(_human(_("Entered room"), push, entered_at, None if pretended else push.opened_at, now))
    tone, icon, pill = _pill(push, entered_at)
    done = pretended or push.opened_at is not None or push.state in ("dead", *NOT_SENT) or push.push == "no_token"
    timed_out = push.sent_at is not None and now - push.sent_at > TEST_WAITS
    return Chain(push, push.supervisor, push.tier, hops, pill, tone, icon, why or _why(push), over=done or timed_out)


def _pretended(push: Push) -> bool:
    """Whether its receipts come from a stand-in, and tell of no phone."""
    return settings.NOTIFICATION_SERVICE_IS_STANDIN and bool(push.delivered_at or push.opened_at)


def _pushed(push: Push, zone: str, now: datetime) -> Hop:
    name = _("Pushed")
    match push.state:
        case "sent":
            return Hop(name, "done", moment(push.sent_at or push.planned_at, zone, now, seconds=True))
        case "dead":
            return Hop(name, "fail", bdi(push.last_answer))
        case "cancelled" | "skipped":
            return Hop(name, "todo", _("not sent"))
    if push.attempts and push.next_attempt_at:
        time = moment(push.next_attempt_at, zone, now, seconds=True)
        return Hop(name, "wait", format_html(_("tried {n} times, again {time}"), n=push.attempts, time=time))
    return _waited(name, push.planned_at, now)


def _delivered(push: Push, first: Hop, now: datetime) -> Hop:
    name = _("Delivered")
    if _pretended(push):
        return Hop(name, "todo", _("a stand-in took it"))
    if push.delivered_at is not None:
        return Hop(name, "done", after(push.sent_at or push.planned_at, push.delivered_at))
    if push.opened_at is not None:
        return Hop(name, "done")
    if push.failed_at is not None:
        return Hop(name, "fail", as_said(push.failed_reason))
    if push.push == "no_token":
        return Hop(name, "fail", _("no phone, in the app only"))
    return _waited(name, push.sent_at if first.state == "done" else None, now)


def _human(name: str, push: Push, at: datetime | None, step_before: datetime | None, now: datetime) -> Hop:
    """A hop that a person takes, after the step before it."""
    if at is not None:
        return Hop(name, "done", after(push.sent_at or push.planned_at, at))
    return _waited(name, step_before, now)


def _waited(name: str, since: datetime | None, now: datetime) -> Hop:
    return Hop(name, "todo") if since is None else Hop(name, "wait", span((now - since).total_seconds()))


def _pill(push: Push, entered_at: datetime | None) -> tuple[str, str, str]:
    if entered_at is not None:
        return "human", "check", _("Entered room")
    if _pretended(push):
        return "none", "device-mobile-off", _("No phone rang")
    if push.opened_at is not None:
        return "warn" if push.kind == Push.Kind.ALERT else "ok", "eye", _("Opened")
    if push.state == "dead":
        return "crit", "bell-x", _("Not sent")
    if push.failed_at is not None or push.push == "no_token":
        return "crit", "device-mobile-off", _("No phone") if push.push == "no_token" else _("Not delivered")
    if push.state in NOT_SENT:
        return "none", "bell-x", _("Not pushed")
    if push.delivered_at is not None:
        return "info", "device-mobile", _("Delivered")
    return "warn", "clock", _("No sign yet") if push.state == "sent" else _("On its way")


def _why(push: Push, transitions: Sequence[Transition] = ()) -> str:
    if ended := why_ended(push, transitions):
        return why_not(ended)
    if push.push == "no_token":
        return _("No phone is registered: it is in the app only.")
    if _pretended(push):
        return _("a stand-in took it; no phone rang.")
    return ""


def chains(alert: Alert, pushes: Sequence[Push], transitions: Sequence[Transition], now: datetime) -> list[Chain]:
    """One chain per supervisor: their newest push that was not skipped, else the newest."""
    entered = [t for t in transitions if t.change in ("opened_room", "intervened")]
    newest: dict[int, Push] = {}
    skipped: dict[int, Push] = {}
    for push in sorted(pushes, key=lambda p: (p.planned_at, p.occurrence)):
        chosen = newest.get(push.supervisor_id)
        if push.state in NOT_SENT and chosen is not None and chosen.state not in NOT_SENT:
            skipped[push.supervisor_id] = push
        else:
            newest[push.supervisor_id] = push
            skipped.pop(push.supervisor_id, None)
    found = []
    for user_id, push in newest.items():
        came = [t.at for t in entered if t.actor_id == user_id and t.at >= push.planned_at]
        why = _why(skipped.get(user_id, push), transitions)
        found.append(chain(push, alert.org.zone, now, min(came, default=None), why))
    return sorted(found, key=lambda one: (one.tier, str(one.user)))
