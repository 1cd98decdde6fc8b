"""Who may open a page; how a page answers when they may not."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from orgs.auth import leads
from orgs.models import User

View = Callable[Concatenate[HttpRequest, ...], HttpResponseBase]


def signed_in(view: View) -> View:
    """For people who are signed in; a part asked for by htmx sends the whole page to the log-in."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        back = request.get_full_path() if request.method == "GET" else "/"
        if request.headers.get("HX-Request"):
            back = _page_of(request)
            address = f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}"
            return HttpResponse(status=401, headers={"HX-Redirect": address})
        return redirect_to_login(back)

    return guarded


def _page_of(request: HttpRequest) -> str:
    url = request.headers.get("HX-Current-URL", "/")
    return url if is_ours(request, url) else "/"


def is_ours(request: HttpRequest, url: str) -> bool:
    """Whether this address is a page of this very site: nobody is sent elsewhere."""
    return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())


def sent_back(request: HttpRequest, url: str, otherwise: str) -> HttpResponseRedirect:
    """To an address that the browser named, if it is one of ours; `redirect` would take it for the name of a view."""
    return HttpResponseRedirect(url if is_ours(request, url) else otherwise)


def signed_in_user(request: HttpRequest) -> User:
    """The signed-in person; call it behind `signed_in`."""
    user = request.user
    if not isinstance(user, User):
        raise PermissionDenied
    return user


def may_replay(user: User, org_id: int) -> bool:
    """Specialists and the org's leads look after pushes and people."""
    return org_id in leads(user)
