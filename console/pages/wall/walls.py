"""The wall boards of the orgs that somebody looks after: made, shown once, revoked."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from console.pages.access import looked_after, no_org_page, signed_in, signed_in_user
from console.text.org_names import org_choices
from orgs import clock
from orgs.auth import of_orgs, orgs_of
from orgs.models import NAME, THEMES, Org, Wall
from orgs.walls import make_wall, revoke_wall

SHOWN = 100


class WallForm(forms.Form):
    """Of which org, and how it looks."""

    org = forms.ChoiceField(label=gettext_lazy("Org"))
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=NAME, required=False, help_text=gettext_lazy("Where it hangs.")
    )
    language = forms.ChoiceField(label=gettext_lazy("Language"), choices=settings.LANGUAGES)
    theme = forms.ChoiceField(label=gettext_lazy("Theme"), choices=THEMES, initial="dark")

    def __init__(self, orgs: list[Org], *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        choices = self.fields["org"]
        assert isinstance(choices, forms.ChoiceField)
        choices.choices = org_choices(orgs)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def walls(request: HttpRequest) -> HttpResponse:
    """`/walls`: all of them, and the form for one more; POST makes it and shows its address, once."""
    led = looked_after(signed_in_user(request))
    orgs = orgs_of(led)
    if not orgs:
        return no_org_page(request, _("Wall boards"), "walls")
    chosen = next((org for org in orgs if org.external_id == request.GET.get("org")), orgs[0])
    initial = {"org": chosen.external_id, "language": chosen.locale}
    form = WallForm(orgs, request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        return _made(request, form, orgs)
    rows = of_orgs(Wall.objects.select_related("org"), led)
    live = rows.filter(revoked_at=None).order_by("org__name", "-pk")  # all: one that is not listed cannot be revoked
    ended = rows.exclude(revoked_at=None).order_by("-revoked_at")[:SHOWN]
    context = {"form": form, "live_walls": live, "ended": ended, "page": "walls"}
    return render(request, "pages/wall/walls.html", context, status=422 if form.is_bound else 200)


def _made(request: HttpRequest, form: WallForm, orgs: list[Org]) -> HttpResponse:
    values = form.cleaned_data
    org = next(org for org in orgs if org.external_id == values["org"])
    made, url = make_wall(org, values["name"], locale=values["language"], theme=values["theme"])
    response = render(request, "pages/wall/made.html", {"wall": made, "url": url, "page": "walls"})
    response["Referrer-Policy"] = "no-referrer"
    return response


@require_POST
@signed_in
def end_wall(request: HttpRequest, public_id: str) -> HttpResponse:
    """`/walls/{public id}/revoke`: for good. Raises Http404, the same for unknown and foreign ones."""
    rows = of_orgs(Wall.objects.all(), looked_after(signed_in_user(request)))
    found = rows.filter(public_id=public_id).first()
    if found is None:
        raise Http404
    revoke_wall(found, clock.now())
    messages.success(request, _("%(wall)s is revoked: its page goes dark within 30 s.") % {"wall": found})
    return redirect("walls")
