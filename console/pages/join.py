"""The link an org gives to somebody it has named: whether they will stand behind its agents is theirs to say."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from django_scopes import scopes_disabled

from console.pages.access import signed_in, signed_in_user
from orgs.models import Assignment
from orgs.others import confirm


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def join(request: HttpRequest, org_id: str) -> HttpResponse:
    """`/join/<external id>`: GET asks, POST says yes. The 404 of what does not exist, unless this org named me."""
    me = signed_in_user(request)
    with scopes_disabled():  # I see nothing of this org yet
        named = Assignment.every.filter(user=me, org__external_id=org_id)
        held = named.select_related("org", "role").order_by("-pending", "role__tier").first()
    if held is None:
        raise Http404
    if not held.pending:
        return redirect("board")
    if request.method != "POST":
        return render(request, "pages/join.html", {"org": held.org, "role": held.role.name, "page": "join"})
    confirm(me, held.org)
    messages.success(request, _("From now on you see the alerts of %(org)s.") % {"org": held.org})
    return redirect("board")
