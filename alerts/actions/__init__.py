"""The sole writer of alert state. Every change writes its transition in the same transaction.

Everybody else imports from here alone; import-linter checks it. Callers have entered a scope; system work enters
`scopes_disabled()` explicitly. Lock order: the Room rows of a transaction first, sorted by (org, room id); everything
else hangs on them.
"""

from alerts.actions.activity import record_activity as record_activity
from alerts.actions.activity import record_activity_batches as record_activity_batches
from alerts.actions.agents import AgentSilence as AgentSilence
from alerts.actions.agents import end_of_watch as end_of_watch
from alerts.actions.agents import judge_silence as judge_silence
from alerts.actions.duty_gaps import ForeseenGap as ForeseenGap
from alerts.actions.duty_gaps import judge_gaps as judge_gaps
from alerts.actions.events import CONFLICT as CONFLICT
from alerts.actions.events import Batch as Batch
from alerts.actions.events import record_event_batches as record_event_batches
from alerts.actions.events import record_events as record_events
from alerts.actions.events import retried as retried
from alerts.actions.events import rooms_of as rooms_of
from alerts.actions.holds import hold as hold
from alerts.actions.holds import hold_run as hold_run
from alerts.actions.holds import lift_hold as lift_hold
from alerts.actions.holds import lift_run_hold as lift_run_hold
from alerts.actions.holds import restore_hold as restore_hold
from alerts.actions.outage_acts import TakenAlert as TakenAlert
from alerts.actions.outage_rows import rooms_of_outage as rooms_of_outage
from alerts.actions.outage_rows import rooms_under as rooms_under
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
from alerts.actions.people import take_with_rooms as take_with_rooms
from alerts.actions.people import undo as undo
from alerts.actions.people import verdict as verdict
from alerts.actions.people import wake as wake
from alerts.actions.reply_window import ONE_WORSE as ONE_WORSE
from alerts.actions.resolved_runs import ResolvedRun as ResolvedRun
from alerts.actions.resolved_runs import record_run_outcomes as record_run_outcomes
from alerts.actions.resolved_runs import waiting_rooms as waiting_rooms
from alerts.actions.retime import retime as retime
from alerts.actions.silences import SILENCEABLE as SILENCEABLE
from alerts.actions.silences import AskedSilence as AskedSilence
from alerts.actions.silences import TooManySilences as TooManySilences
from alerts.actions.silences import checked_silence as checked_silence
from alerts.actions.silences import end_silence as end_silence
from alerts.actions.silences import make_silence as make_silence
from alerts.actions.silences import may_end_silence as may_end_silence
from alerts.actions.silences import may_restore_silence as may_restore_silence
from alerts.actions.silences import may_silence as may_silence
from alerts.actions.silences import open_matches as open_matches
from alerts.actions.silences import restore_silence as restore_silence
from alerts.actions.sources import SourceTrouble as SourceTrouble
from alerts.actions.sources import judge_source as judge_source
from alerts.actions.tiers import may_stand_in as may_stand_in
from alerts.actions.timers import sweep_timers as sweep_timers
from alerts.actions.undo import mark_of as mark_of
