"""What makes the console an app on a phone: its manifest, and a worker that shows a card without a connection."""

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

# Of the card; everything else is always asked of the service.
ASSETS = ("css/offline.css", "js/offline.js", "icon.svg")
ICONS = (("icons/192.png", 192, "any"), ("icons/512.png", 512, "any"), ("icons/maskable.png", 512, "maskable"))


@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    """`/manifest.webmanifest?lang=en|id`: a browser asks for it without a cookie, so the page says its language."""
    asked = request.GET.get("lang", "")
    with translation.override(asked if asked in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE):
        content = {
            "id": "/",
            "name": _("Live Monitoring"),
            "short_name": _("Live"),
            "description": _("Failures of AI agents as they happen, and who is on them."),
            "lang": translation.get_language(),
            "start_url": reverse("board"),
            "scope": "/",
            "display": "standalone",
            "theme_color": "#0d5fc7",
            "background_color": "#f5f6f8",
            "icons": [
                {"src": static(path), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
                for path, size, purpose in ICONS
            ],
        }
    return JsonResponse(content, content_type="application/manifest+json")


@require_safe
def worker(request: HttpRequest) -> HttpResponse:
    """`/worker.js`: asked for anew at every visit, so that a browser notices a new card."""
    values = {
        "card": reverse("offline"),
        "assets": [static(path) for path in ASSETS],
        "version": getattr(staticfiles_storage, "manifest_hash", ""),
    }
    script = render_to_string("pages/install/worker.js", values)
    return HttpResponse(script, content_type="text/javascript", headers={"Cache-Control": "no-cache"})


@require_safe
def offline(request: HttpRequest) -> HttpResponse:
    """`/offline`: the card that the worker keeps. It is of nobody and in both languages."""
    return render(request, "pages/install/offline.html", {"languages": [code for code, _name in settings.LANGUAGES]})
