"""What a push says, and the request body that carries it: the contract is docs/contracts/notification-service.yaml.

Nothing a customer wrote and no room label is in it: it ends on a lock screen.
"""

import json
import zoneinfo
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID, uuid5

from django.conf import settings
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext, override

from alerts.decide import RANK
from alerts.models import Alert, Push, Room
from alerts.rows import PushRow
from orgs.clock import rfc3339, time_mark
from orgs.duty.starts import DutyPart, DutyStart
from orgs.models import Org, Severity
from orgs.routing import Recipient
from orgs.signals import SIGNALS, signal_name
from orgs.signals.unexpected_handoff import UNEXPECTED_HANDOFF

KEYS = UUID("6f1d5a3e-8f0c-4f0e-9d5b-6b1a2d0c7e41")  # the namespace of idempotency keys: never to be changed
TTL_SECONDS = 1800  # as long as a push waits here before it expires
DUTY = UUID("3d0f6f5e-6a0b-4f4e-8a55-2c9b7d1e4f60")  # the namespace of the collapse keys of pushes about duty
DUTY_PARTS = 4  # of one's duty that a push names
TITLE = 200  # characters, the contract's limit
WAITS_SINCE = gettext_noop("The customer has been waiting since %(time)s.")
WORST_FIRST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
NOT_IN_EVERY_SERVICE = ("priority", "replaces")  # fields that a service of before may refuse: then it goes without


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
    if alert is not None:
        title, text = _words(push, alert, org, room, subject, locale)
    else:
        with override(locale):
            title, text = _test_words(org)
    occurred_at = push.planned_at if alert is None else alert.last_event_at
    data = {
        "alert_id": None if alert is None else str(alert.id),
        "org_id": org.external_id,
        "room_id": None if room is None else room.room_id,
        "url": settings.BASE_URL + ("/" if alert is None else f"/alerts/{alert.id}"),
        "sequence": push.occurrence,
        "occurred_at": rfc3339(occurred_at, "milliseconds"),
    }
    keys = collapse_keys(alert) if alert is not None else {push.severity: str(push.id)}
    milder = [keys[one] for one in WORST_FIRST if one in keys and RANK[one] < RANK[push.severity]]
    return _body(recipient.sso_id, title, text, locale, push.severity, keys[push.severity], data, milder)


def collapse_keys(alert: Alert) -> dict[str, str]:
    """What a push about this alert replaces on a phone, by its severity: one as severe, and by name those that are
    less. So nothing that is less severe ever takes the place of what is more.
    """
    return {one: str(alert.id) if one == Severity.CRITICAL else f"{alert.id}:{one}" for one in WORST_FIRST}


def revocation_body(*, alert: Alert, by: str | None, sso_id: str, locale: str, now: datetime) -> str:
    """The JSON body of `POST /v1/revocations`: on this person's phone the alert is replaced by who has it, quietly.

    `by` is the name of who has it; empty: somebody whom nobody can match; None: nobody has it any more.
    """
    locale = locale or alert.org.locale
    with override(locale):
        if by is None:
            title = _("Open again")
        else:
            title = _("Taken by %(name)s") % {"name": by} if by else _("A human agent is on it")
        text = f"{signal_name(_leading_signal(alert))}, {alert.agent or alert.source}"
    body: dict[str, Any] = {
        "user_source": "chat",
        "recipient": {"sso_id": sso_id},
        "collapse_keys": [*collapse_keys(alert).values()],
        "title": Truncator(title).chars(TITLE),
        "body": text,
        "locale": locale,
        "ttl_seconds": TTL_SECONDS,
        "data": {
            "alert_id": str(alert.id),
            "org_id": alert.org.external_id,
            "url": f"{settings.BASE_URL}/alerts/{alert.id}",
            "occurred_at": rfc3339(now, "milliseconds"),
        },
    }
    return _as_text(body)


def title_of(body: str) -> str:
    """The title of such a body; empty for one that was erased."""
    return str(json.loads(body)["title"]) if body else ""


def without_new_fields(body: str) -> str:
    """The same notification for a service that does not know all fields yet."""
    return _as_text({name: value for name, value in json.loads(body).items() if name not in NOT_IN_EVERY_SERVICE})


