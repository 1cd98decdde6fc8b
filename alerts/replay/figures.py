"""What a play comes to: the figures of one half of a preview."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from alerts.models import Push
from alerts.replay.history import History
from alerts.replay.stage import Played
from alerts.rows import PushRow, TransitionRow
from orgs.clock import rfc3339

HOUR = timedelta(hours=1)
NOT_COUNTED = ("no_longer_needed",)  # why a digest goes to nobody


def figures_of(played: Played, history: History, names: Mapping[int, str]) -> dict[str, Any]:
    """The figures as contracts.md has them; `names`: the sso_id of each person."""
    memory, since, until = played.memory, history.since, history.until
    pushes = [one for one in memory.pushes if since < one.planned_at <= until]
    digests = [one for one in memory.digests if since < one.planned_at <= until and _goes(one)]
    changes = [one for one in memory.transitions if since < one.at <= until]
    told, named = Counter(one.supervisor_id for one in pushes), Counter(one.supervisor_id for one in digests)
    people = sorted({names.get(pk, str(pk)): pk for pk in told | named}.items())
    return {
        "pushes": len(pushes),
        "digests": len(digests),
        "interruptions": sum(_reaches(one) for one in (*pushes, *digests)),
        "escalations": sum(one.change == "escalated" and one.occurrence > 0 for one in changes),
        "unroutable": sum(one.reason == "unroutable" for one in changes),
        "by_person": [{"sso_id": who, "pushes": told[pk], "digests": named[pk]} for who, pk in people],
        "by_hour": _by_hour(pushes, since, until),
        "not_told": _not_told(played, changes, since, until),
    }


def _goes(digest: PushRow) -> bool:
    return not (digest.state == Push.State.CANCELLED and digest.ended_reason in NOT_COUNTED)


def _reaches(push: PushRow) -> bool:
    """A phone rang: it was sent, and there was a phone."""
    return push.state == Push.State.SENT and push.push != "no_token"


def _by_hour(pushes: Iterable[PushRow], since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Each hour of the UTC clock that lies in the span, those without a push too."""
    counts = Counter(_hour(one.planned_at) for one in pushes)
    hour, found = _hour(since), []
    while hour < until:
        found.append({"from": rfc3339(hour, "seconds"), "pushes": counts[hour]})
        hour += HOUR
    return found


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _not_told(played: Played, changes: list[TransitionRow], since: datetime, until: datetime) -> list[dict[str, str]]:
    """The alerts that began, or began anew, and of which nobody was told in the span, each with the last reason why."""
    memory = played.memory
    told = {one.alert_id for one in memory.pushes if since < one.planned_at <= until}
    for digest in memory.digests:
        if since < digest.planned_at <= until and digest.state == Push.State.SENT:
            told |= set(memory.names[digest.id])
    began: dict[UUID, str] = {}
    for one in changes:
        if one.change in ("opened", "rearmed") and one.alert_id not in told:
            began[one.alert_id] = memory.skipped.get(one.alert_id) or one.reason
    began |= _never_opened(played, since)
    return [{"alert_id": str(pk), "reason": reason} for pk, reason in sorted(began.items())]


def _never_opened(played: Played, since: datetime) -> dict[UUID, str]:
    """Alerts of the past that did not come to be, with why their last event decided nothing."""
    reasons: dict[UUID, str] = {}
    for event, alert in played.events:
        if alert is not None and event.received_at > since and alert not in played.memory.alerts:
            reasons[alert] = event.reason
    kept = {event.alert_id for event, _ in played.events}
    return {pk: reason for pk, reason in reasons.items() if pk not in kept or reason in ("above_threshold", "late")}


def not_reproduced(played: Played, history: History) -> int:
    """How many pushes and digests of the span were planned otherwise than this play says: 0 for a history that is whole
    and was swept in time.
    """
    since, until = history.since, history.until
    real: dict[tuple[Any, ...], int] = defaultdict(int)
    for push in history.pushes:
        if since < push.planned_at <= until and push.state != Push.State.SKIPPED:
            if push.kind == Push.Kind.ALERT:
                real[push.alert_id, push.supervisor_id, push.occurrence, push.reason, push.planned_at] += 1
            elif push.written:
                real[None, push.supervisor_id, push.occurrence, "", push.planned_at] += 1
    for one in played.memory.pushes:
        if since < one.planned_at <= until:
            real[one.alert_id, one.supervisor_id, one.occurrence, one.reason, one.planned_at] -= 1
    for one in played.memory.digests:
        if since < one.planned_at <= until and one.body:
            real[None, one.supervisor_id, one.occurrence, "", one.planned_at] -= 1
    return sum(abs(n) for n in real.values())
