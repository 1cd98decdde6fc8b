"""The invitation link: choose a password, then be signed in."""

from allauth.account.utils import perform_login
from django import forms
from django.contrib.auth import password_validation
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from orgs import invitations
from orgs.models import User


class PasswordForm(forms.Form):
    """The first password of a person, twice."""

    password = forms.CharField(
        label=_("New password"),
        strip=False,
        max_length=128,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "autofocus": True}),
        help_text=_("At least 10 characters, and not one that many people use."),
    )
    again = forms.CharField(
        label=_("The same password again"),
        strip=False,
        max_length=128,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, user: User, data: QueryDict | None = None) -> None:
        super().__init__(data)
        self.user = user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        password_validation.validate_password(password, self.user)
        return password

    def clean_again(self) -> str:
        again: str = self.cleaned_data["again"]
        if "password" in self.cleaned_data and again != self.cleaned_data["password"]:
            raise forms.ValidationError(_("The two passwords are not the same."))
        return again


@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """GET shows the form and uses up nothing (link previews do that); POST sets the password and signs in."""
    try:
        user = invitations.open_invitation(uid, token)
        form = PasswordForm(user, request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return render(request, "account/invitation.html", {"form": form, "person": user})
        user = invitations.accept(uid, token, form.cleaned_data["password"])
    except invitations.InvalidInvitation:
        return render(request, "account/invitation_invalid.html", status=410)
    return perform_login(request, user, email_verification="none")
