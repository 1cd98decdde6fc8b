"""Alerts of scope source: opened, worsened and resolved by what the watch found. At most one open per (org, source)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.actions.activity import end
from alerts.actions.book import Book
from alerts.decide import RANK
from alerts.models import Alert
from orgs.models import Org, Source
from orgs.signals.kinds import SourceSignal
from orgs.signals.silent_source import SILENT_SOURCE

HUMAN_SAID_SO = timedelta(minutes=60)  # a human resolved it: refused items do not open it again before


@dataclass(frozen=True, slots=True)
class SourceTrouble:
    """One thing that is wrong with a source, and since when."""

    signal: SourceSignal
    since: datetime

    def entry(self, episode: int) -> dict[str, object]:
        at = self.since.isoformat()
        facts = {"signal": self.signal.name, "count": 1, "first_at": at, "last_at": at}
        return facts | {"severity": self.signal.severity, "episode": episode}


def judge_source(
    key: tuple[int, int], newest: Alert | None, troubles: Sequence[SourceTrouble], last_at: datetime, now: datetime
) -> bool:
    """Let what is wrong with the source `key` (org pk, source pk) act on its `newest` alert; whether that changed.

    The caller holds the watch's lock, inside `transaction.atomic()`. Only that watch opens alerts of sources; a human
    acts on them under the alert's own row lock, which is taken here too.
    """
    book = Book(now)
    alert = None if newest is None else book.lock_alert(newest.pk)
    if alert is not None and alert.state != Alert.State.RESOLVED:
        changed = _go_on(book, alert, troubles)
    else:
        changed = _begin(book, key, alert, troubles, last_at)
    book.close()
    return changed


def _begin(
    book: Book, key: tuple[int, int], before: Alert | None, troubles: Sequence[SourceTrouble], last_at: datetime
) -> bool:
    wanted = [one for one in troubles if not _was_seen(before, one, last_at, book.now)]
    if not wanted:
        return False
    since = min(one.since for one in wanted)
    worst = max((one.signal for one in wanted), key=lambda signal: RANK[signal.severity])
    alert = Alert(
        org=Org.objects.get(pk=key[0]),
        source=Source.objects.get(pk=key[1]),
        scope=Alert.Scope.SOURCE,
        severity=worst.severity,
        signals=[one.entry(1) for one in wanted],
        event_count=len(wanted),
        version=0,
        opened_at=book.now,
        ladder_from=book.now,
        first_failure_at=since,
        last_event_at=book.now,
    )
    book.record(alert, "opened", worst.name, notify=True)
    return True


def _was_seen(before: Alert | None, trouble: SourceTrouble, last_at: datetime, now: datetime) -> bool:
    """A human resolved it: silence counts anew once the source was heard again, refused items after an hour."""
    if before is None or before.resolved_at is None or before.resolved_kind != Alert.By.HUMAN:
        return False
    if trouble.signal is SILENT_SOURCE:
        return before.resolved_at > last_at
    return now - before.resolved_at < HUMAN_SAID_SO


def _go_on(book: Book, alert: Alert, troubles: Sequence[SourceTrouble]) -> bool:
    if not troubles:
        end(alert, Alert.By.RECOVERED, book.now)
        book.record(alert, "resolved", "recovered")
        return True
    known = {entry["signal"] for entry in alert.signals}
    new = [one for one in troubles if one.signal.name not in known]
    for one in new:
        worse = RANK[one.signal.severity] > RANK[alert.severity]
        detail = {"from": alert.severity, "to": one.signal.severity} if worse else {}
        alert.severity = one.signal.severity if worse else alert.severity
        alert.signals = [*alert.signals, one.entry(alert.episode)]
        alert.event_count += 1
        alert.last_event_at = book.now
        book.record(alert, "worsened" if worse else "attached", one.signal.name, detail=detail, notify=worse)
    return bool(new)
