"""The wall board: one org on a television, read only. Its address is what opens it; no log-in plays a part."""

import zoneinfo
from datetime import datetime
from functools import wraps
from typing import Any

from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from console.live.hub import NOTHING_OPEN, checksums
from console.pages import errors
from console.pages.access import View
from console.pages.wall.query import wall_board
from console.text.wording import script_words
from orgs import clock
from orgs.auth import OrgIds, within
from orgs.models import Wall
from orgs.walls import UnknownWall, find_wall


def _kept_secret(view: View) -> View:
    """Nobody keeps an answer to such an address, or learns the address from a link. Every dead one answers the same."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: Any = view(request, *args, **kwargs)
        except UnknownWall:
            response = errors.not_found(request, Http404())
            response["X-Refused"] = "wall"  # static/js/wall.js tells it from the 404 of a proxy
        response["Cache-Control"] = "no-store"
        response["Referrer-Policy"] = "no-referrer"
        response["X-Robots-Tag"] = "noindex"
        return response

    return guarded


@require_safe
@_kept_secret
def wall(request: HttpRequest, token: str) -> HttpResponse:
    """`/wall/{token}`: the board of the org that the token is of. `?partial=1` answers what changes alone."""
    found = find_wall(token)
    now = clock.now()
    template = "pages/wall/_now.html" if request.GET.get("partial") else "pages/wall/wall.html"
    zone = zoneinfo.ZoneInfo(found.org.zone)
    with translation.override(found.locale), timezone.override(zone), within(OrgIds.of([found.org_id])):
        content = render_to_string(template, _context(found, now))
    return HttpResponse(content, headers={"Content-Language": found.locale})


def _context(found: Wall, now: datetime) -> dict[str, Any]:
    org = found.org
    # The sum is read before the rows: a change in between makes the page load once more, never miss one.
    total = checksums(OrgIds.of([org.pk])).get(org.external_id, NOTHING_OPEN)
    offset = timezone.localtime(now).utcoffset()
    return {
        "wall": found,
        "org": org,
        "now": now,
        "sum": total,
        "assets": getattr(staticfiles_storage, "manifest_hash", ""),
        "board": wall_board(org, now),
        "zone": org.zone,
        "offset": int(offset.total_seconds() // 60) if offset else 0,
        "words": _words(),
    }


def _words() -> dict[str, Any]:
    """The texts of the scripts (static/js/words.js, wall.js)."""
    return {
        **script_words(),
        "stale_since": _("Stale since {time}: this is what was true then. Reconnecting."),
        "more": (_("and 1 more"), _("and {n} more")),
    }
