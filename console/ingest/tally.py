"""Counts in memory what passed the lane, and adds it to the minutes about once a second: the hot path writes no row.

A process that is killed loses at most a second of these statistics, never an item.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.db import DataError, Error, IntegrityError

from alerts.items import Accepted, EventItem, Result
from alerts.masking import mask_cut
from alerts.models import RejectedItem
from alerts.sources import traffic
from alerts.sources.sample import sample_of
from alerts.sources.senders import SaidSent, add_sent
from alerts.sources.traffic import Slot, TrafficCounts, slot
from console.ingest import check
from console.ingest.check import ItemKind
from console.ingest.decode import ItemsBody
from orgs import clock
from orgs.models import Source
from orgs.texts import NAME_LENGTH
from runs.items import RunItem

SLOTS, SAMPLES = 5_000, 200  # held at most; what comes beyond while the database is away is not counted
REJECTED = ("invalid", "conflict")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Passed:
    """One request that was answered: its items, and what became of each."""

    source: Source
    path: str
    kind: ItemKind[Any]
    body: ItemsBody
    accepted: Sequence[Accepted[Any]]
    results: Sequence[Result]
    orgs: dict[str, int]  # pk by external id, of the orgs it could write for
    now: datetime


class Tally:
    """Counts and samples that are not written yet; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Slot, TrafficCounts] = {}
        self._samples: list[RejectedItem] = []
        self._said: list[SaidSent] = []

    def __bool__(self) -> bool:
        return bool(self._counts or self._samples or self._said)

    def count(self, place: Slot, counts: TrafficCounts) -> None:
        """Add to a minute."""
        with self._lock:
            if place in self._counts or len(self._counts) < SLOTS:
                self._counts.setdefault(place, TrafficCounts()).add(counts)

    def request(self, passed: Passed) -> None:
        """Count the items of a request, and keep some of those that were refused."""
        for place, counts in _counted(passed).items():
            self.count(place, counts)
        rejected = [result for result in passed.results if result.status in REJECTED]
        with self._lock:
            room = SAMPLES - len(self._samples)
            self._samples += [_sample(passed, result) for result in rejected[:room]]

    def said(self, said: SaidSent) -> None:
        """Keep what a request said of how much its process has sent."""
        with self._lock:
            if len(self._said) < SLOTS:
                self._said.append(said)

    def flush(self) -> None:
        """Write what is held. Raises what the database raises while it is away, and holds the counts then."""
        with self._lock:
            counts, self._counts = self._counts, {}
            samples, self._samples = self._samples, []
            said, self._said = self._said, []
        try:
            _write(traffic.add, counts, lambda place: {place: counts[place]})
            counts = {}
            _write(RejectedItem.objects.bulk_create, samples, lambda sample: [sample])
            if said:
                _write(partial(add_sent, now=clock.now()), said, lambda one: [one])
        except Error:
            for place, kept in counts.items():
                self.count(place, kept)
            with self._lock:
                self._said[:0] = said[: SLOTS - len(self._said)]
            raise


def _write(write: Callable[[Any], object], everything: Any, alone: Callable[[Any], Any]) -> None:
    """Write all at once; if an org or source was deleted meanwhile, or one cannot be stored, each alone, without it."""
    try:
        write(everything)
    except (IntegrityError, DataError):
        for one in everything:
            try:
                write(alone(one))
            except (IntegrityError, DataError):
                log.info("tally_of_what_is_gone", what=type(one).__name__)


def _counted(passed: Passed) -> dict[Slot, TrafficCounts]:
    """Figures by the org of each item; items that name none of ours belong to no org."""
    found: dict[Slot, TrafficCounts] = {}
    of_orgs: dict[int | None, TrafficCounts] = {}
    items = {one.index: one for one in passed.accepted}
    for result in passed.results:
        one = items.get(result.index)
        org_id = one.org_id if one else _org_named(passed, result.index)
        counts = of_orgs.get(org_id)
        if counts is None:
            counts = of_orgs[org_id] = TrafficCounts()
            found[slot(org_id, passed.source.pk, None, passed.now)] = counts
        if one is not None and result.status == "created":
            counts.stored(_when(one.item, passed), passed.now)
            if isinstance(one.item, EventItem):
                counts.events += 1
                counts.with_secret += "secret" in one.flags
                counts.with_confidence += one.item.confidence is not None
        elif result.status == "updated":
            counts.created += 1
        else:
            setattr(counts, result.status, getattr(counts, result.status) + 1)
    return found


def _when(item: Any, passed: Passed) -> datetime:
    """When what an item tells happened: a run that has ended is told of then, a review as soon as it is given."""
    ended = item.ended_at if isinstance(item, RunItem) else None
    return ended or getattr(item, passed.kind.time_field, None) or passed.now


def _org_named(passed: Passed, index: int) -> int | None:
    if passed.source.org_id is not None:
        return passed.source.org_id
    raw: Any = passed.body.items[index]
    return passed.orgs.get(check.sender_org(raw)) if isinstance(raw, dict) else None


def _sample(passed: Passed, result: Result) -> RejectedItem:
    error = result.error or {}
    return RejectedItem(
        org_id=_org_named(passed, result.index),
        source_id=passed.source.pk,
        at=passed.now,
        status=result.status,
        path=passed.path,
        item_id=mask_cut(result.id or "", NAME_LENGTH),
        code=error.get("code", "")[:32],
        message=mask_cut(error.get("message", ""), 500),  # it repeats names that the sender chose
        field=mask_cut(error.get("field", ""), NAME_LENGTH),
        sample=sample_of(passed.body.items[result.index]),
    )


tally = Tally()
