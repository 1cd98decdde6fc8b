"""Failure events, alerts, pushes. Written by alerts/actions (alert state), alerts/delivery (push state) and
alerts/intake (what the senders sent) only."""

from alerts.models.alerts import BROKEN_TIMERS as BROKEN_TIMERS
from alerts.models.alerts import Alert as Alert
from alerts.models.alerts import Comment as Comment
from alerts.models.alerts import FailureEvent as FailureEvent
from alerts.models.alerts import Transition as Transition
from alerts.models.alerts import needing_human as needing_human
from alerts.models.alerts import new_id as new_id
from alerts.models.alerts import signalling as signalling
from alerts.models.intake import RejectedItem as RejectedItem
from alerts.models.intake import SourceMinute as SourceMinute
from alerts.models.intake import WebhookDelivery as WebhookDelivery
from alerts.models.kept import FiguresMark as FiguresMark
from alerts.models.kept import KeptFigures as KeptFigures
from alerts.models.pushes import Gate as Gate
from alerts.models.pushes import Push as Push
from alerts.models.rooms import Room as Room
from alerts.models.rooms import RoomActivity as RoomActivity
