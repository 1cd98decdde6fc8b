"""Silences and maintenance windows: what is silenced, what each held back, and the form for one more."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from alerts import actions
from alerts.models import Silence
from console.pages.access import looked_after, no_org_page, signed_in, signed_in_user
from console.pages.silences import words
from console.pages.silences.form import SilenceForm
from console.pages.silences.query import ListedSilence, listed_silences
from console.text.wording import read_by
from orgs import clock
from orgs.auth import orgs_of

NAMED = ("org", "agent", "signal", "room_id", "channel")  # what the address may fill in


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def silences_page(request: HttpRequest) -> HttpResponse:
    """`/silences`: active, scheduled and ended ones; POST makes one more. For leads and specialists."""
    me, now = signed_in_user(request), clock.now()
    led = looked_after(me)
    orgs = orgs_of(led)
    if not orgs:
        return no_org_page(request, _("Silences"), "silences")
    named = {name: request.GET[name] for name in NAMED if name in request.GET}
    form = SilenceForm(orgs, now, request.POST or None, initial=named)
    if request.method == "POST" and form.is_valid() and _made(request, form):
        return redirect("silences")
    with read_by(me):
        found = listed_silences(led, me, now)
        parts = {"active": _("Active now"), "scheduled": _("Scheduled"), "ended": _("Ended")}
        groups = [(state, parts[state], [_line(one, now) for one in rows]) for state, rows in found.items()]
        context = {"form": form, "groups": groups, "page": "silences", "zone": timezone.get_current_timezone_name()}
        return render(request, "pages/silences/silences.html", context, status=422 if form.is_bound else 200)


def _made(request: HttpRequest, form: SilenceForm) -> bool:
    try:
        made = actions.make_silence(form.asked(), signed_in_user(request))
    except actions.ActInvalid as error:
        form.refuse(error)
        return False
    except actions.TooManySilences:
        form.add_error(None, _("This org has as many silences as it may have at a time. End one first."))
        return False
    messages.success(request, _("Silenced: {what}.").format(what=words.silence_name(made)))
    return True


def _line(listed: ListedSilence, now: datetime) -> dict[str, Any]:
    one = listed.silence
    return {
        "silence": one,
        "state": listed.state,
        "what": words.silence_what(one),
        "when": words.silence_when(listed, one.org.zone, now),
        "again": words.silence_again(one, one.org.zone, now),
        "held_back": words.silence_held(listed.held_back),
        "still_open": listed.still_open,
        "author": one.created_by or one.made_by,
        "undoable": listed.undoable,
    }


@require_safe
@signed_in
def matches_page(request: HttpRequest) -> HttpResponse:
    """`/silences/matches?<the form>`: how many open alerts it would hold now, as a sentence."""
    form = SilenceForm(orgs_of(looked_after(signed_in_user(request))), clock.now(), request.GET)
    form.is_valid()
    said = _("Name an agent, a signal, a room or a channel, or the whole org.")
    values = {name: form.cleaned_data.get(name, "") for name in ("agent", "signal", "channel", "room_id", "whole_org")}
    org = next((org for org in form.orgs if org.external_id == form.cleaned_data.get("org")), None)
    if org is not None and any(values.values()):
        asked = actions.AskedSilence(org, clock.now(), agent_name=values.pop("agent"), **values)
        try:
            said = words.silence_matches(actions.open_matches(asked, clock.now()))
        except actions.ActInvalid as error:
            said = error.message
    return HttpResponse(said, content_type="text/plain; charset=utf-8")


@require_POST
@signed_in
def end_silence_page(request: HttpRequest, silence_id: UUID) -> HttpResponse:
    """`/silences/{id}/end`: it holds nothing more. Raises Http404, the same for unknown and foreign ones."""
    found = Silence.objects.filter(pk=silence_id).first()
    if found is None:
        raise Http404
    me = signed_in_user(request)
    if not actions.may_end_silence(me, found):
        raise PermissionDenied
    ended = actions.end_silence(found.pk, me)
    messages.success(request, _("The silence is over: {what}.").format(what=words.silence_name(ended)))
    return redirect("silences")


@require_POST
@signed_in
def restore_silence_page(request: HttpRequest, silence_id: UUID) -> HttpResponse:
    """`/silences/{id}/restore`: the end is undone, by whoever ended it, within 10 min."""
    try:
        back = actions.restore_silence(silence_id, signed_in_user(request))
    except Silence.DoesNotExist:
        raise Http404 from None
    except actions.ActInvalid as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("Silenced: {what}.").format(what=words.silence_name(back)))
    return redirect("silences")
