"""The calendar of somebody's duty, as their phone subscribes to it. Its address is what opens it."""

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import translation
from django.views.decorators.http import require_safe

from console.pages import errors
from orgs import clock
from orgs.duty_feeds import UnknownFeed, feed_text, find_feed


@require_safe
def duty_feed(request: HttpRequest, token: str) -> HttpResponse:
    """`/duty-feeds/{token}`, which ends with `.ics`: in the person's language. Every dead address answers the same."""
    try:
        found = find_feed(token)
        with translation.override(found.user.locale or found.org.locale):
            content = feed_text(found, clock.now())
        response = HttpResponse(content, content_type="text/calendar; charset=utf-8")
        response["Content-Disposition"] = 'inline; filename="duty.ics"'
    except UnknownFeed:
        response = errors.not_found(request, Http404())
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response
