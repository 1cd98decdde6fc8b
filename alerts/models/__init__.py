"""Failure events, alerts, pushes. Written by alerts/actions (alert state), alerts/delivery (push state) and
alerts/intake (what the senders sent), alerts/blind (when we could not see) only."""

from alerts.models.alerts import BROKEN_TIMERS as BROKEN_TIMERS
from alerts.models.alerts import Alert as Alert
from alerts.models.alerts import new_id as new_id
from alerts.models.alerts import outages_over as outages_over
from alerts.models.alerts import signalling as signalling
from alerts.models.alerts import under_outage as under_outage
from alerts.models.aside import QUIET_UNTIL as QUIET_UNTIL
from alerts.models.aside import needing_human as needing_human
from alerts.models.aside import put_aside as put_aside
from alerts.models.blind import BlindInterval as BlindInterval
from alerts.models.blind import WebHeartbeat as WebHeartbeat
from alerts.models.comments import Comment as Comment
from alerts.models.holds import RUNS_LOCK as RUNS_LOCK
from alerts.models.holds import LegalHold as LegalHold
from alerts.models.intake import RejectedItem as RejectedItem
from alerts.models.intake import SenderHour as SenderHour
from alerts.models.intake import SenderProcess as SenderProcess
from alerts.models.intake import SourceMinute as SourceMinute
from alerts.models.intake import WebhookDelivery as WebhookDelivery
from alerts.models.kept import FiguresMark as FiguresMark
from alerts.models.kept import KeptFigures as KeptFigures
from alerts.models.previews import PolicyPreview as PolicyPreview
from alerts.models.pushes import DigestAlert as DigestAlert
from alerts.models.pushes import Gate as Gate
from alerts.models.pushes import Push as Push
from alerts.models.rooms import Room as Room
from alerts.models.rooms import RoomActivity as RoomActivity
from alerts.models.silences import Silence as Silence
from alerts.models.silences import SilencedAlert as SilencedAlert
from alerts.models.silences import counted_silences as counted_silences
from alerts.models.story import FailureEvent as FailureEvent
from alerts.models.story import Transition as Transition
