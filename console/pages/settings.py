"""`/settings`: what this person may set, and who sets the rest."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console.pages.access import orgs_seen, signed_in, signed_in_user
from orgs.auth import leads
from orgs.models import Assignment, Membership, Org


@require_safe
@signed_in
def settings_page(request: HttpRequest) -> HttpResponse:
    """`/settings`: for everybody what is theirs, for leads what is of their orgs, for specialists the admin too."""
    me = signed_in_user(request)
    led, orgs = leads(me), orgs_seen(request)
    others = [org for org in orgs if org.pk not in led]
    context: dict[str, Any] = {
        "page": "settings",
        "led": [org for org in orgs if org.pk in led],
        "of_others": leads_of_orgs(others),
        "on_duty": Assignment.objects.filter(user=me).exists(),
    }
    return render(request, "pages/settings.html", context)


def leads_of_orgs(orgs: list[Org]) -> list[tuple[Org, list[str]]]:
    """Each of these orgs with the names of the people who lead it; a lead without a role in it sees nothing of it."""
    rows = Membership.objects.filter(org__in=orgs, role=Membership.Role.LEAD, user__is_active=True)
    seen = set(Assignment.objects.filter(org__in=orgs, user__isnull=False).values_list("org_id", "user_id"))
    named = [(row.org_id, str(row.user)) for row in rows.select_related("user") if (row.org_id, row.user_id) in seen]
    return [(org, sorted(name for org_id, name in named if org_id == org.pk)) for org in orgs]
