"""What every source sends: heard or silent, rate, lag, what was refused and why. Nothing is green without data."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from alerts.sources import health
from alerts.sources.health import SourceHealth
from console.pages.access import looked_after, signed_in, signed_in_user
from console.pages.sources import words
from orgs import clock

SHOWN = 100  # sources, the worst first


@require_safe
@signed_in
def sources(request: HttpRequest) -> HttpResponse:
    """`/sources`: for leads, of their orgs; for specialists, all."""
    orgs, now = looked_after(signed_in_user(request)), clock.now()
    found = sorted(health.of_sources(health.visible(orgs), orgs, now), key=words.worst_first)
    shown = found[:SHOWN]
    health.add_reasons(shown, orgs, now)
    health.add_keys([one for one in shown if one.source.org_id or orgs.every], now)
    zone = timezone.get_current_timezone_name()
    context: dict[str, Any] = {
        "cards": [_card(one, zone, now) for one in shown],
        "hidden": len(found) - len(shown),
        "total": len(found),
        "troubled": sum(bool(one.alarms) for one in found),
        "blind": sum(one.state == "no_data" for one in found),
        "now": now,
        "page": "sources",
    }
    return render(request, "pages/sources/sources.html", context)


def _card(one: SourceHealth, zone: str, now: datetime) -> dict[str, Any]:
    figures = one.figures
    return {
        "one": one,
        "day": words.day_bars(figures, now),
        "lag": words.milliseconds(figures.hour.lag_average_ms),
        "lag_most": words.milliseconds(figures.hour.lag_most_ms) if figures.hour.created else "",
        "alarms": [(alert, words.alarm(alert, zone)) for alert in one.alarms],
        "reasons": [(reason, words.reason(reason.code)) for reason in one.reasons],
        "endpoints": [
            (endpoint, [(reason, words.reason(reason.code)) for reason in endpoint.reasons])
            for endpoint in one.endpoints
        ],
    }
