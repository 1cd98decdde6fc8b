"""Failure events, alerts, pushes. Written by alerts/actions (alert state), alerts/delivery (push state) and
alerts/intake (what the senders sent) only."""

from alerts.models.alerts import BROKEN_TIMERS, Alert, FailureEvent, Transition, new_id, signalling
from alerts.models.intake import RejectedItem, SourceMinute, WebhookDelivery
from alerts.models.pushes import Gate, Push
from alerts.models.rooms import Room, RoomActivity

__all__ = [
    "BROKEN_TIMERS",
    "Alert",
    "FailureEvent",
    "Gate",
    "Push",
    "RejectedItem",
    "Room",
    "RoomActivity",
    "SourceMinute",
    "Transition",
    "WebhookDelivery",
    "new_id",
    "signalling",
]
