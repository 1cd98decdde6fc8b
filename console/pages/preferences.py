"""Language, zone, theme; which pushes about their own duty somebody wants."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import check_for_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from console.pages.access import sent_back, signed_in, signed_in_user
from console.pages.frame import zones
from orgs import clock
from orgs.duty_changes import set_duty_pushes, wants_duty_pushes
from orgs.models import THEMES, Assignment, Org, User


class PreferencesForm(forms.ModelForm):
    """What a person sets for themselves."""

    class Meta:
        model = User
        fields = ["locale", "zone", "theme"]

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["locale"] = forms.ChoiceField(label=gettext_lazy("Language"), choices=settings.LANGUAGES)
        self.fields["zone"] = forms.ChoiceField(
            label=gettext_lazy("Time zone"), choices=[(zone, zone.replace("_", " ")) for zone in zones()]
        )
        self.fields["theme"] = forms.ChoiceField(label=gettext_lazy("Theme"), choices=THEMES, widget=forms.RadioSelect)
        for name in ("locale", "zone"):
            self.fields[name].widget.attrs["class"] = "form-select"


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def preferences(request: HttpRequest) -> HttpResponse:
    """`/preferences`: show and save."""
    me = signed_in_user(request)
    start = {
        "locale": me.locale or translation.get_language(),
        "zone": me.zone or timezone.get_current_timezone_name(),
    }
    roles = list(Org.objects.filter(pk__in=Assignment.objects.filter(user=me).values("org")).order_by("name"))
    if request.method == "POST" and request.POST.get("act") == "duty":
        wanted = set(request.POST.getlist("duty"))
        for org in roles:
            set_duty_pushes(org, me, org.external_id in wanted, clock.now())
        messages.success(request, _("Saved."))
        return redirect("preferences")
    form = PreferencesForm(request.POST or None, instance=me, initial=start)
    if request.method == "POST" and form.is_valid():
        form.save()
        with translation.override(me.locale):
            messages.success(request, _("Saved."))
        return redirect("preferences")
    status = 422 if form.is_bound else 200
    duty = [(org, wants_duty_pushes(org, me)) for org in roles]
    context = {"form": form, "duty": duty, "page": "preferences"}
    return render(request, "pages/preferences.html", context, status=status)


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """`POST /language`: sets a cookie, and for somebody who is signed in their own setting too."""
    response = sent_back(request, request.POST.get("next", "/"), "/")
    language = request.POST.get("language", "")
    if language not in dict(settings.LANGUAGES) or not check_for_language(language):
        return response
    if isinstance(request.user, User):
        User.objects.filter(pk=request.user.pk).update(locale=language)
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=365 * 86400,
        secure=settings.SECURE,
        samesite="Lax",
        httponly=True,
    )
    return response