def _as_text(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _body(
    sso_id: str,
    title: str,
    text: str,
    locale: str,
    severity: str,
    collapse_key: str,
    data: dict[str, Any],
    replaces: Sequence[str] = (),
    ttl: int = TTL_SECONDS,
) -> str:
    body: dict[str, Any] = {
        "user_source": "chat",
        "recipient": {"sso_id": sso_id},
        "channels": ["in_app", "push"],
        "title": title if len(title) <= TITLE else Truncator(title).chars(TITLE),
        "body": text,
        "locale": locale,
        "severity": severity,
        "collapse_key": collapse_key,
        "ttl_seconds": ttl,
        "priority": "high" if severity == Severity.CRITICAL else "normal",
        "data": data,
    }
    return _as_text(body | ({"replaces": list(replaces)} if replaces else {}))


def digest_body(
    *, push_id: UUID, number: int, alerts: Sequence[Alert], sso_id: str, locale: str, reason: str = ""
) -> str:
    """The same for a digest that names these alerts of one org, at least one; each with its org, room, agent, source.

    It opens a board that is filtered to them.
    """
    org, severities = alerts[0].org, [alert.severity for alert in alerts]
    locale = locale or org.locale
    with override(locale):
        title, text = _digest_words(alerts, org, reason)
    data = {
        "alert_id": None,
        "alert_ids": [str(alert.pk) for alert in alerts],
        "org_id": org.external_id,
        "room_id": None,
        "url": f"{settings.BASE_URL}/?digest={push_id}",
        "sequence": number,
        "occurred_at": rfc3339(max(alert.last_event_at for alert in alerts), "milliseconds"),
    }
    severity = max(severities, key=lambda one: RANK[one])
    return _body(sso_id, title, text, locale, severity, str(push_id), data)


def _digest_words(alerts: Sequence[Alert], org: Org, reason: str) -> tuple[str, str]:
    n = len(alerts)
    if all(alert.room_id for alert in alerts):
        title = ngettext("%(n)s more room needs a human", "%(n)s more rooms need a human", n) % {"n": n}
    else:
        title = ngettext("%(n)s more alert needs a human", "%(n)s more alerts need a human", n) % {"n": n}
    counts = [(label, sum(alert.severity == value for alert in alerts)) for value, label in Severity.choices]
    told = [f"{label}: {count}" for label, count in reversed(counts) if count]
    worst = min(alerts, key=lambda one: (-RANK[one.severity], one.customer_waiting_since or one.first_failure_at))
    first = _("Waiting longest: %(signal)s, %(agent)s.") % {
        "signal": signal_name(_leading_signal(worst)),
        "agent": str(worst.agent or worst.source or worst.org),
    }
    sentences = [_why_digest(reason), ", ".join(told) + ".", first, _waiting(worst, worst.room, org)]
    return title, " ".join(sentence for sentence in sentences if sentence)


def _why_digest(reason: str) -> str:
    match reason:
        case "outage_ended":
            return _("The outage is over; these still wait.")
        case "expired":
            return _("These could not be pushed in time.")
        case "on_duty":
            return _("Open when you came on duty.")
        case "blind" | "late":
            return _("Nothing could be seen for a while; check these rooms.")
        case _:
            return ""


def duty_body(
    *, org: Org, sso_id: str, locale: str, about: DutyStart | Sequence[DutyPart], ttl_seconds: int, now: datetime
) -> str:
    """The same for a push about one's own duty: that it begins, or, of parts, what it is now that it has changed.

    A newer one replaces an older one on the phone, and never anything about an alert.
    """
    locale = locale or org.locale
    with override(locale):
        title, text = _duty_words(org, about, now)
    occurred_at = about.begins if isinstance(about, DutyStart) else now
    data = {
        "alert_id": None,
        "org_id": org.external_id,
        "room_id": None,
        "url": f"{settings.BASE_URL}/duty?{urlencode({'org': org.external_id})}",
        "sequence": 0,
        "occurred_at": rfc3339(occurred_at, "milliseconds"),
    }
    return _body(sso_id, title, text, locale, Severity.INFO, f"duty:{uuid5(DUTY, str(org.pk))}", data, ttl=ttl_seconds)


def _duty_words(org: Org, about: DutyStart | Sequence[DutyPart], now: datetime) -> tuple[str, str]:
    if isinstance(about, DutyStart):
        title = _("Your duty starts at %(time)s") if about.begins > now else _("Your duty started at %(time)s")
        parts = [_part_words(part._replace(begins=now), org, now) for part in about.parts]
        return title % {"time": _clock(about.begins, org)}, f"{org.name}: {'; '.join(parts)}"
    parts = [_part_words(part, org, now) for part in about[:DUTY_PARTS]] or [_("no duty in the next 24 hours")]
    return _("Your duty has changed"), f"{org.name}: {'; '.join(parts)}"


def _part_words(part: DutyPart, org: Org, now: datetime) -> str:
    says = {"role": part.role, "begin": _clock(part.begins, org), "end": _clock(part.ends, org) if part.ends else ""}
    if part.begins <= now:
        return _("%(role)s until %(end)s") % says if part.ends else part.role
    return (_("%(role)s from %(begin)s until %(end)s") if part.ends else _("%(role)s from %(begin)s")) % says


def _test_words(org: Org) -> tuple[str, str]:
    return _("Test push"), _("If you can read this, alerts of %(org)s reach you.") % {"org": org.name}


def _words(
    push: Push | PushRow, alert: Alert, org: Org, room: Room | None, subject: str, locale: str
) -> tuple[str, str]:
    handed_off = room is not None and room.handed_off_at is not None
    phrases = _phrases(locale, push.severity, _leading_signal(alert), push.reason, handed_off)
    title = phrases.title % {"severity": phrases.severity, "signal": phrases.signal, "agent": subject}
    sentences = [phrases.why, phrases.happened]
    if (since := _waits_since(alert, room)) is not None:
        sentences.append(phrases.waiting % {"time": _clock(since, org, phrases.mark)})
    return title, " ".join(sentence for sentence in sentences if sentence)


class _Phrases(NamedTuple):
    """What one kind of push says in one language; `title` and `waiting` are filled in for each."""

    title: str
    severity: str
    signal: str
    why: str
    happened: str
    waiting: str
    mark: str  # within a time of day


@lru_cache(maxsize=4096)
def _phrases(locale: str, severity: str, signal: str, reason: str, handed_off: bool) -> _Phrases:
    """Kept: gettext takes as long as all the rest of a push's words."""
    with override(locale):
        happened = UNEXPECTED_HANDOFF.name if handed_off else signal
        return _Phrases(
            title=_("%(severity)s: %(signal)s, %(agent)s"),
            severity=str(Severity(severity).label),
            signal=signal_name(signal),
            why=_why_again(reason),
            happened=str(SIGNALS[happened].happened) if happened in SIGNALS else "",
            waiting=_(WAITS_SINCE),
            mark=time_mark(),
        )


def _leading_signal(alert: Alert) -> str:
    """The signal that says it best: of the highest severity the newest."""
    ranked = sorted(alert.signals, key=lambda one: (RANK.get(one.get("severity", ""), 0), str(one.get("last_at", ""))))
    return str(ranked[-1]["signal"]) if ranked else ""


def _why_again(reason: str) -> str:
    match reason:
        case "worsened":
            return _("It got worse.")
        case "window_closing":
            return _("The reply window closes soon: after it only templates reach the customer.")
        case "repeat_due":
            return _("Nobody has acted yet.")
        case "rearmed":
            return _("It failed again.")
        case "corroborated":
            return _("Another signal confirms it.")
        case "escalated":
            return _("Nobody told before you has acted.")
        case "quiet_ended":
            return _("It waited for your quiet hours to end.")
        case "unroutable":
            return _("Nobody who backs up the agent can be told.")
        case _:
            return ""


def _waits_since(alert: Alert, room: Room | None) -> datetime | None:
    return alert.customer_waiting_since or (room.customer_waiting_since if room is not None else None)


def _waiting(alert: Alert, room: Room | None, org: Org) -> str:
    if (since := _waits_since(alert, room)) is None:
        return ""
    return _(WAITS_SINCE) % {"time": _clock(since, org)}


def _clock(at: datetime, org: Org, mark: str = "") -> str:
    local = at.astimezone(zoneinfo.ZoneInfo(org.zone))
    return f"{local.hour:02}{mark or time_mark()}{local.minute:02}"
