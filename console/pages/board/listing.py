"""The list of the board as it stands: read and rendered once for all who ask for the same one within a second.

After a pause of the server a thousand boards come back within seconds, and each loads its list. While this process's
hub watches, the unfiltered list of the same orgs in the same language is the same for everybody, until the hub sends a
row of these orgs: a list is never older than the frames before it.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import translation

from console.live import hub as live
from console.live.kept_rows import row_htmls
from console.live.stored import stored_states
from console.pages.board import query
from console.pages.board.query import BoardCounts, BoardFilters, BoardGroup
from orgs.auth import OrgIds
from orgs.models import Org, User

SHARED_FOR = 1.0  # seconds
SHARED_LISTS = 100  # the newest; each refers to rows that are kept anyway


@dataclass(frozen=True)
class Listing:
    """What the hub had sent when it was read, then what is in the database: rows for everybody, not for one reader."""

    sums: dict[str, str]
    figures: dict[str, Any]
    total: BoardCounts  # of the chosen org, else of all
    counts: BoardCounts  # of what passes the filters
    groups: list[BoardGroup]
    rows: dict[UUID, str]
    folded: dict[str, int]  # how many of each group stand under the row of an outage instead


def read_listing(filters: BoardFilters, user: User, orgs: list[Org], now: datetime) -> Listing:
    """The list as it is now."""
    # The sums are read before the rows: a change in between makes the browser load once more, never miss one.
    stored = stored_states([org.pk for org in orgs], now)
    sums, figures = live.feed_state(OrgIds.of(org.pk for org in orgs), stored)
    shown = {org.external_id for org in query.shown_orgs(filters, orgs)}
    total = query.count_stored(one for one in stored if one.org in shown)
    alerts = query.matching_alerts(filters, user)
    counts = query.count_board(alerts, now) if filters.chosen() or filters.folds else total
    groups = query.board_groups(filters, alerts, counts, now)
    rows = row_htmls([pk for group in groups for pk in group.ids], now)
    return Listing(sums, figures, total, counts, groups, rows, total.folded(counts) if filters.folds else {})


@dataclass(frozen=True)
class _Shared:
    listing: Listing
    sent: int  # rows of these orgs that the hub had sent
    until: float  # on the monotonic clock


_shared: OrderedDict[tuple[object, ...], _Shared] = OrderedDict()
_locks = [threading.Lock() for _ in range(64)]  # whoever asks for a list that is being read waits for it


def shared_listing(filters: BoardFilters, user: User, orgs: list[Org], now: datetime) -> Listing:
    """The same, from others if they read it just now; for the script, which loads what a frame did not bring."""
    if not live.hub.audiences or filters.chosen() or filters.cursor:
        return read_listing(filters, user, orgs, now)
    org_ids = OrgIds.of(org.pk for org in orgs)
    key = (org_ids, translation.get_language(), filters.tab, filters.limit, filters.folds)
    with _locks[hash(key) % len(_locks)]:
        sent, shared = live.hub.sent_of(org_ids), _shared.get(key)
        fits = shared is not None and shared.sent == sent and time.monotonic() < shared.until
        if shared is None or not fits or shared.listing.sums != live.hub.state(org_ids)[0]:
            until = time.monotonic() + SHARED_FOR
            shared = _shared[key] = _Shared(read_listing(filters, user, orgs, now), sent, until)
            while len(_shared) > SHARED_LISTS:
                _shared.popitem(last=False)
        return shared.listing
