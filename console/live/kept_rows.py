"""Rendered rows by (alert id, version, language): frames bring them, pages take them, so that no row is made twice.

Not all that a row says changes the alert's version: who was told and with what result, who holds the room, a name. So
a row is kept with its `Look`, which two narrow queries ask for, and all rows go when a name anywhere changes. Times are
put right when a page is sent: `as_read` (console/text/reader.py).
"""

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, connection
from django.db.models import F
from django.utils import translation

from alerts.faults import PASSING, report
from alerts.models import Alert, Push
from alerts.prepared import PreparedQuery
from console.live.filters import IN_DIGESTS, UNDER
from console.live.folded import folded_rooms
from console.live.looks import ROOM_SHOWN, Look, ToldLook, look_of
from console.live.rows import FeedRow, render_rows, told_before
from console.text.wording import read_by
from orgs.history import newest_changes
from orgs.models import Agent, Org, Source, User

KEPT_MOST = 5_000  # rows of some 2.5 kB

log = structlog.get_logger(__name__)


class KeptRows:
    """The rows of this process, the newest KEPT_MOST. Threads share it: each step is one of a dictionary's own."""

    def __init__(self) -> None:
        self._rows: OrderedDict[tuple[UUID, str], FeedRow] = OrderedDict()
        self._names: tuple[object, ...] = ()

    def take(self, alert_id: UUID, language: str, look: Look) -> str | None:
        """The row, if it looks so."""
        kept = self._rows.get((alert_id, language))
        return kept.html if kept is not None and kept.look == look else None

    def has(self, alert_id: UUID, language: str) -> bool:
        return (alert_id, language) in self._rows

    def keep(self, alert_id: UUID, language: str, row: FeedRow) -> None:
        self._rows.pop((alert_id, language), None)
        self._rows[alert_id, language] = row
        while len(self._rows) > KEPT_MOST:
            self._rows.popitem(last=False)

    def check_names(self) -> None:
        """Forget all rows if an org, agent, source or person has changed since. One query."""
        with connection.cursor() as cursor:
            cursor.execute(newest_changes(Org, Agent, Source, User))
            names = tuple(cursor.fetchone())
        if names != self._names:
            self._rows.clear()
            self._names = names

    def clear(self) -> None:
        self._rows.clear()


kept_rows = KeptRows()


def row_htmls(ids: Sequence[UUID], now: datetime) -> dict[UUID, str]:
    """The rows of these alerts as everybody who may see them gets them, in the present language.

    One that is gone, or broken, is left out. Three queries at most, and those of `render_rows` for what is not kept.
    """
    if not ids:
        return {}
    kept_rows.check_names()
    language, found = translation.get_language(), {}
    for pk, look in looks_of([pk for pk in ids if kept_rows.has(pk, language)], now).items():
        if (html := kept_rows.take(pk, language, look)) is not None:
            found[pk] = html
    for pk, row in _rendered([pk for pk in ids if pk not in found], language, now).items():
        found[pk] = row.html
        kept_rows.keep(pk, language, row)
    return found


_QUIET = ("snoozed_until", "silenced_until")
_LOOKED_AT = ("org", "version", "state", "episodes_at", *_QUIET, *(f"room__{name}" for name in ROOM_SHOWN))
LOOKS = PreparedQuery(
    lambda: (
        Alert._base_manager.select_related("room")
        .only(*_LOOKED_AT)
        .order_by()
        .annotate(under=UNDER, in_digests=IN_DIGESTS)
    )
)
_TOLD = ("org", "alert", "room", "supervisor", "state", "ended_reason")
TOLD = PreparedQuery(
    lambda: Push._base_manager.filter(occurrence=F("alert__occurrence")).only(*_TOLD).order_by(), key="alert_id"
)


def looks_of(ids: Collection[UUID], now: datetime) -> dict[UUID, Look]:
    """How the rows of these alerts look now. Two queries, three where somebody was told of the room just before."""
    alerts = LOOKS.rows(ids)
    told = _told([alert.pk for alert in alerts if alert.state == Alert.State.OPEN])
    roomless = [alert.pk for alert in alerts if alert.room_id is None]  # an agent's or a source's
    folded = folded_rooms(list(Alert.objects.filter(pk__in=roomless))) if roomless else {}
    return {one.pk: look_of(one, told.get(one.pk, frozenset()), folded.get(one.pk), now) for one in alerts}


def _told(still_open: Sequence[UUID]) -> dict[UUID, ToldLook]:
    pushes = TOLD.rows(still_open)
    before = told_before([push for push in pushes if push.ended_reason == "throttled"])
    told: dict[UUID, set[Any]] = defaultdict(set)
    for push in pushes:
        at = before.get((push.room_id, push.supervisor_id))
        told[push.alert_id].add((push.supervisor_id, push.state, push.ended_reason, at))  # type: ignore[index]
    return {pk: frozenset(some) for pk, some in told.items()}


def _rendered(ids: Sequence[UUID], language: str, now: datetime) -> dict[UUID, FeedRow]:
    """These rows; a broken one is left out, so that the others show."""
    try:
        with read_by(None):
            return render_rows(ids, [language], now)[language] if ids else {}
    except PASSING:
        raise
    except Exception as error:  # noqa: BLE001 - one alert's row; the log says which
        if len(ids) == 1:
            report("row_broken", error, alert=str(ids[0]))
            return {}
    return {pk: row for one in ids for pk, row in _rendered([one], language, now).items()}


def frame_rows(ids: Collection[UUID], languages: set[str]) -> dict[str, dict[UUID, FeedRow]]:
    """Rows by language, for a frame. An alert that cannot be rendered is left out: it holds up no other."""
    try:
        made = render_rows(sorted(ids), languages)
        for language, rows in made.items():
            for alert_id, row in rows.items():
                kept_rows.keep(alert_id, language, row)
        return made
    except DatabaseError:
        raise
    except Exception:
        if len(ids) == 1:
            log.exception("feed_row_broken", alert=str(*ids))
            return {}
        log.warning("feed_rows_one_by_one", alerts=len(ids))
    rendered: dict[str, dict[UUID, FeedRow]] = {language: {} for language in languages}
    for alert_id in ids:
        for language, rows in frame_rows({alert_id}, languages).items():
            rendered[language] |= rows
    return rendered
