"""Webhook endpoints: made, rotated, limited, switched off; and what their deliveries told us."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from alerts.models import WebhookDelivery
from alerts.sources import inbox
from console.pages.access import looked_after, no_org_page, signed_in, signed_in_user
from console.pages.sources import words
from console.text.org_names import org_choices
from orgs import clock, webhooks
from orgs.auth import of_orgs, orgs_of
from orgs.identifiers import check_identifier
from orgs.models import NAME, Org, WebhookEndpoint
from orgs.models.sources import check_network

SHOWN = 50  # deliveries
MOST_ADDRESSES = 100
Outcome = WebhookDelivery.Outcome


class EndpointForm(forms.Form):
    """What may be said of an endpoint besides its address."""

    organization_id = forms.CharField(
        label=gettext_lazy("Organization id"),
        max_length=NAME,
        required=False,
        validators=[check_identifier],
        help_text=gettext_lazy("Of the org in the chat product. Empty: the same as its external id."),
    )
    allowed_addresses = forms.CharField(
        label=gettext_lazy("Allowed addresses"),
        required=False,
        max_length=MOST_ADDRESSES * 64,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("One address or network such as 203.0.113.0/24 a line. Empty: from anywhere."),
    )

    def clean_allowed_addresses(self) -> list[str]:
        listed = self.cleaned_data["allowed_addresses"].replace(",", " ").split()
        if len(listed) > MOST_ADDRESSES:
            raise ValidationError(_("At most %(most)d addresses.") % {"most": MOST_ADDRESSES})
        for address in listed:
            check_network(address)
        return listed


class NewEndpointForm(EndpointForm):
    """Also for which org."""

    org = forms.ChoiceField(label=gettext_lazy("Org"))

    def __init__(self, orgs: list[Org], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = self.fields["org"]
        assert isinstance(choices, forms.ChoiceField)
        choices.choices = org_choices(orgs)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def new_webhook(request: HttpRequest) -> HttpResponse:
    """`/sources/webhooks/new`: which org; then the address, once."""
    orgs = orgs_of(looked_after(signed_in_user(request)))
    if not orgs:
        return no_org_page(request, _("New Qontak webhook"), "sources")
    form = NewEndpointForm(orgs, request.POST or None, initial={"org": request.GET.get("org", "")})
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        org = next(org for org in orgs if org.external_id == values["org"])
        limits = {name: values[name] for name in ("organization_id", "allowed_addresses")}
        endpoint, url = webhooks.create(org, WebhookEndpoint.Kind.QONTAK, **limits)
        return _address(request, endpoint, url, made=True)
    status = 422 if form.is_bound else 200
    return render(request, "pages/sources/webhook_new.html", {"form": form, "page": "sources"}, status=status)


@require_safe
@signed_in
def endpoint(request: HttpRequest, public_id: str) -> HttpResponse:
    """`/sources/webhooks/<public_id>`: the last deliveries, newest first; `?outcome=` shows only those."""
    found = _found(request, public_id)
    said = {"organization_id": found.organization_id, "allowed_addresses": "\n".join(found.allowed_addresses)}
    return _page(request, found, EndpointForm(initial=said))


@require_POST
@signed_in
def settings(request: HttpRequest, public_id: str) -> HttpResponse:
    """Save organization id and allowed addresses."""
    found = _found(request, public_id)
    form = EndpointForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form, status=422)
    WebhookEndpoint.objects.filter(pk=found.pk).update(**form.cleaned_data)
    messages.success(request, _("Saved."))
    return redirect("webhook", public_id)


@require_POST
@signed_in
def rotate_webhook(request: HttpRequest, public_id: str) -> HttpResponse:
    """A new address, shown once; the present one works for a day longer, each before it to its own end."""
    found = _found(request, public_id)
    return _address(request, found, webhooks.rotate_address(found), made=False)


@require_POST
@signed_in
def end_webhook_overlap(request: HttpRequest, public_id: str) -> HttpResponse:
    """The addresses before the present one end now, not at their time: one of them is known to somebody."""
    webhooks.end_overlap(_found(request, public_id))
    messages.success(request, _("Only the newest address works: the others stop within 5 s."))
    return redirect("webhook", public_id)


@require_POST
@signed_in
def switch(request: HttpRequest, public_id: str) -> HttpResponse:
    """Switch it off, or on again: `active` is 1 or 0."""
    found = _found(request, public_id)
    active = request.POST.get("active") == "1"
    WebhookEndpoint.objects.filter(pk=found.pk).update(active=active)
    said = _("It is on.") if active else _("It is off: within 5 s, deliveries are no longer accepted.")
    messages.success(request, said)
    return redirect("webhook", public_id)


@require_POST
@signed_in
def retry_webhook(request: HttpRequest, public_id: str) -> HttpResponse:
    """Work the deliveries again that we failed on."""
    done = inbox.work_again(_found(request, public_id))
    said = ngettext("{n} delivery is in line again.", "{n} deliveries are in line again.", done).format(n=done)
    messages.success(request, said)
    return redirect("webhook", public_id)


def _found(request: HttpRequest, public_id: str) -> WebhookEndpoint:
    """The endpoint, of an org this person looks after. Raises Http404, the same for unknown and foreign ones."""
    orgs = looked_after(signed_in_user(request))
    rows = of_orgs(WebhookEndpoint.objects.select_related("org", "source"), orgs)
    found = rows.filter(public_id=public_id).first() if "\0" not in public_id else None
    if found is None:
        raise Http404
    return found


def _address(request: HttpRequest, found: WebhookEndpoint, url: str, *, made: bool) -> HttpResponse:
    """The address, this once: it is kept nowhere."""
    context = {"endpoint": found, "url": url, "made": made, "hours": webhooks.OVERLAP.total_seconds() // 3600}
    response = render(request, "pages/sources/webhook_address.html", context | {"page": "sources"})
    response["Referrer-Policy"] = "no-referrer"
    return response


def _page(request: HttpRequest, found: WebhookEndpoint, form: EndpointForm, status: int = 200) -> HttpResponse:
    asked = request.GET.get("outcome", "")
    outcome = asked if asked in Outcome.values else ""
    deliveries = WebhookDelivery.objects.filter(endpoint=found)
    shown = deliveries.filter(outcome=outcome) if outcome else deliveries
    rows = list(shown.order_by("-id")[:SHOWN])
    people = words.people_of(rows)
    context = {
        "endpoint": found,
        "form": form,
        "rows": [(row, words.told(row, people)) for row in rows],
        "outcome": outcome,
        "outcomes": Outcome.choices,
        "ever": bool(rows) or deliveries.exists(),
        "failed_on": inbox.failed_on(found).count(),
        "overlaps": bool(found.previous_until and found.previous_until > clock.now()),
        "shown": SHOWN,
        "now": clock.now(),
        "page": "sources",
    }
    return render(request, "pages/sources/webhook.html", context, status=status)
