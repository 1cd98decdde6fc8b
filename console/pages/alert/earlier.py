"""What else happened in the alert's room: its other alerts, and the earlier episodes of this one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from alerts.models import Alert, Transition
from console.live.rows import for_rows, wait_of
from console.pages.alert.changes import change_title
from console.text.sentences import ended, severity_name
from console.text.wording import duration
from orgs.signals import signal_name

SHOWN = 10
ENDS = frozenset({"opened_room", "intervened", "resolved", "abandoned", "returned"})
CAME = frozenset({"opened_room", "intervened"})


@dataclass(frozen=True)
class RoomTrouble:
    """One stretch of trouble of a room: when it began, by what, how it ended, how long until a human came."""

    at: datetime
    title: str
    outcome: str
    wait: str
    label: str
    url: str = ""  # empty for an episode of the alert that is shown: its timeline tells of it


def room_history(alert: Alert, transitions: Iterable[Transition], now: datetime) -> list[RoomTrouble]:
    """The newest first; one query."""
    if alert.room_id is None:
        return []
    others = for_rows(Alert.objects.filter(room=alert.room_id).exclude(pk=alert.pk)).order_by("-opened_at")[:SHOWN]
    found = [_of_alert(other, now) for other in others]
    changes = list(transitions)
    for episode in range(max(1, alert.episode - SHOWN), alert.episode):
        found += _of_episode(alert, episode, [change for change in changes if change.episode == episode])
    return sorted(found, key=lambda one: one.at, reverse=True)[:SHOWN]


def _of_alert(alert: Alert, now: datetime) -> RoomTrouble:
    wait = wait_of(alert, now)
    resolved = alert.state == Alert.State.RESOLVED
    outcome = ended(alert, now) if resolved else str(Alert.State(alert.state).label)
    url = reverse("alert", args=[alert.pk])
    return RoomTrouble(alert.first_failure_at, _named(alert, alert.episode), outcome, wait.text, wait.label, url)


def _of_episode(alert: Alert, episode: int, changes: list[Transition]) -> list[RoomTrouble]:
    """`changes`: the episode's, newest first. Nothing for an episode whose failures are unknown."""
    began = [datetime.fromisoformat(entry["first_at"]) for entry in alert.signals if entry["episode"] == episode]
    if not began:
        return []
    start = min(began)
    last = next((change for change in changes if change.change in ENDS), None)
    came = [change.at for change in changes if change.change in CAME]
    until = min(came) if came else last.at if last else start
    wait = duration((until - start).total_seconds()) if last else ""
    label = _("until a human") if came else _("lasted")
    outcome = change_title(last, alert) if last else ""
    return [RoomTrouble(start, _named(alert, episode), outcome, wait, label)]


def _named(alert: Alert, episode: int) -> str:
    """What the newest signal of an episode is called."""
    signals = [entry["signal"] for entry in alert.signals if entry["episode"] == episode]
    return signal_name(signals[-1]) if signals else severity_name(alert.severity)
