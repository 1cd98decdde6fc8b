"""Forgets a room, or a person, on request: nothing of them is found afterwards, and the counts say what went.

One transaction a subject: all of it, or nothing. A room is deleted with all that happened in it. A person stays as "a
former supervisor" in what they did.
"""

import json
import secrets
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Q

from alerts import feed
from alerts.models import RUNS_LOCK, Alert, LegalHold, Room
from alerts.retention import people
from alerts.retention.registry import ALERTS, AboutRoom, about_rooms
from alerts.retention.texts import Needles, remaining, scrub
from orgs.models import ERASED, Org, User

SENT = {"alerts_webhookdelivery": ("understood", "facts", "sample"), "alerts_rejecteditem": ("sample",)}
A_QUOTATION = 20  # characters: a shorter message, such as "tolong", is a word like any other where it stands again
OTHERS_LAST = 30.0  # seconds; a task ends within that
ON_ALERT = ("acknowledged_by", "intervened_by", "resolved_by", "assigned_to", "verdict_by")

log = structlog.get_logger(__name__)


class SubjectUnknown(Exception):
    """Nothing here is about this subject."""


class SubjectHeld(Exception):
    """A legal hold forbids it; the message names the hold."""


class LeftBehind(Exception):
    """Something that names the subject cannot be replaced: a fault of ours."""


class Certificate(NamedTuple):
    """What went: rows by table, and how many values that name the subject are left: 0."""

    subject: str
    at: datetime
    tables: dict[str, int]
    remaining: int


def erase_room(org: Org, room_id: str, now: datetime, *, dry_run: bool = False) -> Certificate:
    """Delete a room with all that happened in it. Needs scopes disabled. Raises SubjectUnknown, SubjectHeld.

    Whatever comes in for the room waits for its lock, and begins a new room afterwards. `dry_run`: as if.
    """
    with transaction.atomic():
        _stop_writers()
        counts, needles = Counter[str](), _needles_of_room(org, room_id)
        runs = [_runs(entry, org, room_id) for entry in about_rooms()]  # runs are locked before rooms
        room = Room.objects.select_for_update().filter(org=org, room_id=room_id).first()
        if room is None and not any(runs):
            raise SubjectUnknown
        _refuse_held(LegalHold.objects.filter(org=org, alert__room=room) if room else LegalHold.objects.none())
        for entry in about_rooms():
            counts.update(_delete_runs(entry, org, room_id))
        if room is not None:
            counts.update(_delete_room(room))
        counts.update(_delete_sent(org, needles))
        counts.update(scrub(needles, [org.pk]))
        return _done(f"room {room_id} of org {org.external_id}", now, counts, remaining(needles, [org.pk]), dry_run)


def erase_person(sso_id: str, now: datetime, org: Org | None = None, *, dry_run: bool = False) -> Certificate:
    """Forget a person, in one org or everywhere; in one, they stay known to others that they have a role in.

    Needs scopes disabled. Raises SubjectUnknown, SubjectHeld.
    """
    with transaction.atomic():
        others = _under_way()
        user = User.objects.select_for_update().filter(sso_id=sso_id).exclude(sso_id__startswith=ERASED).first()
        if user is None or (org is not None and not people.is_known_in(user, org)):
            raise SubjectUnknown
        elsewhere = org is not None and people.is_known_elsewhere(user, org)
        orgs = [org.pk] if org is not None and elsewhere else None
        _refuse_held(_holds_about(user, orgs))
        needles, counts = people.needles_of(user, orgs), Counter[str]()
        pseudonym = ERASED + secrets.token_hex(6)
        needles = replace(needles, replacement=pseudonym)
        _show_again(user, orgs, now)
        if orgs is None:
            counts.update(people.forget(user, pseudonym))
        else:
            counts.update(people.forget_in(user, orgs[0], pseudonym))
        counts.update(scrub(needles, orgs, everywhere=orgs is None))
        left = remaining(needles, orgs, everywhere=orgs is None)
        subject = f"person {sso_id}" + (f" in org {org.external_id}" if org else "")
        certificate = _done(subject, now, counts, left, dry_run)
    if not dry_run and not connection.in_atomic_block:
        _erase_late(others, needles, orgs)
    return certificate


