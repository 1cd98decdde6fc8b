"""One alert: its page, what people do with it, and the way into its room."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db.models import BooleanField, Case, ExpressionWrapper, Q, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from alerts import actions
from alerts.links import room_url
from alerts.models import Alert
from console.live.hub import checksums
from console.live.rows import ROWS, facts_of, ladder, name_of, view_of
from console.pages.access import sent_back, signed_in, signed_in_user
from console.pages.alert import holding, silencing, timeline
from console.pages.alert.earlier import room_history
from console.pages.alert.gaps import told_gaps
from console.pages.alert.upcoming import next_step
from console.pages.runs.query import runs_of_room
from console.pages.runs.words import room_runs_url, run_line
from console.text import hops
from console.text.sentences import failures, taken_by
from console.text.wording import read_by, short_name
from orgs import clock
from orgs.auth import OrgIds, find_supervisor
from orgs.models import Assignment, User
from runs.models import AgentRun

OUTAGE_ROOMS = 50  # listed on the page of an outage
MORNING = 7  # o'clock, in the person's zone
PageAct = Callable[[HttpRequest, UUID, User], str]  # answers what the toast says
Toast = dict[str, str]  # text, and the label of its button: what that undoes, or where it leads


def _alert(alert_id: UUID) -> Alert:
    found = ROWS.rows([alert_id])
    if not found:
        raise Http404
    return found[0]


@require_safe
@signed_in
def alert(request: HttpRequest, alert_id: UUID) -> HttpResponse:
    """`/alerts/<id>`: the whole story of one alert. `?partial=1` answers its changing part alone."""
    return _page(request, _alert(alert_id))


def _page(request: HttpRequest, found: Alert, status: int = 200) -> HttpResponse:
    entire = not request.GET.get("partial") and not request.headers.get("HX-Request")
    template = "pages/alert/alert.html" if entire else "pages/alert/_alert.html"
    with read_by(signed_in_user(request)):
        context = _context(request, found) | {
            "checksums": json.dumps(checksums(OrgIds.of([found.org_id]))) if entire else ""
        }
        return render(request, template, context, status=status)


def _context(request: HttpRequest, found: Alert) -> dict[str, Any]:
    now = clock.now()
    part = request.GET.get("t", "all")
    names = {"all": _("All"), "failures": _("Failures"), "decisions": _("Decisions"), "people": _("People")}
    part = part if part in names else "all"
    history = timeline.load_history(found)
    row = view_of(found, facts_of([found]), now)
    chains = hops.chains(found, [*history.pushes, *history.digests], history.transitions, now)
    runs = _runs(found)
    held = holding.hold_context(found, signed_in_user(request))
    return held | {
        "alert": found,
        "row": row,
        "now": now,
        "org": found.org,
        "items": timeline.timeline(history, part, holding.hold_items(held["holds"])),
        "older": history.older,
        "part": part,
        "parts": [(name, title, name == part) for name, title in names.items()],
        "rungs": _rungs(history),
        "failures": failures(found.event_count),
        "chains": chains,
        "pushes_deleted": not chains and any(change.occurrence for change in history.transitions),
        "last_push": max((p.planned_at for p in history.pushes if p.state != "skipped"), default=None),
        "next_step": next_step(found, now),
        "assignable": _assignable(found, signed_in_user(request)),
        "room_history": room_history(found, history.transitions, now),
        "agent_url": _agent_url(found),
        "room_runs": [run_line(run, several=True) for run in runs],
        "room_runs_url": room_runs_url(found.org, found.room.room_id, runs) if found.room else "",
        "mine": row["holder"] == signed_in_user(request).sso_id,
        "may_unsilence": silencing.may_unsilence(found, signed_in_user(request), now),
        **_outage_rooms(found),
        "told_gaps": told_gaps(found, history.transitions),
        "moving": any(not chain.over for chain in chains),
        "room_url": room_url(found.org, found.room) if found.room else None,
        "page": "alert",
        "live": True,
    }


def _agent_url(found: Alert) -> str:
    """The page of the figures of its agent; empty: it has none."""
    if found.agent is None:
        return ""
    return f"{reverse('agent', args=[found.agent.name])}?{urlencode({'org': found.org.external_id})}"


def _outage_rooms(found: Alert) -> dict[str, object]:
    """Of an outage: the alerts of 50 of its rooms, and how many more there are; first those that nobody has, last those
    that ended, newest first.
    """
    if not found.is_outage:
        return {}
    left = Case(When(state=Alert.State.OPEN, then=0), When(state=Alert.State.RESOLVED, then=2), default=1)
    rooms = actions.rooms_of_outage(found)
    shown = list(rooms.order_by(left, "-last_event_at", "-pk").select_related("room")[:OUTAGE_ROOMS])
    return {"outage_rooms": shown, "more_rooms": rooms.count() - len(shown) if len(shown) == OUTAGE_ROOMS else 0}


def _runs(found: Alert) -> list[AgentRun]:
    return runs_of_room(found.org_id, found.room.room_id) if found.room else []


def _rungs(history: timeline.AlertHistory) -> list[dict[str, object]]:
    """The failure ladder, with what the newest event of each signal said."""
    rungs = []
    for step in ladder(history.alert):
        events = [e for e in history.events if e.signal == step.signal]
        note = timeline.event_note(events[0], history.alert.org.zone) if events else ""
        lowest = min((e.confidence for e in events if e.confidence is not None), default=None)
        if step.signal == "low_confidence" and lowest is not None:
            note = _("lowest {confidence}").format(confidence=f"{lowest:.2f}")
        rungs.append({"step": step, "note": note})
    return rungs


def _assignable(found: Alert, me: User) -> list[User]:
    """The people of every tier who back up this agent, for the alert of a source the specialists: me first."""
    if found.source_id is not None:
        people = User.objects.filter(is_specialist=True, is_active=True)
    else:
        covers = Q(role__agents__isnull=True) | Q(role__agents=found.agent_id)
        held = Assignment.objects.filter(covers, org=found.org_id, user__is_active=True).values("user")
        people = User.objects.filter(pk__in=held)
    mine = ExpressionWrapper(Q(pk=me.pk), output_field=BooleanField())
    return list(people.order_by(mine.desc(), "name")[:50])


# --- acting --------------------------------------------------------------------------------------------------------


@require_POST
@signed_in
def act_on_alert(request: HttpRequest, alert_id: UUID, verb: str) -> HttpResponse:
    """`POST /alerts/<id>/<verb>`: one act of a person. Works with htmx and as a plain form."""
    if verb not in ACTS:
        raise Http404
    try:
        said = ACTS[verb](request, alert_id, signed_in_user(request))
    except Alert.DoesNotExist:
        raise Http404 from None
    except actions.ActConflict as conflict:
        return _answer(request, conflict.alert.pk, _conflict(conflict, clock.now()), 409)
    except actions.ActInvalid as invalid:
        return _answer(request, alert_id, {"text": invalid.message}, 422)
    undo = reverse("alert_act", args=[alert_id, UNDONE[verb]]) if verb in UNDONE else ""
    return _answer(request, alert_id, {"text": said, "undo": undo, "label": _("Undo") if undo else ""}, 200)


def _conflict(conflict: actions.ActConflict, now: datetime) -> Toast:
    """What the toast says to somebody who was too late; who took the alert is met in its room."""
    said = {"text": _why_not(conflict, now)}
    if conflict.code == "already_taken" and conflict.alert.room_id is not None:
        said |= {"href": reverse("alert_room", args=[conflict.alert.pk]), "label": _("Open room")}
    return said


def _why_not(conflict: actions.ActConflict, now: datetime) -> str:
    match conflict.code:
        case "already_resolved":
            return _("Already resolved.")
        case "not_resolved":
            return _("It is open already.")
        case "other_open":
            return _("This room has another open alert by now.")
        case "already_held":
            return _("It is under a legal hold already.")
        case "not_held":
            return _("It is not under a legal hold.")
        case "nothing_to_undo":
            return _("This can no longer be undone.")
    return taken_by(conflict.alert, now)


def _answer(request: HttpRequest, alert_id: UUID, said: Toast, status: int) -> HttpResponse:
    """The fresh row or page part with a toast; for a plain form the way back with a message."""
    found = _alert(alert_id)
    if not request.headers.get("HX-Request"):
        messages.info(request, said["text"])
        return sent_back(request, request.headers.get("Referer", ""), reverse("alert", args=[alert_id]))
    if request.headers.get("HX-Target") == "alert":
        response = _page(request, found, status)
    else:
        with read_by(signed_in_user(request)):
            context = {"row": view_of(found, facts_of([found]), clock.now())}
            response = render(request, "pages/board/_row.html", context, status=status)
    response["HX-Trigger"] = json.dumps({"lm:toast": said})
    return response


def _plainly(act: Callable[[UUID, User], Alert], said: Promise) -> PageAct:
    """An act that needs only the alert and the person."""
    return lambda request, alert_id, me: str(said).format(room=name_of(act(alert_id, me)))


def _take(request: HttpRequest, alert_id: UUID, me: User) -> str:
    taken = actions.take_with_rooms(alert_id, me)
    room, n = name_of(taken.alert), len(taken.rooms_done)
    if not n:
        return _("You took “{room}”.").format(room=room)
    said = ngettext("You took “{room}” and {n} room under it.", "You took “{room}” and {n} rooms under it.", n)
    return said.format(room=room, n=n)


def _assign(request: HttpRequest, alert_id: UUID, me: User) -> str:
    about = _alert(alert_id)
    specialists = about.source_id is not None or request.org_ids.every  # type: ignore[attr-defined]
    to = find_supervisor(request.POST.get("sso_id", ""), about.org_id, specialists=specialists)
    if to is None:
        raise actions.ActInvalid("sso_id", _("Choose a supervisor of this agent."))
    found = actions.assign(alert_id, me, to)
    return _("“{room}” is given to {name}.").format(room=name_of(found), name=short_name(str(to)))


def _snooze(request: HttpRequest, alert_id: UUID, me: User) -> str:
    found = actions.snooze(alert_id, me, snooze_until(request.POST.get("until", ""), clock.now()))
    return _("“{room}” is snoozed.").format(room=name_of(found))


def _verdict(request: HttpRequest, alert_id: UUID, me: User) -> str:
    note = request.POST.get("note", "").strip()
    actions.verdict(alert_id, me, request.POST.get("verdict", ""), note)
    return _("Thank you: your verdict is kept.")


def _comment(request: HttpRequest, alert_id: UUID, me: User) -> str:
    actions.comment(alert_id, me, request.POST.get("text", ""))
    return _("Your comment is kept.")


# Those whose answer offers an undo, and what that is.
UNDONE = dict.fromkeys(("acknowledge", "take", "assign", "snooze", "wake", "resolve"), "undo") | holding.UNDO_OF_HOLD
UNDONE |= {"silence": "unsilence"}
ACTS: dict[str, PageAct] = {
    "acknowledge": _plainly(actions.acknowledge, gettext_lazy("You have seen “{room}”.")),
    "take": _take,
    "release": _plainly(actions.release, gettext_lazy("“{room}” is open again.")),
    "resolve": _plainly(actions.resolve, gettext_lazy("You resolved “{room}”.")),
    "reopen": _plainly(actions.reopen, gettext_lazy("“{room}” is open again.")),
    "undo": _plainly(actions.undo, gettext_lazy("“{room}” is as it was before.")),
    "wake": _plainly(actions.wake, gettext_lazy("“{room}” is awake again.")),
    "assign": _assign,
    "snooze": _snooze,
    "verdict": _verdict,
    "comment": _comment,
    "silence": silencing.silence_room,
    "unsilence": silencing.unsilence,
    "hold": holding.place_hold,
    "unhold": holding.unhold,
    "rehold": holding.rehold,
}


def snooze_until(text: str, now: datetime) -> datetime:
    """`15` and `60` are minutes, `morning` the next 07:00, else a local time as of `<input type=datetime-local>`.

    All in the person's zone. Raises actions.ActInvalid for anything else.
    """
    local = now.astimezone(ZoneInfo(timezone.get_current_timezone_name()))
    if text.isdecimal() and len(text) < 5:
        return now + timedelta(minutes=int(text))
    if text == "morning":
        day = local.date() + timedelta(days=1 if local.hour >= MORNING else 0)
        return datetime(day.year, day.month, day.day, MORNING, tzinfo=local.tzinfo)
    try:
        chosen = datetime.fromisoformat(text)
    except ValueError:
        raise actions.ActInvalid("until", _("Choose a time in the next 24 hours.")) from None
    return chosen if chosen.tzinfo else chosen.replace(tzinfo=local.tzinfo)


# --- the way into the room -----------------------------------------------------------------------------------------


@require_safe
@signed_in
def room(request: HttpRequest, alert_id: UUID) -> HttpResponse:
    """`/alerts/<id>/room`: records that this person enters the room, then sends them there (303).

    A HEAD, a prefetch or a request that is no navigation writes nothing down.
    """
    found = _alert(alert_id)
    url = room_url(found.org, found.room) if found.room else None
    if url is None:
        return render(request, "pages/alert/room_refused.html", {"alert": found, "page": "alert"}, status=409)
    purpose = request.headers.get("Sec-Purpose") or request.headers.get("Purpose", "")
    if purpose.strip() or request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        return HttpResponse(status=204)
    if request.method == "GET":
        actions.open_room(alert_id, signed_in_user(request))
    response = HttpResponseRedirect(url, headers={"Referrer-Policy": "no-referrer"})
    response.status_code = 303
    return response
