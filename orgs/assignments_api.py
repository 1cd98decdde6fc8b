"""`PUT /api/assignments`: the whole list of an org from its permission system; and the confirmation it may need."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Annotated, Any

import pghistory
from msgspec import UNSET, Meta, UnsetType, field
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from orgs.api import Provenance, ScopedAPIView, one_or_404
from orgs.auth import EVERY_ORG, KeyCaller, leads
from orgs.duty_api import read_weekly
from orgs.errors import Refused, Unavailable
from orgs.identifiers import spelled
from orgs.incoming import Field, Query, check_fields, check_value, read_body, read_list
from orgs.models import Assignment, Org
from orgs.others import confirm
from orgs.plan import ADDED, CHANGED, MOST_ROWS, REFUSED, UNCHANGED, Line
from orgs.shapes import ErrorPart, Shape, Whole, about, one_of
from orgs.sync import Busy, SyncOutcome, sync

NAME = "assignments"


def read_duty(name: str, value: Any) -> list[dict[str, Any]]:
    """Weekly hours of an assignment, as they are stored; an empty list: always on duty. Raises Refused (422)."""
    return read_weekly(name, value, holidays=True)


def read_names(name: str, value: Any) -> tuple[str, ...]:
    """A list of names, each once. Raises Refused (422)."""
    if not isinstance(value, list):
        raise Refused(422, "invalid_field", f"{name} must be an array of names.", name)
    named = (check_value(f"{name}[{place}]", one, Field()) for place, one in enumerate(value))
    return tuple(dict.fromkeys(map(spelled, named)))


FIELDS: Mapping[str, Field] = {
    "role": Field(required=True),
    "tier": Field(required=True, number=True),
    "sso_id": Field(required=True),
    "external_user_id": Field(),
    "name": Field(),
    "locale": Field(),
    "duty": Field(read=read_duty),
    "away_until": Field(time=True, null=True),
    "fallback": Field(flag=True),
    "agents": Field(read=read_names),
}
ERRORS_SHOWN = 100
Pending = Annotated[
    bool,
    Meta(extra_json_schema={"const": True}),
    about(
        "Somebody who is known and has no role in this org: told nothing and shown nothing before a "
        "specialist confirms, or they do so themselves at `/join/{org_id}`. Absent: nobody's word is waited for."
    ),
]


class WaitingPart(Shape):
    """An assignment of the list that waits until somebody agrees."""

    sso_id: str
    role: str
    external_user_id: str | None
    pending: Pending


class AddedPart(Shape):
    """An assignment that was not there."""

    sso_id: str
    role: str
    external_user_id: str | None
    tier: Whole
    near_twin: Annotated[
        str | None,
        about(
            "Of a new person: the sso_id of another one that differs only in case, blanks or"
            " the form of its letters. Perhaps the same person is meant."
        ),
    ]
    pending: Pending | UnsetType = UNSET


class ChangePart(Shape):
    """`from` is null where nothing was there."""

    before: Any = field(name="from")
    to: Any


class ChangedPart(Shape):
    """An assignment of which, or of whose role or person, the list says something else."""

    sso_id: str
    role: str
    changes: Annotated[
        dict[str, ChangePart],
        about(
            "By field: `tier`, `fallback`, `agents`, `name`, `locale`, `external_user_id`, `duty`, `away_until`, "
            "`pending`."
        ),
    ]
    pending: Pending | UnsetType = UNSET


class RemovedPart(Shape):
    """An assignment that the list does not name."""

    sso_id: str
    role: str
    external_user_id: str | None
    tier: Whole
    provenance: Provenance


class ConflictPart(Shape):
    """The list changed or removed what another had said, or an external_user_id is claimed by two people."""

    conflict: Annotated[str, one_of(("changed", "removed", "shared_id"))]
    sso_id: str
    role: str
    external_user_id: str | None
    provenance: Provenance


class AssignmentSyncShape(Shape):
    """What the list added, changed and removed; on a dry run, what it would."""

    added: list[AddedPart]
    changed: list[ChangedPart]
    removed: list[RemovedPart]
    unchanged: Whole
    conflicts: list[ConflictPart]
    waiting: list[WaitingPart]
    dry_run: bool


class AssignmentSyncRefusedShape(Shape):
    """The first error, and where items were refused those of the first 100. Nothing was written."""

    error: ErrorPart
    refused: Whole | UnsetType = UNSET
    errors: list[ErrorPart] | UnsetType = UNSET


class PersonConfirmedShape(Shape):
    """The person is confirmed."""

    sso_id: str
    org_id: str
    confirmed: Annotated[Whole, about("Assignments that waited for it.")]


class Assignments(ScopedAPIView):
    """PUT /api/assignments: all items or none. For keys with scope `act`, specialists and leads of the org."""

    def put(self, request: Request) -> Response:
        query = Query(request, ("org_id", "dry_run", "allow_empty"))
        org, dry_run = self._org(request, query.text("org_id")), query.flag("dry_run")
        caller, sent = request.user, read_list(request, NAME, MOST_ROWS)
        if not sent and not query.flag("allow_empty"):
            message = "An org with nobody to tell would alert nobody; allow_empty=1 says that this is meant."
            raise Refused(422, "empty_list", message, NAME)
        items, errors = _checked(sent)
        if errors:
            return _refused(errors)
        try:
            # In the history a change is the source's; a person's is theirs already.
            with pghistory.context(source=caller.source.name) if isinstance(caller, KeyCaller) else nullcontext():
                outcome = sync(org, items, dry_run=dry_run, trusted=self.org_ids.every)
        except Busy:
            raise Unavailable from None
        for line in outcome.those(REFUSED):
            assert line.wrong is not None
            errors.append(ErrorPart(line.wrong.code, line.said, f"{NAME}[{line.number}].{line.wrong.column}"))
        if errors:
            return _refused(errors)
        return Response(_answer(outcome, dry_run))

    def _org(self, request: Request, asked: str | None) -> Org:
        """The org whose list it is: that of the key, or the one that is named. Raises NotFound, PermissionDenied."""
        if asked is None:
            if isinstance(request.user, KeyCaller) and request.user.source.org is not None:
                return request.user.source.org
            raise Refused(422, "missing_field", "org_id says whose list it is.", "org_id")
        org = self.org_asked(asked)
        led = EVERY_ORG if isinstance(request.user, KeyCaller) else leads(request.user)  # type: ignore[arg-type]
        if org.pk not in led:
            raise PermissionDenied("A lead of this org or a specialist says who stands behind its roles.")
        return org


class ConfirmPerson(ScopedAPIView):
    """POST /api/people/{sso_id}/confirm: a specialist gives the word for somebody whom an org named in its list."""

    def post(self, request: Request, sso_id: str) -> Response:
        if not request.user.is_specialist:  # type: ignore[union-attr]
            raise PermissionDenied("A specialist says who may stand behind an org's roles.")
        asked = Query(request, ("org_id",)).text("org_id")
        if asked is None:
            raise Refused(422, "missing_field", "org_id says which org named this person.", "org_id")
        org = self.org_asked(asked)
        read_body(request, {})
        named = Assignment.every.filter(org=org, user__sso_id=sso_id.replace("\0", ""))
        held = one_or_404(named.select_related("user"))
        confirmed = confirm(held.user, org)
        return Response(PersonConfirmedShape(held.user.sso_id, org.external_id, confirmed))


# --- errors ----------------------------------------------------------------------------------------------------------


def _checked(sent: list[Any]) -> tuple[list[dict[str, Any]], list[ErrorPart]]:
    items, errors = [], []
    for index, item in enumerate(sent):
        try:
            items.append(check_fields(item, FIELDS))
        except Refused as error:
            where = f"{NAME}[{index}]" + (f".{error.field}" if error.field else "")
            errors.append(ErrorPart(str(error.get_codes()), str(error.detail), where))
    return items, errors


def _refused(errors: list[ErrorPart]) -> Response:
    """The first error in the one shape, and beside it every item's, the first 100."""
    return Response(AssignmentSyncRefusedShape(errors[0], len(errors), errors[:ERRORS_SHOWN]), status=422)


