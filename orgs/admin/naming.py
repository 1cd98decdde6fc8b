"""How the admin names a row where it is chosen, filtered by or listed: a specialist sees all orgs, and several orgs,
people and roles bear one name.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orgs.models import Org, Source, SupervisorRole, User


def told_apart(row: Any) -> str:
    """The name of a row with what tells it from others of that name.

    >>> told_apart(Org(name="Toko Melati", external_id="melati-2"))
    'Toko Melati (melati-2)'
    """
    match row:
        case Org(name=name, external_id=known):
            return name if name == known else f"{name} ({known})"
        case User(name=name, sso_id=known) if name and name != known:
            return f"{row} ({known})"
        case SupervisorRole(org=org):
            return f"{row} · {told_apart(org)}"
        case Source(org=org):
            return f"{row} · {told_apart(org) if org else _('the platform')}"
    return str(row)


class NamedOptions(AutocompleteJsonView):
    """What is found in a field that is searched."""

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        return super().serialize_result(obj, to_field_name) | {"text": told_apart(obj)}


def find_options(request: HttpRequest) -> Any:
    """In Django's place at `/admin/autocomplete/`."""
    return NamedOptions.as_view(admin_site=admin.site)(request)


class OrgFilter(admin.RelatedFieldListFilter):
    """The orgs beside a list."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [(org.pk, told_apart(org)) for org in Org.objects.order_by("name", "external_id")]


class OfNamedOrg:
    """For admins of what belongs to an org: `its_org` in lists and on pages."""

    @admin.display(description=gettext_lazy("org"), ordering="org__name", empty_value="–")
    def its_org(self, obj: Any) -> str:
        return told_apart(obj.org) if obj.org else ""
