"""What is deleted when it is old, and which rows know a room: one declaration for each table.

An upper app registers its tables in its `AppConfig.ready`: `keep(Retained(...))`, `knows_room(...)`.
"""

from dataclasses import dataclass
from datetime import timedelta

from alerts.sources.traffic import MINUTES_KEPT
from orgs.history import tracked

HISTORY_KEPT = timedelta(days=400)  # who changed what: as long as the alerts that it explains


@dataclass(frozen=True)
class Retained:
    """How long the rows of a table are kept. SQL calls the row `kept`, its org %(org)s, the limit %(before)s.

    `column`: the time that counts. `days`: a field of Retention, or a fixed time.
    `held`: (column of LegalHold, SQL of the row) that says which hold keeps it.
    """

    table: str
    column: str
    days: str | timedelta
    where: str = "true"
    # Deleted with it: (table, its column that names the row by its key), or that names it within the org by a third.
    hanging: tuple[tuple[str, ...], ...] = ()
    held: tuple[str, str] | None = None
    by: tuple[str, str] | None = None  # (column, table of an org): rows are looked for under each of its rows
    room: str = ""  # its column that names a Room: a room goes with the last row that is about it
    is_counted: bool = False  # success figures are counted from it: its days are sealed first
    of_nobody: bool = False  # has rows without an org too
    of_org: bool = True
    key: str = "id"
    before: str = ""  # a statement that goes before, of what is about %(ids)s; what no longer is `where` then stays
    spared: str = ""  # which rows of the table it leaves

    def on(self, ids: str) -> list[tuple[str, str]]:
        """The tables that hang on it, each with the condition for the rows that go with those of these keys."""
        found = []
        for table, column, *own in self.hanging:
            named = f"SELECT org_id, {own[0]} FROM {self.table} WHERE {self.key} {ids}" if own else ""
            found.append((table, f"(org_id, {column}) IN ({named})" if own else f"{column} {ids}"))
        return found

    @property
    def holds_runs(self) -> bool:
        """Whether its rows are held as runs."""
        return self.held is not None and self.held[0] == "run_id"


@dataclass(frozen=True)
class AboutRoom:
    """A table of an upper app that names rooms by their own id: what `erase --room` deletes there."""

    table: str
    column: str
    hanging: tuple[tuple[str, str, str], ...] = ()  # (table, its column, the column of the row that it names)
    before: str = ""  # a statement that goes before, of what is about %(ids)s
    held: str = ""  # the column that LegalHold.run_id names
    # The advisory lock of whoever writes the table from what else is known of the room: while it is held nothing is
    # written from rows that are about to go. Empty: its rows are written with what they are about.
    written_under: int | None = None


# The newest push of each kind is what proves that a person of an org is reached, or that nothing does: see
# alerts/reach.py. Such a row stays, without its alert, its room and what it said.
_NEWER = "SELECT FROM alerts_push newer WHERE newer.org_id = kept.org_id AND newer.supervisor_id = kept.supervisor_id"
PROOF = " OR ".join(
    f"({which} AND NOT EXISTS ({_NEWER} AND {which.replace('kept', 'newer')} AND newer.{at} > kept.{at}))"
    for at, which in {
        "delivered_at": "kept.delivered_at IS NOT NULL",
        "opened_at": "kept.opened_at IS NOT NULL",
        "failed_at": "kept.failed_at IS NOT NULL",
        "ended_at": "kept.state = 'dead' AND kept.ended_reason = 'refused'",
        "sent_at": "kept.push = 'no_token' AND kept.sent_at IS NOT NULL",
    }.items()
)
BARE = (
    "UPDATE alerts_push kept SET alert_id = NULL, room_id = NULL, body = '', last_answer = '', failed_reason = '',"
    " trace = '{}'"
)
OF_HELD_ROOM = ("alert_id", "ANY (SELECT id FROM alerts_alert WHERE alerts_alert.room_id = kept.room_id)")
UNDER_WAY = "state IN ('pending', 'sending')"

