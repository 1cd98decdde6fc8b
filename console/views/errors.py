"""Error pages in the house style. The API and the lane answer in their own error shape."""

from typing import Any

from django.db import close_old_connections, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import get_template

from orgs.errors import error_body


def _wants_json(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _page(request: HttpRequest, name: str, status: int, context: dict[str, Any] | None = None) -> HttpResponse:
    """The page, rendered. Under ASGI Django does that in a thread that no signal tidies: a connection used here
    would be lost to the pool until the process ends.
    """
    try:
        return render(request, name, context, status=status)
    finally:
        if not connection.in_atomic_block:
            close_old_connections()


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


def server_error(request: HttpRequest) -> HttpResponse:
    """500; touches neither the database nor the session, which may be what is broken."""
    if _wants_json(request):
        return JsonResponse(error_body("server_error", "The service failed. Try again."), status=500)
    return HttpResponse(get_template("500.html").render({}), status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose page is too old, or that another site sent."""
    if _wants_json(request):
        return JsonResponse(error_body("csrf", "The CSRF token is missing or wrong."), status=403)
    response = _page(request, "403.html", 403, {"csrf": True})
    response["X-Refused"] = "csrf"  # static/js/session.js looks for a new token and repeats
    return response
