"""Who asked for it is pushed 15 min before their duty begins, and when their duty of the next 24 h has changed.

Each person's row says when it is looked at next and is locked meanwhile, so that any number of sweeps tell once. A
change is found by comparing duty with what was kept of it, wherever it was made; what one made oneself is no news.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from alerts import feed
from alerts.delivery.duty import (
    AHEAD,
    CHANGED,
    EARLY,
    LATE,
    STARTS,
    duty_differs,
    known_parts,
    not_now,
    start_id,
)
from alerts.delivery.message import TTL_SECONDS, duty_body, idempotency_key
from alerts.faults import contained
from alerts.models import Push, new_id
from orgs.duty.roster import Roster
from orgs.duty.starts import LASTS, DutyStart, duty_ahead, duty_starts
from orgs.duty_changes import changed_own_duty
from orgs.models import DutyReminder, Severity
from orgs.rosters import rosters_of

AT_ONCE = 200  # people of a sweep
LOOKS_EVERY = timedelta(seconds=60)
SETTLES = timedelta(seconds=60)  # several changes in a row are one, and one that is taken back is none
KEPT_BEYOND = timedelta(minutes=10)  # of the next 24 h, so that what is kept is not written at each look


def sweep_duty_pushes(now: datetime) -> int:
    """Look at the duty of those who are due, and plan what they asked for; how many pushes are planned.

    Locks their DutyReminder rows; those that others hold are theirs. Run it with the tenant scope disabled.
    """
    with transaction.atomic():
        due = DutyReminder.objects.filter(due_at__lte=now).select_related("org", "user").order_by("due_at")
        rows = list(due.select_for_update(of=("self",), skip_locked=True)[:AT_ONCE])
        if not rows:
            return 0
        rosters = rosters_of({row.org_id for row in rows}, now)
        pushes = [push for row in rows for push in _look(row, rosters[row.org_id], now)]
        Push.objects.bulk_create(pushes, ignore_conflicts=True)
        DutyReminder.objects.bulk_update(rows, ["due_at", "known", "known_until", "differs_since"])
        if pushes:
            transaction.on_commit(feed.kick, robust=True)
        return len(pushes)


def _look(row: DutyReminder, roster: Roster, now: datetime) -> list[Push]:
    """What one person is to be told now. One whose duty cannot be read leaves the others looked at."""
    row.due_at = now + LOOKS_EVERY
    with contained("duty_not_told", org=row.org_id, person=row.user_id), transaction.atomic():
        starts = duty_starts(roster, row.user_id, max(now - LATE, row.asked_at), now + EARLY + LOOKS_EVERY, now)
        row.due_at = min([row.due_at, *(one.begins - EARLY for one in starts if one.begins - EARLY > now)])
        in_peace = bool(not_now(roster, row.user_id, now))
        changed = _has_changed(row, roster, now, in_peace)
        if in_peace or (row.differs_since is not None and not changed):
            return []  # soon: a start is told with the change, if there is one
        begun = _untold(row, [one for one in starts if one.begins - EARLY <= now])
        if not changed:
            return [_start(row, one, roster, now) for one in begun]
        _supersede(row, now)
        return [_change(row, roster, now), *(_covered(_start(row, one, roster, now), now) for one in begun)]
    return []


def _has_changed(row: DutyReminder, roster: Roster, now: datetime, in_peace: bool) -> bool:
    """Whether to tell so now; keeps what duty is, unless it differs and nobody is told yet."""
    differs = duty_differs(roster, row, now)
    theirs = differs and _is_their_own(row)
    if differs and not theirs:
        row.differs_since = row.differs_since or now
        if in_peace or now - row.differs_since < SETTLES:
            return False
        _keep(row, roster, now)
        return True
    row.differs_since = None
    if theirs or row.known_until is None or row.known is None or row.known_until < now + AHEAD:
        _keep(row, roster, now)
    return False


def _is_their_own(row: DutyReminder) -> bool:
    """Whether the person changed it, and nobody else since it was kept: that is no news."""
    assert row.known_until is not None
    return changed_own_duty(row.org_id, row.user_id, row.known_until - AHEAD - KEPT_BEYOND)


def _keep(row: DutyReminder, roster: Roster, now: datetime) -> None:
    row.known_until, row.differs_since = now + AHEAD + KEPT_BEYOND, None
    row.known = known_parts(roster, row.user_id, now, row.known_until)


def _untold(row: DutyReminder, starts: list[DutyStart]) -> list[DutyStart]:
    ids = {start_id(row.org_id, row.user_id, one.begins): one for one in starts}
    told = set(Push.objects.filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()
    return [one for pk, one in ids.items() if pk not in told]


def _supersede(row: DutyReminder, now: datetime) -> None:
    """What waits to be sent says what is no longer true."""
    waits = Push.objects.filter(org=row.org_id, supervisor=row.user_id, kind=Push.Kind.DUTY, state=Push.State.PENDING)
    waits.update(state=Push.State.CANCELLED, ended_reason="superseded", ended_at=now, next_attempt_at=None)


def _start(row: DutyReminder, start: DutyStart, roster: Roster, now: datetime) -> Push:
    ttl = max(int((start.begins + LATE - now).total_seconds()), 1)
    body = duty_body(org=row.org, sso_id=row.user.sso_id, locale=row.user.locale, about=start, ttl_seconds=ttl, now=now)
    return _push(row, start_id(row.org_id, row.user_id, start.begins), STARTS, body, roster, now)


def _change(row: DutyReminder, roster: Roster, now: datetime) -> Push:
    ahead = duty_ahead(roster, row.user_id, now, now + AHEAD + LASTS)
    parts = [part for part in ahead if part.begins < now + AHEAD]
    body = duty_body(
        org=row.org, sso_id=row.user.sso_id, locale=row.user.locale, about=parts, ttl_seconds=TTL_SECONDS, now=now
    )
    return _push(row, new_id(), CHANGED, body, roster, now)


def _push(row: DutyReminder, pk: UUID, reason: str, body: str, roster: Roster, now: datetime) -> Push:
    tiers = [one.tier for one in roster.shifts if one.user_id == row.user_id and not one.fallback]
    return Push(
        id=pk,
        org=row.org,
        supervisor=row.user,
        kind=Push.Kind.DUTY,
        tier=min(tiers, default=1),
        reason=reason,
        severity=Severity.INFO,
        body=body,
        idempotency_key=idempotency_key(pk),
        planned_at=now,
        next_attempt_at=now,
    )


def _covered(push: Push, now: datetime) -> Push:
    """The start is in what is told of the change: one push is enough."""
    push.state, push.ended_reason, push.ended_at, push.next_attempt_at = Push.State.SKIPPED, "superseded", now, None
    return push
