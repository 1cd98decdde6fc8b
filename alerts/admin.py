"""Alerts and pushes for support: to look at, never to change. What acts on them is the console."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from alerts import actions
from alerts.models import Alert, LegalHold, Push
from orgs.admin.base import KnownKeys
from orgs.admin.naming import OfNamedOrg, OrgFilter

PAGED = 2_000  # rows of a list that can be turned to; beyond them a filter finds more


class FirstRows(Paginator):
    """Counts as far as one can turn: of a million rows the number alone would take longer than the page."""

    @cached_property
    def count(self) -> int:
        return int(self.object_list[:PAGED].count())  # type: ignore[attr-defined]


class ReadOnlyAdmin(OfNamedOrg, admin.ModelAdmin):
    actions = None
    paginator = FirstRows
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_delete_permission = has_change_permission


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("id", "its_org", "room", "agent", "severity", "state", "last_event_at")
    list_filter = ("state", "severity", ("org", OrgFilter))
    list_select_related = ("org", "room", "agent")
    search_fields = ("=id", "=room__room_id", "agent__name")
    ordering = ("-last_event_at",)


@admin.register(Push)
class PushAdmin(ReadOnlyAdmin):
    list_display = ("id", "its_org", "supervisor", "kind", "reason", "state", "ended_reason", "attempts", "planned_at")
    list_filter = ("state", "kind", ("org", OrgFilter))  # not by reason: what there is to choose is read from every row
    list_select_related = ("org", "supervisor")
    search_fields = ("=id", "=alert__id", "=supervisor__sso_id")
    ordering = ("-planned_at",)
    exclude = ("body", "lease_token")


class RunHoldForm(forms.ModelForm):
    """A run is named by its id, which we may not know yet. No Meta: the admin makes the form within a request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "run_id" in self.fields:
            self.fields["run_id"].required = True


@admin.register(LegalHold)
class LegalHoldAdmin(KnownKeys, ReadOnlyAdmin):
    """Alerts are held on their own page, runs here; both are lifted here too."""

    form = RunHoldForm
    fields = ("org", "run_id", "reason")
    list_display = ("__str__", "its_org", "reason", "by", "at", "ended_at", "ended_by")
    list_filter = (("ended_at", admin.EmptyFieldListFilter), ("org", OrgFilter))
    list_select_related = ("org", "by", "ended_by")
    search_fields = ("=run_id", "=alert__id", "reason")
    autocomplete_fields = ("org",)
    ordering = ("-at",)
    actions = ("lift_selected",)  # type: ignore[assignment]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.add_legalhold")

    def save_model(self, request: HttpRequest, obj: LegalHold, form: Any, change: bool) -> None:
        assert obj.run_id is not None
        made = actions.hold_run(obj.org, obj.run_id, request.user, obj.reason)  # type: ignore[arg-type]
        obj.pk = made.pk

    @admin.action(description=_("Lift: what is old may be deleted again"))
    def lift_selected(self, request: HttpRequest, queryset: QuerySet[LegalHold]) -> None:
        me: Any = request.user
        done = 0
        for one in queryset.filter(ended_at=None).select_related("org"):
            if one.run_id is not None:
                done += actions.lift_run_hold(one.org, one.run_id, me)
            elif one.alert_id is not None:
                actions.lift_hold(one.alert_id, me)
                done += 1
        said = ngettext("{n} legal hold lifted.", "{n} legal holds lifted.", done)
        self.message_user(request, said.format(n=done))
