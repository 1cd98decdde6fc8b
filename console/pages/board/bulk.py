"""One act on many alerts: each by itself, as if somebody had done it on its row, and what became of each."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from alerts import actions
from alerts.models import Alert
from console.live.filters import holder_of
from console.live.rows import OPEN_RANK, name_of
from console.pages.access import signed_in, signed_in_user
from console.pages.alert.view import snooze_until
from console.pages.board import query
from console.pages.board.query import BoardFilters
from console.text.wording import read_by
from orgs import clock
from orgs.auth import find_supervisor
from orgs.models import Assignment, User

AT_ONCE = 50  # alerts of one request
SELECTED_MOST = 1000
PEOPLE_MOST = 50
Forms = tuple[str, str]  # of a text: for one and for more


Act = Callable[[Alert, str], Alert]  # with the mark that was sent


@require_http_methods(["GET", "POST"])
@signed_in
def bulk(request: HttpRequest) -> HttpResponse:
    """`GET /bulk?<filters>`: the ids that the filters leave, the severest first. `POST /bulk`: `verb` on each `id`."""
    with read_by(signed_in_user(request)):
        return _selectable(request) if request.method == "GET" else _act_on_each(request)


def _selectable(request: HttpRequest) -> JsonResponse:
    filters, now = query.folding(query.board_filters(request.GET)), clock.now()
    found = query.matching_alerts(filters, signed_in_user(request)).filter(_in_list(filters, now))
    ids = found.order_by(OPEN_RANK, "pk").values_list("pk", flat=True)[:SELECTED_MOST]
    return JsonResponse({"ids": list(ids), "total": found.count(), "most": SELECTED_MOST})


def _in_list(filters: BoardFilters, now: datetime) -> Q:
    """The open alerts that the tab lists; what is snoozed is put aside, and so is not among all."""
    groups = query.in_groups(now)
    if filters.tab == "all":
        return groups["waiting"] | groups["on-it"]
    return groups[filters.tab] if filters.tab in query.OPEN_GROUPS else Q(pk__in=[])


# --- acting ----------------------------------------------------------------------------------------------------------


def _act_on_each(request: HttpRequest) -> JsonResponse:
    """`done`: id and mark of each alert that changed; `refused`: which did not, and why. An alert out of scope is in
    neither.
    """
    me, sent = signed_in_user(request), _sent(request)
    if len(sent) > AT_ONCE:
        return JsonResponse({"said": _("Too many alerts at once.")}, status=422)
    try:
        act = _act_of(request, me)
    except actions.ActInvalid as invalid:
        return JsonResponse({"said": invalid.message}, status=422)
    found = Alert.objects.filter(pk__in=sent).select_related("room", "source")
    done, refused = [], []
    for alert in sorted(found, key=lambda alert: list(sent).index(alert.pk)):
        before = actions.mark_of(alert, me)
        mark, why = _tried(act, alert, sent[alert.pk], me)
        if not why and mark == before:
            why = _both(lambda n: ngettext("{n} was so already", "{n} were so already", n))
        if why:
            refused.append({"id": alert.pk, "room": name_of(alert), "why": why})
        else:
            done.append([alert.pk, mark])
    return JsonResponse({"done": done, "refused": refused})


def _sent(request: HttpRequest) -> dict[UUID, str]:
    """The alerts that were sent, each with its mark: of an undo, which act is taken back."""
    ids, marks = request.POST.getlist("id"), request.POST.getlist("mark")
    pairs = zip(ids, marks + [""] * len(ids), strict=False)
    return {UUID(text): mark for text, mark in pairs if _is_uuid(text)}


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _tried(act: Act, alert: Alert, mark: str, me: User) -> tuple[str, Forms | None]:
    """Do it: the mark of this person's newest act then, and why it could not be done."""
    try:
        return actions.mark_of(act(alert, mark), me), None
    except actions.ActConflict as conflict:
        return "", _conflict_forms(conflict)
    except actions.ActInvalid as invalid:
        return "", (f"{{n}}: {invalid.message}",) * 2


