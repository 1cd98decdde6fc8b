"""The live board."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alerts.figures import Period
from alerts.models import Alert
from console.pages.access import orgs_seen, signed_in_user
from console.pages.board import bulk, query, saved, strip
from console.pages.board.listing import Listing, read_listing, shared_listing
from console.pages.board.median import median_of_day
from console.pages.board.query import BoardCounts, BoardFilters, BoardGroup
from console.text.org_names import twin_orgs
from console.text.reader import as_read
from console.text.wording import ago, read_by, span
from orgs import clock
from orgs.models import Agent, Org, Severity, SourceHeard, User
from orgs.signals import signal_choices

PARTIALS = {"feed": "pages/board/_feed.html", "head": "pages/board/_head.html"}


@login_required
def board(request: HttpRequest) -> HttpResponse:
    """`/`: headline, health strip, failure feed. `?partial=feed|head` answers that part alone; `?partial=counts` the
    figures of the tabs under the filters, as JSON.
    """
    filters = query.folding(query.board_filters(request.GET))
    now = clock.now()
    partial = request.GET.get("partial", "")
    if partial == "counts":
        return JsonResponse(_shown(*_recount(filters, signed_in_user(request), now)))
    orgs = orgs_seen(request)
    read = shared_listing if partial == "feed" else read_listing
    listing = read(filters, signed_in_user(request), orgs, now)
    context: dict[str, Any] = {"filters": filters, "now": now, "orgs": orgs, "total": listing.total}
    context |= {"folded": listing.folded.get("waiting", 0)}
    shown = query.shown_orgs(filters, orgs)
    context |= {"org_shown": shown[0] if shown is not orgs else None}
    context |= {"checksums": json.dumps(listing.sums), "figures": json.dumps(listing.figures)}
    with read_by(signed_in_user(request)):
        context |= _feed(request, filters, now, orgs, listing) if partial != "head" else {}
        context |= _head(now, shown, context["org_shown"]) if partial != "feed" else {}
        if not partial:
            context |= {"select_words": bulk.select_words(), "here_query": saved.normal_query(request.GET.urlencode())}
        return render(request, PARTIALS.get(partial, "pages/board/board.html"), context)


def _feed(
    request: HttpRequest, filters: BoardFilters, now: datetime, orgs: list[Org], listing: Listing
) -> dict[str, Any]:
    me, groups, counts, twins = signed_in_user(request), listing.groups, listing.counts, twin_orgs(orgs)
    rows = {pk: as_read(html, me, now, twins) for pk, html in listing.rows.items()}
    shown = query.shown_orgs(filters, orgs)
    org = shown[0] if shown is not orgs else None  # the one that is chosen
    held = [listing.figures[name] for one in shown if (name := one.external_id) in listing.figures]
    single = filters.tab != "all" and (filters.tab == "resolved" or filters.cursor)
    return {
        "counts": counts,
        "shown": json.dumps(_shown(counts, listing.folded)),
        "mine": sum(figures["holders"].get(me.sso_id, 0) for figures in held),
        "groups": [
            (group, [rows[pk] for pk in group.ids if pk in rows], _group_title(group, filters.tab, listing.folded))
            for group in groups
        ],
        "next_url": filters.url(cursor=groups[0].following) if single and groups[0].following else "",
        "first_url": filters.url(cursor="") if filters.cursor else "",
        "more_urls": {group.name: _more_url(filters, group) for group in groups if group.more and not single},
        "asked": json.dumps(query.asked(filters, me), ensure_ascii=False),
        "empty": _empty(filters, groups, listing.total, orgs, now),
        "clear_url": BoardFilters(tab=filters.tab, org=org.external_id if org else "").url(),
        "mine_url": filters.url(mine="" if filters.mine else "1", cursor=""),
        "unfold_url": filters.url(under="", cursor=""),
        "no_digest_url": filters.url(digest="", cursor=""),
        "no_search_url": filters.url(q="", cursor=""),
        "resolved_url": BoardFilters(tab="resolved", org=org.external_id if org else "").url(),
        "page": "board",
        "live": True,
        "hidden_by": ", ".join(query.hidden(filters, orgs)) or (_("Mine only") if filters.mine else ""),
        "tabs": _tabs(filters, listing.total if filters.folds else counts),
    }


def _figures(counts: BoardCounts) -> dict[str, int]:
    return {name: counts.of(name) for name in (*query.OPEN_GROUPS, "resolved")}


def _shown(counts: BoardCounts, folded: dict[str, int]) -> dict[str, Any]:
    """How many rows each group has under the filters, and how many more are folded under outages, for the script."""
    return {**_figures(counts), "folded": folded}


def _recount(filters: BoardFilters, me: User, now: datetime) -> tuple[BoardCounts, dict[str, int]]:
    """The counts of the rows under the filters, and what is folded."""
    counts = query.count_board(query.matching_alerts(filters, me), now)
    if not filters.folds:
        return counts, {}
    all_of_them = query.count_board(query.matching_alerts(replace(filters, folds=False), me), now)
    return counts, all_of_them.folded(counts)


def _more_url(filters: BoardFilters, group: BoardGroup) -> str:
    """Where the rest of a group stands: a page of its own."""
    return filters.url(tab=group.name, cursor=group.following)


def _group_title(group: BoardGroup, tab: str, folded: dict[str, int]) -> tuple[str, str]:
    said = ngettext("{n} alert", "{n} alerts", group.total).format(n=number_format(group.total))
    if n := folded.get(group.name):
        more = ngettext("{n} more room under an outage", "{n} more rooms under an outage", n)
        said = f"{said}, {more.format(n=number_format(n))}"
    match group.name:
        case "waiting":
            return _("Waiting for a human"), said
        case "on-it":
            return _("Somebody is on it"), said
        case "snoozed":
            return _("Snoozed or silenced"), said
    if tab == "resolved":
        return _("Resolved"), ""
    return _("Resolved in the last 15 min"), _("fades out by itself")


def _tabs(filters: BoardFilters, counts: BoardCounts) -> list[dict[str, Any]]:
    figures = {"all": counts.all, **_figures(counts)}
    names = {"all": _("All"), "waiting": _("Waiting"), "on-it": _("On it"), "resolved": _("Resolved")}
    if filters.tab == "snoozed":  # else it is a section below: there is no room for five on a phone
        names["snoozed"] = _("Snoozed or silenced")
    return [
        {
            "name": name,
            "title": names[name],
            "url": filters.url(tab=name, limit=query.GROUP_LIMIT, cursor=""),
            "count": figures[name],
            "current": name == filters.tab,
            "hot": name == "waiting" and figures[name] > 0,
        }
        for name in names
    ]


def _empty(
    filters: BoardFilters, groups: list[BoardGroup], total: BoardCounts, orgs: list[Org], now: datetime
) -> dict[str, Any]:
    """Why the list is empty: one of three kinds; {} if it is not."""
    if any(group.ids for group in groups if group.name != "snoozed" or filters.tab == "snoozed"):
        return {}
    shown = query.shown_orgs(filters, orgs)
    if filters.chosen().keys() - ({"org"} if shown is not orgs else set()):
        return {"kind": "filtered", "hidden": total.all, "waiting": total.waiting}
    heard = list(SourceHeard.objects.filter(org__in=shown).order_by("-at")[:1])
    if not heard:
        return {"kind": "blind", "orgs": ", ".join(org.name for org in shown[:3])}
    last = Alert.objects.filter(org__in=shown, state=Alert.State.RESOLVED).order_by(*query.NEWEST_END.names()).first()
    return {
        "kind": "calm",
        "tab": filters.tab,
        "heard": span((now - heard[0].at).total_seconds()),
        "fresh": now - heard[0].at <= strip.HEARD_WITHIN,
        "last": last,
        "last_ago": ago(last.resolved_at, now) if last and last.resolved_at else "",
    }


def _head(now: datetime, orgs: list[Org], org: Org | None) -> dict[str, Any]:
    zone = ZoneInfo(timezone.get_current_timezone_name())
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    tiles = strip.tiles([org.pk for org in orgs], now)
    shown = strip.SHOWN if len(tiles) <= strip.SHOWN else strip.SHOWN - 1  # the last place leads to the others
    return {
        "tiles": strip.with_orgs(tiles, orgs)[:shown],
        "healthy": sum(tile.tone == "ok" for tile in tiles),
        "more_tiles": len(tiles[shown:]),
        "agents_url": reverse("agents") + (f"?{urlencode({'org': org.external_id})}" if org else ""),
        "intervention": median_of_day(orgs, Period(midnight, midnight + timedelta(days=1)), now),
        "severities": Severity.choices,
        "signals": signal_choices(),
        "agents": sorted(set(Agent.objects.filter(org__in=orgs).values_list("name", flat=True))),
    }
