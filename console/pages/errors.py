"""Error pages in the house style. The API and the lane answer in their own error shape."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import get_template
from django.utils import translation
from django.utils.translation import get_language_from_request

from orgs.errors import error_body


def _answer(
    request: HttpRequest, status: int, code: str, message: str, field: str = "", **context: Any
) -> HttpResponse:
    """JSON for the API; else the page, made from the request alone: person, session or database may be missing."""
    if request.path.startswith("/api/"):
        return JsonResponse(error_body(code, message, field), status=status)
    user = getattr(request, "_cached_user", None)  # set if other code has loaded the person before
    theme = getattr(user, "theme", "auto")
    values = {"theme": theme if theme != "auto" else "", **context}
    with translation.override(getattr(request, "LANGUAGE_CODE", "") or get_language_from_request(request)):
        return HttpResponse(get_template(f"{status}.html").render(values), status=status)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, the same for what is foreign and for what does not exist."""
    return _answer(request, 404, "not_found", "Not found.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return _answer(request, 403, "permission_denied", "Not allowed.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return _answer(request, 400, "bad_request", "This request cannot be read.")


def bad_text(request: HttpRequest, field: str = "") -> HttpResponse:
    """400 for a NUL in the path or in a field of the query or a form; PostgreSQL cannot store it."""
    return _answer(request, 400, "bad_text", "A NUL is no text.", field)


def server_error(request: HttpRequest) -> HttpResponse:
    """500."""
    return _answer(request, 500, "server_error", "The service failed. Try again.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose page is too old, or that another site sent."""
    response = _answer(request, 403, "csrf", "The CSRF token is missing or wrong.", csrf=True)
    if not isinstance(response, JsonResponse):
        response["X-Refused"] = "csrf"  # static/js/session.js looks for a new token and repeats
    return response
