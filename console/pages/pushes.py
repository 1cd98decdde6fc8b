"""Dead pushes: on screen, with their reason, and replayable."""

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from alerts.delivery.outbox import NotDead, replay
from alerts.models import Gate, Push
from alerts.prepared import PreparedQuery
from console.pages.access import looked_after, signed_in, signed_in_user
from console.text.sentences import why_not
from orgs import clock
from orgs.auth import of_orgs
from orgs.models import User

SHOWN = 100
_SAID = (
    *("kind", "reason", "ended_reason", "last_answer", "attempts", "planned_at"),
    *("org__external_id", "org__name", "supervisor__sso_id", "supervisor__name", "room__room_id", "room__label"),
    *("alert__agent__name", "alert__source__name"),  # of an alert of no room
)
ROWS = PreparedQuery(
    lambda: (
        Push._base_manager.select_related("org", "supervisor", "room", "alert__agent", "alert__source")
        .only(*_SAID)
        .order_by("-planned_at")
    )
)


def _dead(me: User) -> QuerySet[Push]:
    """The dead pushes this person looks after. Raises PermissionDenied for those who look after none."""
    return of_orgs(Push.objects.filter(state=Push.State.DEAD), looked_after(me))


@require_safe
@signed_in
def pushes(request: HttpRequest) -> HttpResponse:
    """`/pushes`: what could not be delivered, and why nothing goes out if nothing does."""
    dead = _dead(signed_in_user(request))
    newest = list(dead.order_by("-planned_at").values_list("pk", flat=True)[:SHOWN])
    context = {
        "pushes": [(push, why_not(push.ended_reason)) for push in ROWS.rows(newest)],
        "total": dead.count(),
        "now": clock.now(),
        "stays_until": _stays_until(),
        "page": "pushes",
    }
    return render(request, "pages/pushes.html", context)


def _stays_until() -> datetime | None:
    """Notification-service takes no push back: until then phones go on showing what somebody has; None: it does."""
    return Gate.objects.filter(revokes_off_until__gt=clock.now()).values_list("revokes_off_until", flat=True).first()


@require_POST
@signed_in
def replay_one(request: HttpRequest, push_id: UUID) -> HttpResponse:
    """Put one dead push back in line."""
    me = signed_in_user(request)
    if not _dead(me).filter(pk=push_id).exists():
        raise Http404
    try:
        replay(push_id, me)
    except NotDead:
        messages.info(request, _("This push no longer counts as failed."))
    else:
        messages.success(request, _("The push is in line again."))
    return redirect("pushes")


@require_POST
@signed_in
def replay_all(request: HttpRequest) -> HttpResponse:
    """Put every dead push on the page back in line."""
    me = signed_in_user(request)
    done = 0
    for push_id in _dead(me).order_by("-planned_at").values_list("pk", flat=True)[:SHOWN]:
        try:
            replay(push_id, me)
        except NotDead:
            continue
        done += 1
    messages.success(
        request, ngettext("{n} push is in line again.", "{n} pushes are in line again.", done).format(n=done)
    )
    return redirect("pushes")
