"""What the admin pages of this project share."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from orgs import history
from orgs.admin.naming import told_apart

SHOWN = 500  # changes on a history page
ANY_KEY = 2**31 - 1
CHECKBOX = '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">'


class ReferenceSelect(AutocompleteSelect):
    """Shows a form again without what no reference can be; Django would ask the database for it."""

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        return super().optgroups(name, [one for one in value if _can_name(self.field.related_model, one)], attr)


class References:
    """For admins and inlines: their references that are searched for are of the kind above."""

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        searched = db_field.name in self.get_autocomplete_fields(request)  # type: ignore[attr-defined]
        if searched:
            kwargs.setdefault("widget", ReferenceSelect(db_field, self.admin_site))  # type: ignore[attr-defined]
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]
        if searched:
            field.label_from_instance = told_apart
        return field


class KnownKeys(References, admin.ModelAdmin):
    """What no reference or row can be is asked nowhere of the database."""

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the address suggests for a new row; a reference that cannot be one is left out."""
        suggested: dict[str, Any] = super().get_changeform_initial_data(request)
        related = {field.name: field.related_model for field in self.opts.get_fields()}
        return {name: value for name, value in suggested.items() if _can_name(related.get(name), value)}

    def response_action(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:  # type: ignore[override]
        if not _can_name(self.model, request.POST.getlist(ACTION_CHECKBOX_NAME)):
            raise BadRequest("no row has such a key")
        return super().response_action(request, queryset)


class Listed(ChangeList):
    """Puts a row's address together from its two ends: Django looks for its route anew for each row."""

    @cached_property
    def _ends(self) -> list[str]:
        return super().url_for_result(self.model(pk=ANY_KEY)).rsplit(str(ANY_KEY), 1)

    def url_for_result(self, result: Any) -> str:
        return str(quote(getattr(result, self.pk_attname))).join(self._ends)


class TrackedAdmin(KnownKeys):
    """Its History page shows what the database recorded: changes by the shell and deletions too."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Listed

    def action_checkbox(self, obj: Any) -> SafeString:
        """Django's, without a template for each row: a fifth of a list's time."""
        label = format_html(_("Select this object for an action - {}"), str(obj))
        return format_html(CHECKBOX, ACTION_CHECKBOX_NAME, obj.pk, label)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        instance = self.found(request, unquote(object_id), self.has_view_permission)
        return self.page(
            request,
            "admin/orgs/history.html",
            title=_("History of %(name)s") % {"name": instance},
            changes=history.of(instance, SHOWN),
            shown=SHOWN,
            object=instance,
        )

    def page(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        """A page of our own in the admin's frame."""
        frame = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "module_name": self.opts.verbose_name_plural,
        }
        return TemplateResponse(request, template, frame | context)

    def found(self, request: HttpRequest, pk: int | str, may: Callable[[HttpRequest, Any], bool] | None = None) -> Any:
        """The row that a page of our own is about, if it may be changed (or what `may` asks).

        Raises Http404, PermissionDenied.
        """
        instance = self.get_object(request, str(pk))
        if instance is None:
            raise Http404
        if not (may or self.has_change_permission)(request, instance):
            raise PermissionDenied
        return instance

    def confirm(self, request: HttpRequest, instance: Any, act: Callable[[], None], **texts: Any) -> HttpResponse:
        """GET asks (`title`, `sentence`, `button`), POST acts; then back to the row."""
        back = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        if request.method == "POST":
            act()
            return HttpResponseRedirect(reverse(back, args=[instance.pk]))
        return self.page(request, "admin/orgs/confirm.html", object=instance, **texts)


def pk_of(object_id: str) -> int:
    """The row an address of the admin names; 0, which none has, where it cannot be one."""
    return int(object_id) if object_id.isascii() and object_id.isdigit() and len(object_id) < 19 else 0


def _can_name(related: Any, value: Any) -> bool:
    """Whether a value, or each of a list, can be the key of this model; of no model: anything."""
    try:
        for one in value if related and isinstance(value, list) else [value]:
            _ = related and related._meta.pk.to_python(one)
    except ValidationError:
        return False
    return True


class LabelledFormSet(BaseInlineFormSet):
    """Names every cell for screen readers: a table of inputs has headings but no labels."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        for field in form.fields.values():
            widget = getattr(field.widget, "widget", field.widget)
            widget.attrs.setdefault("aria-label", field.label)


class Rows(References, admin.TabularInline):
    """Rows of another table on the page of what they belong to."""

    formset = LabelledFormSet
    extra = 0


class WholeForm(forms.ModelForm):
    """Checks what is unique within an org also where the org stands there to be read alone.

    No Meta: its fields ask the database, which needs a scope; the admin makes the form within a request.
    """

    def _get_validation_exclusions(self) -> set[str]:
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        known = self.instance.pk or self.instance.org_id  # on a page that adds one the field may be there
        return excluded - {"org"} if known else excluded


class OfOrg:
    """For inlines below an org (or one of its roles): choices come from that org only."""

    limited = ("agent", "role", "agents")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.limited:
            kwargs["queryset"] = db_field.related_model.objects.filter(org_id=self.org_of_page(request))
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]

    def org_of_page(self, request: HttpRequest) -> Any:
        """Id of the org whose page this is; None on an "Add" page."""
        match = request.resolver_match
        object_id = match.kwargs.get("object_id") if match else None
        return unquote(object_id) if object_id else None
