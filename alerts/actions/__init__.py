"""The sole writer of alert state. Every change writes its transition in the same transaction.

Everybody else imports from here alone; import-linter checks it. Callers have entered a scope; system work enters
`scopes_disabled()` explicitly. Lock order: the Room rows of a transaction first, sorted by (org, room id); everything
else hangs on them.
"""

from alerts.actions.activity import record_activity as record_activity
from alerts.actions.activity import record_activity_batches as record_activity_batches
from alerts.actions.events import record_event_batches as record_event_batches
from alerts.actions.events import record_events as record_events
from alerts.actions.people import ActConflict as ActConflict
from alerts.actions.people import ActInvalid as ActInvalid
from alerts.actions.people import acknowledge as acknowledge
from alerts.actions.people import assign as assign
from alerts.actions.people import comment as comment
from alerts.actions.people import open_room as open_room
from alerts.actions.people import release as release
from alerts.actions.people import reopen as reopen
from alerts.actions.people import resolve as resolve
from alerts.actions.people import snooze as snooze
from alerts.actions.people import take as take
from alerts.actions.people import undo as undo
from alerts.actions.people import verdict as verdict
from alerts.actions.people import wake as wake
from alerts.actions.sources import SourceTrouble as SourceTrouble
from alerts.actions.sources import judge_source as judge_source
from alerts.actions.timers import sweep_timers as sweep_timers
from alerts.actions.undo import mark_of as mark_of
