"""People: invite them, let them go. No password is ever typed or shown here."""

from collections.abc import Iterable
from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orgs import invitations
from orgs.admin.base import Rows, TrackedAdmin, pk_of
from orgs.admin.naming import OrgFilter
from orgs.admin.organisations import AssignmentForm
from orgs.models import Assignment, Membership, User
from orgs.twin_form import TwinForm


class UserForm(TwinForm):
    """E-mail addresses differ by more than upper and lower case."""

    identifying = "sso_id"

    class Meta:
        model = User
        fields = ("sso_id", "name", "email", "locale", "zone", "is_specialist", "is_active")

    def known(self) -> Iterable[str]:
        return User.objects.exclude(pk=self.instance.pk).values_list("sso_id", flat=True)

    def clean_email(self) -> str | None:
        email = (self.cleaned_data.get("email") or "").lower()
        if email and User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(_("Somebody else has this e-mail address."))
        return email or None


class UserAssignmentInline(Rows):
    model = Assignment
    form = AssignmentForm
    fields = ("role", "external_user_id")
    autocomplete_fields = ("role",)


class UserMembershipInline(Rows):
    model = Membership
    fields = ("org", "role")
    autocomplete_fields = ("org",)


@admin.register(User)
class UserAdmin(TrackedAdmin):
    form = UserForm
    list_display = ("name", "sso_id", "email", "is_specialist", "is_active", "can_log_in", "last_login")
    list_filter = ("is_specialist", "is_active", ("assignments__org", OrgFilter))
    search_fields = ("name", "sso_id", "email")
    readonly_fields = ("can_log_in", "last_login", "push_tokens")
    inlines = (UserAssignmentInline, UserMembershipInline)
    actions = ("invite_selected",)
    fieldsets = (
        (
            None,
            {"fields": (("name", "sso_id"), "email", ("locale", "zone"), ("is_specialist", "is_active"), "seen_twin")},
        ),
        (gettext_lazy("Log-in and phone"), {"fields": (("can_log_in", "last_login"), "push_tokens")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        own = ("is_specialist", "is_active") if obj and obj.pk == request.user.pk else ()
        return (*self.readonly_fields, *own)  # nobody locks themselves out

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # their pushes and acts stay; make them inactive instead

    @admin.display(description=gettext_lazy("can log in"), boolean=True)
    def can_log_in(self, obj: User) -> bool:
        return bool(obj.is_active and obj.email and obj.has_usable_password())

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/invite/", wrap(self.invite), name="orgs_user_invite"),
            path("<int:pk>/remove-authenticator/", wrap(self.remove_app), name="orgs_user_remove_app"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        app = Authenticator.objects.filter(user_id=pk_of(object_id)).exists()
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "has_app": app})

    def invite(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, then show a new single-use link, once."""
        user = self.found(request, pk)
        sentence = _("The link works once and for 7 days. Older links of this person end.")
        if user.has_usable_password():
            sentence += " " + _("So does their password: they are signed out everywhere until they use the link.")
        return self.confirm(
            request,
            user,
            lambda: self._invite(request, user),
            title=_("Invite %(name)s") % {"name": user},
            sentence=sentence,
            button=_("Make the link"),
        )

    @admin.action(description=gettext_lazy("Invite: make single-use links"))
    def invite_selected(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Links for those who cannot log in yet; whoever has a password keeps it."""
        for user in queryset:
            if user.has_usable_password():
                messages.warning(request, _("%(name)s has a password already.") % {"name": user})
            else:
                self._invite(request, user)

    def remove_app(self, request: HttpRequest, pk: int) -> HttpResponse:
        """For somebody who lost phone and recovery codes."""
        user = self.found(request, pk)

        def act() -> None:
            Authenticator.objects.filter(user=user).delete()
            self.log_change(request, user, "Authenticator app removed")
            messages.success(request, _("%(name)s signs in with the password alone now.") % {"name": user})

        return self.confirm(
            request,
            user,
            act,
            title=_("Remove the authenticator app of %(name)s") % {"name": user},
            sentence=_("Make sure that it is really this person who asks."),
            button=_("Remove"),
        )

    def _invite(self, request: HttpRequest, user: User) -> None:
        try:
            link = invitations.invite(user)
        except invitations.CannotInvite as error:
            messages.error(request, str(error))
            return
        self.log_change(request, user, "Invitation issued")
        text = _("Invitation for %(name)s, shown only now:") % {"name": user}
        messages.success(request, format_html('{} <code class="lm-secret">{}</code>', text, link))