# An alert goes with everything on it, once nothing has happened to it for so long.
ALERTS = Retained(
    "alerts_alert",
    "resolved_at",
    "failure_events_days",
    where="kept.state = 'resolved' AND kept.last_event_at < %(before)s"
    " AND NOT EXISTS (SELECT FROM alerts_transition later WHERE later.alert_id = kept.id AND later.at >= %(before)s)"
    f" AND NOT EXISTS (SELECT FROM alerts_push due WHERE due.alert_id = kept.id AND due.{UNDER_WAY})",
    hanging=(
        ("alerts_digestalert", "alert_id"),
        ("alerts_silencedalert", "alert_id"),
        ("alerts_transition", "alert_id"),
        ("alerts_failureevent", "alert_id"),
        ("alerts_push", "alert_id"),
        ("alerts_comment", "alert_id"),
        ("alerts_legalhold", "alert_id"),
    ),
    before=f"{BARE} WHERE alert_id = ANY(%(ids)s) AND ({PROOF})",
    held=("alert_id", "kept.id"),
    room="room_id",
    is_counted=True,
)
# Those that opened and attached to nothing: late ones, and such as were above the threshold.
EVENTS = Retained(
    "alerts_failureevent",
    "received_at",
    "failure_events_days",
    where="kept.alert_id IS NULL",
    held=OF_HELD_ROOM,
    by=("agent_id", "orgs_agent"),
    room="room_id",
    is_counted=True,
)
ACTIVITY = Retained(
    "alerts_roomactivity",
    "received_at",
    "room_activity_days",
    held=OF_HELD_ROOM,
    room="room_id",
    is_counted=True,
)
PUSHES = Retained(
    "alerts_push",
    "planned_at",
    "pushes_days",
    hanging=(("alerts_digestalert", "push_id"),),
    where=f"NOT kept.{UNDER_WAY} AND NOT (kept.alert_id IS NULL AND kept.body = '' AND ({PROOF}))"
    # a digest is held with any alert that it stands for
    " AND NOT EXISTS (SELECT FROM alerts_digestalert part JOIN alerts_legalhold hold ON hold.alert_id = part.alert_id"
    " AND hold.ended_at IS NULL WHERE part.push_id = kept.id)",
    before=f"{BARE} WHERE id = ANY(%(ids)s) AND ({PROOF})",
    spared=PROOF,
    held=("alert_id", "kept.alert_id"),
    room="room_id",
)
# One that ended holds nothing: no alert is marked with it.
SILENCES = Retained(
    "alerts_silence",
    "ended_at",
    "failure_events_days",
    where="NOT kept.unsettled AND NOT EXISTS (SELECT FROM alerts_alert marked WHERE marked.silence_id = kept.id)",
    hanging=(("alerts_silencedalert", "silence_id"),),
)
DELIVERIES = Retained("alerts_webhookdelivery", "received_at", "deliveries_days", where="kept.outcome <> ''")
REJECTED = Retained("alerts_rejecteditem", "at", "rejected_items_days", of_nobody=True)
MINUTES = Retained("alerts_sourceminute", "minute", MINUTES_KEPT, of_nobody=True)
# Of no org.
SESSIONS = Retained("django_session", "expire_date", timedelta(), of_org=False, key="session_key")
LIMITS = Retained("cache", "expires", timedelta(), of_org=False, key="cache_key")  # of log-ins: addresses
ADMIN_LOG = Retained("django_admin_log", "action_time", HISTORY_KEPT, of_org=False)

# The state of `obj` before the limit can still be told: its last entry stays, unless it says that it was deleted.
SUPERSEDED = (
    "(kept.pgh_label = 'delete' OR EXISTS (SELECT FROM {table} later WHERE {same} AND later.pgh_id > kept.pgh_id"
    " AND later.pgh_created_at < %(before)s))"
)
CONTEXTS = "NOT EXISTS (SELECT FROM {table} used WHERE used.pgh_context_id = kept.id)"

_kept: list[Retained] = [ALERTS, EVENTS, ACTIVITY, PUSHES, SILENCES, DELIVERIES, REJECTED, MINUTES]
_kept += [SESSIONS, LIMITS, ADMIN_LOG]
_about_rooms: list[AboutRoom] = []


def keep(entry: Retained) -> None:
    """Register a table of an upper app; it is purged before those here. Again changes nothing."""
    if entry not in _kept:
        _kept.insert(0, entry)


def knows_room(entry: AboutRoom) -> None:
    """Register a table of an upper app whose rows are about a room. Again changes nothing."""
    if entry not in _about_rooms:
        _about_rooms.append(entry)


def everything_kept() -> list[Retained]:
    """All declarations, in the order of a purge."""
    return [*_kept, *_histories()]


def _histories() -> list[Retained]:
    tables = []
    for events in tracked().values():
        columns = {column.column for column in events._meta.concrete_fields}
        who = ("pgh_obj_id",) if "pgh_obj_id" in columns else ("supervisorrole_id", "agent_id")
        tables.append((events._meta.db_table, " AND ".join(f"later.{name} = kept.{name}" for name in who)))
    kept = [_history(table, SUPERSEDED.format(table=table, same=same)) for table, same in sorted(tables)]
    unused = " AND ".join(CONTEXTS.format(table=table) for table, _ in tables)
    return [*kept, Retained("pghistory_context", "created_at", HISTORY_KEPT, where=unused, of_org=False)]


def _history(table: str, where: str) -> Retained:
    return Retained(table, "pgh_created_at", HISTORY_KEPT, where=where, of_org=False, key="pgh_id")


def about_rooms() -> list[AboutRoom]:
    """The tables of upper apps that name rooms."""
    return list(_about_rooms)
