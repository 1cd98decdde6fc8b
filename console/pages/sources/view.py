"""What every source sends: heard or silent, rate, lag, what was refused and why. Nothing is green without data."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from alerts.blind import blind_stretches
from alerts.sources import health
from alerts.sources.health import SourceHealth
from alerts.sources.senders import SentCount, sent_of
from console.pages.access import looked_after, signed_in, signed_in_user
from console.pages.sources import words
from console.text.blind import blindness
from console.text.wording import day_clock
from orgs import clock
from runs.presence import REPORTS_WITHIN, flows_of

DAY = timedelta(hours=24)  # of which it is said when we could not see
SHOWN = 100  # sources, the worst first
FLOWS_SHOWN = 60  # those that stopped first


@require_safe
@signed_in
def sources(request: HttpRequest) -> HttpResponse:
    """`/sources`: for leads, of their orgs; for specialists, all."""
    orgs, now = looked_after(signed_in_user(request)), clock.now()
    found = sorted(health.of_sources(health.visible(orgs), orgs, now), key=words.worst_first)
    shown = found[:SHOWN]
    health.add_reasons(shown, orgs, now)
    health.add_keys([one for one in shown if one.source.org_id or orgs.every], now)
    sent = sent_of([one.source.pk for one in shown], orgs, now)
    zone, day = timezone.get_current_timezone_name(), (now - DAY, now)
    said = cache(partial(day_clock, zone=zone))  # the same hours in each card
    several = orgs.every or len(orgs.pks) > 1
    context: dict[str, Any] = {
        "cards": [_card(one, sent.get(one.source.pk, {}), said, zone, now) for one in shown],
        "hidden": len(found) - len(shown),
        "total": len(found),
        "troubled": sum(bool(one.alarms) for one in found),
        "flows": flows_of(orgs, now, FLOWS_SHOWN),
        "day_ago": now - REPORTS_WITHIN,
        "blinded": blindness(blind_stretches(orgs, *day), *day, now, zone, of_orgs=several),
        "blind": sum(one.state == "no_data" for one in found),
        "now": now,
        "page": "sources",
    }
    return render(request, "pages/sources/sources.html", context)


def _card(
    one: SourceHealth, sent: Mapping[datetime, SentCount], said: Callable[[datetime], str], zone: str, now: datetime
) -> dict[str, Any]:
    figures, sent_in_all = one.figures, sum(of.sent for of in sent.values())
    day = words.day_bars(figures, now)
    return {
        "one": one,
        "day": day,
        "hours": words.hour_rows(day.bars, said, sent if sent_in_all else {}),
        "sent": sent_in_all,
        "lost": words.lost(sent.values()),
        "lag": words.milliseconds(figures.hour.lag_average_ms),
        "lag_most": words.milliseconds(figures.hour.lag_most_ms) if figures.hour.created else "",
        "alarms": [(alert, words.alarm(alert, zone)) for alert in one.alarms],
        "reasons": [(reason, words.reason(reason.code)) for reason in one.reasons],
        "endpoints": [
            (endpoint, [(reason, words.reason(reason.code)) for reason in endpoint.reasons])
            for endpoint in one.endpoints
        ],
    }
