"""Alerts and pushes for support: to look at, never to change. What acts on them is the console."""

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property

from alerts.models import Alert, Push

PAGED = 2_000  # rows of a list that can be turned to; beyond them a filter finds more


class FirstRows(Paginator):
    """Counts as far as one can turn: of a million rows the number alone would take longer than the page."""

    @cached_property
    def count(self) -> int:
        return int(self.object_list[:PAGED].count())  # type: ignore[attr-defined]


class ReadOnlyAdmin(admin.ModelAdmin):
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
    list_display = ("id", "org", "room", "agent", "severity", "state", "last_event_at")
    list_filter = ("state", "severity", "org")
    list_select_related = ("org", "room", "agent")
    search_fields = ("=id", "=room__room_id", "agent__name")
    ordering = ("-last_event_at",)


@admin.register(Push)
class PushAdmin(ReadOnlyAdmin):
    list_display = ("id", "org", "supervisor", "kind", "reason", "state", "ended_reason", "attempts", "planned_at")
    list_filter = ("state", "kind", "org")  # not by reason: what there is to choose is read from every row
    list_select_related = ("org", "supervisor")
    search_fields = ("=id", "=alert__id", "=supervisor__sso_id")
    ordering = ("-planned_at",)
    exclude = ("body", "lease_token")
