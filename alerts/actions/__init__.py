"""The sole writer of alert state. Every change writes its transition in the same transaction.

Everybody else imports from here alone; import-linter checks it. Callers have entered a scope; system work enters
`scopes_disabled()` explicitly. Lock order: the Room rows of a transaction first, sorted by (org, room id); everything
else hangs on them.
"""

from alerts.actions.activity import record_activity
from alerts.actions.events import record_events
from alerts.actions.people import (
    ActConflict,
    ActInvalid,
    acknowledge,
    assign,
    comment,
    open_room,
    release,
    reopen,
    resolve,
    snooze,
    take,
    undo,
    verdict,
)
from alerts.actions.sources import SourceTrouble, judge_source
from alerts.actions.timers import sweep_timers

__all__ = [
    "ActConflict",
    "ActInvalid",
    "SourceTrouble",
    "acknowledge",
    "assign",
    "comment",
    "judge_source",
    "open_room",
    "record_activity",
    "record_events",
    "release",
    "reopen",
    "resolve",
    "snooze",
    "sweep_timers",
    "take",
    "undo",
    "verdict",
]
