"""Disagreements about assignments: what the sync overruled, and ids that two people claim."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils.translation import gettext as _

from orgs.history import tracked
from orgs.models import Assignment, Org, SupervisorRole, User

SYNC = Assignment.Provenance.SYNC
REMOVED_SHOWN = timedelta(days=7)
SHARED = Q(shared_id=True)
OVERRULED = ~Q(overruled="")


def with_conflicts(assignments: QuerySet[Assignment]) -> QuerySet[Any]:
    """Each with `shared_id`: another person of the org has the same external_user_id; and with `overruled`: the
    provenance of whoever said another external_user_id last, before the sync said this one; empty: nobody did.
    """
    claims = Assignment.objects.filter(org=OuterRef("org"), external_user_id=OuterRef("external_user_id"))
    last_word = tracked()[Assignment].objects.filter(pgh_obj=OuterRef("pk")).exclude(provenance=SYNC)  # type: ignore[attr-defined]
    newest = last_word.order_by("-pgh_id")
    differs = Q(provenance=SYNC, said__gt="") & ~Q(said=F("external_user_id"))
    return assignments.annotate(
        shared_id=~Q(external_user_id="") & Exists(claims.exclude(user=OuterRef("user"))),
        said=Subquery(newest.values("external_user_id")[:1]),
        overruled=Case(
            When(differs, then=Subquery(newest.values("provenance")[:1])),
            default=Value(""),
            output_field=CharField(),
        ),
    )


def sentences(assignment: Any) -> list[str]:
    """Why an assignment of `with_conflicts` is in dispute."""
    said = []
    if assignment.shared_id:
        said.append(_("Somebody else has the chat id %(id)s too") % {"id": assignment.external_user_id})
    if assignment.overruled:
        said.append(_("Sync changed the chat id; before: %(who)s") % {"who": _word(assignment.overruled)})
    return said


@dataclass(frozen=True, slots=True)
class Dispute:
    """An assignment in dispute, and why, in sentences; `removed_at`: when the sync removed it."""

    user: User
    role: SupervisorRole
    org: Org
    said: list[str]
    removed_at: datetime | None = None


def in_dispute() -> QuerySet[Any]:
    """The assignments of which two say different things."""
    return with_conflicts(Assignment.objects.filter(user__is_active=True)).filter(SHARED | OVERRULED)


def removed_by_sync(now: datetime) -> QuerySet[Any]:
    """What a sync removed in the last 7 days, though somebody else had said it, and nobody put back: its last state."""
    back = Assignment.every.filter(role=OuterRef("role"), user=OuterRef("user"))
    events: Any = tracked()[Assignment]
    removed: QuerySet[Any] = events.objects.filter(
        ~Exists(back),
        pgh_label="delete",
        pending=False,  # people who never agreed are not named here
        pgh_created_at__gt=now - REMOVED_SHOWN,
        pgh_context__metadata__has_key="sync",
    )
    return removed.exclude(provenance=SYNC)


def disputes(orgs: Sequence[int], now: datetime) -> list[Dispute]:
    """Of these orgs, those that are gone last. Two queries."""
    listed = in_dispute().filter(org__in=orgs).select_related("user", "role", "org")
    ordered = listed.order_by("org__name", "user__name", "pk")
    found = [Dispute(one.user, one.role, one.org, sentences(one)) for one in ordered]
    removed = removed_by_sync(now).filter(org__in=orgs).select_related("user", "role", "org")
    for gone in removed.order_by("-pgh_created_at", "-pgh_id"):
        said = _("Sync removed it; before: %(who)s") % {"who": _word(gone.provenance)}
        found.append(Dispute(gone.user, gone.role, gone.org, [said], gone.pgh_created_at))
    return found


def _word(provenance: str) -> str:
    return str(Assignment.Provenance(provenance).label)
