"""What a person does with an alert: `POST /api/alerts/{id}/{verb}`: one call of alerts.actions, then the alert."""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import actions
from alerts.api import shapes
from alerts.api.reads import as_id
from alerts.models import Alert
from orgs.api import ScopedAPIView
from orgs.auth import KeyCaller, find_supervisor
from orgs.errors import Refused
from orgs.identifiers import spelled
from orgs.incoming import Field, Query, read_body
from orgs.models import User
from orgs.shapes import ErrorPart
from orgs.texts import TEXT_LENGTH

CONFLICTS = {
    "already_taken": "Somebody else has taken this alert.",
    "already_resolved": "This alert is resolved.",
    "not_resolved": "This alert is not resolved.",
    "other_open": "This room has another open alert by now.",
}
HUMAN = {"sso_id": Field()}
ActBody = dict[str, Any]


class Act(ScopedAPIView):
    """One act. `fields`: its body; with a key, `sso_id` names the human who acts."""

    fields: ClassVar[dict[str, Field]] = HUMAN

    def post(self, request: Request, alert_id: str) -> Response:
        Query(request, ())
        pk = as_id(alert_id)
        org_id = Alert.objects.filter(pk=pk).values_list("org_id", flat=True).first()
        if org_id is None:
            raise NotFound
        body = read_body(request, self.fields)
        try:
            done = self.act(pk, self.human(request, body, org_id), body)
        except Alert.DoesNotExist:
            raise NotFound from None
        except actions.ActInvalid as error:
            raise Refused(422, "invalid_field", error.message, error.field) from None
        except actions.ActConflict as error:
            said = ErrorPart(error.code, CONFLICTS[error.code])
            return Response(shapes.AlertConflictShape(said, _fresh(error.alert.pk)), status=409)
        return Response(_fresh(pk, done if isinstance(done, actions.TakenAlert) else None))

    def human(self, request: Request, body: ActBody, org_id: int) -> User:
        """Who acts: the signed-in person, or whom a key names. Raises Refused (422)."""
        named = body.get("sso_id")
        if isinstance(request.user, KeyCaller):
            if named is None:
                raise Refused(422, "missing_field", "A key names the human who acts in sso_id.", "sso_id")
            return self.named(named, org_id)
        assert isinstance(request.user, User)
        if named is not None and spelled(named) != request.user.sso_id:
            raise Refused(422, "invalid_field", "Signed in, you act as yourself: leave sso_id out.", "sso_id")
        return request.user

    def named(self, sso_id: str, org_id: int) -> User:
        """Whom a caller may name: who speaks for one org, only its own people. Raises Refused (422), the same for all
        others.
        """
        person = find_supervisor(sso_id, org_id, specialists=self.org_ids.every)
        if person is None:
            raise Refused(422, "unknown_person", "No supervisor of this org has this sso_id.", "sso_id")
        return person

    def act(self, pk: UUID, by: User, body: ActBody) -> object:
        """Do it. Raises what alerts.actions raises."""
        raise AssertionError("each act says what it does")


def _fresh(pk: UUID, taken: actions.TakenAlert | None = None) -> shapes.AlertShape:
    return shapes.alert_summary(shapes.for_answer(Alert.objects).get(pk=pk), taken)


def _plain(do: Callable[[UUID, User], object]) -> type[Act]:
    """An act that needs to know nothing but who acts."""

    class Plain(Act):
        def act(self, pk: UUID, by: User, body: ActBody) -> object:
            return do(pk, by)

    return Plain


class Snooze(Act):
    fields: ClassVar[dict[str, Field]] = {"until": Field(required=True, time=True), **HUMAN}

    def act(self, pk: UUID, by: User, body: ActBody) -> object:
        return actions.snooze(pk, by, body["until"])


class VerdictAct(Act):
    fields: ClassVar[dict[str, Field]] = {"verdict": Field(required=True), "note": Field(longest=TEXT_LENGTH), **HUMAN}

    def act(self, pk: UUID, by: User, body: ActBody) -> object:
        return actions.verdict(pk, by, body["verdict"], body.get("note", ""))


class Assign(Act):
    """Here `sso_id` names whom to give it to; what a key did has no actor."""

    fields: ClassVar[dict[str, Field]] = {"sso_id": Field(required=True)}

    def human(self, request: Request, body: ActBody, org_id: int) -> Any:
        return None if isinstance(request.user, KeyCaller) else request.user

    def act(self, pk: UUID, by: User | None, body: ActBody) -> object:
        org_id = Alert.objects.values_list("org_id", flat=True).get(pk=pk)
        return actions.assign(pk, by, self.named(body["sso_id"], org_id))


ACTS: dict[str, type[Act]] = {
    "acknowledge": _plain(actions.acknowledge),
    "take": _plain(actions.take_with_rooms),
    "release": _plain(actions.release),
    "resolve": _plain(actions.resolve),
    "reopen": _plain(actions.reopen),
    "snooze": Snooze,
    "assign": Assign,
    "verdict": VerdictAct,
}
