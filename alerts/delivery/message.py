"""What a push says, and the request body that carries it: the contract is docs/contracts/notification-service.yaml.

Nothing a customer wrote and no room label is in it: it ends on a lock screen.
"""

import json
import zoneinfo
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import override

from alerts.decide import RANK
from alerts.models import Alert, Push, Room
from alerts.rows import PushRow
from orgs.clock import rfc3339, time_mark
from orgs.models import Org, Severity
from orgs.routing import Recipient
from orgs.signals import SIGNALS, signal_name
from orgs.signals.unexpected_handoff import UNEXPECTED_HANDOFF

KEYS = UUID("6f1d5a3e-8f0c-4f0e-9d5b-6b1a2d0c7e41")  # the namespace of idempotency keys: never to be changed
TTL_SECONDS = 1800  # as long as a push waits here before it expires
TITLE = 200  # characters, the contract's limit


def idempotency_key(push_id: UUID) -> UUID:
    """The key under which notification-service knows this push, the same on every attempt."""
    return uuid5(KEYS, str(push_id))


def push_body(
    *, push: Push | PushRow, alert: Alert | None, org: Org, room: Room | None, subject: str, recipient: Recipient
) -> str:
    """The JSON body of `POST /v1/notifications`, frozen when the push is planned; unsaved objects will do.

    `alert` is None for a test push; `subject` is the agent, of a source's alert the source. Times of day are in the
    org's zone, words in the recipient's language, else the org's.
    """
    locale = recipient.locale or org.locale
    with override(locale):
        title, text = _test_words(org) if alert is None else _words(push, alert, org, room, subject)
    occurred_at = push.planned_at if alert is None else alert.last_event_at
    body: dict[str, Any] = {
        "user_source": "chat",
        "recipient": {"sso_id": recipient.sso_id},
        "channels": ["in_app", "push"],
        "title": Truncator(title).chars(TITLE),
        "body": text,
        "locale": locale,
        "severity": push.severity,
        "collapse_key": str(push.id if alert is None else alert.id),
        "ttl_seconds": TTL_SECONDS,
        "data": {
            "alert_id": None if alert is None else str(alert.id),
            "org_id": org.external_id,
            "room_id": None if room is None else room.room_id,
            "url": settings.BASE_URL + ("/" if alert is None else f"/alerts/{alert.id}"),
            "sequence": push.occurrence,
            "occurred_at": rfc3339(occurred_at, "milliseconds"),
        },
    }
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _test_words(org: Org) -> tuple[str, str]:
    return _("Test push"), _("If you can read this, alerts of %(org)s reach you.") % {"org": org.name}


def _words(push: Push | PushRow, alert: Alert, org: Org, room: Room | None, subject: str) -> tuple[str, str]:
    signal = _leading_signal(alert)
    title = _("%(severity)s: %(signal)s, %(agent)s") % {
        "severity": Severity(push.severity).label,
        "signal": signal_name(signal),
        "agent": subject,
    }
    sentences = [_why_again(push.reason), _what_happened(signal, room), _waiting(alert, room, org)]
    return title, " ".join(sentence for sentence in sentences if sentence)


def _leading_signal(alert: Alert) -> str:
    """The signal that says it best: of the highest severity the newest."""
    ranked = sorted(alert.signals, key=lambda one: (RANK.get(one.get("severity", ""), 0), str(one.get("last_at", ""))))
    return str(ranked[-1]["signal"]) if ranked else ""


def _why_again(reason: str) -> str:
    match reason:
        case "worsened":
            return _("It got worse.")
        case "repeat_due":
            return _("Nobody has acted yet.")
        case "rearmed":
            return _("It failed again.")
        case _:
            return ""


def _what_happened(signal: str, room: Room | None) -> str:
    if room is not None and room.handed_off_at is not None:
        signal = UNEXPECTED_HANDOFF.name
    return str(SIGNALS[signal].happened) if signal in SIGNALS else ""


def _waiting(alert: Alert, room: Room | None, org: Org) -> str:
    since = alert.customer_waiting_since or (room.customer_waiting_since if room is not None else None)
    if since is None:
        return ""
    local = since.astimezone(zoneinfo.ZoneInfo(org.zone))
    return _("The customer has been waiting since %(time)s.") % {"time": f"{local:%H}{time_mark()}{local:%M}"}
