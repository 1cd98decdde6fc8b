"""What the API says of alerts and pushes: plain dicts with the names of contracts.md, empty strings as null."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from alerts.faults import PASSING, report
from alerts.models import Alert, FailureEvent, Push, Transition
from orgs.api import rfc3339
from orgs.models import User

RELATED = ("org", "room", "agent", "source", "acknowledged_by", "intervened_by", "resolved_by", "assigned_to")
SOMEBODY = "a human agent"  # acted in the room, and is nobody we know
BY_HUMANS = ("human_opened", "human_message", "assigned")  # causes that only a human can be
HISTORY = 1000  # events, transitions and pushes of one alert, the newest
Person = dict[str, str | None]


def whole(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """With everything that `alert_list` reads, so that any number of alerts costs two queries."""
    return alerts.select_related(*RELATED)


def alert_list(alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    """One dict for each alert of `whole`. A broken one is left out, so that the others can be read."""
    made = []
    for alert in alerts:
        try:
            made.append(alert_summary(alert))
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001 - one alert; the log says which
            report("alert_unreadable", error, alert=str(alert.pk))
    return made


def alert_detail(alert: Alert) -> dict[str, Any]:
    """One alert with its events, transitions and pushes, oldest first; of each the newest 1,000."""
    events = FailureEvent.objects.filter(alert=alert).order_by("-received_at", "-id")[:HISTORY]
    transitions = Transition.objects.filter(alert=alert).select_related("actor").order_by("-at", "-id")[:HISTORY]
    pushes = Push.objects.filter(alert=alert).select_related("supervisor").order_by("-planned_at", "-id")[:HISTORY]
    return alert_summary(alert) | {
        "events": [_event(event) for event in reversed(events)],
        "transitions": [_transition(transition) for transition in reversed(transitions)],
        "pushes": [push_of_alert(push) for push in reversed(pushes)],
    }


def alert_summary(alert: Alert) -> dict[str, Any]:
    room, agent = alert.room, alert.agent
    return {
        "id": str(alert.pk),
        "org_id": alert.org.external_id,
        "scope": alert.scope,
        "agent_name": agent.name if agent else None,
        "agent_version": alert.agent_version or None,
        "source_name": alert.source.name if alert.source else None,
        "room_id": room.room_id if room else None,
        "severity": alert.severity,
        "state": alert.state,
        "signals": _signals(alert),
        "event_count": alert.event_count,
        "opened_at": rfc3339(alert.opened_at),
        "last_event_at": rfc3339(alert.last_event_at),
        "customer_waiting_since": rfc3339(alert.customer_waiting_since),
        "acknowledged_by": _human(alert.acknowledged_by) if alert.acknowledged_at else None,
        "acknowledged_at": rfc3339(alert.acknowledged_at),
        "intervened_by": _human(alert.intervened_by) if alert.intervened_at else None,
        "intervened_at": rfc3339(alert.intervened_at),
        "resolved_by": _resolved_by(alert),
        "resolved_at": rfc3339(alert.resolved_at),
        "assigned_to": _human(alert.assigned_to) if alert.assigned_to else None,
        "snoozed_until": rfc3339(alert.snoozed_until),
        "episode": alert.episode,
        "channel": (room.channel or None) if room else None,
        "room_label": (room.label or None) if room else None,
        "time_to_intervene_seconds": _time_to_intervene(alert),
        "verdict": alert.verdict or None,
        "version": alert.version,
        "url": f"{settings.BASE_URL}/alerts/{alert.pk}",
    }


def _signals(alert: Alert) -> list[dict[str, Any]]:
    """Of the current episode, in order of arrival."""
    return [
        {
            "signal": entry["signal"],
            "count": entry["count"],
            "first_at": rfc3339(datetime.fromisoformat(entry["first_at"])),
            "last_at": rfc3339(datetime.fromisoformat(entry["last_at"])),
        }
        for entry in alert.signals_now
    ]


def _time_to_intervene(alert: Alert) -> float | None:
    """Seconds from the first failure of the episode to the first human act in its room."""
    if alert.human_acted_at is None:
        return None
    return round((alert.human_acted_at - alert.first_failure_at).total_seconds(), 3)


# --- people --------------------------------------------------------------------------------------------------------


def _human(user: User | None) -> Person:
    """A person; somebody we cannot match has no name: an id in the chat product is none."""
    if user is None:
        return {"sso_id": None, "name": SOMEBODY, "kind": Alert.By.HUMAN}
    return {"sso_id": user.sso_id, "name": str(user), "kind": Alert.By.HUMAN}


def _resolved_by(alert: Alert) -> Person | None:
    if alert.resolved_at is None:
        return None
    if alert.resolved_kind in ("", Alert.By.HUMAN):
        return _human(alert.resolved_by)
    return _by(alert.resolved_kind, alert.resolved_by)


def _by(kind: str, user: User | None) -> Person:
    """What ended it; a room may tell who resolved it there."""
    return {"sso_id": user.sso_id if user else None, "name": str(user) if user else None, "kind": kind}


# --- what happened -------------------------------------------------------------------------------------------------


def _event(event: FailureEvent) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "signal": event.signal,
        "occurred_at": rfc3339(event.as_sent or event.occurred_at),
        "received_at": rfc3339(event.received_at),
        "reason": event.reason or None,
        "flags": [*(["clock"] if event.clock_flagged else []), *event.flags],
    }


def _transition(transition: Transition) -> dict[str, Any]:
    return {
        "at": rfc3339(transition.at),
        "change": transition.change,
        "reason": transition.reason or None,
        "actor": _actor(transition),
    }


def _actor(transition: Transition) -> Person | None:
    """Who did it: a person, or what ended the alert; null for what the service did by itself."""
    if transition.change in (Transition.Change.RESOLVED, Transition.Change.ABANDONED) and transition.reason:
        return _by(transition.reason, transition.actor)
    if transition.actor is not None:
        return _human(transition.actor)
    return _human(None) if transition.detail.get("cause") in BY_HUMANS else None


# --- pushes --------------------------------------------------------------------------------------------------------


def push_of_alert(push: Push) -> dict[str, Any]:
    """A push as an alert lists it. `reason`: why it was skipped, cancelled or is dead, else why it was planned."""
    return {
        "id": str(push.pk),
        "sso_id": push.supervisor.sso_id,
        "tier": push.tier,
        "occurrence": push.occurrence,
        "reason": push.ended_reason or push.reason,
        "kind": push.kind,
        "state": push.state,
        "attempts": push.attempts,
        "next_attempt_at": rfc3339(push.next_attempt_at),
        "idempotency_key": str(push.idempotency_key),
        "push": push.push or None,
        "sent_at": rfc3339(push.sent_at),
        "delivered_at": rfc3339(push.delivered_at),
        "opened_at": rfc3339(push.opened_at),
    }


def push_list(pushes: Iterable[Push]) -> list[dict[str, Any]]:
    """Pushes by themselves: also whose, about what, planned when, and the last answer."""
    return [
        push_of_alert(push)
        | {
            "org_id": push.org.external_id,
            "alert_id": str(push.alert_id) if push.alert_id else None,
            "planned_at": rfc3339(push.planned_at),
            "last_answer": push.last_answer or None,
        }
        for push in pushes
    ]


def push_detail(push: Push) -> dict[str, Any]:
    """A push with its way to the person, hop by hop; `at` and `answer` are null where it has not come yet."""
    return push_list([push])[0] | {"hops": _hops(push)}


def _hops(push: Push) -> list[dict[str, str | None]]:
    ended = f"{push.state}: {push.ended_reason}" if push.ended_reason else None
    refused = f"failed: {push.failed_reason}".rstrip(": ") if push.failed_at and not push.delivered_at else None
    hops: list[tuple[str, datetime | None, str | None]] = [
        ("planned", push.planned_at, push.reason),
        ("notification_service", push.sent_at or push.ended_at, push.push or push.last_answer or ended),
        ("delivered", push.delivered_at or push.failed_at, refused or ("delivered" if push.delivered_at else None)),
        ("opened", push.opened_at, "opened" if push.opened_at else None),
    ]
    return [{"hop": hop, "at": rfc3339(at), "answer": answer} for hop, at, answer in hops]
