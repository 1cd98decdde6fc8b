"""Legal holds: set and lifted by a person, under the locks that a purge or an erasure takes too."""

from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.utils.translation import gettext as _

from alerts.actions.book import Book
from alerts.actions.people import ActConflict, ActInvalid, _locked
from alerts.masking import mask_cut
from alerts.models import RUNS_LOCK, Alert, LegalHold
from orgs import clock
from orgs.models import Org, User
from orgs.texts import TEXT_LENGTH


def hold(alert_id: UUID, by: User, reason: str) -> Alert:
    """Nothing of this alert and its room is deleted from now on. Raises ActConflict already_held, ActInvalid."""
    with _locked(alert_id) as (book, alert):
        if _standing(alert) is not None:
            raise ActConflict("already_held", alert)
        LegalHold.objects.create(org_id=alert.org_id, alert=alert, reason=_reason(reason), by=by, at=book.now)
        book.touch(alert)
        return alert


def lift_hold(alert_id: UUID, by: User) -> Alert:
    """What is old may go again. Raises ActConflict not_held."""
    with _locked(alert_id) as (book, alert):
        held = _standing(alert)
        if held is None:
            raise ActConflict("not_held", alert)
        _end(held, by, book)
        return alert


def restore_hold(alert_id: UUID, by: User) -> Alert:
    """Undo of `lift_hold`: the hold that was lifted last stands again, as if it had not been lifted.

    Raises ActConflict nothing_to_undo.
    """
    with _locked(alert_id) as (book, alert):
        last = LegalHold.objects.filter(alert=alert).order_by("-at", "-pk").first()
        if last is None or last.ended_at is None or last.ended_by_id != by.pk:
            raise ActConflict("nothing_to_undo", alert)
        last.ended_at = last.ended_by = None
        last.save()
        book.touch(alert)
        return alert


def _standing(alert: Alert) -> LegalHold | None:
    return LegalHold.objects.filter(alert=alert, ended_at=None).first()


def _end(held: LegalHold, by: User, book: Book) -> None:
    held.ended_at, held.ended_by = book.now, by
    held.save()
    if held.alert is not None:
        book.touch(held.alert)


def _reason(text: str) -> str:
    reason = mask_cut(text.strip(), TEXT_LENGTH)
    if not reason:
        raise ActInvalid("reason", _("Say why, so that others know when it may end."))
    return reason


def hold_run(org: Org, run_id: UUID, by: User, reason: str) -> LegalHold:
    """Nothing of this run is deleted from now on; what was held already stays so. Raises ActInvalid."""
    with transaction.atomic():
        _lock_runs()
        found, _made = LegalHold.objects.get_or_create(
            org=org,
            run_id=run_id,
            ended_at=None,
            defaults={"reason": _reason(reason), "by": by, "at": clock.now()},
        )
        return found


def lift_run_hold(org: Org, run_id: UUID, by: User) -> bool:
    """The run may go again when it is old; whether it was held."""
    now: datetime = clock.now()
    return bool(LegalHold.objects.filter(org=org, run_id=run_id, ended_at=None).update(ended_at=now, ended_by=by))


def _lock_runs() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [RUNS_LOCK])
