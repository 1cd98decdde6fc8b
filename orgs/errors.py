"""The one error shape of every API answer: {"error": {"code", "message", "field"?}}."""

from typing import Any

import msgspec
import psycopg
import structlog
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404
from msgspec import UNSET
from rest_framework import exceptions
from rest_framework.response import Response

from orgs.logs import described
from orgs.shapes import ErrorPart, ErrorShape

log = structlog.get_logger(__name__)


def error_body(code: str, message: str, field: str | None = None) -> dict[str, dict[str, str]]:
    """The body of an error answer; `field` names what was wrong, such as `items[3].occurred_at`."""
    return msgspec.to_builtins(ErrorShape(ErrorPart(code, message, field or UNSET)))


class BadValue(Exception):
    """One value of what was asked for cannot be used: `field` names it, `message` says what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class Refused(exceptions.APIException):
    """A domain refusal with its own code, such as 422 `invalid_item` or 409 `already_taken`."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message, code)
        self.status_code = status
        self.field = field


class Unavailable(exceptions.APIException):
    """The database is away, or all of its connections are busy."""

    status_code = 503
    default_code, default_detail = "unavailable", "The service cannot answer just now. Try again."
    wait = 1.0


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exceptions in the one error shape; None lets the unexpected crash (and be logged)."""
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, SuspiciousOperation):
        error = exceptions.ParseError("This request cannot be read.")
    if isinstance(error, OperationalError | InterfaceError | psycopg.OperationalError):
        log.warning("api_unavailable", error=described(error))
        error = Unavailable()
    if not isinstance(error, exceptions.APIException):
        return None
    headers = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    code = getattr(error.detail, "code", error.default_code)
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        code = "unauthenticated"  # as the lane says
    said = error_body(code, str(error.detail), getattr(error, "field", None))
    return Response(said, status=error.status_code, headers=headers)
