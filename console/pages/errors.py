"""Error pages in the house style. The API and the lane answer in their own error shape."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import get_template
from django.utils import translation
from django.utils.translation import get_language_from_request

from orgs.errors import error_body


def _wants_json(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _page(request: HttpRequest, name: str, status: int, context: dict[str, Any] | None = None) -> HttpResponse:
    """The page, rendered from what is in the request itself: person, session and database may be what is missing."""
    user = getattr(request, "_cached_user", None)  # as far as somebody has looked at it before us
    theme = getattr(user, "theme", "auto")
    values = {"theme": theme if theme != "auto" else "", **(context or {})}
    with translation.override(getattr(request, "LANGUAGE_CODE", "") or get_language_from_request(request)):
        return HttpResponse(get_template(name).render(values), status=status)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, the same for what is foreign and for what does not exist."""
    if _wants_json(request):
        return JsonResponse(error_body("not_found", "Not found."), status=404)
    return _page(request, "404.html", 404)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    if _wants_json(request):
        return JsonResponse(error_body("permission_denied", "Not allowed."), status=403)
    return _page(request, "403.html", 403)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    if _wants_json(request):
        return JsonResponse(error_body("bad_request", "This request cannot be read."), status=400)
    return _page(request, "400.html", 400)


def bad_text(request: HttpRequest, field: str = "") -> HttpResponse:
    """400 for a NUL in the path or in a field of the query or a form; PostgreSQL can keep none."""
    if _wants_json(request):
        return JsonResponse(error_body("bad_text", "A NUL is no text.", field), status=400)
    return _page(request, "400.html", 400)


def server_error(request: HttpRequest) -> HttpResponse:
    """500."""
    if _wants_json(request):
        return JsonResponse(error_body("server_error", "The service failed. Try again."), status=500)
    return _page(request, "500.html", 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose page is too old, or that another site sent."""
    if _wants_json(request):
        return JsonResponse(error_body("csrf", "The CSRF token is missing or wrong."), status=403)
    response = _page(request, "403.html", 403, {"csrf": True})
    response["X-Refused"] = "csrf"  # static/js/session.js looks for a new token and repeats
    return response
