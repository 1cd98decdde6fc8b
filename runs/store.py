"""The sole writer of runs, of their reviews and of the roll-ups: what is stored and what is counted never differ.

Callers have entered a scope; system work enters `scopes_disabled()` explicitly.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid5

import msgspec
from django.db import transaction

from alerts.actions import CONFLICT, Batch, retried
from alerts.items import Accepted, Result
from alerts.known import Known, known_now
from alerts.tables import fetch
from orgs.models import Source
from runs.items import ReviewItem, RunItem
from runs.ledger import REVIEWS, WANTED, Ledger, as_keys, current_reviews
from runs.merge import RefusedRun, merge, new_run
from runs.rows import ReviewRow, RunId, RunRow

HELD = f"""
SELECT qc.id, qc.org_id, qc.run_id, qc.review_id, qc.reviewer_key, qc.payload_hash, qc.replaced_at
FROM runs_agentqc qc JOIN {WANTED} USING (org_id, run_id) ORDER BY qc.id
"""  # noqa: S608 - every review of these runs, the replaced ones too
# Days beside the one named on which a purged run may have begun: its sender has mended the zone of its start since.
NEAR = (-1, 0, 1)
REPLACE = "UPDATE runs_agentqc SET replaced_at = %b WHERE id = ANY(%b::bigint[])"


def store_run_batches(batches: Sequence[Batch[RunItem]]) -> list[list[Result]]:
    """Store some batches in one transaction, one after the other, as if each had come alone.

    One Result for each item, in its order: created, updated, duplicate, conflict, or invalid where a new run lacks what
    it needs or ends before it started. Raises OperationalError when the database is away; nothing is stored then. Of
    two transactions with the same new run the loser starts again and finds it known.
    """
    return retried(lambda: _store_runs(batches, *known_now()))


def _store_runs(batches: Sequence[Batch[RunItem]], now: datetime, known: Known) -> list[list[Result]]:
    ledger = Ledger(now, known)
    sent = [one for _, accepted in batches for one in accepted]
    days = {(one.org_id, one.item.started_at.date()) for one in sent if one.item.started_at is not None}
    near = {(org, day + timedelta(days=n)) for org, day in days for n in NEAR}
    ledger.lock(((one.org_id, one.item.run_id) for one in sent), near)
    answers = [[_store_run(ledger, source.pk, one) for one in accepted] for source, accepted in batches]
    ledger.close()
    return answers


def _store_run(ledger: Ledger, source_id: int, one: Accepted[RunItem]) -> Result:
    run_id: str = msgspec.to_builtins(one.item.run_id)  # a quarter of what str() takes
    key = (one.org_id, one.item.run_id)
    row = ledger.rows.get(key)
    if ledger.purged and key in ledger.purged:
        return Result(one.index, run_id, "duplicate")  # its sums stayed; what it says more is lost
    try:
        if row is not None:
            return Result(one.index, run_id, merge(row, one, ledger.now))
        ledger.add(key, new_run(one, source_id, ledger.now))
    except RefusedRun as refused:
        said = {"code": refused.code, "message": refused.message, "field": refused.field}
        return Result(one.index, run_id, "conflict" if refused.conflict else "invalid", said)
    return Result(one.index, run_id, "created")


def change_runs(keys: Collection[RunId], change: Callable[[RunRow, datetime], None]) -> int:
    """Lock these runs, let `change(run, now)` alter each, write that and what it does to the roll-ups.

    How many of them there are. One transaction of its own, or part of the one that is open.
    """

    def each(rows: Collection[RunRow], now: datetime) -> None:
        for row in rows:
            change(row, now)

    return change_locked(keys, each)


def change_locked(keys: Collection[RunId], change: Callable[[Collection[RunRow], datetime], None]) -> int:
    """As `change_runs`, with all of them at once: what is read in `change` is what holds while they are locked."""
    with transaction.atomic():
        now, known = known_now()
        ledger = Ledger(now, known)
        ledger.lock(keys)
        change(ledger.rows.values(), now)
        ledger.close()
        return len(ledger.rows)


# --- reviews ---------------------------------------------------------------------------------------------------------


def store_review_batches(batches: Sequence[Batch[ReviewItem]]) -> list[list[Result]]:
    """Store some batches of reviews in one transaction, as `store_run_batches`.

    created: the first of this reviewer; updated: it replaces the reviewer's earlier one, which is kept as history;
    duplicate: known, also where it was replaced since; conflict: a `review_id` of the sender's own, with other content.
    Without a `review_id` the reviewer's present review is what counts: the same again is a duplicate, another replaces.
    """
    return retried(lambda: _store_reviews(batches, *known_now()))


def _store_reviews(batches: Sequence[Batch[ReviewItem]], now: datetime, known: Known) -> list[list[Result]]:
    keys = {(one.org_id, one.item.run_id) for _, accepted in batches for one in accepted}
    ledger = Ledger(now, known)
    ledger.lock(keys)
    held = _Held(keys, now)
    answers = [[held.judge(source, one) for one in accepted] for source, accepted in batches]
    held.write()
    count_reviews(ledger.rows.values())
    ledger.close()
    return answers


def count_reviews(rows: Collection[RunRow]) -> None:
    """Let locked runs count the reviews that hold."""
    current = current_reviews([row.key for row in rows])
    for row in rows:
        row.review_count, row.review_sum = current.get(row.key, (0, 0))


class _Held:
    """The reviews of some runs, those of this transaction included."""

    def __init__(self, keys: Collection[RunId], now: datetime) -> None:
        self._now = now
        self._of: dict[RunId, list[ReviewRow]] = defaultdict(list)
        self._new: list[ReviewRow] = []
        self._replaced: list[int] = []
        for pk, org, run_id, review_id, reviewer_key, payload_hash, replaced_at in fetch(HELD, as_keys(keys)):
            kept: dict[str, Any] = {"source_id": 0, "reviewer": "", "quality_score": 0, "rubric": {}, "notes": ""}
            row = ReviewRow(
                org_id=org,
                run_id=run_id,
                review_id=review_id,
                reviewer_key=reviewer_key,
                payload_hash=bytes(payload_hash).hex(),
                replaced_at=replaced_at,
                flags=[],
                at=now,
                id=pk,
                **kept,
            )
            self._of[org, run_id].append(row)

    def judge(self, source: Source, one: Accepted[ReviewItem]) -> Result:
        """What becomes of a review; it is held from then on."""
        item, reviews = one.item, self._of[one.org_id, one.item.run_id]
        reviewer_key = one.altered.get("reviewer") or item.reviewer or ""
        review_id = item.review_id or str(uuid5(item.run_id, reviewer_key))
        sent = one.payload_hash.hex()
        own = [row for row in reviews if row.review_id == review_id]
        current = [row for row in reviews if row.reviewer_key == reviewer_key and row.replaced_at is None]
        if item.review_id and own:
            if any(row.payload_hash == sent for row in own):
                return Result(one.index, review_id, "duplicate")
            return Result(one.index, review_id, "conflict", CONFLICT)
        if any(row.reviewer_key != reviewer_key and row.replaced_at is None for row in own):
            return Result(one.index, review_id, "conflict", CONFLICT)  # somebody else's review has this id
        earlier = current[0] if current and reviewer_key else None
        if earlier is not None and earlier.payload_hash == sent:
            return Result(one.index, review_id, "duplicate")
        if earlier is not None:
            self._replace(earlier)
        row = ReviewRow(
            org_id=one.org_id,
            source_id=source.pk,
            run_id=item.run_id,
            review_id=review_id,
            reviewer=item.reviewer or "",
            reviewer_key=reviewer_key,
            quality_score=item.quality_score,
            rubric=item.rubric or {},
            notes=item.notes or "",
            flags=one.flags,
            payload_hash=sent,
            at=self._now,
        )
        reviews.append(row)
        self._new.append(row)
        return Result(one.index, review_id, "created" if earlier is None else "updated")

    def _replace(self, row: ReviewRow) -> None:
        row.replaced_at = self._now
        if row.id:
            self._replaced.append(row.id)

    def write(self) -> None:
        """Write what is new and what it replaces: of one reviewer's that come together all but one are history."""
        if self._replaced:
            fetch(REPLACE, [self._now, self._replaced])
        for row in self._new:
            row.payload_hash = "\\x" + row.payload_hash
        REVIEWS.insert(self._new)
