"""/api/schema and /api/docs: open to everybody in demo mode, else to callers with a key or a session."""

from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from console.openapi.document import document


class Document(SchemaGenerator):
    """Replaces drf-spectacular's look at the views: we make the document of our structs."""

    def get_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:
        return document()


class MayReadDocs(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return settings.DEMO or bool(request.user and request.user.is_authenticated)


class SchemaView(SpectacularJSONAPIView):
    """GET /api/schema."""

    generator_class = Document
    permission_classes = [MayReadDocs]


class DocsView(SpectacularSwaggerSplitView):
    """GET /api/docs: its script is a request of its own, so that the page needs nothing inline."""

    url_name = "api_schema"
    template_name = "pages/api_docs.html"
    permission_classes = [MayReadDocs]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.DEMO and not request.user.is_authenticated and "Authorization" not in request.headers:
            return redirect_to_login(request.get_full_path())
        return super().dispatch(request, *args, **kwargs)
