"""Alerts of scope org: nobody will be on duty. At most one open per org; each gap is told once, and when it grew."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from alerts.actions.activity import end
from alerts.actions.book import Book
from alerts.models import Alert, Transition
from orgs.models import Org
from orgs.signals.duty_gap import DUTY_GAP


class ForeseenGap(NamedTuple):
    """Nobody is on duty for this agent (pk) from `begins` on; `ends` None: as far as can be seen."""

    agent: int
    begins: datetime
    ends: datetime | None


def judge_gaps(org: Org, gaps: Sequence[ForeseenGap], newest: Alert | None, now: datetime) -> bool:
    """Let what is foreseen act on the org's `newest` alert; whether that changed.

    The caller holds the watch's lock, inside `transaction.atomic()`. Only that watch opens alerts of orgs; a human acts
    on them under the alert's own row lock, which is taken here too. What was told is read from its transitions, so a
    gap that a human resolved is not told again.
    """
    book = Book(now)
    alert = None if newest is None else book.lock_alert(newest.pk)
    is_open = alert is not None and alert.state != Alert.State.RESOLVED
    new = _untold(gaps, _told(alert))
    if alert is not None and is_open and not gaps:
        end(alert, Alert.By.RECOVERED, now)
        book.record(alert, "resolved", "recovered")
    elif alert is not None and is_open and new:
        _attach(book, alert, new)
    elif not is_open and new:
        _begin(book, org, new)
    else:
        return False
    book.close()
    return True


def _told(alert: Alert | None) -> list[ForeseenGap]:
    if alert is None:
        return []
    rows = Transition.objects.filter(alert=alert, detail__has_key="gaps").values_list("detail", flat=True)
    return [
        ForeseenGap(agent, datetime.fromisoformat(begins), datetime.fromisoformat(ends) if ends else None)
        for detail in rows
        for agent, begins, ends in detail["gaps"]
    ]


def _untold(gaps: Sequence[ForeseenGap], told: Sequence[ForeseenGap]) -> list[ForeseenGap]:
    """Those that none which was told covers; one that only came nearer, or has begun, is no other."""
    return [one for one in gaps if not any(_covers(known, one) for known in told)]


def _covers(known: ForeseenGap, one: ForeseenGap) -> bool:
    lasts = known.ends is None or (one.ends is not None and one.ends <= known.ends)
    return known.agent == one.agent and known.begins <= one.begins and lasts


def _detail(gaps: Sequence[ForeseenGap]) -> dict[str, Any]:
    return {"gaps": [[one.agent, one.begins.isoformat(), one.ends and one.ends.isoformat()] for one in gaps]}


def _begin(book: Book, org: Org, gaps: Sequence[ForeseenGap]) -> None:
    now = book.now
    alert = Alert(
        org=org,
        scope=Alert.Scope.ORG,
        severity=DUTY_GAP.severity,
        signals=[_entry(now, 1, 1)],
        event_count=1,
        version=0,
        opened_at=now,
        ladder_from=now,
        first_failure_at=now,
        last_event_at=now,
    )
    book.record(alert, "opened", DUTY_GAP.name, detail=_detail(gaps), notify=True)


def _attach(book: Book, alert: Alert, gaps: Sequence[ForeseenGap]) -> None:
    alert.event_count += 1
    alert.last_event_at = book.now
    begun = datetime.fromisoformat(alert.signals[0]["first_at"])
    alert.signals = [_entry(begun, alert.event_count, alert.episode) | {"last_at": book.now.isoformat()}]
    book.record(alert, "attached", DUTY_GAP.name, detail=_detail(gaps), notify=True)


def _entry(at: datetime, count: int, episode: int) -> dict[str, object]:
    facts = {"signal": DUTY_GAP.name, "count": count, "first_at": at.isoformat(), "last_at": at.isoformat()}
    return facts | {"severity": DUTY_GAP.severity, "episode": episode}
