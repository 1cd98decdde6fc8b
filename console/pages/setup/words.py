"""The words of the setup page: each step with its fact, and the commands to send with."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alerts.onboarding import STEPS, Progress, SetupFacts
from console.text.wording import bdi, clock, day_clock, short_name
from orgs.models import User
from orgs.signals import signal_name

EVENT = """curl -X POST {base}/api/failure-events \\
  -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
  -d '{{"event_id": "setup-'$(date +%s)'", "agent_name": "My agent", "room_id": "setup-1",
       "signal": "agent_error", "occurred_at": "'$(date -u +%FT%TZ)'", "error": {{"type": "SetupTest"}}}}'"""
ANSWER = """curl -X POST {base}/api/room-activity \\
  -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
  -d '{{"activity_id": "setup-'$(date +%s)'", "room_id": "{room}",
       "kind": "human_message", "at": "'$(date -u +%FT%TZ)'"}}'"""
PLACEHOLDER = "$KEY"


@dataclass(frozen=True)
class SetupStep:
    """One step; `state` is done, now (the first that is not done) or todo; `fact` proves it."""

    name: str
    number: int
    title: str
    state: str
    fact: str


def event_curl(key: str = PLACEHOLDER) -> str:
    """The command that sends a first failure event."""
    return EVENT.format(base=settings.BASE_URL, key=key)


def answer_curl(room: str) -> str:
    """The command that reports a human's message in a room."""
    known = room if room.isascii() and room.replace("-", "").replace("_", "").isalnum() else "ROOM"
    return ANSWER.format(base=settings.BASE_URL, key=PLACEHOLDER, room=known)


def steps(progress: Progress, facts: SetupFacts) -> list[SetupStep]:
    """All of them, in order."""
    current = next((step for step in STEPS if step not in progress.done), "")
    titles = {
        "source": _("Your agents send events"),
        "event": _("A failure arrives"),
        "people": _("Supervisors are mapped"),
        "phone": _("A push reaches a phone"),
        "room": _("A supervisor opens the room"),
        "follow_up": _("A human answers the customer"),
    }
    return [
        SetupStep(
            step,
            number,
            titles[step],
            "done" if step in progress.done else "now" if step == current else "todo",
            _fact(step, facts) if step in progress.done else "",
        )
        for number, step in enumerate(STEPS, 1)
    ]


def _fact(step: str, facts: SetupFacts) -> str:
    zone = timezone.get_current_timezone_name()
    match step:
        case "source" if facts.source:
            time = clock(facts.source.at, zone, seconds=True)
            return format_html(_("{source}, last data {time}"), source=bdi(facts.source.source), time=time)
        case "event" if facts.event:
            signal, agent = signal_name(facts.event.signal), facts.event.agent
            time = day_clock(facts.event.received_at, zone)
            return format_html(_("{signal} of {agent}, {time}"), signal=signal, agent=bdi(agent), time=time)
        case "people":
            people = ngettext("{n} person", "{n} people", facts.people).format(n=facts.people)
            tiers = ngettext("{n} tier", "{n} tiers", facts.tiers).format(n=facts.tiers)
            return f"{people}, {tiers}"
        case "phone" if facts.phone and facts.phone.delivered_at:
            return _who(facts.phone.supervisor, facts.phone.delivered_at, zone)
        case "room" if facts.room:
            return _who(facts.room.actor, facts.room.at, zone)
        case "follow_up" if facts.follow_up:
            return _who(facts.follow_up.actor, facts.follow_up.at, zone)
    return ""


def _who(user: User | None, at: datetime, zone: str) -> str:
    name = short_name(str(user)) if user else _("A human agent")
    return format_html("{}, {}", bdi(name), day_clock(at, zone))
