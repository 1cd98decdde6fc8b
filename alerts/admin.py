"""Alerts and pushes for support: to look at, never to change. What acts on them is the console."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from alerts.models import Alert, Push


class ReadOnlyAdmin(admin.ModelAdmin):
    actions = None
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
    list_filter = ("state", "kind", "reason", "org")
    list_select_related = ("org", "supervisor")
    search_fields = ("=id", "=alert__id", "=supervisor__sso_id")
    ordering = ("-planned_at",)
    exclude = ("body", "lease_token")
