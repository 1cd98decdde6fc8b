"""Saved views: filters under a name, one's own and those of one's orgs, with how many alerts each has now."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core import signing
from django.db.models import Count, F, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from alerts.models import Alert
from console.live.filters import TRAITS
from console.pages.access import signed_in, signed_in_user
from console.pages.board import query
from orgs import clock
from orgs.auth import OrgIds, leads, of_orgs, orgs_of
from orgs.models import VIEW_NAME, VIEW_QUERY, Org, SavedView, User

MOST = 50  # views of a person, and of an org
LISTED = 100
IN_MENU = 8  # the others are in the dialog
UNDO_SECONDS = 600
SALT = "console.saved_view"


def seen_views(me: User, org_ids: OrgIds) -> QuerySet[SavedView]:
    """This person's own views, then those shared with the orgs they see, by name."""
    shared = of_orgs(SavedView.objects.filter(org__isnull=False), org_ids)
    found = SavedView.objects.filter(Q(owner=me, org=None) | Q(pk__in=shared.values("pk")))
    return found.select_related("org", "owner").order_by(F("org__name").asc(nulls_first=True), "name", "pk")


@dataclass(frozen=True)
class ViewLink:
    """A view as the menu shows it: with how many alerts it has, and whether the page shows just these."""

    view: SavedView
    n: int
    current: bool


@dataclass(frozen=True)
class ViewMenu:
    """The first views of a person, and whether there are more."""

    links: list[ViewLink]
    more: bool


def menu_views(me: User, org_ids: OrgIds, asked: str | None, now: datetime) -> ViewMenu:
    """The menu's part of the views. `asked`: the filters of the page as a query string, None where it has none."""
    found = list(seen_views(me, org_ids)[: IN_MENU + 1])
    counts = count_views(found[:IN_MENU], me, now)
    current = next((view for view in found if view.query == asked), None)
    return ViewMenu(
        [ViewLink(view, counts[view.pk], view == current) for view in found[:IN_MENU]], len(found) > IN_MENU
    )


def normal_query(text: str) -> str:
    """The query string as the board itself writes it, without where one was in the list."""
    return query.board_filters(QueryDict(text.lstrip("?"))).url(limit=query.GROUP_LIMIT, cursor="").lstrip("?")


@require_http_methods(["GET", "POST"])
@signed_in
def saved_views(request: HttpRequest) -> HttpResponse:
    """`POST /views` saves one. `GET /views`: the list for the dialog; `?part=menu` that of the menu; with `counts=1`
    only how many alerts each view has, as JSON.
    """
    if request.method == "POST":
        return _save(request)
    me, org_ids = signed_in_user(request), request.org_ids  # type: ignore[attr-defined]
    in_menu = request.GET.get("part") == "menu"
    if request.GET.get("counts"):
        found = seen_views(me, org_ids)[: IN_MENU if in_menu else LISTED]
        return JsonResponse({str(pk): n for pk, n in count_views(list(found), me, clock.now()).items()})
    asked = normal_query(request.GET["query"]) if "query" in request.GET else None
    if in_menu:
        return render(request, "pages/frame/_views.html", {"menu": menu_views(me, org_ids, asked, clock.now())})
    return _list(request, list(seen_views(me, org_ids)[:LISTED]), asked or "")


def _list(request: HttpRequest, found: list[SavedView], asked: str) -> HttpResponse:
    me = signed_in_user(request)
    led, counts = leads(me), count_views(found, me, clock.now())
    rows = [
        {"view": view, "n": counts[view.pk], "may": _may_change(view, me, led), "current": view.query == asked}
        for view in found
    ]
    return render(request, "pages/board/_saved.html", {"rows": rows, "asked": asked, "led": orgs_of(led)})


def _may_change(view: SavedView, me: User, led: Any) -> bool:
    return view.owner_id == me.pk if view.org_id is None else view.org_id in led


def count_views(found: list[SavedView], me: User, now: datetime) -> dict[UUID, int]:
    """How many alerts each view has on the board, in one query; of all tabs, those that are open and not put aside."""
    figures = {f"n{at}": Count("pk", filter=_condition(view, me, now)) for at, view in enumerate(found)}
    if not figures:
        return {}
    alerts = Alert.objects.filter(~Q(state=Alert.State.RESOLVED) | query.in_groups(now)["resolved"])
    counts = alerts.aggregate(**figures)
    return {view.pk: counts[f"n{at}"] for at, view in enumerate(found)}


