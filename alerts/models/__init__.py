"""Failure events, alerts, pushes. Written by alerts/actions (alert state), alerts/delivery (push state) and
alerts/intake (what the senders sent) only."""

from alerts.models.alerts import BROKEN_TIMERS, Alert, Comment, FailureEvent, Transition, new_id, signalling
from alerts.models.intake import RejectedItem, SourceMinute, WebhookDelivery
from alerts.models.pushes import Gate, Push
from alerts.models.rooms import SOURCE_SIGNALS, Room, RoomActivity, Signal

__all__ = [
    "BROKEN_TIMERS",
    "SOURCE_SIGNALS",
    "Alert",
    "Comment",
    "FailureEvent",
    "Gate",
    "Push",
    "RejectedItem",
    "Room",
    "RoomActivity",
    "Signal",
    "SourceMinute",
    "Transition",
    "WebhookDelivery",
    "new_id",
    "signalling",
]
