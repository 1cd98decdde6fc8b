"""Sources and their keys. A key is shown once, on the page that answers its making, and never again."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from orgs import clock, keys
from orgs.admin.base import TrackedAdmin, WholeForm, pk_of
from orgs.admin.naming import OrgFilter, told_apart
from orgs.models import ApiKey, Scope, Source, SourceHeard
from orgs.origins import check_origin


class KeyForm(forms.Form):
    """What a new key may do, and for how long."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=50, required=False)
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Scopes"),
        choices=Scope.choices,
        initial=[Scope.INGEST],
        widget=forms.CheckboxSelectMultiple,
    )
    expires = forms.IntegerField(
        label=gettext_lazy("Ends after (days)"),
        min_value=1,
        max_value=3650,
        initial=365,
        required=False,
        help_text=gettext_lazy("Empty: never."),
    )
    rate = forms.IntegerField(
        label=gettext_lazy("Requests per minute"),
        min_value=0,
        max_value=ApiKey.FASTEST,
        required=False,
        help_text=gettext_lazy("Empty: the default; 0: no limit."),
    )


@admin.register(Source)
class SourceAdmin(TrackedAdmin):
    form = WholeForm
    list_display = ("name", "place", "live_keys", "last_heard")
    list_filter = (("org", admin.EmptyFieldListFilter), ("org", OrgFilter))
    list_select_related = ("org",)
    search_fields = ("name", "org__name", "org__external_id", "api_keys__prefix")
    autocomplete_fields = ("org",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Source]:
        live = Q(api_keys__revoked=False) & (Q(api_keys__expiry_date=None) | Q(api_keys__expiry_date__gt=clock.now()))
        counted = Count("api_keys", filter=live, distinct=True)
        return super().get_queryset(request).annotate(live=counted, heard_at=Max("heard__at"))

    def get_fields(self, request: HttpRequest, obj: Source | None = None) -> tuple[str, ...]:
        return ("name", "place" if obj else "org", "allowed_origins")

    def get_readonly_fields(self, request: HttpRequest, obj: Source | None = None) -> tuple[str, ...]:
        return ("place",) if obj else ()  # its keys open the door of that org

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "allowed_origins":  # where the model alone judges, Django shows nothing of what it said
            field.base_field.validators.append(check_origin)
        return field

    def has_delete_permission(self, request: HttpRequest, obj: Source | None = None) -> bool:
        """Failure events hang on one that was ever heard: it stays, its keys are revoked."""
        heard = obj is not None and SourceHeard.objects.filter(source=obj).exists()
        return super().has_delete_permission(request, obj) and not heard

    @admin.display(description=gettext_lazy("org"), ordering="org__name")
    def place(self, obj: Source) -> str:
        return told_apart(obj.org) if obj.org else _("the platform")

    @admin.display(description=gettext_lazy("live keys"), ordering="live")
    def live_keys(self, obj: Any) -> int:
        return int(obj.live)

    @admin.display(description=gettext_lazy("last data"), ordering="heard_at")
    def last_heard(self, obj: Any) -> Any:
        return obj.heard_at

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/keys/add/", wrap(self.issue_key), name="orgs_source_issue_key"),
            path("<int:pk>/keys/<slug:prefix>/revoke/", wrap(self.revoke_key), name="orgs_source_revoke_key"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        listed = ApiKey.objects.filter(source_id=pk_of(object_id)).order_by("-created")
        context = {**(extra_context or {}), "keys": listed}
        return super().change_view(request, object_id, form_url, context)

    @method_decorator(never_cache)
    def issue_key(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET: what the key may do. POST: the key itself, once."""
        source = self.found(request, pk)
        form = KeyForm(request.POST or None)
        title = _("Issue a key for %(source)s") % {"source": told_apart(source)}
        if request.method == "POST" and form.is_valid():
            values = form.cleaned_data
            try:
                key, secret = keys.issue(
                    source,
                    values["scopes"],
                    name=values["name"],
                    expires_days=values["expires"],
                    rate_per_minute=values["rate"],
                )
            except keys.TooManyKeys:
                form.add_error(None, _("This source has two live keys. Revoke one of them first."))
            else:
                self.log_change(request, source, f"Key {key.prefix} issued")
                return self.page(
                    request, "admin/orgs/key.html", title=_("The new key"), object=source, key=key, secret=secret
                )
        return self.page(request, "admin/orgs/issue_key.html", title=title, object=source, form=form)

    def revoke_key(self, request: HttpRequest, pk: int, prefix: str) -> HttpResponse:
        """Ask, then end a key for good."""
        source = self.found(request, pk)
        key = get_object_or_404(ApiKey, source=source, prefix=prefix, revoked=False)

        def act() -> None:
            keys.revoke(key)
            self.log_change(request, source, f"Key {key.prefix} revoked")
            messages.success(request, _("Key %(prefix)s is revoked.") % {"prefix": key.prefix})

        return self.confirm(
            request,
            source,
            act,
            title=_("Revoke key %(prefix)s of %(source)s") % {"prefix": prefix, "source": told_apart(source)},
            sentence=_("Whoever sends with it is refused within 5 s. This cannot be undone."),
            button=_("Revoke"),
        )
