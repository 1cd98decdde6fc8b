"""`PUT /api/assignments`: the whole list of an org from its permission system; and the word it may wait for."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pghistory
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from orgs.api import ScopedAPIView
from orgs.auth import EVERY_ORG, KeyCaller, leads
from orgs.errors import Refused, Unavailable, error_body
from orgs.incoming import Field, Query, check_fields, read_body, read_list
from orgs.models import Assignment, Org
from orgs.others import confirm
from orgs.plan import MOST_ROWS, Line
from orgs.sync import Busy, SyncConflict, SyncOutcome, sync

NAME = "assignments"
FIELDS: Mapping[str, Field] = {
    "role": Field(required=True),
    "tier": Field(required=True, number=True),
    "sso_id": Field(required=True),
    "external_user_id": Field(),
    "name": Field(),
    "locale": Field(),
}
ERRORS_SHOWN = 100
Error = dict[str, str]


class Assignments(ScopedAPIView):
    """PUT /api/assignments: all items or none. For keys with scope `act`, specialists and leads of the org."""

    def put(self, request: Request) -> Response:
        query = Query(request, ("org_id", "dry_run", "allow_empty"))
        org, dry_run = self._org(request, query.text("org_id")), query.flag("dry_run")
        sent = read_list(request, NAME, MOST_ROWS)
        if not sent and not query.flag("allow_empty"):
            message = "An org with nobody to tell would alert nobody; allow_empty=1 says that this is meant."
            raise Refused(422, "empty_list", message, NAME)
        items, errors = _checked(sent)
        if errors:
            return _refused(errors)
        try:
            with _by(request):
                outcome = sync(org, items, dry_run=dry_run, trusted=self.org_ids.every)
        except Busy:
            raise Unavailable from None
        if outcome.refused:
            return _refused([_error(line) for line in outcome.refused])
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


def _by(request: Request) -> AbstractContextManager[Any]:
    """In the history a change is the source's; a person's is theirs already."""
    caller = request.user
    return pghistory.context(source=caller.source.name) if isinstance(caller, KeyCaller) else nullcontext()


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
        held = Assignment.every.filter(org=org, user__sso_id=sso_id.replace("\0", "")).select_related("user").first()
        if held is None:
            raise NotFound
        confirmed = confirm(held.user, org)
        return Response({"sso_id": held.user.sso_id, "org_id": org.external_id, "confirmed": confirmed})


# --- errors ----------------------------------------------------------------------------------------------------------


def _checked(sent: list[Any]) -> tuple[list[dict[str, Any]], list[Error]]:
    items, errors = [], []
    for index, item in enumerate(sent):
        try:
            items.append(check_fields(item, FIELDS))
        except Refused as error:
            where = f"{NAME}[{index}]" + (f".{error.field}" if error.field else "")
            errors.append(error_body(str(error.get_codes()), str(error.detail), where)["error"])
    return items, errors


def _error(line: Line) -> Error:
    assert line.wrong is not None
    return error_body(line.wrong.code, line.said, f"{NAME}[{line.number}].{line.wrong.column}")["error"]


def _refused(errors: list[Error]) -> Response:
    """The first error in the one shape, and beside it every item's, the first 100."""
    return Response({"error": errors[0], "refused": len(errors), "errors": errors[:ERRORS_SHOWN]}, status=422)


# --- the answer ------------------------------------------------------------------------------------------------------


def _answer(outcome: SyncOutcome, dry_run: bool) -> dict[str, Any]:
    return {
        "added": [_added(line) for line in outcome.added],
        "changed": [_changed(line) for line in outcome.changed],
        "removed": [_one(one) | {"tier": one.role.tier, "provenance": one.provenance} for one in outcome.removed],
        "unchanged": outcome.unchanged,
        "conflicts": [_conflict(conflict) for conflict in outcome.conflicts],
        "waiting": [_one(one) | _pending(one) for one in outcome.waiting],
        "dry_run": dry_run,
    }


def _one(one: Assignment) -> dict[str, Any]:
    return {"sso_id": one.user.sso_id, "role": one.role.name, "external_user_id": one.external_user_id or None}


def _added(line: Line) -> dict[str, Any]:
    assert line.assignment is not None
    made = {"tier": line.assignment.role.tier, "near_twin": line.near_twin or None}
    return _one(line.assignment) | made | _pending(line.assignment)


def _pending(one: Assignment) -> dict[str, bool]:
    return {"pending": True} if one.pending else {}


def _changed(line: Line) -> dict[str, Any]:
    changes = {column: {"from": before or None, "to": after} for column, (before, after) in line.changes.items()}
    assert line.assignment is not None
    return {"sso_id": line.row.sso_id, "role": line.row.role, "changes": changes} | _pending(line.assignment)


def _conflict(conflict: SyncConflict) -> dict[str, Any]:
    return {"conflict": conflict.kind} | _one(conflict.assignment) | {"provenance": conflict.provenance}