def _under_way() -> int:
    """The number of this transaction: those that began before it may still write the name of who is erased."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return int(cursor.fetchone()[0])


def _erase_late(number: int, needles: Needles, orgs: Collection[int] | None) -> None:
    """When all that were under way have ended, replace what they wrote. A push of theirs is cancelled at its claim."""
    until = time.monotonic() + OTHERS_LAST
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > %s", [number])
            if cursor.fetchone()[0]:
                break
            time.sleep(0.02)
    with transaction.atomic():
        scrub(needles, orgs, everywhere=orgs is None)


def _done(subject: str, now: datetime, counts: Counter[str], left: int, dry_run: bool) -> Certificate:
    """The certificate. A value that is left is a fault of ours: nothing is changed then."""
    if left:
        raise LeftBehind(f"{left} values would still name the subject; nothing was changed.")
    if dry_run:
        transaction.set_rollback(True)
    else:
        transaction.on_commit(lambda: log.info("subject_erased", rows=counts.total()))
    return Certificate(subject, now, {table: rows for table, rows in sorted(counts.items()) if rows}, left)


# --- holds -----------------------------------------------------------------------------------------------------------


def _refuse_held(holds: Any) -> None:
    held = holds.filter(ended_at=None).order_by("at").first()
    if held is not None:
        about = f"alert {held.alert_id}" if held.alert_id else f"run {held.run_id}"
        raise SubjectHeld(f"A legal hold of {held.at:%Y-%m-%d} on {about} forbids it: {held.reason!r}. Lift it first.")


def _holds_about(user: User, orgs: Collection[int] | None) -> Any:
    """The holds on alerts that this person had to do with."""
    did = Q(*[(f"alert__{name}", user) for name in ON_ALERT], _connector=Q.OR)
    did |= Q(alert__pushes__supervisor=user) | Q(alert__transitions__actor=user) | Q(alert__comments__author=user)
    holds = LegalHold.objects.filter(did)
    return holds if orgs is None else holds.filter(org__in=orgs)


# --- a room ----------------------------------------------------------------------------------------------------------


def _needles_of_room(org: Org, room_id: str) -> Needles:
    room = Room.objects.filter(org=org, room_id=room_id).first()
    names: set[str] = set()
    if room is not None:
        of_others = Room.objects.filter(org=org).exclude(pk=room.pk)
        names = {room.url} | ({room.label} if not of_others.filter(label=room.label).exists() else set())
        names |= {room.last_customer_text} if len(room.last_customer_text) >= A_QUOTATION else set()
    return Needles(frozenset([room_id]), frozenset(names - {""}), of_room=True)


def _delete_room(room: Room) -> dict[str, int]:
    """Its alerts with what hangs on them, then whatever else is about it, then itself."""
    counts: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM alerts_alert WHERE room_id = %s FOR UPDATE", [room.pk])
        alerts = [row[0] for row in cursor.fetchall()]
        for table, which in ALERTS.on("= ANY(%s)"):
            cursor.execute(f"DELETE FROM {table} WHERE {which}", [alerts])
            counts[table] = cursor.rowcount
        for table in ("alerts_failureevent", "alerts_push", "alerts_roomactivity", "alerts_alert"):
            cursor.execute(f"DELETE FROM {table} WHERE room_id = %s", [room.pk])
            counts[table] = counts.get(table, 0) + cursor.rowcount
        cursor.execute("DELETE FROM alerts_room WHERE id = %s", [room.pk])
        counts["alerts_room"] = cursor.rowcount
    transaction.on_commit(lambda: feed.publish(frozenset(alerts)), robust=True)
    return counts


def _stop_writers() -> None:
    """Wait for those who write of rooms what they read of them before, and keep them from it until this is done."""
    with connection.cursor() as cursor:
        for lock in sorted({entry.written_under for entry in about_rooms() if entry.written_under is not None}):
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])


def _runs(entry: AboutRoom, org: Org, room_id: str) -> list[dict[str, Any]]:
    """The rows of an upper app's table that are about the room, locked: the columns that others name them by."""
    names = [*dict.fromkeys(["id", *(own for _, _, own in entry.hanging), *([entry.held] if entry.held else [])])]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [RUNS_LOCK])
        cursor.execute(
            f"SELECT {', '.join(names)} FROM {entry.table} WHERE org_id = %s AND {entry.column} = %s FOR UPDATE",
            [org.pk, room_id],
        )
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _delete_runs(entry: AboutRoom, org: Org, room_id: str) -> dict[str, int]:
    rows, counts = _runs(entry, org, room_id), {}
    if entry.held:
        run_ids: list[UUID] = [row[entry.held] for row in rows]
        _refuse_held(LegalHold.objects.filter(org=org, run_id__in=run_ids))
    ids = {"ids": [row["id"] for row in rows]}
    with connection.cursor() as cursor:
        if entry.before:
            cursor.execute(entry.before, ids)
        for table, column, own in entry.hanging:
            named = [row[own] for row in rows]
            cursor.execute(f"DELETE FROM {table} WHERE org_id = %s AND {column} = ANY(%s)", [org.pk, named])
            counts[table] = cursor.rowcount
        cursor.execute(f"DELETE FROM {entry.table} WHERE id = ANY(%(ids)s)", ids)
        counts[entry.table] = cursor.rowcount
    return counts


def _delete_sent(org: Org, needles: Needles) -> dict[str, int]:
    """What senders sent about the room, as it was stored: deliveries, and samples of what was refused."""
    (room_id,) = needles.ids
    counts = {}
    with connection.cursor() as cursor:
        for table, columns in SENT.items():
            named = " OR ".join(f"jsonb_path_exists({column}, %(path)s, %(vars)s::jsonb)" for column in columns)
            values: dict[str, Any] = {"org": org.pk, "path": "$.** ? (@ == $id)", "vars": json.dumps({"id": room_id})}
            cursor.execute(
                f"DELETE FROM {table} WHERE (org_id = %(org)s OR org_id IS NULL) AND ({named})",
                values,
            )
            counts[table] = cursor.rowcount
    return counts


def _show_again(user: User, orgs: Collection[int] | None, now: datetime) -> None:
    """Open alerts that show the person look different now: a new version of each, for those who look at them."""
    shown = Alert.objects.exclude(state=Alert.State.RESOLVED).filter(
        Q(*[(name, user) for name in ON_ALERT], _connector=Q.OR)
    )
    ids = list((shown if orgs is None else shown.filter(org__in=orgs)).values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE alerts_alert SET version = version + 1, updated_at = %s WHERE id = ANY(%s)", [now, ids])
    transaction.on_commit(lambda: feed.publish(frozenset(ids)), robust=True)
