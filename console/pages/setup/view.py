"""Setting up an org: the form that makes all it needs, and the checklist that turns green by itself."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.validators import RegexValidator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from alerts import onboarding
from alerts.models import Push
from console.pages.access import signed_in, signed_in_user
from console.pages.frame import zones
from console.pages.setup import words
from console.text.hops import chain
from console.text.wording import short_name
from orgs import clock
from orgs.auth import OrgIds, leads, orgs_of
from orgs.identifiers import check_identifier
from orgs.keys import live_keys
from orgs.models import NAME, Assignment, Org, Source, User
from orgs.setup import CannotSetUp, Made, set_up
from orgs.twin_form import TwinForm

HTMX_STOPS_POLLING = 286
TESTED = 3  # people who can be sent a test from here

PRINTABLE = RegexValidator(r"^[^\x00-\x1f\x7f]*$", gettext_lazy("Control characters are not allowed here."))


class SetupForm(TwinForm):
    """An org, and the first person who backs up its agents."""

    identifying = "sso_id"

    sso_id = forms.CharField(label=gettext_lazy("SSO id"), max_length=NAME, validators=[PRINTABLE, check_identifier])
    person_name = forms.CharField(label=gettext_lazy("Name"), max_length=NAME, required=False, validators=[PRINTABLE])
    email = forms.EmailField(label=gettext_lazy("E-mail"), help_text=gettext_lazy("The log-in, and whom to invite."))

    class Meta:
        model = Org
        fields = ["name", "external_id", "room_url_template", "zone", "locale"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = self.fields
        own["external_id"].help_text = gettext_lazy("Its id in the chat product. It cannot be changed later.")
        for name in ("name", "external_id"):
            own[name].validators.append(PRINTABLE)
        own["zone"] = forms.ChoiceField(
            label=own["zone"].label,
            choices=[(zone, zone.replace("_", " ")) for zone in zones()],
            initial=own["zone"].initial,
        )
        own["locale"] = forms.ChoiceField(
            label=own["locale"].label, choices=settings.LANGUAGES, initial=own["locale"].initial
        )

    def known(self) -> Iterable[str]:
        return User.objects.values_list("sso_id", flat=True)

    def make(self) -> Made | None:
        """All of it, or None with the error at its field."""
        person = {"sso_id": self.cleaned_data["sso_id"], "email": self.cleaned_data["email"]}
        try:
            return set_up(self.save(commit=False), name=self.cleaned_data["person_name"], **person)
        except CannotSetUp as refused:
            self.add_error(refused.field, str(refused))
            return None


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def new_org(request: HttpRequest) -> HttpResponse:
    """`/setup/new`: GET the form; POST makes the org and shows its key, once, above its checklist. For specialists."""
    if not signed_in_user(request).is_specialist:
        raise PermissionDenied
    form = SetupForm(request.POST or None)
    made = form.make() if form.is_valid() else None
    if made is None:
        taken = form.has_error("external_id", "unique")  # perhaps somebody only came back to the form
        known = Org.objects.filter(external_id=form.data["external_id"].strip()).first() if taken else None
        context = {"form": form, "known": known, "page": "setup_new"}
        return render(request, "pages/setup/new.html", context, status=422 if form.is_bound else 200)
    context = _context(request, made.org, leads(signed_in_user(request))) | {
        "made": made,
        "curl": words.event_curl(made.key),
        "above": True,
    }
    return render(request, "pages/setup/setup.html", context)


@require_safe
@signed_in
def checklist(request: HttpRequest, org_id: str) -> HttpResponse:
    """`/setup/<external id>`: the six steps. `?partial=1` answers the list alone, as it is asked for every 3 s."""
    org = Org.objects.filter(external_id=org_id).first()
    led = leads(signed_in_user(request))
    if org is None or org.pk not in led:
        raise Http404
    partial = bool(request.GET.get("partial"))
    context = _context(request, org, led) | {"partial": partial, "above": bool(request.GET.get("above"))}
    response = render(request, "pages/setup/_setup.html" if partial else "pages/setup/setup.html", context)
    if partial and context["progress"].finished:
        response.status_code = HTMX_STOPS_POLLING
    return response


def _context(request: HttpRequest, org: Org, led: OrgIds) -> dict[str, Any]:
    now = clock.now()
    (progress,) = onboarding.progress([org])
    facts = onboarding.facts(org)
    others = [one for one in onboarding.unfinished(orgs_of(led)) if one.org != org]
    source = Source.objects.filter(org=org).order_by("pk").first()  # none where a platform source sends for the org
    held = Assignment.objects.filter(org=org, user__is_active=True).select_related("user")
    held = held.order_by("role__tier", "user__name", "pk")
    people = list({row.user_id: row.user for row in held}.values())[:TESTED]
    pushes = Push.objects.filter(org=org).exclude(state=Push.State.SKIPPED)
    pushes = pushes.exclude(kind__in=(Push.Kind.REVOKE, Push.Kind.DUTY))
    push = pushes.select_related("supervisor").order_by("-planned_at").first()
    return {
        "page": "setup",
        "now": now,
        "org": org,
        "org_shown": org,
        "progress": progress,
        "setup": None if progress.finished else progress,  # what the menu counts
        "others": others,
        "facts": facts,
        "steps": words.steps(progress, facts),
        "source": source,
        "key": live_keys([source.pk], now).last() if source else None,
        "people": [{"user": one, "short": short_name(str(one)), "no_phone": one.push_tokens == 0} for one in people],
        "push": chain(push, timezone.get_current_timezone_name(), now) if push else None,
        "event_curl": words.event_curl(),
        "answer_curl": words.answer_curl(facts.alert.room.room_id if facts.alert and facts.alert.room else ""),
    }