# --- the answer ------------------------------------------------------------------------------------------------------


def _answer(outcome: SyncOutcome, dry_run: bool) -> AssignmentSyncShape:
    return AssignmentSyncShape(
        added=[_added(line) for line in outcome.those(ADDED)],
        changed=[_changed(line) for line in outcome.those(CHANGED)],
        removed=[RemovedPart(*_whose(one), one.role.tier, one.provenance) for one in outcome.removed],
        unchanged=len(outcome.those(UNCHANGED)),
        conflicts=[ConflictPart(one.kind, *_whose(one.assignment), one.provenance) for one in outcome.conflicts],
        waiting=[WaitingPart(*_whose(one), True) for line in outcome.lines if (one := line.assignment) and one.pending],
        dry_run=dry_run,
    )


def _whose(one: Assignment) -> tuple[str, str, str | None]:
    """`sso_id`, `role`, `external_user_id`."""
    return one.user.sso_id, one.role.name, one.external_user_id or None


def _added(line: Line) -> AddedPart:
    one = line.assignment
    assert one is not None
    return AddedPart(*_whose(one), one.role.tier, line.near_twin or None, one.pending or UNSET)


def _changed(line: Line) -> ChangedPart:
    # What was not said is null; that a role was no fallback is said.
    changes = {name: ChangePart(None if was in ("", []) else was, to) for name, (was, to) in line.changes.items()}
    assert line.assignment is not None
    return ChangedPart(line.row.sso_id, line.row.role, changes, line.assignment.pending or UNSET)
