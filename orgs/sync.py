"""The whole list of an org's assignments, as a permission system knows it: what it adds, changes and removes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pghistory
from django.db import IntegrityError, transaction

from orgs.clock import rfc3339
from orgs.duty.written import written_hours
from orgs.models import Assignment, Org, User
from orgs.others import others_of
from orgs.plan import CHANGED, NOT_AWAY, REFUSED, AssignmentPlan, Line, PlannedRow

ATTEMPTS = 3
SYNC = Assignment.Provenance.SYNC


class Busy(Exception):
    """Others wrote the same people at this moment, again and again: try it later."""


@dataclass(frozen=True, slots=True)
class SyncConflict:
    """A disagreement. `changed`, `removed`: of the list with an earlier provenance; `shared_id`: an
    external_user_id that another person has too. `provenance`: the assignment's before this list.
    """

    kind: Literal["changed", "removed", "shared_id"]
    assignment: Assignment
    provenance: str


@dataclass(frozen=True)
class SyncOutcome:
    """What became of every item, in its order; and of what the list does not name."""

    lines: list[Line]
    removed: list[Assignment]
    conflicts: list[SyncConflict]

    def those(self, outcome: str) -> list[Line]:
        return [line for line in self.lines if line.outcome == outcome]


def sync(org: Org, items: Sequence[Mapping[str, Any]], *, dry_run: bool, trusted: bool) -> SyncOutcome:
    """Make the assignments of the org what the items say; unless it is a dry run, or an item is refused.

    An item has `role`, `tier`, `sso_id`, and may have `external_user_id`, `name`, `locale`, `duty`, `away_until` (None:
    not away), `fallback`, `agents`. One transaction; the lock
    is the org's row, so that two lists of an org come one after the other. Not `trusted`: a caller that speaks for
    this org alone cannot rename people of others; those it names wait until somebody agrees. Raises Busy.
    """
    # The org as it is stored: an old spelling stays its own.
    rows = [replace(_row(number, item), org=org.external_id) for number, item in enumerate(items)]
    for _attempt in range(ATTEMPTS):
        try:
            with pghistory.context(sync=True), transaction.atomic():  # `conflicts` looks for it
                return _sync(org, rows, dry_run, trusted)
        except IntegrityError:  # the same new person or assignment, made elsewhere meanwhile: judge anew
            continue
    raise Busy


def _row(number: int, item: Mapping[str, Any]) -> PlannedRow:
    said = dict(item)
    made: dict[str, Any] = {name: said.pop(name) for name in ("fallback", "agents") if name in said}
    if "duty" in said:
        said["duty"] = written_hours(said["duty"])
    if "away_until" in said:
        said["away_until"] = rfc3339(at) if (at := said["away_until"]) else NOT_AWAY
    return replace(PlannedRow.of(number, {column: str(value) for column, value in said.items()}), **made)


def _sync(org: Org, rows: list[PlannedRow], dry_run: bool, trusted: bool) -> SyncOutcome:
    others = None if trusted else others_of(org, {row.sso_id for row in rows})
    acquainted = None if trusted else User.objects.filter(assignments__org=org)
    plan = AssignmentPlan(
        rows, SYNC, place=lambda row: f"assignments[{row.number}]", whole=org, others=others, acquainted=acquainted
    )
    lines = [plan.judge(row) for row in rows]
    removed = sorted(plan.left_over(), key=lambda one: (one.role.name, one.user.sso_id))
    outcome = SyncOutcome(lines, removed, list(_conflicts(lines, removed)))
    if not dry_run and not outcome.those(REFUSED):
        Assignment.every.filter(pk__in=[one.pk for one in removed]).delete()
        plan.write()
    return outcome


def _conflicts(lines: list[Line], removed: list[Assignment]) -> Iterable[SyncConflict]:
    for line in lines:
        if line.outcome == CHANGED and line.assignment and line.before != SYNC:
            yield SyncConflict("changed", line.assignment, line.before)
    for one in removed:
        if one.provenance != SYNC:
            yield SyncConflict("removed", one, one.provenance)
    claims: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.assignment and line.assignment.external_user_id:
            claims[line.assignment.external_user_id].append(line)
    for claimants in claims.values():
        if len({line.row.sso_id for line in claimants}) > 1:
            for line in claimants:
                if line.assignment:
                    yield SyncConflict("shared_id", line.assignment, line.before or SYNC)
