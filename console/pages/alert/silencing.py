"""The silence of one room, from the page of its alert: for half an hour, one or two."""

from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext as _

from alerts import actions
from alerts.models import Alert, Silence
from console.live.rows import name_of
from orgs import clock
from orgs.models import User

MINUTES = {"30": 30, "60": 60, "120": 120}


def silence_room(request: HttpRequest, alert_id: UUID, me: User) -> str:
    """Raises Alert.DoesNotExist outside the scope, ActInvalid."""
    found = Alert.objects.select_related("org", "room", "agent", "source").get(pk=alert_id)
    minutes = MINUTES.get(request.POST.get("minutes", ""))
    if found.room is None:
        raise actions.ActInvalid("room", _("Only a room can be silenced from here."))
    if minutes is None:
        raise actions.ActInvalid("minutes", _("Choose 30 min, 1 h or 2 h."))
    now = clock.now()
    asked = actions.AskedSilence(found.org, now + timedelta(minutes=minutes), room_id=found.room.room_id)
    if not actions.may_silence(me, asked, now):
        raise PermissionDenied
    try:
        actions.make_silence(asked, me)
    except actions.TooManySilences:
        raise actions.ActInvalid("silence", _("This org has as many silences as it may have at a time.")) from None
    return _("“{room}” is silenced.").format(room=name_of(found))


def unsilence(request: HttpRequest, alert_id: UUID, me: User) -> str:
    """End what silences it, or what this person made for its room. Raises Alert.DoesNotExist, ActConflict."""
    found = Alert.objects.select_related("org", "room", "agent", "source").get(pk=alert_id)
    ends = _endable(found, me, clock.now())
    if not ends:
        raise actions.ActConflict("nothing_to_undo", found)
    for one in ends:
        actions.end_silence(one.pk, me)
    return _("“{room}” is silenced no more.").format(room=name_of(found))


def may_unsilence(alert: Alert, me: User, now: datetime) -> bool:
    """Whether this person may end what silences it."""
    return alert.is_silenced(now) and bool(_endable(alert, me, now))


def _endable(alert: Alert, me: User, now: datetime) -> list[Silence]:
    """The silences of this room alone that last, and that this person may end."""
    if alert.room is None:
        return []
    rows = Silence.objects.filter(org=alert.org_id, room_id=alert.room.room_id, ended_at=None, starts_at__lte=now)
    return [one for one in rows if actions.may_end_silence(me, one)]
