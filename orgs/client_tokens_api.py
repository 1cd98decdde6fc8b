"""`POST /api/client-tokens`: a short-lived token for a page in a browser, made by whoever holds the key."""

from typing import Annotated, Any

from rest_framework import permissions
from rest_framework.request import Request
from rest_framework.response import Response

from orgs import clock
from orgs.api import ScopedAPIView
from orgs.auth import KeyCaller
from orgs.client_tokens import LONGEST_TTL, USUAL_TTL, make_client_token
from orgs.errors import Refused
from orgs.incoming import Field, Query, read_body
from orgs.models import Org, Scope
from orgs.shapes import Shape, UtcTime, about

TOKEN_FIELDS = {"ttl_seconds": Field(number=True), "org_id": Field()}


class ClientTokenShape(Shape):
    """A client token; it is shown here alone."""

    token: Annotated[str, about("`Authorization: Bearer <token>` on the four ingest endpoints, for one org.")]
    expires_at: Annotated[UtcTime, about("It ends earlier if its key is revoked.")]


class MayIngest(permissions.BasePermission):
    """A key with the scope `ingest`, and nobody else: a person has no source to write for."""

    code, message = "missing_scope", "This needs a key with the scope ingest."

    def has_permission(self, request: Request, view: Any) -> bool:
        caller: Any = request.user
        return isinstance(caller, KeyCaller) and Scope.INGEST in caller.key.scopes


class ClientTokens(ScopedAPIView):
    """POST /api/client-tokens. The token is signed, and no row is kept of it."""

    permission_classes = [MayIngest]

    def post(self, request: Request) -> Response:
        Query(request, ())
        body = read_body(request, TOKEN_FIELDS)
        ttl = body.get("ttl_seconds", USUAL_TTL)
        if not 1 <= ttl <= LONGEST_TTL:
            message = f"ttl_seconds must be a whole number from 1 to {LONGEST_TTL}."
            raise Refused(422, "invalid_field", message, "ttl_seconds")
        caller: Any = request.user
        key = caller.key
        token = make_client_token(key, self._org(body.get("org_id"), key.source.org), ttl, clock.now())
        made = ClientTokenShape(token.text, token.expires_at)
        return Response(made, status=201, headers={"Cache-Control": "no-store"})

    def _org(self, named: str | None, own: Org | None) -> Org:
        """The org that is named, else the source's own. Raises NotFound, Refused (422)."""
        if named is not None:
            return self.org_asked(named)
        if own is None:
            raise Refused(422, "missing_field", "org_id is required with the key of a platform source.", "org_id")
        return own
