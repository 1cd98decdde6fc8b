"""What a wall board shows of its org. Reads only; it leaves out what may tell who a customer is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max
from django.utils.translation import gettext as _

from alerts.models import Alert, needing_human
from alerts.sources.health import HEARD_WITHIN
from console.live.filters import holder_of, passing
from console.live.rows import ICONS, TONES, Wait, views
from console.pages.board import strip
from console.pages.board.query import BoardCounts, BoardFilters, count_board, folding, open_group, whole_alerts
from console.text.sentences import severity_name
from console.text.wording import short_name
from orgs.models import Org, Severity, SourceHeard

ROWS = 14  # on the largest screen; what does not fit is counted
TILES = 5  # as many as stand beside each other
CODE = 6  # characters of an alert's id; the board finds the alert by them


@dataclass(frozen=True)
class WallRow:
    """An alert without its room, its customer's words and the people's ids: what failed, since when, who is on it."""

    code: str
    tone: str
    icon: str
    severity: str
    title: str
    subject: str
    wait: Wait
    who: str
    alone: bool  # nobody is on it
    may_be_late: bool
    folded: str  # of an outage: how many rooms stand under it, and need a human; empty for none


@dataclass(frozen=True)
class WallBoard:
    """All of a wall board at one moment."""

    counts: BoardCounts
    by_severity: list[tuple[str, str, str, int]]  # tone, icon, name, how many need a human; the worst first
    rows: list[WallRow]
    tiles: list[strip.Tile]
    more_tiles: int
    heard_at: datetime | None  # when a source was heard last
    blind: bool  # that is too long ago to say that all is well
    folded: int  # of the alerts that need a human: rooms of an outage, which have no row of their own
    open: int  # how many alerts the rows are taken from: the rooms of an outage stand under it


def wall_board(org: Org, now: datetime) -> WallBoard:
    """What the wall board of this org shows now; run it inside the org's scope."""
    counts = count_board(Alert.objects.all(), now)
    folds = folding(BoardFilters()).folds
    alerts = passing(Alert.objects.all(), {"under": ""} if folds else {})
    shown = count_board(alerts, now) if folds else counts
    waiting = open_group("waiting", alerts, shown.waiting, BoardFilters(limit=ROWS), now).ids
    rest = BoardFilters(limit=ROWS - len(waiting))
    held = open_group("on-it", alerts, shown.on_it if rest.limit else 0, rest, now).ids
    tiles = strip.tiles([org.pk], now)
    heard_at = SourceHeard.objects.aggregate(last=Max("at"))["last"]
    return WallBoard(
        counts=counts,
        by_severity=_by_severity(now),
        rows=[_row(view) for view in views(whole_alerts([*waiting, *held]), now)],
        tiles=tiles[:TILES],
        more_tiles=max(0, len(tiles) - TILES),
        heard_at=heard_at,
        blind=heard_at is None or now - heard_at > HEARD_WITHIN,
        folded=counts.folded(shown)["waiting"],
        open=shown.waiting + shown.on_it,
    )


def _by_severity(now: datetime) -> list[tuple[str, str, str, int]]:
    """The parts of the headline: of the alerts that need a human."""
    rows = Alert.objects.filter(needing_human(now)).order_by().values_list("severity").annotate(n=Count("pk"))
    found = dict(rows)
    worst_first = reversed(Severity.values)
    return [(TONES[one], ICONS[one], severity_name(one), found[one]) for one in worst_first if one in found]


def _row(view: dict[str, Any]) -> WallRow:
    alert = view["alert"]
    return WallRow(
        code=alert.pk.hex[-CODE:],
        tone=view["tone"],
        icon=view["icon"],
        severity=view["severity"],
        title=view["title"],
        subject=view["subject"],
        wait=view["wait"],
        who=_who(view),
        alone=view["who"].tone == "none",
        may_be_late=view["may_be_late"],
        folded=view["folded"]["rooms"] if view["folded"] and view["folded"]["n"] else "",
    )


def _who(view: dict[str, Any]) -> str:
    """The first name of who is on it, or that nobody is. A person without a name is not called by their id."""
    if view["who"].tone == "none":
        return view["who"].line
    alert = view["alert"]
    holder = holder_of(alert) or (alert.room.human if alert.room else None)
    return short_name(holder.name) if holder and holder.name else _("A human agent")