def _condition(view: SavedView, me: User, now: datetime) -> Q:
    filters, groups = query.board_filters(QueryDict(view.query)), query.in_groups(now)
    where = groups["waiting"] | groups["on-it"] if filters.tab == "all" else groups[filters.tab]
    for name, value in query.asked(filters, me).items():
        where &= TRAITS[name].where(value)
    return where


# --- acts ------------------------------------------------------------------------------------------------------------


def _save(request: HttpRequest) -> HttpResponse:
    me, name = signed_in_user(request), _name(request)
    shared, asked = request.POST.get("org", ""), normal_query(request.POST.get("query", ""))
    org = _led_org(me, shared) if shared else None
    if not name or len(asked) > VIEW_QUERY:
        return _refused(_("A view needs a name, and filters that are not too long."))
    return _keep(SavedView(owner=me, org=org, name=name, query=asked), _("“{name}” is saved."))


def _keep(view: SavedView, said: str) -> HttpResponse:
    theirs = (
        SavedView.objects.filter(org=view.org) if view.org else SavedView.objects.filter(owner=view.owner, org=None)
    )
    if theirs.count() >= MOST:
        return _refused(_("There are {n} saved views already. Delete one first.").format(n=MOST))
    view.save(force_insert=True)
    return _answer(said.format(name=view.name))


def _name(request: HttpRequest) -> str:
    return " ".join(request.POST.get("name", "").split())[:VIEW_NAME]


def _led_org(me: User, external_id: str) -> Org:
    """The org to share with. Raises Http404 unless this person leads it."""
    found = of_orgs(Org.objects.filter(external_id=external_id), leads(me), "pk").first()
    if found is None:
        raise Http404
    return found


def _changeable(request: HttpRequest, view_id: UUID) -> SavedView:
    """Raises Http404 for a view that this person may not change, as for none."""
    me = signed_in_user(request)
    found = seen_views(me, request.org_ids).filter(pk=view_id).first()  # type: ignore[attr-defined]
    if found is None or not _may_change(found, me, leads(me)):
        raise Http404
    return found


@require_POST
@signed_in
def rename_view(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """`POST /views/<id>/rename`: `name`; its undo names the old one in the address."""
    view = _changeable(request, view_id)
    name = _name(request) or " ".join(request.GET.get("name", "").split())[:VIEW_NAME]
    if not name:
        return _refused(_("A view needs a name."))
    was, view.name = view.name, name
    view.save(update_fields=["name"])
    undo = f"{reverse('view_rename', args=[view_id])}?{urlencode({'name': was})}"
    return _answer(_("It is called “{name}” now.").format(name=name), undo)


@require_POST
@signed_in
def delete_view(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """`POST /views/<id>/delete`; its undo brings all that the view was, signed, for 10 min."""
    view = _changeable(request, view_id)
    org = view.org.external_id if view.org else ""
    by = {"by": signed_in_user(request).pk, "owner": view.owner_id}
    content = {"id": str(view_id), "name": view.name, "query": view.query, "org": org, **by}
    token = signing.dumps(content, salt=SALT, compress=True)
    view.delete()
    undo = f"{reverse('view_restore')}?{urlencode({'view': token})}"
    return _answer(_("“{name}” is deleted.").format(name=view.name), undo)


@require_POST
@signed_in
def restore_view(request: HttpRequest) -> HttpResponse:
    """`POST /views/restore?view=`: a view that this person deleted, as it was."""
    me = signed_in_user(request)
    try:
        content = signing.loads(request.GET.get("view", ""), salt=SALT, max_age=UNDO_SECONDS)
    except signing.BadSignature:
        content = {}
    if content.get("by") != me.pk or SavedView.objects.filter(pk=content["id"]).exists():
        return _refused(_("This can no longer be undone."))
    org = _led_org(me, content["org"]) if content["org"] else None
    owner = User.objects.filter(pk=content["owner"]).first()
    view = SavedView(pk=content["id"], owner=owner, org=org, name=content["name"], query=content["query"])
    return _keep(view, _("“{name}” is back."))


def _answer(said: str, undo: str = "") -> HttpResponse:
    """Nothing but a toast; the page asks for the list again."""
    toast = {"text": said, "undo": undo, "label": _("Undo") if undo else ""}
    return HttpResponse(headers={"HX-Trigger": json.dumps({"lm:toast": toast, "lm:views": ""})})


def _refused(said: str) -> HttpResponse:
    toast = {"text": said, "undo": "", "label": ""}
    return HttpResponse(status=409, headers={"HX-Trigger": json.dumps({"lm:toast": toast})})
