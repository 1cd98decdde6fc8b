"""What the command palette finds: the agents and rooms of one's orgs by a part of their name."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from alerts.models import Alert
from console.live.rows import name_of
from console.pages.access import signed_in
from orgs.models import Agent

FOUND = 8  # of each kind
LOOKED_AT = 50  # newest alerts, of which a room may have several
TEXT_MOST = 200  # characters


@require_safe
@signed_in
def palette(request: HttpRequest) -> HttpResponse:
    """`GET /palette?q=`: options of the palette's list; nothing for no text."""
    text = request.GET.get("q", "").strip()[:TEXT_MOST]
    context = {"agents": _agents(text), "rooms": _rooms(text)} if text else {}
    return render(request, "pages/frame/_palette_found.html", context)


def _agents(text: str) -> list[dict[str, str]]:
    names = Agent.objects.filter(name__icontains=text).order_by("name").values_list("name", flat=True).distinct()
    return [{"name": name, "url": f"{reverse('board')}?{urlencode({'agent': name})}"} for name in names[:FOUND]]


def _rooms(text: str) -> list[dict[str, Any]]:
    """The rooms that match, each with its newest alert, the newest first."""
    matching = Q(room__room_id__icontains=text) | Q(room__label__icontains=text)
    newest: dict[int | None, Alert] = {}
    for alert in Alert.objects.filter(matching).select_related("room", "org").order_by("-pk")[:LOOKED_AT]:
        newest.setdefault(alert.room_id, alert)
    return [
        {"name": name_of(alert), "org": alert.org, "url": reverse("alert", args=[alert.pk])}
        for alert in list(newest.values())[:FOUND]
    ]
