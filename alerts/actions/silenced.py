"""Which alerts of a transaction are silenced: they are marked, held, and let go when nothing covers them any more.

What silences an alert stands in its row, so that its timers, its row on the board and the digests read it there. While
it is marked its ladder and its tier's clock stand still; let go, it is told once, and they go on.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from uuid import UUID

from alerts.actions.stored import stored
from alerts.actions.tiers import (
    clock_stands_at,
    resume_kept_clocks,
    resume_tier_clock,
    shift_tier_clock,
    standing_for,
    stands_at,
)
from alerts.decide import INFO
from alerts.delivery.silenced import subject_of
from alerts.models import Alert, Silence
from alerts.silencing import Covering, covering, windows
from orgs.duty.spans import DutySpan, joined_spans

if TYPE_CHECKING:
    from alerts.actions.book import Book

OPEN, RESOLVED = Alert.State.OPEN, Alert.State.RESOLVED
TOLD_WITHIN = timedelta(minutes=5)  # a silence shorter than this that held nothing is not told of


class SilencedAlerts:
    """The silences that one transaction has to do with."""

    def __init__(self, book: "Book") -> None:
        self._book = book
        self._met: dict[tuple[UUID, UUID], tuple[int, bool]] = {}  # (silence, alert): org, whether it was held
        self._held: set[UUID] = set()  # alerts that are marked from now on
        self._spared: set[UUID] = set()

    def let_go(self) -> None:
        """As `Outages.let_go`."""
        del self._book

    def covering(self, alert: Alert) -> Covering | None:
        """What silences this alert now, whatever its row says; nothing does while nobody can be told of it."""
        silences = self._book.known.silences([alert.org_id])[alert.org_id]
        subject = subject_of(alert) if silences and alert.id not in self._spared else None
        found = covering(silences, subject, self._book.now) if subject else None
        return found if found and self._can_be_told(alert) else None

    def _can_be_told(self, alert: Alert) -> bool:
        """Whether anybody backs it up who is on duty, or will be when their quiet hours end; of info, at all."""
        keys = self._book.outages.agent_keys(alert)
        standing = standing_for(alert, alert.severity, self._book.now, self._book.known, keys)
        some = [one for one in (*standing.people, *standing.fallback) if not one.absent or one.quiet_until]
        return bool(some) or (alert.severity == INFO and bool(standing.people))

    def meets(self, alert: Alert) -> bool:
        """Whether the alert, of which a failure was just decided, is silenced; the silence is not idle then."""
        if alert.state == OPEN:
            return self.is_held(alert)
        found = self.covering(alert)
        if found is not None:
            self._meet(alert, found)
        return found is not None

    def spare(self, alert: Alert) -> None:
        """Nobody can be told of it: that is silenced by nothing."""
        self._spared.add(alert.id)
        if alert.silenced_until is not None:
            self._let_go(alert)

    def is_held(self, alert: Alert) -> bool:
        """Whether people are told nothing of it now; it is marked then, else its mark goes."""
        found = self.covering(alert)
        if found is not None:
            self._mark(alert, found)
        elif alert.silenced_until is not None:
            self._let_go(alert)
        return found is not None

    def judge(self, alert: Alert) -> None:
        """Mark what a silence covers from now on; let go what none covers any more, and tell of it if it waits."""
        found = self.covering(alert) if alert.state != RESOLVED else None
        if found is not None and (alert.state == OPEN or alert.silenced_until is not None):
            begins = alert.silenced_until is None
            self._mark(alert, found)
            if begins:
                detail = {"silence": str(found.silence.id), "until": found.until.isoformat()}
                self._book.record(alert, "attached", "silenced", detail=detail)
        elif found is None and alert.silenced_until is not None:
            self._release(alert)

    def judge_changed(self, alerts: Iterable[Alert]) -> None:
        """Mark those of these that are open and covered, and not marked yet; one that is over is marked no more."""
        for alert in alerts:
            if alert.state == OPEN and alert.silenced_until is None:
                self.judge(alert)
            elif alert.state == RESOLVED and alert.silenced_until is not None:
                self._let_go(alert)

    def made_up_for(self, alert: Alert, since: datetime, *, over: bool) -> str:
        """The alert is open again, as if nobody had had it since then: its clocks stood while a silence covered it. Why
        people are told, if one has ended that held it, else empty.

        `over`: it was resolved, which lets go of what is marked; else that stays so until its silence ends.
        """
        reason = ""
        for begin, end in self._covered(alert, since):
            if end > self._book.now:
                if alert.silenced_until is None:
                    self.judge(alert)
                    alert.silenced_from = alert.silenced_until and max(begin, since)
                continue
            if over or begin > since:
                self._stood(alert, max(begin, since), end)
            if end - begin >= TOLD_WITHIN or stored().silenced_reasons(alert, begin):
                reason = "silence_ended"
        return "" if alert.silenced_until is not None else reason

    def _covered(self, alert: Alert, since: datetime) -> list[DutySpan]:
        """When silences covered it, as it is now: of spans in order, those that end after that time."""
        subject = subject_of(alert)
        standing = stored().silences_since(alert.org_id, since) if subject else []
        spans = [(one.facts, span) for one in standing for span in _lasted(one, alert.opened_at, self._book.now)]
        edges = sorted({edge for _, span in spans for edge in span})
        found = [
            DutySpan(begin, end)
            for begin, end in pairwise(edges)
            if subject and covering((facts for facts, span in spans if span.begin <= begin < span.end), subject, begin)
        ]
        return [span for span in joined_spans(found) if span.end > since]

    @staticmethod
    def _stood(alert: Alert, begin: datetime, end: datetime) -> None:
        """Its clocks stood still between these times."""
        alert.ladder_from += max(end - max(begin, alert.ladder_from), timedelta(0))
        snoozed = alert.snoozed_until
        shift_tier_clock(alert, stands_at(end, None, snoozed) - stands_at(end, begin, snoozed))

    def write(self) -> None:
        """Write what was met, and cancel what waits to be sent of what is held; the alerts are written."""
        if self._met:
            rows = [(org, silence, alert, held) for (silence, alert), (org, held) in self._met.items()]
            stored().write_silenced(rows, self._book.now)
        if self._held:
            stored().hold_pushes(self._held, self._book.now)

    def _meet(self, alert: Alert, found: Covering) -> None:
        key = found.silence.id, alert.id
        held = alert.silenced_until is not None or (key in self._met and self._met[key][1])
        self._met[key] = alert.org_id, held

    def _mark(self, alert: Alert, found: Covering) -> None:
        if alert.silenced_until is None:
            alert.silenced_from = self._book.now
            self._held.add(alert.id)
        if (alert.silence_id, alert.silenced_until) != (found.silence.id, found.until):
            alert.silence_id, alert.silenced_until = found.silence.id, found.until
            self._book.touch(alert)
        self._meet(alert, found)

    def _release(self, alert: Alert) -> None:
        tells = not (alert.room is not None and alert.room.recovered) and self._waits_to_be_told(alert)
        self._let_go(alert)
        self._book.record(alert, "released_hold", "silence_ended", notify=tells)

    def _waits_to_be_told(self, alert: Alert) -> bool:
        """Whether people are told now that nothing covers it: nobody has it and it is not put aside, or it got worse
        in the hands of whoever acknowledged it before that.
        """
        now, since = self._book.now, alert.silenced_from or self._book.now
        if alert.state == Alert.State.ACKNOWLEDGED:
            return "worsened" in stored().silenced_reasons(alert, max(since, alert.acknowledged_at or since))
        waits = alert.state == OPEN and not alert.is_snoozed(now)
        return waits and (now - since >= TOLD_WITHIN or bool(stored().silenced_reasons(alert, since)))

    def _let_go(self, alert: Alert) -> None:
        """Its clocks go on from where they stood when the silence began; a snooze has moved the tier's already."""
        now, since = self._book.now, alert.silenced_from or self._book.now
        alert.ladder_from += max(now - max(since, alert.ladder_from), timedelta(0))
        stood_at = clock_stands_at(alert, now)
        alert.silence = alert.silenced_from = alert.silenced_until = None
        resume_tier_clock(alert, stood_at, now)
        resume_kept_clocks(alert, since, now)
        self._book.touch(alert)


def _lasted(silence: Silence, begin: datetime, end: datetime) -> Iterator[DutySpan]:
    """Its windows that were not over at `begin` and began by `end`, each while it stood."""
    for window in windows(silence.facts, begin):
        if window.starts > end:
            return
        since, until = max(window.starts, silence.created_at), min(window.ends, silence.ended_at or window.ends)
        if since <= min(until, end):
            yield DutySpan(since, until)
