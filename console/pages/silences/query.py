"""What the page of silences lists, and what a new one would hold now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts import actions
from alerts.models import Alert, Silence, counted_silences
from alerts.silencing import SilenceWindow, silence_state, window_at, windows
from orgs.auth import OrgIds, of_orgs
from orgs.models import User

ENDED_SHOWN = 50
TOLD_BEFORE = timedelta(minutes=10)  # its author hears that it is about to end


@dataclass(frozen=True)
class ListedSilence:
    """A silence as it is listed: the window that lasts or comes next, and whether its reader may take its end back."""

    silence: Silence
    state: str
    window: SilenceWindow | None
    held_back: int
    still_open: int
    undoable: bool = False


def listed_silences(orgs: OrgIds, me: User, now: datetime) -> dict[str, list[ListedSilence]]:
    """By state: what lasts, what comes, and what ended last."""
    rows = of_orgs(counted_silences(), orgs)
    standing = [_listed(one, me, now) for one in rows.filter(ended_at=None).order_by("starts_at", "pk")]
    ended = [_listed(one, me, now) for one in rows.exclude(ended_at=None).order_by("-ended_at", "-pk")[:ENDED_SHOWN]]
    found = {state: [one for one in standing if one.state == state] for state in ("active", "scheduled")}
    return found | {"ended": [one for one in standing if one.state == "ended"] + ended}


def _listed(one: Silence, me: User, now: datetime) -> ListedSilence:
    state = "ended" if one.ended_at else silence_state(one.facts, now)
    window = None if one.ended_at else next(windows(one.facts, now), None)
    still = Alert.objects.filter(silence=one, state=Alert.State.OPEN).count() if state == "active" else 0
    undoable = actions.may_restore_silence(one, me, now) if one.ended_at else False
    return ListedSilence(one, state, window, one.held_back, still, undoable)  # type: ignore[attr-defined]


def ending_soon(me: User, now: datetime) -> Sequence[tuple[Silence, datetime, int]]:
    """Of this person's silences those that end in the next 10 min while something is open: until when, how much."""
    found = []
    for one in Silence.objects.filter(created_by=me, ended_at=None, starts_at__lte=now).select_related("org", "agent"):
        window = window_at(one.facts, now)
        if window is not None and window.ends - now <= TOLD_BEFORE:
            still = Alert.objects.filter(silence=one, state=Alert.State.OPEN).count()
            found += [(one, window.ends, still)] if still else []
    return found
