"""The legal hold of an alert: who may set and lift it, and what its page says of it."""

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from alerts import actions
from alerts.models import Alert, LegalHold
from console.live.rows import name_of
from console.pages.alert.timeline import Said, TimelineItem
from console.text.wording import bdi, whose
from orgs.models import Membership, User

# What takes an act back, for the toast's button.
UNDO_OF_HOLD = {"hold": "unhold", "unhold": "rehold"}


def _may(alert_id: UUID, me: User) -> None:
    """Leads of its org and specialists. Raises Alert.DoesNotExist outside the scope, PermissionDenied."""
    if not leads_org(me, Alert.objects.values_list("org_id", flat=True).get(pk=alert_id)):
        raise PermissionDenied


def leads_org(me: User, org_id: int) -> bool:
    """Whether this person, who sees the org, is a lead of it or a specialist. `orgs.auth.leads` asks for all orgs."""
    lead = Membership.objects.filter(user=me, org=org_id, role=Membership.Role.LEAD)
    return me.is_specialist or lead.exists()


def place_hold(request: HttpRequest, alert_id: UUID, me: User) -> str:
    _may(alert_id, me)
    found = actions.hold(alert_id, me, request.POST.get("reason", ""))
    return _("“{room}” is under a legal hold: nothing of it is deleted.").format(room=name_of(found))


def unhold(request: HttpRequest, alert_id: UUID, me: User) -> str:
    _may(alert_id, me)
    found = actions.lift_hold(alert_id, me)
    return _("The legal hold of “{room}” is lifted.").format(room=name_of(found))


def rehold(request: HttpRequest, alert_id: UUID, me: User) -> str:
    _may(alert_id, me)
    found = actions.restore_hold(alert_id, me)
    return _("“{room}” is under a legal hold: nothing of it is deleted.").format(room=name_of(found))


def hold_context(alert: Alert, me: User) -> dict[str, Any]:
    """All holds of the alert, the one that stands, and whether this person may change that. At most two queries."""
    holds = list(LegalHold.objects.filter(alert=alert).select_related("by", "ended_by").order_by("at", "pk"))
    standing = next((one for one in holds if one.ended_at is None), None)
    return {"holds": holds, "hold": standing, "may_hold": leads_org(me, alert.org_id)}


def hold_items(holds: list[LegalHold]) -> list[TimelineItem]:
    """The entries of the timeline: set, and lifted."""
    found = []
    for one in holds:
        title = whose(one.by, _("{name} put it under a legal hold"), _("You put it under a legal hold"))
        found.append(_item(one.at, title, [Said(format_html("“{}”", bdi(one.reason)))]))
        if one.ended_at is not None:
            title = whose(one.ended_by, _("{name} lifted the legal hold"), _("You lifted the legal hold"))
            found.append(_item(one.ended_at, title, []))
    return found


def _item(at: Any, title: str | SafeString, said: list[Said]) -> TimelineItem:
    return TimelineItem(at, "lock", "human", title, said=said, parts={"people"})
