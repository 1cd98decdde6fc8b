"""Orgs, their agents, roles, assignments, policies."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from orgs import conflicts, history, imports, spreadsheet
from orgs.admin.base import SHOWN, OfOrg, Rows, TrackedAdmin, WholeForm
from orgs.admin.importing import import_page
from orgs.admin.naming import OfNamedOrg, OrgFilter, told_apart
from orgs.hours_form import HoursField
from orgs.identifiers import Twins
from orgs.models import (
    Agent,
    Assignment,
    Membership,
    Org,
    Retention,
    Source,
    SourceHeard,
    SupervisorRole,
)
from orgs.others import confirm
from orgs.twin_form import TwinForm

MOST_INLINE = 100  # assignments shown on the page of an org; beyond it the list and the import are the better tool


class AssignmentForm(WholeForm):
    """Takes the org from the role, so that both always agree, and checks the pair with it; what it changes is the
    admin's word.
    """

    def _post_clean(self) -> None:
        role = self.cleaned_data.get("role") or getattr(self.instance, "role", None)
        if isinstance(role, SupervisorRole):
            self.instance.role, self.instance.org_id = role, role.org_id
        if self.has_changed():
            self.instance.provenance = Assignment.Provenance.ADMIN
        super()._post_clean()  # type: ignore[misc]


class AgentForm(TwinForm):
    """No Meta, as above."""

    identifying = "name"

    def known(self) -> Iterable[str]:
        org = self.cleaned_data.get("org")
        org_id = org.pk if org else self.instance.org_id
        return Agent.objects.filter(org=org_id).exclude(pk=self.instance.pk).values_list("name", flat=True)


class AgentInline(Rows):
    model = Agent
    form = AgentForm
    fields = ("name", "version", "production", "confirmed", "seen_twin")
    can_delete = False  # events and alerts hang on it; take it out of production instead


class RoleInline(OfOrg, Rows):
    model = SupervisorRole
    fields = ("name", "tier", "fallback")
    show_change_link = True


class AssignmentInline(OfOrg, Rows):
    model = Assignment
    form = AssignmentForm
    fields = ("role", "user", "external_user_id")
    autocomplete_fields = ("user",)


class RoleAssignmentInline(Rows):
    model = Assignment
    form = AssignmentForm
    fields = ("user", "external_user_id")
    autocomplete_fields = ("user",)


class MembershipInline(Rows):
    model = Membership
    fields = ("user", "role")
    autocomplete_fields = ("user",)


class RetentionInline(Rows):
    """One row. That of an org without one shows the defaults, and is made when one of them is changed."""

    model = Retention
    extra = max_num = 1


class SourceInline(Rows):
    model = Source
    fields = ("name",)
    can_delete = False
    show_change_link = True


@admin.register(Org)
class OrgAdmin(TrackedAdmin):
    list_display = ("name", "external_id", "agents_count", "people_count", "zone", "plan", "targeted")
    list_filter = ("targeted", "plan", "zone")
    search_fields = ("name", "external_id", "agents__name")
    ordering = ("name", "external_id")  # Django forgets the model's own where it counts, and the pages of a search too
    actions = None  # an org is removed from its own page only, which lists what goes with it
    save_on_top = True
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "external_id"),
                    ("zone", "locale"),
                    "room_url_template",
                    "allowed_hosts",
                    "alert_policy",
                )
            },
        ),
        (
            gettext_lazy("Plan and display"),
            {
                "fields": (("show_customer_text", "personal_data"), ("plan", "ga_date", "targeted")),
                "classes": ("collapse",),
            },
        ),
    )

    def add_view(self, request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
        """There is one way to make an org, which makes its first supervisor and key too."""
        return redirect("setup_new")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        return super().render_change_form(request, context | {"show_save_and_add_another": False}, *args, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Org]:
        people = Count("assignments__user", distinct=True)
        return super().get_queryset(request).annotate(people=people, machines=Count("agents", distinct=True))

    def get_inlines(self, request: HttpRequest, obj: Org | None) -> list[Any]:
        people = [RoleInline, AssignmentInline, MembershipInline]
        inlines = [AgentInline, *people, RetentionInline, SourceInline]
        if Assignment.every.filter(org=obj).count() > MOST_INLINE:
            inlines.remove(AssignmentInline)
        return inlines

    def has_delete_permission(self, request: HttpRequest, obj: Org | None = None) -> bool:
        """One that was ever heard of has alerts: it stays."""
        heard = obj is not None and SourceHeard.objects.filter(org=obj).exists()
        return super().has_delete_permission(request, obj) and not heard

    def get_readonly_fields(self, request: HttpRequest, obj: Org | None = None) -> tuple[str, ...]:
        return ("external_id", "alert_policy") if obj else ()  # senders know the org by it

    @admin.display(description=gettext_lazy("alert policy"))
    def alert_policy(self, obj: Org) -> SafeString:
        """Where it is changed: on its page alone."""
        address = f"{reverse('policy')}?{urlencode({'org': obj.external_id})}"
        return format_html('<a href="{}">{}</a>', address, _("Who is told, when and how often"))

    @admin.display(description=gettext_lazy("agents"), ordering="machines")
    def agents_count(self, obj: Any) -> int:
        return int(obj.machines)

    @admin.display(description=gettext_lazy("people"), ordering="people")
    def people_count(self, obj: Any) -> int:
        return int(obj.people)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [path("history/", wrap(self.all_changes), name="orgs_history"), *super().get_urls()]

    def all_changes(self, request: HttpRequest) -> HttpResponse:
        """The latest changes of all orgs, those of deleted ones too."""
        return self.page(
            request,
            "admin/orgs/history.html",
            title=_("History of all orgs"),
            changes=history.everything(SHOWN),
            shown=SHOWN,
            of_all=True,
        )


@admin.register(Agent)
class AgentAdmin(OfNamedOrg, TrackedAdmin):
    form = AgentForm
    list_display = ("name", "its_org", "version", "production", "confirmed", "near_twin", "backed_up")
    list_filter = ("production", "confirmed", ("org", OrgFilter))
    list_editable = ("production", "confirmed")
    list_per_page = 50  # each is a form: 100 of them take longer than a page may
    list_select_related = ("org",)
    search_fields = ("name", "org__name", "org__external_id")
    autocomplete_fields = ("org",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        told = {"assignments__user__is_active": True, "assignments__pending": False}
        roles = SupervisorRole.objects.filter(org=OuterRef("org"), **told)
        own = roles.filter(agents=OuterRef("pk"))
        every = roles.filter(agents=None)
        return super().get_queryset(request).annotate(has_people=Exists(own) | Exists(every))

    def get_fields(self, request: HttpRequest, obj: Agent | None = None) -> tuple[str, ...]:
        return ("its_org" if obj else "org", "name", "production", "confirmed", "version", "seen_twin")

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> tuple[str, ...]:
        return ("its_org", "name") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        return False  # events and alerts hang on it; take it out of production instead

    @admin.display(description=gettext_lazy("nearly the same as"), empty_value="–")
    def near_twin(self, obj: Agent) -> str:
        """Of one that nobody confirmed: perhaps a sender only writes its name otherwise."""
        if obj.confirmed:
            return ""
        others = Agent.objects.filter(org=obj.org_id).exclude(pk=obj.pk)
        return Twins(others.values_list("name", flat=True)).of(obj.name)

    @admin.display(description=gettext_lazy("somebody is told"), boolean=True, ordering="has_people")
    def backed_up(self, obj: Any) -> bool:
        return bool(obj.has_people)


@admin.register(SupervisorRole)
class SupervisorRoleAdmin(OfNamedOrg, OfOrg, TrackedAdmin):
    form = WholeForm
    ordering = ("tier", "name", "org__name", "pk")
    list_display = ("name", "its_org", "tier", "people_count")
    list_filter = ("tier", ("org", OrgFilter))
    list_select_related = ("org",)
    search_fields = ("name", "org__name", "org__external_id")
    autocomplete_fields = ("org",)
    inlines = (RoleAssignmentInline,)
    filter_horizontal = ("agents",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[SupervisorRole]:
        found = super().get_queryset(request).select_related("org")  # a role that is searched for says its org
        return found.annotate(people=Count("assignments", distinct=True))

    def get_fields(self, request: HttpRequest, obj: SupervisorRole | None = None) -> tuple[str, ...]:
        return ("its_org", "name", "tier", "fallback", "agents") if obj else ("org", "name", "tier", "fallback")

    def get_readonly_fields(self, request: HttpRequest, obj: SupervisorRole | None = None) -> tuple[str, ...]:
        return ("its_org",) if obj else ()

    def org_of_page(self, request: HttpRequest) -> Any:
        role = SupervisorRole.objects.filter(pk=super().org_of_page(request)).first()
        return role and role.org_id

    @admin.display(description=gettext_lazy("people"), ordering="people")
    def people_count(self, obj: Any) -> int:
        return int(obj.people)


class ConflictFilter(admin.SimpleListFilter):
    """Assignments of which two say different things."""

    title = gettext_lazy("conflict")
    parameter_name = "conflict"
    which = {"shared_id": conflicts.SHARED, "overruled": conflicts.OVERRULED}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("shared_id", _("Chat id claimed twice")), ("overruled", _("Overruled by the sync"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Assignment]) -> QuerySet[Assignment]:
        condition = self.which.get(self.value() or "")
        return queryset.filter(condition) if condition else queryset


@admin.register(Assignment)
class AssignmentAdmin(OfNamedOrg, TrackedAdmin):
    form = AssignmentForm
    list_display = (
        *("person", "its_org", "role", "tier", "external_user_id"),
        *("provenance", "waits", "conflict", "active"),
    )
    list_filter = ("pending", "provenance", ConflictFilter, ("org", OrgFilter), "role__tier", "user__is_active")
    list_select_related = ("org", "role", "user")
    search_fields = ("user__name", "user__sso_id", "user__email", "role__name", "org__name", "external_user_id")
    fields = ("role", "user", "external_user_id", "duty", "away_until", "provenance", "pending")
    autocomplete_fields = ("role", "user")
    readonly_fields = ("provenance", "pending")
    actions = ("confirm_selected",)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **more: Any) -> Any:
        if db_field.name == "duty":
            return HoursField(label=db_field.verbose_name)
        return super().formfield_for_dbfield(db_field, request, **more)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Assignment]:
        return conflicts.with_conflicts(super().get_queryset(request))

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("import/", wrap(self.import_csv), name="orgs_assignment_import"),
            path("export/", wrap(self.export_csv), name="orgs_assignment_export"),
            *super().get_urls(),
        ]

    def import_csv(self, request: HttpRequest) -> HttpResponse:
        """Choose a file, look at what it would do, confirm."""
        return import_page(self, request)

    def export_csv(self, request: HttpRequest) -> HttpResponse:
        """The filtered rows as a CSV file that the import reads again; no cell is a formula."""
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            raise BadRequest("no such filter") from None
        rows = rows.select_related(*self.list_select_related)
        content = [spreadsheet.BOM, *imports.export_assignments(rows)]
        headers = spreadsheet.attachment("assignments.csv")
        return HttpResponse(content, content_type=spreadsheet.TYPE, headers=headers)

    @admin.action(description=gettext_lazy("Confirm: they may take the roles this org named them for"))
    def confirm_selected(self, request: HttpRequest, queryset: QuerySet[Assignment]) -> None:
        """A person is confirmed for an org, so with each row their others of that org."""
        done = sum(confirm(one.user, one.org) for one in queryset.filter(pending=True).select_related("user", "org"))
        said = ngettext("{n} assignment confirmed.", "{n} assignments confirmed.", done)
        self.message_user(request, said.format(n=done))

    @admin.display(description=gettext_lazy("person"), ordering="user__name")
    def person(self, obj: Assignment) -> str:
        return told_apart(obj.user)

    @admin.display(description=gettext_lazy("pending"), ordering="pending", empty_value="–")
    def waits(self, obj: Assignment) -> str:
        """Of the rule no mark, which Django makes a red one."""
        return _("yes") if obj.pending else ""

    @admin.display(description=gettext_lazy("tier"), ordering="role__tier")
    def tier(self, obj: Assignment) -> int:
        return obj.role.tier

    @admin.display(description=gettext_lazy("conflict"), empty_value="–")
    def conflict(self, obj: Assignment) -> str:
        return ". ".join(conflicts.sentences(obj))

    @admin.display(description=gettext_lazy("active"), boolean=True, ordering="user__is_active")
    def active(self, obj: Assignment) -> bool:
        return obj.user.is_active
