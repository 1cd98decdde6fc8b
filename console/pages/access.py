"""Who may open a page; how a page answers when they may not."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from orgs.auth import OrgIds, leads, orgs_of
from orgs.models import Org, User

View = Callable[Concatenate[HttpRequest, ...], HttpResponseBase]


def signed_in(view: View) -> View:
    """For people who are signed in; when htmx asks for a part, the whole page goes to the log-in."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if request.headers.get("HX-Request"):
            page = request.headers.get("HX-Current-URL", "/")
            query = urlencode({"next": page if is_ours(request, page) else "/"})
            return HttpResponse(status=401, headers={"HX-Redirect": f"{resolve_url(settings.LOGIN_URL)}?{query}"})
        return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")

    return guarded


def is_ours(request: HttpRequest, url: str) -> bool:
    """Whether this address is a page of this site: we send nobody elsewhere."""
    return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())


def sent_back(request: HttpRequest, url: str, otherwise: str) -> HttpResponseRedirect:
    """Redirect to an address that the browser named, if it is ours; `redirect` would read it as the name of a view."""
    return HttpResponseRedirect(url if is_ours(request, url) else otherwise)


def signed_in_user(request: HttpRequest) -> User:
    """The signed-in person; call it behind `signed_in`."""
    user = request.user
    if not isinstance(user, User):
        raise PermissionDenied
    return user


def orgs_seen(request: HttpRequest) -> list[Org]:
    """The orgs that the reader of this page sees, by name; its frame takes them from here."""
    request.orgs = orgs_of(request.org_ids)  # type: ignore[attr-defined]
    return request.orgs  # type: ignore[attr-defined]


def no_org_page(request: HttpRequest, title: str, page: str) -> HttpResponse:
    """What a page about an org answers while there is none: what to do first."""
    return render(request, "pages/no_org.html", {"title": title, "page": page})


def looked_after(me: User) -> OrgIds:
    """The orgs whose sources and pushes this person looks after. Raises PermissionDenied for none."""
    led = leads(me)
    if not led:
        raise PermissionDenied
    return led