def _conflict_forms(conflict: actions.ActConflict) -> Forms:
    if conflict.code == "already_resolved":
        return _both(lambda n: ngettext("{n} was resolved already", "{n} were resolved already", n))
    holder = holder_of(conflict.alert)
    if conflict.code == "already_taken" and holder:
        return _both(
            lambda n: ngettext("{n} was already taken by {name}", "{n} were already taken by {name}", n),
            name=str(holder),
        )
    if conflict.code == "already_taken":
        return _both(lambda n: ngettext("{n} was already taken", "{n} were already taken", n))
    return _both(lambda n: ngettext("{n} can no longer be undone", "{n} can no longer be undone", n))


def _both(counted: Callable[[int], str], name: str = "") -> Forms:
    """Both forms of a counted text, for the script that counts. What is counted stands in a call of ngettext itself:
    makemessages finds texts nowhere else.
    """
    one, more = counted(1), counted(2)
    return (one.replace("{name}", name), more.replace("{name}", name)) if name else (one, more)


def _act_of(request: HttpRequest, me: User) -> Act:
    """What is to be done with each alert. Raises Http404 for an unknown verb, ActInvalid for what makes no sense."""
    match request.POST.get("verb", ""):
        case "take":
            return lambda alert, mark: actions.take(alert.pk, me)
        case "resolve":
            return lambda alert, mark: actions.resolve(alert.pk, me)
        case "undo":
            return lambda alert, mark: actions.undo(alert.pk, me, mark or "none")
        case "snooze":
            until = snooze_until(request.POST.get("until", ""), clock.now())
            return lambda alert, mark: actions.snooze(alert.pk, me, until)
        case "assign":
            return partial(_assign, request, me)
    raise Http404


def _assign(request: HttpRequest, me: User, alert: Alert, mark: str) -> Alert:
    specialists = alert.source_id is not None or request.org_ids.every  # type: ignore[attr-defined]
    to = find_supervisor(request.POST.get("sso_id", ""), alert.org_id, specialists=specialists)
    if to is None:
        raise actions.ActInvalid("sso_id", _("this person does not back up the agents of this org"))
    return actions.assign(alert.pk, me, to)


@require_POST
@signed_in
def bulk_people(request: HttpRequest) -> HttpResponse:
    """`POST /bulk/people`: to whom the alerts of these `id`s can be given, as items of a menu; me first."""
    me, sent = signed_in_user(request), list(_sent(request))[:SELECTED_MOST]
    orgs = Alert.objects.filter(pk__in=sent).values("org")
    held = Assignment.objects.filter(org__in=orgs, user__is_active=True).values("user")
    mine = ExpressionWrapper(Q(pk=me.pk), output_field=BooleanField())
    people = User.objects.filter(pk__in=held).order_by(mine.desc(), "name")[:PEOPLE_MOST]
    return render(request, "pages/board/_select_people.html", {"people": people})


def select_words() -> dict[str, str | Forms]:
    """The texts of the script that selects; a counted one in both its forms."""
    return {
        "selected": _both(lambda n: ngettext("{n} selected", "{n} selected", n)),
        "all": _both(lambda n: ngettext("Select the one alert of this list", "Select all {n} of this list", n)),
        "capped": _("The {n} most urgent of {total} are selected: no more at once."),
        "working": _("{n} of {total}"),
        "take": _both(lambda n: ngettext("{n} taken", "{n} taken", n)),
        "resolve": _both(lambda n: ngettext("{n} resolved", "{n} resolved", n)),
        "snooze": _both(lambda n: ngettext("{n} snoozed", "{n} snoozed", n)),
        "assign": _both(lambda n: ngettext("{n} given to {name}", "{n} given to {name}", n)),
        "undo": _both(lambda n: ngettext("{n} is as it was before", "{n} are as they were before", n)),
        "rooms": _("{why}: {rooms}"),
        "more": _("and {n} more"),
        "left": _both(
            lambda n: ngettext("{n} is not done, and still selected", "{n} are not done, and still selected", n)
        ),
    }
