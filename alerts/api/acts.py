"""What a person does with an alert: `POST /api/alerts/{id}/{verb}`: one call of alerts.actions, then the alert."""

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
from orgs.errors import Refused, error_body
from orgs.identifiers import spelled
from orgs.incoming import TEXT, Field, Query, read_body
from orgs.models import User

CONFLICTS = {
    "already_taken": "Somebody else has taken this alert.",
    "already_resolved": "This alert is resolved.",
    "not_resolved": "This alert is not resolved.",
    "other_open": "This room has another open alert by now.",
}
HUMAN = {"sso_id": Field()}
Body = dict[str, Any]


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
            self.act(pk, self.human(request, body, org_id), body)
        except Alert.DoesNotExist:
            raise NotFound from None
        except actions.Invalid as error:
            raise Refused(422, "invalid_field", error.message, error.field) from None
        except actions.Conflict as error:
            content = error_body(error.code, CONFLICTS[error.code]) | {"alert": _fresh(error.alert.pk)}
            return Response(content, status=409)
        return Response(_fresh(pk))

    def human(self, request: Request, body: Body, org_id: int) -> User:
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
        person = find_supervisor(sso_id, org_id, specialists=self.org_ids is None)
        if person is None:
            raise Refused(422, "unknown_person", "No supervisor of this org has this sso_id.", "sso_id")
        return person

    def act(self, pk: UUID, by: User, body: Body) -> object:
        """Do it. Raises what alerts.actions raises."""
        raise AssertionError("each act says what it does")


def _fresh(pk: UUID) -> dict[str, Any]:
    return shapes.alert_summary(shapes.whole(Alert.objects).get(pk=pk))


class Acknowledge(Act):
    def act(self, pk: UUID, by: User, body: Body) -> object:
        return actions.acknowledge(pk, by)


class Take(Act):
    def act(self, pk: UUID, by: User, body: Body) -> object:
        return actions.take(pk, by)


class Release(Act):
    def act(self, pk: UUID, by: User, body: Body) -> object:
        return actions.release(pk, by)


class Resolve(Act):
    def act(self, pk: UUID, by: User, body: Body) -> object:
        return actions.resolve(pk, by)


class Reopen(Act):
    def act(self, pk: UUID, by: User, body: Body) -> object:
        return actions.reopen(pk, by)


class Snooze(Act):
    fields: ClassVar[dict[str, Field]] = {"until": Field(required=True, time=True), **HUMAN}

    def act(self, pk: UUID, by: User, body: Body) -> object:
        return actions.snooze(pk, by, body["until"])


class Verdict(Act):
    fields: ClassVar[dict[str, Field]] = {"verdict": Field(required=True), "note": Field(longest=TEXT), **HUMAN}

    def act(self, pk: UUID, by: User, body: Body) -> object:
        return actions.verdict(pk, by, body["verdict"], body.get("note", ""))


class Assign(Act):
    """Here `sso_id` names whom to give it to; what a key did has no actor."""

    fields: ClassVar[dict[str, Field]] = {"sso_id": Field(required=True)}

    def human(self, request: Request, body: Body, org_id: int) -> Any:
        return None if isinstance(request.user, KeyCaller) else request.user

    def act(self, pk: UUID, by: User | None, body: Body) -> object:
        org_id = Alert.objects.values_list("org_id", flat=True).get(pk=pk)
        return actions.assign(pk, by, self.named(body["sso_id"], org_id))


ACTS: dict[str, type[Act]] = {
    "acknowledge": Acknowledge,
    "take": Take,
    "release": Release,
    "resolve": Resolve,
    "reopen": Reopen,
    "snooze": Snooze,
    "assign": Assign,
    "verdict": Verdict,
}
